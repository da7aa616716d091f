"""Every setting: one typed, documented, validated place each. None means: chosen by task and data size.

A setting that is a knob names the link of the chain it acts on (`gnomon settings` shows it):
fit-train, fit-dev, fit-test, real-world; two links mark a knob that is not orthogonal (early stopping).
"""

from __future__ import annotations

import difflib
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from gnomon.core.errors import UsageError


def _seconds(value: Any) -> Any:
    """`90`, `"90s"`, `"10m"`, `"1.5h"` -> seconds."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*([0-9.]+)\s*([smh]?)\s*", value)
        if not match:
            raise ValueError(f"expected {DURATION}")
        return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
    return value


def _tuple(value: Any) -> Any:
    """`"256,128"`, `"[256, 128]"`, `256` -> a tuple."""
    if isinstance(value, str):
        text = value.strip().removeprefix("[").removesuffix("]")
        return tuple(part.strip().strip("\"'") for part in text.split(",") if part.strip())
    return (value,) if isinstance(value, int | float) else value


def _table(value: Any) -> Any:
    """`"1:0.1,30:0.01"` -> ("1:0.1", "30:0.01"), checked: epochs from 1 on, rising, rates above 0."""
    entries = _tuple(value)
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


RATE_TABLE = "epoch:rate pairs from epoch 1 on, such as 1:0.1,30:0.01"
DURATION = "a duration above 0, such as 90, 90s, 10m or 1.5h"
SEVERAL = ", or several separated by commas"  # after what a setting takes, if it takes a list
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, json_schema_extra={"takes": DURATION})]
Names = Annotated[tuple[str, ...], BeforeValidator(_tuple)]
Widths = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_tuple)]
Rates = Annotated[tuple[Annotated[float, Field(ge=0, lt=1)], ...], BeforeValidator(_tuple)]
RateTable = Annotated[tuple[str, ...], BeforeValidator(_table), Field(json_schema_extra={"takes": RATE_TABLE})]
Activation = Literal["relu", "leaky_relu", "tanh", "sigmoid"]
Activations = Annotated[tuple[Activation, ...], Field(min_length=1), BeforeValidator(_tuple)]

Link = Literal["fit-train", "fit-dev", "fit-test", "real-world"]


def _setting(default: Any, description: str, *, link: str = "", **limits: Any) -> Any:
    """A field; `link` holds one or two links separated by a space when the setting is a knob."""
    return Field(default=default, description=description, json_schema_extra={"link": link}, **limits)


class _Group(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=False, protected_namespaces=(), allow_inf_nan=False
    )


class DataSettings(_Group):
    """What is read, and how."""

    target: Names | None = _setting(None, "the column or columns to predict (tables)")
    target_data: str | None = _setting(None, "data from the target distribution: dev and test come from it")
    labels: str | None = _setting(
        None,
        "a CSV of corrected labels (id, label), as gnomon labels writes it; the data is not changed",
        link="fit-train",
    )
    group: str | None = _setting(
        None, "column of groups that are never split across train, dev and test (patient, speaker)"
    )
    time: str | None = _setting(None, "column to split by time: train on the past, evaluate on the future")
    ignore: Names = _setting((), "columns to ignore")
    delimiter: str | None = _setting(None, "field separator of text tables, if the detected one is wrong")
    encoding: str | None = _setting(None, "text encoding of tables, if the detected one is wrong")
    missing: Names = _setting(("",), "cells that mean unknown; only empty cells by default (NA may be a name)")
    image_size: int | None = _setting(None, "pictures are resized to this many pixels per side", ge=4, le=2048)
    max_bad: float = _setting(0.05, "largest share of unreadable files that a run tolerates", ge=0, le=1)
    max_pixels: int = _setting(50_000_000, "pictures with more pixels than this are refused unread", ge=1)


class SplitSettings(_Group):
    """How examples are split if the source has no splits of its own."""

    dev: float | None = _setting(None, "share of examples for dev (by size: 20 % down to 1 %)", gt=0, lt=1)
    test: float | None = _setting(None, "share of examples for test (0: none)", ge=0, lt=1)
    train_dev: float | None = _setting(
        None, "share of train held out as train-dev when target_data is given", gt=0, lt=1
    )
    duplicates: Literal["report", "drop"] = _setting(
        "report", "copies of dev or test examples found in train: report them, or drop them from train", link="fit-test"
    )


class ModelSettings(_Group):
    """The network."""

    name: str | None = _setting(None, "architecture: logistic, linear, dense, lenet5, convnet", link="fit-train")
    hidden: Widths | None = _setting(None, "units of each hidden layer (dense), e.g. 256,128", link="fit-train")
    channels: Widths | None = _setting(None, "channels of each stage (convnet), e.g. 32,64,128", link="fit-train")
    activation: Activations | None = _setting(
        None, "activation of hidden layers: one value, or one per hidden layer, e.g. tanh,relu", link="fit-train"
    )
    normalisation: Literal["batch", "layer", "none"] | None = _setting(
        None, "normalisation before the activation, over the batch or over the units of the layer", link="fit-train"
    )


class InitSettings(_Group):
    """How weights are initialised."""

    name: Literal["zeros", "small", "xavier", "glorot", "he"] | None = _setting(
        None,
        "zeros; small = 0.01 N(0,1); xavier = sqrt(1/n_in); glorot = sqrt(2/(n_in+n_out)); he = sqrt(2/n_in)",
        link="fit-train",
    )
    scale: float = _setting(
        1.0, "factor on the weights the scheme draws (except the last layer)", gt=0, link="fit-train"
    )


class RegulariseSettings(_Group):
    """What keeps a network from memorising its training examples."""

    weight_decay: float | None = _setting(None, "decoupled weight decay, on weights only", ge=0, link="fit-dev")
    l2: float = _setting(0.0, "lambda of the loss term lambda/(2 m) * sum(w^2), on weights only", ge=0, link="fit-dev")
    l1: float = _setting(0.0, "lambda of the loss term lambda/m * sum(|w|), on weights only", ge=0, link="fit-dev")
    dropout: Rates | None = _setting(
        None, "probability of zeroing a unit: one value, or one per hidden layer", link="fit-dev"
    )
    label_smoothing: float = _setting(0.0, "probability spread over all classes", ge=0, lt=1, link="fit-dev")
    augment: Literal["none", "shift", "shift+mirror"] | None = _setting(
        None, "random changes to training pictures", link="fit-dev"
    )
    ema: float = _setting(
        0.0, "decay of the moving average of weights that is evaluated and kept (0: off)", ge=0, lt=1, link="fit-dev"
    )


class OptimiserSettings(_Group):
    """How a step is computed."""

    name: Literal["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"] | None = _setting(
        None, "update rule", link="fit-train"
    )
    learning_rate: float | None = _setting(
        None, "peak step size (fit also takes auto: found by a range test)", gt=0, link="fit-train"
    )
    batch_size: int | None = _setting(None, "examples per step (0: all of them)", ge=0, link="fit-train")
    momentum: float = _setting(0.9, "beta of momentum and nesterov; beta_1 of adam", ge=0, lt=1, link="fit-train")
    beta2: float = _setting(0.999, "beta_2 of adam; beta of rmsprop", ge=0, lt=1, link="fit-train")
    epsilon: float = _setting(1e-8, "added to the square root in adam and rmsprop", gt=0, link="fit-train")
    clip_norm: float = _setting(0.0, "largest norm of the gradient (0: not clipped)", ge=0, link="fit-train")
    clip_value: float = _setting(
        0.0, "largest absolute value of a gradient entry (0: not clipped)", ge=0, link="fit-train"
    )


class ScheduleSettings(_Group):
    """How the learning rate changes."""

    name: (
        Literal["constant", "cosine", "one-cycle", "inverse", "exponential", "staircase", "root", "discrete"] | None
    ) = _setting(
        None,
        "constant; cosine; one-cycle; inverse = 1/(1+decay*epoch); exponential = decay^epoch; staircase = decay every "
        "`every` epochs; root = decay/sqrt(epoch); discrete = the rates of `table`",
        link="fit-train",
    )
    warmup: float | None = _setting(
        None,
        "share of all steps spent rising to the learning rate: 0.05 for cosine, 0.3 for one-cycle, otherwise 0",
        ge=0,
        lt=1,
        link="fit-train",
    )
    decay: float | None = _setting(None, "the decay of inverse, exponential, staircase or root", gt=0, link="fit-train")
    every: int = _setting(10, "epochs per stair of staircase", ge=1, link="fit-train")
    table: RateTable | None = _setting(
        None, "learning rates and the epochs they start at, for discrete, e.g. 1:0.1,30:0.01", link="fit-train"
    )


class StopSettings(_Group):
    """When training ends."""

    epochs: int | None = _setting(None, "passes over train", ge=1, link="fit-train")
    max_time: Seconds | None = _setting(None, "hard limit for the whole fit: 90, 90s, 10m, 1.5h")
    patience: int = _setting(
        0, "stop after this many epochs without a better dev error (0: off)", ge=0, link="fit-train fit-dev"
    )


class MachineSettings(_Group):
    """What the run may use. Changes speed; with the same values a run repeats bit for bit."""

    device: Literal["auto", "cpu", "cuda"] = _setting("auto", "where to compute")
    threads: int | None = _setting(
        None, "CPU threads (by the size of a step, one on a busy machine; a number you give is kept)", ge=1
    )
    allocator: Literal["system", "keep"] | None = _setting(
        None,
        "keep: keep freed memory for the whole process (faster convnets, more memory), as the command line does; "
        "system: return it, as a library call does",
    )
    save_every: Seconds = _setting(30.0, "seconds of training between checkpoints")


class GoalSettings(_Group):
    """What the system is measured against."""

    human: Annotated[tuple[Annotated[float, Field(ge=0)], ...], BeforeValidator(_tuple)] | None = _setting(
        None, "human-level error, one or several (the best counts): 0.005, or 0.03,0.01,0.007"
    )


def _by_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class Settings(_Group):
    """All settings of a run."""

    task: str | None = _setting(None, "the task, if the recognised one is wrong")
    seed: int = _setting(0, "the one seed of the run", ge=0)
    run_name: str | None = _setting(None, "name of the run folder, after the time (default: the data's name)")
    runs_folder: str = _setting("runs", "where run folders are created", min_length=1)
    data: DataSettings = DataSettings()
    split: SplitSettings = SplitSettings()
    model: Annotated[ModelSettings, BeforeValidator(_by_name)] = ModelSettings()
    init: Annotated[InitSettings, BeforeValidator(_by_name)] = InitSettings()
    regularise: RegulariseSettings = RegulariseSettings()
    optimiser: Annotated[OptimiserSettings, BeforeValidator(_by_name)] = OptimiserSettings()
    schedule: Annotated[ScheduleSettings, BeforeValidator(_by_name)] = ScheduleSettings()
    stop: StopSettings = StopSettings()
    machine: MachineSettings = MachineSettings()
    goal: GoalSettings = GoalSettings()


@dataclass(frozen=True)
class SettingRow:
    """One setting as `gnomon settings` shows it."""

    key: str  # "optimiser.learning_rate"
    default: Any
    description: str
    links: tuple[str, ...]


def rows() -> Iterator[SettingRow]:
    """Every setting, in the order of this page."""
    for key, info in Settings.model_fields.items():
        group = _group_class(key)
        if group is None:
            yield _row(key, info)
        else:
            for leaf, leaf_info in group.model_fields.items():
                yield _row(f"{key}.{leaf}", leaf_info)


def _row(key: str, info: Any) -> SettingRow:
    return SettingRow(key, info.default, info.description or "", tuple(info.json_schema_extra["link"].split()))


def _group_class(key: str) -> type[_Group] | None:
    default = Settings.model_fields[key].default
    return type(default) if isinstance(default, _Group) else None


GROUPS = tuple(key for key in Settings.model_fields if _group_class(key) is not None)

FAMILIAR = {  # what other tools call a setting: named in the error, never taken silently
    "lr": "optimiser.learning_rate", "alpha": "optimiser.learning_rate", "bs": "optimiser.batch_size",
    "batch": "optimiser.batch_size", "optimizer": "optimiser.name", "wd": "regularise.weight_decay",
    "num_epochs": "stop.epochs", "n_epochs": "stop.epochs", "early_stopping": "stop.patience",
    "time_limit": "stop.max_time", "timeout": "stop.max_time", "arch": "model.name", "architecture": "model.name",
    "label": "data.target", "labels": "data.target", "y": "data.target", "sep": "data.delimiter",
    "separator": "data.delimiter", "img_size": "data.image_size", "size": "data.image_size", "val": "split.dev",
    "valid": "split.dev", "validation": "split.dev", "random_state": "seed", "gpu": "machine.device",
    "num_workers": "machine.threads", "workers": "machine.threads", "name": "run_name", "output": "runs_folder",
    "keep_prob": "regularise.dropout, which is 1 - keep_prob",
}  # fmt: skip


@cache
def _known() -> frozenset[str]:
    return frozenset(row.key for row in rows())


def full_key(key: str) -> str:
    """`learning_rate` -> `optimiser.learning_rate`; `model` -> `model.name`. Raises UsageError with the nearest key."""
    known = _known()
    key = key.replace("-", "_")
    if key in known:
        return key
    if key in GROUPS and f"{key}.name" in known:
        return f"{key}.name"
    by_leaf = [name for name in known if name.rpartition(".")[2] == key and key != "name"]
    if len(by_leaf) == 1:
        return by_leaf[0]
    raise UsageError(f"unknown setting {key!r}.", fix=_nearest_key(key, known))


def _nearest_key(key: str, known: frozenset[str]) -> str:
    leaf = key.rpartition(".")[2]
    if leaf in FAMILIAR:
        return f"did you mean {FAMILIAR[leaf]}?"
    names = {name.rpartition(".")[2]: name for name in known if not name.endswith(".name")}
    names |= {name.removesuffix(".name"): name for name in known} | {name: name for name in known}
    near = difflib.get_close_matches(key, names, n=1)
    return f"did you mean {names[near[0]]}?" if near else "`gnomon settings` lists every setting."


def from_flat(values: Mapping[str, Any]) -> Settings:
    """Settings from {"epochs": "5", "optimiser.learning_rate": 0.01}. Raises UsageError naming key and value."""
    tree: dict[str, Any] = {}
    seen: dict[str, str] = {}  # full key -> as it was given
    for given, value in _leaves(values):
        key = full_key(given)
        if key in seen:
            raise UsageError(f"{key} is given twice: as {seen[key]} and as {given}.", fix="give it once.")
        seen[key] = given
        group, _, leaf = key.rpartition(".")
        (tree.setdefault(group, {}) if group else tree)[leaf] = value
    return _validated(tree)


def _leaves(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and key in GROUPS:
            yield from ((f"{key}.{leaf}", one) for leaf, one in value.items())
        else:
            yield key, value


def with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """The same settings with other values for the given full keys. Raises UsageError as `from_flat` does."""
    tree = settings.model_dump()
    for key, value in values.items():
        group, _, leaf = full_key(key).rpartition(".")
        (tree[group] if group else tree)[leaf] = value
    return _validated(tree)


def value_of(settings: Settings, key: str) -> Any:
    """The value of a full key."""
    group, _, leaf = key.rpartition(".")
    return getattr(getattr(settings, group) if group else settings, leaf)


def fill(settings: Settings, defaults: Mapping[str, Any]) -> Settings:
    """Put `defaults` (full keys) where settings are unset; what the user set stays."""
    return with_values(
        settings, {key: value for key, value in defaults.items() if value_of(settings, full_key(key)) is None}
    )


def flat(settings: Settings) -> dict[str, Any]:
    """{"optimiser.learning_rate": 0.001, ...} as plain JSON values."""
    tree = settings.model_dump(mode="json")
    return {
        row.key: (tree[row.key.partition(".")[0]][row.key.partition(".")[2]] if "." in row.key else tree[row.key])
        for row in rows()
    }


def _validated(tree: dict[str, Any]) -> Settings:
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
        given = first.get("input")
        shown = given if isinstance(given, str | int | float | bool) else json.dumps(given, default=str)
        row = next((row for row in rows() if row.key == key), None)
        takes = _takes(key) if row else ""
        why = f"expected {takes}" if takes else first["msg"][0].lower() + first["msg"][1:]
        about = f" ({row.description})" if row else ""
        raise UsageError(f"{key}={shown} cannot be used: {why}{about}.", fix=_instead(key, shown, takes)) from None


def _schema(key: str) -> dict[str, Any]:
    """The JSON schema of one value of a setting."""
    group, _, leaf = key.rpartition(".")
    kind = _group_class(group) if group else Settings
    schema: dict[str, Any] = kind.model_json_schema()["properties"][leaf] if kind else {}
    return next((part for part in schema.get("anyOf", ()) if part.get("type") != "null"), schema)


def _takes(key: str) -> str:
    """The values of a setting in words: "a whole number of at least 1"; "" if that takes more than a phrase."""
    schema = _schema(key)
    one = schema.get("items", schema)
    if "takes" in schema or "takes" in one:
        return str(schema.get("takes") or one["takes"])
    if "enum" in one:
        *others, last = map(str, one["enum"])
        return f"{', '.join(others)} or {last}" if others else last
    kind = {"integer": "a whole number", "number": "a number", "string": "text"}.get(one.get("type", ""))
    if kind is None:
        return ""
    if one.get("minLength"):
        kind = "non-empty text"
    words = {
        "minimum": "of at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    limits = " and ".join(f"{word} {one[limit]:g}" for limit, word in words.items() if limit in one)
    several = SEVERAL if "items" in schema else ""
    return f"{kind}{' ' if limits else ''}{limits}{several}"


def _instead(key: str, given: Any, takes: str) -> str:
    if not takes:
        return f"`gnomon settings` describes {key}."
    schema = _schema(key)
    choices = schema.get("items", schema).get("enum", ())
    near = difflib.get_close_matches(str(given), map(str, choices), n=1, cutoff=0.7)
    if near:
        return f"did you mean {key}={near[0]}?"
    return f"give {'one of these' if choices else takes.removesuffix(SEVERAL)}, or leave it out."
