"""Artificial data from a bank (noises, backgrounds, fonts): how often each original is used, how little it covers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gnomon.core.errors import UsageError

MANY_REPEATS = 10  # uses of each original, on average, from which a model can memorise it
FULL_COVER = 0.5  # share of all kinds that are in the bank; below this, the bank is a small part of the space


@dataclass(frozen=True, slots=True)
class Synthesis:
    """How synthesised data depends on its bank."""

    repeats: float  # times each original is used, on average
    used: float  # share of the originals used at least once
    coverage: float | None  # share of what the bank is drawn from that it has seen (Good-Turing); None: unknown
    warning: str  # "" if nothing is wrong


def examine_bank(
    made: float, bank: float, *, draws: int | None = None, kinds: list[int] | None = None, unit: str = "examples"
) -> Synthesis:
    """Examples (or hours) made from a bank; made > 0, bank > 0, both in `unit`.

    draws: how many times originals were drawn, if not `made`; kinds: number of originals of each kind (speaker, street,
    font) in the bank, from which its coverage of all kinds is estimated.
    One hour of noise under 10,000 hours of speech repeats it 10,000 times: fine to the ear, one hour to the network.
    Source: Ng 2018, Machine Learning Yearning, chapter 42; Good 1953, Biometrika 40:237 (coverage).
    """
    for name, value in (("made", made), ("bank", bank)):
        if not (math.isfinite(value) and value > 0):
            raise UsageError(f"{name}={value:g} is not an amount of data.", fix=f"give {name} as a number above 0.")
    repeats = made / bank
    times = draws if draws is not None else made
    used = 1 - math.exp(-times / bank) if times / bank < 700 else 1.0  # drawn with replacement
    coverage = None if kinds is None else good_turing_coverage(kinds)
    return Synthesis(repeats, used, coverage, _warning(made, bank, repeats, coverage, unit))


def good_turing_coverage(kinds: list[int]) -> float:
    """The chance that the next original is of a kind already in the bank: 1 - kinds seen once / originals.

    kinds: originals of each kind, each at least 1. Source: Good 1953, equation 9.
    """
    if not kinds or min(kinds) < 1:
        raise UsageError("a bank has at least one original of each of its kinds.", fix="count the originals by kind.")
    return 1 - sum(count == 1 for count in kinds) / sum(kinds)


def _warning(made: float, bank: float, repeats: float, coverage: float | None, unit: str) -> str:
    sentences = []
    if repeats >= MANY_REPEATS:
        sentences.append(
            f"The bank ({bank:,.6g} {unit}) is used about {repeats:,.0f} times over for {made:,.6g} {unit}: a network "
            f"can memorise it. About {made / MANY_REPEATS:,.6g} {unit} of originals would repeat fewer "
            f"than {MANY_REPEATS} times."
        )
    if coverage is not None and coverage < FULL_COVER:
        sentences.append(
            f"The chance that the next original is of a kind already in the bank is {100 * coverage:.0f} %: the bank "
            "is a small part of the space, whatever it sounds or looks like to people."
        )
    return " ".join(sentences)
