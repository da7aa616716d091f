"""What is predicted from what: guesses that are said, refusals that name lines, leaks that are warned of."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from gnomon.core.errors import DataError, UsageError
from gnomon.core.settings import DataSettings
from gnomon.data.tables import plan_targets, read_table, table_from_frame


def plan(columns, *, form=None, **settings):
    options = DataSettings(**settings)
    return plan_targets(table_from_frame(pl.DataFrame(columns, strict=False), options), options, form=form)


NOISE = np.random.default_rng(0).normal(size=60).round(3).tolist()


@pytest.mark.parametrize("name", ["target", "Label", "CLASS", "y"])
def test_one_usual_name_becomes_the_target_with_a_note(name):
    found = plan({"x": NOISE, name: ["a", "b", "c"] * 20})
    assert found.targets[0].name == name
    assert any(f"The target is {name}, by its name" in note for note in found.notes)


def test_without_a_usual_name_the_columns_are_listed():
    with pytest.raises(UsageError, match=r"the columns are x, price.*target=COLUMN, for example target=price"):
        plan({"x": NOISE, "price": NOISE})


def test_two_usual_names_are_not_guessed():
    with pytest.raises(UsageError, match="2 columns are possible"):
        plan({"x": NOISE, "y": NOISE, "label": NOISE})


def test_a_target_that_is_not_there_gets_the_nearest_name():
    with pytest.raises(UsageError, match="did you mean 'price'"):
        plan({"x": NOISE, "price": NOISE}, target=("pirce",))


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (["a", "b", "c"] * 20, "classification"),
        ([True, False, True] * 20, "classification"),
        ([0, 1, 2] * 20, "classification"),
        ([0.0, 1.0, 2.0] * 20, "classification"),
        (list(range(20)) * 3, "regression"),  # 3 rows a value
        (list(range(30)) * 2, "regression"),
        (NOISE, "regression"),
    ],
)
def test_the_form_follows_the_values(values, form):
    assert plan({"x": NOISE, "y": values}).form == form


def test_the_form_can_be_overruled():
    assert plan({"x": NOISE, "y": [0, 1, 2] * 20}, form="regression").form == "regression"
    assert plan({"x": NOISE, "y": list(range(20)) * 3}, form="classification").form == "classification"
    with pytest.raises(DataError, match="not numbers"):
        plan({"x": NOISE, "y": ["a", "b", "c"] * 20}, form="regression")


def test_classes_of_whole_numbers_are_ordered_by_size_and_written_without_a_point():
    values = [float(value) for value in np.random.default_rng(3).permutation(60) % 12]
    assert plan({"x": NOISE, "y": values}).targets[0].class_names == tuple(str(i) for i in range(12))


def test_several_targets_may_have_missing_values_that_are_counted():
    found = plan({"x": NOISE, "a": [1, None, 0] * 20, "b": NOISE[::-1]}, target=("a", "b"))
    assert found.form == "several"
    assert [(target.kind, target.missing) for target in found.targets] == [("classes", 20), ("number", 0)]
    assert any("a: 20 of 60 rows lack it" in note for note in found.notes)


def test_a_single_target_with_missing_values_is_refused_with_rows_and_count():
    values = NOISE.copy()
    for row in (3, 5, 7, 9, 11, 13, 15):
        values[row] = None
    with pytest.raises(DataError, match="in 7 rows: rows 4, 6, 8, 10, 12 and 2 more"):
        plan({"x": NOISE, "y": values})


def test_nan_in_a_frame_s_target_is_refused():
    with pytest.raises(DataError, match=r"missing \(empty or NaN\) in 1 row: row 2"):
        plan({"x": NOISE, "y": [1.5, float("nan"), *NOISE[2:]]})


def test_one_class_is_refused():
    with pytest.raises(DataError, match=r"only one class \('a'\) in 60 rows"):
        plan({"x": NOISE, "y": ["a"] * 60})


def test_a_constant_number_is_refused():
    with pytest.raises(DataError, match=r"is 2\.5 in every row"):
        plan({"x": NOISE, "y": [2.5] * 60})


def test_classes_with_one_row_are_refused_if_all_and_noted_if_few():
    with pytest.raises(DataError, match="60 classes in 60 rows"):
        plan({"x": NOISE, "y": [f"c{i}" for i in range(60)]})
    found = plan({"x": NOISE, "y": ["a", "b"] * 29 + ["rare", "a"]})
    assert any("y: classes with only one row: rare." in note for note in found.notes)


def test_a_typo_in_a_target_of_numbers_is_named_when_it_makes_classes_of_them():
    text = "x,y\n" + "".join(f"{i % 3},{value}\n" for i, value in enumerate([*NOISE[:-1], "1.2O"]))
    table = read_table("data.csv", DataSettings(), content=text.encode())
    with pytest.raises(DataError, match=r"the target 'y' is numbers, but line 61 holds '1\.2O'"):
        plan_targets(table, DataSettings())


def test_uninformative_columns_are_dropped_and_listed():
    found = plan(
        {
            "x": NOISE,
            "nothing": pl.Series([None] * 60, dtype=pl.Float64),
            "same": [7] * 60,
            "same_with_gaps": [7, None, 7] * 20,
            "row": list(range(100, 160)),
            "name": [f"person {i}" for i in range(60)],
            "y": ["a", "b", "c"] * 20,
        }
    )
    assert found.features == ("x",)
    notes = " ".join(found.notes)
    assert "(no value at all): nothing." in notes
    assert "(only one value): same, same_with_gaps." in notes
    assert "looks like an ID): row, name." in notes


def test_nothing_left_to_learn_from_is_refused():
    with pytest.raises(DataError, match="no column is left"):
        plan({"same": [1] * 60, "y": ["a", "b", "c"] * 20})


def test_group_and_time_columns_are_not_inputs():
    columns = {"x": NOISE, "who": ["p", "q", "r"] * 20, "when": list(range(60)), "y": [0, 1, 1, 0] * 15}
    found = plan(columns, group="who", time="when")
    assert (found.features, found.group, found.time) == (("x",), "who", "when")
    with pytest.raises(UsageError, match=r"data\.group=whom is not a column"):
        plan(columns, group="whom")
    with pytest.raises(DataError, match="'who' is text, which has no order"):
        plan(columns, time="who")


LABELS = np.random.default_rng(1).choice(["a", "b", "c"], 60).tolist()


@pytest.mark.parametrize(
    ("leak", "target", "how"),
    [
        ([{"a": "one", "b": "two", "c": "three"}[c] for c in LABELS], LABELS, "is another name for"),
        (NOISE, NOISE, "equals"),
        ([3 - 2 * x for x in NOISE], NOISE, "is a linear function of"),
    ],
)
def test_an_input_that_gives_the_target_away_is_warned_about(leak, target, how):
    found = plan({"x": NOISE[::-1], "leak": leak, "y": target})
    assert "leak" in found.features
    assert [note for note in found.notes if "Leak?" in note and f"leak {how} y in every row" in note]


def test_inputs_without_leaks_raise_no_alarm():
    rng = np.random.default_rng(2)
    x = rng.normal(size=200)
    columns = {"x": x, "g": rng.choice(["u", "v", "w"], 200), "y": np.where(x + rng.normal(size=200) > 0, "a", "b")}
    assert not [note for note in plan(columns).notes if "Leak" in note]


def test_values_that_are_all_different_on_both_sides_raise_no_alarm():
    assert not [note for note in plan({"x": NOISE[::-1], "y": NOISE}).notes if "Leak" in note]


def test_a_leak_is_found_in_a_table_sorted_by_class(monkeypatch):
    monkeypatch.setattr("gnomon.data.tables.giveaways.LEAK_SAMPLE", 40)
    labels = sorted(LABELS * 20)
    found = plan({"x": NOISE * 20, "leak": [f"is {c}" for c in labels], "y": labels})
    assert [note for note in found.notes if "Leak? leak" in note]


@pytest.mark.parametrize(
    ("columns", "suggested"),
    [
        ({"lettr": ["A", "B", "C", "D"] * 20, "x_box": [2.0, 8.0] * 40, "yegvx": [0.5, 8.0] * 40}, "lettr"),
        ({"sepal": [1.5, 2.0] * 40, "petal": [1.5, 2.5] * 40, "iris": ["setosa", "virginica"] * 40}, "iris"),
        ({"work": ["private", "state"] * 40, "age": [30, 31] * 40, "paid": ["<=50K", ">50K"] * 40}, "paid"),
        ({"Survived": [0, 1] * 40, "Sex": ["f", "m"] * 40, "Fare": [7.25, 8.0] * 40}, "Survived"),
        ({"name": [f"n{i}" for i in range(80)], "size": NOISE + NOISE[:20], "cost": NOISE + NOISE[:20]}, "cost"),
        ({"id": [f"n{i}" for i in range(80)], "quality": [3, 4, 5, 6] * 20, "ph": [3.1, 3.3] * 40}, "quality"),
    ],
)  # fmt: skip
def test_the_column_suggested_is_the_one_that_a_newcomer_expects(columns, suggested):
    with pytest.raises(UsageError) as refused:
        plan(columns)
    assert refused.value.fix.endswith((f"target={suggested}.", f"'target={suggested}'."))
