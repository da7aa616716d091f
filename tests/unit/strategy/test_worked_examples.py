"""Every worked example of the notes on bias, variance and mismatch gets the notes' verdict.

The notes give errors without sizes; here every split has 10,000 examples. "0 %" and "nearly 0" as the human level are
taken as 0. Source of all of them: notes on the courses "Structuring Machine Learning Projects" and "Improving Deep
Neural Networks".
"""

from __future__ import annotations

import pytest

from gnomon.strategy.ladder import diagnose_rates
from gnomon.strategy.wording import ladder_text

EXAMPLES = 10_000


def ladder(human: float | None, train: float, dev: float, train_dev: float | None = None, *, examples: int = EXAMPLES):
    """Errors in percent."""
    errors: dict = {} if human is None else {"human": human / 100}
    errors["train"] = (train / 100, examples)
    if train_dev is not None:
        errors["train_dev"] = (train_dev / 100, examples)
    errors["dev"] = (dev / 100, examples)
    return diagnose_rates(errors)


def test_1_9_10_is_variance():
    found = ladder(0, 1, 10, train_dev=9)
    assert found.verdict.contenders == ("variance",)
    assert not next(gap for gap in found.gaps if gap.name == "data mismatch").is_there


def test_1_1_5_10_is_data_mismatch():
    found = ladder(0, 1, 10, train_dev=1.5)
    assert found.verdict.contenders == ("data mismatch",)
    assert not next(gap for gap in found.gaps if gap.name == "variance").is_there


def test_10_11_12_is_avoidable_bias():
    found = ladder(0, 10, 12, train_dev=11)
    assert found.verdict.contenders == ("avoidable bias",)
    assert [gap.is_there for gap in found.gaps] == [True, False, False]


def test_10_11_20_is_avoidable_bias_with_data_mismatch_beside_it():
    found = ladder(0, 10, 20, train_dev=11)
    assert found.verdict.gap == "avoidable bias"
    assert [gap.is_there for gap in found.gaps] == [True, False, True]
    assert "ata mismatch (9.0 points)" in found.verdict.text


def test_15_16_is_high_bias():
    found = ladder(0, 15, 16)
    assert found.verdict.contenders == ("avoidable bias",)
    assert [gap.is_there for gap in found.gaps] == [True, False]


def test_1_11_is_high_variance():
    assert ladder(0, 1, 11).verdict.contenders == ("variance",)


def test_15_30_is_high_bias_and_high_variance():
    found = ladder(0, 15, 30)
    assert set(found.verdict.contenders) == {"avoidable bias", "variance"}
    assert found.verdict.certainty == pytest.approx(0.5, abs=0.1)
    assert all(gap.is_there for gap in found.gaps)


def test_half_and_one_percent_is_low_bias_and_low_variance():
    found = ladder(0, 0.5, 1)
    assert found.verdict.is_low
    assert found.verdict.text.startswith("Low bias and low variance")


def test_half_and_one_percent_on_200_examples_has_no_clear_gap():
    found = ladder(0, 0.5, 1, examples=200)
    assert found.verdict.gap is None
    assert found.verdict.is_low


@pytest.mark.parametrize("errors", [(0, 1, 10), (0, 15, 16), (1, 8, 10), (7.5, 8, 10)])
def test_none_of_the_others_is_low(errors):
    assert not ladder(*errors).verdict.is_low


def test_8_and_10_with_people_at_1_is_avoidable_bias():
    found = ladder(1, 8, 10)
    assert found.verdict.contenders == ("avoidable bias",)
    assert [round(100 * gap.size, 6) for gap in found.gaps] == [7, 2]


def test_8_and_10_with_people_at_7_5_is_variance():
    found = ladder(7.5, 8, 10)
    assert found.verdict.contenders == ("variance",)
    assert [round(100 * gap.size, 6) for gap in found.gaps] == [0.5, 2]


@pytest.mark.parametrize("human", [1, 0.7, 0.5])
def test_doctors_first_case_is_avoidable_bias_whoever_is_the_proxy(human):
    assert ladder(human, 5, 6).verdict.contenders == ("avoidable bias",)


@pytest.mark.parametrize("human", [1, 0.7, 0.5])
def test_doctors_second_case_is_variance_whoever_is_the_proxy(human):
    assert ladder(human, 1, 5).verdict.contenders == ("variance",)


def test_doctors_third_case_is_hard_to_say():
    found = ladder(0.5, 0.7, 0.8)
    assert found.verdict.gap is None
    assert found.verdict.is_low
    assert "no gap is statistically clear" in found.verdict.text


def test_a_system_better_than_its_doctors_has_no_measurable_bias():
    found = ladder(0.5, 0.3, 0.4)
    bias = found.gaps[0]
    assert bias.is_bound
    assert bias.size == pytest.approx(0.003)
    assert any("no longer shows how low" in note for note in found.notes)


def test_the_sketch_of_the_pets_run_reads_as_drawn():
    # train 4.1 % of 5,912, dev 11.8 % of 739, people 1.0 %: gaps 3.1 and 7.7, variance is what holds it back
    found = diagnose_rates({"human": 0.01, "train": (0.041, 5912), "dev": (87 / 739, 739)}, test_openings=0)
    assert found.verdict.contenders == ("variance",)
    lines = ladder_text(found).splitlines()
    assert lines[0].split() == ["error", "gap", "95", "%", "interval"]
    assert lines[2].split()[:6] == ["train", "4.1", "%", "+3.1", "avoidable", "bias"]
    assert lines[3].split()[:5] == ["dev", "11.8", "%", "+7.7", "variance"]
    assert lines[3].endswith("<- largest")
    assert lines[4].strip() == "test   sealed (gnomon test opens it; opened 0 times)"
