"""How numbers, dates and gaps are written is found out once, from whole columns, and kept for prediction."""

from __future__ import annotations

import datetime
import json
import random
import re

import pandas as pd
import polars as pl
import pytest

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.features import Feature, encode_features, fit_features, kinds_of
from gnomon.data.tables import Kind, plan_targets, read_table, table_from_frame, with_number_targets
from gnomon.data.tables.numbers import NumberForm

VALUES = [7, 1234, -56, 987_654, 12_345_678, 0, 83, -4321, 999, 5_000_000]


def read(text: str, *, kinds=None, **settings):
    return read_table("data.csv", DataSettings(**settings), content=text.encode(), kinds=kinds)


def column(cells, *, separator=";", more="", **settings):
    """The table of one column `v` of these cells, in quotes, beside a column of words."""
    rows = "".join(f'"{cell}"{separator}{"ab"[i % 2]}{more}\n' for i, cell in enumerate(cells))
    return read(f"v{separator}w{separator * bool(more)}{'m' * bool(more)}\n{rows}", delimiter=separator, **settings)


def said(table) -> str:
    return "\n".join(table.notes)


def grouped(value: int, mark: str) -> str:
    return f"{value:,}".replace(",", mark)


def lakhs(value: int) -> str:
    head, tail = divmod(abs(value), 1000)
    text = f"{tail}" if not head else f"{tail:03d}"
    while head:
        head, part = divmod(head, 100)
        text = f"{part:02d},{text}" if head else f"{part},{text}"
    return "-" * (value < 0) + text


# --- numbers in another dress ---------------------------------------------------------------------------------------
FORMS = {
    "commas between thousands": lambda v: grouped(v, ","),
    "points between thousands": lambda v: grouped(v, "."),
    "spaces": lambda v: grouped(v, " "),
    "spaces that do not break": lambda v: grouped(v, "\u00a0"),
    "narrow ones": lambda v: grouped(v, "\u202f"),
    "apostrophes": lambda v: grouped(v, "'"),
    "curly apostrophes": lambda v: grouped(v, "\u2019"),
    "underscores": lambda v: grouped(v, "_"),
    "lakhs": lakhs,
    "dollars": lambda v: f"${v}" if v >= 0 else f"-${-v}",
    "dollars, sign inside": lambda v: f"${v}",
    "dollars, grouped": lambda v: f"${grouped(v, ',')}",
    "US$": lambda v: f"US${v}",
    "euros": lambda v: f"{v} €",
    "euros in front": lambda v: f"€ {v}",
    "codes": lambda v: f"CHF {grouped(v, chr(39))}",
    "codes behind": lambda v: f"{v} USD",
    "crowns": lambda v: f"{v} kr",
    "percent": lambda v: f"{v}%",
    "percent with a space": lambda v: f"{v} %",
    "per mille": lambda v: f"{v}‰",
    "kilograms": lambda v: f"{v}kg",
    "a speed": lambda v: f"{v} km/h",
    "an area": lambda v: f"{v} m²",
    "a temperature": lambda v: f"{v}°C",
    "two words": lambda v: f"{v} sq ft",
    "brackets": lambda v: str(v) if v >= 0 else f"({-v})",
    "dollars in brackets": lambda v: f"${grouped(v, ',')}" if v >= 0 else f"(${grouped(-v, ',')})",
    "a minus behind": lambda v: str(v) if v >= 0 else f"{-v}-",
    "the minus of typographers": lambda v: f"{v}".replace("-", "\u2212"),
    "an en dash": lambda v: f"{v}".replace("-", "\u2013"),
    "a plus": lambda v: f"{v:+}",
    "an exponent": lambda v: f"{v}E+00",
    "spaces around": lambda v: f"\u00a0{v} ",
    "a trailing point": lambda v: f"{v}.",
}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("name", FORMS)
def test_numbers_in_one_format_are_read_with_a_note(name, separator):
    table = column([FORMS[name](v) for v in VALUES], separator=separator)
    assert table.frame["v"].to_list() == VALUES
    plain = ("a plus", "an exponent", "a trailing point")
    assert (name in plain) or "v is read as numbers" in said(table) or "v: spaces around" in said(table)


FRACTIONS = {
    "1,234.50": lambda v: f"{v / 4:,.2f}",
    "1.234,50": lambda v: f"{v / 4:,.2f}".translate(str.maketrans(",.", ".,")),
    "1 234,5": lambda v: f"{v / 4:,}".translate(str.maketrans(",.", " ,")),
    "1'234.5": lambda v: f"{v / 4:,}".replace(",", "'"),
    "1234,5": lambda v: str(v / 4).replace(".", ","),
    "$1,234.50": lambda v: f"${v / 4:,.2f}",
    "1.234,50 €": lambda v: f"{v / 4:,.2f} €".translate(str.maketrans(",.", ".,")),
    "12,5 %": lambda v: f"{v / 4} %".replace(".", ","),
    "(1,234.50)": lambda v: f"{v / 4:,.2f}" if v >= 0 else f"({-v / 4:,.2f})",
    "1,5E3": lambda v: f"{v / 4000}E3".replace(".", ","),
}


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("name", FRACTIONS)
def test_fractions_in_one_format_are_read(name, separator):
    table = column([FRACTIONS[name](v) for v in VALUES], separator=separator)
    assert table.frame["v"].to_list() == pytest.approx([v / 4 for v in VALUES])


def test_points_separate_thousands_if_another_column_has_decimal_commas():
    rng = random.Random(0)
    prices = [rng.choice([rng.randint(300, 999), rng.randint(1000, 4000)]) for _ in range(300)]
    sizes = [f"{rng.uniform(20, 200):.1f}".replace(".", ",") for _ in prices]
    body = "".join(f"{size};{grouped(price, '.')};A\n" for size, price in zip(sizes, prices, strict=True))
    table = read("size;price;city\n" + body)
    assert table.frame["price"].to_list() == prices
    line, price = next((line, price) for line, price in enumerate(prices, 2) if price >= 1000)
    assert f"price is read as numbers: '{grouped(price, '.')}' in line {line} is {price}" in said(table)


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        (["5kg", "300g", "7kg", "2g"], ["line 2 holds '5kg'", "line 3 holds '300g'"]),
        (["$5", "€7", "$9"], ["line 2 holds '$5'", "line 3 holds '€7'"]),
        (["45%", "0.45", "30%", "0.2"], ["line 2 holds '45%'", "'0.45'"]),
        (["1,5", "2.5", "3"], ["decimal comma (line 2 holds '1,5')", "a point (line 3 holds '2.5')"]),
        (["1.234,5", "1,234.5"], ["decimal comma", "a point"]),
        (["1.234.567", "1'234'567"], ["marked in two ways", "line 2 holds '1.234.567'"]),
        (["(5)", "7-", "3"], ["negative numbers are written in two ways", "'(5)'"]),
        (["(5)", "(7)", "(3)"], ["all of its numbers are in brackets", "'(5)'"]),
        (["007 kg", "012 kg"], ["'007 kg'", "whose leading zero would be lost"]),
    ],
)
def test_an_inconsistent_column_stays_text_and_shows_cells(cells, shown):
    table = column(cells)
    assert table.frame["v"].to_list() == cells
    assert "v stays text" in said(table)
    assert all(part in said(table) for part in shown)


def test_the_odd_cell_among_formatted_numbers_is_shown():
    cells = [*(f"${i}.50" for i in range(30)), "free"]
    table = column(cells)
    assert table.frame["v"].to_list() == cells
    assert "v stays text: line 32 holds 'free', though 30 of its 31 cells are numbers" in said(table)
    cells[30] = "7.50"
    assert "line 32 holds '7.50', though 30 of its 31 cells are numbers" in said(column(cells))


@pytest.mark.parametrize(
    "cells",
    [
        ["0x131", "0x2f"],
        ["192.168.0.1", "10.0.0.1"],
        ["12:30", "7:45"],
        ["555 1234", "555 9876"],
        ["1,23,4", "5,67,8"],
        ["10-20", "20-30"],
        ["A12", "A15"],
        ["1/2", "3/4"],
        ["+-5", "5"],
        ["--5", "5"],
        ["$", "%"],
        ["1e", "e1"],
        ["٣", "٤"],
    ],
)
def test_what_only_looks_a_bit_like_numbers_stays_text(cells):
    table = column(cells * 3)
    assert table.frame["v"].to_list() == cells * 3
    assert table.kinds["v"].name == "text"


OPEN = [f"{i}.{i + 130}" for i in range(1, 25)] + ["523", "77"]  # 1.131, 2.132 ...: thousands, or thousandths?


def test_an_ambiguous_separator_is_not_guessed_but_set_by_a_setting():
    table = column(OPEN)
    assert table.kinds["v"].name == "text"
    assert "v stays text: '1.131' in line 2 may be a thousand or a fraction: set decimal=. or decimal=," in said(table)
    assert column(OPEN, decimal=",").frame["v"][0] == 1131
    assert column(OPEN, decimal=".").frame["v"][0] == 1.131
    assert column(OPEN, separator=",").frame["v"][0] == 1.131  # where commas separate fields, points are decimal
    commas = [cell.replace(".", ",") for cell in OPEN]
    assert column(commas, separator=",").frame["v"][0] == 1131
    assert column(commas, decimal=",").frame["v"][0] == 1.131
    assert column(commas, more=";0.5").frame["v"][0] == 1131  # another column says what points are


def test_group_and_time_columns_are_read_as_plain_values_or_stay_text():
    text = "id,when,x\n" + "".join(f'"{1000 + i:,}",{i},a\n' for i in range(9))
    table = read(text, group="id", time="when")
    assert table.frame["id"][0] == "1,000"
    assert table.frame["when"].to_list() == list(range(9))


# --- the form is kept -----------------------------------------------------------------------------------------------
def features_of(table) -> tuple[Feature, ...]:
    """Fitted on the column v, after a trip through JSON."""
    features, _ = fit_features(table.frame, ["v"], kinds=table.kinds)
    return tuple(Feature.from_json(json.loads(json.dumps(feature.to_json()))) for feature in features)


def predicted(features, cells, *, separator=";"):
    rows = "".join(f'"{cell}"{separator}x\n' for cell in cells)
    table = read(f"v{separator}w\n{rows}", kinds=kinds_of(features), delimiter=separator)
    return encode_features(table.frame, features)[0][:, 0]


@pytest.mark.parametrize("name", FORMS)
def test_one_cell_alone_is_the_same_number_as_in_its_column(name):
    cells = [FORMS[name](v) for v in VALUES]
    table = column(cells)
    features = features_of(table)
    whole = encode_features(table.frame, features)[0][:, 0]
    assert [predicted(features, [cell])[0] for cell in cells] == whole.tolist()


@pytest.mark.parametrize(
    ("trained", "odd", "like"),
    [
        (["1,5", "2,25"], "1.5", "'1234,5'"),
        (["1.234,5", "7.000,25"], "1234.5", "'1.234,5'"),
        (["1.5", "2.25"], "1,5", ""),
        (["45%", "7%"], "0.45", "'1234.5%'"),
        (["45%", "7%"], "45", "'1234.5%'"),
        (["$5", "$7"], "€5", "'$1234.5'"),
        (["5 kg", "7 kg"], "5 lb", "'1234.5 kg'"),
        (["1234", "567"], "(567)", ""),
    ],
)
def test_a_cell_that_does_not_fit_the_form_of_training_is_refused_not_guessed(trained, odd, like):
    features = features_of(column(trained * 2))
    message = f"column 'v' holds numbers{' like ' if like else ''}{like}, but line 3 holds '{odd}'"
    with pytest.raises(DataError, match=re.escape(message)):
        predicted(features, [trained[0], odd])


def test_typed_numbers_fit_every_format_and_a_unit_is_noted():
    features = features_of(column(["45%", "7%"] * 2))
    table = table_from_frame(pl.DataFrame({"v": [45.0, 7.0]}), DataSettings(), kinds=kinds_of(features))
    assert table.frame["v"].to_list() == [45, 7]
    assert "v: numbers are used as they are; in training they were written like '1234.5%'" in said(table)


def test_features_of_runs_older_than_saved_formats_read_plain_numbers():
    facts = Feature("v", "number", 1.0, 2.0, 1.5).to_json()
    del facts["form"]
    from gnomon.core.facts import checked_facts

    assert checked_facts(Feature, facts).form == NumberForm()


# --- gaps -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "word", ["NA", "n/a", "#N/A", "NULL", "None", "?", "-", "--", "NaN", "<NA>", "#DIV/0!", "unknown"]
)
@pytest.mark.parametrize("share", [2, 7, 18])
def test_usual_words_for_missing_are_missing_in_columns_of_numbers_and_dates(word, share):
    rows = "".join(
        f"{word if i % 20 < share else i / 4},{word if i % 20 < share else f'2024-01-{i % 20 + 1:02d}'},a\n"
        for i in range(40)
    )
    table = read("n,d,w\n" + rows)
    assert table.frame["n"].dtype == pl.Float64
    assert table.frame["d"].dtype == pl.Date
    for name in ("n", "d"):
        assert table.frame[name].null_count() == 2 * share
        assert f"{name}: {2 * share} cells are read as missing (line 2 holds '{word}')" in said(table)


def test_such_words_among_others_are_kept_and_the_setting_to_change_it_is_named():
    table = read("city,kind,x\n" + "".join(f"{c},{c},{i}\n" for i, c in enumerate(["NA", "Rome", "Oslo"] * 3)))
    assert table.frame["city"][0] == "NA"
    assert "'NA' is a value of its own in city, kind: set missing=NA if it means that the value is unknown." in said(
        table
    )
    assert read("city,x\nNA,1\nRome,2\n", missing=("", "NA")).frame["city"][0] is None


# --- dates ----------------------------------------------------------------------------------------------------------
# fmt: off
DAYS = ["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y",
        "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y", "%a, %d %b %Y", "%A, %B %d, %Y"]
# fmt: on
TIMES = [
    "",
    " %H:%M",
    " %H:%M:%S",
    "T%H:%M:%S",
    " %H:%M:%S.%f",
    " %I:%M %p",
    " %I:%M:%S %p",
    ", %I:%M:%S %p",
    "T%H:%M:%SZ",
    " %H:%M UTC",
]
MOMENTS = [
    datetime.datetime(2024, 1, 31, 23, 5),
    datetime.datetime(1999, 12, 1, 0, 0),
    datetime.datetime(2031, 5, 17, 12, 45),
]


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("day", DAYS)
def test_dates_in_one_format_are_read_as_python_formats_them(day, time):
    table = read("v;w\n" + "".join(f'"{moment.strftime(day + time)}";x\n' for moment in MOMENTS), delimiter=";")
    expected = MOMENTS if time else [moment.date() for moment in MOMENTS]
    assert table.frame["v"].to_list() == expected
    trained = table.kinds["v"]
    again = read(f'v;w\n"{MOMENTS[1].strftime(day + time)}";x\n', kinds={"v": trained}, delimiter=";")
    assert again.frame["v"].to_list() == expected[1:2]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["01/02/2024", "03/04/2024"], "day/month/year or month/day/year"),
        (["01-02-24", "03-04-24"], "day-month-year"),
        (["1/2/2024 5:06 PM", "3/4/2024 7:00 AM"], "day/month/year or month/day/year"),
    ],
)
def test_dates_of_unclear_order_stay_text_with_a_note(cells, words):
    table = column(cells * 2)
    assert table.kinds["v"].name == "text"
    assert f"v stays text: its dates may be {words}" in said(table)


def test_orders_two_digit_years_and_zones_are_noted():
    assert "v is read as month/day/year, with the years 00 to 69 as 2000 to 2069." in said(
        column(["12/31/24", "1/2/23"])
    )
    assert "v is read as in UTC." not in said(column(["2024-12-31", "2023-01-02"]))
    assert "UTC" in said(column(["2024-12-31 10:00:00+02:00", "2023-01-02 11:00:00Z"]))


@pytest.mark.parametrize(
    ("trained", "given"),
    [
        (["2024-12-31", "2023-01-02"], "01/02/2024"),
        (["2024-12-31", "2023-01-02"], "25/12/2024"),
        (["31/12/2024", "02/01/2023"], "12/31/2024"),
        (["31.12.2024", "02.01.2023"], "31 Dec 2024"),
        (["2024-12-31T10:00:00Z", "2023-01-02T11:00:00Z"], "2024-12-31T10:00:00"),
        (["2024-12-31 10:00", "2023-01-02 11:00"], "2024-12-31 10:00Z"),
    ],
)
def test_dates_in_another_form_than_that_of_training_are_refused(trained, given):
    features = features_of(column(trained * 3))
    with pytest.raises(DataError, match=rf"column 'v' holds dates like '.*', but line 2 holds '{given}'"):
        predicted(features, [given])


def test_iso_dates_are_read_whatever_the_form_of_training_was():
    features = features_of(column(["31/12/2024", "02/01/2023", "03/01/2023"]))
    assert predicted(features, ["2024-12-31"]) == predicted(features, ["31/12/2024"])


def test_a_time_is_the_same_input_in_every_zone():
    moments = pd.Series(pd.date_range("2024-03-30", periods=6, freq="11h", tz="Europe/Berlin"))
    frames = [pd.DataFrame({"v": moments.dt.tz_convert(zone)}) for zone in ("Europe/Berlin", "America/New_York", "UTC")]
    tables = [table_from_frame(frame, DataSettings()) for frame in frames]
    text = column([moment.isoformat() for moment in moments])
    assert len({tuple(table.frame["v"].to_list()) for table in (*tables, text)}) == 1
    features = features_of(tables[0])
    for frame in frames:
        table = table_from_frame(frame, DataSettings(), kinds=kinds_of(features))
        assert table.frame["v"].to_list() == tables[0].frame["v"].to_list()
    assert predicted(features, [moments[0].isoformat()])[0] == encode_features(tables[1].frame, features)[0][0, 0]
    naive = pd.DataFrame({"v": moments.dt.tz_localize(None)})
    with pytest.raises(DataError, match="the times of column 'v' have no time zone; in training they had one"):
        table_from_frame(naive, DataSettings(), kinds=kinds_of(features))
    other = features_of(table_from_frame(naive, DataSettings()))
    with pytest.raises(DataError, match="the times of column 'v' have a time zone; in training they had none"):
        table_from_frame(frames[0], DataSettings(), kinds=kinds_of(other))


def test_dates_outside_the_years_1_to_9999_are_missing_in_inputs_and_refused_elsewhere():
    far = pl.Series("d", [0, 10**7, 5], dtype=pl.Int32).cast(pl.Date)
    table = table_from_frame(pl.DataFrame({"d": far, "y": [1, 2, 3]}), DataSettings())
    assert table.frame["d"].to_list() == [datetime.date(1970, 1, 1), None, datetime.date(1970, 1, 6)]
    assert "d: 1 cell outside the years 1 to 9999 (the first is row 2)" in said(table)
    with pytest.raises(DataError, match=r"column 'd': 1 cell outside the years 1 to 9999 \(the first is row 2\)"):
        table_from_frame(pl.DataFrame({"d": far, "y": [1, 2, 3]}), DataSettings(time="d"))
    assert column(["0000-00-00", "2024-01-02", "2024-01-03"]).frame["v"].null_count() == 1


# --- targets --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("write", [lambda v: f'"{v * 1000:,}"', lambda v: f"${v}", lambda v: f'"{v},5"'])
def test_a_target_written_with_marks_or_units_is_a_number(write):
    rows = "".join(f"{i * i},{write(i % 90 + 1)}\n" for i in range(180))
    table = read("x,price\n" + rows, target=("price",))
    plan = plan_targets(table, DataSettings(target=("price",)))
    assert plan.form == "regression"
    assert "price" in said(table)


def test_a_few_such_values_are_classes_as_written_and_numbers_only_on_request():
    rows = "".join(f"{i * i},{(38, 42, 44)[i % 3]}mm\n" for i in range(60))
    settings = DataSettings(target=("size",))
    table = read("x,size\n" + rows, target=("size",))
    plan = plan_targets(table, settings)
    assert (plan.form, plan.targets[0].class_names) == ("classification", ("38mm", "42mm", "44mm"))
    asked = with_number_targets(table)
    assert plan_targets(asked, settings, form="regression").form == "regression"
    assert asked.frame["size"].to_list()[:3] == [38, 42, 44]


def test_texts_of_a_frame_that_look_like_numbers_or_dates_are_reported():
    frame = pl.DataFrame({"a": ["$5", "$7"], "b": ["2024-01-02", "2024-01-03"], "c": ["x", "y"]})
    notes = said(table_from_frame(frame, DataSettings()))
    assert "a contains numbers, but its type is text" in notes
    assert "b contains dates, but its type is text" in notes
    assert "c contains" not in notes


def test_a_required_kind_without_a_format_reads_only_plain_numbers():
    with pytest.raises(DataError, match=r"holds numbers, but line 2 holds '\$5'"):
        read("n,x\n$5,1\n", kinds={"n": Kind("number")})


def test_commas_between_thousands_beside_points_that_may_be_decimal_are_read_and_said():
    table = read_table("t.csv", DataSettings(), content=b'c\n"12,34,567"\n1.008\n-7\n')
    assert table.frame["c"].to_list() == [1234567.0, 1.008, -7.0]
    assert table.notes == ("c is read as numbers: '12,34,567' in line 2 is 1234567.",)


def test_digits_of_other_scripts_stay_text_rather_than_become_missing():
    table = read_table("t.csv", DataSettings(), content='c\n"٣"\n"1.007,5"\n"2.500,0"\n'.encode())
    assert table.frame["c"].cast(pl.String).to_list() == ["٣", "1.007,5", "2.500,0"]
