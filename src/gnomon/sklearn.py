"""gnomon's networks for tables as scikit-learn estimators: Classifier and Regressor.

They follow scikit-learn's conventions and so work in its pipelines, searches and cross-validation. What is trained is
what `gnomon.fit` trains with the same settings. Some of the rows given to `fit` are held out to choose the best epoch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

import numpy as np
import polars as pl
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, column_or_1d, validate_data
from torch import nn

from gnomon.core.errors import ArgumentError, DataError, UsageError
from gnomon.data.in_memory import table_or_path
from gnomon.data.objects import is_frame
from gnomon.data.opening import open_source
from gnomon.training.evaluate import judging, outputs_of
from gnomon.workflow.fit import fit
from gnomon.workflow.made import with_ladder
from gnomon.workflow.predict import classes_of
from gnomon.workflow.system import System
from gnomon.workflow.trial import train_in_memory

if TYPE_CHECKING:
    from sklearn.utils import Tags

    from gnomon.core.parts import Predictions

__all__ = ["Classifier", "Regressor"]

OWN = ("model", "hidden", "epochs", "learning_rate", "batch_size", "dropout", "weight_decay", "max_time")
LARGEST_SEED = 2**31 - 1
FEWEST = 4  # rows


class _Network(BaseEstimator):
    """What both estimators have in common; scikit-learn finds parameters and tags by inheritance."""

    task: ClassVar[str]

    def __init__(
        self,
        *,
        model: str | None = None,
        hidden: Any = None,
        epochs: int | None = None,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        dropout: Any = None,
        weight_decay: float | None = None,
        max_time: float | str | None = None,
        settings: Mapping[str, Any] | None = None,
        random_state: Any = None,
        runs_folder: str | os.PathLike[str] | None = None,
    ) -> None:
        self.model = model
        self.hidden = hidden
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.max_time = max_time
        self.settings = settings
        self.random_state = random_state
        self.runs_folder = runs_folder

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_system")

    def __getstate__(self) -> dict[str, Any]:
        """The fitted system as the bytes of safetensors and JSON: no network is pickled, and none is executed."""
        state = dict(super().__getstate__())
        if "_system" in state:
            state["_system"] = dict(self._system.files)
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        state = dict(state)
        if "_system" in state:
            state["_system"] = System(state["_system"], type(self).__name__)
        super().__setstate__(state)

    def _train(self, frame: pl.DataFrame, targets: np.ndarray) -> Self:
        """Train to predict `targets` (N,) or (N, M) from the columns of `frame`."""
        if len(frame) < FEWEST:
            raise ArgumentError(
                f"n_samples={len(frame)} is too few: some rows are held out, and at least {FEWEST} are needed.",
                fix="give more rows.",
            )
        columns = targets.reshape(len(targets), -1)
        names = _new_names(columns.shape[1], frame.columns)
        table = frame.with_columns(pl.Series(name, column) for name, column in zip(names, columns.T, strict=True))
        values: dict[str, Any] = {name: getattr(self, name) for name in OWN if getattr(self, name) is not None}
        values |= {
            **_without_test_split(self.settings or {}), "task": self.task, "data.target": names,
            "seed": int(check_random_state(self.random_state).randint(LARGEST_SEED)),
        }  # fmt: skip
        with _as_value_errors():
            if self.runs_folder is None:
                files, self.n_iter_ = train_in_memory(table, values)
            else:
                run = with_ladder(fit(table, **values, runs_folder=os.fspath(self.runs_folder)))
                files, self.n_iter_, self.run_folder_ = dict(run.folder.load_model()), len(run.history), str(run.path)
        self._system = System(files, type(self).__name__)
        return self

    def _columns(self, X: Any, *, reset: bool) -> pl.DataFrame:
        """X as columns, checked as scikit-learn checks it."""
        if is_frame(X):  # a frame, whose columns may be categories
            validate_data(self, X, reset=reset, skip_check_array=True)
            if not len(X):
                raise ArgumentError("0 samples were found, and at least 1 is required.", fix="give at least one row.")
            with _as_value_errors():
                frame = table_or_path(X)
            assert isinstance(frame, pl.DataFrame)
            return frame
        array = validate_data(self, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan")
        names = [f"x{i}" for i in range(array.shape[1])]
        return pl.DataFrame(np.ascontiguousarray(array, dtype=np.float64), schema=names, orient="row")

    def _targets(self, y: Any, *, dtype: Any) -> np.ndarray:
        if y is None:
            name = type(self).__name__
            raise ArgumentError(f"{name} requires y to be passed, but the target y is None.", fix="fit(X, y)")
        return np.asarray(check_array(y, ensure_2d=False, dtype=dtype, input_name="y", estimator=self))

    def _answers(self, X: Any) -> Iterator[tuple[Any, Predictions]]:
        """Outputs and predictions, batch by batch; in float64, so that a row's are the same alone and among others."""
        check_is_fitted(self)
        task, settings = self._system.task, self._system.settings
        with _as_value_errors():
            source = open_source(self._columns(X, reset=False))
            examples = task.reader.read_inputs(source, settings.data, task.encoder).splits["all"]
            model = _InDouble(self._system.model.double())
            with judging(model):
                for outputs, batch in outputs_of(task, model, examples, device=torch.device("cpu")):
                    yield outputs, task.judge.predict(model, outputs, batch)


@final
class Classifier(ClassifierMixin, _Network):
    """One class per row, by a network trained as `gnomon.fit` trains it.

    X: numbers with gaps (NaN), or a pandas or polars frame whose columns may hold categories. Parameters left at None
    are chosen by the size of the data, as `gnomon settings` says; `settings` has further ones by name. Fitted:
    `classes_`, `n_features_in_`, `feature_names_in_`, `n_iter_` (epochs), and with `runs_folder` `run_folder_`.
    """

    task = "tabular_classification"

    def fit(self, X: Any, y: Any) -> Self:
        """Train; y (N,) holds the classes. Raises ValueError, TypeError, DivergedError."""
        frame, y = self._columns(X, reset=True), self._targets(y, dtype=None)
        check_classification_targets(y)
        y = column_or_1d(y, warn=True)
        check_consistent_length(frame, y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ArgumentError("all rows are of one class, and there is nothing to learn.", fix="give two classes.")
        return self._train(frame, codes)

    def predict(self, X: Any) -> np.ndarray:
        """(N,) the most probable class of each row."""
        chances = self.predict_proba(X)
        return self.classes_[chances.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """(N, K) float64: the probability of each class, in the order of `classes_`."""
        parts = [self._system.task.judge.probabilities(outputs) for outputs, _ in self._answers(X)]
        chances = torch.cat([part for part in parts if part is not None]).numpy()
        found = np.zeros((len(chances), len(self.classes_)))
        found[:, classes_of(self._system.task)] = chances  # it learnt codes: the places in `classes_`
        return found


@final
class Regressor(RegressorMixin, _Network):
    """One number per row, or several, by a network trained as `gnomon.fit` trains it.

    X and parameters as those of `Classifier`. Fitted: `n_features_in_`, `feature_names_in_`, `n_iter_` (epochs), and
    with `runs_folder` `run_folder_`.
    """

    task = "tabular_regression"

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Train; y (N,) or (N, M). Raises ValueError, TypeError, DivergedError."""
        frame, y = self._columns(X, reset=True), self._targets(y, dtype=np.float64)
        check_consistent_length(frame, y)
        self._shape = y.shape[1:]
        return self._train(frame, y)

    def predict(self, X: Any) -> np.ndarray:
        """(N,) or (N, M), as y was."""
        parts = [np.asarray(predictions.values) for _, predictions in self._answers(X)]
        return np.concatenate(parts).reshape(-1, *self._shape)


class _InDouble(nn.Module):
    """A network in float64 that takes inputs of float32."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *arguments: Any) -> Any:
        return self.model(*(one.double() if one is not None and one.is_floating_point() else one for one in arguments))


def _new_names(count: int, taken: list[str]) -> tuple[str, ...]:
    """Names for targets that no column has."""
    stem = "target"
    while any(name.startswith(stem) for name in taken):
        stem = f"_{stem}"
    return (stem,) if count == 1 else tuple(f"{stem} {i}" for i in range(count))


def _without_test_split(settings: Mapping[str, Any]) -> dict[str, Any]:
    """With no row put aside for a test, unless asked for: whoever cross-validates has test rows already."""
    has_share = {"test", "split.test"} & settings.keys() or "test" in dict(settings.get("split") or {})
    return dict(settings) if has_share else {**settings, "split.test": 0.0}


@contextmanager
def _as_value_errors() -> Iterator[None]:
    """What is wrong with data or settings is a ValueError too."""
    try:
        yield
    except (UsageError, DataError) as error:
        raise ArgumentError(error.what, where=error.where, fix=error.fix) from None
