"""What a search found, in lines for people: on the screen and on its page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from gnomon.core.evaluation import SHARE
from gnomon.figures.text import visible
from gnomon.strategy.wording import format_error, format_gap


def found_lines(outcome: Mapping[str, Any], tried: int, command: str) -> list[str]:
    """What the search found, for a person."""
    unit, best, defaults = outcome["unit"], outcome["best"], outcome["defaults"]
    lines = ["", f"  best       trial {best['number']} of {tried}: {_with_interval(best, unit)} on dev"]
    if defaults is not None and best["number"] != 1:
        lines.append(f"  defaults   {_with_interval(defaults, unit)}")
    elif defaults is None:
        lines.append("  defaults   did not finish")
    else:
        lines.append("             the defaults themselves: no trial is better")
    lines += [f"  {'' if i else 'condition':<10} {text}" for i, text in enumerate(outcome["conditions"])]
    lines += _luck_lines(outcome, unit)
    lines += _again_lines(outcome, unit)
    width = max(map(len, best["values"]))
    for i, (name, value) in enumerate(best["values"].items()):
        before = defaults["values"][name] if defaults else value
        was = f"   (default {value_text(before)})" if before != value else ""
        lines.append(f"  {'' if i else 'settings':<10} {name:<{width}}  {value_text(value)}{was}")
    matters = outcome["importance"]
    if matters is not None:
        shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in matters["shares"].items() if share >= 0.01)
        lines.append(f"  matters    {shares} (of the variance between trials; forest of their ranks)")
    lines.extend(f"  {'' if i else 'edge':<10} {text}" for i, text in enumerate(map(edge_text, outcome["edges"])))
    if not outcome["edges"]:
        lines.append("  edge       the best is inside every range")
    lines.append("")
    lines.append(f"  settings   {visible(outcome['settings_file'])}")
    lines.append(f"             {visible(command)} settings={visible(shlex.quote(outcome['settings_file']))}")
    lines.append(f"  run        {visible(outcome['run'])}      gnomon test opens its test split")
    if outcome["report"] is not None:
        lines.append(f"  report     {visible(outcome['report'])}")
    return lines


def _luck_lines(outcome: Mapping[str, Any], unit: str | None) -> list[str]:
    chance = outcome["luck"]
    if chance is None:
        return []
    about = f"best of {chance['looks']} looks at dev: "
    if chance["expected"] is not None:
        about += f"about {format_gap(chance['expected'], unit)} of it is luck in choosing (bootstrap), "
    return [f"  luck       {about}at most about {format_gap(chance['bound'], unit)}"]


def _again_lines(outcome: Mapping[str, Any], unit: str | None) -> list[str]:
    again, lines = outcome["again"], []
    for i, name in enumerate(name for name in ("best", "defaults") if again.get(name)):
        errors = again[name]
        mean = sum(errors) / len(errors)
        spread = f" ({format_error(min(errors), unit)} to {format_error(max(errors), unit)})" if len(errors) > 1 else ""
        seeds = f"{len(errors)} other seed{'s' if len(errors) > 1 else ''}"
        lines.append(f"  {'' if i else 'again':<10} {name} with {seeds}: {format_error(mean, unit)}{spread}")
    gain = again.get("gain")
    if gain is not None:
        sure = "significant" if gain["low"] > 0 else "a loss" if gain["high"] < 0 else "may be zero"
        ends = f"[{_points(gain['low'], unit)}, {_points(gain['high'], unit)}]"
        lines.append(f"             gain over the defaults: {format_gap(gain['value'], unit)} {ends}: {sure}")
    return lines


def edge_text(edge: Mapping[str, Any]) -> str:
    """What to do if the best is at the end of a range."""
    low, high = edge["wider"]
    return (
        f"{edge['name']} {value_text(edge['value'])} is at the {edge['end']} edge of the range searched; "
        f"widen it: {edge['name']}={value_text(low)}..{value_text(high)}"
    )


def _with_interval(result: Mapping[str, Any], unit: str | None) -> str:
    ends = f"[{_points(result['low'], unit)}, {_points(result['high'], unit)}]"
    return f"{format_error(result['error'], unit)}  {ends}"


def _points(value: float | None, unit: str | None) -> str:
    if value is None:
        return "∞"
    return f"{100 * value:.1f}" if unit == SHARE else f"{value:.4g}"


def value_text(value: Any) -> str:
    """0.00123, 64, relu."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
