"""Everything the page shows, as plain data: whoever fills it decides, the page only displays it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gnomon.core.example import BadInput
    from gnomon.core.parts import View
    from gnomon.figures.compared import Legend
    from gnomon.metrics.classification import Calibration, Confusion
    from gnomon.metrics.interval import Interval
    from gnomon.strategy.diagnosis import Diagnosis
    from gnomon.strategy.error_analysis import TagShare
    from gnomon.strategy.evidence import StageUnits
    from gnomon.strategy.improve_diary import Entry
    from gnomon.strategy.improve_probes import Probes
    from gnomon.strategy.slices import Slice
    from gnomon.strategy.two_way import TwoWay


@dataclass(frozen=True, slots=True)
class SettingLine:
    """One setting as it was used."""

    key: str
    value: str
    given_by_user: bool
    description: str


@dataclass(frozen=True, slots=True)
class Layer:
    """One row of the layer table."""

    name: str
    kind: str
    shape: str  # of its output for one example: "32 × 8 × 8"
    parameters: int
    multiply_adds: int | None  # for one example; None if not counted
    activation: int | None  # numbers in its output for one example


@dataclass(frozen=True, slots=True)
class DataCard:
    """What was read, how it was interpreted and why, and what is wrong with it."""

    origin: str
    recognised: str  # as which kind of data, and why
    splits: Mapping[str, int]  # {split: examples}, in the ladder's order
    classes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # {class: {split: examples}}
    notes: Sequence[str] = ()
    bad: Sequence[BadInput] = ()
    leaks: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Mistake:
    """One example the model got wrong, as people look at it."""

    id: str
    view: View
    target: str | float
    prediction: str | float
    error: float
    confidence: float | None = None
    loss: float | None = None
    legend: Legend | None = None  # where its picture has the label and the answer drawn on it
    answer: View | None = None  # where `view` is a text with the spans of its label: with those of the answer


@dataclass(frozen=True, slots=True)
class TagSheet:
    """What the errors of a split have in common, as known when the page was made."""

    split: str
    error: float
    examples: int
    errors: int
    reviewed: int  # errors that people reviewed
    shares: Sequence[TagShare]  # highest ceiling first; kind "yours" if people set the tag
    as_of: str = ""  # UTC, as text; "" if nobody has set a tag yet
    note: str = ""  # why something is missing


@dataclass(frozen=True, slots=True)
class Command:
    """One line to type, and what it does."""

    line: str
    purpose: str


@dataclass(frozen=True, kw_only=True)
class ReportRecord:
    """One run, ready to be shown. A field that is empty or None has no section on the page."""

    title: str  # the run's name
    task_title: str  # "image classification"
    gnomon_version: str
    run_path: str
    command_line: str
    started: str  # UTC, as text
    seconds: float  # for the whole fit
    diagnosis: Diagnosis
    settings: Sequence[SettingLine]
    environment: Mapping[str, Any]
    data: DataCard
    layers: Sequence[Layer] = ()
    history: Sequence[Mapping[str, Any]] = ()  # one mapping per epoch, as figures.learning_curves takes it
    signals: Sequence[str] = ()  # problems with activations, gradients and updates; the history has the numbers
    metrics: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)  # {split: {name: metric}}
    slices: Mapping[str, Sequence[Slice]] = field(default_factory=dict)  # {"class": ..., "tag.camera": ...}
    confusion: Confusion | None = None
    calibration: Calibration | None = None
    mistakes: Sequence[Mistake] = ()  # the most confident first
    num_mistakes: int | None = None  # in the whole split, if `mistakes` has only the first of them
    tag_sheet: TagSheet | None = None
    judged_split: str = "dev"  # the split that slices, confusion, calibration and mistakes come from
    figures: Mapping[str, Figure] = field(default_factory=dict)  # {title: the task's own picture}
    example_views: Sequence[tuple[str, View]] = ()  # (caption, view): what the data looks like
    test_openings: int = 0  # times the test split was opened
    reproduce: Sequence[Command] = ()
    two_way: TwoWay | None = None  # general and target data, trained on or not, if train-dev was measured
    units: Sequence[StageUnits] = ()  # what some units of each stage of a net for pictures see, if that was cheap
    samples: Sequence[str] = ()  # texts that a language model was asked to make up
    probes: Probes | None = None  # what changes to this system would gain, if measured
    diary: Sequence[Entry] = ()  # how the system was improved step by step, if it was


@dataclass(frozen=True, kw_only=True)
class CraftRecord:
    """The run of a craft, ready to be shown: measures in place of a ladder."""

    title: str  # the run's name
    craft: str  # "word vectors"
    gnomon_version: str
    run_path: str
    command_line: str
    started: str  # UTC, as text
    seconds: float
    origin: str
    summary: str  # what it was made of
    why: str
    notes: Sequence[str]
    measures: Sequence[Mapping[str, Any]]  # name, unit, better
    history: Sequence[Mapping[str, Any]]  # at least one row, as figures.measures takes it
    outputs: Sequence[tuple[str, int]]  # file, bytes
    views: Sequence[tuple[str, View]]
    figures: Mapping[str, Figure]  # {title: the craft's own picture}
    settings: Sequence[SettingLine]
    environment: Mapping[str, Any]
    reproduce: Sequence[Command]
