"""A diagnosis as plain JSON values and back, strictly."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from gnomon.core.errors import ArtefactError
from gnomon.core.evaluation import SPLITS
from gnomon.core.plain import read_as
from gnomon.strategy.diagnosis import Diagnosis


def to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Dicts, lists, strings, numbers, booleans and None; an infinite end is "inf" or "-inf"."""
    plain: dict[str, Any] = _plain(asdict(diagnosis))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value


def from_json(values: Any, where: str = "diagnosis.json") -> Diagnosis:
    """Raises ArtefactError on a key too many or too few, or a value of the wrong type, naming the place in `where`."""
    fix = "rewrite it: `gnomon diagnose`."
    diagnosis = read_as(Diagnosis, values, where=where, root="diagnosis", fix=fix)
    names = [rung.name for rung in diagnosis.rungs]
    if len(set(names)) < len(names) or not {"human", *SPLITS}.issuperset(names):
        raise ArtefactError("diagnosis.rungs: a rung is unknown or appears twice.", where=where, fix=fix)
    for place, gap in enumerate(diagnosis.gaps):
        if gap.below not in names or gap.above not in names:
            raise ArtefactError(f"diagnosis.gaps[{place}]: it is between rungs that are missing.", where=where, fix=fix)
    return diagnosis
