"""Hostile and broken archives: refused before any member is read, nothing ever unpacked; ordinary ones are read."""

from __future__ import annotations

import functools
import io
import os
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gnomon.core.errors import ArtefactError, DataError, GnomonError, MachineError
from gnomon.data import archives
from gnomon.data.archives import Limits, open_archive
from gnomon.data.opening import open_source
from gnomon.data.source import display_name

MIXED = {"a/1.txt": b"one", "a/b/2.bin": bytes(range(256)) * 20, "empty": b"", "é😀.txt": b"e"}
TARS = {"tar": "w", "tar.gz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}


def make_zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info


def make_tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, TARS[path.name.partition(".")[2]]) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return path


def plain_members(members: dict[str, bytes]) -> list[tuple[tarfile.TarInfo, bytes]]:
    return [(member(name, size=len(content)), content) for name, content in members.items()]


def refused(path: Path, what: str, limits: Limits = archives.LIMITS) -> None:
    """Refused, by name, leaving nothing behind and no file open."""
    opened, beside = len(os.listdir("/proc/self/fd")), sorted(path.parent.rglob("*"))
    with pytest.raises(ArtefactError, match=what) as caught:
        open_archive(str(path), limits)
    assert caught.value.where == str(path)
    assert str(caught.value).isprintable()
    del caught
    assert sorted(path.parent.rglob("*")) == beside
    assert len(os.listdir("/proc/self/fd")) == opened


@pytest.fixture(autouse=True)
def nothing_is_unpacked(monkeypatch):
    """Neither library may be asked to write a member to disk."""

    def forbidden(*_args, **_options):
        raise AssertionError("a member was to be unpacked")

    for kind in (zipfile.ZipFile, tarfile.TarFile):
        for method in ("extract", "extractall"):
            monkeypatch.setattr(kind, method, forbidden)


# --- ordinary archives ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zips_of_every_method_are_read_in_name_order(tmp_path, method):
    tree = open_archive(str(make_zip(tmp_path / "a.zip", MIXED, method)))
    assert [file.name for file in tree.files] == sorted(MIXED)
    assert [file.size for file in tree.files] == [len(MIXED[name]) for name in sorted(MIXED)]
    assert {file.name: tree.read(file.name) for file in tree.files} == MIXED


@pytest.mark.parametrize("suffix", TARS)
def test_tars_of_every_compression_are_read_in_name_order(tmp_path, suffix):
    path = make_tar(tmp_path / f"a.{suffix}", (member("a", tarfile.DIRTYPE), b""), *plain_members(MIXED))
    tree = open_archive(str(path))
    assert [file.name for file in tree.files] == sorted(MIXED)
    assert {file.name: tree.read(file.name) for file in tree.files} == MIXED
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", ["zip", *TARS])
def test_several_threads_may_read_at_the_same_time(tmp_path, suffix):
    members = {f"{i}": bytes([i]) * (1000 + i) for i in range(100)}
    path = tmp_path / f"a.{suffix}"
    tree = open_archive(str(make_zip(path, members) if suffix == "zip" else make_tar(path, *plain_members(members))))
    wrong: list[str] = []

    def check():
        wrong.extend(name for name in members if tree.read(name) != members[name])

    threads = [threading.Thread(target=check) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_hidden_and_junk_files_and_leading_dots_are_handled_as_in_folders(tmp_path):
    members = {"./a/1.txt": b"1", "__MACOSX/._1": b"x", "a/.DS_Store": b"x", "Thumbs.db": b"x"}
    for path in (make_zip(tmp_path / "a.zip", members), make_tar(tmp_path / "a.tar", *plain_members(members))):
        tree = open_archive(str(path))
        assert [file.name for file in tree.files] == ["a/1.txt"]
        assert tree.notes == ("hidden and system files skipped: 3 (Thumbs.db, __MACOSX/._1, a/.DS_Store)",)


def test_names_that_are_not_utf8_survive(tmp_path):
    name = os.fsdecode(b"caf\xe9\n.txt")
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(member(name, size=1), io.BytesIO(b"x"))
    tree = open_archive(str(tmp_path / "a.tar"))
    assert [file.name for file in tree.files] == [name]
    assert display_name(name) == r"caf\xe9\n.txt"


def test_zip_names_packed_as_plain_bytes_are_read_as_utf8_else_as_code_page_437(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"caf??.txt": b"x", "cafe~.txt": b"y"})
    content = path.read_bytes().replace(b"caf??.txt", "café.txt".encode()).replace(b"cafe~.txt", b"cafe\x82.txt")
    path.write_bytes(content)
    # byte 82 of code page 437 is é
    assert {file.name for file in open_archive(str(path)).files} == {"café.txt", "cafeé.txt"}


def test_backslashes_of_windows_archives_separate_folders(tmp_path):
    info = zipfile.ZipInfo("train\\cat\\1.png")
    info.create_system = 0  # MS-DOS, APPNOTE.TXT 4.4.2
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, b"x")
    tree = open_archive(str(tmp_path / "a.zip"))
    assert [file.name for file in tree.files] == ["train/cat/1.png"]
    assert tree.read("train/cat/1.png") == b"x"


def test_an_archive_named_for_another_kind_of_tar_is_read_by_its_content(tmp_path):
    path = make_tar(tmp_path / "a.tar.xz", *plain_members(MIXED))
    path = path.rename(tmp_path / "a.tar.gz")
    assert len(open_archive(str(path)).files) == len(MIXED)


# --- unsafe names and kinds -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "what"), [
    ("../x.png", "climbs out"), ("a/../../x.png", "climbs out"), ("a/..\\..\\x.png", "climbs out"),
    ("/etc/passwd", "absolute"), ("C:\\x.png", "absolute"), ("c:x.png", "absolute"), ("\\\\host\\x.png", "absolute"),
    ("y" * 300 + ".png", "not a valid file name"), ("..", "climbs out"),
])  # fmt: skip
def test_names_that_leave_the_archive_are_refused(tmp_path, name, what):
    refused(make_zip(tmp_path / "a.zip", {"ok.png": b"x", name: b"x"}), what)
    for suffix in TARS:
        refused(make_tar(tmp_path / f"a.{suffix}", *plain_members({"ok.png": b"x", name: b"x"})), what)


@pytest.mark.parametrize(("kind", "what"), [
    (tarfile.SYMTYPE, "a link"), (tarfile.LNKTYPE, "a link"), (tarfile.CHRTYPE, "a special"),
    (tarfile.BLKTYPE, "a special"), (tarfile.FIFOTYPE, "a special"), (b"Z", "a special"),
])  # fmt: skip
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind, what):
    link = (member("x", kind, link="/etc"), b"")
    refused(make_tar(tmp_path / "a.tar", link, *plain_members({"x/passwd": b"x"})), what)


@pytest.mark.parametrize(("mode", "what"), [(0o120777, "a link"), (0o020666, "a special"), (0o010666, "a special")])
def test_links_and_devices_in_a_zip_are_refused(tmp_path, mode, what):
    info = zipfile.ZipInfo("x")
    info.create_system, info.external_attr = 3, mode << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    refused(tmp_path / "a.zip", what)


def test_a_duplicate_name_is_refused(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"a/x": b"1", "a/y": b"2"})
    path.write_bytes(path.read_bytes().replace(b"a/y", b"a/x"))
    refused(path, "a/x appears twice")
    refused(make_tar(tmp_path / "a.tar", *plain_members({"a/x": b"1", "a/./x": b"2"})), "appears twice")


def test_an_encrypted_member_is_refused(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"x": b"secret"})
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1  # general purpose bit 0, APPNOTE.TXT 4.4.4
    path.write_bytes(content)
    refused(path, "x is encrypted")


# --- bombs ----------------------------------------------------------------------------------------------------------


def test_a_member_that_unpacks_to_more_than_a_hundredfold_is_refused(tmp_path):
    refused(make_zip(tmp_path / "a.zip", {"x": bytes(10**7)}), r"would unpack 9,\d\d\d bytes to 10,000,000")


def test_a_small_member_may_unpack_to_more_than_a_hundredfold(tmp_path):
    tree = open_archive(str(make_zip(tmp_path / "a.zip", {"x": bytes(900_000)})))
    assert tree.read("x") == bytes(900_000)


def test_members_that_share_their_bytes_are_refused(tmp_path):
    """The construction of Fifield (WOOT 2019): many entries of the directory point at one compressed kernel."""
    path = make_zip(tmp_path / "a.zip", {"x": os.urandom(5000), "y": b"y"})
    content = bytearray(path.read_bytes())
    second = content.rindex(b"PK\x01\x02")
    content[second + 42 : second + 46] = struct.pack("<I", 0)  # local header of y := local header of x
    path.write_bytes(content)
    refused(path, "shares its bytes")


def test_more_bytes_or_entries_than_allowed_are_refused(tmp_path):
    members = {f"{i}": os.urandom(1000) for i in range(20)}
    for path in (make_zip(tmp_path / "a.zip", members), make_tar(tmp_path / "a.tar", *plain_members(members))):
        assert len(open_archive(str(path), Limits(total_bytes=20_000, entries=20)).files) == 20
        refused(path, "more than 19,999 bytes", Limits(total_bytes=19_999))
        refused(path, "more than 19 entries", Limits(entries=19))


def test_the_default_limits_are_twenty_gigabytes_a_hundredfold_and_two_million():
    assert (archives.LIMITS.total_bytes, archives.LIMITS.ratio, archives.LIMITS.entries) == (20 * 10**9, 100, 2_000_000)


def test_a_directory_that_claims_too_many_entries_is_refused_before_it_is_loaded(tmp_path, monkeypatch):
    path = make_zip(tmp_path / "a.zip", {"x": b"x"})
    content = path.read_bytes()
    end = content.rindex(b"PK\x05\x06")
    record = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, 3_000_000, 3_000_000, 141_000_000, 0)
    locator = struct.pack("<IIQI", 0x07064B50, 0, end, 1)
    tail = bytearray(content[end:])
    tail[8:12] = b"\xff" * 4  # number of entries: see the zip64 record, APPNOTE.TXT 4.4.21
    path.write_bytes(content[:end] + record + locator + bytes(tail))
    monkeypatch.setattr(zipfile, "ZipFile", None)
    refused(path, "more than 2,000,000 entries")


@pytest.mark.parametrize("suffix", ["tar.gz", "tar.bz2", "tar.xz"])
def test_a_compressed_tar_that_unpacks_without_end_is_stopped_on_the_way(tmp_path, suffix):
    path = make_tar(tmp_path / f"a.{suffix}", *plain_members({"x": bytes(5 * 10**6)}))
    limits = Limits(stream_ratio_from=10**6)
    refused(path, "expands more than 100-fold", limits)
    assert len(open_archive(str(path)).files) == 1


def test_a_tar_with_huge_declared_sizes_is_refused(tmp_path):
    header = member("x", size=15 * 10**9).tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "a.tar").write_bytes(header + bytes(1024))
    refused(tmp_path / "a.tar", "damaged, truncated")
    (tmp_path / "b.tar").write_bytes(member("x", size=10**15).tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    refused(tmp_path / "b.tar", "more than 20,000,000,000 bytes")


@pytest.mark.parametrize("size", [-1, -512, -(2**62)])
def test_a_tar_with_a_negative_size_is_refused(tmp_path, size):
    header = bytearray(member("x").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" + size.to_bytes(11, "big", signed=True)  # base 256, GNU's form for large numbers
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    (tmp_path / "a.tar").write_bytes(bytes(header) + bytes(1024))
    refused(tmp_path / "a.tar", f"x has the size {size:,}")


PEAK_SCRIPT = """
import sys
from gnomon.core.errors import ArtefactError
from gnomon.data import archives
from gnomon.data.opening import open_source
def peak_kb():  # not ru_maxrss: a child starts with its parent's
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
idle = peak_kb()
for path in sys.argv[1:]:
    try:
        open_source(path)
    except ArtefactError as error:
        print(error.what)
print((peak_kb() - idle) / 1024)
"""


def test_bombs_are_refused_in_little_memory(tmp_path):
    zipped = make_zip(tmp_path / "wide.zip", {f"{i}": bytes(3 * 10**6) for i in range(30)})
    tarred = make_tar(tmp_path / "long.tar.gz", *plain_members({"x": bytes(2 * 10**8)}))
    command = [sys.executable, "-c", PEAK_SCRIPT, str(zipped), str(tarred)]
    *refusals, above_idle = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(refusals) == 2
    assert float(above_idle) < 100


def test_an_archive_inside_an_archive_is_not_opened(tmp_path):
    inner = make_zip(tmp_path / "inner.zip", {"x": bytes(900_000)}).read_bytes()
    tree = open_archive(str(make_zip(tmp_path / "outer.zip", {"inner.zip": inner}, zipfile.ZIP_STORED)))
    assert [file.name for file in tree.files] == ["inner.zip"]


# --- broken archives ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["zip", *TARS])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_a_truncated_archive_is_refused_or_its_members_are_named(tmp_path, suffix, share):
    path, members = tmp_path / f"a.{suffix}", {f"{i}": os.urandom(3000) for i in range(5)}
    whole = (make_zip(path, members) if suffix == "zip" else make_tar(path, *plain_members(members))).read_bytes()
    end = len(whole) if suffix != "tar" else 5 * 3584  # a tar ends in padding that may go
    path.write_bytes(whole[: int(end * share)])
    with pytest.raises(GnomonError) as caught:
        open_source(path)
    assert caught.value.where == str(path)


def test_a_damaged_member_is_named_and_the_others_are_read(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"x": b"x" * 100, "y": b"y" * 100}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"xxxx", b"xxzx", 1))
    tree = open_archive(str(path))
    assert tree.read("y") == b"y" * 100
    with pytest.raises(DataError, match="damaged inside the archive") as caught:
        tree.read("x")
    assert caught.value.where == f"{path}: x"


@pytest.mark.parametrize(("name", "content"), [
    ("a.zip", b"<html>404</html>"), ("a.zip", b""), ("a.tar", b"hello" * 1000), ("a.tar.gz", b"\x1f\x8b"),
    ("a.tgz", bytes(5000)),
    ("a.zip", b"PK\x03\x04" + bytes(100)), ("a.tar.xz", b"\xfd7zXZ\x00junk"), ("a.tar.bz2", b"BZh9junk"),
])  # fmt: skip
def test_files_that_are_not_archives_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GnomonError) as caught:
        open_source(tmp_path / name)
    assert caught.value.where == str(tmp_path / name)


def test_a_tar_that_is_replaced_after_it_was_listed_is_noticed(tmp_path):
    path = make_tar(tmp_path / "a.tar", *plain_members(MIXED))
    tree = open_archive(str(path))
    with path.open("r+b") as file:
        file.write(b"z")
    os.utime(path, ns=(1, 1))
    with pytest.raises(DataError, match="changed since it was listed"):
        tree.read("a/1.txt")


def test_no_room_for_a_temporary_copy_is_an_error_of_the_machine(tmp_path, monkeypatch):
    path = make_tar(tmp_path / "a.tar.gz", *plain_members(MIXED))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(MachineError, match="cannot create a temporary file"):
        open_archive(str(path))
    full = functools.partial(open, "/dev/full", "r+b", buffering=0)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda prefix: full())
    with pytest.raises(MachineError, match="No space left on device"):
        open_archive(str(path))


mutations = st.lists(st.tuples(st.integers(0, 100_000), st.integers(0, 255)), min_size=1, max_size=6)


@settings(max_examples=100, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutations, st.sampled_from(["zip", "tar", "tar.gz"]))
@example([(1203, 32)], "zip")  # sets the flag of a method that zipfile does not know
def test_an_archive_of_any_bytes_is_read_or_refused(tmp_path, changes, suffix):
    path = tmp_path / f"a.{suffix}"
    content = bytearray(
        (make_zip(path, MIXED) if suffix == "zip" else make_tar(path, *plain_members(MIXED))).read_bytes()
    )
    for position, value in changes:
        content[position % len(content)] = value
    path.write_bytes(content)
    message = ""
    try:
        tree = open_source(path).tree
        for file in tree.files:
            tree.read(file.name)
    except (ArtefactError, DataError) as error:
        message = str(error)
    assert message.isprintable()
