"""mismatch: whether train and dev look alike, how they differ, and whether it hurts the model. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from gnomon.core.errors import UsageError
from gnomon.core.seeds import derive, generator
from gnomon.runs.folder import Place
from gnomon.strategy.appearance import Appearance, of_mappings, of_pictures, of_texts
from gnomon.strategy.mismatch import (
    ColumnShift,
    Effect,
    Shift,
    TagShift,
    effect,
    shifted_columns,
    shifted_tags,
    two_sample,
)
from gnomon.workflow.prepare import prepare_again
from gnomon.workflow.run import Run, load

if TYPE_CHECKING:
    from gnomon.core.example import Example, Examples
    from gnomon.core.task import Task

LOOKED = 2_000  # examples per side, drawn evenly
SHOWN = 8  # most and least dev-like training examples


@dataclass(frozen=True)
class Mismatch:
    """The result; ids of training examples with their probability of being a dev example."""

    shift: Shift
    columns: tuple[ColumnShift, ...]
    tags: tuple[TagShift, ...]
    most_dev_like: tuple[tuple[str, float], ...]
    least_dev_like: tuple[tuple[str, float], ...]
    effect: Effect
    num_train: int  # examined
    num_dev: int


def mismatch(run: Place, source: Any = None) -> Mismatch:
    """Compare what train and dev of a run look like. `source` is needed for data that was in memory.

    Raises UsageError for examples that are neither pictures, texts nor rows, DataError for too few of them.
    """
    run = load(run)
    prepared = prepare_again(
        run.folder, source, run.settings, run.task.kind,
        in_memory="pass it: mismatch(run, data).", moved="put it back there.",
    )  # fmt: skip
    sides = [_sample(prepared.splits[name], name, run.settings.seed) for name in ("train", "dev")]
    examples = [side[position] for side in sides for position in range(len(side))]
    seen, cut = appearance_of(run.task, examples), len(sides[0])
    train, dev = (Appearance(seen.names, part) for part in (seen.values[:cut], seen.values[cut:]))
    groups = [_groups(side.index) for side in sides]
    shift = two_sample(
        train.values, dev.values, train_groups=groups[0], dev_groups=groups[1],
        seed=derive(run.settings.seed, "two-sample classifier"),
    )  # fmt: skip
    order = np.argsort(shift.train_scores, kind="stable")
    ids = sides[0].index["id"].cast(pl.String)
    like = [(str(ids[int(place)]), float(shift.train_scores[place])) for place in order]
    return Mismatch(
        shift=shift,
        columns=shifted_columns(train, dev),
        tags=shifted_tags(*(_tags(side.index) for side in sides)),
        most_dev_like=tuple(like[::-1][:SHOWN]),
        least_dev_like=tuple(like[:SHOWN]),
        effect=effect(shift, run.diagnosis, _errors(run, sides[1].index)),
        num_train=len(sides[0]),
        num_dev=len(sides[1]),
    )


def appearance_of(task: Task, examples: Sequence[Example]) -> Appearance:
    """What the examples look like as numbers, based on what people are shown of them."""
    if all(isinstance(example.inputs, Mapping) for example in examples):
        return of_mappings([example.inputs for example in examples])
    views = [task.reader.view(example) for example in examples]
    if task.kind.has_pictures and all(view.image is not None for view in views):
        return of_pictures([view.image for view in views if view.image is not None])
    if all(isinstance(example.inputs, str) for example in examples):
        return of_texts([view.text for view in views])
    if all(view.fields for view in views):
        return of_mappings([view.fields for view in views])
    raise UsageError(
        f"examples of {task.kind.title} are neither pictures, texts nor rows.", fix="compare their tags in the report."
    )


def _sample(examples: Examples, name: str, seed: int) -> Examples:
    if len(examples) <= LOOKED:
        return examples
    chosen = generator(seed, "mismatch", name).choice(len(examples), LOOKED, replace=False)
    return examples.take(np.sort(chosen))


def _groups(index: pl.DataFrame) -> np.ndarray | None:
    groups = index["group"]
    if groups.null_count() == len(groups):
        return None
    codes = groups.cast(pl.String).rank("dense").fill_null(0).to_numpy().astype(np.int64)
    alone = codes == 0
    codes[alone] = codes.max(initial=0) + 1 + np.arange(alone.sum())
    found: np.ndarray = codes
    return found


def _tags(index: pl.DataFrame) -> dict[str, list[str | None]]:
    """The class (or tenth) of the target counts as a tag: some classes may be more frequent in dev."""
    found = {name.removeprefix("tag."): index[name].to_list() for name in index.columns if name.startswith("tag.")}
    return {**found, "target": index["stratum"].cast(pl.String).to_list()}


def _errors(run: Run, index: pl.DataFrame) -> np.ndarray | None:
    """(M,) of the dev examples examined; None if evaluation is on other examples (pairs of them, for example)."""
    table = run.evaluation("dev").table.select(pl.col("id").cast(pl.String), "error")
    joined = index.select(pl.col("id").cast(pl.String)).join(table, on="id", how="left", maintain_order="left")
    return None if joined["error"].null_count() or len(joined) != len(index) else joined["error"].to_numpy()
