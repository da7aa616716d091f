"""Nasty tables: each is read exactly, with what was found stated, or refused with file, line and fix. Never changed."""

from __future__ import annotations

import gzip
import io
import os
import resource
import zipfile

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gnomon.core.errors import ArtefactError, DataError, MachineError, UsageError
from gnomon.core.settings import DataSettings
from gnomon.data.tables import parquet_size, peek_table, plan_targets, raw, read_table
from gnomon.data.tables import rows as rows_module


@pytest.fixture
def table(tmp_path):
    """Write bytes (or text as UTF-8) as data.csv and read them."""

    def read(content, **settings):
        path = tmp_path / "data.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_table(path, DataSettings(**settings))

    return read


def refusal(read, content, **settings) -> str:
    """The message of the DataError; it names the file and says what to do."""
    with pytest.raises(DataError) as caught:
        read(content, **settings)
    message = str(caught.value)
    assert "data.csv" in message
    assert caught.value.fix.strip()
    assert "\n" not in message
    return message


# --- the width of rows ------------------------------------------------------------------------------------------------
def test_a_long_row_is_refused_with_its_line_and_beginning(table):
    message = refusal(table, "a,b\n1,2\n3,4,5\n6,7\n")
    assert "data.csv line 3" in message
    assert "'3,4,5' has 3 fields, the header has 2" in message


def test_a_trailing_field_on_every_row_is_refused_at_the_first(table):
    # pandas makes the first column an index here and shifts every label
    message = refusal(table, "id,x,label\n1,2,cat,\n3,4,dog,\n")
    assert "line 2" in message
    assert "has 4 fields, the header has 3" in message


def test_a_short_row_is_refused(table):
    message = refusal(table, "a,b,c\n1,2,3\n4,5\n")
    assert "line 3" in message
    assert "'4,5' has 2 fields, the header has 3" in message


def test_the_line_of_a_ragged_row_counts_line_ends_inside_quotes(table):
    message = refusal(table, 'a,b\n"one\ntwo\nthree",x\n1,2,3\n')
    assert "line 5" in message


def test_a_ragged_row_far_down_is_named_by_its_line(table, monkeypatch):
    monkeypatch.setattr(rows_module, "BLOCK_BYTES", 64)
    monkeypatch.setattr("gnomon.data.tables.text.BLOCK_BYTES", 64)
    body = [f"{i},{i}" for i in range(1000)]
    body[700] = "1,2,3"
    message = refusal(table, "a,b\n" + "\n".join(body) + "\n")
    assert "line 702" in message


def test_separators_inside_quotes_do_not_count(table):
    read = table('a,b\n"k,5",x\n"l,5",y\n')
    assert read.frame.rows() == [("k,5", "x"), ("l,5", "y")]


# --- encodings --------------------------------------------------------------------------------------------------------
def test_a_byte_order_mark_is_stated_and_not_part_of_the_first_name(table):
    read = table(b"\xef\xbb\xbfcity,x\nBrn\xc3\xb8,1\n")
    assert read.frame.columns == ["city", "x"]
    assert any("byte-order mark of UTF-8" in note for note in read.notes)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_and_32_are_found_with_a_note(table, encoding):
    read = table("city,x\nMünchen,1\nŁódź,2\n".encode(encoding))
    assert read.frame.rows() == [("München", 1), ("Łódź", 2)]
    assert any("UTF-16" in note or "UTF-32" in note for note in read.notes)


def test_latin_1_is_found_and_stated_with_byte_and_line(table):
    read = table("city,x\nOslo,1\nMünchen,2\nMálaga,3\n".encode("latin-1"))
    assert read.frame["city"].to_list() == ["Oslo", "München", "Málaga"]
    assert any("windows-1252 (latin-1)" in note and "0xFC in line 3" in note for note in read.notes)


def test_one_broken_letter_in_a_utf_8_file_is_refused_not_guessed(table):
    message = refusal(table, "city,x\nMünchen,1\n".encode() + b"M\xfcnchen,2\n")
    assert "line 3" in message
    assert "0xFC" in message


def test_a_non_western_encoding_is_refused_until_it_is_set(table):
    cyrillic = "город,x\nМосква,1\n".encode("windows-1251")
    assert "windows-1252 (latin-1) does not fit" in refusal(table, cyrillic)
    assert table(cyrillic, encoding="windows-1251").frame.rows() == [("Москва", 1)]


def test_declared_utf_8_that_is_not_is_refused(table):
    assert "which was declared" in refusal(table, "a,b\nMünchen,1\n".encode("latin-1"), encoding="utf-8")


def test_an_unknown_encoding_is_a_wrong_setting(table):
    with pytest.raises(UsageError, match="klingon is not a text encoding"):
        table("a,b\n1,2\n", encoding="klingon")


def test_a_nul_is_refused_with_its_line(table):
    message = refusal(table, b"a,b\n1,2\n3,\x004\n")
    assert "line 3 holds a NUL" in message


# --- quotes and line ends ---------------------------------------------------------------------------------------------
def test_an_unclosed_quote_names_the_line_it_opened_on(table):
    message = refusal(table, 'a,b\n1,x\n2,"y\n3,z\n4,w\n')
    assert "the quote that opens in line 3 is never closed" in message


def test_an_unclosed_quote_before_other_quoted_cells_names_its_line(table):
    message = refusal(table, 'a,b\n1,"x\n2,"y"\n')
    assert "begins in line 2" in message


def test_text_after_a_closing_quote_is_refused(table):
    assert "followed by 'x" in refusal(table, 'a,b\n"1"x,2\n')


def test_quotes_inside_cells_of_an_unquoted_file_are_plain_characters_with_a_note(table):
    read = table('size,n\n5" pipe,1\n3" pipe,2\n')
    assert read.frame["size"].to_list() == ['5" pipe', '3" pipe']
    assert any("plain characters" in note and "line 2" in note for note in read.notes)


def test_a_quoted_cell_in_a_file_whose_quotes_are_plain_characters_is_refused(table):
    message = refusal(table, 'size,n\n5" pipe,1\n"x",2\n')
    assert "a cell of line 3 begins with a quote" in message


def test_quotes_inside_cells_of_a_quoted_file_are_refused(table):
    message = refusal(table, 'size,n\n"a, b",1\n3" pipe and 4" pipe,2\n')
    assert "line 3" in message


def test_carriage_returns_alone_are_found_with_a_note(table):
    read = table("a,b\r1,x\r2,y\r")
    assert read.frame.rows() == [(1, "x"), (2, "y")]
    assert read.lines.tolist() == [2, 3]
    assert any("carriage return alone" in note for note in read.notes)


def test_windows_line_ends_are_read_without_a_note(table):
    read = table("a,b\r\n1,x\r\n2,y\r\n")
    assert read.frame.rows() == [(1, "x"), (2, "y")]
    assert read.notes == ()


def test_a_stray_carriage_return_is_refused(table):
    assert "line 2 has a carriage return" in refusal(table, "a,b\n1\r2,x\n3,y\n")


def test_blank_lines_between_rows_are_stated_and_those_at_the_end_are_not(table):
    read = table("a,b\n1,x\n\n2,y\n\n\n")
    assert read.frame.rows() == [(1, "x"), (2, "y")]
    assert read.lines.tolist() == [2, 4]
    assert len(read.notes) == 1
    assert "1 blank line is not a row (the first is line 3)" in read.notes[0]


def test_blank_lines_of_windows_files_are_removed_completely(table):
    read = table("a,b\r\nu,x\r\n\r\n\r\nv,y\r\n")
    assert read.frame.rows() == [("u", "x"), ("v", "y")]
    assert read.lines.tolist() == [2, 5]


# --- separators and decimals ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("separator", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_other_separators_are_found_with_a_note(table, separator, word):
    read = table(f"a{separator}b\n1{separator}x\n2{separator}y\n")
    assert read.frame.rows() == [(1, "x"), (2, "y")]
    assert any(word in note for note in read.notes)


def test_decimal_commas_are_found_with_a_note(table):
    read = table("price;city\n1,5;a\n22,25;b\n3;c\n")
    assert read.frame["price"].to_list() == [1.5, 22.25, 3.0]
    assert any("price is read with decimal commas (line 2 holds '1,5')" in note for note in read.notes)


def test_decimal_commas_mixed_with_points_stay_text(table):
    read = table("price;city\n1,5;a\n2.25;b\n")
    assert read.frame["price"].to_list() == ["1,5", "2.25"]
    assert any("price stays text" in note for note in read.notes)


def test_two_equally_good_separators_are_not_guessed(table):
    message = refusal(table, "city, country;people\nParis, France;2\nOslo, Norway;1\n")
    assert "commas or by semicolons" in message
    read = table("city, country;people\nParis, France;2\nOslo, Norway;1\n", delimiter=";")
    assert read.frame.columns == ["city, country", "people"]


def test_a_separator_of_two_characters_is_a_wrong_setting(table):
    with pytest.raises(UsageError, match="not one plain character"):
        table("a,b\n1,2\n", delimiter="::")


# --- names ------------------------------------------------------------------------------------------------------------
def test_duplicate_column_names_are_refused_by_name(table):
    message = refusal(table, "a,b,a\n1,2,3\n")
    assert "two columns are called 'a': column 1 and column 3" in message


def test_an_empty_column_name_is_refused(table):
    assert "column 2 of 3 has no name" in refusal(table, "a,,c\n1,2,3\n")


@pytest.mark.parametrize("content", ["", "\n\n\n", "\ufeff"])
def test_an_empty_file_is_refused(table, content):
    assert "is empty" in refusal(table, content)


def test_a_header_without_rows_is_refused(table):
    assert "column names but no rows" in refusal(table, "a,b,c\n")


@pytest.mark.parametrize("first", ["1,2,3", "5.1,3.5,1.4,0.2,setosa", "-1e5,+.5"])
def test_a_table_without_header_is_refused(table, first):
    message = refusal(table, f"{first}\n{first}\n")
    assert "line 1" in message
    assert "should name the columns" in message
    assert "add a first line" in message


def test_a_table_of_one_row_is_read_but_not_trained_on(table):
    read = table("x,label\n1,a\n")
    assert len(read) == 1
    with pytest.raises(DataError, match="only one row"):
        plan_targets(read, DataSettings())


# --- cells ------------------------------------------------------------------------------------------------------------
def test_class_names_that_look_like_something_else_stay_distinct_text(table):
    classes = ["NA", "None", "null", "nan", "007", "1e5", "True", " cat", "cat"]
    read = table("x,label\n" + "".join(f"{i % 7},{name}\n" for i, name in enumerate(classes * 4)))
    assert read.frame["label"].to_list() == classes * 4
    plan = plan_targets(read, DataSettings())
    assert plan.targets[0].class_names == tuple(sorted(classes))
    assert any("' cat' and 'cat' are kept as different" in note for note in plan.notes)


def test_an_empty_class_is_refused_with_its_lines(table):
    read = table("x,label\n1,a\n2,\n3,b\n4,\n5,a\n")
    with pytest.raises(DataError, match=r"missing \(empty or NaN\) in 2 rows: lines 3, 5"):
        plan_targets(read, DataSettings())


def test_leading_zeros_are_kept_with_a_note(table):
    read = table("code,x\n007,1\n042,2\n100,3\n")
    assert read.frame["code"].to_list() == ["007", "042", "100"]
    assert any("code stays text: line 2 holds '007'" in note for note in read.notes)


def test_numbers_beyond_64_bits_stay_text_and_are_stated(table):
    read = table("n,x\n9223372036854775808,1\n5,2\n")
    assert read.frame["n"].to_list() == ["9223372036854775808", "5"]
    assert any("too large" in note for note in read.notes)
    assert table("n,x\n9223372036854775807,1\n5,2\n").frame["n"].to_list() == [2**63 - 1, 5]


def test_usual_words_for_missing_in_a_column_of_numbers_are_missing_and_counted(table):
    cells = [str(i) for i in range(38)] + ["NA", "?"]
    read = table("n,x\n" + "".join(f"{cell},{i % 3}\n" for i, cell in enumerate(cells)))
    assert read.frame["n"].null_count() == 2
    assert read.frame["n"].dtype.is_integer()
    assert any("n: 2 cells are read as missing (line 40 holds 'NA')" in note for note in read.notes)


def test_words_for_missing_are_missing_however_few_numbers_there_are(table):
    cells = ["1.5", "2", "NA", "3", "-", "?", "#N/A"]
    read = table("n,x\n" + "".join(f"{cell},{i % 2}\n" for i, cell in enumerate(cells)))
    assert read.frame["n"].to_list() == [1.5, 2, None, 3, None, None, None]
    assert any("n: 4 cells are read as missing (line 4 holds 'NA')" in note for note in read.notes)


def test_a_typo_among_numbers_leaves_the_column_text_and_names_the_cell(table):
    cells = [str(i) for i in range(30)] + ["12O"]
    read = table("n,x\n" + "".join(f"{cell},{i % 3}\n" for i, cell in enumerate(cells)))
    assert read.frame["n"].to_list() == cells
    assert any("line 32 holds '12O', though 30 of its 31 cells are numbers" in note for note in read.notes)


def test_infinity_in_an_input_is_missing_with_a_note(table):
    read = table("n,x\n1.5,1\ninf,2\n-inf,3\n1e999,4\n2,5\n")
    assert read.frame["n"].to_list() == [1.5, None, None, None, 2.0]
    assert any("n: 3 cells are not finite" in note for note in read.notes)


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "1e999"])
def test_infinity_in_the_target_is_refused_with_its_line(table, cell):
    read = table(f"x,y\n1,1.5\n2,{cell}\n3,2.5\n")
    with pytest.raises(DataError, match=r"not finite in 1 row: line 3"):
        plan_targets(read, DataSettings())


@pytest.mark.parametrize("cell", ["nan", "NaN", "NA", "?"])
def test_nan_in_a_target_of_numbers_is_refused_with_its_line(table, cell):
    rows = [f"{i},{i}.5" for i in range(20)]
    rows[4] = f"4,{cell}"
    read = table("x,y\n" + "\n".join(rows) + "\n")
    with pytest.raises(DataError, match=f"line 6 holds '{cell}'".replace("?", r"\?")):
        plan_targets(read, DataSettings())


def test_nan_among_few_whole_numbers_is_refused_and_does_not_become_a_class(table):
    read = table("x,y\n" + "".join(f"{i % 7},{'NaN' if i == 11 else i % 2}\n" for i in range(40)))
    with pytest.raises(DataError, match="the target 'y' is numbers, but line 13 holds 'NaN'"):
        plan_targets(read, DataSettings())


def test_mixed_types_stay_text_as_written(table):
    cells = ["1", "two", "3.0", "True", "2024-01-01"]
    read = table("m,x\n" + "".join(f"{cell},{i}\n" for i, cell in enumerate(cells)))
    assert read.frame["m"].to_list() == cells


def test_dates_are_read_and_ambiguous_ones_stay_text(table):
    read = table("iso,day_first,open,x\n2024-02-29,13/02/2024,01/02/2024,1\n2023-01-05,01/03/2024,03/04/2024,2\n")
    assert read.frame["iso"].dtype == pl.Date
    assert str(read.frame["day_first"][1]) == "2024-03-01"
    assert any("day_first is read as day/month/year" in note for note in read.notes)
    assert read.frame["open"].to_list() == ["01/02/2024", "03/04/2024"]
    assert any("open stays text" in note for note in read.notes)


def test_a_date_that_does_not_exist_leaves_the_column_text(table):
    assert table("d,x\n2023-02-28,1\n2023-02-29,2\n").frame["d"].to_list() == ["2023-02-28", "2023-02-29"]


# --- lines above the header, row names --------------------------------------------------------------------------------
@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_excels_separator_line_is_followed_with_a_note(table, line, end):
    read = table(end.join([line, "a,b;c", "1,5;x", "2,5;y", ""]))
    assert read.frame.rows() == [(1.5, "x"), (2.5, "y")]
    assert read.lines.tolist() == [3, 4]
    assert any(
        "its first line is Excel's sep=, which says that semicolons separate the fields" in note for note in read.notes
    )
    message = refusal(table, end.join([line, "a;b", "1;2", "1;2;3", ""]))
    assert "line 4" in message


def test_a_comment_above_the_header_is_reported(table):
    for comment in ("# made by x, on Monday\n", "# one\n# two\n", "// one\n"):
        message = refusal(table, comment + "a,b,c\n1,2,3\n4,5,6\n")
        assert "line 1: begins with a comment ('" in message
        assert "remove such lines" in message
    assert table("#a,b\n1,x\n2,y\n").frame.columns == ["#a", "b"]  # a name may begin so
    assert "remove what is above them" in refusal(table, "Sales of May\na,b\n1,2\n")


def test_row_names_written_by_pandas_are_noted_with_the_way_to_leave_them_out(table):
    message = refusal(table, ",a,label\n0,1,x\n1,2,y\n")
    assert "column 1 of 3 has no name" in message
    assert "to_csv(index=False)" in message
    read = table("Unnamed: 0,a,label\n0,1,x\n5,2,y\n")
    assert read.frame.columns == ["a", "label"]
    assert any("Unnamed: 0 is a data frame's index" in note for note in read.notes)
    assert table("Unnamed: 0,a,label\n0,1,x\n5,2,y\n", group="Unnamed: 0").frame.width == 3


# --- what is no table -------------------------------------------------------------------------------------------------
def _excel() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return file.getvalue()


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("photo.txt", "hello")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (_excel(), "an Excel workbook"),
        (_zip(), "a zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "an old Excel workbook"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "HTML"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"SQLite format 3\x00" + bytes(100), "an SQLite database"),
        (b'[{"a": 1}, {"a": 2}]', "JSON"),
        (b'{"a": 1}\n{"a": 2}\n', "JSON"),
        (b"BZh91AY&SY", "bzip2"),
    ],
)
def test_other_files_named_csv_are_named_for_what_they_are(table, content, what):
    assert what in refusal(table, content)


def test_gzip_is_unpacked_with_a_note_if_the_name_does_not_say_so(table, tmp_path):
    content = gzip.compress(b"a,b\n1,x\n2,y\n")
    read = table(content)
    assert read.frame.rows() == [(1, "x"), (2, "y")]
    assert any("compressed with gzip" in note for note in read.notes)
    named = tmp_path / "data.csv.gz"
    named.write_bytes(content)
    assert read_table(named, DataSettings()).notes == ()


def test_a_truncated_gzip_file_is_refused(table):
    content = gzip.compress(os.urandom(5000).hex().encode())
    assert "truncated or damaged" in refusal(table, content[: len(content) // 2])


def test_a_sparse_file_of_4_gigabytes_is_refused_in_little_memory(tmp_path):
    path = tmp_path / "data.csv"
    with path.open("wb") as file:
        file.write(b"a,b\n1,2\n")
        file.truncate(4 * 2**30 + 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="line 3 holds a NUL"):
        read_table(path, DataSettings())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 * 2**10  # KiB


def test_a_parquet_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_size, "RATIO_FROM", 10**6)
    path = tmp_path / "a.parquet"
    pl.DataFrame({"x": pl.repeat(1, 10**6, dtype=pl.Int64, eager=True)}).write_parquet(path)
    with pytest.raises(ArtefactError, match=r"a\.parquet: refused: [\d,]+ bytes would unpack to about 8,"):
        read_table(path, DataSettings())
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(10**5, np.int32)), pa.array(["x" * 500]))
    pq.write_table(pa.table({"x": text}), path)
    with pytest.raises(ArtefactError, match=r"refused: [\d,]+ bytes would unpack to about 51,600,000"):
        read_table(path, DataSettings())
    assert len(peek_table(path, DataSettings())) == 10_000


def test_a_parquet_file_larger_than_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_size, "memory_left", lambda: 10**6)
    path = tmp_path / "a.parquet"
    pl.DataFrame({"x": np.random.default_rng(0).normal(size=10**5), "y": [0, 1] * 50_000}).write_parquet(path)
    with pytest.raises(MachineError, match=r"100,000 rows need about 0\.0 GB"):
        read_table(path, DataSettings())


def test_a_gzip_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(raw, "RATIO_FROM", 10**6)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,1\n" * 10**6))
    with pytest.raises(ArtefactError, match=r"a\.csv\.gz: refused: its first [\d,]+ bytes unpack to more than"):
        read_table(path, DataSettings())


def test_a_line_without_end_is_refused(table, monkeypatch):
    monkeypatch.setattr(rows_module, "MAX_ROW_BYTES", 2**20)
    monkeypatch.setattr("gnomon.data.tables.text.BLOCK_BYTES", 2**18)
    assert "line 2 is longer than 1 MiB" in refusal(table, "a,b\n" + "x" * 2**22)


def test_a_pipe_never_blocks(tmp_path):
    os.mkfifo(tmp_path / "data.csv")
    with pytest.raises(DataError, match="not a regular file"):
        read_table(tmp_path / "data.csv", DataSettings())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "data.csv", DataSettings())


def test_control_characters_of_a_cell_never_reach_the_message(table):
    message = refusal(table, "a,b\n\x1b[31mred,2,3\n")
    assert "\x1b" not in message
    assert "\\x1b[31mred" in message


def test_a_name_of_bytes_that_are_not_utf_8_can_be_printed(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/data\xff.csv")
    with open(path, "wb") as file:
        file.write(b"a,b\n1,2,3\n")
    with pytest.raises(DataError) as caught:
        read_table(path, DataSettings())
    assert "data\\xff.csv" in str(caught.value).encode().decode()


def test_a_damaged_parquet_file_is_refused(tmp_path):
    path = tmp_path / "data.parquet"
    pl.DataFrame({"a": [1, 2], "b": ["x", "y"]}).write_parquet(path)
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    with pytest.raises(DataError, match="Parquet file is truncated or damaged"):
        read_table(path, DataSettings())
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(DataError, match="named like a Parquet file but is not one"):
        read_table(path, DataSettings())


def test_a_parquet_file_of_another_name_is_read_with_a_note(tmp_path):
    path = tmp_path / "data.csv"
    pl.DataFrame({"a": [1, 2], "b": ["x", "y"]}).write_parquet(path)
    read = read_table(path, DataSettings())
    assert read.frame.rows() == [(1, "x"), (2, "y")]
    assert any("is a Parquet file, whatever its name says" in note for note in read.notes)


def test_mutated_tables_are_read_or_named(tmp_path):
    good = b'city,n,when\n"Oslo, NO",1.5,2024-01-02\n\xc3\x85lesund,2,2024-01-03\r\n"a ""b""",-3e2,2024-01-04\n'
    path = tmp_path / "data.csv"
    rng = np.random.default_rng(0)
    for _ in range(400):
        content = bytearray(good)
        for _ in range(rng.integers(1, 4)):
            place = int(rng.integers(len(content)))
            if rng.random() < 0.5:
                content[place] = int(rng.choice([0, 10, 13, 34, 44, 59, 65, 0xC3, 0xFF]))
            else:
                del content[place]
        path.write_bytes(bytes(content))
        try:
            read = read_table(path, DataSettings())
        except DataError as error:
            is_good = "data.csv" in str(error)
        else:
            is_good = len(read) == len(read.lines) >= 1
        assert is_good, content


def test_the_file_is_untouched(table, tmp_path):
    content = b"a;b\n1,5;x\n2;y\n"
    table(content)
    assert (tmp_path / "data.csv").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]
