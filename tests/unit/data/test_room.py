"""Encoded examples lie in memory, or in a file when memory is short; the values are the same."""

from __future__ import annotations

import errno
import os

import pytest
import torch

import gnomon
from gnomon.core.errors import MachineError
from gnomon.core.settings import from_flat
from gnomon.data import room
from gnomon.training import evaluate
from gnomon.workflow.prepare import prepare


def test_a_mapped_tensor_is_written_read_and_gathered_from_like_any_other(tmp_path):
    rows = torch.arange(6000, dtype=torch.float32).reshape(100, 60)
    mapped = room.empty((100, 60), torch.float32, tmp_path)
    mapped[:] = rows
    indices = torch.tensor([5, 99, 0])
    assert torch.equal(mapped.index_select(0, indices), rows[indices])


def test_no_file_is_left_behind_from_the_first_moment_on(tmp_path):
    mapped = room.empty((10,), torch.uint8, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(mapped) == 10


def test_a_full_disk_is_one_clear_error(tmp_path, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(room.os, "posix_fallocate", full)
    with pytest.raises(MachineError, match="no room for 400 bytes"):
        room.empty((100,), torch.float32, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_limit_of_the_process_bounds_what_is_left(monkeypatch):
    gigabyte = 1 << 30
    monkeypatch.setattr(room.resource, "getrlimit", lambda _which: (gigabyte, gigabyte))
    assert room.memory_left() < gigabyte


def test_a_control_group_bounds_what_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("900\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 300\nactive_file 50\n")
    assert room.memory_left() == 450  # 1000 - 900 and the 350 that files only borrow


def test_a_run_from_files_is_the_run_from_memory(tmp_path, monkeypatch):
    settings = {"model": "dense", "epochs": 2, "threads": 1}
    one = gnomon.fit("digits", **settings)
    monkeypatch.setattr(evaluate, "CHUNK", 200)
    monkeypatch.setattr(evaluate, "memory_left", lambda: 0)
    other = gnomon.fit("digits", **settings)
    assert other.evaluation("dev").table.equals(one.evaluation("dev").table)
    assert not [path for path in other.path.rglob("*") if path.name.startswith(".columns-")]


def test_little_memory_sends_the_columns_to_the_folder(tmp_path, monkeypatch):
    opened = from_flat({"model": "dense"})
    prepared = prepare("digits", opened)
    task = prepared.task.from_train(prepared.splits["train"], opened)
    made = []
    monkeypatch.setattr(evaluate, "CHUNK", 200)
    monkeypatch.setattr(evaluate, "empty", lambda *a: made.append(a[2:]) or room.empty(*a))
    monkeypatch.setattr(evaluate, "memory_left", lambda: 1 << 40)
    evaluate.encode_whole(task, prepared.splits["train"], tmp_path)
    assert set(made) == {()}
    made.clear()
    monkeypatch.setattr(evaluate, "memory_left", lambda: 1000)
    evaluate.encode_whole(task, prepared.splits["train"], tmp_path)
    assert set(made) == {(tmp_path,)}
