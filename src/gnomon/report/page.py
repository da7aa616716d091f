"""From the record to the page: which sections there are, what is cut, and everything written through one escape."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gnomon.core.evaluation import SHARE
from gnomon.figures import text as words
from gnomon.figures.confusion import MAX_MATRIX
from gnomon.report import pictures
from gnomon.strategy.curve import forecast_text
from gnomon.strategy.improve_probes import pair_text, significant_gains
from gnomon.strategy.two_way import two_way_rows
from gnomon.strategy.verdict import MEANING
from gnomon.strategy.wording import format_count, ladder_rows, split_name

if TYPE_CHECKING:
    from gnomon.report.record import ReportRecord
    from gnomon.strategy.diagnosis import Rung

MAX_CHARACTERS = 2_000  # of any one text
MAX_ROWS = {  # of each list on the page; what is cut is counted
    "advice": 20,
    "bad": 1_000,
    "classes": 1_000,
    "commands": 20,
    "environment": 200,
    "examples": 9,
    "fields": 12,
    "layers": 1_000,
    "leaks": 100,
    "metrics": 100,
    "mistakes": 48,
    "notes": 100,
    "settings": 500,
    "signals": 12,
    "pairs": 40,
    "slice groups": 12,
    "slices": 200,
    "splits": 20,
    "steps": 200,
    "tags": 60,
}


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page; its template is templates/NAME.html."""

    name: str
    title: str
    how_to_read: str


SECTIONS = (
    Section(
        "ladder",
        "Where the error comes from",
        "Each rung is the error on one part of the data, and each gap between two rungs has its own cause and its own "
        "cures. Work on the gap that is marked; the others cost effort and return little.",
    ),
    Section(
        "curves",
        "How it learned",
        "Curves that still fall at the right end would profit from more epochs; a dev curve that rises while train "
        "falls means the model has begun to learn its training examples by heart.",
    ),
    Section(
        "signals",
        "What flows through the layers",
        "Measured on one batch while it learned. Lines that lie many powers of ten apart, or that fall off to nothing, "
        "mark layers that pass nothing on or learn nothing; a step usually changes weights by about 0.1 % of their "
        "size.",
    ),
    Section(
        "probes",
        "What changes would give",
        "Short matched trainings: the same split and seeds with one thing changed. What helps for sure is marked; a "
        "gain whose interval reaches below nothing may be chance.",
    ),
    Section(
        "diary",
        "How it came about",
        "One knob at a time. A change is proven when a test on dev supports it, corrected for the number of changes "
        "tried; one that only looks better is on trial; everything else was undone. What was on trial was tested "
        "together at the end. In the picture the line is the system as it stood: a filled green dot is proven, an open "
        "green one on trial, a grey one undone, a square the test of all trials together.",
    ),
    Section(
        "errors",
        "What it gets wrong",
        "Look for what the mistakes have in common: a class, a tag, a kind of picture. A group that holds a large part "
        "of all mistakes is worth a day's work; a group with few is not, however bad it looks.",
    ),
    Section(
        "calibration",
        "Whether it knows when it is unsure",
        "Among answers given with 80 % confidence, 80 % should be right. Points below the diagonal mean the model is "
        "surer than it should be.",
    ),
    Section(
        "data",
        "The data",
        "What was read, what it was taken for, and what is odd about it. Check this before believing any number above.",
    ),
    Section(
        "model",
        "The model",
        "One row a layer, in the order the data passes. Parameters are what training adjusts; multiply-adds are the "
        "work for one example; activation is the count of numbers that leave the layer.",
    ),
    Section(
        "settings",
        "The settings",
        "What you gave, and what was chosen for you by the task and the size of the data. Every one can be given as "
        "key=value on the command line.",
    ),
    Section(
        "environment",
        "The machine and the versions",
        "The same settings, data and versions give the same numbers again; another machine may differ in the last "
        "digits.",
    ),
    Section("reproduce", "How to get this again", "Lines to type in a terminal, in the folder the run was started in."),
)


def build(record: ReportRecord) -> str:
    """The whole page, as text that any encoder takes: no lone surrogate, no control character.

    Under 20 MB whatever the record holds: long lists are cut, and say how much is missing.
    """
    return write(record, pictures.of(record))


def write(record: ReportRecord, drawn: pictures.Pictures) -> str:
    """The page around pictures drawn before."""
    diagnosis = record.diagnosis
    return (
        _environment()
        .get_template("page.html")
        .render(
            record=record,
            made_by=record.gnomon_version,
            drawn=drawn,
            sections=[section for section in SECTIONS if _has(section.name, record)],
            ladder=list(zip_longest(ladder_rows(diagnosis), diagnosis.rungs)),
            dev=_rung("dev", record),
            judged=_rung(record.judged_split, record),
            max_matrix=MAX_MATRIX,
            forecasts=_forecasts(record),
            pairs=_pairs(record),
            **style(),
        )
    )


def _has(section: str, record: ReportRecord) -> bool:
    match section:
        case "curves":
            return bool(record.history)
        case "signals":
            return pictures.has_signals(record)
        case "probes":
            return record.probes is not None
        case "diary":
            return bool(record.diary)
        case "errors":
            tags = record.tag_sheet is not None and record.tag_sheet.shares
            return bool(tags or any(record.slices.values()) or record.confusion or record.mistakes or record.figures)
        case "calibration":
            return record.calibration is not None
        case "model":
            return bool(record.layers)
        case "settings":
            return bool(record.settings)
        case "environment":
            return bool(record.environment)
        case _:
            return True


def _forecasts(record: ReportRecord) -> list[str]:
    return [] if record.probes is None else [forecast_text(one, record.probes.unit) for one in record.probes.forecasts]


def _pairs(record: ReportRecord) -> list[tuple[str, str, bool]]:
    """What was changed, what it gave, whether it helps for sure."""
    if record.probes is None:
        return []
    told = significant_gains(record.probes.pairs)
    return [(pair.label, pair_text(pair, record.probes.unit), pair.label in told) for pair in record.probes.pairs]


def _rung(split: str, record: ReportRecord) -> Rung | None:
    return next((rung for rung in record.diagnosis.rungs if rung.name == split), None)


@cache
def style() -> Mapping[str, Any]:
    """The style sheet, and the hash that alone lets it in: no other style, and no script at all, is allowed."""
    css = resources.files("gnomon.report").joinpath("style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return {"style": Markup(css), "policy": policy}  # noqa: S704 - our own file


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("gnomon.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_safe,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        about=format_count,
        certainty=_certainty,
        count=words.count,
        duration=words.duration,
        ends=_ends,
        error=words.error_text,
        gap=words.gap_text,
        head=_head,
        left_out=_left_out,
        meaning=MEANING.__getitem__,
        name=_name,
        percent=_percent,
        prose=_prose,
        score_names=_score_names,
        short_count=words.short_count,
        split=split_name,
        thumbnail=pictures.of_view,
        top=_top,
        two_way=two_way_rows,
        typeset=words.typeset,
    )
    return environment


def _safe(value: Any) -> Any:
    """Every value that reaches the page passes here, and is then escaped unless it is markup of our own templates."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return "" if value is None else value
    cut = words.visible(words.shortened(value, MAX_CHARACTERS))
    return words.shortened(cut, MAX_CHARACTERS)


def _name(value: Any, limit: int = 80) -> str:
    """A class, tag, file or column: one line, not endless; the empty name is said to be empty. Numbers as numbers."""
    if isinstance(value, float):
        return words.number(value)
    return words.label(str(value), limit)


def _prose(value: str, limit: int = 400) -> Markup:
    """A text whose line breaks mean something."""
    return Markup("{}").format(words.visible(words.shortened(value, limit), keep="\n\t"))  # format() escapes


def _percent(share: float) -> str:
    return words.error_text(share, SHARE)


def _certainty(share: float) -> str:
    """A probability in whole percent that never claims to be certain."""
    percent = "over 99" if share > 0.99 else f"{100 * share:.0f}"
    return f"{percent}\u00a0%"


def _ends(interval: Any, unit: str | None) -> str:
    """The ends of an Interval, a Rung or a Gap; nothing where there is no interval."""
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)) or interval.low == interval.high:
        return ""
    return words.range_text(interval.low, interval.high, unit)


def _score_names(metrics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Every score of any split, in the order they come."""
    return list(dict.fromkeys(name for scores in metrics.values() for name in scores))


def _top(highs: Iterable[float]) -> float:
    """The end of the track on which a group's errors are marked."""
    return max((high for high in highs if math.isfinite(high)), default=0.0)


def _head(items: Iterable[Any], kind: str) -> list[Any]:
    """The first rows, as many as the page shows of this kind."""
    return list(islice(items, MAX_ROWS[kind]))


def _left_out(items: Sequence[Any] | Mapping[Any, Any], kind: str) -> int:
    return max(0, len(items) - MAX_ROWS[kind])
