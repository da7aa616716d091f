"""The ladder of several runs together, or of one with crops; and what the averaging gains on dev beside what it costs.

Nothing is written, and the test split stays sealed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from gnomon.core.errors import GnomonError
from gnomon.metrics import intervals
from gnomon.strategy import ladder
from gnomon.strategy.ladder import without_copies
from gnomon.strategy.paired import compare_models
from gnomon.workflow.ensemble import Ensemble
from gnomon.workflow.judge.latency import in_turn, latency
from gnomon.workflow.looks import looks_at_dev
from gnomon.workflow.predict import mirror_alarms
from gnomon.workflow.road.people import human_level
from gnomon.workflow.road.verdict import diagnosis_of, leaked_ids

if TYPE_CHECKING:
    from gnomon.core.evaluation import Evaluation
    from gnomon.metrics.interval import Interval
    from gnomon.metrics.intervals import Measured
    from gnomon.strategy.diagnosis import Diagnosis
    from gnomon.strategy.paired import PairedTest


@dataclass(frozen=True)
class Gain:
    """What an ensemble gains on dev over the best of its runs as it is, and how much longer it takes."""

    name: str
    against: str  # the name of that run
    dev: Interval  # the ensemble's error
    dev_against: Interval
    unit: str | None
    test: PairedTest  # ensemble minus run: a difference below 0 means that the ensemble errs less
    latency: Interval | None  # milliseconds per example; None: not measured
    latency_against: Interval | None
    notes: tuple[str, ...] = ()

    @property
    def times_slower(self) -> float | None:
        if self.latency is None or self.latency_against is None:
            return None
        return self.latency.value / self.latency_against.value


def diagnose_together(ensemble: Ensemble, human: Sequence[float] | Measured | None = None) -> Diagnosis:
    """The ladder of what they say together. Of one run, with its advice; of several, whose settings differ, without.

    `human` replaces the human level that the first run was given. Raises as `evaluations_of` does.
    """
    first, evaluations = ensemble.runs[0], ensemble.evaluations()
    human = human or human_level(first.settings, first.task, evaluations)
    note = f"judged together: {ensemble.name}"
    if len(ensemble.runs) == 1:
        found = diagnosis_of(first, evaluations, human=human)
        return replace(found, notes=(note, *found.notes))
    card = first.folder.load_data()
    found = ladder.diagnose(
        evaluations,
        human=human,
        error_name=first.task.judge.error_name,
        leaked=leaked_ids(first, evaluations),
        repeats=card.get("repeats"),
        dev_looks=max(looks_at_dev(run.folder) for run in ensemble.runs),
        test_openings=max(run.folder.num_openings for run in ensemble.runs) if first.has_test else None,
        num_train=card["splits"]["train"],
        floor=first.folder.load_floor(),
        seed=first.settings.seed,
    )
    return replace(found, advice=(), notes=(note, *found.notes))


def gain_of(ensemble: Ensemble) -> Gain:
    """Gain and cost beside each other; against the best of its runs on dev, which makes the gain a careful one."""
    own = unseen(ensemble)
    each = [(Ensemble([run]), unseen(Ensemble([run]))) for run in dict.fromkeys(ensemble.runs)]
    errors = [intervals.split_error(dev, seed=one.runs[0].settings.seed) for one, dev in each]
    best = min(range(len(each)), key=lambda place: errors[place].value)
    seed = ensemble.runs[0].settings.seed
    alone = each[best][0]
    notes = tuple(mirror_alarms(ensemble.members, ensemble.settings))
    slow = fast = None
    try:
        slow, fast = latency_of(ensemble), latency_of(alone)
    except GnomonError as fault:
        notes = (*notes, f"the time per example was not measured: {fault.what}")
    return Gain(
        ensemble.name, alone.name, intervals.split_error(own, seed=seed), errors[best], own.unit,
        compare_models([own], [each[best][1]], seed=seed), slow, fast, notes,
    )  # fmt: skip


def latency_of(ensemble: Ensemble) -> Interval:
    """Milliseconds per example, one run after the other. Raises as `latency` does."""
    return in_turn([latency(run, crops=ensemble.crops) for run in ensemble.runs])


def unseen(ensemble: Ensemble) -> Evaluation:
    """Dev with weight 0 for copies of training examples, which the ladder leaves out too."""
    first, dev = ensemble.runs[0], ensemble.evaluation("dev")
    pairs = first.folder.load_leaks().filter((pl.col("split") == "dev") & (pl.col("other_split") == "train"))
    return without_copies(dev, pairs["id"].cast(pl.String).to_list(), first.folder.load_data().get("repeats"))
