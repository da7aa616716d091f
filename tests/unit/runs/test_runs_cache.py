"""The user's cache: what is kept comes back whole or not at all, whoever is killed, full or curious; it stays small."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from gnomon.core.errors import MachineError
from gnomon.runs import cache as caches
from gnomon.runs import writer
from gnomon.runs.cache import Cache, own_cache

KEY, OTHER, THIRD = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch):
    monkeypatch.setattr(writer.Calls, "fsync", staticmethod(lambda descriptor: None))


@pytest.fixture
def cache(tmp_path):
    (tmp_path / "cache").mkdir()
    return Cache(tmp_path / "cache")


def put(cache: Cache, key: str, content: bytes = b"content") -> None:
    with cache.making(key, len(content)) as place:
        assert place is not None
        writer.allocate(place / "0.bin", len(content))
        (place / "0.bin").write_bytes(content)
        cache.keep(key, place, {"about": key[:3]})


def names(cache: Cache) -> list[str]:
    return sorted(path.name for path in cache.path.iterdir())


# --- what is kept -----------------------------------------------------------------------------------------------------
def test_a_kept_entry_is_found_with_its_bytes_and_metadata(cache):
    put(cache, KEY, b"some bytes")
    found = Cache(cache.path).find(KEY)
    assert bytes(found.files["0.bin"]) == b"some bytes"
    assert found.facts["about"] == "aaa"
    assert cache.find(OTHER) is None


def test_found_entries_cannot_be_written_to(cache):
    put(cache, KEY)
    with pytest.raises(TypeError):
        cache.find(KEY).files["0.bin"][0] = 1


def test_an_entry_in_use_stays_readable_when_deleted(cache):
    put(cache, KEY, b"some bytes")
    found = cache.find(KEY)
    writer.remove(cache.path / KEY)
    assert bytes(found.files["0.bin"]) == b"some bytes"


@pytest.mark.parametrize("name", ["0.bin", "manifest.json"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "longer", "gone", "link", "folder"])
def test_a_damaged_entry_is_not_there_and_can_be_made_again(cache, tmp_path, name, damage):
    put(cache, KEY, b"some bytes")
    path = cache.path / KEY / name
    content = path.read_bytes()
    path.unlink()
    if damage == "link":
        (tmp_path / "elsewhere").write_bytes(content)
        path.symlink_to(tmp_path / "elsewhere")
    elif damage == "folder":
        path.mkdir()
    elif damage != "gone":
        flipped = bytes([content[0] ^ 1]) + content[1:]
        path.write_bytes({"flipped": flipped, "cut": content[:-1], "longer": content + b"x"}[damage])
    assert cache.find(KEY) is None
    put(cache, KEY, b"some bytes")
    assert bytes(cache.find(KEY).files["0.bin"]) == b"some bytes"


def test_an_entry_that_is_a_link_is_not_followed(cache, tmp_path):
    put(cache, KEY)
    (cache.path / KEY).rename(tmp_path / "moved")
    (cache.path / KEY).symlink_to(tmp_path / "moved")
    assert cache.find(KEY) is None


def test_an_entry_not_kept_leaves_nothing(cache):
    with suppress(ZeroDivisionError), cache.making(KEY, 1) as place:
        (place / "0.bin").write_bytes(b"half")
        _ = 1 / 0
    assert names(cache) == []
    with cache.making(KEY, 1) as place:
        (place / "0.bin").write_bytes(b"half")
    assert names(cache) == []


# --- several processes, and the end of some ---------------------------------------------------------------------------
def test_one_of_many_processes_makes_an_entry_and_the_others_wait(cache, monkeypatch):
    monkeypatch.setattr(caches, "SECONDS_BETWEEN_TRIES", 0.001)
    made, found = [], []

    def want():
        with cache.making(KEY, 1) as place:
            entry = cache.find(KEY)
            if entry is None:
                made.append(1)
                time.sleep(0.02)
                (place / "0.bin").write_bytes(b"x")
                cache.keep(KEY, place, {})
                entry = cache.find(KEY)
            found.append(bytes(entry.files["0.bin"]))

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]
    assert found == [b"x"] * 8
    assert names(cache) == [KEY]


CHILD = """
import pathlib, sys, time
from gnomon.runs.cache import Cache
with Cache(pathlib.Path(sys.argv[1])).making(sys.argv[2], 1) as place:
    (place / "0.bin").write_bytes(b"half")
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def maker(cache):
    """A process that is making KEY and will not end by itself."""
    process = subprocess.Popen([sys.executable, "-c", CHILD, cache.path, KEY], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    yield process
    process.kill()
    process.communicate()


def test_the_work_of_a_killed_process_is_restarted(cache, maker):
    maker.send_signal(signal.SIGKILL)
    maker.wait()
    assert cache.find(KEY) is None
    with cache.making(KEY, 1) as place:
        assert list(place.iterdir()) == []
    put(cache, KEY)
    assert names(cache) == [KEY]


def test_leftovers_of_killed_processes_are_removed_and_files_of_live_ones_kept(cache, maker):
    (cache.path / f"{OTHER}.tmp").mkdir()
    (cache.path / f"{OTHER}.tmp" / "0.bin").write_bytes(b"half")
    (cache.path / f"{OTHER}.tmp-123").mkdir()
    (cache.path / "of somebody else").mkdir()
    put(cache, THIRD)
    assert names(cache) == [f"{KEY}.tmp", THIRD, "of somebody else"]
    maker.send_signal(signal.SIGKILL)
    maker.wait()
    with cache.making(OTHER, 1):
        assert names(cache) == [f"{OTHER}.tmp", THIRD, "of somebody else"]


# --- room -------------------------------------------------------------------------------------------------------------
def test_the_least_recently_used_entries_are_evicted(cache, monkeypatch):
    for key in (KEY, OTHER, THIRD):
        put(cache, key, bytes(1000))
        os.utime(cache.path / key, ns=(0, 10**9 * len(names(cache))))
    cache.find(KEY)  # now OTHER is the oldest
    each = sum(path.stat().st_size for path in (cache.path / KEY).iterdir())
    monkeypatch.setattr(writer, "free_bytes", lambda _path: 9 * each)  # a quarter of 12: three fit
    put(cache, "d" * 64, bytes(1000))
    assert names(cache) == [KEY, THIRD, "d" * 64]


def test_an_entry_over_its_share_of_the_disk_is_not_kept_and_evicts_nothing(cache, monkeypatch):
    put(cache, KEY)
    monkeypatch.setattr(writer, "free_bytes", lambda _path: 100_000)
    with cache.making(OTHER, 30_000) as place:
        assert place is None
    assert names(cache) == [KEY]


def test_a_full_disk_is_reported_and_leaves_no_file(cache, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer.os, "posix_fallocate", full)
    with (
        pytest.raises(MachineError, match="no space left on device; 1,000 bytes needed"),
        cache.making(KEY, 1) as place,
    ):
        writer.allocate(place / "0.bin", 1000)
    assert names(cache) == []


def test_a_disk_without_locks_caches_nothing(cache, monkeypatch):
    def refuse(*_arguments):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(caches.fcntl, "flock", refuse)
    with cache.making(KEY, 1) as place:
        assert place is None


# --- whose it is ------------------------------------------------------------------------------------------------------
def test_it_is_where_the_system_keeps_caches_and_private_to_its_owner(tmp_path, monkeypatch):
    monkeypatch.delenv("GNOMON_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for base, path in [("", "home/.cache/gnomon"), ("elsewhere", "home/.cache/gnomon"), (f"{tmp_path}/x", "x/gnomon")]:
        monkeypatch.setenv("XDG_CACHE_HOME", base)  # a relative one is to be ignored
        assert own_cache().path == tmp_path / path
        assert stat.S_IMODE((tmp_path / path).stat().st_mode) == 0o700


def test_it_is_where_the_user_says_or_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("GNOMON_CACHE", "here")
    assert own_cache().path == tmp_path / "here"
    monkeypatch.setenv("GNOMON_CACHE", "off")
    assert own_cache() is None


@pytest.mark.parametrize("kind", ["others may write", "link", "file", "of another", "no home", "below a file"])
def test_a_folder_that_others_could_fill_is_not_used(tmp_path, monkeypatch, kind):
    path = tmp_path / "cache"
    monkeypatch.setenv("GNOMON_CACHE", str(path))
    if kind == "others may write":
        path.mkdir()
        path.chmod(0o777)
    elif kind == "link":
        (tmp_path / "real").mkdir()
        path.symlink_to(tmp_path / "real")
    elif kind == "file":
        path.write_bytes(b"")
    elif kind == "of another":
        path.mkdir(mode=0o700)
        monkeypatch.setattr(caches.os, "geteuid", lambda: 12345)
    elif kind == "below a file":
        path.write_bytes(b"")
        monkeypatch.setenv("GNOMON_CACHE", str(path / "inside"))
    else:
        monkeypatch.setenv("GNOMON_CACHE", "~nobody-of-this-name/cache")
    assert own_cache() is None
