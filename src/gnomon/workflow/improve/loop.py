"""The loop of improve: diagnose, turn one knob, verify, keep or undo; within time or compute, recording every step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import polars as pl

from gnomon.core.errors import UsageError
from gnomon.core.evaluation import Evaluation
from gnomon.strategy.advice import LINK
from gnomon.strategy.diagnosis import Diagnosis
from gnomon.strategy.improve import (
    LINKS_OF_GAPS,
    PROMISING,
    Evidence,
    can_be_halved,
    compare,
    decide,
    half_of_dev,
    is_settled,
    links_at_fault,
)
from gnomon.strategy.improve_diary import State, changes_key
from gnomon.strategy.improve_turns import Turn, ordered, to_found_rate, turns_of
from gnomon.strategy.ladder import diagnose, without_copies
from gnomon.strategy.wording import format_error
from gnomon.workflow.improve.matched import Matched, Outcome, Refused
from gnomon.workflow.rate import range_test
from gnomon.workflow.road.people import human_level
from gnomon.workflow.signals import Stopped

PATIENCE = 2  # knobs in a row without a gain, after which it is the other link's turn
SEEDS = 3  # at most, for the joint test of everything on trial at the end
FIRST_SHARE = 0.45  # of the time, at most, for the first system
WRITING_SECONDS = (
    4.0  # reserved at least for evaluating and writing the improved system, and this share of a long time:
)
WRITING_SHARE = 0.02
READINGS = 2.0  # times the reading time reserved, because the data is read again for it


class Budget(Protocol):
    """How much may still be spent."""

    @property
    def deadline(self) -> float:
        """When the last training must be done, on time.monotonic()'s clock."""

    def has_room(self, current: Outcome, times: float) -> bool:
        """Whether there is room for a training that costs this many times what `current` did."""


@dataclass(frozen=True)
class TimeBudget:
    """Wall-clock time, of which enough is reserved to evaluate and write the current system."""

    matched: Matched
    end: float
    limit: float  # seconds in total
    reading: float  # seconds that opening the data took

    @property
    def deadline(self) -> float:
        return self.end - READINGS * self.reading - max(WRITING_SECONDS, WRITING_SHARE * self.limit)

    def has_room(self, current: Outcome, times: float) -> bool:
        return time.monotonic() + self.matched.seconds(current, times) <= self.deadline


@dataclass(frozen=True)
class ComputeBudget:
    """Multiply-adds of all trainings together: the budget for comparing methods."""

    matched: Matched
    limit: float

    @property
    def deadline(self) -> float:
        return math.inf

    def has_room(self, current: Outcome, times: float) -> bool:
        return self.matched.cost + times * current.cost <= self.limit


@dataclass
class Loop:
    """Diagnose, turn one knob, verify, keep or undo. Every step goes through `note`, which also updates `state`."""

    matched: Matched
    budget: Budget
    state: State
    note: Callable[..., None]
    end: float = math.inf
    stop_asked: Callable[[], bool] = lambda: False
    rates: dict[str, float | None] = field(default_factory=dict)  # suggested by range tests, by changes

    def run(self) -> None:
        """Until there is nothing left to try or to spend. Raises Stopped if a stop was requested."""
        current = self._first()
        while current is not None and not self.state.is_over:
            found = self._trained(self.state.changes, self.matched.seeds(1)[0])
            if isinstance(found, Refused):
                self._end(f"the current system could not be trained again: {found.why}")
                return
            current = found
            if not self.state.is_seen:
                self._look(current)
            turn = self._next(current)
            if isinstance(turn, str):
                self._settle(current)
                self._end(turn)
                return
            self._try(turn, current)
            self.matched.keep_only(self.state.changes, self.state.proven)

    def _first(self) -> Outcome | None:
        """The first system, or None if there is too little time to try anything with it."""
        seed = self.matched.seeds(1)[0]
        limit = self.end
        if math.isfinite(self.end):
            limit = time.monotonic() + FIRST_SHARE * (self.end - time.monotonic())
        began = time.monotonic()
        found = self.matched.outcome(self.state.changes, seed, deadline=limit)
        self._leave_if_asked()
        if isinstance(found, Refused):
            if not found.is_out_of_time:
                raise UsageError(f"the first system could not be trained: {found.why}", fix="gnomon check DATA.")
            share = found.epochs_done / max(time.monotonic() - began, 1e-9)  # epochs a second
            self._end("one training takes too long to try anything else", epochs_a_second=share)
            return None
        if changes_key({}) not in self.state.tried:
            unit = self.matched.trials.task.judge.error_unit
            how = f"{found.seconds:.1f} s" if self.matched.trained else "the run there is"
            text = f"dev {format_error(found.dev_error, unit)}, train {format_error(found.train_error, unit)}, {how}"
            facts = {"dev_error": found.dev_error, "train_error": found.train_error, "cost": found.cost,
                     "looks": found.looks}  # fmt: skip
            self.note("first", text, **facts, training_seconds=found.seconds)
        return found

    def _trained(self, changes: Mapping[str, Any], seed: int) -> Outcome | Refused:
        found = self.matched.outcome(changes, seed, deadline=self.budget.deadline)
        self._leave_if_asked()
        return found

    def _look(self, current: Outcome) -> None:
        """What limits the current system, and whose knobs that points to."""
        diagnosis = diagnosis_of_trial(self.matched, current, looks=self.state.looks)
        links, reason = links_at_fault(diagnosis)
        gaps = {gap.name: gap.size for gap in diagnosis.gaps}
        further = [LINK[name] for name, size in gaps.items() if size > 0 and LINK[name] in LINKS_OF_GAPS]
        self.note("seen", f"{reason}: knobs of {' and '.join(links) or 'no link'}", links=list(links), further=further,
                  reason=reason, verdict=diagnosis.verdict.text, gaps=gaps, dev_error=current.dev_error,
                  train_error=current.train_error)  # fmt: skip

    def _next(self, current: Outcome) -> Turn | str:
        """The most promising turn that is new and affordable, from the other link if this one has none left; or
        why there is none."""
        for links in self._in_turn():
            possible = turns_of(links, current.here)
            if "fit-train" in links and self.budget.has_room(current, 1.5):  # half for the range test
                possible += to_found_rate(current.settings, self._suggested_rate())
            new = [
                self._priced(turn)
                for turn in possible
                if changes_key({**self.state.changes, **turn.changes}) not in self.state.tried
            ]
            new = ordered(new, self.state.learned)
            promising = [turn for turn in new if turn.expected > 0]
            affordable = [turn for turn in promising if self.budget.has_room(current, turn.cost)]
            if affordable:
                if links != self.state.links:
                    self._turn_to(links)
                return affordable[0]
            if promising:
                return "there is too little left for another training"
        return "no promising knob is left"

    def _in_turn(self) -> list[tuple[str, ...]]:
        """The links at fault, then the others; the other way round once these failed PATIENCE times or more.

        A link without a gap comes last, but is tried while there is budget: knobs are not perfectly orthogonal.
        """
        links = self.state.links
        with_gap = tuple(one for one in self.state.further if one not in links)
        without = tuple(one for one in LINKS_OF_GAPS if one not in (*links, *with_gap))
        others = [one for one in (with_gap, without) if one and links]
        failed = self._failed(links)
        sooner = [one for one in others if failed >= PATIENCE and failed > self._failed(one)]
        return [*sooner, links, *(one for one in others if one not in sooner)]

    def _failed(self, links: tuple[str, ...]) -> int:
        """Knobs in a row without a gain, for the link that did best."""
        return min((self.state.undone_in_a_row.get(one, 0) for one in links), default=PATIENCE)

    def _turn_to(self, links: tuple[str, ...]) -> None:
        before, now = (" and ".join(one) or "that link" for one in (self.state.links, links))
        failed = self._failed(self.state.links)
        why = f"no knob of {before} is left to try"
        if failed >= PATIENCE:
            why = f"the last {failed} knobs of {before} gained nothing"
        further = dict.fromkeys((*links, *self.state.links, *self.state.further))
        self.note("seen", f"{why}: now {now}", links=list(links), further=list(further))

    def _priced(self, turn: Turn) -> Turn:
        """With the cost counted from the layers of the changed network, instead of the rule of thumb.

        Another architecture keeps the rule: next to a linear model every network is costly, yet trains in no time.
        """
        if not any(key.startswith("model.") for key in turn.changes) or "model.name" in turn.changes:
            return turn
        try:
            return replace(turn, cost=self._multiply_adds(turn.changes) / self._multiply_adds({}))
        except (UsageError, ZeroDivisionError):
            return turn

    def _multiply_adds(self, changes: Mapping[str, Any]) -> int:
        """For one example, through the current system with these changes."""
        session = self.matched.trials.session({**self.state.changes, **changes})
        return sum(row.multiply_adds or 0 for row in session.layers)

    def _suggested_rate(self) -> float | None:
        """What a range test suggests for the current system; measured once for each."""
        key = changes_key(self.state.changes)
        if key not in self.rates:
            session = self.matched.trials.session(self.state.changes)
            test = range_test(session)
            per_example = sum(row.multiply_adds or 0 for row in session.layers)
            self.matched.cost += 3.0 * per_example * len(test.rates) * test.batch_size
            self.rates[key] = test.suggested
        return self.rates[key]

    def _try(self, turn: Turn, current: Outcome) -> None:
        """Turn one knob, with the run's own seed, then keep or undo it. More seeds are for what stays (`_settle`)."""
        label, unit = turn.label(current.settings), self.matched.trials.task.judge.error_unit
        facts: dict[str, Any] = {"name": turn.name, "changes": dict(turn.changes), "link": turn.link, "label": label}
        facts["values_before"] = {key: current.settings.get(key) for key in turn.changes}
        turned = self._trained({**self.state.changes, **turn.changes}, current.seed)
        if isinstance(turned, Refused):
            self.note("tried", f"{label}: {turned.why}", **facts, failed=turned.why, kept=False, proven=False)
            return
        is_halved = can_be_halved(current.evaluations["dev"])
        chosen_by = evidence = self._evidence([current], [turned], confirming=False)
        is_asked = is_halved and min(evidence.chance, evidence.lean_p) < PROMISING
        if is_asked:
            evidence = self._evidence([current], [turned], confirming=True)
        decision = decide(evidence, number_tried=self._number(is_asked), unit=unit)
        is_kept, why = decision.is_kept, decision.why
        if is_halved and not is_asked:
            is_kept, why = False, "too small on the choosing half of dev to use the confirming half"
        measured = _as_measured([current], [turned], evidence)
        self.note(
            "tried", f"{label}: {_in_words(measured, unit)}; {why}", **facts, **measured, kept=is_kept,
            proven=is_kept and decision.is_proven, why=why, level=decision.level, confirmed=is_asked,
            relative_gain=chosen_by.lean,
        )  # fmt: skip

    def _settle(self, current: Outcome) -> None:
        """Everything on trial against the system without it: together the changes may show what no single one can."""
        state, unit = self.state, self.matched.trials.task.judge.error_unit
        if not state.unproven or state.is_settled:
            return
        before: list[Outcome] = []
        after: list[Outcome] = []
        evidence: Evidence | None = None
        is_halved = False
        for seed in self.matched.seeds(SEEDS):
            is_free = self.matched.knows(state.proven, seed) and self.matched.knows(state.changes, seed)
            if not is_free and ((evidence and is_settled(evidence, number_tried=self._number(is_halved))) or not
                                self.budget.has_room(current, 2.0)):  # fmt: skip
                break
            base, turned = self._trained(state.proven, seed), self._trained(state.changes, seed)
            if isinstance(base, Refused) or isinstance(turned, Refused):
                break
            before.append(base)
            after.append(turned)
            is_halved = can_be_halved(base.evaluations["dev"])
            evidence = self._evidence(before, after, confirming=is_halved)
        if evidence is None:
            return
        decision = decide(evidence, number_tried=self._number(is_halved), unit=unit)
        measured = _as_measured(before, after, evidence)
        count = len(state.unproven)
        what = "the change on trial, with more seeds" if count == 1 else f"all {count} changes on trial together"
        stays = evidence.gain > 0 or evidence.lean > 0
        then = "; proven" if decision.is_proven else "; it stays, unproven" if stays else "; undone"
        self.note(
            "together", f"{what}: {_in_words(measured, unit)}; {decision.why}{then}", **measured,
            changes=state.unproven, label=what, kept=stays, proven=decision.is_proven, why=decision.why,
            level=decision.level, confirmed=is_halved,
        )  # fmt: skip

    def _number(self, is_halved: bool) -> int:
        """For the next comparison."""
        return 1 + (self.state.number_confirmed if is_halved else self.state.number_tried)

    def _evidence(self, before: list[Outcome], after: list[Outcome], *, confirming: bool) -> Evidence:
        smoothing = [one[0].settings.get("regularise.label_smoothing") for one in (before, after)]
        sides = [[_unseen(self.matched, one) for one in side] for side in (before, after)]
        if can_be_halved(sides[0][0]):
            sides = [[half_of_dev(one, confirming=confirming) for one in side] for side in sides]
        return compare(sides[0], sides[1], scatters=self.state.scatters, by_loss=smoothing[0] == smoothing[1])

    def _end(self, why: str, **facts: Any) -> None:
        self.note("ended", why, why=why, changes=dict(self.state.changes), cost=self.matched.cost, **facts)

    def _leave_if_asked(self) -> None:
        if self.stop_asked():
            raise Stopped


def _as_measured(before: list[Outcome], after: list[Outcome], evidence: Evidence) -> dict[str, Any]:
    """The result of a comparison, as plain values for the diary."""
    return {
        "seeds": [one.seed for one in after],
        "dev_before": [one.dev_error for one in before],
        "dev_after": [one.dev_error for one in after],
        "gain": evidence.gain,
        "low": evidence.test.difference.low,
        "high": evidence.test.difference.high,
        "p_value": evidence.p_value,
        "lean": evidence.lean,
        "lean_p": evidence.lean_p,
        "scatter": asdict(evidence.test.scatter),
        "cost": sum(one.cost for one in after),
        "training_seconds": sum(one.seconds for one in after),
        "looks": sum(one.looks for one in after),
    }


def _in_words(measured: Mapping[str, Any], unit: str | None) -> str:
    """`4.1 % -> 3.6 % (2 seeds)`."""
    seeds = len(measured["seeds"])
    error, later = (sum(measured[side]) / len(measured[side]) for side in ("dev_before", "dev_after"))
    many = f" ({seeds} seeds)" if seeds > 1 else ""
    return f"{format_error(error, unit)} -> {format_error(later, unit)}{many}"


def _unseen(matched: Matched, outcome: Outcome) -> Evaluation:
    """Dev as the ladder and `gnomon compare` measure it: without copies of training examples."""
    ids = _copies(matched, "dev", outcome.evaluations["dev"])
    return without_copies(outcome.evaluations["dev"], ids, matched.trials.prepared.leaks.repeats)


def _copies(matched: Matched, split: str, evaluation: Evaluation) -> list[Any]:
    """Ids of the examples of a split that train contains too, in the type that its table has."""
    pairs = matched.trials.prepared.leaks.pairs.filter((pl.col("other_split") == "train") & (pl.col("split") == split))
    return pairs["id"].cast(evaluation.table["id"].dtype, strict=False).to_list()


def diagnosis_of_trial(matched: Matched, outcome: Outcome, *, looks: int = 0) -> Diagnosis:
    """The ladder of one trial, as a run with its settings would get it; `looks`: looks at dev before and during it."""
    trials = matched.trials
    leaked = {split: _copies(matched, split, one) for split, one in outcome.evaluations.items() if split != "train"}
    return diagnose(
        outcome.evaluations,
        human=human_level(trials.opened, trials.task, outcome.evaluations),
        error_name=trials.task.judge.error_name,
        leaked=leaked,
        repeats=trials.prepared.leaks.repeats,
        dev_looks=max(outcome.looks, looks),
        here=outcome.here,
        num_train=len(trials.prepared.splits["train"]),
        seed=trials.opened.seed,
    )
