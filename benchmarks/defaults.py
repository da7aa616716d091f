"""The default optimiser and schedule beside others, on real tables and pictures: `python -m benchmarks.defaults`.

1. Each candidate is tried at three learning rates on a division that judges nothing. What a default needs is one rate
   for all tables and one for all pictures: it gets the one with the lowest error, averaged over the sets. The FINALISTS
   with the lowest go on.
2. They are trained on other divisions, a seed each (division, start, order), for as many epochs as the default, and
   judged on test, which is most of the data where there is enough of it.
3. A candidate whose steps cost more is trained again with as many epochs fewer as take the default's time.

Every fit is a line of LINES as soon as it is done; a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import io
import itertools
import json
import math
import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.candidates import CANDIDATES, Candidate, in_place_of_the_default
from gnomon.core.errors import DivergedError
from gnomon.core.seeds import derive
from gnomon.core.settings import from_flat, value_of
from gnomon.training.evaluate import evaluate
from gnomon.training.loop import split_error
from gnomon.workflow.prepare import prepare
from gnomon.workflow.trial import Trials

DATA = Path(os.environ.get("GNOMON_DATA", "../shared/data"))
TUNING = 1_000  # a seed that judges nothing
FINALISTS = 5  # candidates that are compared with the default
DEFAULT = CANDIDATES[0]
SLOWER = 1.15  # times the default's processor time: from here on, equal epochs are not equal time
DIVERGED = 10.0  # a fit that diverged counts as this many times the default's error


@dataclass(frozen=True)
class Set:
    """Real data, and the settings that make a fit of it short."""

    kind: str  # "pictures" or "table"
    read: Callable[[], Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs: str = ""  # a package, or a file below DATA


def of_images(folder: str) -> tuple[np.ndarray, np.ndarray]:
    """10,000 pictures brought to 14 x 14, (N, 14, 14) uint8, and their labels (N,)."""
    pictures = gzip.decompress((DATA / folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((DATA / folder / "t10k-labels-idx1-ubyte.gz").read_bytes())
    pixels = np.frombuffer(pictures, np.uint8, offset=16).reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))
    return pixels.round().astype(np.uint8), np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)


def of_cifar() -> tuple[np.ndarray, np.ndarray]:
    """The 5,000 test pictures of the half of CIFAR-10 brought to 16 x 16, (N, 16, 16, 3) uint8, and labels (N,)."""
    from PIL import Image

    with zipfile.ZipFile(DATA / "cifar10-half.zip") as store:
        names = sorted(name for name in store.namelist() if "test/" in name and name.endswith(".jpg"))
        pixels = [np.asarray(Image.open(io.BytesIO(store.read(name))).reduce(2)) for name in names]
    classes = sorted({Path(name).parent.name for name in names})
    return np.stack(pixels), np.array([classes.index(Path(name).parent.name) for name in names])


def of_digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's digits as a table of 64 columns."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.data, found.target


def of_statsmodels(name: str) -> Callable[[], Path]:
    def path() -> Path:
        spec = importlib.util.find_spec("statsmodels")
        assert spec is not None
        assert spec.origin is not None
        return Path(spec.origin).parent / "datasets" / name / f"{name}.csv"

    return path


HALF = {"dev": 0.25, "test": 0.35}  # of a small set: 40 % are left to train on; tables get half of their usual epochs
SHORT = {"dev": 0.1, "test": 0.7, "epochs": 15}  # of 10,000 pictures: 2,000 are left to train on
SETS = {
    "digits": Set("pictures", lambda: "digits", {**HALF, "epochs": 20}),
    "MNIST": Set("pictures", lambda: of_images("mnist-10k"), SHORT, needs="mnist-10k"),
    "Fashion-MNIST": Set("pictures", lambda: of_images("fashion-mnist"), SHORT, needs="fashion-mnist"),
    "CIFAR-10": Set("pictures", of_cifar, {"dev": 0.1, "test": 0.5, "epochs": 15}, needs="cifar10-half.zip"),
    "breast cancer": Set("table", lambda: "breast-cancer", {**HALF, "epochs": 140}),
    "digits as a table": Set("table", of_digits, {**HALF, "epochs": 45}),
    "fair": Set(
        "table", of_statsmodels("fair"), {**HALF, "target": "rate_marriage", "epochs": 25}, needs="statsmodels"
    ),
    "diabetes": Set("table", lambda: "diabetes", {**HALF, "epochs": 180}),
    "randhie": Set(
        "table", of_statsmodels("randhie"), {**HALF, "target": "lncoins", "epochs": 10}, needs="statsmodels"
    ),
}


def is_there(one: Set) -> bool:
    return not one.needs or (DATA / one.needs).exists() or importlib.util.find_spec(one.needs) is not None


# --- fits, a line each ------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Fit:
    """One training; its line is found again by these."""

    set: str
    candidate: str
    factor: float
    seed: int
    epochs: float = 1.0  # times those of the default


class Fits:
    """The lines there are, and the fits that make the others."""

    def __init__(self, lines: Path) -> None:
        self.lines = lines
        rows = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
        self.rows = {Fit(**row["fit"]): row for row in rows}
        self.opened: tuple[str, int, Trials] | None = None

    def __call__(self, fit: Fit) -> Mapping[str, Any]:
        if fit not in self.rows:
            row = {"fit": fit.__dict__, **self._made(fit)}
            with self.lines.open("a") as file:
                file.write(json.dumps(row) + "\n")
            self.rows[fit] = row
            say(f"{fit.set:<18} {fit.candidate:<22} x {fit.factor:<5g} seed {fit.seed:<5} {_short(row)}")
        return self.rows[fit]

    def _made(self, fit: Fit) -> dict[str, Any]:
        trials = self._trials(fit.set, fit.seed)
        candidate = next(one for one in CANDIDATES if one.name == fit.candidate)
        base = trials.base.settings
        rate, decay = (value_of(base, key) for key in ("optimiser.learning_rate", "regularise.weight_decay"))
        changes: dict[str, Any] = {**candidate.settings, "optimiser.learning_rate": rate * fit.factor}
        changes["stop.epochs"] = max(1, round((base.stop.epochs or 1) * fit.epochs))
        if candidate.decay_by_rate:
            changes["regularise.weight_decay"] = decay / fit.factor
        began = time.process_time()
        try:
            with in_place_of_the_default(candidate):
                trial = trials.run(changes)
        except DivergedError:
            return {"dev": math.inf, "test": math.inf, "seconds": math.nan}
        seconds = time.process_time() - began
        examples = trial.task.judge.judged(trials.prepared.splits["test"], derive(fit.seed, "judged"))
        found = evaluate(trial.task, trial.model, examples, split="test", source="test", device=trials.base.device)
        return {"dev": split_error(trial.evaluations["dev"]), "test": split_error(found), "seconds": seconds}

    def _trials(self, name: str, seed: int) -> Trials:
        if self.opened is None or self.opened[:2] != (name, seed):
            one = SETS[name]
            opened = from_flat({**one.settings, "seed": seed, "machine.threads": 1})
            source = one.read()
            self.opened = (name, seed, Trials(prepare(source, opened), opened))
        return self.opened[2]


def _short(row: Mapping[str, Any]) -> str:
    return f"dev {row['dev']:.4g}  test {row['test']:.4g}  {row['seconds']:.1f} s"


# --- what they say ----------------------------------------------------------------------------------------------------
def tuned(fits: Fits, candidates: Sequence[Candidate], names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """{candidate: its best factor, and its error there, 1 being the default's}: averaged over the sets."""
    tried = [(one, factor) for one in candidates for factor in one.factors]
    found = {name: [fits(Fit(name, one.name, factor, TUNING))["test"] for one, factor in tried] for name in names}
    level = {name: float(np.median(errors)) for name, errors in found.items()}

    def merit(place: int) -> float:
        return float(np.mean([min(DIVERGED, found[name][place] / level[name]) for name in names]))

    own = merit(tried.index((DEFAULT, 1.0)))
    best = {
        one.name: min((merit(i), factor) for i, (each, factor) in enumerate(tried) if each is one) for one in candidates
    }
    return {name: (factor, error / own) for name, (error, factor) in best.items()}


@dataclass(frozen=True)
class Compared:
    """A candidate against the default on one set: percent of the default's test error, below 0 where it errs less."""

    mean: float
    low: float
    high: float
    seconds: float  # times the default's

    @property
    def text(self) -> str:
        mark = "**" if self.high < 0 else "_" if self.low > 0 else ""
        return f"{mark}{self.mean:+.1f}{mark} [{self.low:+.1f}, {self.high:+.1f}]"


def compared(fits: Fits, name: str, candidate: str, factor: float, seeds: Sequence[int], epochs: float) -> Compared:
    own = [fits(Fit(name, DEFAULT.name, 1.0, seed)) for seed in seeds]
    theirs = [fits(Fit(name, candidate, factor, seed, epochs)) for seed in seeds]
    level = float(np.mean([row["test"] for row in own]))
    worst = DIVERGED * level
    gaps = [min(a["test"], worst) - b["test"] for a, b in zip(theirs, own, strict=True)]
    mean, spread = 100 * np.mean(gaps) / level, 100 * np.std(gaps, ddof=1) / level
    reach = float(stats.t.ppf(0.975, len(gaps) - 1)) * spread / math.sqrt(len(gaps))
    seconds = float(np.nansum([row["seconds"] for row in theirs]) / np.sum([row["seconds"] for row in own]))
    return Compared(float(mean), float(mean - reach), float(mean + reach), seconds)


def lines_of(fits: Fits, names: Sequence[str], candidates: Sequence[Candidate], seeds: int) -> Iterator[str]:
    """Tables in Markdown, one a kind of data."""
    for kind in dict.fromkeys(SETS[name].kind for name in names):
        own, judged = [name for name in names if SETS[name].kind == kind], range(seeds)
        best = tuned(fits, candidates, own)
        others = sorted((one for one in candidates if one is not DEFAULT), key=lambda one: best[one.name][1])
        left = others[:FINALISTS]
        for name, seed in itertools.product(own, judged):  # what is read and divided once is used by all
            for one in (DEFAULT, *left):
                fits(Fit(name, one.name, 1.0 if one is DEFAULT else best[one.name][0], seed))
        yield from (f"| {kind} | rate | {' | '.join(own)} | won, lost | time |", "|---" * (len(own) + 4) + "|")
        level = [np.mean([fits(Fit(name, DEFAULT.name, 1.0, seed))["test"] for seed in judged]) for name in own]
        yield f"| {DEFAULT.name}: test error | x 1 | {' | '.join(f'{one:.4g}' for one in level)} | | 1 |"
        for one in left:
            yield from rows_of(fits, one, best[one.name][0], own, judged)
        shown = [
            f"{one.name} (x {best[one.name][0]:g}) {best[one.name][1]:.2f}" for one in (*left, *others[FINALISTS:])
        ]
        yield from ("", f"Errors when rates were chosen, as parts of the default's: {', '.join(shown)}.", "")


def rows_of(fits: Fits, one: Candidate, factor: float, names: Sequence[str], seeds: Sequence[int]) -> Iterator[str]:
    found = [compared(fits, name, one.name, factor, seeds, 1.0) for name in names]
    times = float(np.mean([each.seconds for each in found]))
    yield row_of(one.name, factor, found, times)
    if times > SLOWER:
        found = [compared(fits, name, one.name, factor, seeds, round(1 / times, 2)) for name in names]
        times = float(np.mean([each.seconds for each in found]))
        yield row_of(f"{one.name}, equal time", factor, found, times)


def row_of(name: str, factor: float, found: Sequence[Compared], times: float) -> str:
    won, lost = sum(one.high < 0 for one in found), sum(one.low > 0 for one in found)
    return f"| {name} | x {factor:g} | {' | '.join(one.text for one in found)} | {won}, {lost} | {times:.2f} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.defaults", description=__doc__)
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--candidates", nargs="*", default=[one.name for one in CANDIDATES])
    parser.add_argument("--seeds", type=int, default=5, help="divisions that judge (default 5)")
    parser.add_argument("--lines", type=Path, default=Path("defaults.jsonl"), help="where fits are kept, a line each")
    options = parser.parse_args(arguments)
    names = [name for name in options.sets if is_there(SETS[name])]
    for name in set(options.sets) - set(names):
        say(f"{name}: left out, {SETS[name].needs} is not here")
    candidates = [one for one in CANDIDATES if one.name in options.candidates]
    print("\n".join(lines_of(Fits(options.lines), names, candidates, options.seeds)))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
