"""Cells that a spreadsheet would run are defused, come back as they were, and numbers stay numbers."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core.spreadsheet import from_csv, safe_text, to_csv

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # OWASP, "CSV injection", and full-width twins
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", '=HYPERLINK("http://evil.example")', " =1",
            "''=1", '"=1+1"', "=cmd|' /C calc'!A0", "=1+1;=2"]  # fmt: skip
SECOND_CELLS = ["a;=1+1", "a\t=1+1", "a\n=1+1", "a\r\n-1", 'a";=1+1;"', "a; @x", "a;'=1", ";;=1", "a;＝1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_gets_a_mark_and_comes_back_without(text):
    data = to_csv(["id", text], [{"id": text, text: text}])
    assert safe_text(text).startswith("'")
    assert from_csv(data) == (["id", text], [{"id": text, text: text}])


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("text", [*FORMULAS, *SECOND_CELLS])
def test_no_cell_begins_a_formula_whatever_a_spreadsheet_takes_for_the_separator(text, separator):
    written = to_csv(["id", "text"], [{"id": 7, "text": text}]).decode()
    cells = [cell for line in csv.reader(io.StringIO(written, newline=""), delimiter=separator) for cell in line]
    bare = [cell.lstrip(" \"'") for cell in cells if not cell.startswith("'")]
    assert [cell for cell in bare if cell.startswith(STARTS) and cell.strip()] == []


def test_numbers_stay_numbers():
    lines = to_csv(["id", "a", "b", "c", "d"], [{"id": "x", "a": -1.5, "b": 3, "c": None, "d": True}]).splitlines()
    assert lines[1] == b'"x",-1.5,3,"",1'


def test_what_a_spreadsheet_saved_with_semicolons_and_a_mark_is_read():
    assert from_csv("\ufeffid;comment\r\na;x\r\n".encode()) == (["id", "comment"], [{"id": "a", "comment": "x"}])


def test_for_a_program_texts_stay_as_they_are():
    data = to_csv(["id", "text"], [{"id": "1", "text": "'=1;'2"}], raw=True)
    assert b"\"'=1;'2\"" in data
    assert from_csv(data, raw=True)[1][0]["text"] == "'=1;'2"


def test_a_row_of_another_width_is_named():
    with pytest.raises(ValueError, match="line 3 has 1 cells, the header 2"):
        from_csv(b"id,comment\na,x\nb\n")


@given(st.text(alphabet=st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=20))
def test_every_text_comes_back(text):
    data = to_csv(["id", "text"], [{"id": "1", "text": text}])
    assert from_csv(data)[1][0]["text"] == text


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("libreoffice") is None, reason="no libreoffice here: apt-get install libreoffice-calc")
def test_no_cell_is_a_formula_in_a_real_spreadsheet(tmp_path):
    (tmp_path / "x.csv").write_bytes(to_csv(["id"], [{"id": text} for text in [*FORMULAS, *SECOND_CELLS]]))
    command = ["libreoffice", "--headless", "--convert-to", "fods", "--outdir", str(tmp_path), str(tmp_path / "x.csv")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert "table:formula" not in (tmp_path / "x.fods").read_text()
