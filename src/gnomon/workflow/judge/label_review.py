"""What people say of likely wrong labels: a sheet out and back in, what it implies for all labels, corrections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gnomon.core.errors import DataError, UsageError
from gnomon.core.given import read_given
from gnomon.core.seeds import generator
from gnomon.core.spreadsheet import from_csv
from gnomon.core.spreadsheet import to_csv as csv_of
from gnomon.metrics.interval import Interval
from gnomon.runs.writer import write_bytes
from gnomon.strategy.labels import (
    PARTS,
    VERDICTS,
    WRONG,
    CleanVerdict,
    Concentration,
    Part,
    Suspects,
    decide_cleaning,
    draw_review,
    estimate_total,
    find_concentrations,
)

TOP, RANDOM = 100, 100  # of a review sheet
SHEET = (
    "id", "part", "stands_for", "given", "suggested", "p_given", "p_suggested", "model_errs", "verdict", "label",
    "comment",
)  # fmt: skip


@dataclass(frozen=True)
class Audit:
    """One split, its labels compared with probabilities from models that have not seen them."""

    split: str
    ids: tuple[str, ...]  # (N,)
    suspects: Suspects
    errs: np.ndarray  # (N,) bool: the model's answer differs from the given label
    tags: Mapping[str, np.ndarray] = field(default_factory=dict)  # {name: (N,) values}
    origin: str = ""  # where the probabilities come from, in words

    @property
    def error(self) -> float:
        return float(self.errs.mean())


@dataclass(frozen=True)
class ReviewedRow:
    """One row of a sheet that came back: verdict "" if not reviewed."""

    position: int
    part: str
    stands_for: float
    verdict: str
    label: str


@dataclass(frozen=True)
class Reviewed:
    """What the reviewed rows say about the whole split."""

    num_reviewed: int
    verdicts: dict[str, int]
    wrong: Interval  # share of wrong labels in the split
    precision: Interval | None  # share of the reviewed top suspects whose label is wrong
    cleaning: CleanVerdict
    concentrations: tuple[Concentration, ...]
    rows: tuple[ReviewedRow, ...]


def write_review(found: Audit, path: Path, *, top: int = TOP, random: int = RANDOM, seed: int = 0) -> int:
    """Write the sheet for a person to fill in; returns its number of rows. Raises UsageError if the file exists."""
    suspects = found.suspects
    drawn = draw_review(suspects, top=top, random=random, rng=generator(seed, "label review", found.split))
    rows = []
    for place, position in enumerate(drawn.positions.tolist()):
        given, suggested = int(suspects.given[position]), int(suspects.suggested[position])
        rows.append(
            {
                "id": found.ids[position],
                "part": drawn.parts[place],
                "stands_for": round(float(drawn.stands_for[place]), 6),
                "given": suspects.class_names[given],
                "suggested": suspects.class_names[suggested],
                "p_given": round(float(suspects.probabilities[position, given]), 4),
                "p_suggested": round(float(suspects.probabilities[position, suggested]), 4),
                "model_errs": int(found.errs[position]),
            }
        )
    write_bytes(path, csv_of(SHEET, rows))
    return len(rows)


def read_review(found: Audit, path: Path) -> tuple[ReviewedRow, ...]:
    """The rows of a sheet, checked against the audit. Raises DataError naming the invalid line."""
    missing = UsageError("there is no such file.", where=str(path), fix="write one first: out=review.csv.")
    data = read_given(path, missing=missing)
    try:
        names, lines = from_csv(data)
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{error}.", where=str(path), fix="save it as CSV with its header.") from None
    lacking = [name for name in ("id", "part", "stands_for", "given", "suggested", "verdict") if name not in names]
    if lacking:
        raise DataError(f"has no column {lacking[0]!r}.", where=str(path), fix="keep the columns it was written with.")
    position_of = {one: position for position, one in enumerate(found.ids)}
    rows: dict[int, ReviewedRow] = {}
    for number, line in enumerate(lines, start=2):
        one = _parsed_row(line, f"{path}, line {number}", position_of, found.suspects)
        if one.position in rows:
            raise DataError(f"{line['id']!r} appears twice.", where=f"{path}, line {number}", fix="keep one row of it.")
        rows[one.position] = one
    return tuple(rows.values())


def _parsed_row(line: Mapping[str, str], where: str, position_of: Mapping[str, int], suspects: Suspects) -> ReviewedRow:
    verdict, label, part = (line.get(key, "").strip() for key in ("verdict", "label", "part"))
    if line["id"] not in position_of:
        raise DataError(f"{line['id']!r} is not in this split.", where=where, fix="use this split's own sheet.")
    position = position_of[line["id"]]
    given = suspects.class_names[suspects.given[position]]
    if line["given"] != given:
        raise DataError(
            f"{line['id']!r} is labelled {given!r} now, {line['given']!r} in the sheet.",
            where=where, fix="write a new sheet: labels have changed since.",
        )  # fmt: skip
    if verdict.lower() not in ("", *VERDICTS):
        raise DataError(f"{verdict!r} is not a verdict.", where=where, fix=f"write one of {', '.join(VERDICTS)}.")
    if label and label not in suspects.class_names:
        raise DataError(
            f"{label!r} is not a class.", where=where, fix=f"write one of {', '.join(suspects.class_names)}."
        )
    if part not in PARTS:
        raise DataError(f"unknown part {part!r}.", where=where, fix="do not change the columns part and stands_for.")
    try:
        stands_for = float(line["stands_for"].replace(",", "."))
    except ValueError:
        stands_for = float("nan")
    if not 1 <= stands_for <= len(position_of):
        raise DataError(
            f"stands_for={line['stands_for']!r} is not a valid number.", where=where,
            fix="do not change the columns part and stands_for.",
        )  # fmt: skip
    if verdict.lower() == "suggested" and not label:
        label = line["suggested"]
        if label not in suspects.class_names:
            raise DataError(f"{label!r} is not a class.", where=where, fix="do not change the column suggested.")
    return ReviewedRow(position, part, stands_for, verdict.lower(), label)


def judge_review(found: Audit, rows: Sequence[ReviewedRow], *, difference: float | None = None) -> Reviewed:
    """Wrong labels in the whole split, with an interval; where they cluster; whether cleaning is worth it.

    difference: between the errors of models compared on this split. Raises UsageError if there are no verdicts.
    """
    looked = [one for one in rows if one.verdict]
    if not looked:
        raise UsageError(
            "no row of the sheet has a verdict.", fix=f"write {', '.join(VERDICTS)} into the column verdict."
        )
    total, errs = len(found.ids), found.errs
    wrong = estimate_total(_parts(rows, lambda one: one.verdict in WRONG), _not_drawn(rows, total))
    erring = _parts([one for one in rows if errs[one.position]], lambda one: one.verdict in WRONG)
    due = estimate_total(erring, max(int(errs.sum()) - sum(part.size for part in erring), 0))
    top = next((part for part in _parts(rows, lambda one: one.verdict in WRONG) if part.name == "suspect"), None)
    precision = None
    if top is not None and top.reviewed:
        of_top = estimate_total([top])
        precision = Interval(top.found / top.reviewed, of_top.low / top.size, of_top.high / top.size, of_top.method)
    is_wrong, true = np.zeros(total, dtype=bool), np.full(total, -1)
    codes = {name: code for code, name in enumerate(found.suspects.class_names)}
    for one in looked:
        if one.verdict in WRONG:
            is_wrong[one.position] = True
            true[one.position] = codes.get(one.label, -1)
    places = find_concentrations(found.suspects.given, true, is_wrong, found.suspects.class_names, found.tags)
    return Reviewed(
        len(looked),
        {name: sum(one.verdict == name for one in looked) for name in VERDICTS},
        _over(wrong, total),
        precision,
        decide_cleaning(found.error, _over(due, total), difference=difference),
        places,
        tuple(rows),
    )


def _parts(rows: Sequence[ReviewedRow], is_found: Any) -> list[Part]:
    parts = []
    for name in PARTS:
        of_part = [one for one in rows if one.part == name]
        looked = [one for one in of_part if one.verdict]
        if of_part:
            size = round(sum(one.stands_for for one in of_part))
            parts.append(Part(name, max(size, len(looked)), len(looked), sum(map(is_found, looked))))
    return parts


def _not_drawn(rows: Sequence[ReviewedRow], total: int) -> int:
    """Examples of parts that have no row in the sheet."""
    return max(total - round(sum(one.stands_for for one in rows)), 0)


def _over(count: Interval, total: int) -> Interval:
    return Interval(count.value / total, count.low / total, min(count.high / total, 1.0), count.method)


def corrections(found: Audit, rows: Sequence[ReviewedRow]) -> pl.DataFrame:
    """Columns id, given, label: rows whose label was found wrong; label is null if nobody knows the right one."""
    wrong = [one for one in rows if one.verdict in WRONG]
    names = found.suspects.class_names
    return pl.DataFrame(
        {
            "id": [found.ids[one.position] for one in wrong],
            "given": [names[found.suspects.given[one.position]] for one in wrong],
            "label": [one.label or None for one in wrong],
        },
        schema={"id": pl.String, "given": pl.String, "label": pl.String},
    )


def write_corrections(table: pl.DataFrame, path: Path) -> None:
    """As CSV, safe for spreadsheets."""
    write_bytes(path, csv_of(table.columns, table.iter_rows(named=True)))
