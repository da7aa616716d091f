"""Encoded examples lie in memory, or in a file when memory is short; the values are the same."""

from __future__ import annotations

import errno
import os
import time

import pytest
import torch

import gnomon
from gnomon.core.errors import MachineError
from gnomon.core.settings import from_flat
from gnomon.data import room
from gnomon.data.columns import InFiles, gather, take
from gnomon.training import evaluate
from gnomon.workflow.prepare import prepare


def test_a_mapped_tensor_is_written_read_and_gathered_from_like_any_other(tmp_path):
    rows = torch.arange(6000, dtype=torch.float32).reshape(100, 60)
    mapped = room.empty((100, 60), torch.float32, tmp_path)
    mapped[:] = rows
    indices = torch.tensor([5, 99, 0])
    assert torch.equal(mapped.index_select(0, indices), rows[indices])


def test_no_file_is_left_behind_at_any_moment(tmp_path):
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


def test_a_process_limit_limits_free_memory(monkeypatch):
    gigabyte = 1 << 30
    monkeypatch.setattr(room.resource, "getrlimit", lambda _which: (gigabyte, gigabyte))
    assert room.memory_left() < gigabyte


def test_a_cgroup_limits_free_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("900\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 300\nactive_file 50\n")
    assert room.memory_left() == 450  # 1000 - 900 and the 350 that files only borrow


def test_the_cgroup_of_a_process_and_its_parents_limit_free_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "CGROUP", tmp_path)
    monkeypatch.setattr(room, "OWN_GROUPS", tmp_path / "own")
    (tmp_path / "own").write_text("9:memory:/job/step\n3:cpuset,cpu:/elsewhere\n0::/slice/scope\n")
    one, two = tmp_path / "memory" / "job", tmp_path / "slice" / "scope"
    for group in (one / "step", two):
        group.mkdir(parents=True)
    assert room.memory_left() > 10_000
    for group, most, used in ((one / "step", 1 << 62, 500), (one, 2000, 900)):  # version 1: the job is limited
        (group / "memory.limit_in_bytes").write_text(f"{most}\n")
        (group / "memory.usage_in_bytes").write_text(f"{used}\n")
        (group / "memory.stat").write_text("cache 1\ntotal_inactive_file 100\ntotal_active_file 50\n")
    assert room.memory_left() == 2000 - 900 + 150
    (two / "memory.max").write_text("700\n")
    (two / "memory.current").write_text("600\n")
    (two / "memory.stat").write_text("anon 500\ninactive_file 30\nactive_file 5\n")
    assert room.memory_left() == 135


def test_a_run_from_files_is_the_run_from_memory(tmp_path, monkeypatch):
    settings = {"model": "dense", "epochs": 2, "threads": 1}
    one = gnomon.fit("digits", **settings)
    monkeypatch.setattr(evaluate, "CHUNK", 200)
    monkeypatch.setattr(room, "memory_left", lambda: 0)
    other = gnomon.fit("digits", **settings)
    assert other.evaluation("dev").table.equals(one.evaluation("dev").table)
    assert not [path for path in other.path.rglob("*") if path.name.startswith(".columns-")]


def test_with_little_memory_the_columns_go_to_the_folder(tmp_path, monkeypatch):
    opened = from_flat({"model": "dense"})
    prepared = prepare("digits", opened)
    task = prepared.task.from_train(prepared.splits["train"], opened)
    made = []
    monkeypatch.setattr(evaluate, "CHUNK", 200)
    monkeypatch.setattr(evaluate, "empty", lambda *a: made.append(a[2:]) or room.empty(*a))
    monkeypatch.setattr(room, "memory_left", lambda: 1 << 40)
    evaluate.encode_whole(task, prepared.splits["train"], tmp_path)
    assert set(made) == {()}
    made.clear()
    monkeypatch.setattr(room, "memory_left", lambda: 1000)
    evaluate.encode_whole(task, prepared.splits["train"], tmp_path)
    assert set(made) == {(tmp_path,)}


@pytest.fixture
def rows_on_disk(tmp_path):
    """(400, 10000) bytes in a file that no memory holds, and what they are."""
    rows = torch.arange(4_000_000, dtype=torch.int32).to(torch.uint8).reshape(400, 10_000)
    path = tmp_path / "rows"
    with path.open("wb") as file:
        file.write(rows.numpy().tobytes())
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return room.over(path, rows.shape, rows.dtype), rows


def test_prefetched_rows_come_into_memory_and_others_do_not(rows_on_disk):
    mapped, rows = rows_on_disk
    if room.share_in_memory(mapped) > 0.5:
        pytest.skip("this file system lies in memory, or keeps what it is told to forget")
    room.prefetch(mapped, torch.arange(0, 400, 2))
    deadline = time.monotonic() + 20
    while room.share_in_memory(mapped) < 0.45 and time.monotonic() < deadline:  # the system reads on by itself
        time.sleep(0.01)
    assert 0.4 < room.share_in_memory(mapped) < 0.95  # every other row; a page at its end is shared with the next
    assert torch.equal(mapped, rows)
    assert room.share_in_memory(mapped) == 1


def test_rows_of_columns_in_files_are_gathered_as_from_memory(rows_on_disk, tmp_path, monkeypatch):
    mapped, rows = rows_on_disk
    columns = {"a": mapped, "b": torch.arange(400)}
    in_files = InFiles(columns, ("a",), tmp_path)
    indices = torch.tensor([7, 399, 0, 7])
    assert torch.equal(gather(in_files, indices)["a"], rows[indices])
    for left, kind in ((1 << 40, dict), (0, InFiles)):
        monkeypatch.setattr(room, "memory_left", lambda left=left: left)
        taken = take(in_files, indices.numpy())
        assert type(taken) is kind
        assert torch.equal(taken["a"], rows[indices])
        assert torch.equal(taken["b"], indices)


def test_what_is_in_memory_is_not_prefetched(rows_on_disk, tmp_path, monkeypatch):
    mapped, _ = rows_on_disk
    asked = []
    monkeypatch.setattr(room, "prefetch", lambda _column, rows: asked.append(len(rows)))
    monkeypatch.setattr(room, "share_in_memory", lambda _column: 0.5)
    columns = InFiles({"a": mapped, "none": torch.empty(400, 0)}, ("a", "none"), tmp_path)
    gather(columns, torch.arange(10))
    monkeypatch.setattr(room, "share_in_memory", lambda _column: 1.0)
    gather(columns, torch.arange(11))  # the look of a moment ago still counts
    gather(InFiles(columns, ("a",), tmp_path), torch.arange(12))
    assert asked == [10, 11]
