"""Which knobs can be turned from where a system stands, for one link of the chain, and in which order to try them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gnomon.core.settings import full_key, rows

WIDEST = 4096  # units of a layer
LONGEST = 2000  # epochs
FAR_OFF = 5.0  # times the rate that a range test suggests, or a fifth of it: small steps would show nothing
TRY = 2.0  # what one try says, in rules of thumb
LATER = 1.0  # trainings to come that a dearer system makes dearer
SHALLOW = ("logistic", "linear")  # models without hidden layers


@dataclass(frozen=True)
class Turn:
    """One change to the settings of a system, and what is expected of it before it was tried."""

    name: str  # "wider", "more weight decay": the same for each step in one direction
    changes: Mapping[str, Any]  # full key -> value
    why: str
    link: str  # of the chain: what it is meant for
    cost: float  # compute of a training, times that of the present system: an estimate
    expected: float  # share of the dev error it takes away where its link is at fault: a rule of thumb
    caution: str = ""  # the other link it turns as well, where there is one

    def label(self, settings: Mapping[str, Any]) -> str:
        """`hidden 64,64 -> 128,128`: from where the settings stand."""
        changed = [
            f"{_short(key)} {_shown(settings.get(key))} -> {_shown(value)}" for key, value in self.changes.items()
        ]
        return ", ".join(changed)


@dataclass(frozen=True)
class Learned:
    """What one try of a turn gave."""

    name: str
    gain: float  # share of the dev error of the system it was compared with that it took away; below 0: it was worse


def turns_of(links: Sequence[str], settings: Mapping[str, Any]) -> list[Turn]:
    """Every turn of these links ("fit-train", "fit-dev") that is possible from `settings` (core.settings.flat).

    A knob is turned only for a link that the setting declares; less regularisation is offered for fit-train as well,
    since it is the same knob turned back, and marked for turning fit-dev too.
    """
    found: list[Turn] = []
    if "fit-train" in links:
        found += [*_bigger(settings), *_longer(settings), *_rates(settings), *_easier(settings)]
    if "fit-dev" in links:
        found += _harder(settings)
    declared = {row.key: row.links for row in rows()}
    return [_cautioned(turn, declared) for turn in found if _is_declared(turn, declared)]


def to_found_rate(settings: Mapping[str, Any], suggested: float | None) -> list[Turn]:
    """The turn to the rate that a range test suggests, where the present one is far off; more hope the further off."""
    rate = settings.get("optimiser.learning_rate")
    if not rate or not suggested:
        return []
    times = max(suggested / rate, rate / suggested)
    if times < FAR_OFF:
        return []
    change = {"optimiser.learning_rate": suggested}
    why = "a range test, in which the rate rises from step to step, finds where the loss falls fastest"
    return [Turn("rate from a range test", change, why, "fit-train", 1.0, 0.1 * math.log10(times))]


def ordered(turns: Sequence[Turn], learned: Sequence[Learned]) -> list[Turn]:
    """The most promising first: expected gain by cost, where one try counts TRY times as much as the rule of thumb.

    What makes a training dearer makes every later one dearer too: that counts as LATER trainings more.
    The list that comes back has `expected` as it is after what was learned.
    """
    updated = []
    for turn in turns:
        gains = [one.gain for one in learned if one.name == turn.name]
        updated.append(replace(turn, expected=(turn.expected + TRY * sum(gains)) / (1 + TRY * len(gains))))
    return sorted(updated, key=lambda turn: turn.expected / (turn.cost + LATER * max(turn.cost - 1, 0)), reverse=True)


def is_picture(settings: Mapping[str, Any]) -> bool:
    """Whether the task of these settings is one on pictures."""
    return "image" in str(settings.get("task"))


# --- fit train --------------------------------------------------------------------------------------------------------
def _bigger(settings: Mapping[str, Any]) -> list[Turn]:
    name = settings.get("model.name")
    if name in SHALLOW:
        why = "a network with hidden layers fits what a straight line cannot"
        return [Turn("hidden layers", {"model.name": "dense"}, why, "fit-train", 4.0, 0.6)]
    if name not in ("dense", "convnet"):
        return []
    hidden, channels = list(settings.get("model.hidden") or ()), list(settings.get("model.channels") or ())
    why = "a larger network fits its training examples better"
    found = []
    if name == "convnet" and channels and 2 * max(channels) <= WIDEST:
        wider = {"model.channels": [2 * width for width in channels]}
        found.append(Turn("wider", wider, why, "fit-train", 3.5, 0.12))
        deeper = {"model.channels": [*channels, min(2 * channels[-1], WIDEST)]}
        found.append(Turn("deeper", deeper, why, "fit-train", 1.5, 0.03))
    if name == "dense" and hidden and 2 * max(hidden) <= WIDEST:
        found.append(Turn("wider", {"model.hidden": [2 * width for width in hidden]}, why, "fit-train", 3.0, 0.12))
        found.append(Turn("deeper", _deeper(hidden, settings), why, "fit-train", 1.7, 0.03))
    return found


def _deeper(hidden: list[int], settings: Mapping[str, Any]) -> dict[str, Any]:
    """One more layer like the last; a dropout given layer by layer gets one more value."""
    dropout = list(settings.get("regularise.dropout") or ())
    more = {"regularise.dropout": [*dropout, dropout[-1]]} if len(dropout) > 1 else {}
    return {"model.hidden": [*hidden, hidden[-1]], **more}


def _longer(settings: Mapping[str, Any]) -> list[Turn]:
    epochs = settings.get("stop.epochs")
    found = []
    if epochs and 2 * epochs <= LONGEST:
        why = "longer training fits the training examples better"
        found.append(Turn("longer", {"stop.epochs": 2 * epochs}, why, "fit-train", 2.0, 0.1))
    if settings.get("stop.patience"):
        why = "stopping early keeps it from fitting train"
        found.append(Turn("no early stopping", {"stop.patience": 0}, why, "fit-train", 1.5, 0.04))
    return found


def _rates(settings: Mapping[str, Any]) -> list[Turn]:
    found = []
    rate, batch = settings.get("optimiser.learning_rate"), settings.get("optimiser.batch_size")
    if settings.get("optimiser.name") == "sgd":
        why = "steps that are scaled to each weight get further"
        change = {"optimiser.name": "adam", "optimiser.learning_rate": 1e-3}
        found.append(Turn("adaptive steps", change, why, "fit-train", 1.0, 0.2))
    elif rate:
        up, down = ({"optimiser.learning_rate": _rounded(one)} for one in (3 * rate, rate / 3))
        found.append(Turn("higher rate", up, "larger steps get further in the same time", "fit-train", 1.0, 0.06))
        found.append(Turn("lower rate", down, "smaller steps settle where larger ones jump", "fit-train", 1.0, 0.02))
    if batch and batch >= 32:
        why = "more steps from the same examples"
        found.append(Turn("smaller batches", {"optimiser.batch_size": batch // 2}, why, "fit-train", 1.0, 0.05))
    if settings.get("model.normalisation") == "none" and settings.get("model.name") in ("dense", "convnet", "lenet5"):
        change = {"model.normalisation": "batch"}
        found.append(Turn("batch norm", change, "normalised layers train faster", "fit-train", 1.0, 0.04))
    return found


def _easier(settings: Mapping[str, Any]) -> list[Turn]:
    why = "what keeps it from learning by heart keeps it from learning as well"
    found = []
    decay, dropout = settings.get("regularise.weight_decay"), _highest(settings.get("regularise.dropout"))
    if decay and decay >= 1e-4:
        change = {"regularise.weight_decay": _rounded(decay / 10)}
        found.append(Turn("less weight decay", change, why, "fit-train", 1.0, 0.02))
    if dropout and settings.get("model.name") not in SHALLOW:
        less: dict[str, Any] = {"regularise.dropout": [] if dropout <= 0.1 else [round(dropout / 2, 3)]}
        found.append(Turn("less dropout", less, why, "fit-train", 1.0, 0.03))
    if is_picture(settings) and settings.get("regularise.augment") not in (None, "none"):
        found.append(Turn("no augmentation", {"regularise.augment": "none"}, why, "fit-train", 1.0, 0.07))
    if settings.get("regularise.l2"):
        found.append(Turn("no L2", {"regularise.l2": 0.0}, why, "fit-train", 1.0, 0.05))
    return found


# --- fit dev ----------------------------------------------------------------------------------------------------------
def _harder(settings: Mapping[str, Any]) -> list[Turn]:
    link = "fit-dev"
    found = []
    decay, dropout = settings.get("regularise.weight_decay"), _highest(settings.get("regularise.dropout"))
    augment = settings.get("regularise.augment") or "none"
    if is_picture(settings) and augment != "shift+mirror":
        why = "changed copies of training pictures are the cheapest new data"
        change = {"regularise.augment": "shift" if augment == "none" else "shift+mirror"}
        hope = 0.12 if augment == "none" else 0.04
        found.append(Turn("more augmentation", change, why, link, 1.0, hope))
    if settings.get("model.name") not in SHALLOW and dropout < 0.6:
        stronger = 0.2 if dropout < 0.1 else 0.4 if dropout < 0.35 else 0.6
        why = "dropout keeps it from learning examples by heart"
        found.append(Turn("more dropout", {"regularise.dropout": [stronger]}, why, link, 1.0, 0.04))
    if decay is None or decay < 5:
        why = "smaller weights carry over better to unseen examples"
        more: dict[str, Any] = {"regularise.weight_decay": 0.01 if not decay else _rounded(4 * decay)}
        found.append(Turn("more weight decay", more, why, link, 1.0, 0.03))
    if "classification" in str(settings.get("task")) and not settings.get("regularise.label_smoothing"):
        why = "answers that are less certain carry over better"
        found.append(Turn("label smoothing", {"regularise.label_smoothing": 0.1}, why, link, 1.0, 0.03))
    if not settings.get("regularise.ema"):
        why = "the average of the last weights is steadier than the last ones"
        found.append(Turn("averaged weights", {"regularise.ema": 0.99}, why, link, 1.0, 0.03))
    return found


def _rounded(value: float) -> float:
    """To four digits, so that a step up and one down again end where they began, and are known to."""
    return float(f"{value:.4g}")


def _highest(dropout: Any) -> float:
    if isinstance(dropout, list | tuple):
        return max(dropout, default=0.0)
    return float(dropout or 0.0)


# --- links and words --------------------------------------------------------------------------------------------------
EASING = ("less weight decay", "less dropout", "no augmentation", "no L2")  # fit-dev's knobs, turned back


def _is_declared(turn: Turn, declared: Mapping[str, tuple[str, ...]]) -> bool:
    key = next(iter(turn.changes))
    return turn.link in declared[key] or (turn.name in EASING and "fit-dev" in declared[key])


def _cautioned(turn: Turn, declared: Mapping[str, tuple[str, ...]]) -> Turn:
    others = [link for link in declared[next(iter(turn.changes))] if link != turn.link]
    return replace(turn, caution=f"not orthogonal: turns {' and '.join(others)} as well") if others else turn


def _short(key: str) -> str:
    """The shortest name the command line takes for a setting: `dropout`, `model`."""
    group, _, leaf = key.rpartition(".")
    short = group if leaf == "name" else leaf
    return short if full_key(short) == key else key


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_shown, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
