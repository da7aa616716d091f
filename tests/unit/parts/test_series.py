"""Series as tensors: little padding, summaries for references, new rows in every form that fit takes."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest
import torch

import gnomon
from gnomon import tasks
from gnomon.core.settings import from_flat
from gnomon.data.opening import open_source
from gnomon.workflow.prepare import prepare

KIND = tasks.load("sequence_classification")


def made(lengths: list[int], width: int = 2) -> pl.DataFrame:
    """Series of these lengths with numbers drawn at random, of two classes in turn."""
    rng = np.random.default_rng(0)
    columns = {f"x{place}": rng.normal(3, 2, sum(lengths)) for place in range(width)}
    rows = {
        "id": np.repeat(np.arange(len(lengths)), lengths),
        "time": np.concatenate([np.arange(one) for one in lengths]),
        "target": np.repeat(np.where(np.arange(len(lengths)) % 2, "a", "b"), lengths),
    }
    return pl.DataFrame({**rows, **columns})


def encoder_and_train(frame: pl.DataFrame):
    train = prepare(frame, from_flat({"task": "sequence"})).splits["train"]
    return KIND.encoder.fit(train, from_flat({})), train


@pytest.mark.parametrize(("number", "batch_size"), [(900, 16), (2_500, 32)])  # as the defaults have it
def test_batches_by_length_are_padded_by_less_than_a_tenth(number, batch_size):
    lengths = np.clip(np.random.default_rng(0).lognormal(3, 0.6, number).astype(int), 3, 200).tolist()
    encoder, train = encoder_and_train(made(lengths, width=1))
    columns = encoder.encode(train)
    epoch = KIND.sampler(columns, 0, 0, batch_size)
    ends = [0, *epoch.ends.tolist()]
    batches = [encoder.collate(columns, epoch.order[a:b]) for a, b in itertools.pairwise(ends)]
    places = sum(batch["values"][..., 0].numel() for batch in batches)
    steps = sum(int(batch["length"].sum()) for batch in batches)
    assert steps == train.lengths().sum()
    assert places / steps < 1.10


def test_a_batch_has_the_steps_of_each_series_and_zeros_after_them():
    encoder, train = encoder_and_train(made([3, 5, 4, 2, 6, 3, 4, 5, 2, 3]))
    columns = encoder.encode(train)
    batch = encoder.collate(columns, torch.arange(len(train)))
    for i, example in enumerate(train):
        own = example.inputs.to_numpy()
        scaled = (own - [one.mean for one in encoder.features]) / [one.std for one in encoder.features]
        torch.testing.assert_close(batch["values"][i, : len(own)], torch.from_numpy(scaled).float())
        assert not batch["values"][i, len(own) :].any()


def test_references_see_the_mean_and_the_ends_of_each_series():
    encoder, train = encoder_and_train(made([3, 5, 4, 2, 6, 3, 4, 5, 2, 3], width=1))
    columns = encoder.encode(train)
    numbers = encoder.plain_inputs(columns).numbers
    each = [columns["values"].row(i)[:, 0].numpy() for i in range(len(train))]
    wanted = [
        [one.mean(), one[-1], one[0], one.min(), one.max(), one.std(), np.log(len(one))] for one in each
    ]  # fmt: skip
    np.testing.assert_allclose(numbers, np.array(wanted), rtol=1e-4, atol=1e-5)


def test_texts_of_a_column_are_numbers_of_their_own_and_unknown_ones_have_one():
    frame = made([4] * 12, width=1).with_columns(mode=pl.Series(["run", "idle", "run", "stop"] * 12))
    encoder, _ = encoder_and_train(frame)
    assert encoder.names == ("x0", "mode is unknown", "mode is idle", "mode is run", "mode is stop")
    new = frame[:4].with_columns(mode=pl.Series(["run", "idle", "burst", "stop"])).drop("target")
    reading = KIND.reader.read_inputs(open_source(new), from_flat({}).data, encoder)
    marks = encoder.encode(reading.splits["all"])["values"].values[:, 1:]
    assert marks.argmax(dim=1).tolist() == [2, 1, 0, 3]
    assert any("burst" in note for note in reading.notes)


def test_new_rows_need_no_target_and_without_an_id_they_are_one_series(tmp_path):
    lengths = [4, 6, 5, 4, 7, 5, 6, 4, 5, 6, 4, 5]
    run = gnomon.fit(made(lengths), task="sequence", model="gru", units=4, epochs=1, runs_folder=str(tmp_path))
    frame = made([5, 3])
    of_two = run.predict(frame.drop("target"))
    assert of_two["id"].to_list() == ["0", "1"]
    one = {name: frame[name][:5].to_list() for name in ("time", "x0", "x1")}
    assert run.predict(one)["prediction"].to_list() == of_two["prediction"].to_list()[:1]


def test_a_run_on_arrays_answers_arrays_and_lists_of_them(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 5, 2)), np.arange(12) % 2
    run = gnomon.fit((x, y), layout="NTD", model="gru", units=4, epochs=1, runs_folder=str(tmp_path))
    assert run.settings.task.name == "sequence_classification"
    whole = run.predict(x)
    assert whole["id"].to_list() == [f"series {number}" for number in range(12)]
    listed = run.predict([x[0], x[1, :3], x[2]])
    assert listed["p.1"].to_list()[::2] == pytest.approx(whole["p.1"].to_list()[:3:2], abs=1e-6)
