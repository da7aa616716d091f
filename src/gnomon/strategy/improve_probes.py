"""What probing a system measured: its learning curve, matched pairs, and the advice that follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from gnomon.core.plain import read_as
from gnomon.strategy.advice import MOST
from gnomon.strategy.curve import CurvePoint, Forecast, forecast_text, is_flat
from gnomon.strategy.diagnosis import Advice, Diagnosis
from gnomon.strategy.improve import LINKS_OF_GAPS
from gnomon.strategy.paired import holm
from gnomon.strategy.plan import ALPHA
from gnomon.strategy.wording import format_error, format_gap

if TYPE_CHECKING:
    from gnomon.strategy.commands import Commands

LOOK = Advice(
    "look at the wrong dev examples", "no probed change gains anything; kinds of error may show what to do",
    "real-world", basis="measured",
)  # fmt: skip
HIGH_TRAIN = 0.5  # of the dev error: from there on, the train error counts as high


@dataclass(frozen=True)
class Pair:
    """One changed knob, everything else equal: what it did to the dev error."""

    name: str
    label: str  # `hidden 64,64 -> 128,128`
    changes: Mapping[str, Any]
    link: str
    caution: str
    before: float  # dev error, mean over seeds
    after: float
    low: float  # of a 95 % interval of before - after
    high: float
    p_value: float  # two-sided
    seeds: int
    cost: float  # compute, relative to the current system
    failed: str = ""  # why there is no measurement

    @property
    def gain(self) -> float:
        """Dev error before minus after: above 0, it helps."""
        return self.before - self.after


@dataclass(frozen=True)
class Probes:
    """Everything one `gnomon probe` measured."""

    unit: str | None
    links: tuple[str, ...]
    reason: str  # why the knobs of these links were chosen
    points: tuple[CurvePoint, ...]
    forecasts: tuple[Forecast, ...]  # at twice and four times the data; empty if there is no curve
    forms: Mapping[str, float]  # share of the fits that chose each form
    pairs: tuple[Pair, ...]  # highest gain per cost first
    epochs_share: float  # of the run's epochs that each training had; below 1, these are short runs
    notes: tuple[str, ...]
    seconds: float


def ranked(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """Significant gains first, then by gain per cost; failures last."""
    significant = significant_gains(pairs)
    return tuple(
        sorted(
            pairs,
            key=lambda pair: (bool(pair.failed), pair.label not in significant, -pair.gain / max(pair.cost, 1e-9)),
        )
    )


def significant_gains(pairs: Sequence[Pair]) -> set[str]:
    """Labels of the pairs with a significant gain, corrected for the number of pairs (Holm)."""
    measured = [pair for pair in pairs if not pair.failed]
    corrected = holm([pair.p_value for pair in measured])
    return {pair.label for pair, p_value in zip(measured, corrected, strict=True) if p_value < ALPHA and pair.gain > 0}


def more_data_is_useless(probes: Probes) -> bool:
    """The curve is flat and the train error is high: more examples are not what is missing."""
    if not probes.forecasts or not is_flat(probes.forecasts[0]):
        return False
    most = max(point.examples for point in probes.points)
    last = [point for point in probes.points if point.examples == most]
    train = sum(point.train_error for point in last) / len(last)
    return train >= HIGH_TRAIN * sum(point.error for point in last) / len(last)


def pair_text(pair: Pair, unit: str | None) -> str:
    """`4.1 % -> 3.6 %: gain 0.5 points [0.2, 0.8], 2 seeds, 3.0 times the compute`."""
    if pair.failed:
        return f"not measured: {pair.failed}"
    low, high = (_plain(end, unit) for end in (pair.low, pair.high))
    change = "gain" if pair.gain >= 0 else "loss"
    if pair.gain < 0:
        low, high = (_plain(-end, unit) for end in (pair.high, pair.low))
    return (
        f"{format_error(pair.before, unit)} -> {format_error(pair.after, unit)}: {change} "
        f"{format_gap(abs(pair.gain), unit)} [{low}, {high}], {pair.seeds} seed{'s' if pair.seeds > 1 else ''}, "
        f"{pair.cost:.1f} times the compute"
    )


# --- advice -----------------------------------------------------------------------------------------------------------
def apply_probes(diagnosis: Diagnosis, probes: Probes | None, commands: Commands | None = None) -> Diagnosis:
    """The diagnosis with advice based on what was measured; advice that is still a rule of thumb says so.

    `commands`: those of the run, for changes that helped.
    """
    if probes is None:
        return diagnosis
    significant = significant_gains(probes.pairs)
    probed = {key for pair in probes.pairs if not pair.failed for key in pair.changes}
    short = "" if probes.epochs_share >= 1 else f", in runs of {100 * probes.epochs_share:.0f} % of the epochs"
    first, data = _about_data(diagnosis, probes)
    gains = [
        Advice(
            pair.label,
            f"measured: {pair_text(pair, probes.unit)}{short}" + (f" ({pair.caution})" if pair.caution else ""),
            pair.link,
            tuple(pair.changes),
            "measured",
            commands.fit(pair.changes) if commands else "",
        )
        for pair in probes.pairs
        if pair.label in significant
    ]
    kept: list[Advice] = []
    for advice in diagnosis.advice:
        if _is_about_data(advice):
            kept += data
        elif not probed & set(advice.settings):
            is_rule = advice.link in LINKS_OF_GAPS and "goal.human" not in advice.settings
            kept.append(replace(advice, why=f"{advice.why} (rule of thumb, not measured)") if is_rule else advice)
    before = [advice for advice in kept if "split.duplicates" in advice.settings]  # leaks come first
    rest = [advice for advice in kept if advice not in before]
    leading = [advice for advice in rest if advice.basis == "measured"]
    others = [advice for advice in rest if advice.basis != "measured"]
    ordered = [*before, *first, *leading, *gains, *others]
    if more_data_is_useless(probes):  # a larger dev set would only measure it better
        ordered = [advice for advice in ordered if not advice.action.startswith("get more")]
    ordered = ordered or [LOOK]
    notes = _notes(probes, significant, is_cited=bool(first) or any(map(_is_about_data, ordered)))
    return replace(diagnosis, advice=tuple(ordered[:MOST]), notes=(*diagnosis.notes, *notes))


def _is_about_data(advice: Advice) -> bool:
    return advice.action.startswith("get more training data")


def _about_data(diagnosis: Diagnosis, probes: Probes) -> tuple[list[Advice], list[Advice]]:
    """What to say about more data before all else, and what replaces the rule of thumb about it."""
    if not probes.forecasts:
        rules = [advice for advice in diagnosis.advice if _is_about_data(advice)]
        return [], [replace(advice, why=f"{advice.why} (rule of thumb, not measured)") for advice in rules]
    text = forecast_text(probes.forecasts[0], probes.unit)
    if more_data_is_useless(probes):
        why = f"measured: {text}; the curve is flat and the train error is high"
        return [Advice("do not collect more data for this: it will not help", why, "fit-train", (), "measured")], []
    if is_flat(probes.forecasts[0]):
        return [], []  # a note says it
    further = f"; {forecast_text(probes.forecasts[1], probes.unit)}" if len(probes.forecasts) > 1 else ""
    return [], [Advice("get more training data", f"measured: {text}{further}", "fit-dev", (), "measured")]


def _notes(probes: Probes, significant: set[str], *, is_cited: bool) -> list[str]:
    notes = []
    if probes.forecasts and is_flat(probes.forecasts[0]) and not more_data_is_useless(probes):
        notes.append(f"more data gains little: {forecast_text(probes.forecasts[0], probes.unit)}")
    elif probes.forecasts and not is_cited:
        notes.append(f"measured: {forecast_text(probes.forecasts[0], probes.unit)}")
    without = [pair for pair in probes.pairs if not pair.failed and pair.label not in significant]
    if without:
        listed = "; ".join(f"{pair.label} ({_signed(pair, probes.unit)})" for pair in without[:4])
        more = f" and {len(without) - 4} more" if len(without) > 4 else ""
        notes.append(f"probed, no significant gain on dev: {listed}{more}")
    return notes


def _signed(pair: Pair, unit: str | None) -> str:
    """`-0.3 points [-0.8, 0.2]`: the change of the dev error."""
    low, high = (_plain(-end, unit) for end in (pair.high, pair.low))
    sign = "+" if pair.gain < 0 else ""
    return f"{sign}{format_gap(-pair.gain or 0.0, unit)} [{low}, {high}]"


def _plain(value: float, unit: str | None) -> str:
    """The number of a gap without its unit, and zero without a sign."""
    text = format_gap(value, unit).split(" ")[0]
    return text.lstrip("-") if not any(digit in text for digit in "123456789∞") else text


# --- saved ------------------------------------------------------------------------------------------------------------
def to_json(probes: Probes) -> dict[str, Any]:
    """Plain JSON values."""
    return asdict(probes)


def from_json(values: Any, where: str = "probes.json") -> Probes:
    """What `to_json` gave. Raises ArtefactError where it is something else, naming the place in `where`."""
    return read_as(Probes, values, where=where, root="probes", fix="run `gnomon probe` again.")
