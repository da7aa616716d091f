"""What was encoded for one run is found by the next; anything else that goes into it makes it another."""

from __future__ import annotations

import dataclasses
import errno
import os

import numpy as np
import pytest
import torch

import gnomon
from gnomon.core.errors import MachineError
from gnomon.core.settings import from_flat
from gnomon.data import room
from gnomon.parts.pictures import PictureEncoder
from gnomon.runs import writer
from gnomon.runs.cache import own_cache
from gnomon.training import encoded_before, evaluate
from gnomon.training.encoded_before import DTYPES, key_of
from gnomon.workflow.prepare import prepare
from gnomon.workflow.trial import Trials

SETTINGS = {"model": "dense", "hidden": (16,), "epochs": 2, "threads": 1}


@pytest.fixture(autouse=True)
def a_cache_and_little_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(writer.Calls, "fsync", staticmethod(lambda descriptor: None))
    monkeypatch.setenv("GNOMON_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(evaluate, "CHUNK", 200)
    monkeypatch.setattr(room, "memory_left", lambda: 0)


@pytest.fixture
def encoded(monkeypatch):
    """How many examples were encoded in chunks of 200: single ones and small splits always are."""
    counts = []
    real = PictureEncoder.encode

    def encode(self, examples):
        counts.append(len(examples))
        return real(self, examples)

    monkeypatch.setattr(PictureEncoder, "encode", encode)
    return lambda: sum(count for count in counts if count == 200)


@pytest.fixture
def digits():
    opened = from_flat(SETTINGS)
    prepared = prepare("digits", opened)
    return prepared, prepared.task.from_train(prepared.splits["train"], opened)


def weights(run):
    return {name: tensor.clone() for name, tensor in run.model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_runs_from_memory_a_file_and_the_cache_end_with_the_same_bits(encoded, monkeypatch):
    laid = weights(gnomon.fit("digits", **SETTINGS))
    first = encoded()
    assert first > 0
    taken = weights(gnomon.fit("digits", **SETTINGS))
    assert encoded() - first < first  # what is judged is encoded again, a chunk at a time
    monkeypatch.setenv("GNOMON_CACHE", "off")
    in_file = weights(gnomon.fit("digits", **SETTINGS))
    monkeypatch.setattr(room, "memory_left", lambda: 1 << 40)
    in_memory = weights(gnomon.fit("digits", **SETTINGS))
    assert same(in_memory, in_file)
    assert same(in_memory, laid)
    assert same(in_memory, taken)


def test_encoded_examples_are_not_encoded_again(digits, tmp_path, encoded):
    prepared, task = digits
    train = prepared.splits["train"]
    one = evaluate.encode_whole(task, train, tmp_path)
    before = encoded()
    other = evaluate.encode_whole(task, train, tmp_path)
    assert encoded() == before > 0
    assert torch.equal(one["image"], other["image"])
    assert torch.equal(one["target"], other["target"])


def test_a_search_reuses_what_a_fit_has_encoded(encoded):
    run = gnomon.fit("digits", **SETTINGS)
    before = encoded()
    trials = Trials(prepare("digits", from_flat(SETTINGS)), from_flat(SETTINGS))
    assert encoded() == before
    found = trials.run({"learning_rate": 0.01})
    assert len(found.history) == len(run.history)


def test_a_message_says_where_it_is(digits, tmp_path):
    prepared, task = digits
    told = []
    for _ in range(2):
        evaluate.encode_whole(task, prepared.splits["train"], tmp_path, told.append)
    assert [f"{tmp_path}/cache" in text for text in told] == [True, True]
    assert "the next run reuses them" in told[0]
    assert "kept by an earlier run" in told[1]


def test_the_key_changes_with_anything_that_changes_the_result(digits, monkeypatch):
    prepared, task = digits
    train = prepared.splits["train"]
    again = prepare("digits", from_flat(SETTINGS))
    key = key_of(task, train)
    assert key == key_of(task, again.splits["train"])
    order = np.arange(len(train))[::-1].copy()
    others = [
        key_of(task, train.take(order)),
        key_of(task, train.take(order[:-1])),
        key_of(task, prepared.splits["dev"]),
        key_of(dataclasses.replace(task, encoder=dataclasses.replace(task.encoder, height=9)), train),
    ]
    monkeypatch.setattr(encoded_before.importlib.metadata, "version", lambda _name: "0")
    others.append(key_of(task, train))
    monkeypatch.undo()
    monkeypatch.setattr(encoded_before, "_code", lambda _kind: "other")
    others.append(key_of(task, train))
    assert len({key, *others}) == 7


def test_a_changed_cell_or_picture_of_the_source_is_another_key(tmp_path):
    rng = np.random.default_rng(0)
    pictures, labels = rng.integers(0, 256, (60, 8, 8), dtype=np.uint8), np.arange(60) % 2
    opened = from_flat({"test": 0})

    def key(array):
        prepared = prepare((array, labels), opened)
        first = prepare((pictures, labels), opened)
        return key_of(first.task.from_train(first.splits["train"], opened), prepared.splits["train"])

    before = key(pictures)
    keys = set()
    for number in range(len(pictures)):
        changed = pictures.copy()
        changed[number, 3, 3] ^= 1
        keys.add(key(changed))
    assert before in keys  # those of dev are none of train
    assert len(keys) == 1 + len(prepare((pictures, labels), opened).splits["train"])


def test_code_that_cannot_be_read_is_not_cached(digits, monkeypatch):
    prepared, task = digits
    monkeypatch.setattr(PictureEncoder, "__module__", "__main__of_a_notebook")
    assert key_of(task, prepared.splits["train"]) is None


@pytest.mark.parametrize("name", DTYPES)
def test_every_type_of_column_comes_back(tmp_path, name):
    rows = torch.arange(12).remainder(2).to(DTYPES[name]).reshape(3, 2, 2)
    cache, none = own_cache(), torch.empty((3, 0))

    def encode(place):
        columns = {"a/b": place(rows.shape, rows.dtype), "none": place(none.shape, none.dtype)}
        columns["a/b"][:] = rows
        return columns

    with cache.making("0" * 64, rows.nbytes) as folder:
        encoded_before._made(cache, "0" * 64, folder, encode, lambda _text: None)
    found = encoded_before._found(cache, "0" * 64, lambda _text: None)
    assert found["a/b"].dtype == rows.dtype
    assert torch.equal(found["a/b"], rows)
    assert found["none"].shape == (3, 0)


def test_a_disk_that_is_full_for_the_cache_leaves_the_folder_of_the_run(digits, tmp_path, monkeypatch):
    prepared, task = digits
    real = os.posix_fallocate
    told = []

    def full(descriptor, offset, length):
        if "cache" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, offset, length)

    monkeypatch.setattr(os, "posix_fallocate", full)
    columns = evaluate.encode_whole(task, prepared.splits["train"], tmp_path, told.append)
    assert torch.equal(columns["image"], task.encoder.encode(prepared.splits["train"])["image"])
    assert list((tmp_path / "cache").iterdir()) == []
    assert told == []


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_disk_that_fails_while_the_cache_is_written_leaves_the_folder_of_the_run(digits, tmp_path, monkeypatch, call):
    prepared, task = digits

    def fail(*_arguments):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    own_cache()
    monkeypatch.setattr(writer.Calls, call, staticmethod(fail))
    columns = evaluate.encode_whole(task, prepared.splits["train"], tmp_path)
    assert torch.equal(columns["image"], task.encoder.encode(prepared.splits["train"])["image"])


def test_without_room_anywhere_there_is_one_clear_error(digits, tmp_path, monkeypatch):
    prepared, task = digits

    def full(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(MachineError, match="no room for"):
        evaluate.encode_whole(task, prepared.splits["train"], tmp_path)


def test_large_examples_are_encoded_few_at_a_time_and_in_whole_batches(digits, monkeypatch):
    prepared, task = digits
    lengths = []
    real = PictureEncoder.encode
    monkeypatch.setattr(PictureEncoder, "encode", lambda *a: lengths.append(len(a[1])) or real(*a))
    monkeypatch.setattr(evaluate, "CHUNK", 8192)
    for most, expected in ((1 << 30, [1079]), (64 * 1000, [512, 512, 55]), (1, [512, 512, 55])):
        lengths.clear()
        monkeypatch.setattr(evaluate, "CHUNK_BYTES", most)
        columns = evaluate._whole(task.encoder.encode, prepared.splits["train"], room.empty)
        assert lengths == [1, *expected]
        assert torch.equal(columns["image"], real(task.encoder, prepared.splits["train"])["image"])
