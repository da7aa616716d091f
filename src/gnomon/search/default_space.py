"""The space of a search: what is worth varying for these settings, and the ranges that the user gave instead."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gnomon.core.errors import UsageError
from gnomon.core.knobs import Here, Knob, Search
from gnomon.core.settings import declared_knob, full_key, parts, read_value, short_key
from gnomon.search.space import CHANNELS, LAYERS, UNITS, Dimension, Scale, Space

SAME_FOR_ALL = ("data.", "split.", "task.name", "goal.", "runs_folder", "run_name", "seed", "machine.", "stop.max_time")
SIZES = (UNITS, LAYERS, CHANNELS)


def divided_values(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """What the user gave, as settings that are the same for all trials, and as ranges or choices that vary.

    A range is `1e-4..1e-1`; choices are `cosine,constant` (a list in Python), or `64,64|128` of a setting that takes a
    list.
    Raises UsageError.
    """
    fixed: dict[str, Any] = {}
    varied: dict[str, str] = {}
    aspects = parts()
    for name, value in values.items():
        if name in aspects:
            varied[name] = str(value)
            continue
        key = full_key(name)
        text = value if isinstance(value, str) else ",".join(map(str, value)) if isinstance(value, list) else ""
        is_knob = bool((declared_knob(key) or Knob()).links)
        is_range = ".." in text and (is_knob or re.fullmatch(r"[\d.eE+-]+\.\.[\d.eE+-]+", text) is not None)
        if is_range or (is_knob and ("|" in text or ("," in text and not _takes_several(key, text)))):
            varied[name] = text
        else:
            fixed[name] = value
    for name in varied:
        key = aspects[name][0] if name in aspects else full_key(name)
        if key.startswith(SAME_FOR_ALL):
            raise UsageError(f"{key} is the same for all trials of a search.", fix=f"give {name} one value.")
    return fixed, varied


def _takes_several(key: str, text: str) -> bool:
    """Whether the setting reads this text as a list: 256,128 is two layers, not two choices."""
    try:
        return isinstance(read_value(key, text), tuple)
    except UsageError:
        return False


def space_of(here: Here, varied: Mapping[str, str], given: frozenset[str], *, sizes_first: bool = False) -> Space:
    """What varies around a system: the usual, without what was `given`, with what the user says.

    A range of the user's is searched from the first round on; with `sizes_first` (a condition may ask for a small
    network) widths and depth are as well. Raises UsageError naming the range that cannot be read.
    """
    aspects = parts()
    keys = {knob.key for knob in here.knobs}
    widths = {key: tuple(here.settings.get(key) or ()) for key, _ in aspects.values() if key in keys}
    dimensions = {one.name: one for one in _usual(here) if one.key not in given}
    for name, text in varied.items():
        is_aspect = name in aspects
        own_name = name if is_aspect else short_key(full_key(name))
        dimensions.pop(own_name, None)
        dimensions[own_name] = _given(name, text, here, aspects)
    if not dimensions:
        raise UsageError(
            "nothing is left to vary: every setting has one value.",
            fix="leave some out, or give a range: learning_rate=1e-4..1e-1.",
        )
    if sizes_first:
        dimensions = {name: replace(one, tier=1) if name in SIZES else one for name, one in dimensions.items()}
    ordered = sorted(dimensions.values(), key=lambda one: one.tier)
    return Space(tuple(ordered), widths)


def _usual(here: Here) -> list[Dimension]:
    """Every knob that acts here and declares between which values a search draws it by default."""
    found = []
    for knob in here.active():
        value = here.settings.get(knob.key)
        for search in knob.search:
            ends = search.ends(value, here)
            if ends is not None:
                name = search.part or short_key(knob.key)
                now = _now(value, search.part)
                found.append(Dimension(name, knob.key, search.scale, search.tier, _within(now, *ends), *ends))
    return found


def _now(value: Any, part: str = "") -> Any:
    """The value before the search; of a list its first entry, or how many there are."""
    if isinstance(value, list | tuple):
        return len(value) if part == LAYERS else value[0] if value else 0.0
    return value


def _within(value: Any, low: float, high: float) -> Any:
    return low if value is None else min(max(value, low), high)


def _given(name: str, text: str, here: Here, aspects: Mapping[str, tuple[str, Search]]) -> Dimension:
    """A dimension as the user wrote it."""
    is_aspect = name in aspects
    key = aspects[name][0] if is_aspect else full_key(name)
    if key not in {knob.key for knob in here.knobs}:
        model = here.settings.get("model.name")
        raise UsageError(f"model={model} has no setting {key.rpartition('.')[2]!r}.", fix=f"leave {name} out.")
    declared = declared_knob(key) or Knob()
    search = aspects[name][1] if is_aspect else next((one for one in declared.search if not one.part), None)
    low_text, dots, high_text = text.partition("..")
    if not dots and not is_aspect:
        return _choice(key, name, text, here)
    low, high = (
        _end(name, key, end.strip(), text, is_aspect=is_aspect) for end in (low_text, high_text if dots else low_text)
    )
    if low > high or (low == high and not is_aspect):
        raise UsageError(
            f"{name}={text} is not a range: its first end must be below its second.",
            fix=f"give the smaller end first: {name}={high_text}..{low_text}",
        )
    is_whole = isinstance(low, int) and isinstance(high, int)
    scale: Scale = search.scale if search else ("whole" if is_whole else "linear")
    if low <= 0 and (scale.startswith(("log", "powers")) or scale == "whole, log"):
        raise UsageError(
            f"{name}={text} cannot be searched: its scale is logarithmic, and must not reach 0.",
            fix=f"begin the range above 0, such as {name}={high / 1000:g}..{high:g}.",
        )
    if scale == "powers of two" and 2 ** (int(high).bit_length() - 1) < low:
        raise UsageError(f"{name}={text} contains no power of two.", fix=f"give a wider range: {name}=16..256.")
    if scale == "powers of two":
        low, high = 2 ** (int(low) - 1).bit_length(), 2 ** (int(high).bit_length() - 1)
    now = _now(here.settings.get(key), name if is_aspect else "")
    default = _within(now if now else low, low, high) if is_aspect else _within(now, low, high)
    return Dimension(name if is_aspect else short_key(key), key, scale, 1, default, low, high)


def _end(name: str, key: str, end: str, text: str, *, is_aspect: bool) -> Any:
    """One end of a range, as the setting reads it. Raises UsageError as the setting itself does."""
    try:
        number = float(end)
    except ValueError:
        raise UsageError(
            f"{name}={text} is not a range: {end!r} is not a number.", fix=f"write it as low..high: {name}=1e-4..1e-1"
        ) from None
    if is_aspect:
        if number != int(number) or number < 1:
            raise UsageError(f"{name}={text} cannot be used: it must be a whole number from 1 up.", fix=f"{name}=1..4")
        return int(number)
    value = read_value(key, end)
    if isinstance(value, tuple):
        value = value[0]
    if not isinstance(value, int | float):
        raise UsageError(f"{key} cannot be a range.", fix=f"give choices separated by commas: {name}=a,b")
    return value


def _choice(key: str, name: str, text: str, here: Here) -> Dimension:
    texts = [part.strip() for part in re.split(r"\|" if "|" in text else ",", text) if part.strip()]
    read = [read_value(key, part) for part in texts]
    values = tuple(dict.fromkeys(map(_plain, read)))
    if len(values) < 2:
        raise UsageError(
            f"{name}={text} leaves only one choice.", fix=f"give {name} at least two, separated by a comma."
        )
    now = _plain(here.settings.get(key))
    return Dimension(short_key(key), key, "choice", 1, now if now in values else values[0], choices=values)


def _plain(value: Any) -> Any:
    """A list as the text that the setting reads: a choice is compared, kept as JSON and shown."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else value
