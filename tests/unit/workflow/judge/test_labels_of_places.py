"""Labels of boxes and masks audited: suspects on the screen, a sheet out and back in, clear refusals."""

from __future__ import annotations

import csv
import json

import numpy as np
import polars as pl
import pytest

from gnomon.cli import main
from gnomon.core.errors import DataError, UsageError
from gnomon.metrics import mask_table
from gnomon.workflow.judge.labels import labels
from tests.samples.box_scenes import GOOD, planted


@pytest.fixture(scope="module")
def made():
    return planted(80, 0.05, GOOD)


@pytest.fixture
def elsewhere(made, tmp_path):
    path = tmp_path / "answers.parquet"
    made.table.with_columns(split=pl.lit("dev")).write_parquet(path)
    return path


def test_suspects_are_places_with_the_label_and_the_answer(elsewhere, made, capsys):
    assert main(["labels", "--predictions", str(elsewhere)]) == 0
    screen = capsys.readouterr().out
    first = screen.splitlines()[0]
    assert "suspect places in" in first
    assert "missing label" in first
    assert "a suspect is the model's guess until a person has reviewed it" in screen
    assert main(["labels", "--predictions", str(elsewhere), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["what"] == "labelled boxes"
    assert found["count"] == sum(len(json.loads(cell)) for cell in made.table["target"])
    best = found["suspects"][0]
    assert set(best) == {"id", "kind", "given", "suggested", "box", "sureness"}
    assert (best["given"] == "") == (best["kind"] == "missing label")


def test_a_sheet_that_a_person_filled_in_says_how_many_places_are_wrong(elsewhere, tmp_path, made):
    sheet = tmp_path / "review.csv"
    out = labels(predictions=elsewhere, out=sheet, top=200, random=200)
    rows = list(csv.DictReader(sheet.read_text().splitlines()))
    assert out.written == len(rows) == len(out.audit.suspects) + min(200, len(out.audit.others))
    wrong = {(f"{picture}.png", kind) for picture, kind, *_ in made.faults}
    for row in rows:
        row["verdict"] = "suggested" if (row["id"], row["kind"]) in wrong else "given"
    with sheet.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    found = labels(predictions=elsewhere, review=sheet)
    confirmed = sum(row["verdict"] == "suggested" for row in rows)
    assert found.reviewed.verdicts["suggested"] == confirmed == sum(one for one, _ in found.reviewed.by_kind.values())
    assert found.reviewed.wrong.value == pytest.approx(confirmed)  # nobody found a wrong one among the others
    assert found.reviewed.wrong.high > confirmed


def test_a_line_that_is_of_no_place_of_the_audit_is_named(elsewhere, tmp_path):
    sheet = tmp_path / "review.csv"
    labels(predictions=elsewhere, out=sheet)
    lines = sheet.read_text().splitlines()
    cells = lines[1].split(",")
    cells[6] = '"1"'
    sheet.write_text("\n".join([lines[0], ",".join(cells)]))
    with pytest.raises(DataError, match="line 2"):
        labels(predictions=elsewhere, review=sheet)


def test_corrected_boxes_are_refused_with_what_to_do(elsewhere, tmp_path):
    sheet = tmp_path / "review.csv"
    labels(predictions=elsewhere, out=sheet)
    with pytest.raises(UsageError, match="annotation tool"):
        labels(predictions=elsewhere, review=sheet, corrected=tmp_path / "labels.csv")


def test_regions_of_masks_are_named_by_their_classes(tmp_path):
    target = np.zeros((60, 60), np.int64)
    answer = target.copy()
    answer[10:30, 20:50] = 1
    cells = {"target": [mask_table.encode(target)], "prediction": [mask_table.encode(answer)]}
    table = pl.DataFrame({"split": ["dev"], "id": ["a.png"], **cells, "class_names": ['["ground", "cell"]']})
    found = labels(predictions=table, out=tmp_path / "review.csv").audit
    [one] = found.suspects
    assert (one.id, one.given, one.suggested, one.box) == ("a.png", "ground", "cell", (20, 10, 50, 30))
    assert (found.what, found.others) == ("pictures with masks", ())
