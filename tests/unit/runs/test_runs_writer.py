"""The one writer: whole or not at all, old content kept on failure, and nothing left lying about."""

from __future__ import annotations

import errno
import json
import math
import os

import pytest

from gnomon.core.errors import ArtefactError, MachineError
from gnomon.runs import reader, writer


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fail(monkeypatch, name, number, *, times=1):
    """Make the writer's call `name` fail `times` times."""
    real, left = getattr(writer.Calls, name), [times]

    def call(*arguments):
        if left[0]:
            left[0] -= 1
            raise OSError(number, os.strerror(number))
        return real(*arguments)

    monkeypatch.setattr(writer.Calls, name, staticmethod(call))


def test_a_written_file_has_its_bytes_and_leaves_no_other_name(tmp_path):
    path = tmp_path / "new" / "folder" / "a.bin"
    writer.write_bytes(path, b"one")
    writer.write_bytes(path, memoryview(b"two!"))
    assert path.read_bytes() == b"two!"
    assert names(path.parent) == ["a.bin"]


def test_a_memoryview_of_numbers_is_written_whole(tmp_path):
    numbers = memoryview(bytes(range(64))).cast("d")  # 8 doubles, 64 bytes
    writer.write_bytes(tmp_path / "a", numbers)
    assert (tmp_path / "a").read_bytes() == bytes(range(64))


def test_short_writes_are_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(writer.Calls, "write", staticmethod(lambda descriptor, data: real(descriptor, data[:3])))
    writer.write_bytes(tmp_path / "a", b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_a_name_of_255_bytes_can_be_written(tmp_path):
    writer.write_bytes(tmp_path / ("n" * 255), b"x")
    assert names(tmp_path) == ["n" * 255]


def test_text_that_utf8_cannot_hold_is_escaped_rather_than_refused(tmp_path):
    writer.write_text(tmp_path / "a", "é \udcff")
    assert (tmp_path / "a").read_bytes() == "é \\udcff".encode()


def test_json_keeps_odd_file_names_and_nan(tmp_path):
    writer.write_json(tmp_path / "a.json", {"name": "\udcff", "loss": math.nan})
    value = json.loads((tmp_path / "a.json").read_bytes())
    assert value["name"] == "\udcff"
    assert math.isnan(value["loss"])


def test_a_failed_write_keeps_the_old_content(tmp_path, monkeypatch):
    writer.write_bytes(tmp_path / "a", b"old")
    fail(monkeypatch, "rename", errno.EACCES)
    with pytest.raises(MachineError, match="permission denied; 3 bytes needed"):
        writer.write_bytes(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_no_free_space_is_reported_for_an_impossible_path(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(MachineError) as caught:
        writer.write_bytes(tmp_path / "a" / "b", b"new")
    assert "bytes needed" not in str(caught.value)


def test_a_link_is_replaced_not_followed(tmp_path):
    (tmp_path / "outside").write_bytes(b"outside")
    (tmp_path / "a").symlink_to("outside")
    writer.write_bytes(tmp_path / "a", b"inside")
    assert (tmp_path / "outside").read_bytes() == b"outside"
    assert not (tmp_path / "a").is_symlink()


def test_a_file_in_the_way_of_a_folder_is_reported(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(MachineError, match="is a file, not a folder"):
        writer.write_bytes(tmp_path / "a" / "b", b"x")
    with pytest.raises(MachineError, match="is a file, not a folder"):
        writer.make_folder(tmp_path / "a")


def test_a_folder_its_file_system_cannot_sync_is_accepted(tmp_path, monkeypatch):
    real = os.fsync

    def sync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "no")
        real(descriptor)

    monkeypatch.setattr(writer.Calls, "fsync", staticmethod(sync))
    writer.write_bytes(tmp_path / "a", b"x")
    assert (tmp_path / "a").read_bytes() == b"x"


def test_a_committed_folder_reads_back_with_its_metadata(tmp_path):
    writer.commit_folder(tmp_path / "c", {"a": b"1", "b": b""}, {"step": 7})
    folder = reader.read_folder(tmp_path, "c")
    assert folder.files == {"a": b"1", "b": b""}
    assert folder.facts["step"] == 7
    writer.commit_folder(tmp_path / "c", {"a": b"2"}, {"step": 8})
    assert reader.read_folder(tmp_path, "c").files == {"a": b"2"}
    assert names(tmp_path) == ["c"]


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "a\\b", "a\0b", "n" * 256])
def test_names_that_leave_the_folder_are_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(ArtefactError, match="is not a plain file name"):
        writer.commit_folder(tmp_path / "c", {name: b"1"})
    assert names(tmp_path) == []


def test_when_the_last_rename_fails_the_old_folder_is_restored(tmp_path, monkeypatch):
    writer.commit_folder(tmp_path / "c", {"a": b"old"})
    real, seen = os.replace, []

    def rename(source, target):
        seen.append(target)
        if len(seen) == 2:
            raise OSError(errno.EACCES, "permission denied")
        real(source, target)

    monkeypatch.setattr(writer.Calls, "rename", staticmethod(rename))
    with pytest.raises(MachineError):
        writer.commit_folder(tmp_path / "c", {"a": b"new"})
    assert reader.read_folder(tmp_path, "c").files == {"a": b"old"}
    assert names(tmp_path) == ["c"]


def test_a_leftover_of_the_same_process_number_is_replaced(tmp_path):
    stale = tmp_path / f"c.tmp-{os.getpid()}"
    stale.mkdir()
    (stale / "a").write_bytes(b"torn")
    writer.commit_folder(tmp_path / "c", {"b": b"1"})
    assert reader.read_folder(tmp_path, "c").files == {"b": b"1"}
    assert names(tmp_path) == ["c"]


def test_an_interrupted_replacement_is_finished_or_undone(tmp_path):
    writer.commit_folder(tmp_path / "c.replaced", {"a": b"old"})
    writer.settle_folder(tmp_path / "c")
    assert reader.read_folder(tmp_path, "c").files == {"a": b"old"}
    writer.commit_folder(tmp_path / "c.replaced", {"a": b"older"})
    writer.settle_folder(tmp_path / "c")
    writer.settle_folder(tmp_path / "c")
    assert reader.read_folder(tmp_path, "c").files == {"a": b"old"}
    assert names(tmp_path) == ["c"]


def test_removing_takes_files_links_and_folders_and_follows_nothing(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"x")
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_bytes(b"x")
    (folder / "link").symlink_to(outside)
    writer.remove(folder)
    writer.remove(tmp_path / "never there")
    (tmp_path / "link").symlink_to(outside)
    writer.remove(tmp_path / "link")
    assert names(tmp_path) == ["outside"]
    assert names(outside) == ["kept"]


def test_leftovers_are_recognised_by_name():
    assert [
        name for name in (".tmp-1-ab", "000120.tmp-77", "a.tmp-b", "tmp-1", "model") if writer.is_leftover(name)
    ] == [
        ".tmp-1-ab",
        "000120.tmp-77",
    ]


def test_a_pointer_moves_atomically_and_becomes_text_without_links(tmp_path, monkeypatch):
    writer.point(tmp_path / "latest", "a")
    writer.point(tmp_path / "latest", "b")
    assert os.readlink(tmp_path / "latest") == "b"
    fail(monkeypatch, "symlink", errno.EPERM)
    writer.point(tmp_path / "latest", "c")
    assert (tmp_path / "latest").read_text() == "c"
    assert names(tmp_path) == ["latest"]


def test_a_folder_in_place_of_the_pointer_is_reported(tmp_path):
    (tmp_path / "latest").mkdir()
    with pytest.raises(MachineError, match="is a directory"):
        writer.point(tmp_path / "latest", "a")
    assert names(tmp_path) == ["latest"]


def test_the_failed_end_of_a_line_is_undone(tmp_path, monkeypatch):
    writer.append_line(tmp_path / "log", b"one")
    real, calls = os.write, []

    def write(descriptor, data):
        calls.append(data)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "no space left on device")
        return real(descriptor, data[:2])

    monkeypatch.setattr(writer.Calls, "write", staticmethod(write))
    with pytest.raises(MachineError, match="no space"):
        writer.append_line(tmp_path / "log", b"two")
    assert (tmp_path / "log").read_bytes() == b"one\n"


def test_an_unknown_fault_still_says_what_to_do(tmp_path, monkeypatch):
    fail(monkeypatch, "open", errno.ENXIO)
    with pytest.raises(MachineError) as told:
        writer.write_bytes(tmp_path / "a", b"x")
    assert told.value.fix.startswith("check what is at that path")


def test_a_second_io_error_is_reported(tmp_path, monkeypatch):
    fail(monkeypatch, "write", errno.EIO, times=2)
    with pytest.raises(MachineError, match="input/output error"):
        writer.write_bytes(tmp_path / "a", b"x")
    assert names(tmp_path) == []


def test_free_bytes_uses_the_nearest_existing_folder(tmp_path):
    there = os.statvfs(tmp_path)
    assert writer.free_bytes(tmp_path / "not" / "yet") == pytest.approx(there.f_bavail * there.f_frsize, rel=0.05)
