"""improve beside random search, Optuna's TPE and one long run: test error reached against compute, at equal compute.

`python -m benchmarks improve` or `python -m benchmarks.improve --sets wine digits --seeds 3 --budget 10`.

Every method starts from the same first system, sees train and dev alone, chooses by dev, and may spend the same number
of multiply-adds: BUDGET times those of the first system. Random search and TPE draw from the values that improve's
turns can reach (SPACE). The test split is looked at by the referee only: what each method would hand over if it were
stopped at a quarter, a half, and all of the budget.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.core.seeds import derive, generator
from gnomon.core.settings import from_flat
from gnomon.metrics.interval import Interval
from gnomon.strategy.improve_diary import Entry, State, changes_key
from gnomon.training.evaluate import evaluate
from gnomon.training.loop import split_error
from gnomon.workflow.improve.loop import ComputeBudget, Loop
from gnomon.workflow.improve.matched import Matched, Outcome, Refused
from gnomon.workflow.prepare import prepare
from gnomon.workflow.trial import Trial, Trials

BUDGET = 12.0  # times the compute of the first system
PATIENCE = 20  # proposals that cost more than is left, in a row, after which a search ends
PARTS = (0.25, 0.5, 1.0)  # of the budget: when a method is asked what it would hand over
METHODS = ("improve", "random", "TPE", "long")
# The first system is what `fit` makes by itself, with a quarter to a half of its epochs; for pictures a dense network,
# since convnets would take hours. Test is large, because it is the referee's.
TABLE = {"epochs": 60, "split.test": 0.3}
DENSE = {"model": "dense", "epochs": 25, "split.test": 0.4}
MANY = {**DENSE, "split.test": 0.6, "split.dev": 0.1}  # 1,200 to learn from, 400 for dev, 2,400 for the referee
SETS: Mapping[str, Mapping[str, Any]] = {
    "breast-cancer": TABLE,
    "diabetes": TABLE,
    "digits": DENSE,
    "fashion": MANY,
    "mnist": MANY,
}
IDX = {"fashion": "fashion-mnist", "mnist": "mnist-10k"}  # name -> folder below GNOMON_DATA
PICTURES = 4000  # that are drawn of a folder's 10,000 test pictures
CHOICES: Mapping[str, Sequence[Any]] = {
    "model.hidden": ((32,), (64,), (128,), (256,), (64, 64), (128, 128), (64, 64, 64), (128, 128, 128)),
    "model.normalisation": ("none", "batch"),
    "regularise.dropout": ((), (0.1,), (0.2,), (0.4,), (0.6,)),
    "regularise.ema": (0.0, 0.99),
    "optimiser.batch_size": (16, 32, 64, 128),
}
RATES = {"optimiser.learning_rate": (2e-4, 2e-2), "regularise.weight_decay": (5e-3, 5.0)}  # drawn by their logarithm
ONLY = {  # for some tasks
    "classification": {"regularise.label_smoothing": (0.0, 0.1)},
    "image": {"regularise.augment": ("none", "shift", "shift+mirror")},
}
EPOCHS = (0.5, 1.0, 2.0)  # times those of the first system


def data_of(name: str) -> Any:
    """What is handed to `prepare`: the name of a bundled set, or a part of a public one."""
    if name not in IDX:
        return name
    place = Path(os.environ.get("GNOMON_DATA", "../shared/data")) / IDX[name]
    pictures = _idx(place / "t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    labels = _idx(place / "t10k-labels-idx1-ubyte.gz", 8)
    chosen = np.random.default_rng(0).permutation(len(labels))[:PICTURES]
    return pictures[chosen], labels[chosen].astype(np.int64)


def _idx(path: Path, header: int) -> np.ndarray:
    """The bytes of an IDX file behind its header. Source: the format's page, LeCun, Cortes and Burges."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), dtype=np.uint8, offset=header)


@dataclass
class Referee:
    """Trials that also measure test, for the table alone: no method sees it."""

    trials: Trials
    test_errors: dict[str, float] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.trials, name)

    def run(self, changes: Mapping[str, Any], **how: Any) -> Trial:
        trial = self.trials.run(changes, **how)
        examples = trial.task.judge.judged(self.trials.prepared.splits["test"], derive(trial.settings.seed, "judged"))
        found = evaluate(trial.task, trial.model, examples, split="test", source="test", device=self.trials.base.device)
        self.test_errors[changes_key(changes)] = split_error(found)
        return trial

    def of(self, changes: Mapping[str, Any], seed: int) -> float:
        return self.test_errors[changes_key({**changes, "seed": seed})]


@dataclass
class Course:
    """What a method would hand over, by the compute it had spent until then."""

    spent: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)  # on test

    def add(self, spent: float, error: float) -> None:
        self.spent.append(spent)
        self.errors.append(error)

    def at(self, limit: float) -> float:
        """The last hand-over that was known by then; the first one where there was none."""
        known = [error for spent, error in zip(self.spent, self.errors, strict=True) if spent <= limit * (1 + 1e-9)]
        return known[-1] if known else self.errors[0]


def measured(method: str, name: str, seed: int, budget: float) -> dict[str, Any]:
    """One method on one set with one seed."""
    opened = from_flat({**SETS[name], "seed": seed})
    prepared = prepare(data_of(name), opened)
    referee = Referee(Trials(prepared, opened))
    matched = Matched(referee)  # type: ignore[arg-type]  # it has what Matched asks of Trials
    started = time.monotonic()
    first = matched.outcome({}, seed)
    if isinstance(first, Refused):
        raise SystemExit(f"{name}, seed {seed}: {first.why}")
    course = Course()
    course.add(matched.cost, referee.of({}, seed))
    limit = budget * first.cost
    searches: Mapping[str, Callable[..., Any]] = {"improve": by_improve, "long": by_long}
    searches.get(method, by_draws)(method, matched, referee, first, limit, course)
    return {
        "method": method, "set": name, "seed": seed, "first": course.errors[0], "budget": budget,
        "errors": [course.at(part * limit) for part in PARTS], "spent": matched.cost / first.cost,
        "trained": matched.trained, "seconds": time.monotonic() - started,
    }  # fmt: skip


def by_improve(_: str, matched: Matched, referee: Referee, first: Outcome, limit: float, course: Course) -> None:
    """The verb's own loop, with compute for a budget in place of time."""
    state = State()
    seed = first.seed

    def note(event: Any, text: str, **facts: Any) -> None:
        state.take(Entry(event, text, 0.0, facts))
        if event in ("tried", "together"):
            course.add(matched.cost, referee.of(state.changes, seed))

    Loop(matched, ComputeBudget(matched, limit), state, note).run()


def by_draws(method: str, matched: Matched, referee: Referee, first: Outcome, limit: float, course: Course) -> None:
    """Random search or TPE: the trial with the lowest dev error so far is handed over."""
    proposals = draws(first) if method == "random" else suggestions(first)
    best, changes = first.dev_error, dict[str, Any]()
    answer: float | None = first.dev_error
    next(proposals)
    too_dear = 0  # proposals in a row
    while too_dear < PATIENCE:
        proposed = proposals.send(answer)
        if matched.cost + cost_of(matched.trials, proposed) > limit:
            answer, too_dear = None, too_dear + 1
            continue
        too_dear = 0
        outcome = matched.outcome(proposed, first.seed)
        answer = None if isinstance(outcome, Refused) else outcome.dev_error
        if answer is not None and answer < best:
            best, changes = answer, dict(proposed)
        course.add(matched.cost, referee.of(changes, first.seed))


def by_long(_: str, matched: Matched, referee: Referee, first: Outcome, limit: float, course: Course) -> None:
    """All of the compute in one training, as many times longer."""
    left = limit - matched.cost
    epochs = int(first.settings["stop.epochs"] * left / first.cost)
    outcome = matched.outcome({"stop.epochs": max(1, epochs)}, first.seed)
    if not isinstance(outcome, Refused):
        course.add(matched.cost, referee.of({"stop.epochs": max(1, epochs)}, first.seed))


def space_of(first: Outcome) -> dict[str, Sequence[Any]]:
    task = str(first.settings["task.name"])
    more = {key: values for word, keys in ONLY.items() if word in task for key, values in keys.items()}
    epochs = [max(1, round(times * first.settings["stop.epochs"])) for times in EPOCHS]
    return {**CHOICES, **more, "stop.epochs": epochs}


def draws(first: Outcome) -> Iterator[dict[str, Any]]:
    """Random settings for ever; what is sent in is not looked at."""
    rng = generator(first.seed, "random search")
    space = space_of(first)
    yield {}
    while True:
        chosen = {key: values[int(rng.integers(len(values)))] for key, values in space.items()}
        rates = {key: float(math.exp(rng.uniform(math.log(low), math.log(high)))) for key, (low, high) in RATES.items()}
        yield {**chosen, **rates}


def suggestions(first: Outcome) -> Iterator[dict[str, Any]]:
    """Optuna's TPE with its defaults, told of the first system too."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = space_of(first)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=first.seed))
    error = yield {}
    start = {key: place for key, values in space.items() if (place := _place(values, first.settings[key])) is not None}
    start |= {key: first.settings[key] for key, (low, high) in RATES.items() if low <= first.settings[key] <= high}
    study.enqueue_trial(start)
    trial = study.ask()
    _values(trial, space)
    study.tell(trial, error)
    while True:
        trial = study.ask()
        error = yield _values(trial, space)
        if error is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, error)


def _values(trial: Any, space: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    chosen = {key: values[trial.suggest_categorical(key, range(len(values)))] for key, values in space.items()}
    return {**chosen, **{key: trial.suggest_float(key, low, high, log=True) for key, (low, high) in RATES.items()}}


def _place(values: Sequence[Any], value: Any) -> int | None:
    plain = [list(one) if isinstance(one, tuple) else one for one in values]
    return plain.index(value) if value in plain else None


def cost_of(trials: Any, changes: Mapping[str, Any]) -> float:
    """Multiply-adds that a training with these changes will take, from the layers of its network."""
    session = trials.session(changes)
    per_example = sum(row.multiply_adds or 0 for row in session.layers)
    return 3.0 * per_example * len(trials.prepared.splits["train"]) * (session.settings.stop.epochs or 1)


# --- the table --------------------------------------------------------------------------------------------------------
def table(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Test errors by set and method, and improve against each of the others in pairs of set and seed."""
    sets = list(dict.fromkeys(one["set"] for one in results))
    methods = [method for method in METHODS if any(one["method"] == method for one in results)]
    seeds = len({one["seed"] for one in results})
    budget = results[0]["budget"]
    about = f"test error by the compute spent, {budget:g} times that of the first system in all, mean of {seeds} seeds"
    heads, marks = " | ".join(methods), "|---:" * len(methods)
    lines = [f"### improve: {about}", "", f"| set | compute | first system | {heads} |", f"|---|---:|---:{marks}|"]
    for name in sets:
        rows = {method: _of(results, name, method) for method in methods}
        first = np.mean([one["first"] for one in rows[methods[0]]])
        for place, part in enumerate(PARTS):
            cells = [f"{np.mean([one['errors'][place] for one in rows[method]]):.4g}" for method in methods]
            lines.append(f"| {name if not place else ''} | {part:.0%} | {first:.4g} | " + " | ".join(cells) + " |")
    lines += ["", "| improve against | compute | better / same / worse on sets | mean relative difference [95 %] |",
              "|---|---:|---:|---:|"]  # fmt: skip
    for method in methods[1:]:
        for place, part in enumerate(PARTS):
            lines.append(_against(results, sets, method, place, part))
    return lines


def _of(results: Sequence[Mapping[str, Any]], name: str, method: str) -> list[Mapping[str, Any]]:
    return sorted(
        (one for one in results if one["set"] == name and one["method"] == method), key=lambda one: one["seed"]
    )


def _against(results: Sequence[Mapping[str, Any]], sets: Sequence[str], method: str, place: int, part: float) -> str:
    """Differences of test error in shares of the first system's (mean over seeds); below 0 improve is better."""
    better = same = worse = 0
    differences = []
    for name in sets:
        ours, theirs = _of(results, name, "improve"), _of(results, name, method)
        level = float(np.mean([one["first"] for one in ours]))
        pairs = [
            (one["errors"][place] - other["errors"][place]) / max(level, 1e-12)
            for one in ours
            for other in theirs
            if one["seed"] == other["seed"]
        ]
        mean = float(np.mean(pairs))
        better, same, worse = better + (mean < 0), same + (mean == 0), worse + (mean > 0)
        differences += pairs if level > 0 else []
    found = interval(differences)
    return (
        f"| {method} | {part:.0%} | {better} / {same} / {worse} "
        f"| {100 * found.value:+.1f} % [{100 * found.low:+.1f}, {100 * found.high:+.1f}] |"
    )


def interval(values: Sequence[float]) -> Interval:
    """The mean with Student's interval."""
    from scipy.stats import t

    mean = float(np.mean(values))
    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))
    return Interval(mean, mean - half, mean + half)


def main() -> None:
    sys.stdout.write("\n".join(lines_of()) + "\n")


def lines_of(arguments: Sequence[str] | None = None) -> list[str]:
    """Run what is asked for and give the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.improve", description=__doc__)
    parser.add_argument("--sets", nargs="*", default=list(SETS))
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--from", dest="first_seed", type=int, default=0)
    parser.add_argument("--budget", type=float, default=BUDGET)
    parser.add_argument("--out", type=Path, help="a file of JSON lines that results are added to, and taken from")
    options = parser.parse_args(arguments)
    methods = list(options.methods)
    if "TPE" in methods and importlib.util.find_spec("optuna") is None:
        methods.remove("TPE")
        sys.stderr.write("TPE: left out, optuna is not installed\n")
    results: list[dict[str, Any]] = []
    if options.out is not None and options.out.exists():
        results = [json.loads(line) for line in options.out.read_text().splitlines()]
    known = {(one["set"], one["method"], one["seed"]) for one in results}
    for seed in range(
        options.first_seed, options.first_seed + options.seeds
    ):  # a seed at a time: what is there when it is stopped is whole
        for name in options.sets:
            for method in methods:
                if (name, method, seed) in known:
                    continue
                found = measured(method, name, seed, options.budget)
                results.append(found)
                sys.stderr.write(json.dumps(found) + "\n")
                if options.out is not None:
                    with options.out.open("a") as file:
                        file.write(json.dumps(found) + "\n")
    return table(results)


if __name__ == "__main__":
    main()
