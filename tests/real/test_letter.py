"""20,000 letters described by 16 numbers each (Frey and Slate 1991), with default settings."""

import gnomon

# Test errors on a fifth of it: scikit-learn's HistGradientBoosting 3.4 %, its MLP (256, 256) with early stopping 3.6 %,
# one nearest neighbour 3.9 %, its LogisticRegression 22 %.


def test_letters_are_told_apart_as_well_as_by_the_usual_models(real_data):
    run = gnomon.fit(real_data / "tables" / "letter.csv", target="lettr", test=0.2)
    assert run.test().table["error"].mean() <= 0.035


def test_a_linear_model_of_letters_reaches_its_solution(real_data):
    run = gnomon.fit(real_data / "tables" / "letter.csv", target="lettr", model="logistic", test=0.2)
    assert run.test().table["error"].mean() <= 0.24
