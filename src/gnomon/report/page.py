"""From the record to the page: which sections there are, what is cut, and one escape for everything written."""

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
from gnomon.figures.explained import majority_of, what_it_sees
from gnomon.figures.marked_text import marked_text
from gnomon.report import pictures
from gnomon.strategy.curve import forecast_text
from gnomon.strategy.improve_probes import pair_text, significant_gains
from gnomon.strategy.two_way import two_way_rows
from gnomon.strategy.verdict import MEANING
from gnomon.strategy.wording import format_count, ladder_rows, split_name

if TYPE_CHECKING:
    from gnomon.core.parts import View
    from gnomon.report.record import CraftRecord, ReportRecord
    from gnomon.strategy.diagnosis import Rung

ACTS_ON = {  # the links of the chain, as a reader of the page knows them
    "fit-train": "makes it fit the training examples",
    "fit-dev": "makes it do as well on unseen examples",
    "fit-test": "makes the measurement right",
    "real-world": "makes it right in use",
}
MAX_CHARACTERS = 2_000  # of any one text
MAX_ROWS = {  # of each list on the page; the page counts what is cut
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
    "outputs": 100,
    "samples": 9,
    "settings": 500,
    "signals": 12,
    "pairs": 40,
    "slice groups": 12,
    "slices": 200,
    "splits": 20,
    "stages": 6,
    "steps": 200,
    "tags": 60,
    "units": 8,
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
        "Each rung is the error on one part of the data. Each gap between two rungs has its own cause and its own "
        "remedies. Work on the marked gap first; working on the others brings little.",
    ),
    Section(
        "curves",
        "How it learned",
        "If the curves are still falling at the right end, more epochs will help. If the dev curve rises while the "
        "train curve falls, the model is memorising its training examples.",
    ),
    Section(
        "signals",
        "Signals in the layers",
        "Measured on one batch during training. Lines many powers of ten apart, or falling off to nothing, point to "
        "layers that pass nothing on or learn nothing. A step usually changes weights by about 0.1 % of their "
        "size.",
    ),
    Section(
        "probes",
        "What changes would gain",
        "Short matched trainings: same split, same seeds, one change. Significant gains are marked; a gain whose "
        "interval includes zero may be chance.",
    ),
    Section(
        "diary",
        "How it was improved",
        "One knob at a time. A change is proven when a test on dev supports it, corrected for the number of changes "
        "tried; a change that only looks better is on trial; everything else was undone. All changes on trial were "
        "tested together at the end. In the figure, the line is the current system: a filled green dot is a proven "
        "change, an open green dot one on trial, a grey dot an undone one, a square the joint test of all trials.",
    ),
    Section(
        "errors",
        "What it gets wrong",
        "Look for what the mistakes have in common: a class, a tag, a kind of picture. A group with a large share of "
        "all mistakes is worth a day's work; a group with few is not, however bad it looks.",
    ),
    Section(
        "samples",
        "What it writes",
        "Drawn from what the model holds likely, at temperature 0.8, with a fixed seed. They show what it has "
        "picked up (spelling, names, line breaks) and what not; only the ladder says how good it is. gnomon sample "
        "draws others.",
    ),
    Section(
        "calibration",
        "Is the confidence right",
        "Of the answers given with 80 % confidence, 80 % should be right. Points below the diagonal mean the model is "
        "overconfident.",
    ),
    Section(
        "data",
        "The data",
        "What was read, how it was interpreted, and what looks odd. Check this before you trust any number above.",
    ),
    Section(
        "model",
        "The model",
        "One row per layer, from input to output. Parameters are learned in training; multiply-adds are the work for "
        "one example; activation is how many numbers the layer outputs.",
    ),
    Section(
        "units",
        "What its units see",
        "The nine dev pictures that excite a unit most, cut to what the unit sees of them: edges and colours in the "
        "first stages, parts of things in the last. gnomon explain shows more of them, and what in a picture speaks "
        "for its answer.",
    ),
    Section(
        "settings",
        "The settings",
        "What you set, and what was chosen for you based on the task and the size of the data. Each can be set as "
        "key=value on the command line.",
    ),
    Section(
        "environment",
        "Machine and versions",
        "The same settings, data and versions give the same numbers; another machine may differ in the last digits.",
    ),
    Section("reproduce", "Reproduce this run", "Commands for a terminal, in the folder where the run was started."),
)


def build(record: ReportRecord) -> str:
    """The whole page, as text that can be encoded: no lone surrogates, no control characters.

    Under 20 MB whatever the record holds: long lists are cut, with a count of what is missing.
    """
    return write(record, pictures.of(record))


def write(record: ReportRecord, drawn: pictures.Pictures) -> str:
    """The page, given pictures that were drawn before."""
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


def build_craft(record: CraftRecord) -> str:
    """The whole page of a craft's run: what it measured, what it made."""
    first, last = record.history[0]["measures"], record.history[-1]["measures"]
    rows = [{**one, "first": first[one["name"]], "last": last[one["name"]]} for one in record.measures]
    template = _environment().get_template("craft.html")
    return template.render(
        record=record, made_by=record.gnomon_version, rows=rows, curves=pictures.of_measures(record),
        drawings=pictures.of_craft(record), **style(),
    )  # fmt: skip


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
        case "samples":
            return bool(record.samples)
        case "calibration":
            return record.calibration is not None
        case "model":
            return bool(record.layers)
        case "units":
            return any(stage.units for stage in record.units)
        case "settings":
            return bool(record.settings)
        case "environment":
            return bool(record.environment)
        case _:
            return True


def _forecasts(record: ReportRecord) -> list[str]:
    return [] if record.probes is None else [forecast_text(one, record.probes.unit) for one in record.probes.forecasts]


def _pairs(record: ReportRecord) -> list[tuple[str, str, bool]]:
    """What was changed, what it gained, whether the gain is significant."""
    if record.probes is None:
        return []
    significant = significant_gains(record.probes.pairs)
    return [
        (pair.label, pair_text(pair, record.probes.unit), pair.label in significant) for pair in record.probes.pairs
    ]


def _rung(split: str, record: ReportRecord) -> Rung | None:
    return next((rung for rung in record.diagnosis.rungs if rung.name == split), None)


@cache
def style() -> Mapping[str, Any]:
    """The style sheet and its hash, which is the only thing the policy allows: no other style, and no script at all."""
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
        acts_on=lambda link: ACTS_ON.get(link, link),
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
        marked=_marked,
        prose=_prose,
        score_names=_score_names,
        short_count=words.short_count,
        split=split_name,
        comparison=pictures.of_comparison,
        thumbnail=pictures.of_view,
        top=_top,
        two_way=two_way_rows,
        typeset=words.typeset,
        unit_class=majority_of,
        unit_picture=pictures.of_unit,
        what_it_sees=what_it_sees,
    )
    return environment


def _safe(value: Any) -> Any:
    """Every value on the page passes here, and is then escaped unless it is markup from our own templates."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return "" if value is None else value
    cut = words.visible(words.shortened(value, MAX_CHARACTERS))
    return words.shortened(cut, MAX_CHARACTERS)


def _name(value: Any, limit: int = 80) -> str:
    """A class, tag, file or column: one line, shortened; an empty name is shown as empty. Numbers as numbers."""
    if isinstance(value, float):
        return words.number(value)
    return words.label(str(value), limit)


def _prose(value: str, limit: int = 400) -> Markup:
    """A text that keeps its line breaks."""
    return Markup("{}").format(words.visible(words.shortened(value, limit), keep="\n\t"))  # format() escapes


def _marked(view: View, limit: int = 400) -> Markup:
    return marked_text(view.text, view.spans or (), limit)


def _percent(share: float) -> str:
    return words.error_text(share, SHARE)


def _certainty(share: float) -> str:
    """A probability in whole percent, never 100."""
    percent = "over 99" if share > 0.99 else f"{100 * share:.0f}"
    return f"{percent}\u00a0%"


def _ends(interval: Any, unit: str | None) -> str:
    """The ends of an Interval, a Rung or a Gap; empty if there is no interval."""
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)) or interval.low == interval.high:
        return ""
    return words.range_text(interval.low, interval.high, unit)


def _score_names(metrics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Every metric of any split, in order of appearance."""
    return list(dict.fromkeys(name for scores in metrics.values() for name in scores))


def _top(highs: Iterable[float]) -> float:
    """The right end of the track on which a group's errors are drawn."""
    return max((high for high in highs if math.isfinite(high)), default=0.0)


def _head(items: Iterable[Any], kind: str) -> list[Any]:
    """The first rows, as many as the page shows for this kind of list."""
    return list(islice(items, MAX_ROWS[kind]))


def _left_out(items: Sequence[Any] | Mapping[Any, Any], kind: str) -> int:
    return max(0, len(items) - MAX_ROWS[kind])
