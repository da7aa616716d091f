"""A network of the user's own: passed to `gnomon.fit(model=...)`, never built here."""

from __future__ import annotations

from typing import Any

from torch import nn

from gnomon.core.errors import UsageError
from gnomon.core.family import Family, PictureInputs, Wanted
from gnomon.core.found import CUSTOM
from gnomon.models import convnet, dense


def build(wanted: Wanted) -> nn.Module:
    raise UsageError("this run trained your own model.", fix="pass it: model=...")


def defaults(name: str, inputs: Any, num_train: int) -> dict[str, Any]:
    """How it is trained: like the model that these inputs would get without it."""
    family = convnet if isinstance(inputs, PictureInputs) else dense
    usual = family.defaults(name, inputs, num_train)
    return {key: value for key, value in usual.items() if not key.startswith("model.") and key != "regularise.dropout"}


FAMILY = Family(
    names=(CUSTOM,),
    title="your own network",
    source="",
    takes=("table", "picture"),
    build=build,
    defaults=defaults,
)
