"""Dates as people write them to ISO, on dates that training never had: `python -m benchmarks.dates [FOLDER]`.

Writes FOLDER/dates.csv: 20,000 dates from 1900 to 2099, each once, in one of twelve spellings. A spelling that would
contradict another is none of them: what is written with slashes or dots always has the day before the month. Then
`gnomon fit dates.csv source=human target=iso threads=1`, by default for three seeds: minutes of processor time, and
the share of dates of dev that are right, of test with `--test`, by spelling. Words such as `model=seq2seq-attention`
are settings of the fit.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import gnomon

FIRST, DAYS = date(1900, 1, 1), 73_049  # to the last day of 2099
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth",
    "twentieth",
)  # fmt: skip


def nth(day: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    ending = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


def in_words(day: int) -> str:
    if day == 30:
        return "thirtieth"
    return ORDINALS[day - 1] if day <= 20 else f"{'twenty' if day < 30 else 'thirty'}-{ORDINALS[day % 10 - 1]}"


def month(on: date) -> str:
    return MONTHS[on.month - 1]


def weekday(on: date) -> str:
    return WEEKDAYS[on.weekday()]


SPELLINGS: Mapping[str, Callable[[date], str]] = {
    "3rd of May 1979": lambda on: f"{nth(on.day)} of {month(on)} {on.year}",
    "the third of May, 1979": lambda on: f"the {in_words(on.day)} of {month(on)}, {on.year}",
    "May 3, 1979": lambda on: f"{month(on)} {on.day}, {on.year}",
    "3 May 1979": lambda on: f"{on.day} {month(on)} {on.year}",
    "Thursday, May 3rd, 1979": lambda on: f"{weekday(on)}, {month(on)} {nth(on.day)}, {on.year}",
    "Thu 3 May 1979": lambda on: f"{weekday(on)[:3]} {on.day} {month(on)[:3]} {on.year}",
    "03-MAY-1979": lambda on: f"{on.day:02}-{month(on)[:3].upper()}-{on.year}",
    "1979 May 3": lambda on: f"{on.year} {month(on)} {on.day}",
    "3.5.1979": lambda on: f"{on.day}.{on.month}.{on.year}",
    "03/05/1979": lambda on: f"{on.day:02}/{on.month:02}/{on.year}",
    "1979/05/03": lambda on: f"{on.year}/{on.month:02}/{on.day:02}",
    "19790503": lambda on: f"{on.year}{on.month:02}{on.day:02}",
}


def made(count: int, seed: int = 0) -> list[tuple[str, str, str]]:
    """So many dates, all different: as a person writes it, ISO, the name of the spelling."""
    draw = np.random.default_rng(seed)
    days = draw.choice(DAYS, count, replace=False).tolist()
    names = draw.choice(list(SPELLINGS), count).tolist()
    dates = [FIRST + timedelta(days=day) for day in days]
    return [(SPELLINGS[name](on), on.isoformat(), name) for on, name in zip(dates, names, strict=True)]


def written(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "dates.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("human", "iso"), *((human, iso) for human, iso, _ in made(count))])
    return path


def fitted(path: Path, seed: int, words: Mapping[str, Any]) -> tuple[gnomon.Run, float]:
    """The run, and seconds of processor time."""
    began = time.process_time()
    run = gnomon.fit(
        path, source="human", target="iso", threads=1, seed=seed, runs_folder=str(path.parent / "runs"), **words
    )
    return run, time.process_time() - began


def by_spelling(table: pl.DataFrame, names: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """Of each spelling: dates that are wrong, and all of them. `names`: from sources to spellings."""
    found: dict[str, list[float]] = defaultdict(list)
    for text, error in table.select("text", "error").iter_rows():
        found[names[text]].append(error)
    return {name: (round(sum(found[name])), len(found[name])) for name in SPELLINGS if name in found}


def main(arguments: Sequence[str] | None = None) -> list[str]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("dates"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--dates", type=int, default=20_000)
    parser.add_argument("--test", action="store_true", help="open test as well")
    parser.add_argument("--set", nargs="*", default=[], help="settings of the fit, as model=seq2seq-attention")
    given = parser.parse_args(arguments)
    path = written(given.folder, given.dates)
    names = {human: name for human, _, name in made(given.dates)}
    words = dict(word.split("=", 1) for word in given.set)
    lines = []
    for seed in range(given.seeds):
        run, seconds = fitted(path, seed, words)
        tables = {"dev": run.evaluation("dev").table}
        if given.test:
            run.test()
            tables["test"] = run.evaluation("test").table
        for split, table in tables.items():
            right = 1 - table["error"].mean()
            lines.append(f"seed {seed}, {seconds / 60:.1f} minutes: {right:.2%} of {len(table):,} dates of {split}")
            wrong = {name: count for name, count in by_spelling(table, names).items() if count[0]}
            lines += [f"    {name}: {few} of {count} wrong" for name, (few, count) in wrong.items()]
        print("\n".join(lines[-14:]), flush=True)
    return lines


if __name__ == "__main__":
    main()
