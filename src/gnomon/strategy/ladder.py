"""The ladder: human, train, train-dev, dev, test; the gap at each step with its interval; the verdict and the notes."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gnomon.core.errors import DataError, UsageError
from gnomon.core.evaluation import SHARE, SPLITS, Evaluation
from gnomon.core.knobs import Here
from gnomon.core.seeds import generator
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import Measured, Z, difference, measure, weights_of, wilson
from gnomon.metrics.resampling import ROUNDS
from gnomon.strategy.advice import advise
from gnomon.strategy.commands import Commands
from gnomon.strategy.course import Course
from gnomon.strategy.diagnosis import UNKNOWN_HUMAN, Diagnosis, Gap, GapName, Rung
from gnomon.strategy.floor import Floor, Reference
from gnomon.strategy.people import FEWEST_ANSWERS
from gnomon.strategy.plan import ALPHA, normal_quantile
from gnomon.strategy.verdict import Known, decide
from gnomon.strategy.wording import format_error, format_gap, split_name

SMALLEST_FLOOR = 0.001  # 0.1 points: a smaller gap between shares is ignored
FLOOR_SHARE = 0.1  # of the dev or the train error: a smaller gap is not what limits the system
POWER = 0.8416212335729143  # normal quantile of 0.8: the planned number of examples settles a gap 4 times out of 5
MUCH_LARGER = 2.0  # times the examples both splits need together: beyond this, growing the upper split alone is no plan
DEAD_ZONE = 0.5  # of the floor: a gap closer to the floor than this need not be distinguished from it
MORE_OFTEN, SURELY = 0.01, 3.0  # repeats beyond those inside train: this share, and this many standard errors
FEW_COPIES = 0.05  # of a split
FLATTERS = 0.1  # of the error without them: copies that make it smaller by less are harmless
HARDLY = 0.005  # half a point: copies that repeat by nature and flatter by no more
LARGE_FLOOR = 0.01  # 1 point: the floor of a dev error of 10 %
TWICE = 2.0  # floors: a gap of this size is clear even if its lower end is only above half of one
WITHIN_REACH = 30  # times the current number of examples: nobody collects more to settle a small gap
HALF = 0.5  # of the possible gap: the target to detect where settling the measured gap is out of reach


@dataclass(frozen=True)
class HumanLevel:
    """The human level: several figures, the best of which estimates the Bayes error; or unknown."""

    error: float | None
    note: str
    measured: Measured | None = None


@dataclass(frozen=True)
class Step:
    """A gap with R draws of its size."""

    gap: Gap
    draws: np.ndarray


def diagnose(
    evaluations: Mapping[str, Evaluation],
    *,
    human: Sequence[float] | Measured | None = None,
    error_name: str = "error",
    leaked: Mapping[str, Collection[Any]] | None = None,
    repeats: float | None = None,
    dev_looks: int = 0,
    test_openings: int | None = None,
    here: Here | None = None,
    num_train: int | None = None,
    floor: Floor | None = None,
    course: Course | None = None,
    commands: Commands | None = None,
    seed: int = 0,
) -> Diagnosis:
    """What limits a system, from its predictions on some of train, train_dev, dev, test.

    evaluations: by split; may include "human": people's answers, scored like a model's.
    human: human-level errors in the unit of the errors (shares: 0.01 is 1 %), of which the lowest counts; or the level
    that `strategy.people` measured.
    leaked: by split, ids of examples that are also in train; they are left out of the measurement, unless as many
    repeat inside train (`repeats`, a share) and the error is about the same without them.
    dev_looks: how many models were compared on dev; the best of k is optimistic by about sigma sqrt(2 ln k).
    test_openings: how often test was opened; 0 if it is sealed, None if there is none.
    here, num_train, commands: used to phrase the advice: where the run's knobs stand, its training examples, its data.
    floor: what cheap references make of the same dev examples. course: how the training went.
    Raises DataError for a split without examples or with errors that are not numbers, UsageError for an impossible
    human level.
    """
    units = {evaluation.unit for evaluation in evaluations.values()}
    if len(units) != 1:
        raise DataError(
            f"the splits have different error units: {sorted(map(str, units))}." if units else "no split is given.",
            fix="give the predictions of one model on at least train and dev.",
        )
    unit = units.pop()
    measured: dict[str, Measured] = {}
    removed: dict[str, int] = {}
    raw: dict[str, float] = {}
    for split in ("human", *SPLITS):
        if split not in evaluations:
            continue
        evaluation = evaluations[split]
        copies = copies_left_out(evaluation, (leaked or {}).get(split, ()), repeats)
        if copies.any():
            removed[split] = int(copies.sum())
        if not copies.all() or not len(copies):
            measured[split] = measure(evaluation, leave_out=copies, seed=seed)
        if copies.any():
            raw[split] = measure(evaluation, seed=seed).interval.value
    person = _human_level(human, measured.pop("human", None), unit)
    known = Known(removed, raw, floor, course, here, num_train, commands, _wrong(evaluations.get("dev")))
    return _build(measured, person, unit, error_name, known, dev_looks=dev_looks, test_openings=test_openings)


def diagnose_rates(
    errors: Mapping[str, float | tuple[float, int]],
    *,
    error_name: str = "error",
    dev_looks: int = 0,
    test_openings: int | None = None,
) -> Diagnosis:
    """The same from error rates: {"human": 0.01, "train": (0.08, 10_000), "dev": (0.1, 10_000)}.

    Each split is (error in [0, 1], number of examples); the human level is the error alone.
    """
    measured: dict[str, Measured] = {}
    human: list[float] | None = None
    for split, given in errors.items():
        if split == "human":
            human = [given[0] if isinstance(given, tuple) else given]
            continue
        if split not in SPLITS or not isinstance(given, tuple) or not 0 <= given[0] <= 1 or given[1] < 1:
            raise UsageError(
                f"{split}={given!r} is not an error with a number of examples.",
                fix=f"give one of {', '.join(SPLITS)} as (error, examples), the error between 0 and 1.",
            )
        error, examples = given
        rng = generator(0, "rates", split)
        draws = rng.beta(error * examples + 0.5, (1 - error) * examples + 0.5, size=ROUNDS)
        measured[split] = Measured(wilson(error * examples, examples), draws, examples)
    measured = {split: measured[split] for split in SPLITS if split in measured}
    return _build(
        measured, _human_level(human, None, SHARE), SHARE, error_name, Known(),
        dev_looks=dev_looks, test_openings=test_openings,
    )  # fmt: skip


def _wrong(evaluation: Evaluation | None) -> int | None:
    """How many examples are wrong; None where errors are of degree, or a split's error is not their mean."""
    if evaluation is None or evaluation.unit != SHARE or evaluation.split_error is not None:
        return None
    errors = evaluation.table["error"]
    return int(errors.sum()) if errors.is_in([0.0, 1.0]).all() else None


def copies_left_out(evaluation: Evaluation, ids: Collection[Any], repeats: float | None) -> np.ndarray:
    """(N,) True for the examples that the error is measured without: those in `ids`, copies of training examples.

    None of them where the copies are harmless; `repeats` is the share of train that equals another of its examples,
    None if nobody knows.
    """
    if not ids or "id" not in evaluation.table.columns:
        return np.zeros(evaluation.table.height, dtype=bool)
    copies: np.ndarray = evaluation.table["id"].cast(str).is_in(list(map(str, ids))).to_numpy()
    if copies.any() and repeats is not None and _are_harmless(evaluation, copies, repeats):
        return np.zeros_like(copies)
    return copies


def without_copies(evaluation: Evaluation, ids: Collection[Any], repeats: float | None) -> Evaluation:
    """The examples that the ladder measures: those that `copies_left_out` names have weight 0, unless all would."""
    copies = copies_left_out(evaluation, ids, repeats)
    if not copies.any() or copies.all():
        return evaluation
    import polars as pl

    weights = weights_of(evaluation.table) * ~copies
    return replace(evaluation, table=evaluation.table.with_columns(pl.Series("weight", weights)))


def _are_harmless(evaluation: Evaluation, copies: np.ndarray, repeats: float) -> bool:
    """Whether the error is about the same without the copies, and they are few, or no more than repeat inside train.

    What repeats inside train repeats across splits too, in whatever way the data is split.
    """
    error = math.sqrt(max(repeats * (1 - repeats), 1 / len(copies)) / len(copies))
    if copies.all() or copies.mean() > max(repeats + MORE_OFTEN + SURELY * error, FEW_COPIES):
        return False
    with_them, without = (_error_without(evaluation, leave_out) for leave_out in (np.zeros_like(copies), copies))
    hardly = HARDLY if evaluation.unit == SHARE else 0.0
    return without - with_them <= max(FLATTERS * without, hardly)


def _error_without(evaluation: Evaluation, leave_out: np.ndarray) -> float:
    """The error without some of the examples."""
    return measure(evaluation, leave_out=leave_out).interval.value


def check_human(figures: Sequence[float], unit: str | None) -> None:
    """Raises UsageError for an impossible human-level error."""
    for figure in figures:
        if not math.isfinite(figure) or figure < 0 or (unit == SHARE and figure > 1):
            fix = "give a share from 0 to 1: human=0.01 for 1 %." if unit == SHARE else "give a number of at least 0."
            raise UsageError(f"a human-level error of {figure:g} is not possible.", fix=fix)


def _human_level(human: Sequence[float] | Measured | None, measured: Measured | None, unit: str | None) -> HumanLevel:
    if isinstance(human, Measured):
        human, measured = None, human
    figures = list(human or ())
    check_human(figures, unit)
    best = min(figures, default=math.inf)
    if measured is not None and measured.examples < FEWEST_ANSWERS and not figures:
        are = "answer of people is" if measured.examples == 1 else "answers of people are"
        return HumanLevel(None, f"{UNKNOWN_HUMAN}; {measured.examples} {are} too few, it takes {FEWEST_ANSWERS}")
    if measured is not None and measured.examples >= FEWEST_ANSWERS and measured.interval.value <= best:
        return HumanLevel(measured.interval.value, f"measured on {measured.examples:,} examples", measured)
    if figures:
        return HumanLevel(
            best, "given" if len(figures) == 1 else f"given; the lowest of {len(figures)}: figures have no interval"
        )
    return HumanLevel(None, UNKNOWN_HUMAN)


def _build(
    measured: Mapping[str, Measured],
    person: HumanLevel,
    unit: str | None,
    error_name: str,
    known: Known,
    *,
    dev_looks: int,
    test_openings: int | None,
) -> Diagnosis:
    human = person.error or 0.0
    people = person.measured or Measured(Interval(human, human, human), np.full(ROUNDS, human), 0)
    levels = {"human": people, **measured}
    steps = [] if unit is None else _steps(levels, person, unit, known.floor)
    gaps = tuple(step.gap for step in steps)
    rungs = [
        Rung(
            name,
            level.interval.value,
            level.interval.low,
            level.interval.high,
            level.examples,
            _rung_note(name, level, person, known.copies, dev_looks, test_openings, unit),
            known.raw.get(name),
        )
        for name, level in levels.items()
    ]
    verdict = decide(gaps, {step.gap.name: step.draws for step in steps}, rungs, unit, known)
    notes = (
        *_leak_notes(measured, known.copies),
        *_order_notes(levels, gaps, person, unit),
        *_looks_notes(levels, gaps, dev_looks, unit),
    )
    advice = advise(verdict, gaps, rungs, unit=unit, known=known)
    return Diagnosis(unit, error_name, tuple(rungs), gaps, verdict, advice, notes, test_openings, known.floor)


def _steps(levels: Mapping[str, Measured], person: HumanLevel, unit: str, below: Floor | None) -> list[Step]:
    """The gaps between the rungs that exist, from the bottom up."""
    held_out = [name for name in ("train_dev", "dev", "test") if name in levels]
    target = next((name for name in ("dev", "test") if name in levels), None)
    pairs: list[tuple[GapName, str, str]] = []
    if "train" in levels:
        pairs.append(("avoidable bias", "human", "train"))
        if held_out:
            pairs.append(("variance", "train", held_out[0]))
    if "train_dev" in levels and target:
        pairs.append(("data mismatch", "train_dev", target))
    if "dev" in levels and "test" in levels:
        pairs.append(("overfitting to dev", "dev", "test"))
    judged = target or (held_out[0] if held_out else "train" if "train" in levels else "human")
    highest = max(
        levels[name].interval.value for name in {judged, "train"} & levels.keys()
    )  # a small dev may have none
    floor = max(FLOOR_SHARE * highest, SMALLEST_FLOOR if unit == SHARE else 0.0)
    steps = []
    for name, lower, upper in pairs:
        is_surpassed = name == "avoidable bias" and levels["train"].interval.high < levels["human"].interval.low
        if name == "avoidable bias" and (person.error is None or is_surpassed):
            steps.append(_proven(levels["train"], floor, unit, below) or _bound(levels["train"], floor))
        else:
            steps.append(_step(name, lower, upper, levels, floor, unit))
    return steps


def is_clear(gap: Interval, floor: float, unit: str | None) -> bool:
    """Whether a gap is there: its interval lies above the floor, or it is twice as large and surely above half of it.

    The second rule finds large gaps on few examples. It is for errors from 10 % on: of small ones a single mistake
    more or less decides.
    """
    is_large = unit != SHARE or floor >= LARGE_FLOOR
    return gap.low > floor or (is_large and gap.low > floor / 2 and gap.value >= TWICE * floor)


def _bound(train: Measured, floor: float) -> Step:
    """Avoidable bias when nobody knows how low the error can go: at most the whole training error."""
    size = train.interval.value
    gap = Gap("avoidable bias", "human", "train", size, 0.0, train.interval.high, False, floor, is_bound=True)
    return Step(gap, np.resize(train.draws, ROUNDS))


def _proven(train: Measured, floor: float, unit: str, below: Floor | None) -> Step | None:
    """Avoidable bias that needs no human level: a reference errs less on dev than the system does even on train."""
    if below is None or below.best is below.guess:
        return None
    best = below.best
    size = difference(train.interval, Interval(best.error, best.low, best.high))
    if not is_clear(size, floor, unit):
        return None
    gap = Gap(
        "avoidable bias", "human", "train", size.value, size.low, size.high, True, floor, proven_by=best.name
    )  # fmt: skip
    return Step(gap, np.resize(train.draws, ROUNDS) - _draws(best))


def _draws(reference: Reference) -> np.ndarray:
    """(ROUNDS,) what other dev sets of the same size could have given."""
    spread = (reference.high - reference.low) / (2 * Z)
    return reference.error + spread * generator(0, "reference", reference.name).normal(size=ROUNDS)


def _step(name: GapName, below: str, above: str, levels: Mapping[str, Measured], floor: float, unit: str) -> Step:
    lower, upper = levels[below], levels[above]
    size = difference(upper.interval, lower.interval)
    gap = Gap(name, below, above, size.value, size.low, size.high, is_clear(size, floor, unit), floor)
    if gap.is_undecided:
        gap = _with_examples(gap, lower, upper)
    return Step(gap, np.resize(upper.draws, ROUNDS) - np.resize(lower.draws, ROUNDS))


def _with_examples(gap: Gap, lower: Measured, upper: Measured) -> Gap:
    """The gap with the number of examples that would settle it, if anybody could have so many.

    Otherwise with the number that would detect HALF of the largest gap still possible, if that matters and is in reach.
    """
    count, needs_below = _examples_to_settle(gap.size, gap.floor, lower, upper)
    if count is not None and count <= WITHIN_REACH * upper.examples:
        return replace(gap, examples_to_settle=count, settle_needs_below=needs_below)
    half = _examples_to_tell(gap, upper)
    if upper.examples < half <= WITHIN_REACH * upper.examples:
        return replace(gap, examples_to_settle=half, settles_half=True)
    return gap


def _examples_to_tell(gap: Gap, upper: Measured) -> int:
    """Examples of the upper split to detect HALF of the largest gap still possible; 0 if that is below the floor."""
    distance = HALF * gap.high - gap.floor
    if not (distance > 0 and math.isfinite(distance)):
        return 0
    sure = normal_quantile(1 - ALPHA / 2)
    deviation = (upper.interval.high - upper.interval.value) / sure  # upwards: it may be larger than measured
    wanted = distance / (sure + POWER)
    return math.ceil(upper.examples * (deviation / wanted) ** 2)


def _examples_to_settle(size: float, floor: float, below: Measured, above: Measured) -> tuple[int | None, bool]:
    """How many examples of the upper split put the interval on one side of the floor 4 times out of 5.

    Assumes that the gap is as large as measured, or DEAD_ZONE away from the floor if it was measured closer than that.
    The second value is True if the lower split has to grow in proportion, because growing the upper split alone would
    never settle it, or only with MUCH_LARGER numbers. None: unknown.
    """
    distance = max(abs(size - floor), DEAD_ZONE * floor)
    variances = [((end.high - end.low) / (2 * Z)) ** 2 for end in (above.interval, below.interval)]
    if distance == 0 or not math.isfinite(sum(variances)):
        return None, False
    wanted = (distance / (Z + POWER)) ** 2
    room = wanted - variances[1]
    together = sum(variances) / wanted
    needs_below = room <= 0 or variances[0] / room > MUCH_LARGER * together
    factor = together if needs_below else variances[0] / room
    return max(math.ceil(above.examples * factor), above.examples + 1), needs_below


def _rung_note(
    name: str,
    level: Measured,
    person: HumanLevel,
    removed: Mapping[str, int],
    dev_looks: int,
    test_openings: int | None,
    unit: str | None,
) -> str:
    if name == "human":
        return person.note
    notes = []
    if name in removed:
        notes.append(f"without {removed[name]:,} {'copy' if removed[name] == 1 else 'copies'} of training examples")
    if name == "dev" and dev_looks > 1:
        shown = format_gap(_optimism(level, dev_looks), unit)
        notes.append(f"best of {dev_looks:,} looks: optimistic by up to about {shown}")
    if name == "test" and test_openings is not None and test_openings > 1:
        notes.append(f"opened {test_openings} times: no longer unseen")
    return "; ".join(notes)


def _optimism(dev: Measured, looks: int) -> float:
    """How much better than it is the best of this many models can look on dev, at most: sigma sqrt(2 ln k)."""
    return float(dev.draws.std()) * math.sqrt(2 * math.log(looks))


def _looks_notes(levels: Mapping[str, Measured], gaps: Sequence[Gap], looks: int, unit: str | None) -> list[str]:
    """How much of the gap from dev to test is explained by choosing the best of many looks at dev."""
    gap = next((gap for gap in gaps if gap.name == "overfitting to dev"), None)
    if gap is None or looks < 2 or gap.size <= 0:
        return []
    most = _optimism(levels["dev"], looks)
    size, shown = format_gap(gap.size, unit), format_gap(most, unit)
    if most >= gap.size:
        return [
            f"overfitting to dev: choosing the best of {looks:,} looks can explain all {size} (up to about {shown})"
        ]
    part = f"overfitting to dev: choosing the best of {looks:,} looks explains up to about {shown} of {size}"
    return [f"{part}; test may also be harder than dev, or come from another source" if gap.low > most else part]


def _leak_notes(measured: Mapping[str, Measured], removed: Mapping[str, int]) -> list[str]:
    notes = []
    for split, count in removed.items():
        noun = "example" if count == 1 else "examples"
        text = f"leak: {count:,} {noun} of {split_name(split)} {'is' if count == 1 else 'are'} in train as well"
        without = "measured without" if split in measured else "nothing else is left in it, so this rung is omitted"
        notes.append(
            f"{text}; {without}" + (" them" if split in measured and count > 1 else " it" if split in measured else "")
        )
    return notes


def _order_notes(
    levels: Mapping[str, Measured], gaps: Sequence[Gap], person: HumanLevel, unit: str | None
) -> list[str]:
    """Rungs in an unexpected order, explained in words rather than shown as negative gaps."""
    notes = []
    for gap in gaps:
        sure = "clearly " if gap.high < 0 else ""
        above = split_name(gap.above)
        if gap.name == "avoidable bias" and gap.is_bound and person.error is not None:
            train, human = (format_error(levels[name].interval.value, unit) for name in ("train", "human"))
            notes.append(
                f"the train error ({train}) is below the human level ({human}): the human level no longer shows how "
                f"low the error can go (or the model memorised examples)"
            )
        elif gap.size < 0 and gap.name == "variance":
            notes.append(
                f"train is {sure}above {above}: there is no variance to reduce (regularisation and augmentation make "
                f"training harder than evaluation, or {above} happens to be easier)"
                if gap.high <= gap.floor
                else f"train is above {above}, by chance or because {above} happens to be easier"
            )
        elif gap.size < 0 and gap.name == "data mismatch":
            notes.append(f"{above} is {sure}easier than train-dev: the change of source does no harm")
    return notes
