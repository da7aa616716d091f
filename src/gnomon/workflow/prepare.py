"""From what the user handed over to splits: recognise, read, divide, look for leaks. The same each time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gnomon import tasks
from gnomon.core.errors import DataError, UsageError
from gnomon.core.example import BadInput, Examples, Reading
from gnomon.core.settings import Settings, with_values
from gnomon.core.task import Task
from gnomon.data.corrections import read_corrections, relabelled
from gnomon.data.leakage import Leaks, find_leaks
from gnomon.data.opening import open_source
from gnomon.data.origins import from_source, two_sources
from gnomon.data.source import TABLE_SUFFIXES, Source, counted, display_name, first_names
from gnomon.data.splits import automatic_share, carve, divide, divide_two

SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
LEAST_CERTAIN = 0.2  # a claim below this is a guess not worth acting on


@dataclass(frozen=True)
class Prepared:
    """A source, recognised, read and divided."""

    source: Source
    task: type[Task]
    why: str  # why the source was taken for this task's
    splits: Mapping[str, Examples]  # "train", "train_dev" (with target data), "dev", "test" (unless there is none)
    notes: tuple[str, ...]
    bad: tuple[BadInput, ...]
    leaks: Leaks
    reopen: str | None  # what to hand over to open the source again; None for data in memory

    def identity(self) -> pl.DataFrame:
        """Who is where: one row an example, with split, id and fingerprint. What a resumed run is held against."""
        parts = [
            pl.DataFrame({"id": part.index["id"].cast(pl.String), "fingerprint": part.fingerprints()}).select(
                pl.lit(name).alias("split"), "id", "fingerprint"
            )
            for name, part in self.splits.items()
        ]
        whole = pl.concat(parts)
        is_shared = whole["id"].is_duplicated()
        if not is_shared.any():
            return whole
        # Two sources may use one id (a.png in each): the second one is told from the first by its number.
        again = pl.int_range(pl.len()).over("id", order_by="fingerprint")
        numbered = whole.filter(is_shared).with_columns(
            pl.when(again > 0).then(pl.format("{} #{}", "id", again)).otherwise("id").alias("id")
        )
        return pl.concat([whole.filter(~is_shared), numbered])


def prepare(thing: Any, settings: Settings, task: type[Task] | None = None) -> Prepared:
    """Open, recognise, read, divide and check `thing`. Raises UsageError or DataError naming what to do."""
    source = open_source(thing)
    chosen, why = recognise(source, settings, task)
    reading = chosen.read(source, settings.data)
    notes, bad = list(reading.notes), list(reading.bad)
    if settings.data.target_data is None:
        with _placed(source.origin):
            splits = divided(reading, settings, notes)
    else:
        judged_on = _open_target(settings.data.target_data)
        target = chosen.read(judged_on, settings.data)
        notes.extend(target.notes)
        bad.extend(target.bad)
        names = two_sources(source.name, judged_on.name)
        with _placed(judged_on.origin):
            splits = divided_in_two(reading, target, settings, notes, names)
            _require_known_classes(splits)
    splits = {name: examples for name, examples in splits.items() if len(examples)}
    _require(splits, source)
    if settings.data.labels is not None:
        splits = _corrected(splits, settings.data.labels, notes)
    leaks = find_leaks(splits)
    if settings.split.duplicates == "drop":
        splits, leaks = _without_copies(splits, leaks, notes)
    notes.extend(leaks.notes)
    return Prepared(source, chosen, why, splits, tuple(notes), tuple(bad), leaks, _reopen(thing))


def findable(settings: Settings) -> Settings:
    """The settings with the places of further files as they are seen from every folder: a run is resumed from any."""
    places = {"data.target_data": settings.data.target_data, "data.labels": settings.data.labels}
    found = {
        key: str(Path(place).expanduser().absolute())
        for key, place in places.items()
        if place is not None and Path(place).expanduser().exists()
    }
    return with_values(settings, found)


def _corrected(splits: Mapping[str, Examples], path: str, notes: list[str]) -> dict[str, Examples]:
    """Every split with the labels that a review has corrected: train, dev and test by the same process."""
    labels = read_corrections(Path(path).expanduser())
    found = {}
    for name, part in splits.items():
        number = int(part.index["id"].cast(pl.String).is_in(list(labels)).sum())
        found[name] = relabelled(part, labels) if number else part
        if number:
            left_out = len(part) - len(found[name])
            out = f", {left_out:,} of them left out, since nobody knows their label" if left_out else ""
            notes.append(f"{name.replace('_', '-')}: labels of {counted(number, 'example')} as {path} has them{out}")
    if not notes or not any(path in note for note in notes):
        raise DataError(
            "none of the ids there is an example of this data.",
            where=path,
            fix="give the file that was written for it.",
        )
    return found


def source_of(card: Mapping[str, Any], given: Any, *, in_memory: str, moved: str) -> Any:
    """What a run was made from: as `given`, or where its data card says. `in_memory` and `moved` are what to do else.

    Raises UsageError for data that was in memory, DataError for data that is gone.
    """
    place = card["reopen"]
    if given is not None:
        return given
    if place is None:
        raise UsageError("this run's data was in memory.", fix=in_memory)
    if os.path.isabs(place) and not os.path.lexists(place):  # noqa: PTH117
        raise DataError("the data that this run was made from is gone.", where=display_name(place), fix=moved)
    return place


def recognise(source: Source, settings: Settings, task: type[Task] | None = None) -> tuple[type[Task], str]:
    """The task that claims the source most surely, and why. `settings.task` or `task` overrules."""
    chosen = task or (tasks.load(settings.task) if settings.task is not None else None)
    if chosen is not None:
        given = chosen.claim(source, settings.data)
        return chosen, given.why if given is not None else source.summary().removeprefix("found ")
    claims = []
    for name in tasks.names():
        candidate = tasks.load(name)
        claim = candidate.claim(source, settings.data)
        if claim is not None and claim.certainty >= LEAST_CERTAIN:
            claims.append((claim, name, candidate))
    if not claims:
        raise DataError(f"{source.summary()}; no task recognises that.", where=source.origin, fix=_what_to_give(source))
    claim, _, candidate = min(claims, key=lambda each: (-each[0].certainty, each[1]))
    if claim.fault is not None:
        claim.fault()
    return candidate, claim.why


def _what_to_give(source: Source) -> str:
    names = [file.name.lower() for file in source.tree.files] if source.tree is not None else []
    if any(name.endswith(SPREADSHEETS) for name in names):
        return "save the sheet as CSV in the spreadsheet program, and give that."
    if sum(name.endswith(TABLE_SUFFIXES) for name in names) > 1:
        return "give one of the tables, or name them train.csv, dev.csv and test.csv."
    return "give a folder that holds a folder of pictures for each class, or a CSV, TSV or Parquet table."


def _open_target(path: str) -> Source:
    try:
        return open_source(path)
    except UsageError as error:
        raise UsageError(f"data.target_data: {error.what}", where=error.where, fix=error.fix) from None


@contextmanager
def _placed(where: str) -> Iterator[None]:
    """Errors about examples, which do not know where they come from, get a place."""
    try:
        yield
    except DataError as error:
        if error.where is not None:
            raise
        raise DataError(error.what, where=where, fix=error.fix) from None


def _reopen(thing: Any) -> str | None:
    if not isinstance(thing, str | os.PathLike):
        return None
    text = os.fsdecode(thing)
    expanded = os.path.expanduser(text)  # noqa: PTH111  as data.source opens it
    return os.path.abspath(expanded) if os.path.lexists(expanded) else text  # noqa: PTH100


def divided(reading: Reading, settings: Settings, notes: list[str]) -> dict[str, Examples]:
    """The splits of one source: as it divides itself, completed where it does not."""
    parts, split, seed = dict(reading.splits), settings.split, settings.seed
    if "all" in parts:
        whole = parts["all"]
        division = divide(
            whole.index, dev=split.dev, test=split.test, by_time=settings.data.time is not None, seed=seed
        )
        notes.extend(division.notes)
        return {
            "train": whole.take(division.train),
            "dev": whole.take(division.dev),
            "test": whole.take(division.test),
        }
    if "train" not in parts:
        raise DataError(
            f"found {' and '.join(parts)} but no train split.", fix="add a train split, or hand over one undivided set."
        )
    if "dev" not in parts:
        train = parts["train"]
        share = split.dev or automatic_share(len(train))
        kept, held, carved = carve(train.index, share, seed=seed, name="dev")
        notes.append(f"dev: {len(held):,} examples held out of train, since the source has none")
        notes.extend(carved)
        parts["train"], parts["dev"] = train.take(kept), train.take(held)
    return parts


def divided_in_two(
    reading: Reading, target: Reading, settings: Settings, notes: list[str], names: tuple[str, str]
) -> dict[str, Examples]:
    """Train on the source, judge on the target distribution; train-dev is carved from what is trained on.

    `names` of the two are kept with every example: what is joined can be told apart again.
    """
    general = from_source(reading.splits["all"] if "all" in reading.splits else reading.splits["train"], names[0])
    unused = [name for name in ("dev", "test") if name in reading.splits]
    if unused:
        notes.append(f"{' and '.join(unused)} of the source are not used: target_data is what counts")
    alike = {name: from_source(_alike(general, part), names[1]) for name, part in target.splits.items()}
    target = replace(target, splits=alike)
    split, seed = settings.split, settings.seed
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


def _alike(general: Examples, wanted: Examples) -> Examples:
    """The target's examples in the form (columns, types) that those of the source have. Raises DataError."""
    nobody = general.take(np.empty(0, dtype=np.int64))
    return nobody.join(wanted) if type(wanted) is type(general) else wanted


def _joined(first: Examples, second: Examples) -> Examples:
    return first.join(second) if len(second) else first


def _require(splits: Mapping[str, Examples], source: Source) -> None:
    for name in ("train", "dev"):
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
            fix="add examples: four are the least, hundreds are a start.",
        )


def _require_known_classes(splits: Mapping[str, Examples]) -> None:
    """Raises DataError where the target data holds classes that training never sees."""
    strata = {name: part.index["stratum"].drop_nulls() for name, part in splits.items()}
    if strata["train"].dtype.is_numeric():
        return
    known = set(strata["train"].cast(pl.String).unique())
    for name, stratum in strata.items():
        strange = sorted(set(stratum.cast(pl.String).unique()) - known)
        if strange:
            raise DataError(
                f"{name} has {counted(len(strange), 'class', 'classes')} that train has no examples of: "
                f"{first_names(strange)}.",
                fix="name the classes alike in both sources, or add examples of them to the first.",
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
