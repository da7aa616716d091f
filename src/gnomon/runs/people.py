"""People on disk: the encodings of their pictures, added and removed by several processes (docs/people.md).

A part with everything up to some moment, and a journal of what was added since. Removing somebody writes a new part, so
that nothing of them stays on the disk.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import io
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypedDict, final

import numpy as np
import polars as pl

from gnomon.core.errors import ArtefactError, BusyError, UsageError
from gnomon.core.plain import Between, read_as
from gnomon.runs import reader, writer
from gnomon.runs.journal import Journal
from gnomon.runs.lock import RunLock
from gnomon.runs.seal import MANIFEST, RESTORE, decode_sealed, encode_sealed
from gnomon.runs.tables import read_people

FORMAT = 1
HEADER, LOCK = "people.json", "lock"
PART, ADDED = "encodings-", "added-"  # and the number of the part
TABLE, VECTORS = "people.parquet", "vectors.f32"
COLUMNS = ("name", "picture", "sha256")
MOST_ADDED = 4096  # encodings in the journal, before everything is written as a new part
PATIENCE = 60.0  # seconds to wait for another process that writes
PAUSE = 0.02  # seconds between two looks at the lock
LENGTH_TOLERANCE = 1e-3  # of encodings, whose length is 1
RETRIES = 10  # of a reader, while others write new parts


class Header(TypedDict):
    """people.json."""

    format: int
    fingerprint: str  # of the encoder
    size: Annotated[int, Between(1, 1 << 20)]  # numbers in an encoding
    part: Annotated[int, Between(0, 2**53)]  # which part is the current one; 0 is empty


class AddedPicture(TypedDict):
    name: str
    picture: str
    sha256: str
    vector: str  # base64 of little-endian float32


class AddedLine(TypedDict):
    added: list[AddedPicture]


@dataclass(frozen=True)
class Encodings:
    """N pictures of people: `table` has name, picture (its file) and sha256 (of its bytes), all text."""

    table: pl.DataFrame
    vectors: np.ndarray  # (N, D) float32, of length 1

    @staticmethod
    def of(names: list[str], pictures: list[str], digests: list[str], vectors: np.ndarray) -> Encodings:
        columns = dict(zip(COLUMNS, (names, pictures, digests), strict=True))
        return Encodings(pl.DataFrame(columns, dict.fromkeys(COLUMNS, pl.String)), vectors)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def num_people(self) -> int:
        return self.table["name"].n_unique()

    def join(self, other: Encodings) -> Encodings:
        return Encodings(pl.concat([self.table, other.table]), np.concatenate([self.vectors, other.vectors]))

    def where(self, keeps: pl.Series) -> Encodings:
        return Encodings(self.table.filter(keeps), self.vectors[keeps.to_numpy()])


@dataclass(frozen=True)
class Enrolled:
    """What changed. A picture that was there under the same name is not added again."""

    added: pl.DataFrame  # name, picture, sha256
    known: pl.DataFrame
    removed: int  # pictures
    pictures: int  # in the folder now
    people: int


@final
class PeopleFolder:
    """The people in a folder, for the encoder with that fingerprint.

    Reading takes no lock and sees the folder as it was at one moment. Raises UsageError for a folder of something else
    or of another encoder, ArtefactError for a damaged one.
    """

    def __init__(self, path: Path, fingerprint: str, size: int) -> None:
        self.path, self.fingerprint, self.size = path, fingerprint, size

    def load(self) -> Encodings:
        """Everybody; nobody if the folder does not exist."""
        for _ in range(RETRIES):
            header = self._header()
            if header is None:
                return self._nobody()
            found = reader.attempt(lambda header=header: self._read(header))  # type: ignore[misc]
            if self._header() == header:  # or a new part came, and what was read may lack what was added
                if found[0] is None:
                    raise found[1]
                return found[0]
        raise BusyError("is written to all the time.", where=str(self.path), fix="try again.")

    def add(self, new: Encodings) -> Enrolled:
        """Add all of these pictures or, on an error, none. They are on the disk when this returns.

        Raises UsageError for a picture that is there under another name.
        """
        check_names(new.table["name"])
        with self._alone() as header:
            table = self._table(header)
            added, known = self._without_known(table, new)
            journal = self._journal(header)
            if len(added):
                if self._num_in_journal(header) + len(added) > MOST_ADDED:
                    self._write(header, self._read(header).join(added))
                else:
                    journal.append({"added": _plain(added)})
            table = pl.concat([table, added.table])
        return Enrolled(added.table, known, 0, len(table), table["name"].n_unique())

    def remove(self, name: str) -> Enrolled:
        """Remove all pictures of that name, from the disk too. Raises UsageError if there are none."""
        with self._alone() as header:
            everybody = self._read(header)
            keeps = everybody.table["name"] != name
            if keeps.all():
                raise self._unknown(name, everybody)
            left = everybody.where(keeps)
            self._write(header, left)
        nothing = self._nobody().table
        return Enrolled(nothing, nothing, len(everybody) - len(left), len(left), left.num_people)

    # --- reading ------------------------------------------------------------------------------------------------------
    def _header(self) -> Header | None:
        if not self.path.exists():
            return None
        if not self.path.is_dir():
            raise UsageError("is a file.", where=str(self.path), fix="give a folder, which gnomon enrol makes.")
        if not (self.path / HEADER).exists():
            others = sorted(one.name for one in self.path.iterdir() if one.name != LOCK and not _is_left(one.name))
            if others:
                raise UsageError(
                    f"holds other files ({others[0]}), not people that were enrolled.", where=str(self.path),
                    fix="give a folder of its own: gnomon enrol RUN people/ anna.jpg name=anna",
                )  # fmt: skip
            return None
        where = str(self.path / HEADER)
        plain = decode_sealed(reader.read_file(self.path, HEADER, limit=1 << 16), where)
        if plain.get("format") != FORMAT:
            raise ArtefactError(
                f"has format {plain.get('format')!r}; this gnomon reads format {FORMAT}.", where=where,
                fix="use the gnomon that wrote it, or a later one.",
            )  # fmt: skip
        header: Header = read_as(Header, plain, where=where, root="people", fix=RESTORE)
        if (header["fingerprint"], header["size"]) != (self.fingerprint, self.size):
            raise UsageError(
                "these people were enrolled with another run, and encodings of two runs cannot be compared.",
                where=str(self.path),
                fix="use that run, or enrol the pictures again in a new folder.",
            )
        return header

    def _table(self, header: Header) -> pl.DataFrame:
        """Everybody without the vectors of the part."""
        table, name = self._nobody().table, f"{PART}{header['part']}"
        if header["part"]:
            entries = reader.read_manifest(self.path, f"{name}/{MANIFEST}")["files"]
            where = str(self.path / name / TABLE)
            if TABLE not in entries:
                raise ArtefactError("is missing.", where=where, fix=RESTORE)
            table = read_people(reader.verified(self.path, f"{name}/{TABLE}", entries[TABLE]), where)
        return pl.concat([table, self._added(header).table])

    def _read(self, header: Header) -> Encodings:
        found, name = self._nobody(), f"{PART}{header['part']}"
        if header["part"]:
            files, where = reader.read_folder(self.path, name).files, str(self.path / name)
            if set(files) != {TABLE, VECTORS}:
                raise ArtefactError(f"does not hold {TABLE} and {VECTORS}.", where=where, fix=RESTORE)
            table = read_people(files[TABLE], where)
            if len(files[VECTORS]) != len(table) * self.size * 4:
                raise ArtefactError(f"{len(table):,} pictures, and other encodings.", where=where, fix=RESTORE)
            vectors = np.frombuffer(files[VECTORS], "<f4").reshape(len(table), self.size)
            found = Encodings(table, vectors)
        return found.join(self._added(header))

    def _added(self, header: Header) -> Encodings:
        journal = self._journal(header)
        pictures = [picture for line in journal.read() for picture in line["added"]]
        vectors = np.empty((len(pictures), self.size), np.float32)
        for row, picture in enumerate(pictures):
            try:
                vector = np.frombuffer(base64.b64decode(picture["vector"], validate=True), "<f4")
                vectors[row] = vector
            except (binascii.Error, ValueError):
                vectors[row] = np.nan
        if not (np.abs(np.linalg.norm(vectors, axis=1) - 1) <= LENGTH_TOLERANCE).all():
            raise ArtefactError("has an encoding that is none.", where=str(self.path / journal.name), fix=RESTORE)
        names, files, digests = ([picture[key] for picture in pictures] for key in COLUMNS)  # type: ignore[literal-required]
        return Encodings.of(names, files, digests, vectors)

    def _num_in_journal(self, header: Header) -> int:
        return sum(len(line["added"]) for line in self._journal(header).read())

    def _journal(self, header: Header) -> Journal[AddedLine]:
        return Journal(self.path, f"{ADDED}{header['part']}.jsonl", AddedLine)

    def _nobody(self) -> Encodings:
        return Encodings.of([], [], [], np.empty((0, self.size), np.float32))

    # --- writing ------------------------------------------------------------------------------------------------------
    @contextmanager
    def _alone(self) -> Iterator[Header]:
        """The only process that writes, in a folder that exists; what killed ones left is removed."""
        self._header()  # a folder of something else gets no lock
        writer.make_folder(self.path)
        deadline = time.monotonic() + PATIENCE
        with ExitStack() as held:
            while True:
                try:
                    held.enter_context(RunLock(self.path / LOCK))
                    break
                except BusyError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(PAUSE)
            header = self._header()
            if header is None:
                header = Header(format=FORMAT, fingerprint=self.fingerprint, size=self.size, part=0)
                writer.write_bytes(self.path / HEADER, encode_sealed(dict(header)))
            self._tidy(header)
            yield header

    def _write(self, header: Header, everybody: Encodings) -> None:
        """A new part, which takes the place of the current one and its journal in one step."""
        table = io.BytesIO()
        vectors = np.ascontiguousarray(everybody.vectors, "<f4")
        everybody.table.write_parquet(table)
        new = Header(**{**header, "part": header["part"] + 1})
        files: dict[str, writer.Data] = {TABLE: table.getvalue(), VECTORS: vectors.tobytes()}
        writer.commit_folder(self.path / f"{PART}{new['part']}", files)
        writer.write_bytes(self.path / HEADER, encode_sealed(dict(new)))
        self._tidy(new)

    def _tidy(self, header: Header) -> None:
        current = (f"{PART}{header['part']}", f"{ADDED}{header['part']}.jsonl")
        for one in self.path.iterdir():
            if _is_left(one.name) and one.name not in current:
                writer.remove(one)

    def _without_known(self, table: pl.DataFrame, new: Encodings) -> tuple[Encodings, pl.DataFrame]:
        """Those to add, and those that are there already. Raises UsageError for a picture under two names."""
        asked = table.filter(table["sha256"].is_in(new.table["sha256"].unique().implode()))
        names, is_new = dict(zip(asked["sha256"], asked["name"], strict=True)), []
        for name, picture, digest in new.table.iter_rows():
            is_new.append(digest not in names)
            known = names.setdefault(digest, name)
            if known != name:
                raise UsageError(
                    f"{picture} is given as {name}, and the same picture as {known}.", where=str(self.path),
                    fix="leave the wrong one out; if it is enrolled already, take it back with remove=NAME.",
                )  # fmt: skip
        keeps = pl.Series(is_new, dtype=pl.Boolean)
        return new.where(keeps), new.table.filter(~keeps)

    def _unknown(self, name: str, everybody: Encodings) -> UsageError:
        names = everybody.table["name"].unique().to_list()
        near = difflib.get_close_matches(name, names, n=1)
        there = f"{len(names):,} names, such as {min(names)}" if names else "nobody"
        return UsageError(
            f"nobody here is called {name}.", where=str(self.path),
            fix=f"did you mean remove={near[0]}?" if near else f"the folder has {there}.",
        )  # fmt: skip


def check_names(names: pl.Series) -> None:
    """Raises UsageError for what cannot be anybody's name."""
    for name in names.unique(maintain_order=True):
        if not name.strip() or name != name.strip() or len(name) > 200 or not name.isprintable() or name == "nobody":
            raise UsageError(
                f"{name[:60]!r} cannot be a person's name.",
                fix="give up to 200 printable characters; 'nobody' is an answer: name=anna",
            )


def _plain(added: Encodings) -> list[dict[str, str]]:
    rows = zip(added.table.iter_rows(named=True), added.vectors.astype("<f4"), strict=True)
    return [{**row, "vector": base64.b64encode(vector.tobytes()).decode()} for row, vector in rows]


def _is_left(name: str) -> bool:
    """Whether a name is of a part or a journal, or one that a killed process left."""
    return name.startswith((PART, ADDED)) or writer.is_leftover(name)
