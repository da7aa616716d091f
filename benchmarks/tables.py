"""The default on tables beside what people would pick instead, on public tables: `python -m benchmarks.tables`.

Each table is cut into 80 % and 20 %, once per seed. Everybody gets the 80 %: gnomon with its defaults (a quarter of
the 80 % is its dev set), scikit-learn's HistGradientBoosting and its MLP (256, 256) with early stopping (a tenth is its
own), and logistic or ridge regression. The error is the share of wrong classes, or the root of the mean squared error
in standard deviations of the target. Defaults were chosen on TUNING; REPORTED is what this reports, and FRESH what it
reports of changes made later.

Every fit is a line of LINES as soon as it is done; a study that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy import stats
from threadpoolctl import threadpool_limits

from benchmarks.table_sets import FRESH, REPORTED, SETS, TUNING, TableSet
from gnomon.core.settings import Settings, from_flat
from gnomon.training.evaluate import evaluate
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.split import Prepared
from gnomon.workflow.trial import Trials

TEST = 0.2  # share of the rows
OURS, TREES, NET, LINEAR = "gnomon", "HistGradientBoosting", "MLP (256, 256)", "logistic or ridge"


@dataclass(frozen=True)
class Cut:
    """One table in two parts, the 80 % and the 20 %, as a peer gets it."""

    is_classes: bool
    numbers: tuple[np.ndarray, np.ndarray]  # (N, D) float64, NaN where unknown
    texts: tuple[np.ndarray, np.ndarray]  # (N, C) str, "" where unknown
    targets: tuple[np.ndarray, np.ndarray]  # class names, or numbers in standard deviations of the 80 %
    std: float  # of the target on the 80 %; 1 for classes
    ids: list[int]  # of the test rows
    seed: int


def cut_of(one: TableSet, seed: int) -> tuple[Cut, Prepared, Settings]:
    """The table divided as `gnomon.fit(..., test=0.2)` divides it."""
    task = "tabular_classification" if one.is_classes else "tabular_regression"
    settings = from_flat({"target": one.target, "task": task, "test": TEST, "seed": seed, "machine.threads": 1})
    frame = one.read()
    prepared = prepare(frame, settings)
    ids = {name: part.index["id"].cast(int).to_numpy() for name, part in prepared.splits.items()}
    parts = [frame[np.sort(np.concatenate([ids["train"], ids["dev"]])) - 1], frame[ids["test"] - 1]]
    targets = [part[one.target].to_numpy() for part in parts]
    mean, std = (0.0, 1.0) if one.is_classes else (targets[0].mean(), targets[0].std())
    if not one.is_classes:
        targets = [(target - mean) / std for target in targets]
    inputs = [part.drop(one.target) for part in parts]
    number = [name for name, kind in inputs[0].schema.items() if kind.is_numeric()]
    cut = Cut(
        one.is_classes,
        numbers=_pair(
            part.select(pl.col(number).cast(pl.Float64)).to_numpy().reshape(len(part), -1) for part in inputs
        ),
        texts=_pair(part.drop(number).cast(pl.String).fill_null("").to_numpy().astype(str) for part in inputs),
        targets=_pair(targets),
        std=float(std),
        ids=ids["test"].tolist(),
        seed=seed,
    )
    return cut, prepared, settings


def _pair(parts: Any) -> tuple[np.ndarray, np.ndarray]:
    first, second = parts
    return first, second


# --- the four ---------------------------------------------------------------------------------------------------------
def of_trees(cut: Cut) -> np.ndarray:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.preprocessing import OrdinalEncoder

    kind = HistGradientBoostingClassifier if cut.is_classes else HistGradientBoostingRegressor
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    width = cut.numbers[0].shape[1]
    codes = (encoder.fit_transform(cut.texts[0]), encoder.transform(cut.texts[1])) if cut.texts[0].size else cut.texts
    known, test = (
        np.hstack([numbers, code]) if code.size else numbers for numbers, code in zip(cut.numbers, codes, strict=True)
    )
    categorical = [width + i for i in range(cut.texts[0].shape[1]) if len(set(cut.texts[0][:, i])) < 255]
    return kind(categorical_features=categorical, random_state=cut.seed).fit(known, cut.targets[0]).predict(test)


def of_net(cut: Cut) -> np.ndarray:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    kind = MLPClassifier if cut.is_classes else MLPRegressor
    known, test = one_hot(cut)
    net = kind(hidden_layer_sizes=(256, 256), early_stopping=True, random_state=cut.seed)
    return net.fit(known, cut.targets[0]).predict(test)


def of_linear(cut: Cut) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression, RidgeCV

    known, test = one_hot(cut)
    model = LogisticRegression(max_iter=1_000) if cut.is_classes else RidgeCV(np.logspace(-3, 3, 7))
    return model.fit(known, cut.targets[0]).predict(test)


def one_hot(cut: Cut) -> tuple[np.ndarray, np.ndarray]:
    """Numbers imputed and standardised, texts one-hot: (N, D + ...) float64."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    parts = []
    if cut.numbers[0].shape[1]:
        parts.append((make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), cut.numbers))
    if cut.texts[0].shape[1]:
        parts.append((OneHotEncoder(handle_unknown="ignore", sparse_output=False), cut.texts))
    return _pair(
        np.hstack(each)
        for each in zip(*((fitted.fit_transform(a), fitted.transform(b)) for fitted, (a, b) in parts), strict=True)
    )


PEERS: Mapping[str, Callable[[Cut], np.ndarray]] = {TREES: of_trees, NET: of_net, LINEAR: of_linear}


def errors_of_gnomon(cut: Cut, prepared: Prepared, settings: Settings, given: Mapping[str, Any]) -> np.ndarray:
    """What `gnomon.fit` would make with these settings, judged on the 20 %."""
    trials = Trials(prepared, settings)
    trial = trials.run(given)
    found = evaluate(
        trial.task, trial.model, prepared.splits["test"], split="test", source="test", device=trials.base.device
    ).table  # fmt: skip
    assert found["id"].cast(int).to_list() == cut.ids
    errors = found["error"].to_numpy() / cut.std
    return errors if cut.is_classes else errors**2


# --- fits, a line each ------------------------------------------------------------------------------------------------
Row = Mapping[str, Any]


def fits(
    names: Sequence[str], seeds: int, methods: Sequence[str], lines: Path, given: Mapping[str, Any]
) -> Iterator[Row]:
    """Every fit, made now or read from LINES."""
    there = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
    done = {(row["set"], row["seed"], row["method"]): row for row in there}
    for name in names:
        for seed in range(seeds):
            missing = [method for method in methods if (name, seed, method) not in done]
            if missing:
                one = SETS[name]
                cut, prepared, settings = cut_of(one, seed)
            for method in missing:
                began = time.process_time()
                if method in PEERS:
                    with warnings.catch_warnings():  # of fits that did not converge: so be it
                        warnings.simplefilter("ignore")
                        answers = PEERS[method](cut)
                    errors = answers != cut.targets[1] if one.is_classes else (answers - cut.targets[1]) ** 2
                else:
                    errors = errors_of_gnomon(cut, prepared, settings, given)
                row = {
                    "set": name, "seed": seed, "method": method, "seconds": round(time.process_time() - began, 2),
                    "error": level(errors, one.is_classes), "ids": cut.ids,
                    "errors": [float(f"{error:.4g}") for error in errors],
                }  # fmt: skip
                with lines.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                done[name, seed, method] = row
                say(f"{name:<16} seed {seed} {method:<22} {row['error']:.4f} {row['seconds']:.1f} s")
            yield from (done[name, seed, method] for method in methods)


def level(errors: np.ndarray, is_classes: bool) -> float:
    return float(np.mean(errors)) if is_classes else float(np.sqrt(np.mean(errors)))


# --- what they say ----------------------------------------------------------------------------------------------------
def report(rows: Sequence[Row], methods: Sequence[str]) -> Iterator[str]:
    """A table in Markdown: mean errors, who is how often behind, ranks."""
    names = list(dict.fromkeys(row["set"] for row in rows))
    mean = {
        (name, method): float(np.mean([row["error"] for row in rows if (row["set"], row["method"]) == (name, method)]))
        for name in names
        for method in methods
    }
    yield from (f"| set | {' | '.join(methods)} |", "|---" * (len(methods) + 1) + "|")
    for name in names:
        best = min(mean[name, method] for method in methods)
        cells = [mean[name, method] for method in methods]
        scale, unit = (100, " %") if SETS[name].is_classes else (1, "")
        shown = [f"{scale * cell:.3g}{unit}" for cell in cells]
        shown = [f"**{text}**" if cell == best else text for text, cell in zip(shown, cells, strict=True)]
        yield f"| {name} | {' | '.join(shown)} |"
    errors = np.array([[mean[name, method] for method in methods] for name in names])
    low, high = errors.min(axis=1, keepdims=True), errors.max(axis=1, keepdims=True)
    ranks = stats.rankdata(errors, axis=1).mean(axis=0)
    parts = ((errors - low) / np.maximum(high - low, 1e-12)).mean(axis=0)
    seconds = [float(np.mean([row["seconds"] for row in rows if row["method"] == method])) for method in methods]
    yield f"| mean rank | {' | '.join(f'{rank:.2f}' for rank in ranks)} |"
    yield f"| normalised error | {' | '.join(f'{part:.2f}' for part in parts)} |"
    yield f"| seconds of CPU a fit | {' | '.join(f'{one:.1f}' for one in seconds)} |"
    if OURS not in methods:
        return
    for other in methods:
        if other != OURS:
            ahead = sum(mean[name, OURS] < mean[name, other] for name in names)
            behind, before = clearly(rows, names, other)
            yield ""
            yield f"{OURS} against {other}: lower mean error on {ahead} of {len(names)} sets; after Holm's correction "
            yield f"clearly lower on {before or 'none'}, clearly higher on {behind or 'none'}."


def clearly(rows: Sequence[Row], names: Sequence[str], other: str) -> tuple[str, str]:
    """The sets on which gnomon errs more, and those on which it errs less: one-sided, 5 % over all sets (Holm 1979).

    The paired differences of a row's errors are averaged over the seeds that had it in test; their mean over rows,
    by its standard error, is taken as normal.
    """
    z = {name: _z(rows, name, other) for name in names}
    found = []
    for sign in (1, -1):
        order = sorted(names, key=lambda name: -sign * z[name])
        worse = list[str]()
        for place, name in enumerate(order):
            if stats.norm.sf(sign * z[name]) > 0.05 / (len(names) - place):
                break
            worse.append(name)
        found.append(", ".join(worse))
    return found[0], found[1]


def _z(rows: Sequence[Row], name: str, other: str) -> float:
    gaps: dict[int, list[float]] = {}
    by = {(row["seed"], row["method"]): row for row in rows if row["set"] == name}
    for (seed, method), row in by.items():
        if method == OURS:
            for place, a, b in zip(row["ids"], row["errors"], by[seed, other]["errors"], strict=True):
                gaps.setdefault(place, []).append(a - b)
    mean = np.array([np.mean(each) for each in gaps.values()])
    spread = mean.std(ddof=1) / np.sqrt(len(mean))
    return float(mean.mean() / spread) if spread > 0 else 0.0


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__)
    parser.add_argument("--sets", nargs="*", default=list(REPORTED), choices=list(SETS))
    parser.add_argument("--tuning", action="store_true", help="the sets that defaults were chosen on")
    parser.add_argument("--fresh", action="store_true", help="sets that neither half has")
    parser.add_argument("--methods", nargs="*", default=[OURS, *PEERS], choices=[OURS, *PEERS])
    parser.add_argument("--seeds", type=int, default=3, help="cuts, starts and orders (default 3)")
    parser.add_argument("--lines", type=Path, default=Path("tables.jsonl"), help="where fits are kept, a line each")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings instead of the defaults")
    options = parser.parse_args(arguments)
    fresh = tuple(one.name for one in FRESH)
    wanted = TUNING if options.tuning else fresh if options.fresh else options.sets
    names = [name for name in wanted if SETS[name].is_there]
    for name in set(wanted) - set(names):
        say(f"{name}: left out, {SETS[name].place} is not here")
    given = dict(pair.split("=", 1) for pair in options.set)
    with threadpool_limits(1):
        rows = list(fits(names, options.seeds, options.methods, options.lines, given))
    print("\n".join(report(rows, options.methods)))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
