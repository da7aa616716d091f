"""What is predicted on: read as training was, the columns that are needed and no others, oddities said, not guessed."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import gnomon
from gnomon.cli import main
from gnomon.core.errors import DataError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    size = rng.uniform(20, 200, 90).round(1)
    rows = [
        f"{str(one).replace('.', ',')};"
        + f"{int(one * 37):,}".replace(",", ".")
        + f";{('Bonn', 'Ulm')[i % 2]};{i % 28 + 1:02d}.{i % 12 + 1:02d}.2023;{'big' if one > 100 else 'small'}"
        for i, one in enumerate(size)
    ]
    (folder / "t.csv").write_text("size;price;city;day;label\n" + "\n".join(rows) + "\n")
    return gnomon.fit(folder / "t.csv", epochs=1, model="logistic", runs_folder=str(folder / "runs"))


def answers(run, text, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text(text)
    return run.answers(path)


HEADER = "size;price;city;day\n"


def test_one_row_alone_is_answered_as_in_company(run, tmp_path):
    rows = ["50,5;1.868;Bonn;01.02.2023\n", "172,0;6.364;Ulm;13.02.2023\n", "20,0;740;Ulm;12.11.2023\n"]
    together = answers(run, HEADER + "".join(rows), tmp_path).table["p.big"].to_list()
    alone = [answers(run, HEADER + row, tmp_path).table["p.big"][0] for row in rows]
    assert alone == pytest.approx(together, abs=1e-7)
    typed = pl.DataFrame({"size": [50.5], "price": [1868], "city": ["Bonn"], "day": ["2023-02-01"]})
    assert run.predict(typed)["p.big"][0] == pytest.approx(together[0], abs=1e-7)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("50.5;1.868;Bonn;01.02.2023", "column 'size' holds numbers like '1234,5', but line 2 holds '50.5'"),
        ("50,5;$1868;Bonn;01.02.2023", r"column 'price' holds numbers like '1\.234,5', but line 2 holds '\$1868'"),
        ("50,5;1.868;Bonn;2/1/2023", "column 'day' holds dates like '31.12.2024', but line 2 holds '2/1/2023'"),
        ("50,5;many;Bonn;01.02.2023", "but line 2 holds 'many'"),
    ],
)
def test_a_cell_in_another_form_than_that_of_training_is_refused(run, tmp_path, row, what):
    with pytest.raises(DataError, match=what):
        answers(run, f"{HEADER}{row}\n", tmp_path)


def test_columns_that_are_not_needed_are_not_read(run):
    new = pl.DataFrame({"size": [50.5], "price": [1868], "city": ["Bonn"], "day": ["2023-02-01"]})
    odd = new.with_columns(tags=pl.Series([["a"]]), blob=pl.Series([b"x"]), label=pl.Series(["big"]))
    found = run.answers(odd)
    assert found.table.equals(run.answers(new).table)
    assert found.notes == run.answers(new).notes


def test_a_column_of_nothing_but_unknown_values_is_said_loudly(run, tmp_path, capsys):
    path = tmp_path / "new.csv"
    path.write_text(HEADER + "50,5;1.868;BONN;01.02.2023\n51,5;1.868;Köln;01.02.2023\n")
    with pytest.warns(UserWarning, match="city: none of the 2 values occurred in training"):
        run.predict(path)
    assert main(["predict", str(run.path), str(path)]) == 0
    assert "WARNING: city: none of the 2 values occurred in training" in capsys.readouterr().out
    assert main(["predict", str(run.path), str(path), "--json"]) == 0
    assert "none of the 2 values" in json.loads(capsys.readouterr().out)["warnings"][0]


def test_some_unknown_values_are_a_note(run, tmp_path):
    found = answers(run, HEADER + "50,5;1.868;Oslo;01.02.2023\n51,5;1.868;Ulm;01.02.2023\n", tmp_path)
    assert found.alarms == ()
    assert any("city: 1 of 2 rows" in note and "'Oslo' in line 2" in note for note in found.notes)
