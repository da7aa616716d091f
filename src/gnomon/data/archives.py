"""Zip and tar files as trees: checked completely before any member is read, read in place, never unpacked."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import itertools
import lzma
import os
import re
import stat
import struct
import tarfile
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, final

from gnomon.core.errors import ArtefactError, DataError, MachineError
from gnomon.data.source import File, Tree, display_name, listed, reason_of
from gnomon.data.trees import is_litter


@dataclass(frozen=True)
class Limits:
    """How much an archive may unpack to before it is refused as a bomb."""

    total_bytes: int = 20 * 10**9
    ratio: int = 100  # unpacked to packed
    ratio_from: int = 10**6  # bytes from which a member's ratio is checked
    stream_ratio_from: int = 10**8  # bytes from which the ratio of a whole compressed tar is checked
    entries: int = 2_000_000
    name_bytes: int = 255  # for one part of a path, as in file systems


LIMITS = Limits()
_CHUNK = 1 << 20  # bytes
_ZIP_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_UTF8_NAME = 0x800  # general purpose bit 11 of a zip entry, APPNOTE.TXT 4.4.4
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, struct.error,
    NotImplementedError,  # a flag or method that zipfile does not know, which damage may set as well
)  # fmt: skip
_ENCRYPTED = 0x1


def open_archive(path: str, limits: Limits = LIMITS) -> Tree:
    """A zip, or a tar (plain, gz, bz2, xz), by its content. Raises ArtefactError if it is damaged or unsafe."""
    try:
        with open(path, "rb") as file:
            start = file.read(512)
    except OSError as error:
        raise DataError(
            f"it cannot be opened: {reason_of(error)}.", where=display_name(path), fix="check its permissions."
        ) from None
    if not start:
        raise ArtefactError(
            "the archive is empty (0 bytes).", where=display_name(path), fix="make or download it again."
        )
    if start.startswith(b"PK"):
        return ZipTree(path, limits)
    if path.lower().endswith(".zip"):
        raise ArtefactError(
            "this is not a zip file, although its name says so.",
            where=display_name(path),
            fix="make or download it again, or give it the right suffix.",
        )
    return TarTree(path, limits)


@final
class _Checker:
    """Checks every entry of an archive before any is read."""

    def __init__(self, path: str, limits: Limits) -> None:
        self.where, self._limits = display_name(path), limits
        self._names: set[str] = set()
        self._litter: list[str] = []
        self._entries = self._total = 0

    def refuse(self, name: str, why: str) -> ArtefactError:
        return ArtefactError(
            f"refused before reading: {display_name(name)[:200]} {why}.",
            where=self.where,
            fix="unpack it yourself in a safe place, inspect it, and give the folder.",
        )

    def accept(self, name: str, *, folder: bool) -> str | None:
        """The name to list a file under, None for folders and system litter. Raises ArtefactError for unsafe names."""
        if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
            raise self.refuse(name, "is an absolute path")
        if ".." in re.split(r"[/\\]", name):
            raise self.refuse(name, "climbs out of the archive")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if "\0" in name or any(len(os.fsencode(part)) > self._limits.name_bytes for part in parts):
            raise self.refuse(name, "is not a valid file name")
        self._entries += 1
        self.count(self._entries)
        if folder:
            return None
        plain = "/".join(parts)
        if not plain or plain in self._names:
            raise self.refuse(name, "appears twice" if plain else "is not a valid file name")
        self._names.add(plain)
        if any(is_litter(part) for part in parts):
            self._litter.append(plain)
            return None
        return plain

    def count(self, entries: int) -> None:
        if entries > self._limits.entries:
            raise ArtefactError(
                f"refused before reading: more than {self._limits.entries:,} entries.",
                where=self.where,
                fix="unpack it yourself and give the folder.",
            )

    def add(self, name: str, size: int, packed: int | None) -> None:
        """Count the bytes of a member; `packed` None if members are not compressed one by one."""
        if packed is not None and size > self._limits.ratio_from and size > self._limits.ratio * packed:
            raise self.refuse(name, f"would unpack {packed:,} bytes to {size:,} (a bomb)")
        self._total += size
        if self._total > self._limits.total_bytes:
            raise ArtefactError(
                f"refused before reading: it would unpack to more than {self._limits.total_bytes:,} bytes.",
                where=self.where,
                fix="unpack it yourself and give the folder.",
            )

    def notes(self) -> tuple[str, ...]:
        if not self._litter:
            return ()
        return (listed("hidden and system files skipped", sorted(self._litter)),)


@final
class ZipTree:
    """The files of a zip, read by random access through one handle."""

    def __init__(self, path: str, limits: Limits = LIMITS) -> None:
        """Raises ArtefactError if the zip is damaged or unsafe."""
        self._path = path
        checker = _Checker(path, limits)
        checker.count(_declared_entries(path))
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, struct.error, ValueError, EOFError, NotImplementedError) as error:
            raise ArtefactError(
                f"the zip is damaged or truncated ({error}).",
                where=display_name(path),
                fix="make or download it again.",
            ) from None
        except OSError as error:
            raise DataError(
                f"it cannot be opened: {reason_of(error)}.", where=display_name(path), fix="check its permissions."
            ) from None
        try:
            infos = self._zip.infolist()
            _check_overlaps(infos, checker)
            members = dict(_zip_members(infos, checker))
        except ArtefactError:
            self._zip.close()
            raise
        self._infos = dict(sorted(members.items()))
        self._files = tuple(File(name, info.file_size) for name, info in self._infos.items())
        self._notes = checker.notes()

    @property
    def origin(self) -> str:
        return display_name(self._path)

    @property
    def files(self) -> Sequence[File]:
        return self._files

    @property
    def notes(self) -> Sequence[str]:
        return self._notes

    def read(self, name: str) -> bytes:
        try:
            content = self._zip.read(self._infos[name])  # thread-safe: the handle has a lock
        except _UNREADABLE as error:
            raise DataError(
                f"damaged inside the archive ({error}).",
                where=f"{self.origin}: {display_name(name)}",
                fix="download or copy the archive again.",
            ) from None
        if len(content) != self._infos[name].file_size:
            raise DataError(
                "truncated inside the archive.",
                where=f"{self.origin}: {display_name(name)}",
                fix="download or copy the archive again.",
            )
        return content


def _declared_entries(path: str) -> int:
    """How many entries the end record claims, so that a huge directory is refused before loading; 0 if unclear."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 66_000))  # the end record and its longest comment
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) < at + 22:
            return 0
        entries: int = struct.unpack_from("<H", tail, at + 10)[0]
        locator = tail.rfind(b"PK\x06\x07", 0, at)
        if entries == 0xFFFF and 0 <= locator <= len(tail) - 16:
            offset = struct.unpack_from("<Q", tail, locator + 8)[0]
            file.seek(min(offset, size))
            record = file.read(40)
            if record.startswith(b"PK\x06\x06") and len(record) == 40:
                entries = struct.unpack_from("<Q", record, 32)[0]
        return entries


def _check_overlaps(infos: Sequence[zipfile.ZipInfo], checker: _Checker) -> None:
    """Members that share bytes unpack to far more than any ratio shows. Source: Fifield, WOOT 2019."""
    in_file_order = sorted(infos, key=lambda info: info.header_offset)
    for info, following in itertools.pairwise(in_file_order):
        if info.header_offset + 30 + info.compress_size > following.header_offset:
            raise checker.refuse(following.filename, "shares its bytes with another member (a bomb)")


def _zip_members(infos: Sequence[zipfile.ZipInfo], checker: _Checker) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    for info in infos:
        name = _zip_name(info)
        if info.flag_bits & _ENCRYPTED:
            raise ArtefactError(
                f"{display_name(name)[:200]} is encrypted.",
                where=checker.where,
                fix="unpack it with its password, and give the folder.",
            )
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise checker.refuse(name, "is a link" if kind == stat.S_IFLNK else "is a special file")
        if info.compress_type not in _ZIP_METHODS:
            raise checker.refuse(name, f"uses compression method {info.compress_type}, which is not supported")
        plain = checker.accept(name, folder=name.endswith("/"))
        checker.add(name, info.file_size, info.compress_size)
        if plain is not None:
            yield plain, info


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The member's name. Unless marked, zips hold the packer's bytes: usually UTF-8, otherwise cp437."""
    name = info.orig_filename
    if not info.flag_bits & _UTF8_NAME and not name.isascii():
        with contextlib.suppress(UnicodeDecodeError):
            name = name.encode("cp437").decode("utf-8")
    if info.create_system == 0 and "/" not in name:  # some packers on Windows write train\cat\1.jpg
        name = name.replace("\\", "/")
    return name


@final
class TarTree:
    """The files of a tar, by the offsets found in one pass; a compressed one through an anonymous temporary copy."""

    def __init__(self, path: str, limits: Limits = LIMITS) -> None:
        """Raises ArtefactError if the tar is damaged or unsafe, MachineError if there is no room for its copy."""
        self._path = path
        checker = _Checker(path, limits)
        self._file: IO[bytes] = _plain_tar(path, limits, checker)
        self._close = weakref.finalize(self, self._file.close)
        self._file.seek(0)
        try:
            self._members = dict(sorted(_tar_members(self._file, checker)))
        except (tarfile.TarError, struct.error, ValueError, EOFError, OverflowError) as error:
            self._close()
            raise ArtefactError(
                f"the tar is damaged, truncated, or not a tar ({error}).",
                where=display_name(path),
                fix="make or download it again.",
            ) from None
        except ArtefactError:
            self._close()
            raise
        self._files = tuple(File(name, size) for name, (_, size) in self._members.items())
        self._modified = os.fstat(self._file.fileno()).st_mtime_ns
        self._notes = checker.notes()

    @property
    def origin(self) -> str:
        return display_name(self._path)

    @property
    def files(self) -> Sequence[File]:
        return self._files

    @property
    def notes(self) -> Sequence[str]:
        return self._notes

    def read(self, name: str) -> bytes:
        offset, size = self._members[name]
        content = os.pread(self._file.fileno(), size, offset)  # thread-safe: no shared position
        if len(content) != size or os.fstat(self._file.fileno()).st_mtime_ns != self._modified:
            raise DataError(
                "the archive has changed since it was listed.",
                where=f"{self.origin}: {display_name(name)}",
                fix="start again, and leave the data alone meanwhile.",
            )
        return content


def _plain_tar(path: str, limits: Limits, checker: _Checker) -> IO[bytes]:
    """The tar itself, or an anonymous decompressed copy in the system's temporary folder, gone once it is closed."""
    file = open(path, "rb")  # noqa: SIM115  # passed to the tree, which closes it
    magic = file.read(6)
    file.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        packed: gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile = gzip.GzipFile(fileobj=file)
    elif magic.startswith(b"BZh"):
        packed = bz2.BZ2File(file)
    elif magic == b"\xfd7zXZ\x00":
        packed = lzma.LZMAFile(file)  # noqa: SIM115  # closed below
    else:
        return file
    with file, packed:
        return _decompressed(packed, os.fstat(file.fileno()).st_size, path, limits, checker)


def _decompressed(
    packed: gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile, packed_size: int, path: str, limits: Limits, checker: _Checker
) -> IO[bytes]:
    try:
        copy = tempfile.TemporaryFile(prefix="gnomon-")  # noqa: SIM115  # handed on
    except OSError as error:
        raise MachineError(
            f"cannot create a temporary file: {reason_of(error)}.",
            where=display_name(path),
            fix="set TMPDIR to a folder with free space.",
        ) from None
    written = 0
    try:
        while chunk := packed.read(_CHUNK):
            written += len(chunk)
            if written > limits.stream_ratio_from and written > limits.ratio * packed_size:
                raise checker.refuse(path, f"expands more than {limits.ratio}-fold (a bomb)")
            if written > limits.total_bytes:
                raise checker.refuse(path, f"would unpack to more than {limits.total_bytes:,} bytes")
            copy.write(chunk)
        copy.flush()
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        copy.close()
        raise ArtefactError(
            f"the archive is damaged or truncated ({error}).",
            where=display_name(path),
            fix="make or download it again.",
        ) from None
    except OSError as error:  # bz2 reports damage this way, a full disk has an errno
        copy.close()
        if error.errno is None:
            raise ArtefactError(
                f"the archive is damaged or truncated ({error}).",
                where=display_name(path),
                fix="make or download it again.",
            ) from None
        raise MachineError(
            f"the archive could not be decompressed: {reason_of(error)} after {written:,} bytes.",
            where=tempfile.gettempdir(),
            fix="set TMPDIR to a folder with free space.",
        ) from None
    except ArtefactError:
        copy.close()
        raise
    return copy


def _tar_members(file: IO[bytes], checker: _Checker) -> Iterator[tuple[str, tuple[int, int]]]:
    """(name, (offset, size)) of the regular files; raises ArtefactError at anything that is not a file or a folder."""
    # utf-8 with surrogateescape: the names come out as they would from a folder.
    with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # tarfile keeps every member it has seen: 1 KB each
            if member.size < 0:
                raise checker.refuse(member.name, f"has the size {member.size:,}")
            if not (member.isreg() or member.isdir()) or member.issparse():
                kind = "a link" if member.issym() or member.islnk() else "a special or sparse file"
                raise checker.refuse(member.name, f"is {kind}")
            plain = checker.accept(member.name, folder=member.isdir())
            checker.add(member.name, member.size, None)
            if plain is not None:
                yield plain, (member.offset_data, member.size)
