"""Knobs: settings that improve one link of the chain. Each is declared once, in the field of the setting itself.

Advice, `improve`, `tune` and the page of settings read these declarations; none of them knows a setting by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Link = Literal["fit-train", "fit-dev", "fit-test", "real-world"]
Scale = Literal["linear", "log", "1 - beta, log", "whole", "whole, log", "powers of two", "choice"]

# What a setting may need in order to do anything. A task's parts and a family list the abilities they have; a task or
# family may define more of its own, which its own settings need.
COLUMNS = "columns"  # the source is a table
GROUPS = "groups"  # the source may say which examples belong together
NUMBERS = "numbers"  # columns of numbers are inputs
PICTURES = "pictures"
TEXT = "text"  # the source is text
TAGS = "tags"  # the source is text whose tokens have tags
RUNNING_TEXT = "running text"  # without labels
LABELLED_TEXT = "labelled text"  # with a class each
PAIRS = "pairs"  # the source is pairs of texts
WHOLE_SEQUENCES = "whole sequences"  # texts or series, read as a whole, not foretold piece by piece
WHOLE_TEXTS = "whole texts"  # likewise, texts alone
LAYOUT = "layout"  # the source may be an array of more than two axes
SERIES = "series"  # rows of a table may be the steps of a series
CLASSES = "classes"  # an example has one class
ANSWERS = "answers"  # that are chosen for a metric: one class per example, boxes of enough confidence
AUGMENTATION = "augmentation"
SOFT_LABELS = "soft labels"
MIXED_TARGETS = "mixed targets"  # examples that can be augmented, and a loss between two targets
DRAWN_WEIGHTS = "drawn weights"  # the weights are drawn when training starts, not given
HIDDEN_LAYERS = "hidden layers"
DRAWN_LAYERS = "drawn layers"  # hidden layers whose weights are drawn, not taken from elsewhere
DROPOUT = "dropout"
TARGET_DATA = "target data"
STARTS = "starts"  # the model may begin with weights from elsewhere
STAGES = "stages"  # the model is a backbone, whose stages can be frozen or trained at rates of their own
PUBLIC_WEIGHTS = "public weights"  # of a package that is installed, for colour pictures
TRAINED_STAGES = "trained stages"  # not all of them are frozen
EXAMPLES = "examples"  # there are examples that are divided, learned from and judged: everywhere but in a craft

NEEDS: Mapping[str, str] = {  # as told to a user
    COLUMNS: "it acts on tables",
    GROUPS: "it acts on tables and lists",
    NUMBERS: "it acts on tables",
    PICTURES: "it acts on pictures",
    TEXT: "it acts on text",
    TAGS: "it acts on text whose tokens have tags",
    RUNNING_TEXT: "it acts on text without labels",
    LABELLED_TEXT: "it acts on texts with a class each",
    PAIRS: "it acts on pairs of texts (task=translation)",
    WHOLE_SEQUENCES: "it acts on texts and series that are classified, tagged or measured as a whole",
    WHOLE_TEXTS: "it acts on texts that are classified or tagged",
    LAYOUT: "it acts on arrays of pictures, signals or volumes",
    SERIES: "it acts on series (task=sequence)",
    CLASSES: "it needs one class per example",
    ANSWERS: "it needs one class per example, or boxes",
    AUGMENTATION: "it needs training examples that can be augmented",
    MIXED_TARGETS: "it needs pictures with classes",
    SOFT_LABELS: "it needs one class per example, or pieces of text",
    DRAWN_WEIGHTS: "it acts on a model that gnomon initialises",
    HIDDEN_LAYERS: "it acts on models with hidden layers",
    DRAWN_LAYERS: "it acts on hidden layers whose weights are drawn",
    DROPOUT: "it acts on models with hidden layers",
    TARGET_DATA: "it needs target_data",
    EXAMPLES: "it needs examples that are learned from and judged",
    STARTS: "it acts on models with stages, and on language models (gnomon models)",
    STAGES: "it acts on models with stages (gnomon models)",
    PUBLIC_WEIGHTS: "it needs colour pictures and the package of public weights",
    TRAINED_STAGES: "it acts where not every stage is frozen",
}


@dataclass(frozen=True)
class Step:
    """One way to turn a knob further, and what to expect of it before it is tried.

    `next` gets the current value and the settings around it; it returns the next value, a dict of changes for several
    settings (full keys), or None if the knob cannot be turned that way.
    """

    name: str  # "wider": the same for every step in one direction
    link: Link  # it is meant for
    next: Callable[[Any, Here], Any]
    why: str
    gain: float | Callable[[Any, Here], float]  # share of the dev error it removes if its link is at fault
    cost: float = 1.0  # compute of a training, relative to the current one

    def expected(self, value: Any, here: Here) -> float:
        return self.gain(value, here) if callable(self.gain) else self.gain


@dataclass(frozen=True)
class Search:
    """How a search varies a knob: on which scale, in which tier (1 first), and between which values by default.

    `ends` gets the current value and returns (low, high), or None: varied only if the user gives a range.
    `part` names one aspect of a list of widths ("units", "layers", "channels") that is searched instead of the list.
    """

    scale: Scale
    tier: int = 3
    ends: Callable[[Any, Here], tuple[float, float] | None] = lambda _value, _here: None
    part: str = ""


@dataclass(frozen=True)
class Knob:
    """What a setting declares beside its type: links of the chain, what it needs, how it is turned and searched.

    `needs` is an ability, "" for none. `when` names another setting and the values with which this one has an effect.
    """

    links: tuple[Link, ...] = ()
    needs: str = ""
    when: tuple[str, tuple[Any, ...]] | None = None
    steps: tuple[Step, ...] = ()
    search: tuple[Search, ...] = ()
    key: str = ""  # full key, filled in where the knob is read from its field
    short: str = ""  # the shortest name the command line takes
    description: str = ""


@dataclass(frozen=True)
class Here:
    """Where knobs are turned from: a system's settings, filled in, and the abilities of its task and family."""

    settings: Mapping[str, Any]  # full key -> plain JSON value
    abilities: frozenset[str] = frozenset()
    knobs: tuple[Knob, ...] = field(default=(), repr=False)  # of every setting of this task and family
    num_train: int = 0

    def acts(self, knob: Knob) -> bool:
        """Whether this setting does anything here."""
        return self.why_idle(knob) == ""

    def why_idle(self, knob: Knob) -> str:
        """Why the setting does nothing here, as the end of a sentence; "" if it does something."""
        if knob.needs and knob.needs not in self.abilities:
            return NEEDS.get(knob.needs, f"it needs {knob.needs}")
        if knob.when is not None:
            key, values = knob.when
            if self.settings.get(key) not in values:
                *others, last = map(str, values)
                names = f"{', '.join(others)} or {last}" if others else last
                return f"it only acts with {_short_of(key)}={names}"
        return ""

    def active(self) -> tuple[Knob, ...]:
        """The knobs that act here and belong to a link of the chain."""
        return tuple(knob for knob in self.knobs if knob.links and self.acts(knob))


def _short_of(key: str) -> str:
    group, _, leaf = key.rpartition(".")
    return group if leaf == "name" else leaf
