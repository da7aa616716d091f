"""A task's fitted facts read back from JSON: only known fields, of the right shape."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import MISSING
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from gnomon.core.errors import ArtefactError

Made = TypeVar("Made")


def checked_facts(kind: type[Made], facts: Mapping[str, Any]) -> Made:
    """A frozen dataclass from a mapping of its fields; those with a default may be missing, as in older runs.

    Raises ArtefactError naming the invalid field.
    """
    if not isinstance(facts, Mapping):
        raise ArtefactError(f"expected an object, found {type(facts).__name__}.", where="task.json", fix=_FIX)
    adapter = TypeAdapter(kind)
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]  # a dataclass, by contract
    may_lack = {entry.name for entry in fields if entry.default is not MISSING or entry.default_factory is not MISSING}
    checked_keys(facts, {entry.name for entry in fields} - (may_lack - facts.keys()))
    try:
        return adapter.validate_python(dict(facts))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise ArtefactError(f"{field}: {first['msg']}.", where="task.json", fix=_FIX) from None


def checked_keys(facts: Mapping[str, Any], wanted: Iterable[str]) -> None:
    """Raises ArtefactError unless `facts` has exactly these keys."""
    odd = sorted(map(str, facts.keys() ^ set(wanted)))
    if odd:
        raise ArtefactError(f"unknown or missing field: {', '.join(odd[:3])}.", where="task.json", fix=_FIX)


_FIX = "use a run as gnomon wrote it."
