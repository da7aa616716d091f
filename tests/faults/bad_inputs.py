"""What newcomers hand over that cannot work: how each is made, what must be said, and the fix carried out."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import socket
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

Argv = list[str]
ROWS = 60
EXIT_CODES = {"usage": 2, "data": 3, "machine": 4, "busy": 5, "artefact": 6, "diverged": 7}


@dataclass(frozen=True)
class Case:
    """One bad input. `make` lays it out in the current folder and gives the command; `fix` does what the error said."""

    make: Callable[[], Argv]
    code: str  # of the error: a key of EXIT_CODES
    says: tuple[str, ...]  # each must be in the message
    fix: Callable[[], Argv] | None  # gives a command that must then end well

    @property
    def name(self) -> str:
        return self.make.__name__


FRESH: list[Case] = []  # where there is no run yet
WITH_RUNS: list[
    Case
] = []  # beside pets/, houses.csv and runs/: two finished runs, of pictures and (the latest) a table
WORKS: list[Case] = []  # odd but usable: what peek must say about it


def case(code: str, *says: str, fix: Callable[[], Argv] | None = None, to: list[Case] = FRESH):
    def keep(make: Callable[[], Argv]) -> Callable[[], Argv]:
        to.append(Case(make, code, says, fix))
        return make

    return keep


def with_runs(code: str, *says: str, fix: Callable[[], Argv] | None = None):
    return case(code, *says, fix=fix, to=WITH_RUNS)


def works(*says: str):
    return case("", *says, to=WORKS)


def bad_setting(name: str, words: Argv, code: str, *says: str, fixed: Argv | None = None) -> None:
    """`gnomon fit pets` with some more words; `fixed` in their place works."""

    def make() -> Argv:
        pets()
        return ["fit", "pets", *words]

    make.__name__ = name
    FRESH.append(Case(make, code, says, None if fixed is None else lambda: ["fit", "pets", "epochs=1", *fixed]))


# --- material -------------------------------------------------------------------------------------------------------
def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape or (8, 8), dtype=np.uint8)


def picture(path: str, seed: int = 0, *shape: int, **options) -> None:
    """A small picture of noise, in the format of its name."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(seed, *shape)).save(path, **options)


def put(path: str, content: bytes | str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content if isinstance(content, bytes) else content.encode())


def pets(each: int = 10, classes: tuple[str, ...] = ("cat", "dog"), root: str = "pets") -> None:
    """Class folders with `each` pictures."""
    for k, name in enumerate(classes):
        for i in range(each):
            picture(f"{root}/{name}/{i}.png", seed=1000 * k + i)


def rows(count: int = ROWS) -> list[list[str]]:
    """size, rooms, city, price, sold: numbers, words, a number and a class to predict."""
    rng = np.random.default_rng(0)
    found = [["size", "rooms", "city", "price", "sold"]]
    for _ in range(count):
        size, rooms = round(float(rng.uniform(30, 150)), 1), int(rng.integers(1, 6))
        price = round(2.5 * size + 20 * rooms + float(rng.normal(0, 9)), 2)
        found.append(
            [str(size), str(rooms), ("Bonn", "Lyon", "Porto")[rooms % 3], str(price), "yes" if price > 280 else "no"]
        )
    return found


def text(table: list[list[str]]) -> str:
    return "".join(",".join(row) + "\n" for row in table)


def houses(**cells: str) -> None:
    """houses.csv, with `price_5="nan"` in place of the price of row 5 (counted from 1 below the header)."""
    table = rows()
    for place, value in cells.items():
        name, _, row = place.rpartition("_")
        table[int(row)][table[0].index(name)] = value
    put("houses.csv", text(table))


def with_column(name: str, values: Callable[[int], str], path: str = "houses.csv") -> None:
    put(path, text([[name if i == 0 else values(i), *row] for i, row in enumerate(rows())]))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_size(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims any number of pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 4096)) + chunk(b"IEND", b"")


def png_of(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def excel() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as book:
        book.writestr("[Content_Types].xml", "<Types/>")
        book.writestr("xl/workbook.xml", "<workbook/>")
    return buffer.getvalue()


def zipped(*more: tuple[str, bytes], path: str = "pets.zip") -> None:
    """A zip of pets/, with more members behind, and no pets/ any more."""
    pets()
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(Path("pets").rglob("*.png")):
            archive.write(file)
        for name, content in more:
            archive.writestr(name, content)
    shutil.rmtree("pets")


def cut(path: str, share: float = 0.5) -> None:
    """Keep only the beginning of a file."""
    content = Path(path).read_bytes()
    put(path, content[: int(share * len(content))])


def parquet(path: str) -> None:
    put("houses.csv", text(rows()))
    pl.read_csv("houses.csv").write_parquet(path)
    Path("houses.csv").unlink()


def fit_houses(*more: str) -> Argv:
    return ["fit", "houses.csv", "target=price", *more]


def peek_houses(*more: str) -> Argv:
    return ["peek", "houses.csv", "target=price", *more]


def good_houses() -> Argv:
    """The fix of a damaged table: a good one."""
    put("houses.csv", text(rows()))
    return peek_houses()


def peek_pets() -> Argv:
    return ["peek", "pets"]


def more_pets() -> Argv:
    pets()
    return peek_pets()


# --- the command line -----------------------------------------------------------------------------------------------
@case("usage", "fit needs data", "gnomon fit digits", fix=lambda: ["peek", "digits"])
def no_data():
    return ["fit"]


@case("usage", "fit takes one DATA, got 3: pets epochs 3", "key=value", fix=lambda: ["fit", "pets", "epochs=1"])
def settings_without_equals_signs():
    pets()
    return ["fit", "pets", "epochs", "3"]


@case("usage", "unknown command 'fti'", "did you mean gnomon fit?")
def a_command_with_a_typo():
    return ["fti", "pets"]


@case("usage", "unknown option -j", "./-j")
def a_short_option():
    pets()
    return ["fit", "pets", "-j"]


@case("usage", "settings takes one TASK, got 2")
def two_tasks():
    return ["settings", "a", "b"]


@case("usage", "there is no task or craft named 'regression'", "step_regression", fix=lambda: ["settings"])
def settings_of_an_unknown_task():
    return ["settings", "regression"]


@case("usage", "show needs a run", "gnomon show runs/latest")
def show_without_a_run():
    return ["show"]


@case("usage", "predict needs a run and at least one file")
def predict_without_anything():
    return ["predict"]


@case("usage", "explain needs a run", "gnomon explain runs/latest PICTURES")
def explain_without_a_run():
    return ["explain"]


@case("usage", "explain takes no setting but class, out, got klass")
def explain_with_a_setting_of_nothing():
    return ["explain", "latest", "klass=cat"]


@case("usage", "runs: has no runs yet", "gnomon fit DATA")
def the_latest_of_no_runs():
    return ["test", "latest"]


@case("usage", "nope: does not exist", "runs/latest")
def a_run_that_does_not_exist():
    return ["fit", "--resume", "nope"]


@case("usage", "pets: is not a run folder")
def a_folder_that_is_no_run():
    pets()
    return ["show", "pets"]


@case("usage", "pets/cat/0.png: is a file, not a run folder")
def a_file_that_is_no_run():
    pets()
    return ["diagnose", "pets/cat/0.png"]


# --- paths ----------------------------------------------------------------------------------------------------------
@case("usage", "there is no file, folder or set named pest", "did you mean pets?", fix=peek_pets)
def a_path_with_a_typo():
    pets()
    return ["fit", "pest"]


@case("usage", "named digit.", "did you mean digits?", fix=lambda: ["peek", "digits"])
def a_set_with_a_typo():
    return ["fit", "digit"]


@case("usage", "named a/b/c.", "one of the sets")
def a_path_far_from_everything():
    return ["fit", "a/b/c"]


@case("usage", "there is no file, folder or set named aaaa")
def a_path_longer_than_any():
    return ["fit", "a" * 5000]


@case("usage", "there is no file, folder or set named ''")
def an_empty_path():
    return ["fit", ""]


@case("data", "pets: there are no files in it", "put data into it", fix=more_pets)
def an_empty_folder():
    os.makedirs("pets")
    return ["fit", "pets"]


@case("data", "pets: there are no files in it", "empty folders: 2 (cat/, dog/)", fix=more_pets)
def empty_class_folders():
    os.makedirs("pets/cat")
    os.makedirs("pets/dog")
    return ["fit", "pets"]


@case("data", "pets: 2 of 2 classes have only one text", "add texts to them", fix=more_pets)
def folders_of_texts():
    put("pets/cat/a.txt", "meow")
    put("pets/dog/b.txt", "woof")
    return ["fit", "pets"]


@case("data", "houses.xlsx", "save the sheet as CSV")
def an_excel_file():
    put("houses.xlsx", excel())
    return ["fit", "houses.xlsx"]


@case("data", "notes.json", "CSV, TSV or Parquet")
def a_json_file():
    put("notes.json", '[{"a": 1}]')
    return ["fit", "notes.json"]


@case("data", "/d: found 2 files", "give one of the tables", fix=lambda: ["peek", "d/a.csv", "target=price"])
def a_folder_of_tables():
    put("d/a.csv", text(rows()))
    put("d/b.csv", text(rows()))
    return ["fit", "d", "target=price"]


@case("data", "pipe.csv: this is a named pipe, not data")
def a_named_pipe():
    os.mkfifo("pipe.csv")
    return ["fit", "pipe.csv"]


@case("data", "door: this is a socket, not data")
def a_socket():
    with socket.socket(socket.AF_UNIX) as door:
        door.bind("door")
    return ["fit", "door"]


@case("data", "/dev/null: this is a device, not data")
def a_device():
    return ["fit", "/dev/null"]


# --- pictures -------------------------------------------------------------------------------------------------------
@case("data", "pets: there is only one class (cat, 10 pictures)", "another class", fix=more_pets)
def one_class():
    pets(classes=("cat",))
    return ["fit", "pets"]


@case("data", "6 of 6 classes have only one picture", fix=lambda: (pets(classes=tuple("abcdef")), peek_pets())[1])
def classes_of_one_picture():
    pets(each=1, classes=tuple("abcdef"))
    return ["fit", "pets"]


@case("data", "pets: found 6 pictures but no class folders: 0.png", "cat/1.jpg, dog/2.jpg")
def pictures_without_class_folders():
    for i in range(6):
        picture(f"pets/{i}.png", i)
    return ["fit", "pets"]


@case("data", "cat.png: found 1 picture but no class folders")
def one_picture():
    picture("cat.png")
    return ["fit", "cat.png"]


@case("data", "0 of 8 pictures can be read: a/0.png (not an image (the content is text))", "open in a viewer")
def nothing_readable():
    for name in "ab":
        for i in range(4):
            put(f"pets/{name}/{i}.png", "nope")
    return ["fit", "pets"]


@case(
    "data", "4 of 40 pictures cannot be read (10.0%", "cat/0.png (not an image (the content is text))", "max_bad=0.11",
    fix=lambda: ["peek", "pets", "max_bad=0.11"],
)  # fmt: skip
def more_unreadable_than_a_twentieth():
    pets(each=20)
    for i in range(4):
        put(f"pets/cat/{i}.png", "nope")
    return ["fit", "pets"]


@case("data", "class emu has only 1 of its 2 pictures", "emu/0.png (empty (0 bytes))", "repair")
def a_class_that_is_nearly_unreadable():
    pets(each=60)
    pets(each=2, classes=("emu",))
    put("pets/emu/0.png", "")
    return ["fit", "pets"]


def one_bad_of_ten(name: str, content: bytes, why: str) -> None:
    """Ten pictures, one of them bad: named with its reason; without it, all is well."""

    def make() -> Argv:
        pets(each=5)
        Path("pets/cat/3.png").unlink()
        put(f"pets/cat/{name}", content)
        return ["fit", "pets"]

    make.__name__ = f"a_bad_picture_{name}"

    def fix() -> Argv:
        Path(f"pets/cat/{name}").unlink()
        return peek_pets()

    FRESH.append(Case(make, "data", ("pets: 1 of 10 pictures cannot be read", f"cat/{name} ({why}"), fix))


one_bad_of_ten("zero.png", b"", "empty (0 bytes)")
one_bad_of_ten("text.png", b"this is no picture", "not an image (the content is text)")
one_bad_of_ten("page.jpg", b"<!DOCTYPE html><html>404</html>", "not an image (the content is HTML)")
one_bad_of_ten("bomb.png", png_of_size(60_000, 60_000), "3,600,000,000 pixels, more than max_pixels=50,000,000 allows")
one_bad_of_ten("cut.png", png_of(noise(7))[:70], "truncated")


@case("data", "pets: found dev and test but no class folders with pictures under train", "add train/",
      fix=lambda: (pets(root="pets/train"), peek_pets())[1])  # fmt: skip
def no_train_folder():
    pets(root="pets/dev")
    pets(root="pets/test")
    return ["fit", "pets"]


@case("data", "pets: dev has 1 class without pictures in train: emu",
      fix=lambda: (pets(root="pets/train", classes=("emu",)), peek_pets())[1])  # fmt: skip
def a_class_in_dev_alone():
    pets(root="pets/train")
    pets(each=3, root="pets/dev", classes=("cat", "dog", "emu"))
    return ["fit", "pets"]


@case("data", "pets: the folders dev and val are the same split",
      fix=lambda: (shutil.rmtree("pets/val"), peek_pets())[1])  # fmt: skip
def two_dev_folders():
    for part in ("train", "dev", "val"):
        pets(each=5, root=f"pets/{part}")
    return ["fit", "pets"]


@case("data", "/phone: dev has 1 class that train has no examples of: emu")
def target_data_of_other_classes():
    pets()
    pets(root="phone", classes=("cat", "emu"))
    return ["fit", "pets", "target_data=phone"]


@case("usage", "data.target_data: there is no file, folder or set named pohne", "did you mean phone?",
      fix=lambda: ["peek", "pets", "target_data=phone"])  # fmt: skip
def target_data_with_a_typo():
    pets()
    pets(root="phone")
    return ["fit", "pets", "target_data=pohne"]


@case("data", "houses.csv: this is a table, not pictures")
def target_data_of_another_kind():
    pets()
    houses()
    return ["fit", "pets", "target_data=houses.csv"]


@case("data", "other.csv: has no column size, which houses.csv has")
def target_data_without_a_column():
    houses()
    put("other.csv", text([row[1:] for row in rows()]))
    return fit_houses("target_data=other.csv")


# --- archives -------------------------------------------------------------------------------------------------------
@case("artefact", "pets.zip: refused before reading: ../evil.png climbs out of the archive")
def a_zip_that_climbs_out():
    zipped(("../evil.png", b"x"))
    return ["fit", "pets.zip"]


@case("artefact", "pets.zip", "pets/cat/0.png is encrypted", "with its password")
def an_encrypted_zip():
    zipped()
    content = bytearray(Path("pets.zip").read_bytes())
    for mark, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):  # general purpose bit 0, APPNOTE.TXT 4.4.4
        at = content.find(mark)
        while at >= 0:
            content[at + flags] |= 1
            at = content.find(mark, at + 4)
    put("pets.zip", bytes(content))
    return ["fit", "pets.zip"]


@case("artefact", "pets.zip: the zip is damaged or truncated", "again", fix=lambda: (zipped(), ["peek", "pets.zip"])[1])
def a_zip_cut_off():
    zipped()
    cut("pets.zip")
    return ["fit", "pets.zip"]


@case("artefact", "pets.zip: this is not a zip file")
def a_text_named_zip():
    put("pets.zip", "hello")
    return ["fit", "pets.zip"]


@case("data", "pets.zip: there are no files in it")
def an_empty_zip():
    with zipfile.ZipFile("pets.zip", "w"):
        pass
    return ["fit", "pets.zip"]


def tarred(*more: tarfile.TarInfo) -> None:
    pets()
    with tarfile.open("pets.tar", "w") as archive:
        archive.add("pets")
        for member in more:
            archive.addfile(member)


@case("artefact", "pets.tar: refused before reading: pets/cat/null is a special")
def a_tar_with_a_device():
    device = tarfile.TarInfo("pets/cat/null")
    device.type = tarfile.CHRTYPE
    tarred(device)
    return ["fit", "pets.tar"]


@case("artefact", "pets.tar: refused before reading: pets/cat/l.png is a link")
def a_tar_with_a_link():
    link = tarfile.TarInfo("pets/cat/l.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    tarred(link)
    return ["fit", "pets.tar"]


@case("data", "pets.rar: archives of this kind are not supported", ".zip")
def a_rar():
    put("pets.rar", "Rar!")
    return ["fit", "pets.rar"]


# --- tables ---------------------------------------------------------------------------------------------------------
@case("usage", "houses.csv: the target column is not given", "size, rooms, city, price, sold", "target=sold",
      fix=lambda: ["peek", "houses.csv", "target=sold"])  # fmt: skip
def no_target():
    houses()
    return ["fit", "houses.csv"]


@case("usage", "houses.csv: there is no column 'prize' to predict", "did you mean 'price'?", fix=peek_houses)
def a_target_with_a_typo():
    houses()
    return ["fit", "houses.csv", "target=prize"]


@case("usage", "there is no column 'zzz'", "the columns are size, rooms, city, price, sold", fix=peek_houses)
def a_target_far_from_everything():
    houses()
    return ["fit", "houses.csv", "target=zzz"]


@case("usage", "fit takes one DATA, got 2: houses.csv sold", fix=lambda: ["peek", "houses.csv", "target=sold"])
def targets_with_a_blank_between():
    houses()
    return fit_houses("sold")


@case("data", "the targets are of two kinds: 'price' is a number, 'sold' holds classes", "two runs")
def targets_of_two_kinds():
    houses()
    return ["fit", "houses.csv", "target=price,sold"]


def changed_row(change: Callable[[list[str]], object]) -> Argv:
    table = rows()
    change(table[7])
    put("houses.csv", text(table))
    return fit_houses()


@case("data", "houses.csv line 8: the row '51.1,1,Lyon,144.9,no,9' has 6 fields, the header has 5", fix=good_houses)
def a_long_row():
    return changed_row(lambda row: row.append("9"))


@case("data", "houses.csv line 8: the row '51.1,1,Lyon,144.9' has 4 fields, the header has 5")
def a_short_row():
    return changed_row(lambda row: row.pop())


@case("data", "houses.csv line 2", "6 fields, the header has 5")
def a_separator_at_the_end_of_every_row():
    table = rows()
    put("houses.csv", text(table[:1]) + text([[*row, ""] for row in table[1:]]))
    return fit_houses()


@case("data", "houses.csv line 8: the quote that opens in line 8 is never closed")
def an_unclosed_quote():
    return changed_row(lambda row: row.__setitem__(2, '"Bonn'))


def headed(names: str) -> Argv:
    put("houses.csv", names + "\n" + text(rows()[1:]))
    return fit_houses()


@case("data", "houses.csv line 1: two columns are called 'size': column 1 and column 2")
def a_column_name_twice():
    return headed("size,size,city,price,sold")


@case("data", "houses.csv line 1: column 2 of 5 has no name")
def a_column_without_a_name():
    return headed("size,,city,price,sold")


@case("data", "houses.csv line 1: the first row should name the columns")
def no_header():
    put("houses.csv", text(rows()[1:]))
    return fit_houses()


@case("data", "houses.csv: has column names but no rows")
def a_header_alone():
    put("houses.csv", text(rows(0)))
    return fit_houses()


@case("data", "houses.csv: is empty", fix=good_houses)
def an_empty_file():
    put("houses.csv", "")
    return fit_houses()


@case("data", "houses.csv: there is only one row")
def one_row():
    put("houses.csv", text(rows(1)))
    return fit_houses()


@case("data", "houses.csv: there are 3 examples, too few", "at least four",
      fix=lambda: (put("houses.csv", text(rows(4))), fit_houses("epochs=1"))[1])  # fmt: skip
def three_rows():
    put("houses.csv", text(rows(3)))
    return fit_houses()


@case("data", "houses.csv line 2", "NUL byte")
def a_nul():
    put("houses.csv", text(rows()).replace("Bonn", "Bo\0n"))
    return fit_houses()


@case("data", "houses.csv line 5: byte 0xF6 in line 5 is not UTF-8, which was declared", fix=peek_houses)
def a_declared_encoding_that_is_wrong():
    put("houses.csv", text(rows()).replace("Lyon", "Köln").encode("latin-1"))
    return fit_houses("encoding=utf-8")


@case("data", "houses.csv line 5", "shift_jis", fix=lambda: peek_houses("encoding=shift_jis"))
def an_encoding_that_cannot_be_guessed():
    put("houses.csv", text(rows()).replace("Lyon", "東京都").encode("shift_jis"))
    return fit_houses()


@case("usage", "data.encoding=klingon is not a text encoding", "utf-8", fix=lambda: peek_houses("encoding=utf-8"))
def an_encoding_that_does_not_exist():
    houses()
    return fit_houses("encoding=klingon")


@case("usage", "data.delimiter='##' is not one plain character")
def a_delimiter_of_two_characters():
    houses()
    return fit_houses("delimiter=##")


@case(
    "usage", "there is no column 'price'", "only one column", "set delimiter=", fix=lambda: peek_houses("delimiter=#")
)
def a_delimiter_that_is_not_found():
    put("houses.csv", text(rows()).replace(",", "#"))
    return fit_houses()


def stranger(name: str, content: bytes, *says: str) -> None:
    def make() -> Argv:
        put("houses.csv", content)
        return fit_houses()

    make.__name__ = name
    FRESH.append(Case(make, "data", ("houses.csv: is not a text table", *says), None))


stranger("a_binary_file_named_csv", np.random.default_rng(0).bytes(5000), "its bytes are not text")
stranger("an_excel_file_named_csv", excel(), "an Excel workbook", "save the sheet as CSV")
stranger("a_pdf_named_csv", b"%PDF-1.7 ...", "a PDF document")
stranger("a_page_named_csv", b"<!DOCTYPE html><html>404</html>", "HTML")
stranger("a_json_named_csv", b'[{"a": 1}]', "JSON")


@case("data", "houses.csv: is not a text table: it is a zip archive")
def a_zip_named_csv():
    with zipfile.ZipFile("houses.csv", "w") as archive:
        archive.writestr("inside.csv", text(rows()))
    return fit_houses()


@case("data", "houses.csv.gz: the gzip file is truncated or damaged")
def a_gzip_cut_off():
    put("houses.csv.gz", gzip.compress(text(rows()).encode()))
    cut("houses.csv.gz")
    return ["fit", "houses.csv.gz", "target=price"]


@case("data", "houses.parquet: the Parquet file is truncated or damaged",
      fix=lambda: (parquet("houses.parquet"), ["peek", "houses.parquet", "target=price"])[1])  # fmt: skip
def a_parquet_cut_off():
    parquet("houses.parquet")
    cut("houses.parquet")
    return ["fit", "houses.parquet", "target=price"]


@case("data", "houses.parquet: is named like a Parquet file but is not one")
def a_csv_named_parquet():
    put("houses.parquet", text(rows()))
    return ["fit", "houses.parquet", "target=price"]


@case("data", "houses.csv: the target 'price' is numbers, but line 6 holds 'NaN'")
def a_target_that_is_nan():
    houses(price_5="NaN")
    return fit_houses()


@case("data", "houses.csv: the target 'grade' is numbers, but line 6 holds 'NaN'")
def a_class_number_that_is_nan():
    with_column("grade", lambda i: "NaN" if i == 5 else str(i % 2))
    return ["fit", "houses.csv", "target=grade"]


@case("data", "houses.csv: the target 'price' is numbers, but line 8 holds '12O.5'", "correct the cell")
def a_target_with_a_typo_in_a_number():
    houses(price_7="12O.5")
    return fit_houses()


@case("data", "houses.csv: the target 'price' is missing (empty or NaN) in 2 rows: lines 6, 7")
def a_target_that_is_missing():
    houses(price_5="", price_6="")
    return fit_houses()


@case("data", "houses.csv: the target 'price' is not finite in 1 row: line 6")
def a_target_that_is_infinite():
    houses(price_5="inf")
    return fit_houses()


@case("data", "houses.csv: the target 'price' is beyond 1e+100 in 1 row: line 6")
def a_target_beyond_all_measure():
    houses(price_5="1e300")
    return fit_houses()


@case("data", "houses.csv: the target 'same' has only one class ('4') in 60 rows")
def a_constant_target():
    with_column("same", lambda i: "4")
    return ["fit", "houses.csv", "target=same"]


@case("data", "houses.csv: the target 'same' is 4.5 in every row")
def a_constant_number():
    with_column("same", lambda i: "4.5")
    return ["fit", "houses.csv", "target=same"]


@case("data", "houses.csv: the target 'hole' is empty in every row")
def an_empty_target():
    with_column("hole", lambda i: "")
    return ["fit", "houses.csv", "target=hole"]


@case("data", "houses.csv: the target 'id' has 60 classes in 60 rows")
def a_target_like_an_id():
    with_column("id", lambda i: f"a{i}")
    return ["fit", "houses.csv", "target=id"]


@case("data", "houses.csv: no column is left to learn from (id: unique in every row, looks like an ID)")
def ids_alone():
    put("houses.csv", "id,price\n" + "".join(f"{i},{1.5 * (i % 7)}\n" for i in range(40)))
    return fit_houses()


@case("data", "houses.csv: no column is left to learn from (there is none besides the target)")
def a_target_alone():
    put("houses.csv", "price\n" + "".join(f"{1.5 * (i % 7)}\n" for i in range(40)))
    return fit_houses()


@case(
    "usage",
    "houses.csv: data.group=ctiy is not a column",
    "did you mean 'city'?",
    fix=lambda: peek_houses("group=city"),
)
def a_group_with_a_typo():
    houses()
    return fit_houses("group=ctiy")


@case("data", "houses.csv: 1 group in data.group cannot be split", fix=peek_houses)
def one_group():
    with_column("who", lambda i: "a")
    return fit_houses("group=who")


@case("data", "houses.csv: the column 'city' is text, which has no order in time")
def a_time_that_is_text():
    houses()
    return fit_houses("time=city")


@case("usage", "houses.csv: data.ignore names 'rooom', which is not a column", "did you mean 'rooms'?",
      fix=lambda: peek_houses("ignore=rooms"))  # fmt: skip
def an_ignored_column_with_a_typo():
    houses()
    return fit_houses("ignore=rooom")


@case("data", "d/test.csv: its columns differ from those of train.csv: it lacks size")
def tables_of_different_columns():
    put("d/train.csv", text(rows()))
    put("d/test.csv", text([row[1:] for row in rows()]))
    return ["fit", "d", "target=price"]


# --- settings -------------------------------------------------------------------------------------------------------
bad_setting("an_unknown_setting", ["epoch=3"], "usage", "unknown setting 'epoch'", "did you mean stop.epochs?",
            fixed=["seed=1"])  # fmt: skip
bad_setting("a_setting_of_another_tool", ["lr=0.1"], "usage", "did you mean optimiser.learning_rate?")
bad_setting("an_option_that_does_not_exist", ["--verbose"], "usage", "unknown setting 'verbose'")
bad_setting("an_option_without_a_value", ["--epochs"], "usage", "--epochs needs a value", "epochs=VALUE")
bad_setting("a_flag_with_a_value", ["--json=1"], "usage", "--json takes no value")
bad_setting("a_setting_twice", ["--epochs=2", "epochs=3"], "usage", "epochs is given twice")
bad_setting("a_setting_by_two_names", ["epochs=2", "stop.epochs=3"], "usage", "stop.epochs is given twice")
bad_setting("no_number", ["epochs=two"], "usage", "stop.epochs=two", "a whole number of at least 0", fixed=[])
bad_setting("no_epochs", ["epochs=-1"], "usage", "stop.epochs=-1", "a whole number of at least 0")
bad_setting("half_an_epoch", ["epochs=2.5"], "usage", "stop.epochs=2.5", "a whole number")
bad_setting("dropout_above_one", ["dropout=1.5"], "usage", "regularise.dropout=1.5", "of at least 0 and below 1",
            fixed=["dropout=0.5"])  # fmt: skip
bad_setting("a_negative_rate", ["learning_rate=-1"], "usage", "optimiser.learning_rate=-1", "a number above 0")
bad_setting("an_infinite_rate", ["learning_rate=inf"], "usage", "optimiser.learning_rate=inf", "a number above 0")
bad_setting("an_unknown_optimiser", ["optimiser=adamx"], "usage", "adam or adamw", "did you mean optimiser.name=adam?")
bad_setting("a_duration_without_a_unit", ["max_time=10x"], "usage", "stop.max_time=10x", "90s, 10m or 1.5h")
bad_setting("a_percentage", ["human=2%"], "usage", "goal.human=2%", "0.005")
bad_setting("a_human_error_above_all", ["human=2"], "usage", "a human-level error of 2 is not possible", "human=0.01")
bad_setting("a_negative_human_error", ["human=-1"], "usage", "goal.human=-1", "a number of at least 0")
bad_setting("shares_above_all", ["split.dev=0.9", "test=0.5"], "usage", "split.dev=0.9 and split.test=0.5",
            "split.dev=0.2 split.test=0.2", fixed=["split.dev=0.2", "split.test=0.2"])  # fmt: skip
bad_setting("a_share_in_percent", ["split.dev=20"], "usage", "split.dev=20", "a number above 0 and below 1")
bad_setting("an_unknown_model", ["model=resnet"], "usage", "no model named 'resnet'", "convnet")
bad_setting("an_unknown_task", ["task=images"], "usage", "no task or craft named 'images'", "image_classification")
bad_setting("a_task_with_a_dash", ["task=image-classification"], "usage", "did you mean image_classification?")
bad_setting("a_task_of_tables", ["task=tabular_regression"], "data", "/pets: this is not a table")
bad_setting("a_target_of_pictures", ["target=cat"], "usage", "data.target names columns of a table (cat)", fixed=[])
bad_setting("lenet_on_small_pictures", ["model=lenet5"], "usage", "at least 16x16 pixels, got 8x8", "image_size=16",
            fixed=["model=lenet5", "image_size=16"])  # fmt: skip
bad_setting("an_empty_runs_folder", ["runs_folder="], "usage", "runs_folder= cannot be used")


@case("usage", "model=convnet takes inputs of the kind picture", "model=dense")
def a_model_of_pictures_for_a_table():
    houses()
    return fit_houses("model=convnet")


@case("data", "houses.csv: this is a table, not pictures")
def a_task_of_pictures_for_a_table():
    houses()
    return fit_houses("task=image_classification")


@case(
    "data",
    "houses.csv: the target 'sold' is not numbers: line 2 holds",
    fix=lambda: ["peek", "houses.csv", "target=sold"],
)
def a_regression_of_classes():
    houses()
    return ["fit", "houses.csv", "target=sold", "task=tabular_regression"]


@case("data", "houses.csv: the target 'price' has 60 classes in 60 rows", "leave task=... out", fix=peek_houses)
def a_classification_of_numbers():
    houses()
    return fit_houses("task=tabular_classification")


@case("machine", "runs", "is a file, not a folder", "runs_folder=FOLDER",
      fix=lambda: ["fit", "pets", "epochs=1", "runs_folder=elsewhere"])  # fmt: skip
def a_file_where_runs_should_be():
    pets()
    put("runs", "a file")
    return ["fit", "pets"]


# --- predictions from elsewhere -------------------------------------------------------------------------------------
def predictions(content: str | bytes) -> Argv:
    put("preds.csv", content)
    return ["diagnose", "--predictions", "preds.csv"]


@case("data", "preds.csv: the column 'prediction' is missing; the columns are 'split', 'target'")
def predictions_without_a_column():
    return predictions("split,target\ndev,1\n")


@case("data", "preds.csv, column 'split', row 2: expected train, train-dev, dev, test or human, found 'holdout'")
def predictions_of_an_unknown_split():
    return predictions("split,target,prediction\ntrain,a,a\nholdout,a,b\n")


@case("data", "preds.csv, column 'error', row 2: expected a finite number of at least 0, found 'nan'")
def predictions_with_a_nan_error():
    return predictions("split,error\ntrain,0.1\ndev,nan\n")


@case("data", "preds.csv", "the table has no rows")
def predictions_without_rows():
    return predictions("split,target,prediction\n")


@case("data", "preds.csv", "empty CSV")
def predictions_without_anything():
    return predictions("")


@case("data", "preds.csv: this is not a text table")
def predictions_in_a_workbook():
    return predictions(excel())


@case("data", "preds.csv", "separate the columns by commas")
def predictions_with_semicolons():
    return predictions("split;target;prediction\ntrain;a;a\n")


@case("data", "preds.csv: unknown column 'Confidence'", "name it 'confidence'")
def predictions_with_a_column_too_many():
    return predictions("split,target,prediction,Confidence\ntrain,a,a,0.5\n")


@case("usage", "a human-level error of 2 is not possible")
def a_human_error_above_all_for_predictions():
    return [*predictions("split,target,prediction\ntrain,a,a\ndev,a,b\n"), "human=2"]


@case("usage", "got both: runs/x and preds.csv")
def a_run_and_predictions():
    return ["diagnose", "runs/x", *predictions("split,target,prediction\ntrain,a,a\n")[1:]]


@case("data", "nope.csv: there is no such file")
def predictions_that_do_not_exist():
    return ["diagnose", "--predictions", "nope.csv"]


# --- with runs ------------------------------------------------------------------------------------------------------
def newest(folder: str) -> Path:
    return next(path for path in Path(folder).iterdir() if path.is_dir())


def picture_run() -> Path:
    return newest("runs/image_classification")


@with_runs("usage", "predict needs a run and at least one file")
def no_files_to_predict():
    return ["predict", "latest"]


@with_runs("usage", "named pets/cat/0.pgn", "did you mean pets/cat/0.png",
           fix=lambda: ["predict", str(picture_run()), "pets/cat/0.png"])  # fmt: skip
def a_picture_with_a_typo():
    return ["predict", str(picture_run()), "pets/cat/0.pgn"]


@with_runs("usage", "named nope.png")
def one_of_two_pictures_that_does_not_exist():
    return ["predict", str(picture_run()), "pets/cat/0.png", "nope.png"]


@with_runs("data", "bad.png: 0 of 1 picture can be read: bad.png (not an image (the content is text))")
def a_picture_that_cannot_be_read():
    put("bad.png", "nope")
    return ["predict", str(picture_run()), "bad.png"]


@with_runs("data", "houses.csv: this is a table, not pictures")
def a_table_for_a_model_of_pictures():
    return ["predict", str(picture_run()), "houses.csv"]


@with_runs("data", "pets: this is not a table")
def pictures_for_a_model_of_tables():
    return ["predict", "latest", "pets"]


@with_runs("usage", "houses.csv is a table or an archive, and several paths were given")
def two_tables_to_predict():
    return ["predict", "latest", "houses.csv", "houses.csv"]


@with_runs("data", "new.csv: has no column 'size', which the model was trained on", "did you mean 'Size'?",
           fix=lambda: (put("new.csv", text(rows())), ["predict", "latest", "new.csv"])[1])  # fmt: skip
def a_column_renamed_since():
    put("new.csv", text(rows()).replace("size", "Size"))
    return ["predict", "latest", "new.csv"]


@with_runs("data", "new.csv: column 'size' holds numbers, but line 5 holds 'big'")
def a_cell_of_another_kind():
    table = rows()
    table[4][0] = "big"
    put("new.csv", text(table))
    return ["predict", "latest", "new.csv"]


@with_runs("data", "new.csv: has column names but no rows")
def no_rows_to_predict():
    put("new.csv", text(rows(0)))
    return ["predict", "latest", "new.csv"]


@with_runs("usage", "houses.csv: already exists and is not overwritten", "choose another name",
           fix=lambda: ["predict", "latest", "houses.csv", "out=answers.csv"])  # fmt: skip
def answers_over_the_data():
    return ["predict", "latest", "houses.csv", "out=houses.csv"]


@with_runs("usage", "not as answers.xlsx", "out=answers.csv",
           fix=lambda: ["predict", "latest", "houses.csv", "out=answers.csv"])  # fmt: skip
def answers_as_a_workbook():
    return ["predict", "latest", "houses.csv", "out=answers.xlsx"]


@with_runs(
    "usage",
    "length_alpha and no_repeat, got epochs",
    fix=lambda: ["predict", "latest", "houses.csv"],
)
def a_setting_for_predict():
    return ["predict", "latest", "houses.csv", "epochs=3"]


@with_runs("usage", "a resumed run keeps its settings; epochs cannot be changed",
           fix=lambda: ["fit", "--resume", "latest"])  # fmt: skip
def a_resumed_run_with_other_settings():
    return ["fit", "--resume", "latest", "epochs=9"]


@with_runs("usage", "this run has no test split", "split.test=0.1")
def a_test_that_was_never_split_off():
    return ["test", "latest"]


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


@with_runs("artefact", "model/weights.safetensors: is damaged", "repeat the run")
def damaged_weights():
    flipped(picture_run() / "model" / "weights.safetensors")
    return ["predict", str(picture_run()), "pets/cat/0.png"]


@with_runs("artefact", "data.json: is missing")
def a_file_of_the_run_deleted():
    (picture_run() / "data.json").unlink()
    return ["test", str(picture_run())]


@with_runs("artefact", "manifest.json: has no checksum of its own")
def an_empty_manifest():
    put(str(picture_run() / "manifest.json"), "{}")
    return ["show", str(picture_run())]


# --- odd, but it works ----------------------------------------------------------------------------------------------
@works("16 bits per value: divided by 257 to get 8: 1 (cat/16.png)", "CMYK converted to RGB: 1 (cat/cmyk.jpg)",
       "palette converted to RGB: 1 (dog/pal.png)")  # fmt: skip
def sixteen_bits_cmyk_and_palette():
    pets()
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000).save("pets/cat/16.png")
    Image.fromarray(noise(1, 8, 8, 3)).convert("CMYK").save("pets/cat/cmyk.jpg")
    Image.fromarray(noise(2, 8, 8, 3)).convert("P").save("pets/dog/pal.png")
    return peek_pets()


@works("unreadable cat/3.png: truncated")
def one_cut_picture_of_forty():
    pets(each=20)
    cut("pets/cat/3.png")
    return peek_pets()


@works("classes with one picture", "1 (bird)")
def a_class_of_one_picture():
    pets()
    picture("pets/bird/0.png", 77)
    return peek_pets()


@works("dev: 4 examples held out of train, since the source has none", "16 train · 4 dev · 6 test")
def train_and_test_without_dev():
    pets(root="pets/train")
    pets(each=3, root="pets/test")
    return peek_pets()


@works("everything is inside test/", "12 train · 4 dev · 4 test")
def a_test_folder_alone():
    pets(root="pets/test")
    return peek_pets()


@works(
    "broken links skipped: 1 (cat/b.png)",
    "not followed: 1 (cat/loop)",
    "links out of the folder, not followed: 1 (out)",
)
def links_that_loop_break_and_lead_out():
    pets()
    os.symlink("..", "pets/cat/loop")
    os.symlink("/etc", "pets/out")
    os.symlink("nowhere", "pets/cat/b.png")
    return peek_pets()


@works("special files (pipes, sockets, devices) skipped: 1 (cat/pipe.png)")
def a_pipe_among_pictures():
    pets()
    os.mkfifo("pets/cat/pipe.png")
    return peek_pets()


@works("begins with the byte-order mark of UTF-16")
def a_table_in_utf_16():
    put("houses.csv", text(rows()).encode("utf-16"))
    return peek_houses()


@works("is read as windows-1252 (latin-1), because byte 0xF6 in line 5 is not UTF-8")
def a_table_in_latin_1():
    put("houses.csv", text(rows()).replace("Lyon", "Köln").encode("latin-1"))
    return peek_houses()


@works("fields are separated by semicolons", "price is read with decimal commas")
def decimal_commas():
    put("houses.csv", text(rows()).replace(",", ";").replace(".", ","))
    return peek_houses()


@works("Dropped (no value at all): hole")
def a_column_of_nothing():
    with_column("hole", lambda i: "")
    return peek_houses()


@works("Dropped (only one value): same")
def a_column_of_one_value():
    with_column("same", lambda i: "7")
    return peek_houses()


@works("Dropped (unique in every row, looks like an ID): id")
def a_column_of_ids():
    with_column("id", lambda i: f"a{i}")
    return peek_houses()


@works("size: 1 cell is not finite, treated as missing (line 8 holds 'inf')")
def an_infinite_input():
    houses(size_7="inf")
    return peek_houses()


@works("size stays text: line 8 holds '12O.5'")
def a_typo_in_an_input():
    houses(size_7="12O.5")
    return peek_houses()
