"""What to do next: only things that act on the link of the chain at fault, according to the verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gnomon.core.evaluation import SHARE
from gnomon.strategy.diagnosis import Advice, Gap, GapName, Rung, Verdict
from gnomon.strategy.improve_turns import turns_of
from gnomon.strategy.verdict import FEW_EXAMPLES, Known
from gnomon.strategy.wording import format_count, format_error, format_gap, split_name

LINK: dict[GapName, str] = {
    "avoidable bias": "fit-train",
    "variance": "fit-dev",
    "data mismatch": "fit-dev",
    "overfitting to dev": "fit-test",
}
MOST = 3  # pieces of advice at a time
TOO_GOOD = 0.5  # of the human level: a held-out error clearly below this is hardly to the model's credit
FLAWLESS = 0.01  # without a human level: no errors at all, although this error rate would show some
LOW_ERROR = 0.05  # no split above this, and no reference better: a look at the mistakes costs less than any change
MORE_OF_ALL = "get more data"
TO_SPARE = 0.25  # of train: moving more of it to dev costs more than the better measurement is worth
SMALL_SET = 5_000  # examples: up to here five trainings in folds are a small price
FOLDS_COUNT = 2.25  # examples judged in five folds say as much as one independent one (Nadeau and Bengio 2003)
FEW_MORE = 0.5  # of dev: what folds have to add
STARTING = 20.0  # seconds, to read the data again and to judge at the end
NO_CHANCE = 5  # dev examples that became right: as many as a sign test needs (1 in 32)
TIMES_LONGER = 1.5  # than it should take, for a training that goes on


def advise(
    verdict: Verdict, gaps: Sequence[Gap], rungs: Sequence[Rung], *, unit: str | None, known: Known
) -> tuple[Advice, ...]:
    """At most MOST pieces of advice, most important first: what the verdict puts before the gaps, then its gap, then
    measurements. Each has a command to paste where the run is known."""
    if unit is None:
        many = known.many_copies(rungs)
        return (*([_remove_copies(many, known)] if many else []), _look_at_the_target(known))
    advice = _before(verdict, gaps, rungs, unit, known)
    if verdict.cause not in ("unfinished", "giveaway", "shift"):
        advice += _by_gaps(verdict, gaps, rungs, unit, known)
    unique: dict[Any, Advice] = {}
    if any(one.action.startswith(MORE_OF_ALL) for one in advice):  # which says it of train and dev
        advice = [one for one in advice if not one.action.startswith("get more ") or MORE_OF_ALL in one.action]
    for one in advice:
        unique.setdefault(one.settings or one.action, one)
    return tuple(unique.values())[:MOST]


# --- what comes before the gaps ---------------------------------------------------------------------------------------
def _before(verdict: Verdict, gaps: Sequence[Gap], rungs: Sequence[Rung], unit: str, known: Known) -> list[Advice]:
    many, floor = known.many_copies(rungs), known.floor
    advice = [_remove_copies(many, known)] if many and verdict.cause != "unfinished" else []
    if verdict.cause == "unfinished":
        return [_go_on(known)]
    if verdict.cause == "giveaway" and floor is not None and floor.giveaway is not None:
        return [*advice, *_leave_out(floor.giveaway.name, known)]
    suspicious = _too_good(rungs, unit)
    if suspicious:
        advice.append(_look_for_a_giveaway(suspicious, known))
    if verdict.cause == "shift" and floor is not None and floor.shift is not None:
        return [*advice, *_for_mismatch("dev", ", ".join(floor.shift.columns[:3]), known)]
    if verdict.cause == "labels":
        advice.append(_look_at_the_labels(known))
    if verdict.cause == "nothing learned":
        advice += _for_nothing_learned(verdict, known)
    if verdict.cause in ("", "reference") and verdict.gap in (None, "variance") and _has_few(known):
        advice.append(_more_data_of_all(_examples("dev", rungs), known))
    if verdict.cause == "reference" and verdict.gap == "variance":
        advice += _knobs("fit-train" if _may_be_bias(gaps, rungs) else "fit-dev", known)[: MOST - 1]
    if _is_well_fitted(verdict, rungs, unit, known):
        advice.append(_look_at_the_errors(known))
    if _is_too_short(rungs, unit, known) and _may_be_bias(gaps, rungs):
        advice.append(_train_longer(known))
    return advice


def _is_too_short(rungs: Sequence[Rung], unit: str, known: Known) -> bool:
    """Whether longer training comes first. A fall of one or two dev examples is no fall: it is chance."""
    course = known.course
    if course is None or not course.is_too_short:
        return False
    return course.had_no_time or unit != SHARE or course.fall * _examples("dev", rungs) >= NO_CHANCE


def _has_few(known: Known) -> bool:
    return known.floor is not None and known.num_train is not None and known.num_train < FEW_EXAMPLES


def _examples(split: str, rungs: Sequence[Rung]) -> int:
    return next((rung.examples for rung in rungs if rung.name == split), 0)


def _may_be_bias(gaps: Sequence[Gap], rungs: Sequence[Rung]) -> bool:
    """Whether the train error is large enough for longer training to matter."""
    errors = {rung.name: rung.error for rung in rungs}
    return errors.get("train", 0.0) >= 0.5 * errors.get("dev", math.inf) or any(
        gap.is_there for gap in gaps if gap.name == "avoidable bias"
    )


def _is_well_fitted(verdict: Verdict, rungs: Sequence[Rung], unit: str, known: Known) -> bool:
    """Few mistakes, and no cheap reference with fewer: what is left is in the mistakes themselves."""
    if known.floor is None or unit != SHARE or verdict.cause or (known.num_train or 0) < FEW_EXAMPLES:
        return False
    return verdict.gap in (None, "variance") and max(rung.error for rung in rungs) <= LOW_ERROR


def _for_nothing_learned(verdict: Verdict, known: Known) -> list[Advice]:
    check = Advice(
        "check whether it can learn at all",
        "loss at the start, a small batch memorised, gradients, shuffled labels",
        "fit-train",
        command=f"gnomon check {known.commands.data}" if known.commands else "",
    )
    if verdict.gap == "avoidable bias":
        return [*_knobs("fit-train", known)[: MOST - 1], check]
    return [check, _look_at_the_labels(known)]


# --- the gaps ---------------------------------------------------------------------------------------------------------
def _by_gaps(verdict: Verdict, gaps: Sequence[Gap], rungs: Sequence[Rung], unit: str, known: Known) -> list[Advice]:
    bound = next((gap for gap in gaps if gap.is_bound), None)
    people = next((rung for rung in rungs if rung.name == "human"), None)
    human_known = people is not None and not people.is_unknown
    matters = bound is not None and not human_known and bound.size > bound.floor
    if verdict.gap is None:
        return _without_a_gap(gaps, rungs, unit, known, bound if matters else None)
    named = [gap for name in verdict.contenders for gap in gaps if gap.name == name]
    is_open = matters and verdict.cause != "reference"  # a reference that does better says enough
    advice = [_measure_people(bound, unit, known)] if is_open and bound is not None and bound in named else []
    lists = [_for_gap(gap, rungs, unit, known) for gap in named]
    for place in range(MOST):  # in turn, so that both contenders get a share
        advice += [one[place] for one in lists if place < len(one)]
    return advice


def _without_a_gap(
    gaps: Sequence[Gap], rungs: Sequence[Rung], unit: str, known: Known, bound: Gap | None
) -> list[Advice]:
    """More dev examples where they could show something larger than what else may be wrong; then a look at that."""
    more = _more_examples(gaps, rungs, unit, known)
    hidden = max((gap.high for gap in gaps if gap.is_undecided), default=0.0)
    if bound is None:
        return more or [_look_at_the_errors(known), _look_at_the_target(known)]
    floor = known.floor
    no_better = floor is not None and floor.best is not floor.guess
    look = [_look_at_the_errors(known)] if no_better else []
    bias = [*look, _measure_people(bound, unit, known), *_for_gap(bound, rungs, unit, known)[:2]]
    return [*more, *bias] if hidden > bound.size else [*bias[:2], *more, *bias[2:]]


def _for_gap(gap: Gap, rungs: Sequence[Rung], unit: str, known: Known) -> list[Advice]:
    link = LINK[gap.name]
    least = "at most " if gap.is_bound else "at least " if gap.proven_by else ""
    size = f"{gap.name} is {least}{format_gap(gap.size, unit)}"
    if gap.name == "avoidable bias":
        knobs = _knobs(link, known) or [
            Advice("train a larger network", f"{size}; more capacity fits the training examples better", link),
            Advice("train longer, or with a better optimiser", "training may not have converged", link),
        ]
        return [
            *knobs[:MOST],
            Advice("try another architecture", "one designed for this kind of data fits it with less", link),
        ]
    if gap.name == "variance":
        return [
            _more_data(size, known),
            *(
                _knobs(link, known)
                or [Advice("regularise more: augmentation, dropout, weight decay", "keeps it from memorising", link)]
            ),
        ]
    if gap.name == "data mismatch":
        return _for_mismatch(gap.above, size, known)
    dev = _examples("dev", rungs)
    or_from_train, command = _from_train(2 * dev, dev, known)
    return [
        Advice(
            f"get a larger dev set (now {dev:,}){or_from_train}",
            f"{size}; too many choices were made on too few examples", link, command=command,
        ),
        Advice(
            "make a fresh dev set and choose again", "what was chosen for this one does not carry over", link,
            command=_redrawn(known),
        ),
    ]  # fmt: skip


def _more_data(size: str, known: Known) -> Advice:
    now = f" (now {known.num_train:,}; twice as many is a good first try)" if known.num_train else ""
    return Advice(
        f"get more training data{now}", f"{size}; more examples are harder to memorise", "fit-dev",
        command=_verb("probe", known, "time=5m"),
    )  # fmt: skip


def _more_data_of_all(num_dev: int, known: Known) -> Advice:
    if num_dev >= FEW_EXAMPLES:
        return _more_data(f"there are {known.num_train:,} training examples", known)
    why = "there are too few examples both to train on and to measure with"
    action = f"{MORE_OF_ALL} (now {known.num_train:,} training and {num_dev:,} dev examples)"
    return Advice(action, why, "fit-dev", command=_verb("probe", known, "time=2m"))


def _for_mismatch(above: str, why: str, known: Known) -> list[Advice]:
    above, link = split_name(above), "fit-dev"
    return [
        Advice(
            f"look at wrong {above} examples beside training ones",
            f"{why}; find what {above} has that train lacks",
            link,
            command=_verb("mismatch", known),
        ),
        Advice(
            f"get training data more like {above}", "part of the target data may go into train", link,
            command=_verb("errors", known),
        ),
        Advice(
            "synthesise what train lacks", "noise, blur or backgrounds from a bank large enough not to repeat", link
        ),
    ]  # fmt: skip


def _knobs(link: str, known: Known) -> list[Advice]:
    """Knobs of one link that can be turned further from the run's current values, most promising first."""
    here, course = known.here, known.course
    if here is None:
        return []
    turns = sorted(turns_of((link,), here), key=lambda turn: turn.expected, reverse=True)
    if course is not None and course.has_peaked:
        turns = [turn for turn in turns if not {"stop.epochs", "stop.patience"} & set(turn.changes)]
    return [
        Advice(
            turn.label(here.settings),
            turn.why + (f" ({turn.caution})" if turn.caution else ""),
            link,
            tuple(turn.changes),
            command=_fit(turn.changes, known),
        )
        for turn in turns
    ]


def _more_examples(gaps: Sequence[Gap], rungs: Sequence[Rung], unit: str, known: Known) -> list[Advice]:
    """The number of dev examples that would settle the undecided gap that needs most: as the verdict has it."""
    undecided = [gap for gap in gaps if gap.is_undecided and gap.above in ("train_dev", "dev")]
    if not undecided:
        return _larger_dev(gaps, rungs, unit, known)
    gap = max(undecided, key=lambda gap: gap.high)
    rung = next(rung for rung in rungs if rung.name == gap.above)
    if gap.examples_to_settle is None:
        return []
    also = f", with {split_name(gap.below)} growing in proportion" if gap.settle_needs_below else ""
    why = f"enough to measure {gap.name}"
    if gap.settles_half:
        why = f"{gap.name} could be as large as {format_gap(gap.high, unit)}; this many would detect half of that"
    action = f"get more {split_name(gap.above)} examples: {format_count(gap.examples_to_settle)}"
    or_from_train, command = "", ""
    if gap.above == "dev" and not gap.settle_needs_below:  # moved out of train, they would make train smaller
        or_from_train, command = _from_train(gap.examples_to_settle, rung.examples, known)
    if gap.above == "dev" and not command:
        or_from_train, command = _in_folds(rung.examples, known)
    return [Advice(f"{action} (now {rung.examples:,}{also}){or_from_train}", why, "fit-test", command=command)]


def _larger_dev(gaps: Sequence[Gap], rungs: Sequence[Rung], unit: str, known: Known) -> list[Advice]:
    """If only overfitting to dev is undecided, and dev is the split that is too small."""
    sizes = {rung.name: rung.examples for rung in rungs}
    gap = next((gap for gap in gaps if gap.name == "overfitting to dev" and gap.is_undecided), None)
    if gap is None or sizes[gap.below] >= sizes[gap.above] or gap.high <= 2 * gap.floor:
        return []
    why = f"overfitting to dev could be as large as {format_gap(gap.high, unit)}; dev is too small to say"
    now = sizes[gap.below]
    or_from_train, command = _from_train(min(2 * now, sizes[gap.above]), now, known)
    return [Advice(f"get a larger dev set (now {now:,}){or_from_train}", why, "fit-test", command=command)]


def _from_train(wanted: int, now: int, known: Known) -> tuple[str, str]:
    """What it costs to have so many dev examples without new data, in words, and the command that moves them.

    Both empty if train cannot spare them, or if dev is the user's own: then they have to be collected.
    """
    pool = known.commands.pool if known.commands else None
    if not pool or known.num_train is None:
        return "", ""
    share = math.ceil(100 * wanted / pool) / 100
    left = known.num_train - round(share * pool) + now
    if left < (1 - TO_SPARE) * known.num_train:
        return "", ""
    words = f", or take them from train, which keeps {left:,} of {known.num_train:,}"
    return words, _fit({"split.dev": share}, known)


def _in_folds(now: int, known: Known) -> tuple[str, str]:
    """As `_from_train`, for judging every example in folds; empty where that is not possible or says little more."""
    commands, floor = known.commands, known.floor
    if commands is None or not commands.pool or commands.pool > SMALL_SET or known.num_train is None or floor is None:
        return "", ""
    total = known.num_train + now
    is_possible = not {"split.folds", "split.dev", "data.time"} & commands.given.keys()
    if not is_possible or total / FOLDS_COUNT < now + FEW_MORE * now:
        return "", ""
    return f", or judge all {total:,} of train and dev in folds", _fit({"split.folds": 5}, known)


def _redrawn(known: Known) -> str:
    """The same training with dev drawn again; "" where it cannot be."""
    if known.commands is None or not known.commands.pool or known.here is None:
        return ""
    return _fit({"seed": int(known.here.settings.get("seed") or 0) + 1}, known)


# --- single pieces ----------------------------------------------------------------------------------------------------
def _fit(changes: Mapping[str, Any], known: Known) -> str:
    return known.commands.fit(changes) if known.commands else ""


def _verb(name: str, known: Known, *more: str) -> str:
    return known.commands.verb(name, *more) if known.commands else ""


def _remove_copies(leaks: Mapping[str, int], known: Known) -> Advice:
    parts = " and ".join(f"{count:,} of {split_name(split)}" for split, count in leaks.items())
    return Advice(
        f"remove the copies from train ({parts})",
        "copies of training examples make the error look smaller than it is; split.duplicates=drop removes them",
        "fit-test",
        ("split.duplicates",),
        command=_fit({"split.duplicates": "drop"}, known),
    )


def _leave_out(name: str, known: Known) -> list[Advice]:
    return [
        Advice(
            f"leave out {name}, unless it is known at prediction time",
            "an input that is filled in afterwards is not there when it counts, and the error becomes much larger",
            "real-world",
            ("data.ignore",),
            command=_fit({"data.ignore": (*_ignored(known), name)}, known),
        ),
        Advice(
            "find out when this input is filled in", "if it is known beforehand, all is well: predict", "real-world",
            command=_verb("errors", known),
        ),
    ]  # fmt: skip


def _ignored(known: Known) -> Sequence[str]:
    found: Sequence[str] = (known.commands.given.get("data.ignore") or ()) if known.commands else ()
    return found


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


def _look_for_a_giveaway(suspicious: str, known: Known) -> Advice:
    return Advice(
        "look for an input that gives the target away",
        f"{suspicious}: a column that is filled in afterwards, a name, a watermark; leave out anything unknown at "
        "prediction time",
        "real-world",
        ("data.ignore",),
        command=f"gnomon peek {known.commands.data}" if known.commands else "",
    )


def _look_at_the_labels(known: Known) -> Advice:
    return Advice(
        "look at the labels that are likely wrong",
        "it lists the suspects first; a reviewed sample says how many are wrong, and correcting them beats any setting",
        "fit-dev",
        command=_verb("labels", known, "out=review.csv"),
    )


def _go_on(known: Known) -> Advice:
    course, needed = known.course, ""
    if course is not None and course.seconds and course.done:
        seconds = STARTING + TIMES_LONGER * course.seconds * (course.epochs - course.done) / course.done
        needed = f"max_time={math.ceil(seconds / 60)}m" if seconds > 90 else f"max_time={math.ceil(seconds)}"
    return Advice(
        "continue this run, with more time", "it continues where it stopped", "fit-train", ("stop.max_time",),
        command=known.commands.resume(*([needed] if needed else [])) if known.commands else "",
    )  # fmt: skip


def _train_longer(known: Known) -> Advice:
    course, here = known.course, known.here
    if course is not None and course.is_cut:
        return _go_on(known)
    epochs = int(here.settings.get("stop.epochs") or 1) if here is not None else 1
    more = max(2 * epochs, 10)
    return Advice(
        f"train longer: epochs {epochs} -> {more}", "the dev error was still falling when training ended", "fit-train",
        ("stop.epochs",), command=_fit({"stop.epochs": more}, known),
    )  # fmt: skip


def _measure_people(bound: Gap, unit: str, known: Known) -> Advice:
    return Advice(
        "measure how well people do, and give it as human=",
        f"without it, nobody knows how much of the {format_gap(bound.size, unit)} of train error is avoidable",
        "fit-train",
        ("goal.human",),
        command=_verb("diagnose", known, f"human={bound.size / 2:.2g}"),  # for example
    )


def _look_at_the_errors(known: Known) -> Advice:
    least = "it costs nothing, and shows which kinds of error there are"
    action = "look at the wrong dev examples"
    if known.wrong_on_dev and known.floor is not None:
        action += f" (about {known.wrong_on_dev:,})"
    return Advice(action, least, "real-world", command=_verb("errors", known))


def _look_at_the_target(known: Known) -> Advice:
    return Advice(
        "check that dev and the error measure what you need",
        "if it does well here but not in use, the target is in the wrong place",
        "real-world",
        command=_verb("test", known),
    )
