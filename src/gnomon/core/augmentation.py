"""Kinds of random changes to training pictures: their names, what their strengths mean, and how people write them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gnomon.core.errors import UsageError


@dataclass(frozen=True)
class Kind:
    """One kind of change. A strength of 0 leaves pictures as they are."""

    strength: float  # where `augment=` names the kind and no strength
    largest: float
    meaning: str  # of its strength
    below: bool = False  # whether the largest strength itself is refused


KINDS: Mapping[str, Kind] = {  # in the order in which they are applied
    "crop": Kind(0.3, 1.0, "share of a picture's area that a random crop leaves out, at most", below=True),
    "shift": Kind(0.07, 0.5, "shift down and across, at most, as a share of the side; the border is repeated"),
    "rotate": Kind(10.0, 180.0, "degrees that a picture is rotated, at most, either way"),
    "shear": Kind(8.0, 45.0, "degrees that upright lines lean, at most, either way"),
    "warp": Kind(0.02, 0.05, "local warp: how far a place moves, at most, as a share of the side"),
    "mirror": Kind(0.5, 1.0, "probability that left and right are swapped"),
    "updown": Kind(0.5, 1.0, "probability that top and bottom are swapped"),
    "colour": Kind(0.3, 1.0, "brightness, contrast, saturation: largest change as a share; hue: 45 degrees times it"),
    "pca": Kind(0.1, 2.0, "PCA colour: standard deviations of the training pixels along the axes of their covariance"),
    "cutout": Kind(0.5, 1.0, "side of the square that is hidden, as a share of the picture's shorter side"),
    "mixup": Kind(0.2, 10.0, "mixup: alpha of Beta(alpha, alpha), from which the share of another picture is drawn"),
    "cutmix": Kind(1.0, 10.0, "cutmix: alpha of Beta(alpha, alpha), from which the area of another picture is drawn"),
}  # fmt: skip
MOVES = ("crop", "shift", "rotate", "shear", "warp", "mirror", "updown")  # where things are: boxes and points move too
MIXES = ("mixup", "cutmix")  # two pictures and their targets
NONE, AUTO = "none", "auto"
FAMILIAR = {  # what others call a kind
    "flip": "mirror", "hflip": "mirror", "horizontal": "mirror", "fliplr": "mirror", "vflip": "updown",
    "flipud": "updown", "vertical": "updown", "rotation": "rotate", "translate": "shift", "translation": "shift",
    "resize": "crop", "zoom": "crop", "scale": "crop", "color": "colour", "jitter": "colour", "brightness": "colour",
    "contrast": "colour", "saturation": "colour", "hue": "colour", "erase": "cutout", "erasing": "cutout",
    "elastic": "warp", "skew": "shear", "lighting": "pca",
}  # fmt: skip


def strengths(regularise: Any) -> dict[str, float]:
    """The strength of each kind that is on, by the settings of that group: what `augment` names, and the kinds' own.

    A kind's own setting counts whether `augment` names it or not: rotate=15 switches it on, rotate=0 off.
    """
    named = parsed(regularise.augment or NONE)
    given = {name: getattr(regularise, name) for name in KINDS}
    found = {name: named.get(name, 0.0) if given[name] is None else float(given[name]) for name in KINDS}
    return {name: strength for name, strength in found.items() if strength}


def parsed(text: str) -> dict[str, float]:
    """`"crop,rotate:15"` -> {"crop": 0.3, "rotate": 15.0}, in the order of KINDS. Raises UsageError."""
    words = [word.strip() for word in text.replace("+", ",").split(",")]
    if words == [NONE]:
        return {}
    found: dict[str, float] = {}
    for word in words:
        name, colon, given = word.partition(":")
        if name not in KINDS:
            raise UsageError(f"augment={text} cannot be used: {_unknown(name, len(words))}", fix=_instead(name))
        if name in found:
            raise UsageError(f"augment={text} names {name} twice.", fix="name it once.")
        found[name] = _strength(text, name, given) if colon else KINDS[name].strength
    return {name: found[name] for name in KINDS if name in found}


def written(value: Any) -> Any:
    """What people give for `augment` in its one form: kinds with commas between them; None for auto.

    `"shift+mirror"`, as older runs have it, and `["shift", "mirror"]` become `"shift,mirror"`. Raises UsageError.
    """
    if isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    if not isinstance(value, str):
        return value
    text = ",".join(word.strip() for word in value.replace("+", ",").split(","))
    if text == AUTO:
        return None
    parsed(text)
    return text


def describe(regularise: Any) -> str:
    """All that is on, each with its strength: `"crop:0.3,mirror:0.5"`."""
    return ",".join(f"{name}:{strength:g}" for name, strength in strengths(regularise).items()) or NONE


def added(text: str | None, name: str) -> str:
    """`augment` with one more kind."""
    return name if text in (None, NONE) else f"{text},{name}"


def _strength(text: str, name: str, given: str) -> float:
    kind = KINDS[name]
    try:
        strength = float(given)
    except ValueError:
        strength = -1.0
    if not 0 <= strength <= kind.largest or (kind.below and strength == kind.largest):
        bound = f"below {kind.largest:g}" if kind.below else f"at most {kind.largest:g}"
        raise UsageError(
            f"augment={text} cannot be used: the strength of {name} is a number of at least 0 and {bound} "
            f"({kind.meaning}).",
            fix=f"{name}:{kind.strength:g} is the usual strength.",
        )
    return strength


def _unknown(name: str, count: int) -> str:
    if name in (NONE, AUTO) and count > 1:
        return f"{name} stands alone."
    return f"unknown kind {name!r}." if name else "a kind is missing between its commas."


def _instead(name: str) -> str:
    near = [FAMILIAR[name]] if name in FAMILIAR else difflib.get_close_matches(name, KINDS, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"use {AUTO}, {NONE}, or some of {', '.join(KINDS)}."
