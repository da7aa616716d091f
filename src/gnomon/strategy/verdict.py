"""What limits the system: what comes before every gap, or the largest clear gap and how certain it is; in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from gnomon.core.evaluation import SHARE
from gnomon.strategy.diagnosis import Gap, GapName, Rung, Verdict
from gnomon.strategy.floor import Floor, Shift, WrongLabels
from gnomon.strategy.wording import format_error, format_gap, split_name

if TYPE_CHECKING:
    from gnomon.core.knobs import Here
    from gnomon.strategy.commands import Commands
    from gnomon.strategy.course import Course

SURE = 0.9  # below this probability of being the largest, the verdict names two contenders
LOW = 0.01  # if no error is further above the human level than this, bias and variance are both low
MANY_COPIES = 0.01  # of a split: with fewer, there is only a note, and the rung is measured without them
NO_BETTER = 0.1  # of the error of a guess: what gains less, and nothing for certain, has learned nothing
BEHIND = 0.1  # of the dev error: a reference that is better by less is as good as the system
FEW_EXAMPLES = 300  # of train: with fewer, more examples help everything, and what a forest contradicts says little
MANY_WRONG = 0.1  # of the labels, beyond those that people get wrong: fewer come after the gaps
MOSTLY = 0.5  # of the dev error
LARGE = 4  # floors: a gap of this size whose interval excludes zero is not called zero


@dataclass(frozen=True)
class Known:
    """What is known beside the evaluations."""

    copies: Mapping[str, int] = field(default_factory=dict)  # of training examples, by split
    raw: Mapping[str, float] = field(default_factory=dict)  # errors of those splits with the copies
    floor: Floor | None = None
    course: Course | None = None
    here: Here | None = None  # where the run's knobs stand
    num_train: int | None = None
    commands: Commands | None = None
    wrong_on_dev: int | None = None  # where each answer is right or wrong

    def many_copies(self, rungs: Sequence[Rung]) -> dict[str, int]:
        """Of the splits in which copies are more than a few."""
        sizes = {rung.name: rung.examples for rung in rungs}
        return {
            split: count for split, count in self.copies.items() if count >= MANY_COPIES * (sizes.get(split, 0) + count)
        }


MEANING: dict[GapName, str] = {
    "avoidable bias": "it does worse than people even on the examples it was trained on",
    "variance": "it does worse on unseen examples than on those it was trained on",
    "data mismatch": "it does worse on data like dev than on data like train",
    "overfitting to dev": "it does worse on test than on dev, which was used to make choices",
}
# where no human level is known
PROVEN = "a cheap reference ({}) errs less on dev than it does even on the examples it was trained on"


def decide(
    gaps: Sequence[Gap],
    draws: Mapping[GapName, np.ndarray],
    rungs: Sequence[Rung],
    unit: str | None,
    known: Known | None = None,
) -> Verdict:
    """The verdict from the gaps and, for each, R draws of its size; draws with the same index belong together.

    What makes the gaps mean something else comes before them: a training that had no time, copies, an input that gives
    the target away, shifted columns, wrong labels, a reference that does better.
    """
    known = known or Known()
    if unit is None:
        return Verdict(None, (), 1.0, "Errors of this task have no absolute meaning, so no gap is named.")
    found = _of_gaps(gaps, draws, rungs, unit, known.floor)
    for look in (_unfinished, _copies, _giveaway, _shift, _nothing_learned, _labels, _reference):
        before = look(found, gaps, rungs, unit, known)
        if before is not None:
            return before
    return found


def _of_gaps(
    gaps: Sequence[Gap], draws: Mapping[GapName, np.ndarray], rungs: Sequence[Rung], unit: str, floor: Floor | None
) -> Verdict:
    there = [gap for gap in gaps if gap.is_there]
    is_low = _is_low(rungs, unit)
    if not there:
        return _no_clear_gap(gaps, draws, rungs, unit, floor, is_low=is_low)
    named = max(there, key=lambda gap: gap.size)
    rivals = [gap for gap in gaps if gap.name != named.name]
    wins = {rival.name: float((draws[rival.name] >= draws[named.name]).mean()) for rival in rivals}
    others = np.max([draws[rival.name] for rival in rivals], axis=0) if rivals else np.full(1, -np.inf)
    certainty = float((draws[named.name] > others).mean())
    contenders: tuple[GapName, ...] = (named.name,)
    if certainty < SURE:
        contenders = (named.name, max(wins, key=lambda name: wins[name]))
    if is_low:
        sizes = [f"{gap.name} ({format_gap(gap.size, unit)})" for gap in gaps if gap.name in contenders]
        largest = f"{sizes[0]} is the largest gap" if len(sizes) == 1 else f"{' or '.join(sizes)} is the largest gap"
        return Verdict(named.name, contenders, certainty, f"{_low_text(rungs, unit)}; {largest}.", is_low)
    return Verdict(named.name, contenders, certainty, _text(named, contenders, gaps, unit))


# --- what comes before the gaps ---------------------------------------------------------------------------------------
def _unfinished(
    found: Verdict, _gaps: Sequence[Gap], _rungs: Sequence[Rung], _unit: str, known: Known
) -> Verdict | None:
    course = known.course
    if course is None or not course.is_unfinished:
        return None
    text = f"It was stopped after {course.done:.1g} of {course.epochs:,} epochs: there is nothing to diagnose yet."
    return replace(found, gap=None, contenders=(), text=text, is_low=False, cause="unfinished")


def _nothing_learned(
    found: Verdict, _gaps: Sequence[Gap], rungs: Sequence[Rung], unit: str, known: Known
) -> Verdict | None:
    dev, floor = _rung("dev", rungs), known.floor
    if dev is None or floor is None or _rung("train_dev", rungs) is not None:  # dev may just be other data than train
        return None
    guess, best = floor.guess, floor.best
    is_reachable = best.error < (1 - NO_BETTER) * guess.error
    if guess.ahead_high < 0 or guess.ahead < -NO_BETTER * guess.error or (is_reachable and best.ahead_low <= 0):
        return None
    ours, theirs = format_error(dev.error, unit), format_error(guess.error, unit)
    if is_reachable:
        text = f"It has learned nothing yet: dev {ours}, {guess.name} {theirs}, {_reference_words(floor, unit)}."
        return replace(
            found, gap="avoidable bias", contenders=("avoidable bias",), text=text, is_low=False,
            cause="nothing learned",
        )  # fmt: skip
    if guess.error <= LOW and unit == SHARE:
        return None
    text = (
        f"Nothing here beats a guess: dev {ours}, {guess.name} {theirs}, {_reference_words(floor, unit)}; "
        f"the inputs may say nothing about the target."
    )
    return replace(found, text=text, is_low=False, cause="nothing learned")


def _copies(found: Verdict, _gaps: Sequence[Gap], rungs: Sequence[Rung], unit: str, known: Known) -> Verdict | None:
    many = known.many_copies(rungs)
    split = next((name for name in ("dev", "test", "train_dev") if name in many), None)
    if split is None:
        return None
    rung = _rung(split, rungs)
    count, name = many[split], split_name(split)
    if rung is None or rung.raw is None:
        return replace(found, text=f"All {count:,} {name} examples are copies of training examples.", cause="copies")
    without, raw = format_error(rung.error, unit), format_error(rung.raw, unit)
    text = f"{count:,} of {count + rung.examples:,} {name} examples are copies of training examples: "
    text += f"without them the error is {without}, not {raw}." if without != raw else f"the error is {raw} either way."
    return replace(found, text=text, cause="copies")


def _giveaway(found: Verdict, _gaps: Sequence[Gap], _rungs: Sequence[Rung], unit: str, known: Known) -> Verdict | None:
    one = None if known.floor is None else known.floor.giveaway
    if one is None:
        return None
    if unit == SHARE:
        tells = (
            f"{one.name} alone gives the right answer in {100 * (1 - one.error):.0f} % of the examples, the next best "
            f"input in {100 * (1 - one.next_best):.0f} %"
        )
    else:
        tells = (
            f"{one.name} alone leaves an error of {format_error(one.error, unit)}, the next best input "
            f"{format_error(one.next_best, unit)}"
        )
    return replace(found, text=f"{tells}: is it known when a prediction is made?", cause="giveaway")


def _shift(found: Verdict, _gaps: Sequence[Gap], _rungs: Sequence[Rung], unit: str, known: Known) -> Verdict | None:
    one = None if known.floor is None else known.floor.shift
    if one is None or known.floor is None or not (one.hurts or one.is_blatant):
        return None
    text, guess = shift_text(one, unit), known.floor.guess
    if not one.hurts and guess.ahead_high >= 0:
        text = text.replace("though that hardly hurts so far", f"and on it the system does no better than {guess.name}")
    return replace(
        found, gap="data mismatch", contenders=("data mismatch",), text=text, is_low=False, cause="shift"
    )  # fmt: skip


def shift_text(one: Shift, unit: str) -> str:
    """Which columns, what it costs."""
    where = f"Dev differs from train in {_listed(one.columns)}"
    if not one.hurts:
        most = max(map(abs, one.sizes))
        return f"{where} (by up to {most:.1f} standard deviations), though that hardly hurts so far."
    if one.basis == "moved back":
        how = f"with those columns moved back its dev error is {format_error(one.without, unit)} instead of"
        return f"{where}, which costs {format_gap(one.cost, unit)}: {how} {format_error(one.dev, unit)}."
    how = f"the error of a random forest is {format_error(one.without, unit)} on unseen training examples"
    return f"{where}, which costs about {format_gap(one.cost, unit)}: {how}, {format_error(one.dev, unit)} on dev."


def _labels(found: Verdict, _gaps: Sequence[Gap], rungs: Sequence[Rung], _unit: str, known: Known) -> Verdict | None:
    one, dev = None if known.floor is None else known.floor.wrong_labels, _rung("dev", rungs)
    if one is None or dev is None or known.floor is None:
        return None
    behind = dev.error - known.floor.best.error
    people = _rung("human", rungs)
    disagree = people.high if people is not None and not people.is_unknown else 0.0  # as often as people err
    is_many = one.low - disagree >= MANY_WRONG and (known.num_train or 0) >= FEW_EXAMPLES
    if not one.given and (not is_many or one.share < behind or one.share < dev.error / 3):
        return None
    return replace(found, text=labels_text(one), is_low=False, cause="labels")


def labels_text(one: WrongLabels) -> str:
    """How many labels look wrong, and where they gather."""
    if one.given:
        return (
            f"Labels look wrong in one place: about {100 * one.pair_share:.0f} % of the examples that are clearly "
            f"{one.likely!r} are labelled {one.given!r}."
        )
    return (
        f"About {100 * one.share:.0f} % of the labels contradict what similar examples say "
        f"({one.contradicted:,} of {one.looked_at:,} clear ones): labels are wrong, or the "
        f"inputs cannot tell the classes apart."
    )


def _reference(found: Verdict, gaps: Sequence[Gap], rungs: Sequence[Rung], unit: str, known: Known) -> Verdict | None:
    """A reference that is better on the same dev examples, for certain and by more than a little."""
    dev, floor = _rung("dev", rungs), known.floor
    if dev is None or floor is None or floor.best is floor.guess:
        return None
    best = floor.best
    if best.p_value >= 0.05 or best.ahead < max(BEHIND * dev.error, LOW / 2 if unit == SHARE else 0.0):
        return None
    proven = next((gap for gap in gaps if gap.name == "avoidable bias" and gap.is_there), None)
    text = (
        f"A cheap reference does better: {best.name} {format_error(best.error, unit)} on the same dev examples, this "
    )
    text += f"system {format_error(dev.error, unit)}"
    if proven is not None and proven.proven_by:
        text += f"; at least {format_gap(proven.size, unit)} of its train error are avoidable"
    train = _rung("train", rungs)
    is_most = train is not None and train.error >= MOSTLY * dev.error  # of it is there on train already
    gap: GapName = (
        "avoidable bias" if proven is not None else found.gap or ("avoidable bias" if is_most else "variance")
    )
    return replace(found, gap=gap, contenders=(gap,), text=f"{text}.", is_low=False, cause="reference")


def _reference_words(floor: Floor, unit: str) -> str:
    """The best reference and its error."""
    if floor.best is floor.guess:
        return "no reference is better"
    return f"{floor.best.name} {format_error(floor.best.error, unit)}"


def _rung(name: str, rungs: Sequence[Rung]) -> Rung | None:
    return next((rung for rung in rungs if rung.name == name), None)


def _listed(names: Sequence[str], most: int = 3) -> str:
    """a, b and c; of more, how many."""
    shown = [*names[:most], *([f"{len(names) - most} more columns"] if len(names) > most else [])]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


# --- the gaps ---------------------------------------------------------------------------------------------------------
def _text(named: Gap, contenders: Sequence[GapName], gaps: Sequence[Gap], unit: str) -> str:
    sizes = {gap.name: format_gap(gap.size, unit) for gap in gaps}
    bound = next((gap for gap in gaps if gap.is_bound), None)
    rest = [f"{gap.name} ({sizes[gap.name]})" for gap in gaps if gap.is_there and gap.name not in contenders]
    too = f"; {' and '.join(rest)} {'is' if len(rest) == 1 else 'are'} clear too" if rest else ""
    if len(contenders) == 1:
        meaning = MEANING[named.name] if not named.proven_by else PROVEN.format(named.proven_by)
        return f"{_title(named.name)} is the largest gap ({sizes[named.name]}): {meaning}{too}."
    first, second = contenders
    if bound is not None and bound.name in contenders:
        much = "be larger" if bound.size >= named.size else "matter as much"
        return (
            f"{_title(first)} is clear ({sizes[first]}); avoidable bias may {much}, up to {sizes[bound.name]}: the "
            f"human level is needed to know{too}."
        )
    other = next(gap for gap in gaps if gap.name == second)
    if not other.is_there:
        least = "small" if other.low > 0 and other.size > LARGE * other.floor else "zero"
        return (
            f"{_title(first)} is clear ({sizes[first]}); {second} ({sizes[second]}) may be as large, or {least}: there "
            f"are too few examples to say{too}."
        )
    return (
        f"{_title(first)} ({sizes[first]}) and {second} ({sizes[second]}) are both clear; there are too few examples "
        f"to say which is larger{too}."
    )


def _no_clear_gap(
    gaps: Sequence[Gap], draws: Mapping[GapName, np.ndarray], rungs: Sequence[Rung], unit: str, floor: Floor | None,
    *, is_low: bool,
) -> Verdict:  # fmt: skip
    measured = [gap for gap in gaps if not gap.is_bound]
    bound = next((gap for gap in gaps if gap.is_bound), None)
    if not measured and bound is None:
        return Verdict(None, (), 0.0, "A single rung has no gap: give the errors of train and dev.")
    certainty = float(np.all([draws[gap.name] <= gap.floor for gap in measured], axis=0).mean()) if measured else 0.0
    undecided = [gap for gap in measured if gap.is_undecided]
    parts = []
    hidden = max((gap.high for gap in undecided), default=0.0)
    no_gap = f"{_low_text(rungs, unit, hidden)}, and no gap" if is_low else "no gap"
    likely = max(
        (gap for gap in undecided if gap.low > 0 and gap.size > gap.floor), key=lambda gap: gap.size, default=None
    )
    if likely is not None:
        size, low, high = (format_gap(end, unit) for end in (likely.size, likely.low, likely.high))
        ends = f"between {low.removesuffix(' points')} and {high}"
        parts.append(f"{no_gap} is statistically clear; {likely.name} is likely ({size}), {ends}")
    elif undecided:
        largest = max(undecided, key=lambda gap: gap.high)
        most = "of any size" if np.isinf(largest.high) else f"as large as {format_gap(largest.high, unit)}"
        parts.append(f"{no_gap} is statistically clear; {largest.name} could be {most}")
    elif measured:
        small = "" if is_low else ", which would be small"
        parts.append(f"{no_gap} exceeds {format_gap(measured[0].floor, unit)}{small}")
    beside = _no_better(floor, rungs, unit)
    if bound is not None and beside and bound.size <= bound.floor:
        parts.append(beside)  # hardly any train error: what is left of bias does not matter
    elif bound is not None:
        why = "the train error is below the human level" if _human_known(rungs) else "the human level is unknown"
        most = f"it could be up to {format_gap(bound.size, unit)}"
        if bound.size <= 0:
            most = f"the train error is 0, so it is at most {format_gap(bound.high, unit)}"
        also = "" if not beside else f", though {beside}" if beside.startswith("no ") else f"; {beside}"
        parts.append(f"avoidable bias is not measured ({why}): {most}{also}")
    return Verdict(None, (), certainty, f"{_title('; '.join(parts))}.", is_low)


def _no_better(floor: Floor | None, rungs: Sequence[Rung], unit: str) -> str:
    """What the references add where nobody knows the human level."""
    dev = _rung("dev", rungs)
    if floor is None or dev is None or floor.best is floor.guess:
        return ""
    best = f"{floor.best.name} {format_error(floor.best.error, unit)} on dev"
    if floor.best.ahead > 0:  # as measured; for certain, the verdict would begin with it
        return f"a cheap reference may do better ({best})"
    return f"no cheap reference does better ({best})"


def _top(rungs: Sequence[Rung]) -> tuple[Rung, float]:
    """The split with the largest error, and how far it is above the human level (above 0 if that is unknown)."""
    highest = max((rung for rung in rungs if rung.name != "human"), key=lambda rung: rung.error)
    return highest, highest.error - next((rung.error for rung in rungs if rung.name == "human"), 0.0)


def _is_low(rungs: Sequence[Rung], unit: str) -> bool:
    splits = {rung.name for rung in rungs}
    return unit == SHARE and len(splits & {"train", "dev", "test"}) > 1 and _top(rungs)[1] <= LOW + 1e-12


def _low_text(rungs: Sequence[Rung], unit: str, hidden: float = 0.0) -> str:
    """How low, in a clause; `hidden` is what an undecided gap could still be."""
    highest, above = _top(rungs)
    low, name = "Low bias and low variance", split_name(highest.name)
    if hidden > 2 * LOW:
        dev = _rung("dev", rungs) or highest
        low = f"{low} as far as {dev.examples:,} {split_name(dev.name)} examples can tell"
    if above <= 0:
        least = "no error is above the human level" if _human_known(rungs) else "not one example is wrong"
        return f"{low}: {least}"
    if not _human_known(rungs):
        return f"{low}: the {name} error is only {format_error(highest.error, unit)}"
    return f"{low}: the {name} error is {format_gap(above, unit)} above the human level"


def _human_known(rungs: Sequence[Rung]) -> bool:
    return any(rung.name == "human" and not rung.is_unknown for rung in rungs)


def _title(text: str) -> str:
    return text[:1].upper() + text[1:]
