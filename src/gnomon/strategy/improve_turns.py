"""Which knobs of one link of the chain can be turned from a system's current settings, and in which order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gnomon.core.knobs import Here, Knob, Step
from gnomon.core.settings import short_key

FAR_OFF = 5.0  # times the rate that a range test suggests, or a fifth of it: smaller changes would show nothing
TRY = 2.0  # weight of one try relative to the rule of thumb
LATER = 1.0  # later trainings that a slower system slows down too


@dataclass(frozen=True)
class Turn:
    """One change to the settings of a system, and what is expected of it before it is tried."""

    name: str  # "wider", "more weight decay": the same for each step in one direction
    changes: Mapping[str, Any]  # full key -> value
    why: str
    link: str  # of the chain: what it is meant for
    cost: float  # compute of a training, relative to the current system: an estimate
    expected: float  # share of the dev error it removes if its link is at fault: a rule of thumb
    caution: str = ""  # the other link it acts on too, if there is one

    def label(self, settings: Mapping[str, Any]) -> str:
        """`hidden 64,64 -> 128,128`: from the current settings."""
        changed = [
            f"{short_key(key)} {_shown(settings.get(key))} -> {_shown(value)}" for key, value in self.changes.items()
        ]
        return ", ".join(changed)


@dataclass(frozen=True)
class Learned:
    """The result of one try of a turn."""

    name: str
    gain: float  # relative reduction of the dev error of the system it was compared with; below 0: it was worse


def turns_of(links: Sequence[str], here: Here) -> list[Turn]:
    """Every turn of these links ("fit-train", "fit-dev") that is possible here.

    A knob is turned for a link that it declares. Regularisation turned back is offered for fit-train too, and is
    marked as acting on fit-dev as well.
    """
    turns = [_turn(knob, step, here) for knob in here.active() for step in knob.steps if step.link in links]
    return [turn for turn in turns if turn is not None]


def _turn(knob: Knob, step: Step, here: Here) -> Turn | None:
    value = here.settings.get(knob.key)
    wanted = step.next(value, here)
    if wanted is None:
        return None
    changes = wanted if isinstance(wanted, dict) else {knob.key: wanted}
    others = [link for link in knob.links if link != step.link]
    caution = f"not orthogonal: also acts on {' and '.join(others)}" if others else ""
    return Turn(step.name, changes, step.why, step.link, step.cost, step.expected(value, here), caution)


def to_found_rate(settings: Mapping[str, Any], suggested: float | None) -> list[Turn]:
    """The turn to the rate that a range test suggests, if the current one is far off; the further, the more hope."""
    rate = settings.get("optimiser.learning_rate")
    if not rate or not suggested:
        return []
    times = max(suggested / rate, rate / suggested)
    if times < FAR_OFF:
        return []
    change = {"optimiser.learning_rate": suggested}
    why = "a range test, which raises the rate at every step, finds where the loss falls fastest"
    return [Turn("rate from a range test", change, why, "fit-train", 1.0, 0.1 * math.log10(times))]


def ordered(turns: Sequence[Turn], learned: Sequence[Learned]) -> list[Turn]:
    """Most promising first: expected gain per cost, where one try counts TRY times as much as the rule of thumb.

    A change that slows down training slows down every later one too: that counts as LATER more trainings.
    The returned turns have `expected` updated with what was learned.
    """
    updated = []
    for turn in turns:
        gains = [one.gain for one in learned if one.name == turn.name]
        updated.append(replace(turn, expected=(turn.expected + TRY * sum(gains)) / (1 + TRY * len(gains))))
    return sorted(updated, key=lambda turn: turn.expected / (turn.cost + LATER * max(turn.cost - 1, 0)), reverse=True)


def by_gain(turns: Sequence[Turn]) -> list[Turn]:
    """Largest expected gain first, the cheaper of equals: for measuring what changes would give, in limited time.

    Unlike in `ordered`, a change that slows down training is not put off: nothing is kept, so no later training pays
    for it, and what comes last may not be measured at all.
    """
    return sorted(turns, key=lambda turn: (-turn.expected, turn.cost))


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_shown, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
