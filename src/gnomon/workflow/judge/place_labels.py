"""labels of boxes, masks, spans, pairs and identities: suspects as places, a review sheet, how many are wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gnomon.core.errors import DataError, UsageError
from gnomon.core.given import read_given
from gnomon.core.seeds import generator
from gnomon.core.spreadsheet import from_csv
from gnomon.core.spreadsheet import to_csv as csv_of
from gnomon.metrics import box_table, identity_table, mask_table, pair_table, span_table
from gnomon.metrics.interval import Interval
from gnomon.metrics.spans import Span
from gnomon.runs.writer import write_bytes
from gnomon.strategy import box_labels, identity_labels, mask_labels, pair_labels, span_labels
from gnomon.strategy.labels import VERDICTS, WRONG, Part, estimate_total
from gnomon.strategy.mask_errors import class_names

if TYPE_CHECKING:
    import polars as pl

    from gnomon.metrics.box_table import BoxTable
    from gnomon.metrics.identity_table import IdentityTable

BEFORE, BEHIND = ("id", "part", "stands_for", "kind", "given", "suggested"), ("sureness", "verdict", "comment")
SUSPECT, RIGHT = "suspect", "right"  # parts of a sheet
OF_BOXES = ("left", "top", "right", "bottom")  # sides of a place, in pixels ...
OF_SPANS = ("start", "end")  # ... or in characters
WHOLE = ()  # of what is suspect as a whole
BECOMES = " => "  # between a source and its target

Sides = tuple[float, ...]


@dataclass(frozen=True)
class Place:
    """A place in a picture or a text where a label is, or should be; a pair of texts as a whole."""

    id: str  # of the picture or text
    kind: str  # "missing label", "wrong class" ...; "" for a label that is not suspect
    given: str  # class; "" where there is no label
    suggested: str
    box: Sides  # of the suggestion; of a label that is not suspect, its own
    sureness: float


@dataclass(frozen=True)
class PlaceAudit:
    """One split, its labelled boxes or masks compared with answers of models that have not seen them."""

    split: str
    what: str  # "labelled boxes", "pictures with masks": what was audited ...
    count: int  # ... and how many there are
    suspects: tuple[Place, ...]  # most suspect first
    others: tuple[Place, ...]  # labels, or whole pictures, that are not suspect
    origin: str  # where the answers come from, in words
    sides: tuple[str, ...] = OF_BOXES  # what the numbers of a place are


@dataclass(frozen=True)
class PlacesReviewed:
    """What the reviewed rows say."""

    num_reviewed: int
    verdicts: Mapping[str, int]
    by_kind: Mapping[str, tuple[int, int]]  # {kind: (wrong labels, reviewed)} of the suspects
    wrong: Interval  # wrong places in the split, in all


@dataclass(frozen=True)
class PlaceFindings:
    """What the verb found, read and wrote."""

    audit: PlaceAudit
    reviewed: PlacesReviewed | None
    out: Path | None
    written: int


def findings(
    audit: PlaceAudit, sheet: Path | None, review: str | Path | None, *, top: int, random: int
) -> PlaceFindings:
    """The audit, with what a filled-in review says, and a new sheet written."""
    reviewed = None if review is None else judge_review(audit, Path(review))
    written = 0 if sheet is None else write_review(audit, sheet, top=top, random=random)
    return PlaceFindings(audit, reviewed, sheet, written)


def audit_places(table: pl.DataFrame, split: str, origin: str) -> PlaceAudit:
    """Of a table of boxes, masks, spans, or pairs of texts or pictures. Raises DataError for other cells."""
    if identity_table.is_identities(table):
        return _of_identities(identity_table.read(table), split, origin)
    if pair_table.is_pairs(table):
        return _of_pairs(table, split, origin)
    if span_table.is_spans(table):
        return _of_spans(table, split, origin)
    if box_table.is_boxes(table):
        read = box_table.read(table)
        suspects, others = _of_boxes(read, table["id"].cast(str).to_list())
        return PlaceAudit(split, "labelled boxes", len(read.truths.label), suspects, others, origin)
    suspects, others = _of_masks(table)
    return PlaceAudit(split, "pictures with masks", len(table), suspects, others, origin)


def is_of_places(table: pl.DataFrame) -> bool:
    """Whether the labels of this table are boxes, masks, spans, texts, or the identities of pictures."""
    kinds = (
        box_table.is_boxes, mask_table.is_masks, span_table.is_spans, pair_table.is_pairs,
        identity_table.is_identities,
    )  # fmt: skip
    return any(is_kind(table) for is_kind in kinds)


def _of_identities(table: IdentityTable, split: str, origin: str) -> PlaceAudit:
    found = identity_labels.find_suspects(table)
    suspects = tuple(
        Place(one.name, "wrong identity", one.given, one.suggested or "nobody here", (), one.sureness) for one in found
    )
    known = {one.name for one in found}
    people = [table.people[person] for person in table.person_of]
    rest = [(name, person) for name, person in zip(table.names, people, strict=True) if name not in known]
    others = tuple(Place(name, "", person, "", (), 0.0) for name, person in rest)
    return PlaceAudit(split, "pictures of identities", len(table.names), suspects, others, origin, WHOLE)


def _of_pairs(table: pl.DataFrame, split: str, origin: str) -> PlaceAudit:
    read, ids = pair_table.read(table), table["id"].cast(str).to_list()
    losses = table["loss"].cast(float).fill_null(np.nan).to_numpy() if "loss" in table.columns else None
    found = pair_labels.find_suspects(read, losses)
    given = [f"{source}{BECOMES}{' / '.join(some)}" for source, some in zip(read.sources, read.references, strict=True)]
    suspects = tuple(
        Place(ids[one.row], one.kind, given[one.row], read.answers[one.row], (), one.sureness) for one in found
    )
    rest = np.setdiff1d(np.arange(len(ids)), [one.row for one in found])
    others = tuple(Place(ids[row], "", given[row], "", (), 0.0) for row in rest)
    return PlaceAudit(split, "pairs of texts", len(ids), suspects, others, origin, WHOLE)


def _of_spans(table: pl.DataFrame, split: str, origin: str) -> PlaceAudit:
    read, ids = span_table.read(table), table["id"].cast(str).to_list()
    found = span_labels.find_suspects(read)
    suspects = tuple(
        Place(
            ids[one.sentence], one.kind, "" if one.given is None else _named(read.texts[one.sentence], one.given),
            _named(read.texts[one.sentence], one.suggested), tuple(map(float, one.suggested[:2])), one.sureness,
        )
        for one in found
    )  # fmt: skip
    known = {(one.sentence, one.given) for one in found}
    labels = [(row, span) for row, spans in enumerate(read.truths) for span in spans]
    others = tuple(
        Place(ids[row], "", _named(read.texts[row], span), "", tuple(map(float, span[:2])), 0.0)
        for row, span in labels
        if (row, span) not in known
    )
    return PlaceAudit(split, "labelled spans", len(labels), suspects, others, origin, OF_SPANS)


def _named(text: str, span: Span) -> str:
    return f"{text[span.start : span.end]} ({span.type})"


def _of_boxes(table: BoxTable, ids: Sequence[str]) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
    names, truths, said = table.class_names, table.truths, table.predictions
    found = box_labels.find_suspects(table)
    suspects = tuple(
        Place(
            ids[one.picture], one.kind, "" if one.label < 0 else names[truths.label[one.label]],
            names[said.label[one.answer]], _box(said.boxes[one.answer]), one.sureness,
        )
        for one in found
    )  # fmt: skip
    rest = np.setdiff1d(np.arange(len(truths.label)), [one.label for one in found])
    others = tuple(
        Place(ids[truths.picture[row]], "", names[truths.label[row]], "", _box(truths.boxes[row]), 0.0) for row in rest
    )
    return suspects, others


def _of_masks(table: pl.DataFrame) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
    ids, names = table["id"].cast(str).to_list(), class_names(table)
    found = mask_labels.find_suspects(table)
    suspects = tuple(
        Place(
            ids[one.picture], one.kind, names[one.given] if one.given >= 0 else "outlines",
            names[one.suggested] if one.suggested >= 0 else "elsewhere", _box(np.array(one.box)), one.sureness,
        )
        for one in found
    )  # fmt: skip
    rest = sorted(set(range(len(ids))) - {one.picture for one in found})
    sizes = [mask_table.decode(table["target"][row], ids[row]).shape for row in rest]
    others = tuple(
        Place(ids[row], "", "the whole mask", "", (0.0, 0.0, float(width), float(height)), 0.0)
        for row, (height, width) in zip(rest, sizes, strict=True)
    )
    return suspects, others


def _box(sides: np.ndarray) -> Sides:
    left, top, right, bottom = (round(float(side), 1) for side in sides)
    return left, top, right, bottom


def write_review(found: PlaceAudit, path: Path, *, top: int, random: int, seed: int = 0) -> int:
    """Write the sheet for a person to fill in: `top` suspects and `random` labels that are not; returns its rows."""
    rng = generator(seed, "label review", found.split)
    chosen = rng.permutation(len(found.others))[:random]
    each = len(found.others) / max(len(chosen), 1)
    rows = [(SUSPECT, 1.0, one) for one in found.suspects[:top]] + [
        (RIGHT, each, found.others[place]) for place in chosen
    ]
    shuffled = [rows[place] for place in rng.permutation(len(rows))]
    lines = [
        {
            "id": one.id, "part": part, "stands_for": round(weight, 6), "kind": one.kind, "given": one.given,
            "suggested": one.suggested, **dict(zip(found.sides, one.box, strict=True)),
            "sureness": round(one.sureness, 4),
        }
        for part, weight, one in shuffled
    ]  # fmt: skip
    write_bytes(path, csv_of((*BEFORE, *found.sides, *BEHIND), lines))
    return len(lines)


def judge_review(found: PlaceAudit, path: Path) -> PlacesReviewed:
    """What a filled-in sheet says. Raises DataError naming the invalid line, UsageError if there are no verdicts."""
    missing = UsageError("there is no such file.", where=str(path), fix="write one first: out=review.csv.")
    try:
        names, lines = from_csv(read_given(path, missing=missing))
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{error}.", where=str(path), fix="save it as CSV with its header.") from None
    lacking = [name for name in (*BEFORE, *found.sides) if name not in names]
    if lacking or "verdict" not in names:
        name = (*lacking, "verdict")[0]
        raise DataError(f"has no column {name!r}.", where=str(path), fix="keep the columns it was written with.")
    known = {_key(one.id, one.box): one for one in (*found.suspects, *found.others)}
    rows = [_checked(line, found.sides, known, f"{path}, line {number}") for number, line in enumerate(lines, start=2)]
    looked = [(part, place, verdict) for part, place, verdict in rows if verdict]
    if not looked:
        raise UsageError("no row has a verdict.", fix=f"write {', '.join(VERDICTS)} into the column verdict.")
    parts = []
    for part, size in ((SUSPECT, len(found.suspects)), (RIGHT, len(found.others))):
        seen = [verdict in WRONG for name, _, verdict in looked if name == part]
        parts.append(Part(part, size, len(seen), sum(seen)))
    by_kind: dict[str, tuple[int, int]] = {}
    for part, place, verdict in looked:
        if part == SUSPECT:
            wrong, reviewed = by_kind.get(place.kind, (0, 0))
            by_kind[place.kind] = wrong + (verdict in WRONG), reviewed + 1
    verdicts = {name: sum(verdict == name for *_, verdict in looked) for name in VERDICTS}
    return PlacesReviewed(len(looked), verdicts, by_kind, estimate_total(parts))


def _checked(
    line: Mapping[str, str], sides: Sequence[str], known: Mapping[tuple[str, ...], Place], where: str
) -> tuple[str, Place, str]:
    try:
        box = tuple(float(line[name].replace(",", ".")) for name in sides)
    except ValueError:
        number = "four" if sides == OF_BOXES else "two"
        raise DataError(
            f"its place is not {number} numbers.", where=where, fix=f"do not change {sides[0]} to {sides[-1]}."
        ) from None
    place = known.get(_key(line["id"], box))
    if place is None or place.given != line["given"]:
        raise DataError(
            f"no label or suggestion of this audit lies there in {line['id']!r}.", where=where,
            fix="write a new sheet: labels or answers have changed since.",
        )  # fmt: skip
    verdict = line["verdict"].strip().lower()
    if verdict not in ("", *VERDICTS):
        raise DataError(f"{verdict!r} is not a verdict.", where=where, fix=f"write one of {', '.join(VERDICTS)}.")
    return (SUSPECT if place.kind else RIGHT), place, verdict


def _key(name: str, box: Sides) -> tuple[str, ...]:
    return (name, *(f"{side:.1f}" for side in box))
