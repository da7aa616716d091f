"""The lock of a run: one holder, named to the others, gone with its process."""

from __future__ import annotations

import json
import os
import socket
import time

import pytest

from gnomon.core.errors import BusyError, MachineError
from gnomon.runs import lock, writer
from gnomon.runs.lock import RunLock


def try_lock(path):
    with RunLock(path):
        pass


def test_a_second_lock_is_refused_naming_the_holder_and_the_run(tmp_path):
    with RunLock(tmp_path / "lock"):
        with pytest.raises(
            BusyError, match=rf"in use by process {os.getpid()} on {socket.gethostname()} since 20.* UTC"
        ):
            try_lock(tmp_path / "lock")
        with pytest.raises(BusyError) as told:
            try_lock(tmp_path / "lock")
        assert told.value.where == str(tmp_path)
        assert told.value.exit_code == 5
    try_lock(tmp_path / "lock")


def test_an_error_inside_releases_the_lock(tmp_path):
    with pytest.raises(ValueError, match="inside"), RunLock(tmp_path / "lock"):
        raise ValueError("inside")
    try_lock(tmp_path / "lock")
    assert (tmp_path / "lock").read_bytes() == b""


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"pid": "x", "host": "HOST", "started": ""}',
        b'{"pid": 99999999, "host": "HOST", "started": ""}',
        b'{"pid": 1e400, "host": "HOST", "started": ""}',
        b'{"pid": 10000000000000000000000000, "host": "HOST", "started": ""}',
        b'{"pid": -1, "host": "HOST", "started": ""}',
        b'{"pid": 0, "host": "HOST", "started": ""}',
        b'{"pid": 1, "host": ["HOST"], "started": ""}',
        b'{"pid": 1, "host": "HOST", "started": null}',
    ],
)
def test_a_holder_without_a_good_note_is_another_process(tmp_path, monkeypatch, note):
    monkeypatch.setattr(lock, "PATIENCE", 0.05)
    path = tmp_path / "lock"
    with RunLock(path):
        path.write_bytes(note.replace(b"HOST", socket.gethostname().encode()))
        started = time.monotonic()
        with pytest.raises(BusyError, match="in use by another process"):
            try_lock(path)
        assert time.monotonic() - started < 2
        assert not lock.is_held_here(path)


def test_a_holder_on_another_machine_or_of_another_user_is_named(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    with RunLock(path):
        path.write_text(json.dumps({"pid": 99999999, "host": "elsewhere", "started": "2026"}))
        with pytest.raises(BusyError, match="process 99999999 on elsewhere since 2026"):
            try_lock(path)
        path.write_text(json.dumps({"pid": 1, "host": socket.gethostname(), "started": "2026"}))

        def refuse(pid, number):
            raise PermissionError

        monkeypatch.setattr(os, "kill", refuse)
        with pytest.raises(BusyError, match="process 1 on "):
            try_lock(path)


def test_a_full_disk_loses_the_note_but_keeps_the_lock(tmp_path, monkeypatch):
    def full(descriptor, data):
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(writer.Calls, "write", staticmethod(full))
    monkeypatch.setattr(lock, "PATIENCE", 0.01)
    with RunLock(tmp_path / "lock"), pytest.raises(BusyError):
        try_lock(tmp_path / "lock")


def test_a_file_system_without_locks_is_reported(tmp_path, monkeypatch):
    def refuse(descriptor, how):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with pytest.raises(MachineError, match="no locks available"):
        try_lock(tmp_path / "lock")


def test_a_link_in_place_of_the_lock_is_refused(tmp_path):
    (tmp_path / "target").write_text("kept")
    (tmp_path / "lock").symlink_to("target")
    with pytest.raises(MachineError):
        try_lock(tmp_path / "lock")
    assert (tmp_path / "target").read_text() == "kept"


def test_leaving_a_lock_twice_is_harmless(tmp_path):
    held = RunLock(tmp_path / "lock")
    with held:
        held.forget()
    held.forget()
