"""Tables with default settings beside scikit-learn's multi-layer perceptrons with theirs: same rows, ten divisions.

Both are trained on train alone and compared on test, which neither has seen; gnomon chooses its epoch on dev. The
errors of one division belong together, so it is their differences that are averaged.
"""

from __future__ import annotations

import time

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import gnomon
from gnomon.data.tables import make_mixed_table
from gnomon.workflow.prepare import prepare

SEEDS = 10
MARGIN = 0.005  # of the rows: half a point, or half a percent of the spread of a number; less is no difference

SETS = {  # what is fitted -> its target
    "breast-cancer": None, "wine": None, "iris": None, "diabetes": None, "mixed classes": "level",
    "mixed numbers": "price",
}  # fmt: skip


def source_of(name: str, seed: int):
    if not name.startswith("mixed"):
        return name
    return make_mixed_table(800, seed).drop("sold", "price" if name.endswith("classes") else "level")


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Dates as days, truths as 0 and 1: what scikit-learn's transformers take."""
    return frame.with_columns(
        pl.col(pl.Date).cast(pl.Int32).cast(pl.Float64), pl.col(pl.Boolean).cast(pl.Float64), pl.col(pl.Enum).cast(str)
    )


def twin(frame: pl.DataFrame, *, is_number: bool, seed: int):
    """The usual pipeline: medians and standard scores for numbers, one-hot for texts, the default network.

    Numbers to predict are standardised as well: without that, 200 epochs leave it 1.5 standard deviations off.
    """
    texts = [place for place, dtype in enumerate(frame.dtypes) if dtype == pl.String]
    others = [place for place, dtype in enumerate(frame.dtypes) if dtype != pl.String]
    numeric = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    inputs = make_column_transformer((numeric, others), (OneHotEncoder(handle_unknown="ignore"), texts))
    network = (MLPRegressor if is_number else MLPClassifier)(random_state=seed)
    return make_pipeline(
        inputs, TransformedTargetRegressor(network, transformer=StandardScaler()) if is_number else network
    )


def compared(name: str, seed: int) -> tuple[float, float, float, float]:
    """Test error of gnomon and of its twin (mean absolute error in standard deviations for a number); seconds each."""
    source, started = source_of(name, seed), time.monotonic()
    run = gnomon.fit(source, target=SETS[name], seed=seed)
    took = time.monotonic() - started
    splits = prepare(source, run.settings).splits
    ours = run.test(None if isinstance(source, str) else source).table
    is_number = ours["target"].dtype == pl.Float64
    inputs = {split: plain(splits[split].frame()) for split in ("train", "test")}
    truth = {split: splits[split].targets().to_series().cast(pl.Float64 if is_number else str) for split in inputs}
    started = time.monotonic()
    model = twin(inputs["train"], is_number=is_number, seed=seed)
    model.fit(inputs["train"].to_numpy().astype(object), truth["train"].to_numpy())
    theirs_took = time.monotonic() - started
    answers = model.predict(inputs["test"].to_numpy().astype(object))
    assert truth["test"].to_list() == ours["target"].to_list()
    theirs = np.abs(answers - truth["test"].to_numpy()) if is_number else answers != truth["test"].to_numpy()
    scale = float(truth["train"].std()) if is_number else 1.0
    return float(ours["error"].mean()) / scale, float(np.mean(theirs)) / scale, took, theirs_took


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", SETS)
def test_defaults_are_not_worse_than_scikit_learns(name):
    """Not worse: the mean difference is below the margin, or, if above, its 95 % interval reaches down to it."""
    found = np.array([compared(name, seed) for seed in range(SEEDS)])
    difference = found[:, 0] - found[:, 1]
    half = stats.t.ppf(0.975, SEEDS - 1) * difference.std(ddof=1) / np.sqrt(SEEDS)
    ours, theirs, took, theirs_took = found.mean(axis=0)
    print(
        f"\n{name}: gnomon {ours:.4f} ({took:.1f} s), scikit-learn {theirs:.4f} ({theirs_took:.1f} s), difference "
        f"{difference.mean():+.4f} [{difference.mean() - half:+.4f}, {difference.mean() + half:+.4f}]"
    )
    assert difference.mean() - half < MARGIN
