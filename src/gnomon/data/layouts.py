"""What the axes of an array are: pictures, signals or volumes, from `layout=` or from a shape that can be one thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from gnomon.core.errors import DataError
from gnomon.core.parts import Claim
from gnomon.data.source import Arrays, counted

Kind = Literal["picture", "signal", "volume", "series"]

# N examples, C channels, T steps in time, D slices (of series: features), H rows, W columns. No shape alone is taken
# for series: where NTD fits, NTC does, too.
KINDS: Mapping[str, Kind] = {
    "NHW": "picture", "NHWC": "picture", "NCHW": "picture",
    "NT": "signal", "NCT": "signal", "NTC": "signal",
    "NDHW": "volume", "NCDHW": "volume", "NDHWC": "volume",
    "NTD": "series",
}  # fmt: skip
PICTURE_CHANNELS = (1, 3, 4)
MOST_SLENDER = 4  # times as long as wide: grey pictures are rarely more slender, and signals rarely less
FEW = 4  # channels, where everything else has more places than that


def claim(arrays: Arrays, layout: str | None, kind: Kind, origin: str) -> Claim | None:
    """How sure it is, from the shape alone, that these are examples of this kind; None: they are not."""
    shape = arrays.inputs.shape
    if layout is not None:
        fits = len(layout) == len(shape)
        why = f"an array of {_described(shape, layout)}" if fits else f"an array of {times(shape)}, layout={layout}"
        return Claim(1.0, why) if KINDS[layout] == kind else None
    options = _fitting(shape)
    if kind not in {KINDS[one] for one in options}:
        return None
    if len(options) == 1:
        return Claim(0.9, f"an array of {_described(shape, options[0])}")
    return Claim(0.5, f"an array of {times(shape)}", fault=lambda: _refuse(shape, options, origin))


def layout_of(shape: Sequence[int], layout: str | None, kind: Kind, origin: str) -> str:
    """The layout of an array that holds examples of this kind. Raises DataError where it can be two, or none."""
    if layout is not None and KINDS[layout] != kind:
        named = " or ".join(one for one, what in KINDS.items() if what == kind)
        what = f"layout={layout} is of {_several(KINDS[layout])}, not of {_several(kind)}."
        raise DataError(what, where=origin, fix=f"use {named}.")
    if layout is not None and len(layout) != len(shape):
        raise DataError(
            f"layout={layout} names {len(layout)} axes ({_axes(layout)}), and the array of {times(shape)} has "
            f"{len(shape)}.",
            where=origin,
            fix=_choices([one for one in KINDS if len(one) == len(shape)], shape),
        )
    if layout is not None:
        return layout
    of_kind = [one for one, what in KINDS.items() if what == kind and len(one) == len(shape)]
    fitting = [one for one in of_kind if one in _fitting(shape)]
    options = fitting if len(fitting) == 1 else _with_few_channels(shape, of_kind)
    if not options:
        known = ", ".join(one for one, what in KINDS.items() if what == kind)
        what = f"an array of {times(shape)} cannot be {_several(kind)}: they have the layouts {known}."
        raise DataError(what, where=origin, fix="reshape it, with one example per row of the first axis.")
    if len(options) > 1:
        _refuse(shape, options, origin)
    return options[0]


def channels_first(array: np.ndarray, layout: str) -> np.ndarray:
    """(N, C, ...) from an array of this layout: a view, with one channel where the layout has none."""
    if "C" not in layout:
        return array[:, None]
    return np.moveaxis(array, layout.index("C"), 1)


def times(shape: Sequence[int]) -> str:
    """`200x3x64`."""
    return "x".join(map(str, shape)) or "a single value"


def _fitting(shape: Sequence[int]) -> tuple[str, ...]:
    """The layouts that an array of this shape may have, if nothing else is known. Two axes are a table."""
    if len(shape) == 3:
        low, high = sorted(shape[1:])
        if low == 1 < high:  # one channel: a picture of one row of pixels is none
            return ("NCT",) if shape[1] == 1 else ("NTC",)
        return ("NHW",) if high <= MOST_SLENDER * low else ("NHW", "NCT", "NTC")
    if len(shape) == 4:
        if shape[3] in PICTURE_CHANNELS:
            return ("NHWC",)
        return ("NCHW",) if shape[1] in PICTURE_CHANNELS else ("NDHW", "NCHW", "NHWC")
    return _with_few_channels(shape, ["NCDHW", "NDHWC"]) if len(shape) == 5 else ()


def _with_few_channels(shape: Sequence[int], options: Sequence[str]) -> tuple[str, ...]:
    """The one of these layouts that makes few channels of one axis and more of every other; all, if that is not one."""

    def has_few(layout: str) -> bool:
        inner = dict(zip(layout[1:], shape[1:], strict=True))
        channels = inner.pop("C", 1)
        return channels <= FEW < min(inner.values())

    likely = tuple(one for one in options if has_few(one))
    return likely if len(likely) == 1 else tuple(options)


def _refuse(shape: Sequence[int], options: Sequence[str], origin: str) -> None:
    could = [f"{_described(shape, one)} ({one})" for one in options]
    what = f"an array of {times(shape)} could be {', '.join(could[:-1])} or {could[-1]}."
    raise DataError(what, where=origin, fix=_choices(options, shape))


def _choices(options: Sequence[str], shape: Sequence[int]) -> str:
    """What to do: name one of these layouts. Pictures of other numbers of channels than there are cannot be read."""
    readable = [one for one in options if _has_colours(shape, one)]
    if not readable:
        return "reshape it, with one example per row of the first axis."
    why = "" if len(readable) == len(options) else " Pictures have 1, 3 or 4 channels."
    return f"say what it is: {' or '.join(f'layout={one}' for one in readable)}.{why}"


def _has_colours(shape: Sequence[int], layout: str) -> bool:
    return KINDS[layout] != "picture" or "C" not in layout or shape[layout.index("C")] in PICTURE_CHANNELS


def _described(shape: Sequence[int], layout: str) -> str:
    """`200 signals of 64 steps with 3 channels`."""
    size = dict(zip(layout, shape, strict=True))
    channels = f" with {counted(size['C'], 'channel')}" if "C" in size else ""
    many = counted(size["N"], KINDS[layout], _several(KINDS[layout]))
    if layout == "NTD":
        return f"{many} of {counted(size['T'], 'step')} with {counted(size['D'], 'feature')}"
    if KINDS[layout] == "signal":
        return f"{many} of {counted(size['T'], 'step')}{channels}"
    if KINDS[layout] == "picture":
        return f"{many} of {size['H']}x{size['W']}{channels}"
    return f"{many} of {size['D']}x{size['H']}x{size['W']}{channels}"


def _axes(layout: str) -> str:
    names = {"N": "examples", "C": "channels", "T": "steps", "D": "slices", "H": "rows", "W": "columns"}
    names |= {"D": "features"} if layout == "NTD" else {}
    return ", ".join(names[letter] for letter in layout)


def _several(kind: Kind) -> str:
    return kind if kind == "series" else f"{kind}s"
