"""What the JSON files of a run hold, as types: who reads one gets these, or an ArtefactError that names the place."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from gnomon.core.plain import NAN_TOO, NOT_EMPTY, Between, Count, Entries, Finite, Seconds, Share

Measured = Annotated[float, NAN_TOO]  # a diverged training measures NaN


class SplitCounts(TypedDict):
    """Examples of each split."""

    train: Count
    dev: Count
    train_dev: NotRequired[Count]
    test: NotRequired[Count]


class StartCard(TypedDict):
    """Weights from elsewhere that a model starts from."""

    origin: str  # a file, or a package and its version
    sha256: str  # of the file
    names: str  # whose names its tensors have; "" for gnomon's own
    taken: Count  # tensors
    left: list[str]  # tensors in the file that were not taken


class DataCard(TypedDict):
    """data.json: what was read, and how it was divided."""

    source: str
    reopen: str | None  # where the data can be opened again; None for data that was in memory
    name: NotRequired[str]
    unit: NotRequired[str | None]  # of the task's errors
    why: str  # it was taken for this task
    splits: SplitCounts
    hashes: NotRequired[dict[str, str]]
    classes: dict[str, dict[str, Count]]  # examples of each class, by split; empty where there are no classes
    notes: list[str]
    bad: list[tuple[str, str]]  # where, and why it cannot be read
    leaks: list[str]
    repeats: NotRequired[Share]  # of train: examples that equal another one of train
    dev_drawn_from: NotRequired[Count | None]  # examples of which split.dev is a share; None: dev is the user's own
    start: NotRequired[StartCard | None]


class LayerRow(TypedDict):
    """A layer of the network, for one example."""

    name: str
    kind: str
    shape: str
    parameters: Count
    multiply_adds: Count | None
    activation: Count | None


class Outcome(TypedDict):
    """outcome.json: how the training of a run went."""

    seconds: Seconds
    steps: Count
    best_epoch: NotRequired[Count]
    ended_because: str
    training_seconds: NotRequired[Seconds]
    dev_looks: Count
    layers: list[LayerRow]
    earlier_looks: NotRequired[Count]  # at dev, by the search that found the settings


class Environment(TypedDict):
    """environment.json: what the run was made with."""

    time: str
    command: list[str]
    gnomon: NotRequired[str | None]
    python: NotRequired[str]
    platform: NotRequired[str]
    cpu: NotRequired[str]
    cores: NotRequired[Count]
    memory_bytes: NotRequired[Count | None]
    packages: NotRequired[dict[str, str]]


class SignalRow(TypedDict):
    """What flowed through a layer: core.layer_signals.LayerSignal."""

    layer: str
    mean: Measured
    std: Measured
    gradient: Measured
    update_ratio: Measured
    dead: Share | None
    saturated: Share | None


class HistoryRow(TypedDict):
    """history.jsonl: an epoch."""

    epoch: Count
    step: NotRequired[Count]
    train_loss: Measured
    train_error: Measured
    train_dev_error: NotRequired[Measured]
    dev_error: Measured
    dev_low: NotRequired[Measured]
    dev_high: NotRequired[Measured]
    learning_rate: Finite
    seconds: NotRequired[Seconds]
    examples_per_second: NotRequired[float]
    best: bool
    signals: NotRequired[list[SignalRow]]
    micro_batch: NotRequired[Count]  # examples at a time, where a whole batch did not fit
    remarks: NotRequired[list[str]]  # what is plainly wrong in the answers


class Opening(TypedDict):
    """openings.jsonl: the test split was looked at."""

    opened: str  # UTC, ISO 8601


NudgeKey = Literal["optimiser.learning_rate", "optimiser.batch_size", "regularise.weight_decay"]


class Nudge(TypedDict):
    """nudges.jsonl: a setting that was changed while the run trained."""

    step: Count
    key: NudgeKey
    old: int | float
    new: int | float
    time: str
    request: str


class NudgeRequest(TypedDict):
    """nudge_requests.jsonl: a change that somebody asked for."""

    request: str
    key: NudgeKey
    value: int | float


# --- crafts -----------------------------------------------------------------------------------------------------------
class MeasureCard(TypedDict):
    """A measure of a craft, as core.craft.Measure."""

    name: str
    unit: str
    better: Literal["less", "more", "neither"]


class CraftCard(TypedDict):
    """data.json of a craft's run: what it works on, and what it measures."""

    source: str
    reopen: str | list[str] | None  # where it can be opened again: files, if several; None for what was in memory
    name: str
    craft: str  # its title
    why: str  # it was taken for this craft's
    summary: str
    fingerprint: str
    notes: list[str]
    measures: Annotated[list[MeasureCard], NOT_EMPTY]


class MeasuredRow(TypedDict):
    """history.jsonl of a craft's run: an epoch."""

    epoch: Count
    step: Count
    losses: dict[str, Measured]  # of each player, the mean over the epoch
    measures: dict[str, Measured]
    learning_rate: Finite
    seconds: Seconds


class OutputFile(TypedDict):
    """A file that a craft made."""

    name: str
    bytes: Count


class CraftOutcome(TypedDict):
    """outcome.json of a craft's run."""

    seconds: Seconds
    steps: Count
    ended_because: str
    parameters: Count
    outputs: list[OutputFile]


# --- models -----------------------------------------------------------------------------------------------------------
class SavedTask(TypedDict):
    """task.json, beside the weights: the task, its facts fitted on train, and all settings."""

    task: str
    facts: dict[str, Any]  # the task itself says what these are
    settings: dict[str, Any]


# --- searches ---------------------------------------------------------------------------------------------------------
class Search(TypedDict):
    """search.json: what a search was given."""

    trials: Annotated[int, Between(2, 10**6)]
    seconds: Seconds | None
    sampler: Literal["zoom", "random", "grid", "tpe"]
    stop_early: bool
    repeats: Annotated[int, Between(0, 10**4)]
    satisfy: list[str]
    space: dict[str, Any]  # see search.space


class Ends(TypedDict):
    """A difference with its interval."""

    value: float
    low: float
    high: float


class FoundTrial(TypedDict):
    """A trial of a search; a number that is none is null."""

    number: Count
    error: float
    low: float | None
    high: float | None
    train_error: float | None
    seconds: Seconds
    values: Annotated[dict[str, Any], NOT_EMPTY]
    settings: dict[str, Any]
    measures: dict[str, float | None]


class Luck(TypedDict):
    """How much better the best looks than it is."""

    looks: Count
    expected: float | None
    bound: float


class Again(TypedDict):
    """Errors with other seeds."""

    best: NotRequired[list[float]]
    defaults: NotRequired[list[float]]
    gain: Ends | None


class Importance(TypedDict):
    """How much each setting explains."""

    shares: dict[str, Finite]
    explained: float


class Edge(TypedDict):
    """The best lies at an end of a range."""

    name: str
    value: float
    end: str
    wider: Annotated[list[float], Entries(2, 2)]


class SearchOutcome(TypedDict):
    """outcome.json of a search."""

    search: str
    task: str
    error_name: str
    unit: str | None
    trials: dict[str, Count]
    best: FoundTrial
    defaults: FoundTrial | None
    conditions: list[str]
    luck: Luck | None
    gain: Ends | None
    again: Again
    importance: Importance | None
    edges: list[Edge]
    zooms: list[dict[str, Any]]
    settings_file: str
    run: str
    report: str | None
    seconds: Seconds
