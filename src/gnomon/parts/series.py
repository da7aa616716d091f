"""Series: how they are read, and how their steps become numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, cast, final

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from gnomon.core.errors import DataError
from gnomon.core.example import Example, Examples, Reading
from gnomon.core.family import SeriesInputs
from gnomon.core.knobs import COLUMNS, GROUPS, LAYOUT, SERIES, WHOLE_SEQUENCES
from gnomon.core.parts import Batch, Claim, Encoder, PlainInputs, Reader, View
from gnomon.core.seeds import generator
from gnomon.core.settings import DataSettings, Settings
from gnomon.data.columns import Columns, Ragged, gather
from gnomon.data.features import Feature, encode_features, fit_features, number_names
from gnomon.data.grids import line_picture
from gnomon.data.series import (
    Form,
    Per,
    SeriesExamples,
    as_numbers,
    looks_like_series,
    read_series,
    read_series_to_predict,
)
from gnomon.data.source import Source, display_name, first_names
from gnomon.runs.writer import write_bytes

FARTHEST = 1e6  # standard deviations from the mean: what is beyond is cut off, and float32 overflows nowhere
MOST_CATEGORIES = 64  # of a column: each is a number of its own, 0 or 1, at every step
MOST_PLAIN = 1_024  # numbers per example that a reference is fitted to


@final
@dataclass(frozen=True)
class SeriesReader(Reader):
    """Series in long form, a row for each step, or arrays (N, T, D); with an answer for each, or for each step."""

    abilities: ClassVar[frozenset[str]] = frozenset({COLUMNS, GROUPS, LAYOUT, SERIES})
    is_asked_for: ClassVar[bool] = True  # without id=, layout=NTD or task=, such data is a table or signals

    form: Form
    per: Per

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        is_said = settings.layout == "NTD" if source.arrays is not None else settings.id is not None
        return self.claim_asked(source, settings) if is_said else None

    def claim_asked(self, source: Source, settings: DataSettings) -> Claim | None:
        found = looks_like_series(source, settings)
        if found is None:  # reading it says why
            return Claim(0.3, source.summary().removeprefix("found "))
        form, per, why = found
        return Claim(0.95 if (form, per) == (self.form, self.per) else 0.2, why)

    def read(self, source: Source, settings: DataSettings) -> Reading:
        return read_series(source, settings, self.form, self.per)

    def read_inputs(self, source: Source, settings: DataSettings, encoder: SeriesEncoder) -> Reading:
        return read_series_to_predict(source, settings, encoder.features, encoder.id_name, encoder.order_name)

    def write_sample(self, folder: Path, seed: int) -> Path:
        """Twenty-four machines of 4 to 7 seconds in machines.csv: heat and load, and what follows from them.

        Of each machine whether its heat rises, or by how much; of each second whether the load has been high at any
        time so far, or the load so far.
        """
        rng = generator(seed, "sample")
        rows = []
        for machine in range(24):
            steps, slope = int(rng.integers(4, 8)), float(rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.5))
            load = np.where(rng.random(steps) < 0.3, rng.uniform(0.5, 1, steps), 0).round(2)
            heat = 20 + slope * np.arange(steps) + rng.normal(0, 0.2, steps)
            for second in range(steps):
                of_each = {
                    ("classification", "series"): "rising" if slope > 0 else "falling",
                    ("regression", "series"): round(slope, 3),
                    ("classification", "step"): "used" if load[: second + 1].any() else "new",
                    ("regression", "step"): round(load[: second + 1].sum(), 2),
                }
                seen = round(heat[second], 3) if rng.random() > 0.05 else None
                row = {"id": f"m{machine:02}", "time": second, "heat": seen, "load": load[second]}
                rows.append({**row, "target": of_each[self.form, self.per]})
        write_bytes(folder / "machines.csv", pl.DataFrame(rows).write_csv().encode())
        return folder / "machines.csv"

    def view(self, example: Example) -> View:
        """Its columns of numbers as lines over time."""
        frame: pl.DataFrame = example.inputs
        plain = as_numbers(frame)
        fields = {"steps": f"{len(frame):,}", "columns": first_names(list(plain.columns), 6)}
        if plain.width < frame.width:
            others = [name for name in frame.columns if name not in plain.columns]
            fields["not drawn"] = first_names(others, 6)
        return View(image=line_picture(plain.to_numpy().T) if plain.width else None, fields=fields)


@final
@dataclass(frozen=True)
class SeriesEncoder(Encoder):
    """Steps as numbers: in standard deviations from the mean of all steps in training, categories as 0 or 1 each."""

    abilities: ClassVar[frozenset[str]] = frozenset({WHOLE_SEQUENCES})
    references: ClassVar[tuple[str, ...]] = ("linear model", "nearest neighbours", "random forest")

    features: tuple[Feature, ...]
    length: int  # of the longest training series
    id_name: str  # the columns that say to which series a row belongs, and when it was; "" for row order
    order_name: str

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        series = cast(SeriesExamples, train)
        steps = series.steps()
        fitted, _ = fit_features(steps, series.feature_names, kinds=steps.table.kinds)
        features = tuple(one for one in fitted if len(one.categories) <= MOST_CATEGORIES)
        if not features:
            raise DataError(
                f"every column has more than {MOST_CATEGORIES} different texts: none can be an input.",
                fix="give columns of numbers, or of fewer categories.",
            )
        return cls(features, int(series.lengths().max()), series.id_name, series.order_name)

    @property
    def inputs(self) -> SeriesInputs:
        return SeriesInputs(len(self.names), self.length)

    @property
    def names(self) -> tuple[str, ...]:
        """What each number of a step is."""
        of_categories = [
            f"{one.name} is {name}"
            for one in self.features
            if one.kind == "category"
            for name in ("unknown", *one.categories)
        ]
        return (*number_names(self.features), *of_categories)

    def notes(self, train: Examples) -> tuple[str, ...]:
        series = cast(SeriesExamples, train)
        kept = {one.name: one for one in self.features}
        filled = [
            f"{name} ({one.fill:.4g})" for name, one in kept.items() if one.has_missing and one.kind != "category"
        ]
        left_out = [name for name in series.feature_names if name not in kept]
        sentences = {
            "missing values are filled with the median of the training steps and marked as missing": filled,
            f"dropped: the same value in all of train, free text, or more than {MOST_CATEGORIES} texts": left_out,
        }
        return tuple(f"{sentence}: {first_names(names, 8)}" for sentence, names in sentences.items() if names)

    def input_kinds(self) -> str:
        shown = first_names([display_name(one.name) for one in self.features], 4)
        return f"series of up to {self.length:,} steps · {len(self.features):,} columns ({shown})"

    def encode(self, examples: Examples) -> Columns:
        """`values`: the steps of each series (T, D) float32; `length` (N,) int64."""
        series = cast(SeriesExamples, examples)
        steps, lengths = series.steps(), series.lengths()
        numbers, codes = encode_features(steps, self.features, ids=steps.index["id"])
        np.clip(numbers, -FARTHEST, FARTHEST, out=numbers)
        sizes = [len(one.categories) + 1 for one in self.features if one.kind == "category"]
        marks = [np.eye(size, dtype=np.float32)[codes[:, place]] for place, size in enumerate(sizes)]
        values = torch.from_numpy(np.hstack([numbers, *marks]) if marks else numbers)
        offsets = torch.from_numpy(np.r_[0, np.cumsum(lengths)])
        return {"values": Ragged(values, offsets), "length": torch.from_numpy(lengths.copy())}

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        """`values` (B, T, D), padded with 0 to the longest of the batch."""
        batch, values = gather(columns, indices), columns["values"]
        assert isinstance(values, Ragged)
        return {**batch, "values": values.pad(indices, 0.0)}

    def arguments(self, model: nn.Module, batch: Batch) -> tuple[Any, ...]:
        return batch["values"], batch["length"]

    def plain_inputs(self, columns: Columns) -> PlainInputs:
        """Of each number its mean, last, first, least and largest value and deviation; of many, the mean and last.

        They have no names: that the answer follows from the mean of a series alone gives nothing away.
        """
        values = columns["values"]
        assert isinstance(values, Ragged)
        steps, starts = values.values.double().cpu().numpy(), values.offsets[:-1].cpu().numpy()
        lengths = values.offsets.diff().cpu().numpy()[:, None]
        mean = np.add.reduceat(steps, starts) / lengths
        found = [mean, steps[starts + lengths[:, 0] - 1]]
        if 6 * steps.shape[1] <= MOST_PLAIN:
            squares = np.add.reduceat(steps * steps, starts) / lengths
            found += [steps[starts], np.minimum.reduceat(steps, starts), np.maximum.reduceat(steps, starts)]
            found.append(np.sqrt(np.maximum(squares - mean * mean, 0)))
        numbers = np.hstack([*found, np.log(lengths)]).astype(np.float32)
        return PlainInputs(numbers, np.empty((len(numbers), 0), np.int64))
