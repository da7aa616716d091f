"""The scikit-learn estimators: scikit-learn's own checks, and what people do with estimators."""

from __future__ import annotations

import pickle
import pickletools
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_wine, make_blobs
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.estimator_checks import check_estimator

import gnomon
from gnomon.sklearn import Classifier, Regressor

X, Y = load_wine(return_X_y=True)
QUICK = {"epochs": 30, "learning_rate": 0.01, "hidden": (16,)}
NOT_RUN = {"check_array_api_input"}  # scikit-learn leaves it out where SCIPY_ARRAY_API is not set


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [Classifier(**QUICK), Regressor(**QUICK)], ids=["classifier", "regressor"])
def test_the_checks_of_scikit_learn_pass(estimator):
    found = check_estimator(estimator, on_skip=None)
    assert {one["check_name"] for one in found if one["status"] != "passed"} == NOT_RUN
    assert len(found) > 50


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [Classifier(), Regressor()], ids=["classifier", "regressor"])
def test_the_checks_of_scikit_learn_pass_with_the_settings_that_gnomon_chooses(estimator):
    found = check_estimator(estimator, on_skip=None)
    assert {one["check_name"] for one in found if one["status"] != "passed"} == NOT_RUN


# --- what is learnt ---------------------------------------------------------------------------------------------------
def test_it_trains_what_fit_trains_with_the_same_settings_and_writes_nothing(tmp_path):
    frame = pl.DataFrame(X, schema=[f"x{i}" for i in range(13)]).with_columns(target=Y)
    estimator = Classifier(**QUICK, random_state=5).fit(X, Y)
    assert not list(tmp_path.iterdir())
    seed = int(np.random.RandomState(5).randint(2**31 - 1))
    run = gnomon.fit(frame, "target", **QUICK, seed=seed, task="tabular_classification", split={"test": 0.0})
    ours, theirs = estimator._system.model.float().state_dict(), run.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    np.testing.assert_allclose(estimator.predict_proba(X), run.predict_proba(frame), atol=1e-5)
    assert estimator.n_iter_ == 30


def test_a_run_folder_is_written_only_where_it_is_asked_for(tmp_path):
    estimator = Classifier(**QUICK, runs_folder=tmp_path / "kept").fit(X, Y)
    run = gnomon.load(estimator.run_folder_)
    assert run.path.is_relative_to(tmp_path / "kept")
    np.testing.assert_allclose(run.predict_proba(X), estimator.predict_proba(X), atol=1e-5)


def test_the_same_random_state_gives_the_same_answers_and_another_one_others():
    first, again, other = (Classifier(**QUICK, random_state=state).fit(X, Y).predict_proba(X) for state in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_classes_come_back_in_their_own_type_and_order():
    names = np.array(["rosé", "red", "white"], dtype=object)[Y]
    estimator = Classifier(**QUICK, random_state=0).fit(X, names)
    assert estimator.classes_.tolist() == ["red", "rosé", "white"]
    assert estimator.score(X, names) > 0.9
    truths = Classifier(**QUICK, random_state=0).fit(X, Y == 1)
    assert truths.predict(X).dtype == bool


def test_more_than_ten_classes_keep_their_columns_apart():
    points, classes = make_blobs(n_samples=480, centers=12, cluster_std=0.3, random_state=3)
    estimator = Classifier(epochs=60, learning_rate=0.02, random_state=0).fit(points, classes * 10)
    assert estimator.classes_.tolist() == [10 * one for one in range(12)]
    assert estimator.score(points, classes * 10) > 0.9


def test_several_numbers_are_predicted_together():
    inputs, target = load_diabetes(return_X_y=True)
    both = np.stack([target, -10 * target], axis=1)
    estimator = Regressor(epochs=60, learning_rate=0.01, random_state=0).fit(inputs, both)
    found = estimator.predict(inputs)
    assert found.shape == both.shape
    assert estimator.score(inputs, both) > 0.4
    assert np.corrcoef(found.T)[0, 1] < -0.95


# --- frames -----------------------------------------------------------------------------------------------------------
def mixed(rows=240, seed=0):
    """Two categories and a number that decide a target together, with gaps in each."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "city": pd.Categorical(rng.choice(["Rome", "Oslo", "Lima"], rows)),
            "kind": rng.choice(["flat", "house"], rows),
            "area": rng.uniform(20, 120, rows),
        }
    )
    price = frame["area"] + 80.0 * (frame["city"] == "Rome") + 40.0 * (frame["kind"] == "house")
    frame.loc[::17, "area"] = np.nan
    frame.loc[::23, "kind"] = None
    return frame, price.to_numpy()


def test_categories_and_gaps_of_a_frame_are_used():
    frame, price = mixed()
    estimator = Regressor(epochs=80, learning_rate=0.02, random_state=0).fit(frame, price)
    assert estimator.feature_names_in_.tolist() == ["city", "kind", "area"]
    assert estimator.score(*mixed(seed=1)) > 0.8
    without = Regressor(epochs=80, learning_rate=0.02, random_state=0).fit(frame[["area", "kind"]], price)
    assert without.score(mixed(seed=1)[0][["area", "kind"]], mixed(seed=1)[1]) < 0.8
    again = Regressor(epochs=80, learning_rate=0.02, random_state=0).fit(pl.from_pandas(frame), price)
    np.testing.assert_allclose(again.predict(frame), estimator.predict(frame), rtol=1e-6)


def test_a_column_called_target_is_an_input_like_any_other():
    frame, price = mixed()
    estimator = Regressor(epochs=40, learning_rate=0.02, random_state=0).fit(
        frame.rename(columns={"area": "target"}), price
    )
    assert estimator.score(mixed()[0].rename(columns={"area": "target"}), price) > 0.6


# --- in scikit-learn's company ----------------------------------------------------------------------------------------
def test_it_works_in_a_pipeline_a_search_and_cross_validation():
    frame, price = mixed(120)
    columns = make_column_transformer((OneHotEncoder(), ["city", "kind"]), remainder=SimpleImputer())
    pipeline = make_pipeline(columns, Regressor(epochs=60, learning_rate=0.02, hidden=(16,), random_state=0))
    scores = cross_val_score(pipeline, frame.fillna({"kind": "flat"}), price, cv=3)
    assert scores.shape == (3,)
    assert scores.mean() > 0.5
    search = GridSearchCV(Classifier(**QUICK, random_state=0), {"learning_rate": [1e-6, 0.01]}, cv=2).fit(X, Y)
    assert search.best_params_ == {"learning_rate": 0.01}
    longer = Classifier(**{**QUICK, "epochs": 60, "hidden": (32,)}, random_state=0)
    chances = cross_val_predict(longer, X, Y, cv=2, method="predict_proba")
    assert (chances.argmax(1) == Y).mean() > 0.9


def test_permutation_importance_finds_the_column_that_counts():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(200, 3))
    estimator = Regressor(epochs=60, learning_rate=0.02, random_state=0).fit(inputs, 3 * inputs[:, 1])
    found = permutation_importance(estimator, inputs, 3 * inputs[:, 1], n_repeats=3, random_state=0)
    assert found.importances_mean.argmax() == 1
    assert found.importances_mean[[0, 2]].max() < 0.1


# --- kept and copied --------------------------------------------------------------------------------------------------
def test_a_pickle_holds_bytes_and_plain_values_and_no_network(tmp_path):
    estimator = Classifier(**QUICK, random_state=0).fit(X, Y)
    data = pickle.dumps(estimator)
    named = [
        argument for opcode, argument, _ in pickletools.genops(data) if opcode.name in ("GLOBAL", "SHORT_BINUNICODE")
    ]
    assert not [name for name in named if isinstance(name, str) and name.startswith(("torch", "gnomon.workflow"))]
    files = pickle.loads(data).__getstate__()["_system"]
    assert set(files) == {"weights.safetensors", "task.json"}
    np.testing.assert_array_equal(pickle.loads(data).predict_proba(X), estimator.predict_proba(X))


def test_a_clone_has_the_parameters_and_nothing_that_was_fitted():
    estimator = Classifier(**QUICK, settings={"weight_decay": 0.1}, random_state=3).fit(X, Y)
    fresh = clone(estimator)
    assert fresh.get_params() == estimator.get_params()
    assert not hasattr(fresh, "classes_")


# --- what cannot be used ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Classifier(epochs="many").fit(X, Y), r"epochs=many"),
        (lambda: Classifier(model="convnet").fit(X, Y), r"model=convnet"),
        (lambda: Classifier(model="dens").fit(X, Y), r"did you mean dense"),
        (lambda: Classifier(settings={"epoch": 3}).fit(X, Y), r"unknown setting 'epoch'"),
        (lambda: Classifier(settings={"augment": "shift"}).fit(X, Y), r"augment=shift would"),
        (lambda: Classifier(epochs=3, settings={"stop.epochs": 3}).fit(X, Y), r"given twice"),
        (lambda: Regressor().fit(X[:3], Y[:3]), r"n_samples=3 is too few"),
        (lambda: Classifier().fit(X, np.zeros(len(X))), r"one class"),
        (lambda: Regressor().fit(pd.DataFrame({"a": [1j] * 20}), np.arange(20)), r"complex"),
        (lambda: Regressor().fit(X, Y * 1e300), r"beyond 1e\+"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_a_value_error_of_gnomons_own(call, message):
    with pytest.raises(ValueError, match=message) as raised:
        call()
    assert isinstance(raised.value, gnomon.GnomonError)


def test_a_settings_group_may_ask_for_a_test_split(tmp_path):
    estimator = Classifier(**QUICK, settings={"split": {"test": 0.3}}, runs_folder=tmp_path).fit(X, Y)
    counts = gnomon.load(estimator.run_folder_).folder.load_data()["splits"]
    assert counts["test"] == pytest.approx(0.3 * len(X), abs=3)
    assert not (Path(tmp_path) / "runs").exists()


@pytest.mark.parametrize("scale", [1e-310, 1e-300, 1e-30, 1.0, 1e30])
def test_the_unit_of_a_target_does_not_matter_however_small_or_large(scale):
    inputs = np.arange(40.0)[:, None]
    estimator = Regressor(epochs=60, learning_rate=0.02, random_state=0).fit(inputs, 3 * inputs[:, 0] * scale)
    found = estimator.predict(inputs) / scale
    assert np.abs(found - 3 * inputs[:, 0]).mean() < 5  # of 0 to 117
