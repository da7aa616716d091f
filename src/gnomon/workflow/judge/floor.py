"""The floor under a ladder: cheap references on the same split, and what columns and labels show, in seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import polars as pl
import torch

from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.core.example import Examples
from gnomon.core.parts import Judge, PlainInputs
from gnomon.core.seeds import generator
from gnomon.core.settings import Settings
from gnomon.core.task import Task
from gnomon.data.columns import Columns, gather
from gnomon.metrics.intervals import measure
from gnomon.strategy.clues import cost_by_forest, find_giveaway, find_wrong_labels, shift_of, shifted
from gnomon.strategy.floor import Floor, Reference, Shift
from gnomon.strategy.paired import holm, paired_test
from gnomon.strategy.references import (
    MOST_ROWS,
    Answers,
    Forest,
    Inputs,
    boosted_trees,
    guess,
    linear_model,
    naive_bayes,
    nearest_neighbours,
    random_forest,
    sampled,
    without_gaps,
    word_regression,
)
from gnomon.training.evaluate import encode_whole, evaluate
from gnomon.training.loop import split_error
from gnomon.training.threads import using
from gnomon.workflow.judge.pixel_floor import measure_pixel_floor
from gnomon.workflow.road.encode import judged_by_folds
from gnomon.workflow.road.judge import Measured
from gnomon.workflow.road.split import Prepared

MOST_DEV = 5_000  # dev examples that references are compared on
MODELS: dict[str, Callable[..., Any]] = {
    "linear model": linear_model,
    "nearest neighbours": nearest_neighbours,
    "boosted trees": boosted_trees,
    "naive Bayes": naive_bayes,
    "logistic regression": word_regression,
}


def measure_floor(found: Measured) -> Floor | None:
    """What cheap references make of this run's train and dev; None for a task that has none."""
    task, dev = found.task, found.evaluations.get("dev")
    if task.head.wants == "pixels" and dev is not None:
        return measure_pixel_floor(found)
    if dev is not None and dev.split_error is not None and task.judge.has_references:
        return _floor_of_answers(found, dev)
    if dev is not None and dev.split_error is not None:
        return _guessed(task, found.evaluations["train"], dev, found.session.settings.seed)
    if task.judge.has_references and dev is not None:
        return _floor_of_errors(found, dev)
    if not task.encoder.references or dev is None or dev.split_error is not None or dev.unit is None:
        return None
    began, seed = time.monotonic(), found.session.settings.seed
    rng = generator(seed, "floor")
    some = sampled(len(found.examples["dev"]), MOST_DEV, rng)
    sides = [
        _encoded(task, part)
        for part in (_some(found.session.prepared.splits["train"], rng), found.examples["dev"].take(some))
    ]
    if any(side is None for side in sides):
        return None
    (train, targets, _), (asked, truth, columns) = (side for side in sides if side is not None)
    system = Evaluation("dev", dev.unit, dev.table[some.tolist()])
    judge = _Judge(task, system, found.examples["dev"].take(some), columns, seed)
    with using(found.session.settings.machine.threads):
        return _floor(found, train, targets, asked, truth, judge, began)


def _floor_of_answers(found: Measured, dev: Evaluation) -> Floor:
    """The references of a judge that gives their answers itself, judged as the system's are."""
    began, settings, examples, judge = time.monotonic(), found.session.settings, found.examples["dev"], found.task.judge
    rng = generator(settings.seed, "floor")
    some = sampled(len(examples), MOST_DEV, rng)
    system = _answered(judge, dev, dev.table[some.tolist()])
    parts = _some(found.session.prepared.splits["train"], rng), examples.take(some)
    with using(settings.machine.threads):
        train, asked = (encode_whole(found.task, part, Path(gettempdir())) for part in parts)
        answers = judge.reference_answers(train, asked)
    named = [
        (name, _answered(judge, system, system.table.with_columns(prediction=judge.describe(values))))
        for name, values in answers.items()
    ]
    first, *others = _compared(system, named, settings.seed)
    return Floor(first, tuple(sorted(others, key=lambda one: one.error)), time.monotonic() - began)


def _answered(judge: Judge, whole: Evaluation, table: pl.DataFrame) -> Evaluation:
    return replace(whole, table=table, split_error=judge.split_error(table))


def _floor_of_errors(found: Measured, dev: Evaluation) -> Floor:
    """The references of a judge that gives their errors itself."""
    began, settings, examples = time.monotonic(), found.session.settings, found.examples["dev"]
    rng = generator(settings.seed, "floor")
    some = sampled(len(examples), MOST_DEV, rng)
    system = replace(dev, table=dev.table[some.tolist()])
    parts = _some(found.session.prepared.splits["train"], rng), examples.take(some)
    with using(settings.machine.threads):
        train, asked = (encode_whole(found.task, part, Path(gettempdir())) for part in parts)
        errors = found.task.judge.reference_errors(train, asked)
    first, *others = _beside(system, errors.items(), settings.seed)
    return Floor(first, tuple(sorted(others, key=lambda one: one.error)), time.monotonic() - began)


def _beside(system: Evaluation, errors: Iterable[tuple[str, np.ndarray]], seed: int) -> list[Reference]:
    """References by name and errors (M,), each tested against the system; all but the first p value are corrected."""
    named = [(name, replace(system, table=system.table.with_columns(error=pl.Series(own)))) for name, own in errors]
    return _compared(system, named, seed)


def _compared(system: Evaluation, named: Sequence[tuple[str, Evaluation]], seed: int) -> list[Reference]:
    tests = [paired_test(system, one, seed=seed) for _, one in named]
    p_values = [tests[0].p_value, *holm([test.p_value for test in tests[1:]])]
    found = []
    for (name, evaluation), test, p in zip(named, tests, p_values, strict=True):
        error, ahead = measure(evaluation, seed=seed).interval, test.difference
        found.append(Reference(name, error.value, error.low, error.high, ahead.value, ahead.low, ahead.high, p))
    return found


def _guessed(task: Task, train: Evaluation, dev: Evaluation, seed: int) -> Floor | None:
    """The floor of answers that are made without a look at the examples, judged as the system's are."""
    began = time.monotonic()
    guess = task.judge.guess(train.table, dev.table)
    if guess is None:
        return None
    name, answers = guess
    table = dev.table.with_columns(prediction=answers)
    blind = replace(dev, table=table, split_error=task.judge.split_error(table))
    test, error = paired_test(dev, blind, seed=seed), measure(blind, seed=seed).interval
    ahead = test.difference
    first = Reference(name, error.value, error.low, error.high, ahead.value, ahead.low, ahead.high, test.p_value)
    return Floor(first, (), time.monotonic() - began)


def floor_of_folds(task: Task, prepared: Prepared, dev: Evaluation, settings: Settings) -> Floor | None:
    """As `measure_floor`, where each fold's references are fitted to what the fold was trained on."""
    if dev.split_error is not None and task.judge.has_references:
        return _floor_of_fold_answers(task, prepared, dev, settings)
    if not task.encoder.references or dev.split_error is not None or dev.unit is None:
        return None
    began, rng = time.monotonic(), generator(settings.seed, "floor")
    train, parts = prepared.splits["train"], prepared.folds
    place = {int(row): number for number, row in enumerate(np.sort(np.concatenate(parts)))}  # in dev
    asked = [part[sampled(len(part), MOST_DEV // len(parts), rng)] for part in parts]
    rows = np.concatenate(asked)
    sides = [_encoded(task, train), _encoded(task, train.take(rows))]
    if any(side is None for side in sides):
        return None
    (plain, targets, _), (_, _, columns) = (side for side in sides if side is not None)
    system = Evaluation("dev", dev.unit, dev.table[[place[int(row)] for row in rows]], None, dev.inflation)
    judge = _Judge(task, system, train.take(rows), columns, settings.seed)
    inputs = Inputs(np.nan_to_num(plain.numbers), plain.codes, plain.presence)
    num_classes = task.judge.num_classes if targets.dtype.kind in "iu" else None
    said: dict[str, list[np.ndarray]] = {"always": []}
    with using(settings.machine.threads):
        for part, wanted in zip(parts, asked, strict=True):
            rest = np.setdiff1d(np.arange(len(inputs)), part)
            rest = rest[sampled(len(rest), MOST_ROWS, rng)]
            said["always"].append(_always(guess(targets[rest], num_classes), len(wanted)))
            for name in task.encoder.references:
                if name in MODELS:
                    one = MODELS[name](inputs.take(rest), targets[rest], inputs.take(wanted), num_classes)
                    said.setdefault(name, []).extend([] if one is None else [one.values])
        always = f"always {_said(task, guess(targets, num_classes))}"
        complete = [Answers(name, np.concatenate(each)) for name, each in said.items() if len(each) == len(parts)]
        first, *others = judge.references([Answers(always, complete[0].values), *complete[1:]])
    return Floor(first, tuple(sorted(others, key=lambda one: one.error)), time.monotonic() - began)


def _floor_of_fold_answers(task: Task, prepared: Prepared, dev: Evaluation, settings: Settings) -> Floor:
    """As `_floor_of_answers`, where what each fold judged is answered from what it trained on."""
    began, rng = time.monotonic(), generator(settings.seed, "floor")
    train, judge, place = prepared.splits["train"], task.judge, Path(gettempdir())
    parts, said = judged_by_folds(prepared, judge, "dev", settings.seed), dict[str, list[Any]]()
    with using(settings.machine.threads):
        for part, held in zip(parts, prepared.folds, strict=True):
            rest = _some(train.take(np.setdiff1d(np.arange(len(train)), held)), rng)
            known, asked = (encode_whole(task, some, place) for some in (rest, part.examples))
            for name, values in judge.reference_answers(known, asked).items():
                said.setdefault(name, []).extend(values)
    order = np.argsort(np.concatenate([part.rows for part in parts]), kind="stable")
    named = [
        (name, _answered(judge, dev, dev.table.with_columns(prediction=judge.describe([values[row] for row in order]))))
        for name, values in said.items()
    ]
    first, *others = _compared(dev, named, settings.seed)
    return Floor(first, tuple(sorted(others, key=lambda one: one.error)), time.monotonic() - began)


def _floor(
    found: Measured, train: PlainInputs, targets: np.ndarray, dev: PlainInputs, truth: np.ndarray, judge: _Judge,
    began: float,
) -> Floor:  # fmt: skip
    task = found.task
    ours, theirs = (Inputs(np.nan_to_num(one.numbers), one.codes, one.presence) for one in (train, dev))
    num_classes = task.judge.num_classes if targets.dtype.kind in "iu" else None
    names, forest = task.encoder.references, None
    answers = [MODELS[name](ours, targets, theirs, num_classes) for name in names if name in MODELS]
    if "random forest" in names:
        grown = random_forest(ours, targets, theirs, num_classes)
        if grown is not None:
            answers.append(grown[0])
            forest = grown[1]
    plain = guess(targets, num_classes)
    always = Answers(f"always {_said(task, plain)}", _always(plain, len(truth)))
    first, *others = judge.references([always, *(one for one in answers if one is not None)])
    return Floor(
        first, tuple(sorted(others, key=lambda one: one.error)), time.monotonic() - began,
        find_giveaway(ours, targets, theirs, truth, num_classes, train.names) if train.names else None,
        _wrong_labels(task, forest, targets, truth) if forest is not None and num_classes is not None else None,
        _shift(found, ours, targets, theirs, train.names, forest, judge) if train.names else None,
    )  # fmt: skip


def _some(train: Examples, rng: np.random.Generator) -> Examples:
    return train.take(sampled(len(train), MOST_ROWS, rng))


def _encoded(task: Task, examples: Examples) -> tuple[PlainInputs, np.ndarray, Columns] | None:
    columns = encode_whole(task, examples, Path(gettempdir()))
    inputs, targets = task.encoder.plain_inputs(columns), task.judge.plain_targets(columns)
    return None if inputs is None or targets is None else (inputs, without_gaps(targets), columns)


def _always(value: Any, count: int) -> np.ndarray:
    """(count,) or (count, D): one answer for all."""
    return np.repeat(np.asarray(value)[None], count, axis=0)


def _said(task: Task, value: Any) -> str:
    """The answer as a person reads it: 'no', 141; of several numbers there is no short word."""
    if np.ndim(value):
        return f"the mean {task.kind.target.removeprefix('a ')}"
    word = task.judge.describe(np.array([value]))[0]
    return f"{word:.4g}" if isinstance(word, float) else repr(word) if isinstance(word, str) else str(word)


class _Judge:
    """What the references answer on dev, judged as the system's answers are."""

    def __init__(self, task: Task, system: Evaluation, examples: Examples, columns: Columns, seed: int) -> None:
        self.task, self.system, self.examples, self.columns, self.seed = task, system, examples, columns, seed
        own: Columns = {**task.encoder.beside(examples), **{name: columns[name] for name in task.head.columns}}
        rows = torch.arange(len(examples))
        self.truth = task.head.collate(gather(own, rows), own, rows)

    def errors(self, values: np.ndarray) -> np.ndarray:
        """(M,) as the task's judge counts them."""
        return self.task.judge.errors(self.task.judge.from_plain(values, self.columns), self.truth)

    def references(self, answers: list[Answers]) -> list[Reference]:
        return _beside(self.system, ((one.name, self.errors(one.values)) for one in answers), self.seed)


def _wrong_labels(task: Task, forest: Forest, targets: np.ndarray, truth: np.ndarray) -> Any:
    names = [str(name) for name in task.judge.describe(np.arange(task.judge.num_classes or 0))]
    return find_wrong_labels(forest, targets, truth, names)


def _shift(
    found: Measured, train: Inputs, targets: np.ndarray, dev: Inputs, names: tuple[str, ...], forest: Forest | None,
    judge: _Judge,
) -> Shift | None:  # fmt: skip
    """The shifted columns, and their cost: dev with them moved back by the difference of the means, asked again."""
    sizes = shifted(train, dev)
    numbers = [place for place in sizes if place < train.numbers.shape[1]]
    is_share = judge.system.unit == SHARE
    moved = dev.numbers.copy()
    moved[:, numbers] += (train.numbers[:, numbers].mean(axis=0) - dev.numbers[:, numbers].mean(axis=0)).astype("f4")
    columns = found.task.encoder.with_numbers(judge.columns, moved) if numbers else None
    if columns is not None:
        again = evaluate(
            found.task, found.session.model, judge.examples, split="dev", source="", device=found.session.device,
            columns=columns,
        )  # fmt: skip
        before, after = split_error(judge.system), split_error(again)
        cost = paired_test(judge.system, again, seed=judge.seed).difference
        return shift_of(sizes, names, "moved back", after, before, cost, is_share=is_share)
    if not sizes or forest is None:
        return None
    if targets.dtype.kind == "f":
        held_out, said = np.abs(forest.out_of_bag - targets[forest.rows]), forest.dev
    else:
        held_out = (forest.out_of_bag.argmax(axis=1) != targets[forest.rows]).astype(float)
        said = forest.dev.argmax(axis=1)
    errors = judge.errors(said)
    cost = cost_by_forest(errors, held_out, is_share=is_share)
    return shift_of(sizes, names, "forest", float(held_out.mean()), float(errors.mean()), cost, is_share=is_share)
