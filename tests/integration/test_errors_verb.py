"""Error analysis on real runs: faults planted in the data come out as what to work on; the sheet goes out and back."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gnomon
from gnomon.cli import main
from gnomon.core.errors import DataError, UsageError
from gnomon.runs.tags import TagEvent, TagStore
from gnomon.workflow.judge import errors
from gnomon.workflow.judge.mismatch import appearance_of
from gnomon.workflow.sheet import open_sheet, tag_sheet, tags_of_people


@pytest.fixture(scope="module")
def table_run(tmp_path_factory):
    """Rows whose `a` is missing have a label by chance; the others are easy."""
    folder = tmp_path_factory.mktemp("rows")
    rng = np.random.default_rng(0)
    lines = ["a,b,c,label"]
    for _ in range(900):
        a, b, c = rng.normal(size=3)
        missing = rng.random() < 0.2
        label = rng.integers(2) if missing else int(a > 0)
        lines.append(f"{'' if missing else f'{a:.4f}'},{b:.4f},{c:.4f},{'ny'[label]}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    return gnomon.fit(str(folder / "rows.csv"), target="label", epochs=12, runs_folder=str(folder / "runs"))


@pytest.fixture(scope="module")
def picture_run(tmp_path_factory):
    """A bar lying or standing; one picture in six is nearly black and has a label by chance."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(1)
    for number in range(420):
        label = int(rng.integers(2))
        picture = rng.integers(0, 80, (12, 12))
        at = int(rng.integers(1, 10))
        bar = (slice(at, at + 2), slice(1, 11))
        picture[bar if label else bar[::-1]] = 220
        if number % 6 == 0:
            picture, label = picture // 12, int(rng.integers(2))
        place = folder / "bars" / ("standing", "lying")[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.astype(np.uint8)).save(place / f"{number:03d}.png")
    return gnomon.fit(str(folder / "bars"), epochs=12, runs_folder=str(folder / "runs"))


def test_rows_with_missing_values_are_named_as_what_to_work_on(table_run):
    found = errors.errors(table_run)
    assert found.note == ""
    best = next(one for one in found.shares if one.is_specific)
    assert best.name in ("missing values", "a is missing")
    # of 20 % rows with a hole half are wrong by chance: about all of the error that an easy problem has
    assert best.share.value > 0.6
    assert best.among_right == pytest.approx(0.1, abs=0.07)
    assert best.left.value < 0.4 * found.sheet.error


def test_pictures_too_dark_to_see_are_named_as_what_to_work_on(picture_run):
    found = errors.errors(picture_run)
    telling = [one for one in found.shares if one.is_specific and one.kind == "picture"]
    dark = next(one for one in telling if one.name == "dark picture")
    assert dark.share.value > 3 * dark.among_right
    assert dark.ceiling.value == max(one.ceiling.value for one in telling)


def test_what_is_shown_as_a_picture_but_is_none_has_no_dark_pictures(picture_run):
    data = errors.open_data(picture_run)
    examples, usual = errors.judged_examples(picture_run, data, "dev"), errors.usual_examples(data)
    pictures = picture_run.task
    sounds = replace(pictures, kind=replace(pictures.kind, modality="sound"))
    sheet = open_sheet(picture_run.folder)
    kinds = {task: {tag.kind for tag in errors.with_looks(sheet, task, examples, usual).tags}
             for task in (pictures, sounds)}  # fmt: skip
    assert kinds[pictures] - kinds[sounds] == {"picture"}
    few = [usual[0], usual[1]]
    assert "brightness" in appearance_of(pictures, few).names
    with pytest.raises(UsageError, match="neither pictures, texts nor rows"):
        appearance_of(sounds, few)


def test_near_copies_in_the_other_class_are_named(tmp_path):
    # every fifth bar lies, a little brighter, in the other class as well; without a test split no twin is sealed away
    rng = np.random.default_rng(2)
    for number in range(240):
        label = int(rng.integers(2))
        picture, at = rng.integers(0, 80, (14, 14)), int(rng.integers(1, 12))
        bar = (slice(at, at + 2), slice(1, 13))
        picture[bar if label else bar[::-1]] = 220
        for name, shown, of in (("bar", picture, label), ("copy", picture + 2, 1 - label))[: 2 - (number % 5 > 0)]:
            place = tmp_path / "bars" / ("standing", "lying")[of]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(shown.astype(np.uint8)).save(place / f"{name}-{number:03d}.png")
    run = gnomon.fit(str(tmp_path / "bars"), epochs=8, test=0, runs_folder=str(tmp_path / "runs"))
    sheet = open_sheet(run.folder)
    (tag,) = [tag for tag in sheet.tags if tag.name == "copy with another label"]
    numbers = [int(Path(one).stem.partition("-")[2]) for one in sheet.ids]
    has_twin_in_train = [number % 5 == 0 and numbers.count(number) == 1 for number in numbers]
    assert tag.tagged.tolist() == has_twin_in_train
    assert sum(has_twin_in_train) > 5
    found = next(one for one in errors.errors(run).shares if one.name == tag.name)
    assert found.share.value > 0.8  # whatever it answers, one of the two is wrong; all else is easy
    assert found.is_specific


def test_the_ceilings_are_of_the_ladders_error(table_run):
    found = errors.errors(table_run)
    (dev,) = (rung.error for rung in table_run.diagnosis.rungs if rung.name == "dev")
    for one in found.shares:
        assert one.ceiling.value == pytest.approx(one.share.value * dev)
        assert one.left.value == pytest.approx(dev - one.ceiling.value)


def test_the_test_split_is_refused_and_train_is_not(table_run):
    with pytest.raises(UsageError, match="could no longer be measured on test"):
        errors.errors(table_run, "test")
    with pytest.raises(UsageError, match="unknown split 'deaf'"):
        errors.errors(table_run, "deaf")
    assert errors.errors(table_run, "train").sheet.split == "train"


def test_a_sheet_goes_out_is_filled_in_and_comes_back(table_run, tmp_path):
    sheet, store = open_sheet(table_run.folder), TagStore(table_run.path)
    path = tmp_path / "errors.csv"
    count = errors.write_sheet(sheet, store, path)
    assert count == sheet.errors.count
    assert errors.read_sheet(sheet, store, path) == 0  # nothing was filled in
    lines = list(csv.reader(path.read_text().splitlines()))
    names = [*lines[0], "=seen at night"]
    rows = [dict(zip(names, [*line, ""], strict=True)) for line in lines[1:]]
    rows[0] |= {"=seen at night": "1", "label wrong": "x", "comment": "=1+1"}
    rows[1] |= {"=seen at night": "no"}
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    assert errors.read_sheet(sheet, store, path) == 4
    assert errors.read_sheet(sheet, store, path) == 0  # the same once more changes nothing
    tags = {tag.name: tag for tag in tags_of_people(sheet, store)}
    night = tags["=seen at night"]
    assert (int(night.tagged.sum()), int(night.reviewed.sum())) == (1, 2)
    assert int(tags["label wrong"].tagged.sum()) == 1
    again = tmp_path / "again.csv"
    errors.write_sheet(sheet, store, again)
    assert "'=seen at night" in again.read_text().splitlines()[0]
    assert ',"\'=1+1",' in again.read_text()
    raw = tmp_path / "again.raw.csv"
    errors.write_sheet(sheet, store, raw)
    assert ',"=1+1",' in raw.read_text()
    assert errors.read_sheet(sheet, store, raw) == 0


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("id,dog\nnobody,1\n", "the example 'nobody' is not in dev"),
        ("name,dog\na,1\n", "there is no column id"),
        ("id,dog\n{id},maybe\n", "'maybe' is neither yes nor no"),
        (f"id,{'x' * 3000}\n{{id}},1\n", "a tag or comment has at most 2,000 characters; that of a column"),
        (f"id,comment\n{{id}},{'x' * 3000}\n", "a tag or comment has at most 2,000 characters; that of"),
        ("id,dog\n{id}\n", "line 2 has 1 cells, the header 2"),
        ("", "there is no column id"),
    ],
)
def test_an_unreadable_sheet_is_refused_and_changes_nothing(table_run, tmp_path, text, what):
    sheet, store = open_sheet(table_run.folder), TagStore(table_run.path)
    before = store.since(0)[0]
    path = tmp_path / "bad.csv"
    path.write_text(text.format(id=sheet.ids[0]))
    with pytest.raises(DataError, match=what):
        errors.read_sheet(sheet, store, path)
    assert store.since(0)[0] == before


def test_a_fits_report_has_automatic_tags_and_report_yes_adds_those_of_people(picture_run, capsys, tmp_path):
    run = str(picture_run.path)
    page = picture_run.report.read_text()
    assert "What the mistakes on dev have in common" in page
    assert "confident mistake" in page
    assert "dark picture" not in page  # nobody has looked at the pictures yet
    sheet, store = open_sheet(picture_run.folder), TagStore(picture_run.path)
    reviewed = [sheet.id_of(int(position)) for position in sheet.order[:5]]
    store.record([TagEvent("", "", "new", "<b>hazy")], "ann")
    store.record(
        [TagEvent("dev", one, "tag", "<b>hazy", str(int(place < 2))) for place, one in enumerate(reviewed)], "ann"
    )
    assert main(["errors", run, "report=yes"]) == 0
    assert "report.html" in capsys.readouterr().out
    page = picture_run.report.read_text()
    row = re.search(r"<tr><th scope=.row.>&lt;b&gt;hazy</th>.*?</tr>", page)[0]
    assert "2 of 5" in row
    assert "40.0\u00a0%" in row  # its share of the errors looked at; 0.6 of the dev error would be left
    assert f"{60 * sheet.error:.1f}\u00a0%" in row
    assert f"5 of {sheet.errors.count} mistakes were reviewed, as of 2" in page
    assert "dark picture" in page
    assert "<b>hazy" not in page
    assert main(["errors", run, "report=perhaps"]) == 2


def test_a_report_is_not_replaced_by_one_without_its_examples(picture_run, capsys):
    folder, before = Path(picture_run.folder.load_data()["reopen"]), picture_run.report.read_text()
    moved = folder.rename(folder.with_name("moved"))
    try:
        assert main(["errors", str(picture_run.path), "report=yes"]) == 2
    finally:
        moved.rename(folder)
    assert "the report shows examples" in capsys.readouterr().err
    assert picture_run.report.read_text() == before


def test_unreadable_tags_do_not_prevent_the_report(picture_run, tmp_path):
    sheet, broken = open_sheet(picture_run.folder), TagStore(tmp_path)
    broken.path.write_bytes(b"no database at all, and long enough for a header" * 9)
    found = tag_sheet(sheet, broken)
    assert "tags.sqlite is not a file of tags" in found.note
    assert {one.kind for one in found.shares}.isdisjoint({"yours"})
    assert found.shares


def test_right_answers_have_the_same_sheet(table_run, tmp_path):
    sheet, store = open_sheet(table_run.folder), TagStore(table_run.path)
    right = errors.write_sheet(sheet, store, tmp_path / "right.csv", rows="right")
    every = errors.write_sheet(sheet, store, tmp_path / "all.csv", rows="all")
    assert (right, every) == (len(sheet.table) - sheet.errors.count, len(sheet.table))


def test_without_the_data_the_tags_from_predictions_remain(picture_run):
    folder = Path(picture_run.folder.load_data()["reopen"])
    moved = folder.rename(folder.with_name("moved"))
    try:
        found = errors.errors(picture_run)
    finally:
        moved.rename(folder)
    assert "the examples themselves were not examined" in found.note
    assert {one.kind for one in found.shares}.isdisjoint({"picture", "row"})


def test_the_command_prints_a_table_or_one_object(table_run, capsys, tmp_path):
    run = str(table_run.path)
    assert main(["errors", run, f"out={tmp_path / 'e.csv'}"]) == 0
    shown = capsys.readouterr().out
    assert "examples are wrong" in shown
    assert "saved" in shown
    assert main(["errors", run, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["tags"]
    assert value["tags"][0].keys() >= {"name", "share", "ceiling", "left", "among_right", "is_specific"}
    assert main(["errors", run, f"out={tmp_path / 'e.csv'}"]) == 2  # is there already
    assert "not overwritten" in capsys.readouterr().err
    assert main(["errors", run, "rows=wrong"]) == 2
    assert main(["errors", run, "out=e.xlsx"]) == 2


def test_costs_order_the_sheet_and_come_back_from_the_csv(table_run, tmp_path):
    before = errors.errors(table_run)
    first = before.shares[0].name
    dear = errors.errors(table_run, cost=f"{first}=1000; label wrong=0.5")
    assert dear.shares[0].name != first
    assert next(one for one in dear.shares if one.name == first).cost == 1000
    path = tmp_path / "errors.csv"
    errors.errors(table_run, out=path)
    head = next(csv.reader(path.read_text().splitlines()))
    assert f"auto: {first} [cost 1000]" in head
    assert head.index(f"auto: {first} [cost 1000]") > min(n for n, one in enumerate(head) if one.startswith("auto: "))
    edited = tmp_path / "edited.csv"
    edited.write_text(path.read_text().replace(f"{first} [cost 1000]", f"{first} [cost 1]"))
    assert errors.errors(table_run, tags=edited).changed == 1
    after = errors.errors(table_run, cost="label wrong=1")  # other tests may have tagged this run so
    assert [one.name for one in after.shares] == [one.name for one in before.shares]
    with pytest.raises(UsageError, match="'0' is not a cost of fixing 'dog'"):
        errors.errors(table_run, cost="dog=0")
