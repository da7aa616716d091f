"""The page of a search: the result, where it zoomed in, its figures, every trial; one self-contained file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gnomon.figures import text as words
from gnomon.report.page import style
from gnomon.report.pictures import drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_ROWS = 500  # trials in the table


@dataclass(frozen=True)
class SearchRecord:
    """What the page shows, as text."""

    title: str
    started: str
    found: str  # lines
    zooms: Sequence[Sequence[str]]  # round, setting, range before, range after, trials
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]  # one trial each, best first
    version: str

    @property
    def left_out(self) -> int:
        return max(0, len(self.rows) - MAX_ROWS)


@dataclass(frozen=True)
class Drawn:
    """A figure on the page, with how to read it."""

    title: str
    how: str
    figure: Figure


def build(record: SearchRecord, figures: Sequence[Drawn]) -> str:
    """The whole page. It loads nothing and runs nothing; every text on it is escaped."""
    pictures = [{"title": one.title, "how": one.how, "picture": drawn(one.figure)} for one in figures]
    page = _environment().get_template("search.html")
    return page.render(record=_cut(record), made_by=record.version, pictures=pictures, **style())


def _cut(record: SearchRecord) -> dict[str, Any]:
    names = ("title", "started", "found", "zooms", "columns", "left_out")
    return {**{name: getattr(record, name) for name in names}, "rows": list(record.rows)[:MAX_ROWS]}


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("gnomon.report"), autoescape=True, undefined=StrictUndefined, finalize=_safe,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def _safe(value: Any) -> Any:
    """Every value on the page passes here, and is then escaped unless it is our own markup."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return "" if value is None else value
    return words.visible(value, keep="\n")
