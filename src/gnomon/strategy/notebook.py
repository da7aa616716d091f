"""A diagnosis as a notebook shows it: the ladder as a table, the verdict, what to do next. Every text is escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from gnomon.strategy.wording import ladder_rows

if TYPE_CHECKING:
    from gnomon.strategy.diagnosis import Diagnosis

_LEFT, _RIGHT = "text-align:left", "text-align:right"
_STYLES = (_LEFT, _RIGHT, _RIGHT, _LEFT, _LEFT, _LEFT)
_CELL = Markup('<{0} style="{1}">{2}</{0}>')


def diagnosis_html(diagnosis: Diagnosis) -> Markup:
    """Rungs, gaps and intervals; verdict, notes and advice."""
    title = _row("th", ("", diagnosis.error_name, "gap", "", "95 % interval", ""), bold=False)
    rows = [
        _row(
            "td",
            (row.split, row.error, row.gap, row.gap_name, row.interval, " ".join(filter(None, (row.mark, row.note)))),
            bold=bool(row.mark),
        )
        for row in ladder_rows(diagnosis)
    ]
    table = Markup("<table>{}{}</table>").format(title, Markup().join(rows))
    verdict = Markup("<p>{}</p>").format(diagnosis.verdict.text)
    notes = Markup().join(Markup("<p>note: {}</p>").format(note) for note in diagnosis.notes)
    advice = Markup().join(
        Markup("<li><b>{}</b>: {}{}</li>").format(
            advice.action, advice.why, Markup("<pre>{}</pre>").format(advice.command) if advice.command else ""
        )
        for advice in diagnosis.advice
    )
    return Markup("{}{}{}").format(table, verdict, notes) + (Markup("<ol>{}</ol>").format(advice) if advice else "")


def _row(kind: str, cells: tuple[str, ...], *, bold: bool) -> Markup:
    shown = (Markup("<b>{}</b>").format(cell) if bold and cell else cell for cell in cells)
    return Markup("<tr>{}</tr>").format(
        Markup().join(_CELL.format(kind, style, cell) for style, cell in zip(_STYLES, shown, strict=True))
    )
