"""How well people do, from their answers: each one's error, the team's, or what their disagreement alone implies."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.core.seeds import generator
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import (
    Measured,
    Rows,
    Z,
    effective,
    measure,
    measure_paired,
    rows_of,
    share,
    wilson,
)
from gnomon.metrics.resampling import ROUNDS

TEAM = "team"  # the answer that most people gave
AVERAGE = "a person"  # of a table of counts, where nobody knows who gave which answer
FEWEST = 2  # people needed to measure agreement
FEWEST_ANSWERS = 30  # with fewer, even no error at all leaves more than 11 % possible: no human level to compare with
CLEARLY = 0.05  # p-value, corrected for the number of people, from which the best one is told from all others


@dataclass(frozen=True)
class People:
    """Errors of people on the same examples; the best of them estimates the Bayes error."""

    errors: dict[str, Interval]  # by name, as measured; includes TEAM if there are three people or more
    best: str  # the lowest upper end of what the answers support, not the lowest error: luck has that with few answers
    evaluation: Evaluation  # of the best one
    level: Measured  # of the best one, as the rung "human" of a ladder: shrunk unless clearly better than all others

    @property
    def error(self) -> Interval:
        return self.errors[self.best]


def read_people(source: str | Path | pl.DataFrame) -> pl.DataFrame:
    """A table with an id column and one column of answers per person. Raises DataError for anything else."""
    from gnomon.strategy.external import read_table, texts_and_numbers

    table = source if isinstance(source, pl.DataFrame) else read_table(Path(source))
    where = "the table of people" if isinstance(source, pl.DataFrame) else str(source)
    table = texts_and_numbers(table, where)
    if "id" not in table.columns or table.width < 2 or table.is_empty():
        raise DataError(
            "expected an id column and a column of answers for each person.", where=where,
            fix="start the file with id,anna,ben and give one row per example.",
        )  # fmt: skip
    if table["id"].is_duplicated().any():
        twice = table["id"].filter(table["id"].is_duplicated())[0]
        raise DataError(f"the id {str(twice)!r} appears more than once.", where=where, fix="give each example one row.")
    return table


def classes_in(evaluations: Iterable[Evaluation]) -> tuple[str, ...] | None:
    """The classes that targets, predictions and columns p.CLASS name; None where answers are not single classes."""
    found: set[str] = set()
    for evaluation in evaluations:
        if not evaluation.has_classes:
            return None
        table = evaluation.table
        for name in ("target", "prediction"):
            found |= set(table[name].cast(pl.String).drop_nulls().unique().to_list())
        found |= {name.removeprefix("p.") for name in table.columns if name.startswith("p.")}
    return tuple(sorted(found)) or None


def check_answers(answers: pl.DataFrame, ids: pl.Series, *, classes: Sequence[str] | None) -> None:
    """Raises DataError where `people` would, as far as that shows without targets: before a training, say."""
    names = [name for name in answers.columns if name != "id"]
    if not answers["id"].cast(pl.String).is_in(ids.cast(pl.String).implode()).any():
        raise DataError(
            f"none of the people's answers is for an example of dev: {answers['id'][0]!r} is none of its ids, such as "
            f"{str(ids[0])!r}.",
            where="the people's answers", fix="use the ids of the dev split: gnomon errors RUN lists them.",
        )  # fmt: skip
    if classes is None:
        for name in names:
            _numbers(answers, name)
    elif len(names) > 1 and set(names) <= set(classes):
        _check_counts(answers, names)
    else:
        _as_classes(answers, names, classes)


def has_answers(answers: pl.DataFrame, judged: Evaluation) -> bool:
    """Whether the table has a row for any of these examples."""
    return not answers.filter(
        pl.col("id").cast(pl.String).is_in(judged.table["id"].cast(pl.String).implode())
    ).is_empty()


def people(answers: pl.DataFrame, judged: Evaluation, *, classes: Sequence[str] | None = None, seed: int = 0) -> People:
    """Score each person's answers against the targets of `judged`, on the examples they answered.

    answers: as returned by `read_people`; an empty cell means no answer. Or counts: a column per class, in each cell
    how many people gave that answer (CIFAR-10H is such a table); then there are an average person and the team.
    classes: those an answer may name; None: not known, so answers are not checked. 0/1 errors for classes, absolute
    errors for numbers. Three or more people also answer as a team: the most frequent answer (averaged over ties), or
    the median. Raises DataError if nobody answered any of the examples, for an answer that is not a class, and if all
    people do clearly worse than guessing, because then ids or classes do not match.
    """
    names = [name for name in answers.columns if name != "id"]
    is_share = judged.unit == SHARE
    seen = set((classes_in([judged]) or ()) if classes is None else classes)
    is_counts = is_share and len(names) > 1 and set(names) <= seen
    if is_counts:
        _check_counts(answers, names)
    elif is_share and classes is not None:
        answers = _as_classes(answers, names, classes)
    known = judged.table.select(
        pl.col("id").cast(pl.String), "target", *(["group"] if "group" in judged.table.columns else [])
    )
    joined = known.join(answers.with_columns(pl.col("id").cast(pl.String)), on="id", how="inner")
    if joined.is_empty():
        raise DataError(
            "none of the people's answers is for an example of this split.", where=judged.split,
            fix="use the ids in the predictions.",
        )  # fmt: skip
    if classes is not None and not is_counts and _look_like_counts(joined, names, classes):
        raise DataError(
            "the columns hold counts of answers, not answers.", where="the people's answers",
            fix=f"name each column after its class ({_some(classes)}).",
        )  # fmt: skip
    if is_counts:
        columns = _of_counts(joined, names)
    else:
        columns = {name: _errors(joined, name, is_share=is_share) for name in names}
        if len(names) > FEWEST:
            columns[TEAM] = _team(joined, names, is_share=is_share)
    scored = {name: _scored(joined, errors, judged.unit) for name, errors in columns.items() if _any(errors)}
    if not scored:
        raise DataError("the people's columns have no answer for this split.", where=judged.split,
                        fix="fill in at least one column.")  # fmt: skip
    measured = {name: measure(evaluation, seed=seed) for name, evaluation in scored.items()}
    if is_share:
        _refuse_worse_than_guessing(measured, len(seen))
    best, level = _best(scored, measured, seed)
    return People({name: one.interval for name, one in measured.items()}, best, scored[best], level)


def _any(errors: np.ndarray) -> bool:
    return bool(np.isfinite(errors).any())


def _scored(joined: pl.DataFrame, errors: np.ndarray, unit: str | None) -> Evaluation:
    answered = np.isfinite(errors)
    return Evaluation("human", unit, joined.filter(answered).with_columns(pl.Series("error", errors[answered])))


# --- what a table may hold --------------------------------------------------------------------------------------------
def _as_classes(answers: pl.DataFrame, names: Sequence[str], classes: Sequence[str]) -> pl.DataFrame:
    """Answers as class names. Raises DataError for an answer that is none of them."""
    known = set(classes)
    columns = []
    for name in names:
        texts = answers[name].cast(pl.String).str.strip_chars()
        whole = texts.str.replace(r"^(-?\d+)\.0+$", "$1")  # a column with gaps is often saved as 3.0
        said = pl.select(pl.when(texts.is_in(list(known))).then(texts).otherwise(whole).alias(name)).to_series()
        strange = said.is_not_null() & ~said.is_in(list(known))
        if strange.any():
            row = int(strange.arg_max() or 0)
            raise _no_class(str(said[row]), f"the people's answers, column {name!r}, row {row + 1}", answers, classes)
        columns.append(said)
    return answers.with_columns(columns)


def _no_class(said: str, where: str, answers: pl.DataFrame, classes: Sequence[str]) -> DataError:
    near = difflib.get_close_matches(said, classes, n=1)
    numbers = answers.select(pl.exclude("id").cast(pl.Float64, strict=False))
    if numbers.width > 1 and not sum(numbers.null_count().row(0)):
        fix = f"if these are counts of answers, name each column after its class ({_some(classes)})."
    else:
        fix = f"write {near[0]!r}." if near else f"write one of {_some(classes)}; leave the cell empty for no answer."
    return DataError(f"{said!r} is not a class.", where=where, fix=fix)


def _some(classes: Sequence[str]) -> str:
    return ", ".join(sorted(classes)[:6]) + (", ..." if len(classes) > 6 else "")


def _look_like_counts(joined: pl.DataFrame, names: Sequence[str], classes: Sequence[str]) -> bool:
    """A column per class, numbers, and in most rows the largest stands in the place of the right class.

    Few counts of classes that are numbers would otherwise pass for answers. People who agree have no single largest.
    """
    if len(names) != len(classes) or not all(one.lstrip("-").isdigit() for one in classes):
        return False
    numbers = joined.select(pl.col(name).cast(pl.Float64, strict=False) for name in names).to_numpy()
    order = {one: place for place, one in enumerate(sorted(classes, key=int))}
    place = joined["target"].cast(pl.String).replace_strict(order, default=-1, return_dtype=pl.Int64).to_numpy()
    most = np.nan_to_num(numbers, nan=-1.0)
    is_single = (most == most.max(axis=1, keepdims=True)).sum(axis=1) == 1
    return bool((is_single & (most.argmax(axis=1) == place)).mean() > 0.5)


def _check_counts(answers: pl.DataFrame, names: Sequence[str]) -> None:
    """Raises DataError for columns named after classes that do not hold whole numbers of at least 0."""
    for name in names:
        numbers = answers[name].cast(pl.Float64, strict=False)
        good = (numbers >= 0) & (numbers == numbers.floor())
        if not good.fill_null(value=False).all():
            row = int((~good.fill_null(value=False)).arg_max() or 0)
            raise DataError(
                f"expected how many people answered {name!r}, found {answers[name][row]!r}.",
                where=f"the people's answers, column {name!r}, row {row + 1}",
                fix="columns named after classes hold counts; name columns of answers after people.",
            )


def _of_counts(joined: pl.DataFrame, names: Sequence[str]) -> dict[str, np.ndarray]:
    """AVERAGE and TEAM: (N,) the share of the answers that are wrong, and of the most frequent ones; NaN for none."""
    counts = joined.select(pl.col(name).cast(pl.Float64) for name in names).to_numpy()
    target = joined["target"].cast(pl.String).to_numpy()
    is_right = np.array(names)[None, :] == target[:, None]  # (N, K)
    total, most = counts.sum(axis=1), counts.max(axis=1)
    with np.errstate(invalid="ignore"):
        average = 1 - (counts * is_right).sum(axis=1) / total
    tied = counts == most[:, None]
    team = np.where(total > 0, 1 - (tied & is_right).sum(axis=1) / tied.sum(axis=1), np.nan)
    return {AVERAGE: average, TEAM: team}


def _refuse_worse_than_guessing(measured: Mapping[str, Measured], num_classes: int) -> None:
    guessing = 1 - 1 / num_classes
    if num_classes > 1 and all(one.interval.low > guessing for one in measured.values()):
        lowest = min(one.interval.value for one in measured.values())
        raise DataError(
            f"people would err on {100 * lowest:.1f} % at best, worse than guessing ({100 * guessing:.1f} %).",
            where="the people's answers",
            fix="check that ids and classes are those of the predictions; counts need columns named after classes.",
        )


# --- the best of them -------------------------------------------------------------------------------------------------
def _best(scored: Mapping[str, Evaluation], measured: Mapping[str, Measured], seed: int) -> tuple[str, Measured]:
    """Who is best by the upper end of what the answers support, and that level.

    The lowest of several errors is too low by chance, the more so the more people there are and the fewer their
    answers. So errors are shrunk towards what all have in common, as far as they do not differ beyond chance; one who
    is clearly better than each of the others, on the same examples and corrected for their number, keeps his own.
    Source: DerSimonian and Laird 1986 (spread between people); Efron and Morris 1975 (shrinking).
    """
    enough = {name: one for name, one in measured.items() if one.examples >= FEWEST_ANSWERS} or dict(measured)
    levels = _shrunk(scored, measured, seed)
    best = min(enough, key=lambda name: (levels[name].interval.high, measured[name].interval.high, name))
    others = [name for name in enough if name != best]
    if all(_p_better(scored[best], scored[other], seed) * len(others) < CLEARLY for other in others):
        return best, measured[best]
    return best, levels[best]


def _p_better(first: Evaluation, second: Evaluation, seed: int) -> float:
    """One-sided p-value for the first erring less: paired where both answered, otherwise as independent samples."""
    shared = first.table["id"].implode()
    both = second.table.filter(pl.col("id").is_in(shared))
    if len(both) >= FEWEST_ANSWERS:
        mine = first.table.filter(pl.col("id").is_in(both["id"].implode()))
        gap = measure_paired(Evaluation("human", second.unit, both), Evaluation("human", first.unit, mine), seed=seed)
        draws = gap.draws
    else:
        draws = measure(second, seed=seed).draws - measure(first, seed=seed + 1).draws
    from scipy.special import ndtr

    return float(ndtr(-draws.mean() / max(float(draws.std()), 1e-12)))


def _shrunk(scored: Mapping[str, Evaluation], measured: Mapping[str, Measured], seed: int) -> dict[str, Measured]:
    if len(scored) == 1:
        return dict(measured)
    pooled = _pooled(scored)
    common = measure(pooled, seed=seed)
    sizes = {name: effective_of(evaluation)[1] for name, evaluation in scored.items()}
    if pooled.unit == SHARE:
        value, most = effective_of(pooled)
        level = min(max(value, 0.5 / most), 1 - 0.5 / most)  # nobody erred: that is chance as well
        variance = {name: level * (1 - level) / size for name, size in sizes.items()}
    else:
        value, most = common.interval.value, 0.0
        variance = {name: float(measured[name].draws.var()) for name in scored}
    keep = _kept_shares({name: one.interval.value for name, one in measured.items()}, variance)
    found = {}
    for name, one in measured.items():
        middle = keep[name] * one.interval.value + (1 - keep[name]) * value
        if pooled.unit == SHARE:  # as many answers as leave this uncertainty
            size = max(min(sizes[name] / max(keep[name], 1e-9), most), sizes[name])
            ends, rng = wilson(middle * size, size), generator(seed, "human level", name)
            draws = rng.beta(middle * size + 0.5, (1 - middle) * size + 0.5, size=ROUNDS)
            interval = Interval(middle, ends.low, ends.high, f"{ends.method}, shrunk")
        else:
            wide = math.sqrt(keep[name] * variance[name] + (1 - keep[name]) ** 2 * float(common.draws.var()))
            draws = np.maximum(generator(seed, "human level", name).normal(middle, wide, ROUNDS), 0.0)
            interval = Interval(middle, max(middle - Z * wide, 0.0), middle + Z * wide, "normal, shrunk")
            if not math.isfinite(one.interval.high):
                interval = replace(interval, high=math.inf)
        found[name] = Measured(interval, draws, one.examples)
    return found


def _pooled(scored: Mapping[str, Evaluation]) -> Evaluation:
    """The people's mean error on each example; the team is nobody's own answer, and not among them."""
    alone = [one for name, one in scored.items() if name != TEAM] or list(scored.values())
    rows = pl.concat(one.table.select("id", "error", *_group(one)) for one in alone)
    group = [pl.col("group").first()] if "group" in rows.columns else []
    table = rows.group_by("id", maintain_order=True).agg(
        pl.col("error").mean(), pl.len().cast(pl.Float64).alias("weight"), *group
    )
    return Evaluation("human", alone[0].unit, table)


def _group(evaluation: Evaluation) -> list[str]:
    return ["group"] if "group" in evaluation.table.columns else []


def effective_of(evaluation: Evaluation) -> tuple[float, float]:
    """The mean error, and the number of independent 0/1 errors with the same uncertainty."""
    keep = np.ones(evaluation.table.height, dtype=bool)
    rows = rows_of(evaluation, keep)
    if evaluation.unit != SHARE:
        return float((rows.errors * rows.weights).sum() / rows.weights.sum()), float(len(rows.errors))
    value, size, _ = effective(rows)
    return value, size


def _kept_shares(values: Mapping[str, float], variance: Mapping[str, float]) -> dict[str, float]:
    """How much of each person's own error to keep, 0 to 1: the spread between people over that plus its variance."""
    x = np.array([values[name] for name in values])
    v = np.maximum(np.array([variance[name] for name in values]), 1e-12)
    weight = 1 / v
    centre = (weight * x).sum() / weight.sum()
    beyond = float((weight * (x - centre) ** 2).sum()) - (len(x) - 1)
    spread = max(beyond / float(weight.sum() - (weight**2).sum() / weight.sum()), 0.0)
    return {name: spread / (spread + one) for name, one in zip(values, v.tolist(), strict=True)}


# --- errors -----------------------------------------------------------------------------------------------------------
def _errors(table: pl.DataFrame, name: str, *, is_share: bool) -> np.ndarray:
    """(N,) NaN where there is no answer."""
    if is_share:
        answer, target = table[name].cast(pl.String), table["target"].cast(pl.String)
        return (answer != target).cast(pl.Float64).fill_null(np.nan).to_numpy()
    errors: np.ndarray = np.abs(_numbers(table, name) - table["target"].cast(pl.Float64).to_numpy())
    return errors


def _numbers(table: pl.DataFrame, name: str) -> np.ndarray:
    numbers = table[name].cast(pl.Float64, strict=False)
    if numbers.null_count() > table[name].null_count():
        raise DataError(f"some answers of {name!r} are not numbers.", fix="give numbers, or leave the cell empty.")
    return numbers.fill_null(np.nan).to_numpy()


def _team(table: pl.DataFrame, names: Sequence[str], *, is_share: bool) -> np.ndarray:
    if not is_share:
        answers = np.column_stack([_numbers(table, name) for name in names])
        errors = np.full(len(table), np.nan)
        known = np.isfinite(answers).any(axis=1)
        errors[known] = np.abs(
            np.nanmedian(answers[known], axis=1) - table["target"].cast(pl.Float64).to_numpy()[known]
        )
        return errors
    targets = table["target"].cast(pl.String).to_list()
    rows = table.select(pl.col(name).cast(pl.String) for name in names).rows()
    errors = np.full(len(table), np.nan)
    for place, (row, target) in enumerate(zip(rows, targets, strict=True)):
        given = [answer for answer in row if answer is not None]
        if given:
            most = max(given.count(answer) for answer in given)
            tied = {answer for answer in given if given.count(answer) == most}
            errors[place] = 1 - (target in tied) / len(tied)
    return errors


def error_from_agreement(answers: pl.DataFrame, num_classes: int, *, seed: int = 0) -> Interval:
    """The error of one person, from how often two people disagree, when nobody knows the truth.

    If people err independently, each with probability e, equally often into each of the K - 1 other classes, two of
    them disagree with probability d = 2 e - e^2 K / (K - 1); solved for e. Errors that people share (the same hard
    example) do not show, so this is a lower bound on human error. The interval is that of d, solved for e.
    Source: Dawid and Skene 1979, with one error rate; Cover and Hart (1967) derive the same bound differently.
    """
    names = [name for name in answers.columns if name != "id"]
    if len(names) < FEWEST or num_classes < 2:
        raise DataError(
            "measuring agreement takes at least two people and two classes.", fix="give one column per person."
        )
    codes = [answers[name].cast(pl.String) for name in names]
    pairs, differ = np.zeros(len(answers)), np.zeros(len(answers))
    for i, first in enumerate(codes):
        for second in codes[i + 1 :]:
            differs = (first != second).cast(pl.Float64).fill_null(np.nan).to_numpy()
            pairs += np.isfinite(differs)
            differ += np.nan_to_num(differs)
    asked = pairs > 0
    if not asked.any():
        raise DataError("no example was answered by two people.", fix="have two people answer the same examples.")
    rows = Rows(differ[asked] / pairs[asked], pairs[asked], None)
    unlike = share(rows, generator(seed, "agreement")).interval
    value, low, high = (_error_of(one, num_classes) for one in (unlike.value, unlike.low, unlike.high))
    return Interval(value, low, high, f"agreement, {unlike.method}")


def _error_of(disagreement: float, num_classes: int) -> float:
    """The smaller root of d = 2 e - e^2 K / (K - 1); the error of guessing if people disagree more than guessers."""
    spread = num_classes / (num_classes - 1)
    return (1 - math.sqrt(max(1 - spread * disagreement, 0.0))) / spread
