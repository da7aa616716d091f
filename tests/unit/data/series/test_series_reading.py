"""Series in long form and in arrays: rows sorted and counted, answers found, faults named with their lines."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import gnomon
from gnomon.core.settings import from_flat
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.open import open_data
from gnomon.workflow.road.recognise import recognise

FOUR = ["a", "b", "c", "d", "e", "f", "g", "h"]


def frame_of(**columns):
    """Eight series of three steps: x counts the rows, the answer changes from one series to the next."""
    plain = {
        "id": [name for name in FOUR for _ in range(3)],
        "time": [1, 2, 3] * 8,
        "x": [float(row) for row in range(24)],
        "target": [("up", "down")[number % 2] for number in range(8) for _ in range(3)],
    }
    return pl.DataFrame({**plain, **columns})


def read(source, task="sequence", **settings):
    chosen = from_flat({"task": task, **settings})
    recognised = recognise(open_data(source, chosen))
    return recognised.task.reader.read(recognised.opened.source, recognised.opened.settings.data)


def test_rows_are_sorted_by_time_within_each_series_and_that_is_said():
    shuffled = frame_of().sample(fraction=1.0, shuffle=True, seed=1)
    reading = read(shuffled)
    whole = reading.splits["all"]
    found = {example.id: example.inputs["x"].to_list() for example in whole}
    assert found == {name: [3.0 * place, 3.0 * place + 1, 3.0 * place + 2] for place, name in enumerate(FOUR)}
    turned = sum(part["time"].to_list() != [1, 2, 3] for part in shuffled.partition_by("id"))
    assert f"rows of {turned} of 8 series sorted by time" in reading.notes


def test_a_repeated_row_is_dropped_and_counted():
    twice = pl.concat([frame_of(), frame_of()[4:6]])
    reading = read(twice)
    assert reading.splits["all"].lengths().tolist() == [3] * 8
    assert "copies of a row dropped: 2" in reading.notes


def test_two_different_rows_of_one_time_are_refused_with_their_lines():
    other = frame_of()[4:5].with_columns(x=pl.lit(99.0))
    with pytest.raises(gnomon.GnomonError, match=r"series 'b' has two different rows of time 2: rows 5, 25\."):
        read(pl.concat([frame_of(), other]))


@pytest.mark.parametrize("name", ["id", "time"])
def test_a_row_without_id_or_time_is_refused_with_its_line(name):
    holed = frame_of().with_row_index().with_columns(pl.when(pl.col("index") != 6).then(pl.col(name)).alias(name))
    with pytest.raises(gnomon.GnomonError, match=rf"{name}. is missing in 1 row: row 7"):
        read(holed.drop("index"))


def test_steps_at_uneven_times_are_said():
    times = [1, 2, 3] * 7 + [1, 2, 30]
    assert any(note.startswith("steps are irregular: 6 % of them") for note in read(frame_of(time=times)).notes)
    assert not any("irregular" in note for note in read(frame_of()).notes)


def test_the_data_decides_which_of_the_sequence_tasks_it_is():
    numbers = [0.5 * number for number in range(8) for _ in range(3)]
    steps = [row * 0.37 for row in range(24)]
    words = ["on", "off", "on"] * 8
    found = [
        recognise(open_data(frame, from_flat({"task": "sequence"})))
        for frame in (frame_of(), frame_of(target=numbers), frame_of(target=words), frame_of(target=steps))
    ]
    assert [one.task.name for one in found] == [
        "sequence_classification", "sequence_regression", "step_classification", "step_regression",
    ]  # fmt: skip
    assert [one.opened.settings.task.name for one in found] == [one.task.name for one in found]
    assert found[2].why == "rows that are steps of series; target (a class) changes with time"


def test_an_answer_that_changes_within_a_series_is_refused_where_one_is_asked_for():
    words = ["on", "off", "on"] + ["on"] * 21
    with pytest.raises(gnomon.GnomonError, match=r"changes in 1 of 8: 'a' has 'on' and 'off' \(row 1\).*step_class"):
        read(frame_of(target=words), task="sequence_classification")


def test_an_answer_that_is_given_in_one_row_of_its_series_is_that_of_the_series():
    once = [("up", "down")[number % 2] if step == 2 else None for number in range(8) for step in range(3)]
    whole = read(frame_of(target=once)).splits["all"]
    assert whole.index["label"].cast(pl.String).to_list() == ["up", "down"] * 4


def test_tables_are_series_only_where_that_is_said():
    assert recognise(open_data(frame_of(), from_flat({}))).task.name == "tabular_classification"
    assert recognise(open_data(frame_of(), from_flat({"id": "id"}))).task.name == "sequence_classification"


def test_a_group_keeps_series_together_and_must_be_theirs():
    people = [("p", "q", "r", "s")[number // 2] for number in range(8) for _ in range(3)]
    whole = read(frame_of(person=people), group="person").splits["all"]
    assert whole.index["group"].to_list() == ["p", "p", "q", "q", "r", "r", "s", "s"]
    with pytest.raises(gnomon.GnomonError, match="person changes within series 'a'"):
        read(frame_of(person=["p", "q", "r"] * 8), group="person")


def test_arrays_are_series_where_the_layout_says_so_and_end_before_steps_of_nan():
    x = np.arange(8 * 4 * 2, dtype=float).reshape(8, 4, 2)
    x[1, 2:] = np.nan
    x[2, 1] = np.nan  # in the middle: a step whose values are missing
    y = np.array(["up", "down"] * 4)
    with pytest.raises(gnomon.GnomonError, match="layout=NTD"):
        read((x, y))
    reading = read((x, y), layout="NTD")
    whole = reading.splits["all"]
    assert whole.lengths().tolist() == [4, 2, 4, 4, 4, 4, 4, 4]
    np.testing.assert_array_equal(whole[0].inputs.to_numpy(), x[0])
    assert whole[2].inputs["x0"].to_list() == [16.0, None, 20.0, 22.0]
    assert "steps that are NaN throughout at the end are no steps: 2" in reading.notes


def test_an_array_of_targets_of_each_step_is_read_with_it():
    x = np.random.default_rng(0).normal(size=(6, 5, 1))
    y = np.arange(30).reshape(6, 5) % 2
    whole = read((x, y), layout="NTD").splits["all"]
    assert whole[1].target == [str(value) for value in y[1]]


def test_arrays_of_different_lengths_are_series_of_them():
    rng = np.random.default_rng(0)
    each = [rng.normal(size=(steps, 2)) for steps in (3, 5, 4, 3, 6, 2)]
    whole = read((each, np.array([0, 1] * 3)), layout="NTD").splits["all"]
    assert whole.lengths().tolist() == [3, 5, 4, 3, 6, 2]
    np.testing.assert_array_equal(whole[4].inputs.to_numpy(), each[4])


def test_what_is_fitted_comes_from_train_alone(tmp_path):
    rng = np.random.default_rng(0)
    frame = frame_of(x=rng.normal(5, 2, 24)).with_columns(
        pl.when(pl.int_range(24) % 5 == 0).then(None).otherwise(pl.col("x")).alias("x")
    )
    prepared = prepare(frame, from_flat({"task": "sequence"}))
    train = prepared.splits["train"]
    encoder = prepared.task.encoder.fit(train, from_flat({}))
    values = np.concatenate([one.inputs["x"].to_numpy() for one in train])
    known = values[~np.isnan(values)]
    feature = encoder.features[0]
    assert (feature.mean, feature.std) == pytest.approx((known.mean(), known.std()))
    assert feature.fill == pytest.approx(np.median(known))
    encoded = encoder.encode(train)["values"]
    filled = np.where(np.isnan(values), np.median(known), values)
    np.testing.assert_allclose(encoded.values[:, 0], (filled - known.mean()) / known.std(), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(encoded.values[:, 1], np.isnan(values))


def test_a_folder_of_tables_keeps_its_splits(tmp_path):
    frame_of().write_csv(tmp_path / "train.csv")
    frame_of()[:12].write_csv(tmp_path / "dev.csv")
    splits = read(tmp_path).splits
    assert {name: len(part) for name, part in splits.items()} == {"train": 8, "dev": 4}
    assert splits["dev"].index["id"].to_list() == ["dev:a", "dev:b", "dev:c", "dev:d"]
    assert splits["dev"][1].inputs["x"].to_list() == [3.0, 4.0, 5.0]


def test_a_target_that_is_the_next_value_of_a_column_is_said_to_be_seen_from_behind():
    x = [float(value) for value in np.random.default_rng(0).normal(size=48).round(3)]
    ids, times = [name for name in FOUR for _ in range(6)], list(range(6)) * 8
    ahead = [x[row + 1] if row % 6 < 5 else None for row in range(48)]
    frame = pl.DataFrame({"id": ids, "time": times, "x": x, "other": x[::-1], "target": ahead})
    leaks = [note for note in read(frame).notes if note.startswith("Leak?")]
    assert len(leaks) == 1
    assert leaks[0].startswith("Leak? target is x of the step after it: a net that reads in both directions sees")
    assert not [note for note in read(frame.with_columns(target=pl.col("x") * 2)).notes if "step after it" in note]
