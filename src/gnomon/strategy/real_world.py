"""The rung after test: errors in use, and which of two systems users prefer; whether dev and the metric hold there."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import Z, difference, measure, wilson
from gnomon.strategy.diagnosis import Advice, Diagnosis, Gap, Rung, Verdict
from gnomon.strategy.external import read_predictions, read_table
from gnomon.strategy.ladder import FLOOR_SHARE, SMALLEST_FLOOR, is_clear
from gnomon.strategy.wording import format_error, format_gap, split_name

if TYPE_CHECKING:
    from gnomon.strategy.diagnosis import GapName

RUNG = "real_world"
GAP: GapName = "mismatch with use"
PREFERRED = "preferred"  # the column of the system a user liked better
THIS = "this"
TIES = ("tie", "both", "neither", "same")
LINK = "real-world"
ALPHA = 0.05
MOST_ADVICE = 4
LONGEST_NAME = 200  # characters


@dataclass(frozen=True, slots=True)
class Preference:
    """How often users liked another system better than this one, ties left out."""

    other: str
    for_this: int
    for_other: int
    ties: int

    @property
    def share(self) -> Interval:
        """That prefers the other."""
        return wilson(self.for_other, self.for_this + self.for_other)

    @property
    def p_value(self) -> float:
        """Two-sided sign test."""
        from scipy.stats import binomtest

        return float(binomtest(self.for_other, self.for_this + self.for_other).pvalue)

    @property
    def says(self) -> str:
        """`62.0 % of 200 users prefer 'b' [55.1, 68.4]`."""
        share, count = self.share, self.for_this + self.for_other
        return (
            f"{100 * share.value:.1f} % of {count:,} answers prefer {self.other!r} "
            f"[{100 * share.low:.1f}, {100 * share.high:.1f}]"
        )


@dataclass(frozen=True)
class RealWorld:
    """Answers gathered after deployment."""

    evaluation: Evaluation | None  # errors in use; None if only preferences were given
    preference: Preference | None


@dataclass(frozen=True, slots=True)
class OnDev:
    """What the metric says about the other system, on the same dev examples."""

    this: float
    other: float
    gap: Interval  # other - this


def read_real(
    source: str | Path | pl.DataFrame, *, unit: str | None, classes: Sequence[str] | None, this: Collection[str] = ()
) -> RealWorld:
    """Answers from use: columns target and prediction (or error), and what predictions tables may have; or preferred.

    preferred: which of two systems a user liked better: "this" (or a name in `this`), the other's name, or "tie".
    unit, classes: those of the system. Raises DataError.
    """
    where = "the table of answers from use" if isinstance(source, pl.DataFrame) else str(source)
    table = source if isinstance(source, pl.DataFrame) else read_table(Path(source))
    if table.is_empty():
        raise DataError("the table has no rows.", where=where, fix="give one row per answer.")
    preference = None
    if PREFERRED in table.columns:
        preference = _preference(table[PREFERRED], {THIS, *this}, where)
    rest = table.drop([name for name in (PREFERRED, "split") if name in table.columns])
    if "error" not in rest.columns and not {"target", "prediction"} <= set(rest.columns):
        if preference is None:
            raise DataError(
                f"expected the columns target and prediction, or error, or {PREFERRED}.", where=where,
                fix="give what was right and what was answered, or which of two systems users preferred.",
            )  # fmt: skip
        return RealWorld(None, preference)
    return RealWorld(_evaluation(rest, unit, classes, where), preference)


def _preference(column: pl.Series, this: Collection[str], where: str) -> Preference | None:
    said = column.cast(pl.String).str.strip_chars().drop_nulls().to_list()
    names = list(dict.fromkeys(one for one in said if one not in this and one.lower() not in TIES))
    if len(names) > 1:
        raise DataError(
            f"the column {PREFERRED!r} names {len(names)} other systems: {', '.join(map(repr, names[:4]))}.",
            where=where, fix=f"compare two: write {THIS!r}, the other's name, or 'tie'.",
        )  # fmt: skip
    if names and len(names[0]) > LONGEST_NAME:
        raise DataError(f"{names[0][:40]!r}... is too long for a name.", where=where, fix="write a run's name.")
    for_other = sum(said.count(name) for name in names)
    for_this = sum(one in this for one in said)
    if for_this + for_other == 0:
        return None
    return Preference(names[0] if names else "the other", for_this, for_other, len(said) - for_this - for_other)


def _evaluation(table: pl.DataFrame, unit: str | None, classes: Sequence[str] | None, where: str) -> Evaluation:
    if unit != SHARE and "error" not in table.columns:
        numbers = {name: table[name].cast(pl.Float64, strict=False) for name in ("target", "prediction")}
        for name, column in numbers.items():
            if column.null_count():
                row = int(column.is_null().arg_max() or 0)
                raise DataError(
                    f"expected a number, found {table[name][row]!r}.", where=f"{where}, column {name!r}, row {row + 1}",
                    fix="give what is predicted, in its unit.",
                )  # fmt: skip
        table = table.with_columns((numbers["prediction"] - numbers["target"]).abs().alias("error"))
    elif unit == SHARE and classes is not None:
        for name in ("target", "prediction"):
            strange = set() if name not in table.columns else {
                one for one in table[name].cast(pl.String).drop_nulls() if one not in set(classes)
            }  # fmt: skip
            if strange:
                raise DataError(
                    f"{min(strange)!r} is not a class.", where=f"{where}, column {name!r}",
                    fix=f"write one of {', '.join(sorted(classes)[:6])}{', ...' if len(classes) > 6 else ''}.",
                )  # fmt: skip
    found = read_predictions(table.with_columns(pl.lit("test").alias("split")))["test"]
    if unit == SHARE and found.unit != SHARE:
        raise DataError("the errors are not all 0 or 1, as those of the system are.", where=where,
                        fix="give 1 for a wrong answer and 0 for a right one.")  # fmt: skip
    return Evaluation(RUNG, unit, found.table)


def with_real_world(diagnosis: Diagnosis, real: RealWorld, on_dev: OnDev | None = None, *, seed: int = 0) -> Diagnosis:
    """The diagnosis with the rung of errors in use, its gap to the highest rung below, and what users prefer.

    on_dev: the metric's own comparison with the system that users compared this one with, if that is known.
    Source: Ng 2018, Machine Learning Yearning, chapters 2 and 10; if the metric prefers one system and users the
    other, the metric or the dev set is wrong.
    """
    if real.evaluation is not None and diagnosis.unit is not None:
        diagnosis = _with_rung(diagnosis, real.evaluation, seed)
    if real.preference is not None:
        diagnosis = _with_preference(diagnosis, real.preference, on_dev)
    return diagnosis


def _with_rung(diagnosis: Diagnosis, evaluation: Evaluation, seed: int) -> Diagnosis:
    unit, level = diagnosis.unit, measure(evaluation, seed=seed)
    error = level.interval
    rung = Rung(RUNG, error.value, error.low, error.high, level.examples, f"{level.examples:,} answers from use")
    below = next((one for name in ("test", "dev") for one in diagnosis.rungs if one.name == name), None)
    rungs = (*diagnosis.rungs, rung)
    if below is None:
        return replace(diagnosis, rungs=rungs)
    size = difference(error, Interval(below.error, below.low, below.high))
    floor = max(FLOOR_SHARE * error.value, SMALLEST_FLOOR if unit == SHARE else 0.0)
    gap = Gap(GAP, below.name, RUNG, size.value, size.low, size.high, is_clear(size, floor, unit), floor)
    found = replace(diagnosis, rungs=rungs, gaps=(*diagnosis.gaps, gap))
    if not gap.is_there:
        return found
    shown, name = format_gap(gap.size, unit), split_name(below.name)
    advice = Advice(
        f"make {'dev and test' if name == 'test' else 'dev'} from data met in use, or change the metric",
        f"in use it errs on {format_error(error.value, unit)}, on {name} on {format_error(below.error, unit)}: "
        f"{name} does not represent real use",
        LINK,
    )
    found = replace(found, advice=(advice, *found.advice)[:MOST_ADVICE])
    largest = max((one.size for one in diagnosis.gaps if one.is_there), default=0.0)
    if gap.size <= largest:
        return found
    text = (
        f"Mismatch with use is the largest gap ({shown}): it does worse in use than on {name}, so {name} does not "
        "represent real use."
    )
    return replace(found, verdict=Verdict(GAP, (GAP,), _certainty(size, max(largest, floor)), text))


def _certainty(size: Interval, than: float) -> float:
    """How likely the gap is larger than this, from its interval."""
    from scipy.special import ndtr

    spread = (size.high - size.low) / (2 * Z)
    return (
        float(ndtr((size.value - than) / spread)) if spread > 0 and math.isfinite(spread) else float(size.value > than)
    )


def _with_preference(diagnosis: Diagnosis, users: Preference, on_dev: OnDev | None) -> Diagnosis:
    if users.p_value >= ALPHA:
        note = f"users: {users.says}: no clear preference"
        return replace(diagnosis, notes=(*diagnosis.notes, note))
    metric = ""
    if on_dev is not None:
        this, other = (format_error(one, diagnosis.unit) for one in (on_dev.this, on_dev.other))
        metric = f"dev error {this}, {users.other!r} {other}"
    likes_other = users.for_other > users.for_this
    if on_dev is None:
        note = f"users: {users.says}; the dev error of {users.other!r} is not known here"
        return replace(diagnosis, notes=(*diagnosis.notes, note))
    disagrees = on_dev.gap.value > 0 if likes_other else on_dev.gap.value < 0
    if not disagrees:
        return replace(diagnosis, notes=(*diagnosis.notes, f"users and the metric agree: {users.says}; {metric}"))
    is_sure = on_dev.gap.low > 0 or on_dev.gap.high < 0
    prefers = "this system" if likes_other else repr(users.other)
    how = "prefers" if is_sure else "prefers, if anything,"
    why = f"the metric {how} {prefers} ({metric}), users the other one ({users.says})"
    advice = Advice("change the metric, or the dev set", why, LINK)
    return replace(
        diagnosis, advice=(advice, *diagnosis.advice)[:MOST_ADVICE],
        notes=(*diagnosis.notes, f"{why}: dev or the metric does not measure what users want"),
    )  # fmt: skip
