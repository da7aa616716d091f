"""A text with its spans marked, as HTML of the report and of the studio."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from gnomon.figures import text as words


def marked_text(text: str, spans: Sequence[tuple[int, int, str]], limit: int) -> Markup:
    """Each span with its type behind it; shortened behind `limit` characters, and escaped."""
    marks = (
        Markup("{}").format(piece) if kind is None else Markup("<mark>{}<small>{}</small></mark>").format(piece, kind)
        for piece, kind in words.marked_pieces(text, spans, limit)
    )  # format() escapes
    return Markup("").join(marks)
