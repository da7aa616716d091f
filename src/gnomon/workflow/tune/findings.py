"""What a search found, once its trials are done: written into its folder, read back from it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gnomon.core.evaluation import Evaluation
from gnomon.core.task import Task
from gnomon.figures import encode
from gnomon.figures.search_history import draw_search_history
from gnomon.figures.search_importance import draw_search_importance
from gnomon.figures.search_parallel import draw_search_parallel
from gnomon.figures.search_slices import draw_search_slices
from gnomon.metrics import intervals
from gnomon.report import search_page
from gnomon.report.search_page import Drawn, SearchRecord
from gnomon.runs.names import REPORT
from gnomon.runs.search_folder import BEST, BEST_SETTINGS, SearchFolder
from gnomon.search.findings import edges, importance, luck
from gnomon.search.ledger import Ledger
from gnomon.search.results import FINISHED, Result
from gnomon.search.rounds import Zoom
from gnomon.search.space import Space
from gnomon.strategy.target import Condition, resolve
from gnomon.strategy.wording import format_error
from gnomon.workflow.run import Run
from gnomon.workflow.tune.words import found_lines, value_text


@dataclass(frozen=True)
class Tuned:
    """A finished search."""

    folder: SearchFolder
    space: Space
    results: tuple[Result, ...]  # by number
    zooms: tuple[Zoom, ...]
    outcome: Mapping[str, Any]  # plain JSON values: what `gnomon tune --json` prints

    @staticmethod
    def reopened(folder: SearchFolder, space: Space, ledger: Ledger, outcome: Mapping[str, Any]) -> Tuned:
        results = tuple(ledger.results[number] for number in sorted(ledger.results))
        return Tuned(folder, space, results, tuple(ledger.zooms), outcome)

    @property
    def path(self) -> Path:
        return self.folder.path

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def best(self) -> Result:
        number = self.outcome["best"]["number"]
        return next(one for one in self.results if one.number == number)

    @property
    def settings_file(self) -> Path:
        """The best settings, for `gnomon fit DATA settings=FILE`."""
        return self.path / BEST / BEST_SETTINGS

    @property
    def run(self) -> Run:
        """The best settings, trained into a run folder."""
        return Run.open(self.outcome["run"])


def conclude(
    folder: SearchFolder, space: Space, ledger: Ledger, task: Task, best: Result, run: Run, *,
    conditions: Sequence[Condition], seconds: float, seed: int,
) -> Tuned:  # fmt: skip
    """Work out what the search found, and write it."""
    results = tuple(ledger.results[number] for number in sorted(ledger.results))
    defaults = ledger.results.get(1)
    if defaults is not None and defaults.status != FINISHED:
        defaults = None
    chance, matters = luck(results, z=intervals.Z, seed=seed), importance(space, results, seed=seed)
    outcome: dict[str, Any] = {
        "search": str(folder.path),
        "task": task.name,
        "error_name": task.judge.error_name,
        "unit": task.judge.error_unit,
        "trials": dict(Counter(one.status for one in results)),
        "best": _plain(best, space),
        "defaults": None if defaults is None else _plain(defaults, space),
        "conditions": [
            f"{one}: it has {best.measures[resolve(one.name, list(best.measures))]:.4g}" for one in conditions
        ],
        "luck": None if chance is None else asdict(chance),
        "gain": _gain(best, defaults, task, seed),
        "again": _again(ledger, best, task, seed),
        "importance": None if matters is None else asdict(matters),
        "edges": [asdict(edge) for edge in edges(space, best, results)],
        "zooms": [asdict(one) for one in ledger.zooms],
        "settings_file": str(folder.path / BEST / BEST_SETTINGS),
        "run": str(run.path),
        "report": None,
        "seconds": seconds,
    }
    outcome = _jsonable(outcome)
    tuned = Tuned.reopened(folder, space, ledger, {**outcome, "report": str(folder.path / REPORT)})
    figures = _figures(tuned, task)
    for drawn in figures:
        folder.run.save_figure(f"{drawn.title}.svg", encode.svg(drawn.figure))
    folder.run.save_report(search_page.build(_record(tuned), figures))
    folder.save_outcome(tuned.outcome)
    return tuned


def _jsonable(value: Any) -> Any:
    """As it is read back later: lists for tuples, None for infinity, which JSON does not have."""
    if isinstance(value, Mapping):
        return {key: _jsonable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _figures(tuned: Tuned, task: Task) -> list[Drawn]:
    space, results = tuned.space, tuned.results
    words: dict[str, Any] = {"error_name": task.judge.error_name, "unit": task.judge.error_unit}
    drawn = [
        Drawn(
            "history", "The line is the best so far. If it is still falling at its end, more trials would help.",
            draw_search_history(results, **words),
        ),
        Drawn(
            "slices", "Where the good trials are. Darker dots were tried later, crosses stopped early, a line marks "
            "the default; the shaded ranges are where the search zoomed in. A good trial at the end of a plot means "
            "that the range was too small.",
            draw_search_slices(space, results, tuned.zooms, **words),
        ),
        Drawn(
            "parallel coordinates", "Follow the dark lines: if they bundle, a setting matters; if they fan out, "
            "it does not.",
            draw_search_parallel(space, results),
        ),
    ]  # fmt: skip
    if tuned.outcome["importance"] is not None:
        drawn.append(
            Drawn(
                "importance", "How much of the variance between trials each setting explains on its own, in a random "
                "forest (functional ANOVA, first order). The rest to 100 % is settings that matter together, and "
                "rounds.",
                draw_search_importance(tuned.outcome["importance"]["shares"]),
            )
        )  # fmt: skip
    return drawn


def _record(tuned: Tuned) -> SearchRecord:
    unit, names = tuned.outcome["unit"], [one.name for one in tuned.space]
    rows = [
        [
            str(one.number), format_error(one.error, unit) if np.isfinite(one.error) else "-",
            f"{format_error(one.low, unit)} to {format_error(one.high, unit)}" if np.isfinite(one.high) else "",
            f"{len(one.epoch_errors)}", *(value_text(one.point[name]) for name in names),
            "; ".join(one.unmet) or one.note or one.status,
        ]
        for one in sorted(tuned.results, key=lambda one: one.rank)
    ]  # fmt: skip
    zooms = [
        (str(one.round), one.name, *(" .. ".join(map(value_text, ends)) for ends in (one.before, one.after)),
         ", ".join(map(str, one.trials)))
        for one in tuned.zooms
    ]  # fmt: skip
    return SearchRecord(
        title=tuned.folder.run.name, started=tuned.folder.run.created,
        found="\n".join(found_lines(tuned.outcome, len(tuned.results), "gnomon fit DATA")).strip("\n"),
        zooms=zooms, columns=["trial", "dev", "interval", "epochs", *names, ""], rows=rows, version=version("gnomon"),
    )  # fmt: skip


def _plain(result: Result, space: Space) -> dict[str, Any]:
    names = ("number", "error", "low", "high", "train_error", "seconds")
    return {
        **{name: getattr(result, name) for name in names},
        "values": dict(result.point),
        "settings": space.changes(result.point),
        "measures": dict(result.measures),
    }


def _gain(best: Result, defaults: Result | None, task: Task, seed: int) -> dict[str, float] | None:
    """How much less the best trial errs than the defaults, on the same dev examples; None if unknown."""
    if defaults is None or defaults.number == best.number or best.errors is None or defaults.errors is None:
        return None
    return _difference(defaults.errors, best.errors, task, seed)


def _difference(first: np.ndarray, second: np.ndarray, task: Task, seed: int) -> dict[str, float]:
    """The mean of `first` minus that of `second`, (N,) errors of the same examples."""
    evaluations = [
        Evaluation(
            "dev", task.judge.error_unit, pl.DataFrame({"id": np.arange(len(errors)).astype(str), "error": errors})
        )
        for errors in (first.astype(np.float64), second.astype(np.float64))
    ]
    found = intervals.paired_difference(*evaluations, seed=seed)
    return {"value": found.value, "low": found.low, "high": found.high}


def _again(ledger: Ledger, best: Result, task: Task, seed: int) -> dict[str, Any]:
    """The errors with other seeds of the best settings and of the defaults, and their difference.

    The difference is between errors averaged over seeds, example by example: its interval is over examples.
    """
    found: dict[str, Any] = {}
    errors: dict[str, list[np.ndarray]] = {}
    for name, number in (("best", best.number), ("defaults", 1)):
        inside = sorted(ledger.again.values(), key=lambda one: one.number)  # by seed, so that pairs share a seed
        repeats = [one for one in inside if one.round == -number and one.status == FINISHED]
        if name == "defaults" and best.number == 1:
            continue
        found[name] = [one.error for one in repeats]
        errors[name] = [one.errors for one in repeats if one.errors is not None]
    found["gain"] = None
    pairs = min((len(one) for one in errors.values()), default=0)
    if len(errors) == 2 and pairs:
        first, second = (np.mean(errors[name][:pairs], axis=0) for name in ("defaults", "best"))
        found["gain"] = _difference(first, second, task, seed)
    return found
