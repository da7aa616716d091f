"""mismatch: whether train and dev look alike, how they differ, and whether it hurts the model. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from gnomon.core.errors import UsageError
from gnomon.core.seeds import derive, generator
from gnomon.runs.names import Place
from gnomon.strategy.appearance import Appearance, of_mappings, of_pictures, of_texts
from gnomon.strategy.mismatch import (
    FEWEST,
    ColumnShift,
    Effect,
    Shift,
    TagShift,
    beyond_dev_text,
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
    beyond_dev: BeyondDev | None  # None: there is no test split, or too small a one


@dataclass(frozen=True)
class BeyondDev:
    """The inputs of dev and test compared; in its records, dev has the place of train, and test that of dev."""

    shift: Shift
    columns: tuple[ColumnShift, ...]
    tags: tuple[TagShift, ...]
    num_test: int  # examined
    text: str  # what it means for the gap from dev to test


def mismatch(run: Place, source: Any = None) -> Mismatch:
    """Compare what train and dev of a run look like, and the inputs of dev and test, whose targets stay sealed.

    `source` is needed for data that was in memory.

    Raises UsageError for examples that are neither pictures, texts nor rows, DataError for too few of them.
    """
    run = load(run)
    if run.folds:
        raise UsageError(
            "with folds, dev and train are the same examples: there is no mismatch to look for.", where=str(run.path),
            fix="fit without folds.",
        )  # fmt: skip
    prepared = prepare_again(
        run.folder, source, run.settings, run.task.kind,
        in_memory="pass it: mismatch(run, data).", moved="put it back there.",
    )  # fmt: skip
    sides = {
        name: _sample(prepared.splits[name], name, run.settings.seed)
        for name in ("train", "dev", "test")
        if name in prepared.splits
    }
    examples = [side[position] for side in sides.values() for position in range(len(side))]
    seen, ends = appearance_of(run.task, examples), np.cumsum([len(side) for side in sides.values()])[:-1]
    looks = {
        name: Appearance(seen.names, part) for name, part in zip(sides, np.split(seen.values, ends), strict=True)
    }  # fmt: skip
    shift, columns = _compared(sides, looks, "train", "dev", run.settings.seed)
    order = np.argsort(shift.train_scores, kind="stable")
    ids = sides["train"].index["id"].cast(pl.String)
    like = [(str(ids[int(place)]), float(shift.train_scores[place])) for place in order]
    return Mismatch(
        shift=shift,
        columns=columns,
        tags=shifted_tags(*(_with_target(sides[name].index) for name in ("train", "dev"))),
        most_dev_like=tuple(like[::-1][:SHOWN]),
        least_dev_like=tuple(like[:SHOWN]),
        effect=effect(shift, run.diagnosis, _errors(run, sides["dev"].index)),
        num_train=len(sides["train"]),
        num_dev=len(sides["dev"]),
        beyond_dev=_beyond_dev(sides, looks, run),
    )


def _compared(
    sides: Mapping[str, Examples], looks: Mapping[str, Appearance], first: str, second: str, seed: int
) -> tuple[Shift, tuple[ColumnShift, ...]]:
    groups = [_groups(sides[name].index) for name in (first, second)]
    shift = two_sample(
        looks[first].values, looks[second].values, train_groups=groups[0], dev_groups=groups[1],
        seed=derive(seed, "two-sample classifier"),
    )  # fmt: skip
    return shift, shifted_columns(looks[first], looks[second])


def _beyond_dev(sides: Mapping[str, Examples], looks: Mapping[str, Appearance], run: Run) -> BeyondDev | None:
    """The inputs of dev beside those of test. Nothing here looks at a target of test: it stays sealed."""
    if "test" not in sides or len(sides["test"]) < FEWEST:
        return None
    shift, columns = _compared(sides, looks, "dev", "test", run.settings.seed)
    tags = shifted_tags(*(_tags(sides[name].index) for name in ("dev", "test")))
    return BeyondDev(shift, columns, tags, len(sides["test"]), beyond_dev_text(shift, run.diagnosis))


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
    return {name.removeprefix("tag."): index[name].to_list() for name in index.columns if name.startswith("tag.")}


def _with_target(index: pl.DataFrame) -> dict[str, list[str | None]]:
    """The class (or tenth) of the target counts as a tag: some classes may be more frequent in dev."""
    return {**_tags(index), "target": index["stratum"].cast(pl.String).to_list()}


def _errors(run: Run, index: pl.DataFrame) -> np.ndarray | None:
    """(M,) of the dev examples examined; None if evaluation is on other examples (pairs of them, for example)."""
    table = run.evaluation("dev").table.select(pl.col("id").cast(pl.String), "error")
    joined = index.select(pl.col("id").cast(pl.String)).join(table, on="id", how="left", maintain_order="left")
    return None if joined["error"].null_count() or len(joined) != len(index) else joined["error"].to_numpy()
