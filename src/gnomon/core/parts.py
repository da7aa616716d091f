"""The parts a task is composed of, a reader, an encoder, a head and a judge, and what passes between them.

A part is a final frozen dataclass. A reader knows how data of one kind is laid out on disk; the fields of the other
three are facts fitted on the training split, which the run saves as JSON. What every part must answer is abstract; a
hook that most parts do not need does nothing unless a part defines it.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

from gnomon.core.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import polars as pl
    import torch
    from matplotlib.figure import Figure

    from gnomon.core.evaluation import Evaluation, SplitError
    from gnomon.core.example import Example, Examples, Reading
    from gnomon.core.family import Inputs
    from gnomon.core.settings import DataSettings, RegulariseSettings
    from gnomon.data.columns import Columns
    from gnomon.data.source import Source

Batch = dict[str, "torch.Tensor"]
"""Named tensors whose first dim is B. `weight` (B,) counts the scored units of each example; without it, one each."""

MIXED_WITH, OWN_SHARE = "mixed_with", "own_share"
"""What an encoder's `augment` adds to a batch in which examples are mixed: the position of each one's partner (B,), and
its own share (B,). Its loss is that share of its own target's, and for the rest its partner's."""

EACH = "each"
"""What the model gave for each of the examples that one row is about, (B, K, ...): a picture that is in many pairs goes
through the model once, before the pairs are judged (`Head.each`)."""

Sampler = Callable[["Columns", int, int, int], Any]
"""Order and batches of an epoch from the columns, the seed, the epoch and the batch size: training/samplers.py."""

Body = Callable[["int | None"], "torch.nn.Module"]
"""The network of the settings, built for a number of outputs; for None, a backbone: what a head of "features" wants."""


@dataclass(frozen=True)
class Claim:
    """How sure a task is that a source is its own (0 never, 1 certain), and why, in words a person can check.

    `fault` is called if no task claims the source with more certainty: it raises what is wrong with the source, if
    that is known to be the reason why the claim is not more certain.
    """

    certainty: float
    why: str
    fault: Callable[[], None] | None = None


@dataclass(frozen=True)
class Predictions:
    """What the model answered for B examples.

    `values` in the judge's own encoded form (class indices, boxes, token lists); `confidence` (B,) in [0, 1] or None;
    `columns`: more columns of B entries for the evaluation table (per-class probabilities, for example).
    """

    values: Sequence[Any] | np.ndarray
    confidence: np.ndarray | None = None
    columns: Mapping[str, Sequence[Any] | np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class PlainInputs:
    """N encoded examples as numbers that any simple model takes: what the references of a ladder are fitted to."""

    numbers: np.ndarray  # (N, D) float32, about standardised
    codes: np.ndarray  # (N, C) int64: categories
    names: tuple[str, ...] = ()  # of the D + C columns, where each means something to a person
    presence: Any = None  # of texts: a sparse (N, V) array of SciPy, 1 where a text has a word


@dataclass(frozen=True)
class View:
    """An example as a person looks at it, with nothing task-specific left: a picture, a text, some named fields."""

    image: np.ndarray | None = None  # (H, W) or (H, W, 3) uint8
    text: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    boxes: np.ndarray | None = None  # (K, 4) left, top, right, bottom in pixels of `image`
    labels: np.ndarray | None = None  # (K,) whole numbers: the class of each box, which gives its colour
    captions: Sequence[str] = ()  # of each box; empty: none has one
    mask: np.ndarray | None = None  # (H, W) whole numbers: the class of each pixel, 0 for none
    points: np.ndarray | None = None  # (K, 2) x, y in pixels of `image`; NaN for one that is not there
    spans: Sequence[tuple[int, int, str]] | None = None  # start, end in characters of `text`, type; in order


class Reader(abc.ABC):
    """What the data is: which sources contain it, how they are read, what one example looks like to a person."""

    abilities: ClassVar[frozenset[str]] = frozenset()  # from core/knobs.py: what settings can act on
    takes_texts: ClassVar[bool] = False  # whether `read_inputs` takes a text itself, not only the name of its file

    @abc.abstractmethod
    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        """Whether this source is of this kind, without reading more of it than needed. None: certainly not."""

    def claim_asked(self, source: Source, settings: DataSettings) -> Claim | None:
        """As `claim`, where somebody said that the source is of this kind, or of one of a few such kinds."""
        return self.claim(source, settings)

    @abc.abstractmethod
    def read(self, source: Source, settings: DataSettings) -> Reading:
        """All examples with their targets. Raises DataError naming file and line."""

    @abc.abstractmethod
    def read_inputs(self, source: Source, settings: DataSettings, encoder: Any) -> Reading:
        """Examples to predict (targets are not needed, and ignored), under the key "all"."""

    @abc.abstractmethod
    def write_sample(self, folder: Path, seed: int) -> Path:
        """Write a tiny data set (a few dozen examples) in this format; returns what to pass to `fit`."""

    @abc.abstractmethod
    def view(self, example: Example) -> View:
        """The example as a person looks at it."""


class Encoding(abc.ABC):
    """From examples to the tensors that a model takes."""

    abilities: ClassVar[frozenset[str]] = frozenset()
    references: ClassVar[tuple[str, ...]] = ()  # from strategy/references.py: what a system is compared with
    is_quick: ClassVar[bool] = False  # whether encoding a batch costs little beside a step: text is only looked up
    crops: ClassVar[tuple[int, ...]] = (1,)  # how many views of an example can be averaged at test time

    @property
    @abc.abstractmethod
    def inputs(self) -> Inputs:
        """What a model is built for."""

    def notes(self, train: Examples) -> tuple[str, ...]:
        """Sentences a person should see about what was fitted: what is imputed, resized, left out."""
        return ()

    def input_kinds(self) -> str:
        """The inputs by kind, as the first screen shows them: "12 numbers · 2 categories (city, plan)"."""
        return ""

    def depends_on(self) -> Any:
        """What its columns depend on beside its code and the examples, as plain JSON values: its facts."""
        return asdict(self)  # type: ignore[call-overload]  # all parts but derived ones are dataclasses

    @abc.abstractmethod
    def encode(self, examples: Examples) -> Columns:
        """Inputs of a chunk as columns of tensors, vectorised, deterministic."""

    @abc.abstractmethod
    def collate(self, columns: Columns, indices: torch.Tensor) -> Batch:
        """A batch: every dense column, including targets (a gather), and its own ragged ones, padded."""

    def beside(self, examples: Examples) -> Columns:
        """The columns of `encode` that do not go through the model: how much each picture is scaled."""
        return {}

    def augment(self, batch: Batch, settings: RegulariseSettings, generator: torch.Generator) -> Batch:
        """Training only, a whole batch at a time, on the batch's device: pictures shifted, boxes with them.

        Where more is stored than the model takes, a random part of it is taken here.
        """
        return batch

    def cautions(self, settings: RegulariseSettings, head: Head) -> tuple[str, ...]:
        """Sentences against what `augment` would do with these settings: mirrored letters."""
        return ()

    def plain(self, batch: Batch) -> Batch:
        """Everywhere but in training, on the batch's device: what a model takes of what is stored, the same each time.

        The counterpart of `augment`: where that takes a random crop of a larger picture, this takes the centre.
        """
        return batch

    def views(self, batch: Batch, crops: int) -> Iterator[Batch]:
        """At test time, a `plain` batch in each of `crops` ways (one of `self.crops`), the first of them as it is.

        One after the other: no more than one is in memory beside the batch itself.
        """
        yield batch

    @abc.abstractmethod
    def arguments(self, model: torch.nn.Module, batch: Batch) -> tuple[Any, ...]:
        """What the model is called with."""

    def plain_inputs(self, columns: Columns) -> PlainInputs | None:
        """Encoded examples as plain numbers, for `references`; None if they have no such form."""
        return None

    def with_numbers(self, columns: Columns, numbers: np.ndarray) -> Columns | None:
        """The encoded examples with other numbers (N, D) in place of those of `plain_inputs`; None if it cannot."""
        return None

    def shown(self, batch: Batch) -> list[View]:
        """The inputs of a batch, and what moves with them, as a person looks at them; empty if they are no pictures."""
        return []

    def has_unknown(self, examples: Examples) -> np.ndarray | None:
        """(N,) bool: which of them have pieces that are not told apart, because train lacks them; None: no such."""
        return None

    def seen(self, view: View) -> View:
        """The view of an example with only what the model sees of it."""
        return view


class Encoder(Encoding):
    """An encoding with facts of its own: what a kind of task has. What is derived from another one only encodes."""

    @classmethod
    @abc.abstractmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        """Fit the facts (sizes, means, vocabulary) on the training split alone."""


class Head(abc.ABC):
    """What is to be learned: targets as tensors, the last layers of the model, the loss."""

    abilities: ClassVar[frozenset[str]] = frozenset()
    wants: ClassVar[str] = "vector"  # what the model must be able to give: a family says what it gives
    goes_on: ClassVar[bool] = False  # whether training can go on from a whole run on other data: weights=RUN
    gives_gradient: ClassVar[bool] = False  # whether `losses_and_gradient` is implemented
    columns: ClassVar[tuple[str, ...]]  # the names that `encode` gives, distinct from those of any encoder

    @classmethod
    @abc.abstractmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        """Fit the facts (class names, mean of a number) on the training split alone."""

    def beside(self, encoder: Encoder) -> Self:
        """With what the encoder found in train, where that is to be learned as well: a vocabulary."""
        return self

    def notes(self, train: Examples) -> tuple[str, ...]:
        """Sentences a person should see about what is to be learned: what counts, what is left aside."""
        return ()

    @property
    def chance_loss(self) -> float | None:
        """The loss of a model that knows nothing and guesses evenly (ln K); None if there is no such number."""
        return None

    @abc.abstractmethod
    def encode(self, examples: Examples) -> Columns:
        """Targets of a chunk as columns of tensors."""

    def collate(self, batch: Batch, columns: Columns, indices: torch.Tensor) -> Batch:
        """The batch with its ragged targets and `weight`. Target columns may be missing (prediction)."""
        return batch

    def soften(self, batch: Batch, settings: RegulariseSettings) -> Batch:
        """Training only: targets smoothed, examples of some classes given more weight."""
        return batch

    @abc.abstractmethod
    def build(self, body: Body) -> torch.nn.Module:
        """The whole model, its parameters drawn from torch's global generator (the caller seeds it)."""

    @abc.abstractmethod
    def outputs(self, model: torch.nn.Module, arguments: tuple[Any, ...], batch: Batch) -> Any:
        """One forward pass."""

    def each(self, model: torch.nn.Module, arguments: tuple[Any, ...]) -> torch.Tensor:
        """(M, ...): what the model gives for examples that several rows share; `outputs` finds it as EACH.

        Only of heads whose examples are encoded as Shared columns (data/columns.py): no others are asked.
        """
        raise NotImplementedError

    @abc.abstractmethod
    def losses(self, outputs: Any, batch: Batch) -> torch.Tensor:
        """(B,): one value per example, the mean over its own scored units, before any averaging over examples."""

    def wanted(self, outputs: Any, batch: Batch) -> Any:
        """What the outputs are to come near to, on their own scale: what a loss of the user's own is called with."""
        named = {name: batch[name] for name in self.columns}
        return named if len(named) > 1 else next(iter(named.values()))

    def losses_and_gradient(self, outputs: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """`losses`, and the gradient of each by its own outputs, (B, ...), without autograd."""
        raise NotImplementedError


class Judge(abc.ABC):
    """How good the answers are, and how a person reads them."""

    can_average: ClassVar[bool] = False  # whether `averaged` is implemented
    needs_calibration: ClassVar[bool] = True  # whether a split's error depends on what `calibrate` sets
    has_references: ClassVar[bool] = False  # whether `reference_errors` is, or `reference_answers` for a `split_error`
    measures: ClassVar[tuple[str, ...]] = ()  # columns of its predictions that a person asks for first: numbers
    asked_with: ClassVar[tuple[str, ...]] = ()  # its fields that are settings of its task, and may be others at predict

    @classmethod
    @abc.abstractmethod
    def of(cls, head: Any) -> Self:
        """The judge for what this head learns."""

    @property
    @abc.abstractmethod
    def error_unit(self) -> str | None:
        """SHARE, a unit's name, or None if gaps are undefined."""

    @property
    @abc.abstractmethod
    def error_name(self) -> str:
        """What the error is called: "error", "mean absolute error", "1 - mAP@0.5"."""

    def judged(self, examples: Examples, seed: int) -> Examples:
        """What a split is evaluated on: usually its examples; pairs of them if training is on people."""
        return examples

    @abc.abstractmethod
    def predict(self, model: torch.nn.Module, outputs: Any, batch: Batch) -> Predictions:
        """Decode: argmax, suppression, beam search. Works without targets in the batch."""

    def predict_quickly(self, model: torch.nn.Module, outputs: Any, batch: Batch) -> Predictions:
        """A cheaper decode, for the epochs of a training (greedy rather than a beam); at the end `predict` counts."""
        return self.predict(model, outputs, batch)

    @abc.abstractmethod
    def targets(self, batch: Batch) -> Sequence[Any] | np.ndarray:
        """The truth of B examples, in the same encoded form as `Predictions.values`."""

    @abc.abstractmethod
    def errors(self, values: Sequence[Any] | np.ndarray, batch: Batch) -> np.ndarray:
        """(B,) float64: each example's error in `error_unit`; 0 for `errors(targets(batch), batch)`."""

    @abc.abstractmethod
    def describe(self, values: Sequence[Any] | np.ndarray) -> pl.Series:
        """Encoded predictions or targets as a person reads them and as tables store them."""

    def answering(self) -> Self:
        """The judge that gives what people ask for: only boxes of enough confidence. Tables keep more to judge by."""
        return self

    def on_view(self, view: View, row: Mapping[str, Any], column: str) -> View:
        """The view of an example with its truth or its answer drawn on it, in place of what was.

        `row` is its row of a table, of which `column` is "target" or "prediction".
        """
        return view

    def about_answers(self, table: pl.DataFrame) -> tuple[str, ...]:
        """Sentences about a table of predictions as a whole: what a text costs."""
        return ()

    def answer_rows(self, table: pl.DataFrame) -> pl.DataFrame:
        """A table of predictions as it is written into a file: of boxes, one row for each."""
        return table

    def guess(self, train: pl.DataFrame, table: pl.DataFrame) -> tuple[str, pl.Series] | None:
        """A name, and answers to the examples of `table` without a look at them, from the truths of train's table.

        Only of tasks whose answers no simple model can give: the floor under their ladder.
        """
        return None

    def between_people(self, table: pl.DataFrame) -> pl.DataFrame | None:
        """The rows of an evaluation of which several truths are known, each with the error of one truth by the others.

        What a person would get, whose answer is judged as a model's; None where there are none.
        """
        return None

    def remarks(self, evaluation: Evaluation) -> tuple[str, ...]:
        """Sentences about answers in which something is plainly wrong after some epochs: a class that is never said."""
        return ()

    def answer_files(self, table: pl.DataFrame) -> Mapping[str, bytes]:
        """What is written beside that file, each in a file of its own: masks. By the end of its name, in row order."""
        return {}

    def split_error(self, table: pl.DataFrame) -> SplitError | None:
        """The error of a whole split as a function of how often each row counts; None: the weighted mean of errors."""
        return None

    def calibrate(self, evaluation: Evaluation) -> Self:
        """The judge with what can only be set after training (thresholds), from dev; itself if there is nothing."""
        return self

    @abc.abstractmethod
    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        """More metrics of a split, {name: metrics.Interval}, for the report."""

    @property
    def num_classes(self) -> int | None:
        """How many classes there are, where an example has one of them and `probabilities` gives theirs."""
        return None

    def probabilities(self, outputs: Any) -> torch.Tensor | None:
        """(B, K): the probability of each class, where an example has one."""
        return None

    def scores(self, outputs: Any) -> torch.Tensor | None:
        """(B, K), with a gradient: numbers of which the softmax is `probabilities`, where an example has one class."""
        return None

    @property
    def question(self) -> Mapping[str, tuple[str, ...]]:
        """What is asked: the classes of each target, none of a number. Models with one question can be averaged."""
        return {}

    def joined(self, parts: Sequence[Any]) -> Any:
        """The outputs for several batches as those for one, where they are no tensors."""
        raise NotImplementedError

    def averaged(self, answers: Sequence[tuple[Self, Any]]) -> Any:
        """What several models say together, each with its own judge, in the form of this one's outputs.

        Of classes the mean of their probabilities, of numbers their mean; of boxes each object once.
        """
        raise NotImplementedError

    def reference_errors(self, train: Columns, dev: Columns) -> Mapping[str, np.ndarray]:
        """(M,) errors on encoded dev examples, by name, of references that are fitted to train; the simplest first.

        For answers that are no class and no number, which the references of an encoder cannot give.
        """
        raise NotImplementedError

    def reference_answers(self, train: Columns, dev: Columns) -> Mapping[str, Sequence[Any]]:
        """As `reference_errors`, of an error that is not a mean over examples: the answers, as `Predictions.values`."""
        raise NotImplementedError

    def plain_targets(self, columns: Columns) -> np.ndarray | None:
        """What a reference can learn, from encoded examples; None if it can not.

        (N,) int64 classes, (N,) float64 numbers, or (N, D) of them, NaN where one is unknown.
        """
        return None

    def from_plain(self, values: np.ndarray, columns: Columns) -> Sequence[Any] | np.ndarray:
        """What a reference answers for encoded examples, in the form of `plain_targets`, as `Predictions.values`."""
        return values

    @abc.abstractmethod
    def less_is_better(self, measure: str) -> bool:
        """Whether lower values of this metric (a name in `metrics`) are better."""

    def figures(self, evaluation: Evaluation) -> dict[str, Figure]:
        """Figures of this kind of target, {title: figure}: predicted against true."""
        return {}
