"""What to do next: only things that act on the link of the chain at fault, according to the verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from gnomon.core.evaluation import SHARE
from gnomon.core.knobs import Here
from gnomon.strategy.diagnosis import Advice, Gap, GapName, Rung, Verdict
from gnomon.strategy.improve_turns import turns_of
from gnomon.strategy.plan import ALPHA, POWER, normal_quantile
from gnomon.strategy.wording import format_count, format_error, format_gap, split_name

LINK: dict[GapName, str] = {
    "avoidable bias": "fit-train",
    "variance": "fit-dev",
    "data mismatch": "fit-dev",
    "overfitting to dev": "fit-test",
}
MOST = 4  # pieces of advice at a time
OUT_OF_REACH = 100  # times the current dev set: nobody collects that much to settle a small gap
HALF = 0.5  # of the possible gap: the target to detect when settling the measured gap is out of reach
TOO_GOOD = 0.5  # of the human level: a held-out error clearly below this is hardly to the model's credit
FLAWLESS = 0.01  # without a human level: no errors at all, although this error rate would show some
MANY_COPIES = 0.01  # of a split: with fewer, there is only a note, and the rung is measured without them


def advise(
    verdict: Verdict,
    gaps: Sequence[Gap],
    rungs: Sequence[Rung],
    *,
    unit: str | None,
    leaks: Mapping[str, int],
    here: Here | None = None,
    num_train: int | None = None,
) -> tuple[Advice, ...]:
    """At most MOST pieces of advice, most important first: leaks, then the gap the verdict names, then measurements.

    here: the current values of the run's knobs; without it knobs are named in words only.
    """
    examples = {rung.name: rung.examples for rung in rungs}
    many = {split: count for split, count in leaks.items() if count >= MANY_COPIES * (examples.get(split, 0) + count)}
    advice = [_remove_copies(many)] if many else []
    if unit is None:
        return (*advice, _look_at_the_target())
    suspicious = _too_good(rungs, unit)
    if suspicious:
        advice.append(_look_for_a_giveaway(suspicious))
    bound = next((gap for gap in gaps if gap.is_bound), None)
    people = next((rung for rung in rungs if rung.name == "human"), None)
    human_known = people is not None and not people.is_unknown
    matters = bound is not None and not human_known and bound.size > bound.floor
    if verdict.gap is None:
        advice += _more_examples(gaps, rungs, unit)
        if matters and bound is not None:
            advice += [_measure_people(bound, unit), *_for_gap(bound, here, num_train, rungs, unit)[:2]]
        if not advice:
            advice = [_look_at_the_errors(), _look_at_the_target()]
        return tuple(advice[:MOST])
    named = [gap for name in verdict.contenders for gap in gaps if gap.name == name]
    if matters and bound is not None and bound in named:
        advice.append(_measure_people(bound, unit))
    lists = [_for_gap(gap, here, num_train, rungs, unit) for gap in named]
    for place in range(MOST):  # in turn, so that both contenders get a share
        advice += [one[place] for one in lists if place < len(one)]
    return tuple(advice[:MOST])


def _for_gap(gap: Gap, here: Here | None, num_train: int | None, rungs: Sequence[Rung], unit: str) -> list[Advice]:
    link = LINK[gap.name]
    size = f"{gap.name} is {'at most ' if gap.is_bound else ''}{format_gap(gap.size, unit)}"
    if gap.name == "avoidable bias":
        return [
            *(
                _knobs(link, here)[: MOST - 1]
                or [
                    Advice("train a larger network", f"{size}; more capacity fits the training examples better", link),
                    Advice("train longer, or with a better optimiser", "training may not have converged", link),
                ]
            ),
            Advice("try another architecture", "one designed for this kind of data fits it with less", link),
        ]
    if gap.name == "variance":
        now = f" (now {num_train:,}; twice as many is a good first try)" if num_train else ""
        return [
            Advice(f"get more training data{now}", f"{size}; more examples are harder to memorise", link),
            *(
                _knobs(link, here)
                or [Advice("regularise more: augmentation, dropout, weight decay", "keeps it from memorising", link)]
            ),
        ]
    if gap.name == "data mismatch":
        above = split_name(gap.above)
        return [
            Advice(
                f"look at wrong {above} examples beside training ones",
                f"{size}; find what {above} has that train lacks",
                link,
            ),
            Advice(f"get training data more like {above}", "part of the target data may go into train", link),
            Advice(
                "synthesise what train lacks", "noise, blur or backgrounds from a bank large enough not to repeat", link
            ),
        ]
    dev = next(rung.examples for rung in rungs if rung.name == "dev")
    return [
        Advice(f"get a larger dev set (now {dev:,})", f"{size}; too many choices were made on too few examples", link),
        Advice("make a fresh dev set and choose again", "what was chosen for this one does not carry over", link),
    ]


def _knobs(link: str, here: Here | None) -> list[Advice]:
    """Knobs of one link that can be turned further from the run's current values, most promising first."""
    if here is None:
        return []
    turns = sorted(turns_of((link,), here), key=lambda turn: turn.expected, reverse=True)
    return [
        Advice(
            turn.label(here.settings),
            turn.why + (f" ({turn.caution})" if turn.caution else ""),
            link,
            tuple(turn.changes),
        )
        for turn in turns
    ]


def _remove_copies(leaks: Mapping[str, int]) -> Advice:
    parts = " and ".join(f"{count:,} of {split_name(split)}" for split, count in leaks.items())
    return Advice(
        f"remove the copies from train ({parts})",
        "copies of training examples make the error look smaller than it is; split.duplicates=drop removes them",
        "fit-test",
        ("split.duplicates",),
    )


def _too_good(rungs: Sequence[Rung], unit: str) -> str:
    """Why the held-out error is too good to be true, in words; "" if it is not."""
    held_out = next((rung for rung in rungs if rung.name in ("dev", "test")), None)
    people = next((rung for rung in rungs if rung.name == "human" and not rung.is_unknown), None)
    if held_out is None:
        return ""
    name = f"the {split_name(held_out.name)} error"
    if people is not None and held_out.high < TOO_GOOD * people.low:
        human = format_error(people.error, unit)
        return f"{name} of {format_error(held_out.error, unit)} is less than half the human level ({human})"
    if people is None and unit == SHARE and held_out.error == 0 and held_out.high < FLAWLESS:
        return f"none of {held_out.examples:,} {split_name(held_out.name)} examples is wrong"
    return ""


def _look_for_a_giveaway(suspicious: str) -> Advice:
    return Advice(
        "look for an input that gives the target away",
        f"{suspicious}: a column that is filled in afterwards, a name, a watermark; leave out anything unknown at "
        "prediction time",
        "real-world",
        ("data.ignore",),
    )


def _more_examples(gaps: Sequence[Gap], rungs: Sequence[Rung], unit: str) -> list[Advice]:
    """For the undecided gap that needs most, the number of dev examples that would settle it, if within reach.

    Otherwise the number that would detect HALF of the largest gap still possible, if that exceeds the floor.
    """
    undecided = [gap for gap in gaps if gap.examples_to_settle is not None and gap.above in ("train_dev", "dev")]
    if not undecided:
        return _larger_dev(gaps, rungs, unit)
    gap = max(undecided, key=lambda gap: gap.examples_to_settle or 0)
    rung = next(rung for rung in rungs if rung.name == gap.above)
    needed, why = gap.examples_to_settle or 0, f"enough to measure {gap.name}"
    also = f", with {split_name(gap.below)} growing in proportion" if gap.settle_needs_below else ""
    if needed > OUT_OF_REACH * rung.examples:
        gap = max(undecided, key=lambda gap: gap.high)
        rung = next(rung for rung in rungs if rung.name == gap.above)
        needed, also = _examples_to_tell(gap, rung), ""
        why = f"{gap.name} could be as large as {format_gap(gap.high, unit)}; this many would detect half of that"
    if not rung.examples < needed <= OUT_OF_REACH * rung.examples:
        return []
    return [
        Advice(
            f"get more {split_name(gap.above)} examples: {format_count(needed)} (now {rung.examples:,}{also})",
            why,
            "fit-test",
        )
    ]


def _larger_dev(gaps: Sequence[Gap], rungs: Sequence[Rung], unit: str) -> list[Advice]:
    """If only overfitting to dev is undecided, and dev is the split that is too small."""
    sizes = {rung.name: rung.examples for rung in rungs}
    gap = next((gap for gap in gaps if gap.name == "overfitting to dev" and gap.examples_to_settle is not None), None)
    if gap is None or sizes[gap.below] >= sizes[gap.above] or HALF * gap.high <= gap.floor:
        return []
    why = f"overfitting to dev could be as large as {format_gap(gap.high, unit)}; dev is too small to say"
    return [Advice(f"get a larger dev set (now {sizes[gap.below]:,})", why, "fit-test")]


def _examples_to_tell(gap: Gap, rung: Rung) -> int:
    """Examples of the upper split to detect HALF of the largest gap still possible; 0 if that is below the floor."""
    distance = HALF * gap.high - gap.floor
    if not (distance > 0 and math.isfinite(distance)):
        return 0
    sure = normal_quantile(1 - ALPHA / 2)
    deviation = (rung.high - rung.error) / sure  # upwards: the error may be larger than measured
    wanted = distance / (sure + normal_quantile(POWER))
    return math.ceil(rung.examples * (deviation / wanted) ** 2)


def _measure_people(bound: Gap, unit: str) -> Advice:
    return Advice(
        "measure how well people do, and give it as human=",
        f"without it, nobody knows how much of the {format_gap(bound.size, unit)} of train error is avoidable",
        "fit-train",
        ("goal.human",),
    )


def _look_at_the_errors() -> Advice:
    return Advice(
        "look at the wrong dev examples", "no link of the chain is at fault; kinds of error may be", "real-world"
    )


def _look_at_the_target() -> Advice:
    return Advice(
        "check that dev and the error measure what you need",
        "if it does well here but not in use, the target is in the wrong place",
        "real-world",
    )
