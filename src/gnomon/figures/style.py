"""One look for every figure: colours that colour-blind readers can distinguish, plain fonts, no math in names."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import matplotlib as mpl
from cycler import cycler
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from gnomon.core.evaluation import SHARE
from gnomon.figures.text import number, share_tick

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

P = ParamSpec("P")
R = TypeVar("R")

WIDTH = 7.2  # inches = 691 CSS pixels: the width of the page's text

INK = "#22303c"
MUTED = "#6b7885"
FAINT = "#d5dbe1"
# Okabe & Ito 2008, "Color universal design", darkened where the original is too light on white
BLUE, ORANGE, GREEN, PURPLE, SKY = "#0072b2", "#d55e00", "#00836a", "#a8578c", "#4aa3d8"
SPLIT_COLOURS = {"human": MUTED, "train": BLUE, "train_dev": PURPLE, "dev": ORANGE, "test": GREEN}

_OTHER_SCRIPTS = (  # used, if installed, for characters that DejaVu lacks
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans JP", "Noto Sans SC", "WenQuanYi Zen Hei", "Hiragino Sans",
    "PingFang SC", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Apple SD Gothic Neo", "Noto Sans Arabic",
    "Noto Sans Devanagari", "Noto Emoji", "Segoe UI Symbol", "Apple Symbols",
)  # fmt: skip
_GROUPS = ("axes", "errorbar", "figure", "font", "grid", "hatch", "hist", "image", "legend", "lines", "markers",
           "mathtext", "patch", "path", "savefig", "scatter", "svg", "text", "xtick", "ytick")  # fmt: skip
_LOCK = threading.RLock()  # matplotlib's settings are one dictionary for the whole process


@functools.cache
def _settings() -> Any:
    """Every matplotlib setting that a figure depends on, so that the user's own matplotlibrc changes nothing."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    plain = {key: value for key, value in mpl.rcParamsDefault.items()
             if key.split(".")[0] in _GROUPS and key != "savefig.directory"}  # fmt: skip
    return plain | {
        "axes.axisbelow": True,
        "axes.edgecolor": FAINT,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.labelcolor": MUTED,
        "axes.labelsize": 9,
        "axes.linewidth": 0.8,
        "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, PURPLE, SKY, MUTED]),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "figure.facecolor": "white",
        "font.family": ["DejaVu Sans", *(name for name in _OTHER_SCRIPTS if name in installed), "sans-serif"],
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Segoe UI", "Helvetica"],
        "font.size": 9,
        "grid.color": FAINT,
        "grid.linewidth": 0.5,
        "legend.frameon": False,
        "lines.linewidth": 1.6,
        "svg.fonttype": "none",  # text stays text: the reader's fonts cover names in any script
        "svg.hashsalt": "gnomon",  # the same record gives the same bytes
        "text.color": INK,
        "text.parse_math": False,  # a class named $x$ is not a formula
        "text.usetex": False,
        "xtick.color": FAINT,
        "xtick.labelcolor": MUTED,
        "xtick.labelsize": 8.5,
        "ytick.color": FAINT,
        "ytick.labelcolor": MUTED,
        "ytick.labelsize": 8.5,
    }


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run a function that draws or encodes with gnomon's matplotlib settings, then restore the user's."""

    @functools.wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with _LOCK, mpl.rc_context(_settings()):
            return draw(*args, **kwargs)

    return wrapper


def new_figure(height: float, *, width: float = WIDTH) -> Figure:
    """An empty figure without a window or an entry in pyplot's global list; sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def few_ticks(axis: Axis, most: int, *, whole: bool = False) -> None:
    """Round numbers along an axis, at most `most` + 1 of them."""
    axis.set_major_locator(MaxNLocator(most, steps=(1, 2, 2.5, 5, 10), integer=whole))


def error_axis(axes: Axes, which: str, unit: str | None) -> None:
    """Write the numbers along the "x" or "y" axis as errors: shares in percent."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: share_tick(value) if unit == SHARE else number(value)))


def bare(axes: Axes) -> None:
    """No frame, no ticks, no grid: for rows of names and for pictures."""
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
