"""Tables of thousands of columns: the same values as column by column, in a time that grows with their number alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core.settings import DataSettings
from gnomon.data.features import encode_features, fit_features
from gnomon.data.tables import plan_targets, read_table
from gnomon.data.tables.kinds import Tally

# fmt: off
CELLS = ["0", "7", "-12", "+5", "1.5", "2.250", "1.165", "12.3e2", "007", "", "NA", "x", "1,5", " 3",
         "99999999999999999999",          "2024-01-02", "true", "inf", "nan", "$5", "-0.0", "1e400"]
# fmt: on


def read(rows, **options):
    names = [f"c{i}" for i in range(len(rows[0]))]
    text = ",".join(names) + "\n" + "".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in rows)
    return read_table("t.csv", DataSettings(**options), content=text.encode())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from(CELLS), min_size=6, max_size=6), min_size=2, max_size=9), st.booleans())
def test_columns_read_at_once_are_those_read_one_by_one(rows, in_blocks):
    with pytest.MonkeyPatch.context() as patch:
        if in_blocks:
            patch.setattr("gnomon.data.tables.text.BLOCK_BYTES", 64)
            patch.setattr("gnomon.data.tables.text.BYTES_A_COLUMN", 1)
        at_once = read(rows)
        patch.setattr(Tally, "takes_plain", False)
        one_by_one = read(rows)
    assert at_once.frame.equals(one_by_one.frame)
    assert at_once.frame.schema == one_by_one.frame.schema
    assert at_once.kinds == one_by_one.kinds
    assert at_once.notes == one_by_one.notes


def test_many_columns_are_encoded_as_each_of_them_alone():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 700)) * 10.0 ** rng.integers(-9, 9, 700)
    values[rng.random(values.shape) < 0.05] = np.nan
    frame = pl.DataFrame(values, schema=[f"c{i}" for i in range(700)]).fill_nan(None)
    features, _ = fit_features(frame, frame.columns)
    numbers, _ = encode_features(frame, features)
    place = 0
    for i, name in enumerate(frame.columns):
        (alone,), _ = fit_features(frame, [name])
        assert alone == features[i]
        present = frame[name].drop_nulls().to_numpy()
        assert alone.mean == pytest.approx(present.mean(), rel=1e-9, abs=1e-12 * np.abs(present).max())
        width = 1 + alone.has_missing
        np.testing.assert_array_equal(numbers[:, place : place + width], encode_features(frame, [alone])[0])
        place += width


def test_leaks_among_many_columns_are_found():
    rng = np.random.default_rng(0)
    target = rng.normal(size=60).round(3)
    frame = pl.DataFrame(rng.normal(size=(60, 600)), schema=[f"c{i}" for i in range(600)])
    gaps = [None if i == 7 else one for i, one in enumerate((3 - 2 * target).tolist())]
    columns = {
        "y": target,
        "same": target,
        "line": 5 * target + 1,
        "gaps": gaps,
        "noisy": target + rng.normal(size=60) / 1000,
    }
    table = read_csv_of(frame.with_columns(**{name: pl.Series(values) for name, values in columns.items()}))
    said = "\n".join(plan_targets(table, DataSettings(target=("y",))).notes)
    assert "same equals y" in said
    assert "line is a linear function of y" in said
    assert "gaps is a linear function of y" in said
    assert "noisy" not in said
    classes = rng.integers(0, 3, 60)
    named = np.array(["red", "green", "blue"])[classes]
    holes = [None if i == 9 else one for i, one in enumerate(named.tolist())]
    columns = {"y": classes, "word": named, "holes": holes, "chance": rng.integers(0, 3, 60)}
    table = read_csv_of(frame.with_columns(**{name: pl.Series(values) for name, values in columns.items()}))
    said = "\n".join(plan_targets(table, DataSettings(target=("y",))).notes)
    assert "word is another name for y" in said
    assert "holes is another name for y" in said
    assert "chance" not in said


def read_csv_of(frame):
    return read_table("t.csv", DataSettings(target=("y",)), content=frame.write_csv().encode())


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_time_a_column_takes_does_not_grow_with_their_number(tmp_path, kind):
    rng = np.random.default_rng(0)
    seconds = {}
    for width in (250, 2_500):
        frame = pl.DataFrame(rng.normal(size=(200, width)).round(3), schema=[f"c{i}" for i in range(width)])
        frame = frame.with_columns(y=pl.Series(rng.integers(0, 2, 200)))
        path = tmp_path / f"{width}.{kind}"
        frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
        start = time.process_time()
        table = read_table(path, DataSettings(target=("y",)))
        plan = plan_targets(table, DataSettings(target=("y",)))
        features, _ = fit_features(table.frame, plan.features)
        encode_features(table.frame, features)
        seconds[width] = time.process_time() - start
    assert seconds[2_500] < 4 * 10 * max(seconds[250], 0.02)


KINDS = {  # how a column's cells are drawn, and how often polars may be called for each such column
    "number": (lambda draw, rows: [f"{x:.2f}" for x in draw.normal(size=rows)], 0.5),
    "gaps": (lambda draw, rows: ["" if i % 9 == 0 else f"{x:.2f}" for i, x in enumerate(draw.normal(size=rows))], 0.5),
    "text": (lambda draw, rows: draw.choice(["red", "green", "blue"], rows), 10),
    "date": (lambda draw, rows: (np.datetime64("2020-01-01") + draw.integers(0, 900, rows)).astype(str), 20),
    "money": (lambda draw, rows: [f"${abs(x) * 1e4:,.2f}" for x in draw.normal(size=rows)], 40),
}


def drawn_columns(kind, count, rows):
    draw = np.random.default_rng(0)
    return {f"{kind}{i}": pl.Series(KINDS[kind][0](draw, rows)) for i in range(count)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_of_any_kind_takes_a_few_calls_of_polars(kind, monkeypatch):
    """Each call takes some 30 microseconds however few the cells are; there were 140 for a column of money."""
    calls = Counter()

    def counted(name, call):
        def counting(*given, **named):
            calls[name] += 1
            return call(*given, **named)

        return counting

    for name in ("select", "select_seq", "with_columns", "unique"):  # series call them, too
        monkeypatch.setattr(pl.DataFrame, name, counted(name, getattr(pl.DataFrame, name)))
    found = {}
    for width in (10, 50):
        content = pl.DataFrame(drawn_columns(kind, width, 40)).write_csv(quote_style="always").encode()
        calls.clear()
        table = read_table("t.csv", DataSettings(), content=content)
        features, _ = fit_features(table.frame, table.frame.columns, kinds=table.kinds)
        assert len(features) == width
        encode_features(table.frame, features)
        found[width] = calls.total()
    assert found[50] - found[10] <= 40 * KINDS[kind][1]
    assert found[10] > 0


@pytest.mark.slow
@pytest.mark.parametrize("is_mixed", [False, True], ids=["numbers", "mixed"])
def test_five_thousand_columns_are_read_trained_and_judged_in_a_minute_and_one_and_a_half_gigabytes(tmp_path, is_mixed):
    draw = np.random.default_rng(0)
    values = draw.normal(size=(2_000, 5_000)).round(4)
    frame = pl.DataFrame(values, schema=[f"c{i}" for i in range(5_000)])
    if is_mixed:
        others = [drawn_columns(kind, 500, 2_000) for kind in KINDS if kind != "number"]
        frame = frame.select(frame.columns[:3_000]).with_columns(
            **{name: s for one in others for name, s in one.items()}
        )
    frame.with_columns(label=pl.Series(values[:, :5].sum(1) > 0)).write_csv(tmp_path / "wide.csv")
    code = "import sys; from gnomon.cli import main; sys.exit(main(['fit', 'wide.csv', 'target=label']))"
    fit = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(fit.pid, 0)
    fit.returncode = os.waitstatus_to_exitcode(status)
    assert fit.returncode == 0
    assert used.ru_utime + used.ru_stime < 60  # of processor time: the machine may have other work
    assert used.ru_maxrss < 1_500_000  # kilobytes


def test_notes_about_thousands_of_columns_are_summed_up():
    rows = [[f"${i + j}" for j in range(300)] for i in range(30)]
    table = read(rows)
    assert table.frame.dtypes[0].is_numeric()
    assert len(table.notes) == 51
    assert table.notes[-1] == "The same kinds of notes apply to 250 more columns: c50, c51, c52 and 247 more."
