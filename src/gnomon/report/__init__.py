"""One self-contained HTML page per run: it opens from disk, years later, without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gnomon.report.record import CraftRecord, ReportRecord


def build(record: ReportRecord) -> str:
    """The whole page. Under 20 MB whatever the record holds: long lists are cut, with a count of what is missing."""
    from gnomon.report import page  # Jinja and Matplotlib are loaded only when a page is made

    return page.build(record)


def build_craft(record: CraftRecord) -> str:
    """The whole page of a craft's run."""
    from gnomon.report import page

    return page.build_craft(record)
