"""Points in a fixed order: from places to outputs and losses, from outputs to places and their distances."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast, final

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from gnomon.core.errors import DataError, UsageError
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.core.example import Examples
from gnomon.core.parts import Batch, Body, Head, Judge, Predictions, View
from gnomon.core.seeds import generator
from gnomon.core.settings import OwnSettings, RegulariseSettings, Settings, setting
from gnomon.core.settings.types import Names
from gnomon.data.annotated import AnnotatedExamples
from gnomon.data.annotations.model import Object
from gnomon.data.columns import Columns
from gnomon.data.source import counted, first_names
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import Rows, groups_of, mean, share, wilson
from gnomon.metrics.landmarks import normalised_errors, units
from gnomon.nn.losses import landmark_loss
from gnomon.parts.annotated import fitting_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOFTENING = 0.02  # of the standard deviation of the points: distances below it count as squares
FAILED = 0.1  # normalised error of a picture beyond which it counts as failed. Source: Burgos-Artizzu et al. 2013
MOST_POINTS = 12  # points up to which each has a metric of its own
BOX, NO_PAIRS = "box", "none"  # what `between` and `pairs` may say instead of points


@final
class LandmarkSettings(OwnSettings):
    """What cannot be told from the points themselves."""

    pairs: Names = setting(
        (),
        "points that change places in mirrored pictures: 1-2,4-5 (default: those with left and right in their names); "
        "none: no point has a side",
    )
    between: Names = setting(
        (),
        "two points whose distance counts as 1 in the error: left_eye,right_eye (default: the eyes, else the diagonal "
        "of the box around the points); box: that diagonal",
    )


@final
@dataclass(frozen=True)
class LandmarksHead(Head):
    """Two outputs per point, in standard deviations from where the point usually is."""

    columns: ClassVar[tuple[str, ...]] = ("places", "unit")

    point_names: tuple[str, ...]
    frame: tuple[int, int]  # height and width that the model sees
    mean: tuple[tuple[float, float], ...]  # of each point on the training split, x, y in pixels of the frame
    std: float  # of all coordinates around their means
    pairs: tuple[tuple[int, int], ...] | None  # points that change places in mirrored pictures; None: nobody knows
    between: tuple[int, int] | None  # points whose distance is the unit; None: the diagonal of the box around all
    usual: float  # the median unit as a share of the picture's diagonal, for pictures whose own cannot be measured

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        examples = cast(AnnotatedExamples, train)
        own = LandmarkSettings.model_validate(settings.task.own)
        names, frame = examples.point_names, fitting_size(examples.sizes(), settings.data.image_size, examples.side)
        places, (between, pairs) = places_of(examples), (between_of(own.between, names), pairs_of(own.pairs, names))
        scaled = places * examples.scales(*frame)[:, None, None]
        known = ~np.isnan(scaled)
        mean = np.where(known.any(axis=0), scaled.sum(axis=0, where=known) / np.maximum(known.sum(axis=0), 1),
                        [frame[1] / 2, frame[0] / 2])  # fmt: skip
        std = float(np.sqrt(np.square(scaled - mean).mean(where=known))) if known.any() else 0.0
        own_units = units(places, between)
        measured = own_units > 0
        diagonals = np.hypot(*examples.sizes().T)
        usual = float(np.median((own_units / diagonals)[measured])) if measured.any() else 1.0
        rows = tuple((float(x), float(y)) for x, y in mean)
        return cls(names, frame, rows, std if std > 0 else 1.0, pairs, between, usual)

    @property
    def chance_loss(self) -> float | None:
        return None

    def notes(self, train: Examples) -> tuple[str, ...]:
        examples = cast(AnnotatedExamples, train)
        if self.between is None:
            unit = "the diagonal of the box around its points"
        else:
            unit = "the distance from {} to {}".format(*(self.point_names[one] for one in self.between))
        notes = [f"errors are distances as a share of {unit} (between=POINT,POINT for another unit)"]
        if self.pairs:
            shown = [f"{self.point_names[one]} - {self.point_names[other]}" for one, other in self.pairs]
            notes.append(f"mirrored pictures exchange {first_names(shown)}")
        several = sum(len(with_points(examples, row)) > 1 for row in range(len(examples)))
        if several:
            notes.append(f"{counted(several, 'picture')} with several sets of points: those of the largest box count")
        return tuple(notes)

    def encode(self, examples: Examples) -> Columns:
        """`places` (N, P, 2) float64 in pixels of each picture, NaN where unknown; `unit` (N,): what counts as 1."""
        own = cast(AnnotatedExamples, examples)
        places = places_of(own, self.point_names)
        return {"places": torch.from_numpy(places), "unit": torch.from_numpy(self._units(places, own.sizes()))}

    def collate(self, batch: Batch, columns: Columns, indices: Tensor) -> Batch:
        """`points` (B, P, 2) in pixels of the frame, for what moves them; a picture without points has weight 0."""
        if "places" in batch:
            batch["points"] = (batch["places"] * batch["frame"][:, :1, None]).float()
            batch["weight"] = (~batch["places"].isnan()).any(dim=2).any(dim=1).float()
        return batch

    def soften(self, batch: Batch, settings: RegulariseSettings) -> Batch:
        """Points of mirrored pictures under their own names: the left eye is the right one."""
        mirrored = batch.pop("mirrored", None)
        if mirrored is not None and self.pairs:
            order = torch.arange(len(self.point_names), device=mirrored.device)
            for one, other in self.pairs:
                order[one], order[other] = other, one
            points = batch["points"]
            batch["points"] = torch.where(mirrored[:, None, None], points[:, order], points)
        return batch

    def build(self, body: Body) -> nn.Module:
        return body(2 * len(self.point_names))

    def outputs(self, model: nn.Module, arguments: tuple[Any, ...], batch: Batch) -> Tensor:
        outputs: Tensor = model(*arguments)
        return outputs  # (B, 2 P): x, y of each point in standard deviations from its mean

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        wanted = self.wanted(outputs, batch)
        return landmark_loss(outputs.unflatten(1, (-1, 2)), wanted.unflatten(1, (-1, 2)), softening=SOFTENING)

    def wanted(self, outputs: Tensor, batch: Batch) -> Tensor:
        """(B, 2 P) in standard deviations from the mean, NaN where unknown."""
        points = batch["points"]
        return ((points - points.new_tensor(self.mean)) / self.std).flatten(1).to(outputs.dtype)

    def _units(self, places: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        return units_or_usual(places, sizes, self.between, self.usual)


@final
@dataclass(frozen=True)
class LandmarksJudge(Judge):
    """The mean distance of a picture's points from where they are, as a share of its unit."""

    can_average: ClassVar[bool] = True

    point_names: tuple[str, ...]
    frame: tuple[int, int]
    mean: tuple[tuple[float, float], ...]
    std: float
    between: tuple[int, int] | None
    usual: float

    @classmethod
    def of(cls, head: LandmarksHead) -> Self:
        return cls(head.point_names, head.frame, head.mean, head.std, head.between, head.usual)

    @property
    def error_unit(self) -> str | None:
        return SHARE

    @property
    def error_name(self) -> str:
        return "normalised error"

    def predict(self, model: nn.Module, outputs: Tensor, batch: Batch) -> Predictions:
        """(B, P, 2) in pixels of each picture; its size as columns."""
        frame = batch["frame"].double().cpu()
        places = (self._in_frame(outputs.detach().cpu()) / frame[:, :1, None]).numpy()
        sizes = {name: frame[:, place].long().numpy() for name, place in (("width", 2), ("height", 1))}
        return Predictions(places, columns=sizes)

    def targets(self, batch: Batch) -> np.ndarray:
        return batch["places"].double().cpu().numpy()

    def errors(self, values: Sequence[Any] | np.ndarray, batch: Batch) -> np.ndarray:
        places, unit = self.targets(batch), batch["unit"].double().cpu().numpy()
        found = normalised_errors(places, np.asarray(values), unit, is_known=~np.isnan(places).any(axis=2))
        return np.nan_to_num(found, nan=0.0)  # of a picture without points, whose weight is 0

    def describe(self, values: Sequence[Any] | np.ndarray) -> pl.Series:
        """JSON: {"nose": [x, y], ...} in pixels of the picture, null where unknown."""
        rows = np.round(np.asarray(values, np.float64), 2)
        texts = [
            json.dumps(
                {
                    n: None if np.isnan(place).any() else place.tolist()
                    for n, place in zip(self.point_names, row, strict=True)
                },
                ensure_ascii=False,
            )
            for row in rows
        ]
        return pl.Series(texts, dtype=pl.String)

    def on_view(self, view: View, row: Mapping[str, Any], column: str) -> View:
        if view.image is None:
            return view
        frame = np.array([view.image.shape[1] / row["width"], view.image.shape[0] / row["height"]])
        return replace(
            view, points=self._read(pl.Series([row[column]]))[0] * frame, boxes=None, labels=None, captions=()
        )

    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        """The share of failed pictures and of points that are near; of up to MOST_POINTS points, the error of each."""
        table = evaluation.table
        target, prediction = (self._read(table[name]) for name in ("target", "prediction"))
        known = ~np.isnan(target).any(axis=2)
        sizes = table.select("height", "width").to_numpy()
        apart = np.linalg.norm(prediction - target, axis=2)
        apart /= units_or_usual(target, sizes, self.between, self.usual)[:, None]
        keep = known.any(axis=1)
        if not keep.any():
            return {}
        groups = groups_of(table, keep)
        rng = generator(0, "landmarks", evaluation.split)
        near = (apart <= FAILED).mean(axis=1, where=known)[keep]
        failed = int((apart.mean(axis=1, where=known)[keep] > FAILED).sum())
        found: dict[str, Any] = {
            f"failed (normalised error above {FAILED:g})": wilson(failed, int(keep.sum())),
            f"points within {FAILED:g}": share(Rows(near, known.sum(axis=1)[keep].astype(float), groups), rng).interval,
        }
        names = self.point_names if len(self.point_names) <= MOST_POINTS else ()
        for place, name in enumerate(names):
            rows = known[:, place]
            if rows.any():
                found[f"error of {name}"] = _mean_interval(apart[rows, place], groups_of(table, rows), rng)
        return found

    @property
    def question(self) -> Mapping[str, tuple[str, ...]]:
        return {"points": self.point_names, "size": (f"{self.frame[1]}x{self.frame[0]}",)}

    def averaged(self, answers: Sequence[tuple[Self, Tensor]]) -> Tensor:
        """The mean of the places, which are all in one frame (`question`)."""
        mean = torch.stack([one._in_frame(outputs) for one, outputs in answers]).mean(dim=0)
        return ((mean - mean.new_tensor(self.mean)) / self.std).flatten(1)

    def plain_targets(self, columns: Columns) -> np.ndarray | None:
        """(N, 2 P) in pixels of the frame, NaN where unknown."""
        places, frame = cast(Tensor, columns["places"]), cast(Tensor, columns["frame"])
        return (places * frame[:, :1, None]).flatten(1).cpu().numpy()

    def from_plain(self, values: np.ndarray, columns: Columns) -> np.ndarray:
        scale = cast(Tensor, columns["frame"])[:, :1, None].cpu().numpy()
        places: np.ndarray = values.reshape(len(values), -1, 2) / scale
        return places

    def less_is_better(self, measure: str) -> bool:
        return not measure.startswith("points within")

    def figures(self, evaluation: Evaluation) -> dict[str, Figure]:
        from gnomon.figures.within import draw_within  # matplotlib is not on the way to the first step

        table = evaluation.table.filter(pl.col("weight") > 0)
        figure = draw_within(table["error"].to_numpy(), name=self.error_name, mark=FAILED)
        return {"pictures within an error": figure}

    def _in_frame(self, outputs: Tensor) -> Tensor:
        """(B, P, 2) float64: places in pixels of the frame."""
        exact = outputs.double().unflatten(1, (-1, 2))
        return exact * self.std + exact.new_tensor(self.mean)

    def _read(self, texts: pl.Series) -> np.ndarray:
        """(N, P, 2) from the texts of `describe`."""
        rows = [[json.loads(text)[name] or (np.nan, np.nan) for name in self.point_names] for text in texts]
        return np.array(rows, np.float64).reshape(len(rows), len(self.point_names), 2)


def places_of(examples: AnnotatedExamples, names: Sequence[str] | None = None) -> np.ndarray:
    """(N, P, 2) float64: the points of the largest object of each picture, in the order of `names`; NaN: not given.

    Raises DataError where the examples lack one of the names.
    """
    own = examples.point_names
    wanted = own if names is None else tuple(names)
    missing = [name for name in wanted if name not in own]
    if missing:
        raise DataError(
            f"these pictures have no points named {first_names(missing)}; theirs are {first_names(own) or 'none'}.",
            fix="give all data the points of the training set, under the same names.",
        )
    order = [own.index(name) for name in wanted]
    found = np.full((len(examples), len(wanted), 2), np.nan)
    for row in range(len(examples)):
        objects = with_points(examples, row)
        if objects:
            largest = max(objects, key=lambda one: (one.box[2] - one.box[0]) * (one.box[3] - one.box[1]))
            points = cast(np.ndarray, largest.details.points)[order]
            found[row] = np.where(points[:, 2:] > 0, points[:, :2], np.nan)
    return found


def with_points(examples: AnnotatedExamples, position: int) -> list[Object]:
    """The objects of a picture that have points."""
    return [one for one in examples.objects(position) if one.details.points is not None]


def pairs_of(given: Sequence[str], names: Sequence[str]) -> tuple[tuple[int, int], ...] | None:
    """The points that change places in a mirrored picture: as given, or by left and right in their names.

    None where nobody knows. Raises UsageError for what names no two points.
    """
    if tuple(given) == (NO_PAIRS,):
        return ()
    if not given:
        others = {name: _other_side(name) for name in names}
        return tuple(
            (names.index(name), names.index(other)) for name, other in others.items() if other in names and name < other
        ) or None  # fmt: skip
    found = []
    for pair in given:
        # A name may have a hyphen in it: every place to cut is tried.
        cuts = [(pair[:at], pair[at + 1 :]) for at, letter in enumerate(pair) if letter == "-"]
        known = [(one, other) for one, other in cuts if one in names and other in names and one != other]
        if not known:
            raise UsageError(
                f"pairs={','.join(given)}: {pair!r} does not name two points; there are {first_names(names)}.",
                fix=f"write pairs of names: pairs={names[0]}-{names[-1]}, or pairs=none.",
            )
        found.append((names.index(known[0][0]), names.index(known[0][1])))
    twice = sorted({names[one] for pair in found for one in pair if sum(one in other for other in found) > 1})
    if twice:
        raise UsageError(f"pairs={','.join(given)}: {first_names(twice)} is in two pairs.", fix="pair each point once.")
    return tuple(found)


def _other_side(name: str) -> str:
    """The name of the same point on the other side; itself if it has no side: left_eye -> right_eye, l_ear -> r_ear."""
    sides = {"left": "right", "right": "left", "l": "r", "r": "l"}
    words = re.split(r"([_\W]+)", name)
    return "".join(sides.get(word.lower(), word) for word in words)


def between_of(given: Sequence[str], names: Sequence[str]) -> tuple[int, int] | None:
    """The two points whose distance is the unit; None: the diagonal of the box around all. Raises UsageError."""
    if tuple(given) == (BOX,):
        return None
    if given:
        if len(given) != 2 or not set(given) <= set(names) or given[0] == given[1]:
            raise UsageError(
                f"between={','.join(given)} does not name two points; there are {first_names(names)}.",
                fix=f"write two names: between={names[0]},{names[-1]}, or between=box.",
            )
        return names.index(given[0]), names.index(given[1])
    eyes = [pair for pair in (("left_eye", "right_eye"), ("lefteye", "righteye")) if set(pair) <= set(names)]
    return (names.index(eyes[0][0]), names.index(eyes[0][1])) if eyes else None


def units_or_usual(places: np.ndarray, sizes: np.ndarray, between: tuple[int, int] | None, usual: float) -> np.ndarray:
    """(N,): what counts as 1 in each picture, places (N, P, 2), sizes (N, 2) height and width.

    Where it cannot be measured, as where an eye is hidden, `usual` of the picture's diagonal.
    """
    found = units(places, between)
    return np.where(found > 0, found, usual * np.hypot(sizes[:, 0], sizes[:, 1]))


def _mean_interval(values: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator) -> Interval:
    return mean(Rows(values, np.ones(len(values)), groups), rng).interval
