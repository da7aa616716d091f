"""A diagnosis as plain JSON values and back, strictly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gnomon.core.errors import ArtefactError
from gnomon.core.evaluation import SPLITS
from gnomon.core.plain import read_as
from gnomon.strategy.diagnosis import Diagnosis


def to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Dicts, lists, strings, numbers, booleans and None; an infinite end is "inf" or "-inf"."""
    values: dict[str, Any] = plain(asdict(diagnosis))
    return values


def plain(value: Any) -> Any:
    """Plain values of what `asdict` gives."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value


def from_json(values: Any, where: str = "diagnosis.json") -> Diagnosis:
    """Raises ArtefactError on a key too many or too few, or a value of the wrong type, naming the place in `where`."""
    fix = "rewrite it: `gnomon diagnose`."
    diagnosis = read_as(Diagnosis, _completed(values), where=where, root="diagnosis", fix=fix)
    names = [rung.name for rung in diagnosis.rungs]
    if len(set(names)) < len(names) or not {"human", *SPLITS}.issuperset(names):
        raise ArtefactError("diagnosis.rungs: a rung is unknown or appears twice.", where=where, fix=fix)
    for place, gap in enumerate(diagnosis.gaps):
        if gap.below not in names or gap.above not in names:
            raise ArtefactError(f"diagnosis.gaps[{place}]: it is between rungs that are missing.", where=where, fix=fix)
    return diagnosis


LATER: Mapping[str, Mapping[str, Any]] = {  # what files of gnomon 0.1 lack: by part, with what it is there
    "": {"floor": None},
    "verdict": {"cause": ""},
    "rungs": {"raw": None},
    "gaps": {"settles_half": False, "proven_by": ""},
    "advice": {"command": ""},
}


def _completed(values: Any) -> Any:
    """The values of an older file with the keys that came later."""
    if not isinstance(values, dict):
        return values
    found = {**LATER[""], **values}
    for part, later in LATER.items():
        inner = found.get(part)
        if isinstance(inner, dict):
            found[part] = {**later, **inner}
        elif isinstance(inner, list):
            found[part] = [{**later, **one} if isinstance(one, dict) else one for one in inner]
    return found
