"""Values as a page of the studio shows them: every one passes through one escape function, links included."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gnomon.core.evaluation import SHARE
from gnomon.figures import text as words
from gnomon.figures.marked_text import marked_text
from gnomon.strategy.verdict import MEANING
from gnomon.strategy.wording import split_name
from gnomon.studio.sheets import Filter

if TYPE_CHECKING:
    from gnomon.core.parts import View
    from gnomon.metrics.interval import Interval

MAX_CHARACTERS = 2_000  # of any one text
MAX_FIELDS = 16  # of a row on a card


def short(key: str) -> str:
    """A setting's name without its group: `model` for model.name, `epochs` for stop.epochs."""
    return key.removesuffix(".name") if key.endswith(".name") else key.rpartition(".")[2]


def as_text(value: Any) -> str:
    """A setting's value as a person writes it."""
    if value is None:
        return "not set"
    if isinstance(value, tuple | list):
        return ",".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def render(template: str, **values: Any) -> str:
    """The template with these values, each of them escaped."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("gnomon.studio"), autoescape=True, undefined=StrictUndefined, finalize=_safe,
        trim_blocks=True, lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    environment.filters.update(
        count=words.count, duration=words.duration, ends=_ends, error=words.error_text, gap=words.gap_text,
        meaning=MEANING.__getitem__, measure=_measure, name=_name, percent=lambda share: words.error_text(share, SHARE),
        prose=_prose, marked=_marked, short=short, short_count=words.short_count, split=split_name, sure=_sure,
        typeset=words.typeset, value=as_text, when=_when, with_key=lambda value, key: (key, value),
    )  # fmt: skip
    environment.globals.update(address=address, SHARE=SHARE, mark_scale=_mark_scale, max_fields=MAX_FIELDS)
    return environment


def _safe(value: Any) -> Any:
    """Every value on a page passes through here, and is then escaped unless it is our own markup."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return "" if value is None else value
    return words.shortened(words.visible(words.shortened(value, MAX_CHARACTERS)), MAX_CHARACTERS)


def _name(value: Any, limit: int = 80) -> str:
    """A class, tag, file or column on one line; numbers as numbers."""
    return words.number(value) if isinstance(value, float) else words.label(str(value), limit)


def _prose(value: str, limit: int = 600) -> Markup:
    return Markup("{}").format(words.visible(words.shortened(value, limit), keep="\n\t"))  # format() escapes


def _marked(view: View, limit: int = 600) -> Markup:
    return marked_text(view.text, view.spans or (), limit)


def _when(at: str) -> str:
    """2026-11-21 11:45 UTC, from ISO 8601; the format of all times in the studio."""
    return f"{at[:16].replace('T', ' ')} UTC" if at else ""


def _measure(value: float) -> str:
    """A score, which may be a share or anything else: three decimals below 1."""
    return f"{value:.3f}" if 0.001 <= value < 1 else words.number(value)


def _sure(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f}\u00a0%"


def _ends(interval: Interval | Any, unit: str | None) -> str:
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)) or interval.low == interval.high:
        return ""
    return words.range_text(interval.low, interval.high, unit)


def _mark_scale(value: float, top: float, width: float) -> str:
    if not math.isfinite(value) or top <= 0:
        return "0.0"
    return f"{min(max(value / top, 0.0), 1.0) * width:.1f}"


def address(place: str, *pairs: tuple[str, str], wanted: Filter | None = None, **values: Any) -> str:
    """A link: parameters of `wanted`, then `pairs` and `values`, which take precedence; empty ones are left out."""
    named = {key: str(value) for key, value in values.items()}
    given = {*named, *(key for key, _ in pairs)}
    kept = [(key, value) for key, value in (wanted.parameters if wanted else []) if key not in given]
    every = [*kept, *pairs, *named.items()]
    query = urlencode([(key, value) for key, value in every if value != ""], errors="surrogatepass")
    return f"{place}?{query}" if query else place
