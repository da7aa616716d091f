"""Every picture of the page as a data URI, within a byte budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from markupsafe import Markup

from gnomon.figures import encode
from gnomon.figures.calibration import draw_calibration
from gnomon.figures.confusion import draw_confusion
from gnomon.figures.diary import draw_diary
from gnomon.figures.explained import strip
from gnomon.figures.ladder import draw_ladder, is_known
from gnomon.figures.layer_signals import draw_layer_signals
from gnomon.figures.learning_curve_forecast import draw_learning_curve_forecast
from gnomon.figures.learning_curves import draw_learning_curves
from gnomon.figures.marks import marked
from gnomon.figures.measures import draw_measures
from gnomon.figures.narrow import narrow

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gnomon.core.parts import View
    from gnomon.report.record import CraftRecord, ReportRecord
    from gnomon.strategy.evidence import Unit

THUMBNAIL = 160  # pixels per side
MARKED = 320  # pixels per side of one with boxes, a mask or points
STRIP = 520  # pixels: the width of a row of patches
PIXELATED = 64  # smaller pictures are enlarged with sharp pixels
MAX_TASK_FIGURES = 24
MAX_TASK_FIGURE_CHARACTERS = 5_000_000  # for all pictures of the task together, to keep the page under 20 MB


@dataclass(frozen=True, slots=True)
class Picture:
    """What an <img> needs. A drawing (lines on white) may be inverted in dark mode, a photograph may not."""

    uri: Markup  # base64 that we encoded: nothing to escape, and never cut
    narrow_uri: Markup | None = None  # the same laid out for a telephone
    is_drawing: bool = False
    is_small: bool = False


@dataclass(frozen=True)
class Pictures:
    """The page's pictures. `num_left_out` figures in `of_task` were dropped for lack of room."""

    ladder: Picture
    curves: Picture | None = None
    signals: Picture | None = None
    confusion: Picture | None = None
    calibration: Picture | None = None
    probes: Picture | None = None
    diary: Picture | None = None
    of_task: Mapping[str, Picture] = field(default_factory=dict)
    num_left_out: int = 0


def of(record: ReportRecord) -> Pictures:
    """Draw everything in the record."""
    diagnosis = record.diagnosis
    human = next((rung for rung in diagnosis.rungs if rung.name == "human"), None)
    level = human.error if human and is_known(human) else None
    curves = None
    if record.history:
        curves = drawn(
            draw_learning_curves(
                record.history, error_name=diagnosis.error_name, unit=diagnosis.unit, human=level
            )
        )  # fmt: skip
    of_task = _within_budget(record.figures)
    return Pictures(
        ladder=drawn(draw_ladder(diagnosis)),
        curves=curves,
        signals=drawn(draw_layer_signals(record.history)) if has_signals(record) else None,
        confusion=drawn(draw_confusion(record.confusion)) if record.confusion else None,
        calibration=drawn(draw_calibration(record.calibration)) if record.calibration else None,
        probes=_of_probes(record),
        diary=_of_diary(record),
        of_task=of_task,
        num_left_out=len(record.figures) - len(of_task),
    )


def of_measures(record: CraftRecord) -> Picture:
    """The measures of a craft by epoch."""
    return drawn(draw_measures(record.history, record.measures))


def of_craft(record: CraftRecord) -> dict[str, Picture]:
    """The craft's own drawings, by title."""
    return _within_budget(record.figures)


def _of_probes(record: ReportRecord) -> Picture | None:
    if record.probes is None or not record.probes.points:
        return None
    name, unit = record.diagnosis.error_name, record.diagnosis.unit
    return drawn(
        draw_learning_curve_forecast(record.probes.points, record.probes.forecasts, error_name=name, unit=unit)
    )


def _of_diary(record: ReportRecord) -> Picture | None:
    if not record.diary:
        return None
    return drawn(draw_diary(record.diary, error_name=record.diagnosis.error_name, unit=record.diagnosis.unit))


def has_signals(record: ReportRecord) -> bool:
    """Whether layer signals were recorded in any epoch."""
    return any(row.get("signals") for row in record.history)


def of_view(view: View) -> Picture | None:
    """The thumbnail of an example, if it has a picture."""
    if view.image is None or 0 in view.image.shape:
        return None
    if any(one is not None for one in (view.boxes, view.mask, view.points)):
        return Picture(_uri(encode.jpeg(marked(view, MARKED)), "image/jpeg"))
    return Picture(
        _uri(encode.thumbnail(view.image, THUMBNAIL), "image/png"), is_small=max(view.image.shape[:2]) < PIXELATED
    )


def of_comparison(view: View) -> Picture | None:
    """The picture of an example with its label and its answer drawn on it: as large as it was drawn."""
    return None if view.image is None else Picture(_uri(encode.jpeg(view.image), "image/jpeg"))


def of_unit(unit: Unit) -> Picture:
    """The patches of a unit, side by side."""
    return Picture(_uri(encode.thumbnail(strip(unit), STRIP), "image/png"))


def _uri(content: bytes, media_type: str) -> Markup:
    return Markup(encode.data_uri(content, media_type))  # noqa: S704


def drawn(figure: Figure) -> Picture:
    """A figure for the page, and again for a narrow one. The figure itself is narrow afterwards."""
    content, media_type = encode.best(figure)
    if encode.has_pictures(figure):
        return Picture(_uri(content, media_type))
    narrow(figure)
    return Picture(_uri(content, media_type), _uri(*encode.best(figure)), is_drawing=True)


def _within_budget(figures: Mapping[str, Figure]) -> dict[str, Picture]:
    kept: dict[str, Picture] = {}
    room = MAX_TASK_FIGURE_CHARACTERS
    for title, figure in list(figures.items())[:MAX_TASK_FIGURES]:
        picture = drawn(figure)
        size = len(picture.uri) + len(picture.narrow_uri or "")
        if size > room:
            break
        kept[title] = picture
        room -= size
    return kept
