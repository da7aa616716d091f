"""A measured number with its interval."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the ends of its confidence interval (95 % unless said otherwise) and how the ends were found."""

    value: float
    low: float
    high: float
    method: str = ""  # "Wilson", "bootstrap over 412 groups" ...
