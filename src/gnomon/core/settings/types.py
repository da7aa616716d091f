"""What settings are made of: their types as people write them, their fields, their groups."""

from __future__ import annotations

import itertools
import math
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gnomon.core.augmentation import written
from gnomon.core.knobs import Knob, Link

FIT_TRAIN: tuple[Link, ...] = ("fit-train",)  # what a knob acts on
FIT_DEV: tuple[Link, ...] = ("fit-dev",)


def _seconds(value: Any) -> Any:
    """`90`, `"90s"`, `"10m"`, `"1.5h"` -> seconds."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*([0-9.]+)\s*([smh]?)\s*", value)
        if not match:
            raise ValueError(f"expected {DURATION}")
        return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
    return value


def as_tuple(value: Any) -> Any:
    """`"256,128"`, `"[256, 128]"`, `256` -> a tuple."""
    if isinstance(value, str):
        text = value.strip().removeprefix("[").removesuffix("]")
        return tuple(part.strip().strip("\"'") for part in text.split(",") if part.strip())
    return (value,) if isinstance(value, int | float) else value


def _table(value: Any) -> Any:
    """`"1:0.1,30:0.01"` -> ("1:0.1", "30:0.01"), checked: epochs from 1 on, rising, rates above 0."""
    entries = as_tuple(value)
    pairs = [re.fullmatch(r"(\d+):([0-9.eE+-]+)", str(entry).replace(" ", "")) for entry in entries]
    try:
        table = [(int(pair[1]), float(pair[2])) for pair in pairs if pair]
    except ValueError:
        table = []
    epochs = [epoch for epoch, _ in table]
    rises = epochs[:1] == [1] and all(first < second for first, second in itertools.pairwise(epochs))
    if len(table) != len(entries) or not rises or not all(0 < rate < math.inf for _, rate in table):
        raise ValueError(f"expected {RATE_TABLE}")
    return tuple(f"{epoch}:{rate!r}" for epoch, rate in table)


def _threads(value: Any) -> Any:
    """`2`, `"2"`, `"adaptive"`."""
    is_number = isinstance(value, int | str) and not isinstance(value, bool) and re.fullmatch(r"\d{1,4}", str(value))
    if value != "adaptive" and not (is_number and 1 <= int(value) <= 1024):
        raise ValueError(f"expected {THREAD_NUMBER}")
    return int(value) if is_number else value


def _human(value: Any) -> Any:
    """`0.01`, `"0.03,0.01"` -> (0.03, 0.01); a table of answers -> its absolute path: a run is read from anywhere."""
    if isinstance(value, os.PathLike) or (isinstance(value, str) and value.strip().lower().endswith(ANSWERS)):
        return str(Path(os.fsdecode(value).strip()).expanduser().absolute())
    figures = as_tuple(value)
    try:
        found = tuple(float(figure) for figure in figures)
    except (TypeError, ValueError):
        raise ValueError(f"expected {HUMAN}") from None
    if not all(figure >= 0 for figure in found):
        raise ValueError(f"expected {HUMAN}")
    return found


# No machine trains with more of anything: a larger number is a typo, or a file that was tampered with.
MOST = 1_000_000_000  # epochs, examples per step, seconds
LARGEST = 10**30  # for a factor: float32 ends at 3.4e38
MOST_UNITS = 1_000_000  # per layer
MOST_LAYERS = 1_000

RATE_TABLE = "epoch:rate pairs from epoch 1 on, such as 1:0.1,30:0.01"
SEVERAL = ", or several separated by commas"  # after what a setting takes, if it takes a list
THREAD_NUMBER = "a whole number from 1 to 1024, or adaptive"
ANSWERS = (".csv", ".parquet", ".pq")  # tables of people's answers
HUMAN = "a number of at least 0, such as 0.005, or a table of people's answers (.csv, .parquet)"
DURATION = "a duration above 0, such as 90, 90s, 10m or 1.5h"
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=MOST, json_schema_extra={"takes": DURATION})]
Threads = Annotated[
    int | Literal["adaptive"], BeforeValidator(_threads), Field(json_schema_extra={"takes": THREAD_NUMBER})
]
HumanLevel = Annotated[tuple[float, ...] | str, BeforeValidator(_human), Field(json_schema_extra={"takes": HUMAN})]
Names = Annotated[tuple[str, ...], BeforeValidator(as_tuple)]


def _forms(value: Any) -> Any:
    """0 is how a command says that there are none."""
    return () if value in ("0", 0) else as_tuple(value)


TextForms = Annotated[tuple[Literal["nfc", "nfkc", "lower"], ...], BeforeValidator(_forms)]
SomeLayers = Field(max_length=MOST_LAYERS)
Widths = Annotated[tuple[Annotated[int, Field(ge=1, le=MOST_UNITS)], ...], BeforeValidator(as_tuple), SomeLayers]
Rates = Annotated[tuple[Annotated[float, Field(ge=0, lt=1)], ...], BeforeValidator(as_tuple), SomeLayers]
RateTable = Annotated[tuple[str, ...], BeforeValidator(_table), Field(json_schema_extra={"takes": RATE_TABLE})]
Augment = Annotated[str | None, BeforeValidator(written)]
Activation = Literal["relu", "leaky_relu", "tanh", "sigmoid"]
Activations = Annotated[tuple[Activation, ...], Field(min_length=1, max_length=MOST_LAYERS), BeforeValidator(as_tuple)]


def setting(default: Any, description: str, knob: Knob | None = None, **limits: Any) -> Any:
    """A field of a group of settings: its default (None: chosen by task and data size), what it does, its knob.

    A number that has a lower limit and no upper one ends at LARGEST.
    """
    if limits.keys() & {"ge", "gt"} and not limits.keys() & {"le", "lt"}:
        limits["le"] = LARGEST
    info = Field(default=default, description=description, **limits)
    info.metadata.append(knob or Knob())
    return info


class Group(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=False, protected_namespaces=(), allow_inf_nan=False
    )


class OwnSettings(Group):
    """The settings that one task or one model family declares as its own. Subclass it with fields of `setting`."""


class OpenGroup(Group):
    """A name, and the values of the settings that the task or family of that name declares."""

    model_config = ConfigDict(extra="allow")

    name: str | None

    @property
    def own(self) -> dict[str, Any]:
        """The values of the declared settings, without the name."""
        return dict(self.model_extra or {})
