"""Split the examples: train, train-dev, dev and test; labels corrected, copies across splits searched for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from gnomon.core.errors import DataError, UsageError
from gnomon.core.example import BadInput, Examples, Reading
from gnomon.core.seeds import generator
from gnomon.core.settings import Settings
from gnomon.core.task import TaskKind
from gnomon.data.corrections import read_corrections, relabelled
from gnomon.data.leakage import Leaks, find_leaks, find_leaks_of_folds
from gnomon.data.source import Source, counted, first_names, look_alike
from gnomon.data.splits import automatic_share, carve, divide, divide_two, in_folds
from gnomon.workflow.road.read import Read

TRAIN_RUNG = 10_000  # training examples (evenly drawn) that the train rung is measured on


@dataclass(frozen=True)
class Prepared:
    """A source, recognised, read and split."""

    source: Source
    task: TaskKind
    why: str  # why the source was interpreted as this task's
    splits: Mapping[str, Examples]  # "train", "train_dev" (with target data), "dev", "test" (unless there is none)
    notes: tuple[str, ...]
    bad: tuple[BadInput, ...]
    leaks: Leaks
    reopen: str | None  # what to pass to open the source again; None for data in memory
    dev_drawn_from: int | None = None  # examples of which `split.dev` is a share; None: the source has its own dev
    folds: tuple[np.ndarray, ...] = ()  # the positions in train that each fold judges: together they are dev

    def fold(self, number: int) -> Prepared:
        """What the fold of that number, from 0, trains on and judges. Of test it knows nothing."""
        train, part = self.splits["train"], self.folds[number]
        rest = train.take(np.setdiff1d(np.arange(len(train)), part))
        return replace(self, splits={"train": rest, "dev": train.take(part)}, folds=())

    def identity(self) -> pl.DataFrame:
        """Which example is where: a row per example, with split, id and fingerprint. Checks a resumed run.

        Of folds, the split is "fold 1" and so on, and "train" for examples that none of them judges.
        """
        splits = dict(self.splits)
        if self.folds:
            train = splits.pop("train")
            splits.pop("dev")
            splits |= {f"fold {number}": train.take(part) for number, part in enumerate(self.folds, start=1)}
            splits["train"] = train.take(np.setdiff1d(np.arange(len(train)), np.concatenate(self.folds)))
        parts = [
            pl.DataFrame({"id": part.index["id"].cast(pl.String), "fingerprint": part.fingerprints()}).select(
                pl.lit(name).alias("split"), "id", "fingerprint"
            )
            for name, part in splits.items()
            if len(part)
        ]
        whole = pl.concat(parts).rechunk()  # polars 2.1 panics below where columns are cut at different places
        is_shared = whole["id"].is_duplicated()
        if not is_shared.any():
            return whole
        # Two sources may share an id (a.png in each): the second one gets a number.
        again = pl.int_range(pl.len()).over("id", order_by="fingerprint")
        numbered = whole.filter(is_shared).with_columns(
            pl.when(again > 0).then(pl.format("{} #{}", "id", again)).otherwise("id").alias("id")
        )
        return pl.concat([whole.filter(~is_shared), numbered])


def split_examples(read: Read) -> Prepared:
    """Split, correct labels, look for leaks. Raises UsageError or DataError naming what to do."""
    opened, settings = read.recognised.opened, read.recognised.opened.settings
    source, judged_on = opened.source, opened.target
    if settings.split.folds is not None:
        _refuse_contradictions(read, settings)
    notes, bad = list(read.reading.notes), list(read.reading.bad)
    if judged_on is None or read.target is None:
        with _placed(source.origin):
            splits = divided(read.reading, settings, notes)
    else:
        notes.extend(read.target.notes)
        bad.extend(read.target.bad)
        names = _two_names(source.name, judged_on.name)
        with _placed(judged_on.origin):
            splits = divided_in_two(read.reading, read.target, settings, notes, names)
            _require_known_classes(splits)
    drawn_from = _drawn_from(read, splits) if settings.split.folds is None else None
    splits = {name: examples for name, examples in splits.items() if len(examples)}
    _require(splits, source, ("train",) if settings.split.folds is not None else ("train", "dev"))
    if settings.data.labels is not None:
        splits = _corrected(splits, settings.data.labels, notes)
    folds: list[np.ndarray] = []
    if settings.split.folds is not None:
        with _placed(source.origin):
            folds, about = in_folds(splits["train"].index, settings.split.folds, seed=settings.split_seed)
        notes.extend(about)
        judged = splits["train"].take(np.sort(np.concatenate(folds)))
        splits = {"train": splits.pop("train"), "dev": judged, **splits}
    leaks = find_leaks_of_folds(splits, folds) if folds else find_leaks(splits)
    if settings.split.duplicates == "drop":
        splits, leaks = _without_copies(splits, leaks, notes)
    notes.extend(leaks.notes)
    task, why = read.recognised.task, read.recognised.why
    return Prepared(
        source, task, why, splits, tuple(notes), tuple(bad), leaks, opened.reopen, drawn_from, tuple(folds)
    )  # fmt: skip


def _drawn_from(read: Read, splits: Mapping[str, Examples]) -> int | None:
    """How many examples dev was drawn from; of target data, whose rest is trained on, nobody asks."""
    given = read.reading.splits
    if read.target is not None or "dev" in given:
        return None
    return sum(map(len, splits.values() if "all" in given else (splits["train"], splits["dev"])))


def refuse_folds(prepared: Prepared) -> None:
    """Raises UsageError for folds, where one training with one dev split is wanted."""
    if prepared.folds:
        raise UsageError(
            f"folds={len(prepared.folds)} is for fit; what is wanted here trains on one split into train and dev.",
            fix="leave folds out, or give the data and not a run with folds.",
        )


def _refuse_contradictions(read: Read, settings: Settings) -> None:
    """Raises UsageError where folds contradict how the data is divided."""
    task, split = read.recognised.task, settings.split
    own_dev = "dev" in read.reading.splits
    contradictions = {
        "data.time is about the future, and folds mix past and future": settings.data.time is not None,
        "in_order keeps neighbours together, and folds separate them": split.in_order,
        "target_data provides dev": settings.data.target_data is not None,
        "split.dev is a share for one dev split": split.dev is not None,
        "duplicates=drop drops copies of one dev split": split.duplicates == "drop",
        "the source has a dev split of its own": own_dev,
    }
    why = next((why for why, holds in contradictions.items() if holds), None)
    if why is not None:
        raise UsageError(f"folds={split.folds} does not fit: {why}.", fix="leave one of them out.")
    if not task.judge.can_average:
        raise UsageError(
            f"folds={split.folds} does not fit: the answers of several models for {task.title} cannot be averaged.",
            fix="leave folds out.",
        )


def _corrected(splits: Mapping[str, Examples], path: str, notes: list[str]) -> dict[str, Examples]:
    """Every split with the labels corrected in a review: train, dev and test by the same process."""
    labels = read_corrections(Path(path).expanduser())
    found = {}
    for name, part in splits.items():
        number = int(part.index["id"].cast(pl.String).is_in(list(labels)).sum())
        found[name] = relabelled(part, labels) if number else part
        if number:
            left_out = len(part) - len(found[name])
            out = f", {left_out:,} of them left out because nobody knows their label" if left_out else ""
            notes.append(f"{name.replace('_', '-')}: {counted(number, 'label')} corrected from {path}{out}")
    if not notes or not any(path in note for note in notes):
        raise DataError(
            "none of the ids in it is an example of this data.",
            where=path,
            fix="give the file that was written for this data.",
        )
    return found


@contextmanager
def _placed(where: str) -> Iterator[None]:
    """Add a place to errors about examples, which do not know where they come from."""
    try:
        yield
    except DataError as error:
        if error.where is not None:
            raise
        raise DataError(error.what, where=where, fix=error.fix) from None


def divided(reading: Reading, settings: Settings, notes: list[str]) -> dict[str, Examples]:
    """The splits of one source: its own, and any that are missing."""
    parts, split, seed = dict(reading.splits), settings.split, settings.split_seed
    if "all" in parts:
        whole = parts["all"]
        index = by_name(whole.index) if split.in_order else whole.index
        are_parts = whole.is_in_order
        by_time = settings.data.time is not None or are_parts or split.in_order
        division = divide(index, dev=split.dev, test=split.test, by_time=by_time, seed=seed, are_parts=are_parts)
        notes.extend(division.notes)
        if split.folds is not None:
            division = replace(division, train=np.union1d(division.train, division.dev), dev=division.dev[:0])
        return {
            "train": whole.take(division.train),
            "dev": whole.take(division.dev),
            "test": whole.take(division.test),
        }
    if split.in_order:
        raise UsageError(
            f"in_order=yes divides one series of examples, and this source has its own {' and '.join(parts)}.",
            fix="leave in_order out.",
        )
    if "train" not in parts:
        raise DataError(
            f"found {' and '.join(parts)} but no train split.", fix="add a train split, or give one set without splits."
        )
    if "dev" not in parts and split.folds is None:
        train = parts["train"]
        share = split.dev or automatic_share(len(train))
        if train.is_in_order:
            kept, held = np.split(np.arange(len(train)), [max(1, round((1 - share) * len(train)))])
        else:
            kept, held, carved = carve(train.index, share, seed=seed, name="dev")
            notes.extend(carved)
        notes.append(f"dev: {len(held):,} examples held out of train, since the source has none")
        parts["train"], parts["dev"] = train.take(kept), train.take(held)
    return parts


def by_name(index: pl.DataFrame) -> pl.DataFrame:
    """The index with the place of each example as its time: by the numbers in its id, and the texts between them."""
    names = index["id"].cast(pl.String).to_list()
    parts = [re.split(r"(\d+)", name) for name in names]  # texts and numbers in turn
    keys = [[(text, 0) if place % 2 == 0 else ("", int(text)) for place, text in enumerate(one)] for one in parts]
    order = sorted(range(len(names)), key=keys.__getitem__)
    place = np.empty(len(names), np.int64)
    place[order] = np.arange(len(names))
    return index.with_columns(time=pl.Series(place))


def divided_in_two(
    reading: Reading, target: Reading, settings: Settings, notes: list[str], names: tuple[str, str]
) -> dict[str, Examples]:
    """Train on the source, evaluate on the target distribution; train-dev is held out from the training data.

    The `names` of the two are kept with every example, so that they can be separated again.
    """
    general = (reading.splits["all"] if "all" in reading.splits else reading.splits["train"]).with_source(names[0])
    unused = [name for name in ("dev", "test") if name in reading.splits]
    if unused:
        notes.append(f"{' and '.join(unused)} of the source are not used: target_data provides dev and test")
    alike = {name: _alike(general, part).with_source(names[1]) for name, part in target.splits.items()}
    target = replace(target, splits=alike)
    split, seed = settings.split, settings.split_seed
    if "all" in target.splits:
        wanted = target.splits["all"]
        division = divide_two(
            general.index, wanted.index, dev=split.dev, test=split.test, train_dev=split.train_dev, seed=seed
        )
        notes.extend(division.notes)
        return {
            "train": _joined(general.take(division.source_train), wanted.take(division.target_train)),
            "train_dev": _joined(general.take(division.source_train_dev), wanted.take(division.target_train_dev)),
            "dev": wanted.take(division.target_dev),
            "test": wanted.take(division.target_test),
        }
    judged = divided(target, settings, notes)
    train = _joined(general, judged.pop("train"))
    share = split.train_dev or min(0.1, len(judged["dev"]) / len(train))
    kept, held, carved = carve(train.index, share, seed=seed, name="train_dev")
    notes.extend(carved)
    return {"train": train.take(kept), "train_dev": train.take(held), **judged}


def _two_names(first: str, second: str) -> tuple[str, str]:
    """Names that tell two sources apart."""
    return (first, second) if first != second else (first, f"{second} (target)")


def _alike(general: Examples, wanted: Examples) -> Examples:
    """The target's examples with the columns and types of the source's. Raises DataError."""
    nobody = general.take(np.empty(0, dtype=np.int64))
    return nobody.join(wanted) if type(wanted) is type(general) else wanted


def _joined(first: Examples, second: Examples) -> Examples:
    return first.join(second) if len(second) else first


def _require(splits: Mapping[str, Examples], source: Source, needed: tuple[str, ...]) -> None:
    for name in needed:
        if name not in splits:
            raise DataError(
                f"no examples are left for {name}.",
                where=source.origin,
                fix="add data, or set split.dev and split.test to smaller shares.",
            )
    if len(splits["train"]) < 2:
        raise DataError(
            f"there are {sum(map(len, splits.values()))} examples, too few to learn from.",
            where=source.origin,
            fix="add examples: at least four, better hundreds.",
        )


def _require_known_classes(splits: Mapping[str, Examples]) -> None:
    """Raises DataError if the target data has classes that training never sees."""
    labels = {name: part.index["label"].drop_nulls() for name, part in splits.items()}
    known = set(labels["train"].cast(pl.String).unique())
    for name, label in labels.items():
        strange = sorted(set(label.cast(pl.String).unique()) - known)
        if strange:
            how = look_alike(strange[0], known)
            raise DataError(
                f"{name} has {counted(len(strange), 'class', 'classes')} that train has no examples of: "
                f"{first_names(strange)}{f' ({how})' if how else ''}.",
                fix="use the same class names in both sources, or add examples of them to the first.",
            )


def _without_copies(
    splits: dict[str, Examples], leaks: Leaks, notes: list[str]
) -> tuple[dict[str, Examples], Leaks]:  # fmt: skip
    """Drop from train every example that is a copy of one in another split."""
    copies = leaks.copies_in_train
    if not len(copies):
        return splits, leaks
    kept = np.setdiff1d(np.arange(len(splits["train"])), copies)
    notes.append(f"dropped from train: {len(copies):,} copies of examples of other splits (split.duplicates=drop)")
    splits = {**splits, "train": splits["train"].take(kept)}
    return splits, find_leaks(splits)


def train_sample(examples: Examples, most: int, seed: int) -> Examples:
    """At most `most` examples of train, drawn evenly with the run's seed."""
    return examples if len(examples) <= most else examples.take(train_rows(len(examples), most, seed))


def train_rows(total: int, most: int, seed: int) -> np.ndarray:
    """The positions of `train_sample`, in order."""
    if total <= most:
        return np.arange(total)
    return np.sort(generator(seed, "train rung").choice(total, most, replace=False))
