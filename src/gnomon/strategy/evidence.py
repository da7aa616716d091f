"""Where a picture's evidence for a class lies, as numbers and in words; what the units of a net are most excited by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

SALIENCY, OCCLUSION, ACTIVATION = "saliency", "occlusion", "activation"
MEANING = {
    SALIENCY: "how strongly each pixel acts on the class's score, one way or the other (smoothed gradient)",
    OCCLUSION: "how much hiding a square lowers the odds of the class",
    ACTIVATION: "the places of the last feature map that speak for the class (Grad-CAM)",
}
MIDDLE = 0.5  # of each side: a quarter of the picture
BORDER = 0.125  # of each side, all around: 44 % of the picture
PLACES = (("top left", "top", "top right"), ("left", "middle", "right"), ("bottom left", "bottom", "bottom right"))


@dataclass(frozen=True)
class Whereabouts:
    """How evidence is spread over a picture: shares of it, each beside the share of the area it lies on."""

    in_middle: float
    middle_area: float
    at_border: float
    border_area: float
    half_on: float  # the smallest share of the picture that has half of the evidence
    most_at: str  # the ninth of the picture with the most: "top left"


def whereabouts(evidence: np.ndarray) -> Whereabouts | None:
    """Of a map (H, W); what is below zero speaks against the class and is not evidence for it. None: there is none."""
    positive = np.clip(np.nan_to_num(evidence.astype(np.float64)), 0, None)
    total = positive.sum()
    if not total > 0:
        return None
    height, width = positive.shape
    middle = _inside(height, width, (1 - MIDDLE) / 2)
    border = ~_inside(height, width, BORDER)
    ordered = np.sort(positive, axis=None)[::-1].cumsum()
    ninths = [[positive[_third(row, height), _third(column, width)].sum() for column in range(3)] for row in range(3)]
    row, column = divmod(int(np.argmax(ninths)), 3)
    return Whereabouts(
        float(positive[middle].sum() / total), float(middle.mean()),
        float(positive[border].sum() / total), float(border.mean()),
        float((np.searchsorted(ordered, total / 2) + 1) / positive.size), PLACES[row][column],
    )  # fmt: skip


def whereabouts_text(found: Whereabouts | None) -> str:
    """'38 % in the middle, 27 % at the border, most at the top right'."""
    if found is None:
        return "nothing speaks for it"
    shares = f"{_percent(found.in_middle)} in the middle, {_percent(found.at_border)} at the border"
    return f"{shares}, most {_at(found.most_at)}; half of it on {_percent(found.half_on)} of the picture"


def areas_text(height: int, width: int) -> str:
    """What evidence that is spread evenly would give."""
    areas = [float(one.mean()) for one in (_inside(height, width, (1 - MIDDLE) / 2), _inside(height, width, BORDER))]
    return f"spread evenly: {_percent(areas[0])} in the middle, {_percent(1 - areas[1])} at the border"


def hidden_text(found: Hidden | None, height: int, width: int) -> str:
    """'hiding 8x8 pixels at the top right leaves 60.4 %', of a picture of that size."""
    if found is None:
        return "hiding any one part leaves it as it is, or raises it"
    row = min(2, 3 * (found.top + found.bottom) // (2 * height))
    column = min(2, 3 * (found.left + found.right) // (2 * width))
    down, across = found.size
    return f"hiding {across}x{down} pixels {_at(PLACES[row][column])} leaves {100 * found.probability:.1f} %"


def _at(place: str) -> str:
    return "in the middle" if place == "middle" else f"at the {place}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _inside(height: int, width: int, margin: float) -> np.ndarray:
    """(H, W) bool: at least this share of the side away from every edge."""
    rows, columns = ((np.arange(side) + 0.5) / side for side in (height, width))
    return np.outer((rows > margin) & (rows < 1 - margin), (columns > margin) & (columns < 1 - margin))


def _third(number: int, side: int) -> slice:
    return slice(number * side // 3, max((number + 1) * side // 3, number * side // 3 + 1))


@dataclass(frozen=True)
class Hidden:
    """The square that takes most from a class when it is hidden, in pixels of the picture as the model sees it."""

    top: int
    left: int
    bottom: int  # excluded, as is `right`
    right: int
    probability: float  # of the class, with the square hidden

    @property
    def size(self) -> tuple[int, int]:
        """Pixels down and across."""
        return self.bottom - self.top, self.right - self.left


@dataclass(frozen=True)
class ClassEvidence:
    """What speaks for one class in one picture: a map (H, W) float32 per method, and the square it hangs on most."""

    class_name: str
    probability: float
    maps: Mapping[str, np.ndarray]  # SALIENCY, OCCLUSION and, of a net with feature maps, ACTIVATION
    hidden: Hidden | None  # None if no square lowers the probability

    @cached_property
    def whereabouts(self) -> dict[str, Whereabouts | None]:
        return {name: whereabouts(one) for name, one in self.maps.items()}


@dataclass(frozen=True)
class Explained:
    """One picture, the answer, and the evidence for the predicted class, then for the named one if it is another."""

    id: str
    picture: np.ndarray  # (H, W) or (H, W, 3) uint8, as the model sees it
    prediction: str
    probability: float
    classes: tuple[ClassEvidence, ...]


@dataclass(frozen=True)
class Patch:
    """What excited a unit: the part of a picture that the unit's place can see."""

    pixels: np.ndarray  # (h, w) or (h, w, 3) uint8, as the model sees it
    offset: tuple[int, int]  # rows and columns of what the place can see that lie above and left of the picture
    value: float  # of the unit there
    id: str  # of the example
    class_name: str  # its label; "" without one
    place: tuple[int, int, int, int] | None = None  # top, left, bottom, right of the place, where it sees everything


@dataclass(frozen=True)
class Unit:
    """One channel of a feature map, with the patches that excite it most, the strongest first, one per picture."""

    number: int
    patches: tuple[Patch, ...]


@dataclass(frozen=True)
class StageUnits:
    """What some units of a stage see. `sees`: pixels down and across that a place sees; None: the whole picture."""

    name: str
    num_units: int
    num_silent: int  # units that are the same for every picture
    places: tuple[int, int]  # of its map, down and across
    sees: tuple[int, int] | None
    num_of_one_class: int  # units with MOSTLY of TOP strongest patches from pictures of one class
    num_pictures: int  # that were looked at
    units: tuple[Unit, ...]


TOP = 9  # patches of a unit
MOSTLY = 8  # of them from one class: the unit answers to that class. By chance 4 units in 100 of two classes do
