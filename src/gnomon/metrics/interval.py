"""A measured number with its interval."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the ends of its confidence interval (95 % unless stated otherwise) and the method used."""

    value: float
    low: float
    high: float
    method: str = ""  # "Wilson", "bootstrap over 412 groups" ...
