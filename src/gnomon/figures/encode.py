"""Figures and pictures as bytes, and as data URIs that need no file beside the page."""

from __future__ import annotations

import base64
import io
import warnings
from typing import TYPE_CHECKING, Literal

from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogFormatter, NullFormatter
from PIL import Image

from gnomon.figures.style import styled
from gnomon.figures.text import number, visible

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

MAX_SVG_BYTES = 400_000  # a drawing with more strokes is smaller, and faster to show, as a PNG
MAX_PIXELS_PER_SIDE = 1600
JPEG_QUALITY = 92  # of 100: a 2,000 pixel photo takes about a megabyte
SCREEN_DPI = 192  # twice the 96 of CSS: sharp on dense screens


def svg(figure: Figure) -> bytes:
    """The figure as an SVG document without a date: the same figure gives the same bytes."""
    return _saved(figure, "svg")


def png(figure: Figure) -> bytes:
    """The figure as a PNG, at most MAX_PIXELS_PER_SIDE pixels per side."""
    return _saved(figure, "png")


@styled
def _saved(figure: Figure, kind: Literal["svg", "png"]) -> bytes:
    _as_plain_text(figure)
    buffer = io.BytesIO()
    dpi = min(SCREEN_DPI, MAX_PIXELS_PER_SIDE / max(figure.get_size_inches()))
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    with warnings.catch_warnings():
        # a name in a script that no installed font covers: in an SVG the browser has the glyph, a PNG shows a box
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        warnings.filterwarnings("ignore", message=r"Matplotlib currently does not support .* natively")
        # a drawing takes the page's background, a picture brings its own
        paper = "none" if kind == "svg" else "white"
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=metadata, facecolor=paper)
    return buffer.getvalue()


def _as_plain_text(figure: Figure) -> None:
    r"""Texts contain names from the user's data: read as mathematics, a class named "$\x$" would end the run."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
        text.set_text(visible(text.get_text(), keep="\n"))
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if isinstance(axis.get_major_formatter(), LogFormatter):  # writes powers of ten as mathematics
                axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
                axis.set_minor_formatter(NullFormatter())


def has_pictures(figure: Figure) -> bool:
    """Whether the figure shows images (photographs), whose colours must stay as they are."""
    return bool(figure.images) or any(axes.images for axes in figure.axes)


def best(figure: Figure) -> tuple[bytes, Literal["image/svg+xml", "image/png"]]:
    """SVG if that is small, PNG if the figure contains pictures or very many strokes."""
    if not has_pictures(figure):
        drawing = svg(figure)
        if len(drawing) <= MAX_SVG_BYTES:
            return drawing, "image/svg+xml"
    return png(figure), "image/png"


def thumbnail(image: np.ndarray, side: int) -> bytes:
    """A (H, W) or (H, W, 3) uint8 picture as PNG, reduced to at most `side` pixels per side; never enlarged."""
    picture = Image.fromarray(image)
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=False)
    return buffer.getvalue()


def jpeg(image: np.ndarray) -> bytes:
    """A (H, W) or (H, W, 3) uint8 picture as a JPEG of high quality, lines and letters in full colour."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def data_uri(content: bytes, media_type: str) -> str:
    """`data:image/png;base64,...`. Inside an <img> not even an SVG can run a script or load anything."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
