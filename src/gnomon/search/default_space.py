"""The space of a search: what is worth varying for these settings, and the ranges that the user gave instead."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from gnomon.core.errors import UsageError
from gnomon.core.settings import Settings, full_key, rows, value_of, with_values
from gnomon.search.space import CHANNELS, LAYERS, UNITS, Dimension, Scale, Space

SAME_FOR_ALL = ("data.", "split.", "task", "goal.", "runs_folder", "run_name", "seed", "machine.", "stop.max_time")
MOST_UNITS, MOST_CHANNELS, MOST_LAYERS = 512, 64, 4


class Known(NamedTuple):
    """How a setting is searched: on which scale, and when."""

    scale: Scale
    tier: int


KNOWN: Mapping[str, Known] = {  # a setting that is not here is drawn evenly, in the last tier
    "optimiser.learning_rate": Known("log", 1),
    "optimiser.momentum": Known("1 - beta, log", 2),
    "optimiser.beta2": Known("1 - beta, log", 2),
    "optimiser.batch_size": Known("powers of two", 2),
    "optimiser.epsilon": Known("log", 3),
    "optimiser.clip_norm": Known("log", 3),
    "optimiser.clip_value": Known("log", 3),
    "regularise.weight_decay": Known("log", 3),
    "regularise.l2": Known("log", 3),
    "regularise.l1": Known("log", 3),
    "regularise.ema": Known("1 - beta, log", 3),
    "schedule.decay": Known("log", 3),
    "init.scale": Known("log", 3),
    "stop.epochs": Known("whole, log", 3),
    "stop.patience": Known("whole, log", 3),
}
WIDTHS = {  # parts of a list of widths, which are no settings of their own
    UNITS: ("model.hidden", Known("whole, log", 2)),
    LAYERS: ("model.hidden", Known("whole", 3)),
    CHANNELS: ("model.channels", Known("whole, log", 2)),
}
RATES = {"sgd": (1e-3, 1.0), "momentum": (1e-3, 1.0), "nesterov": (1e-3, 1.0)}  # the others: 1e-4 to 0.1
USES_MOMENTUM = {"momentum", "nesterov", "adam", "adamw"}


def divided_values(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """What the user gave, as settings that are the same for all trials, and as ranges or choices that vary.

    A range is `1e-4..1e-1`; choices are `cosine,constant`, or `64,64|128` of a setting that takes a list.
    Raises UsageError.
    """
    fixed: dict[str, Any] = {}
    varied: dict[str, str] = {}
    for name, value in values.items():
        if name in WIDTHS:
            varied[name] = str(value)
            continue
        key = full_key(name)
        text = value if isinstance(value, str) else ""
        is_knob = any(row.key == key and row.links for row in rows())
        is_range = ".." in text and (is_knob or re.fullmatch(r"[\d.eE+-]+\.\.[\d.eE+-]+", text) is not None)
        if is_range or (is_knob and ("|" in text or ("," in text and not _takes_several(key, text)))):
            varied[name] = text
        else:
            fixed[name] = value
    for name in varied:
        key = WIDTHS[name][0] if name in WIDTHS else full_key(name)
        if key.startswith(SAME_FOR_ALL):
            raise UsageError(f"{key} is the same for all trials of a search.", fix=f"give {name} one value.")
    return fixed, varied


def _takes_several(key: str, text: str) -> bool:
    """Whether the setting reads this text as a list: 256,128 is two layers, not two choices."""
    try:
        return isinstance(value_of(with_values(Settings(), {key: text}), key), tuple)
    except UsageError:
        return False


def space_of(
    base: Settings, varied: Mapping[str, str], given: frozenset[str], num_train: int, *, sizes_first: bool = False
) -> Space:
    """What varies around the settings `base` (filled in): the usual, without what was `given`, with what the user says.

    A range of the user's is searched from the first round on; with `sizes_first` (a condition may ask for a small
    network) widths and depth are as well. Raises UsageError naming the range that cannot be read.
    """
    widths = {key: tuple(value_of(base, key) or ()) for key, _ in WIDTHS.values()}
    dimensions = {one.name: one for one in _usual(base, num_train) if one.key not in given}
    for name, text in varied.items():
        if name not in WIDTHS and _short(full_key(name)) in dimensions:
            dimensions.pop(_short(full_key(name)))
        dimensions[name if name in WIDTHS else _short(full_key(name))] = _given(name, text, base)
    if not dimensions:
        raise UsageError(
            "nothing is left to vary: every setting has one value.",
            fix="leave some out, or give a range: learning_rate=1e-4..1e-1.",
        )
    if sizes_first:
        dimensions = {name: replace(one, tier=1) if name in WIDTHS else one for name, one in dimensions.items()}
    ordered = sorted(dimensions.values(), key=lambda one: one.tier)
    return Space(tuple(ordered), widths)


def _usual(base: Settings, num_train: int) -> list[Dimension]:
    """The learning rate; then beta, batch size and width; then depth, weight decay and dropout."""
    optimiser, name = base.optimiser, base.optimiser.name or ""
    found = [_dimension("optimiser.learning_rate", *RATES.get(name, (1e-4, 0.1)), base)]
    if name in USES_MOMENTUM:
        found.append(_dimension("optimiser.momentum", 0.8, 0.99, base))
    elif name == "rmsprop":
        found.append(_dimension("optimiser.beta2", 0.9, 0.999, base))
    batch = optimiser.batch_size or 0
    if batch and num_train >= 32:
        most = max(16, min(4 * batch, 2 ** ((num_train // 2).bit_length() - 1)))
        found.append(_dimension("optimiser.batch_size", max(8, batch // 4), most, base))
    hidden, channels = base.model.hidden or (), base.model.channels or ()
    if base.model.name == "dense" and hidden:
        found.append(_width(UNITS, max(4, hidden[0] // 4), min(8 * hidden[0], max(MOST_UNITS, hidden[0])), hidden[0]))
        found.append(_width(LAYERS, 1, max(MOST_LAYERS, len(hidden)), len(hidden)))
    if base.model.name == "convnet" and channels:
        most = max(MOST_CHANNELS, channels[0])
        found.append(_width(CHANNELS, max(4, channels[0] // 4), min(4 * channels[0], most), channels[0]))
    decay = base.regularise.weight_decay or 0.0
    found.append(_dimension("regularise.weight_decay", *((decay / 50, 10 * decay) if decay else (1e-4, 1.0)), base))
    if hidden and base.model.name in ("dense", "convnet"):
        found.append(_dimension("regularise.dropout", 0.0, 0.5, base))
    return found


def _dimension(key: str, low: float, high: float, base: Settings) -> Dimension:
    known = KNOWN.get(key, Known("linear", 3))
    return Dimension(_short(key), key, known.scale, known.tier, _within(_now(base, key), low, high), low, high)


def _width(name: str, low: int, high: int, default: int) -> Dimension:
    key, known = WIDTHS[name]
    return Dimension(name, key, known.scale, known.tier, _within(default, low, high), low, high)


def _now(base: Settings, key: str) -> Any:
    """The value before the search; of dropout the first layer's."""
    value = value_of(base, key)
    return (value[0] if value else 0.0) if isinstance(value, tuple) else value


def _within(value: Any, low: float, high: float) -> Any:
    return low if value is None else min(max(value, low), high)


def _short(key: str) -> str:
    """The name people type: the setting's own, or its group's where many groups have one called so."""
    group, _, leaf = key.rpartition(".")
    return group if leaf == "name" else leaf


def _given(name: str, text: str, base: Settings) -> Dimension:
    """A dimension as the user wrote it."""
    key, known = WIDTHS[name] if name in WIDTHS else (full_key(name), KNOWN.get(full_key(name)))
    low_text, dots, high_text = text.partition("..")
    if not dots and name not in WIDTHS:
        return _choice(name, key, text, base)
    low, high = (_end(name, key, end.strip(), text) for end in (low_text, high_text if dots else low_text))
    if low > high or (low == high and name not in WIDTHS):
        raise UsageError(
            f"{name}={text} is no range: it does not rise.",
            fix=f"give the smaller end first: {name}={high_text}..{low_text}",
        )
    is_whole = isinstance(low, int) and isinstance(high, int)
    scale: Scale = known.scale if known else ("whole" if is_whole else "linear")
    if low <= 0 and (scale.startswith(("log", "powers")) or scale == "whole, log"):
        raise UsageError(
            f"{name}={text} cannot be searched: it is drawn on a log scale, which has no 0.",
            fix=f"begin the range above 0, such as {name}={high / 1000:g}..{high:g}.",
        )
    if scale == "powers of two" and 2 ** (int(high).bit_length() - 1) < low:
        raise UsageError(f"{name}={text} holds no power of two.", fix=f"give a wider range: {name}=16..256.")
    if scale == "powers of two":
        low, high = 2 ** (int(low) - 1).bit_length(), 2 ** (int(high).bit_length() - 1)
    before = (value_of(base, key) or (low,)) if name in WIDTHS else ()
    now = len(before) if name == LAYERS else before[0] if before else _now(base, key)
    default = _within(now, low, high)
    return Dimension(name if name in WIDTHS else _short(key), key, scale, 1, default, low, high)


def _end(name: str, key: str, end: str, text: str) -> Any:
    """One end of a range, as the setting reads it. Raises UsageError as the setting itself does."""
    try:
        number = float(end)
    except ValueError:
        raise UsageError(
            f"{name}={text} is no range: {end!r} is no number.", fix=f"write it as low..high: {name}=1e-4..1e-1"
        ) from None
    if name in WIDTHS:
        if number != int(number) or number < 1:
            raise UsageError(f"{name}={text} cannot be used: it takes whole numbers from 1 on.", fix=f"{name}=1..4")
        return int(number)
    value = value_of(with_values(Settings(), {key: end}), key)
    if isinstance(value, tuple):
        value = value[0]
    if not isinstance(value, int | float):
        raise UsageError(f"{key} takes no range.", fix=f"give choices with commas between: {name}=a,b")
    return value


def _choice(name: str, key: str, text: str, base: Settings) -> Dimension:
    parts = [part.strip() for part in re.split(r"\|" if "|" in text else ",", text) if part.strip()]
    read = [value_of(with_values(Settings(), {key: part}), key) for part in parts]
    values = tuple(dict.fromkeys(map(_plain, read)))
    if len(values) < 2:
        raise UsageError(f"{name}={text} leaves nothing to choose.", fix=f"give {name} one value, or two with a comma.")
    now = _plain(value_of(base, key))
    return Dimension(_short(key), key, "choice", 1, now if now in values else values[0], choices=values)


def _plain(value: Any) -> Any:
    """A list as the text that the setting reads: a choice is compared, kept as JSON and shown."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else value
