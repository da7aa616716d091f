"""The Python face: the words and units of the command line, at top level, with one clear error for what is wrong."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import typing
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.datasets import load_diabetes, load_wine

import gnomon
from gnomon.cli.commands import COMMANDS
from gnomon.core import found
from gnomon.core.settings import keys
from gnomon.runs.folder import RunFolder
from gnomon.workflow import words

X, Y = load_wine(return_X_y=True)
QUICK = {"epochs": 2, "test": 0.2}
SPANS = pl.Series([1], dtype=pl.Duration("us"))
OPTIONS = {  # of the command line, beside settings
    "compare": {"metric", "weight"},
    "diagnose": {"human", "predictions"},
    "errors": {"split", "rows", "out", "tags", "report"},
    "explain": {"out", "class_name"},
    "fit": {"resume"},
    "improve": {"time", "resume", "test"},
    "labels": {"split", "folds", "out", "top", "random", "review", "corrected", "difference"},
    "plan": {"error", "other", "within", "below", "examples", "disagree", "alpha", "power"},
    "predict": {"out"},
    "probe": {"time", "knobs"},
    "retest": {"trials", "seeds"},
    "vectors": {"nearest", "analogy", "evaluate", "map", "debias", "direction", "specific", "to", "count", "out"},
    "tune": {"trials", "time", "workers", "satisfy", "sampler", "stop_early", "repeats", "resume"},
}
TAKE_SETTINGS = {"fit", "peek", "check", "lr", "labels", "tune", "improve", "nudge", "style"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return gnomon.fit(X, Y, **QUICK, runs_folder=str(tmp_path_factory.mktemp("face")))


# --- names ------------------------------------------------------------------------------------------------------------
def test_every_command_that_gives_a_result_is_a_function_of_the_same_name():
    assert COMMANDS.keys() - set(gnomon.__all__) == {"studio", "gallery", "models"}  # gnomon.models is a room


@pytest.mark.parametrize("verb", sorted(COMMANDS.keys() - {"studio", "gallery", "models"}))
def test_a_function_has_the_options_of_its_command_as_keyword_parameters(verb):
    parameters = inspect.signature(getattr(gnomon, verb)).parameters
    assert parameters.keys() >= OPTIONS.get(verb, set())
    assert any(one.kind is one.VAR_KEYWORD for one in parameters.values()) == (verb in TAKE_SETTINGS)
    assert getattr(gnomon, verb).__doc__


def test_editors_and_type_checkers_see_every_name_that_is_imported_lazily():
    tree = ast.parse(Path(gnomon.__file__).read_text())
    (guarded,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.name: node.module for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == gnomon._HOMES
    assert set(gnomon.__all__) == {*seen, "__version__"}
    assert set(gnomon.__all__) <= set(dir(gnomon))


@pytest.mark.parametrize("verb", sorted(TAKE_SETTINGS - {"nudge", "style"}))
def test_editors_complete_every_setting_by_its_short_name(verb):
    families = [found.family(name).settings for name in found.family_names()]
    short = {keys.short_key(row.key) for row in keys.rows()} | set(keys.GROUPS)
    short |= {name for one in families if one.__module__.startswith("gnomon.") for name in one.model_fields}
    short -= {"own", "module", "loss", "augmentation"}  # passed as objects: model=, loss=, augment_with=
    short -= {"folds"} if verb in ("improve", "tune") else set()  # which refuse it: changes are tried on one dev split
    function = getattr(gnomon, verb)
    code = function.__code__
    of_its_own = set(code.co_varnames[code.co_posonlyargcount : code.co_argcount + code.co_kwonlyargcount])
    parameters = inspect.signature(function).parameters
    assert parameters.keys() - of_its_own - {"settings"} == short - of_its_own  # by inspection, as notebooks do
    (rest,) = [one for one in parameters.values() if one.kind is one.VAR_KEYWORD]
    typed = rest.annotation.removeprefix("Unpack[").removesuffix("]")  # as editors do
    assert set(typing.get_type_hints(getattr(words, typed))) == short - of_its_own


def test_importing_gnomon_loads_nothing_heavy():
    code = (
        "import sys, gnomon; print([name for name in ('numpy', 'polars', 'pydantic', 'torch') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_version_is_that_of_the_package():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert gnomon.__version__ == project["version"]


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        gnomon.fitt  # noqa: B018


# --- data and targets -------------------------------------------------------------------------------------------------
def same_weights(one, other):
    ours, theirs = one.model.state_dict(), other.model.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    "given",
    [
        ((X, Y),),
        (X.tolist(), Y.tolist()),
        (torch.from_numpy(X), torch.from_numpy(Y)),
        (pl.DataFrame(X, schema=[f"x{i}" for i in range(X.shape[1])]), pl.Series(Y)),
    ],
    ids=["pair", "lists", "tensors", "frame and series"],
)
def test_inputs_and_targets_in_any_form_train_the_same_model_as_arrays(run, given):
    assert same_weights(gnomon.fit(*given, **QUICK), run)


def test_a_target_by_name_is_the_setting_of_that_name():
    table = load_diabetes(as_frame=True).frame
    by_place = gnomon.fit(table, "target", epochs=1)
    assert by_place.settings.data.target == ("target",)
    assert same_weights(by_place, gnomon.fit(table, target="target", epochs=1))
    columns = {name: table[name].to_numpy() for name in table.columns}
    assert same_weights(gnomon.fit(columns, ["target"], epochs=1), by_place)
    both = table.assign(other=table["target"] * 2)
    assert gnomon.fit(both, ["target", "other"], epochs=1).settings.data.target == ("target", "other")


def test_texts_beside_inputs_are_the_classes_themselves():
    found = gnomon.fit(X, target=[["red", "white", "rosé"][one] for one in Y], epochs=1)
    assert found.classes == ["red", "rosé", "white"]


def test_a_target_given_twice_or_without_inputs_is_refused():
    with pytest.raises(gnomon.GnomonError, match="the target is given twice"):
        gnomon.fit(X, Y, **{"data.target": "x1"})
    with pytest.raises(gnomon.GnomonError, match=r"the targets are in memory .*, and there are no inputs"):
        gnomon.fit(target=Y)
    with pytest.raises(gnomon.GnomonError, match=r"the targets are in memory .*, and the inputs are at 'wine\.csv'"):
        gnomon.fit("wine.csv", Y)


def test_every_verb_on_data_takes_inputs_and_targets(run):
    assert gnomon.peek(X, Y).counts["0"]["train"] > 20
    assert gnomon.lr(X, Y).suggested > 0
    assert gnomon.labels(X, Y, folds=2, epochs=1).audit.split == "train"
    assert gnomon.tune(X, Y, trials=2, repeats="0", stop_early="no", epochs=1).best.number in (1, 2)


# --- runs -------------------------------------------------------------------------------------------------------------
def test_a_run_is_found_by_itself_its_folder_its_path_and_latest(run, monkeypatch):
    monkeypatch.chdir(run.path.parents[2])
    for each in (run, run.folder, run.path, str(run.path)):
        assert gnomon.load(each).path == run.path
    (Path.cwd() / "runs").symlink_to(run.path.parents[1])
    assert gnomon.load("latest").path == run.path
    assert gnomon.load(run) is run


def test_probabilities_are_those_of_the_model_in_the_order_of_the_classes(run):
    found = run.predict_proba(X)
    numbers = torch.from_numpy((X - X[_train(run)].mean(0)) / X[_train(run)].std(0)).float()
    with torch.no_grad():
        wanted = run.model(numbers, None).softmax(1).double().numpy()
    assert run.classes == [0, 1, 2]
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    np.testing.assert_array_equal(found.argmax(1), run.predict(X)["prediction"].to_numpy())


def _train(run):
    splits = run.folder.load_splits()
    return splits.filter(pl.col("split") == "train")["id"].cast(pl.Int64).to_numpy() - 1


def test_probabilities_of_more_than_a_hundred_classes_are_there():
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(120), 10)
    run = gnomon.fit(rng.normal(size=(1200, 3)), classes, epochs=1, task="tabular_classification")
    found = run.predict_proba(rng.normal(size=(4, 3)))
    assert found.shape == (4, 120)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)


def test_numbers_have_no_probabilities():
    run = gnomon.fit(load_diabetes(as_frame=True).frame, "target", epochs=1)
    with pytest.raises(gnomon.GnomonError, match=r"probabilities are of one class per example\. Fix: use predict"):
        run.predict_proba(load_diabetes().data)


def test_answers_can_be_written_to_a_new_file_only(run):
    found = gnomon.predict(run, X[:3], out="answers.csv")
    assert pl.read_csv("answers.csv")["prediction"].to_list() == found.table["prediction"].to_list()
    with pytest.raises(gnomon.GnomonError, match="already exists and is not overwritten"):
        gnomon.predict(run, X[:3], out="answers.csv")
    with pytest.raises(gnomon.GnomonError, match=r"written as \.csv, \.json or \.parquet"):
        gnomon.predict(run, X[:3], out="answers.xlsx")


# --- units and words --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run: gnomon.probe(run, time="soon"), "time=soon is not a duration above 0"),
        (lambda run: gnomon.probe(run, time=-1), "time=-1 is not a duration"),
        (lambda run: gnomon.probe(run, knobs="some"), "knobs=some is not one of fault, all"),
        (lambda run: gnomon.improve(run, time="5 days"), "time=5 days is not a duration"),
        (lambda run: gnomon.improve(run, test="perhaps"), "test=perhaps is not yes or no"),
        (lambda run: gnomon.tune(X, Y, trials=1.5), r"trials=1\.5 is not a whole number"),
        (lambda run: gnomon.tune(X, Y, repeats=-1), "repeats=-1 is not a whole number"),
        (lambda run: gnomon.errors(run, rows="wrong"), "rows=wrong is not one of errors, right, all"),
        (lambda run: gnomon.errors(run, report="2"), "report=2 is not yes or no"),
        (lambda run: gnomon.labels(run, folds=1), "folds=1 is not a whole number of at least 2"),
        (lambda run: gnomon.labels(run, corrected="c.csv"), "corrected labels come from a review"),
        (lambda run: gnomon.labels(run, epochs=3), "epochs cannot be set: the run has its settings"),
        (lambda run: gnomon.retest(run), "is a run, not a search"),
        (lambda run: gnomon.plan(), "plan needs an error"),
        (lambda run: gnomon.plan("ten"), "error=ten is not a share"),
        (lambda run: gnomon.plan(0.1, examples="many"), "examples=many is not a whole number"),
        (lambda run: gnomon.compare(run), "compare needs at least two"),
        (lambda run: gnomon.compare(run, 7), "int is not a run"),
        (lambda run: gnomon.compare(run, run, weight={"0": "x"}), r"weight\.0=x is not a number"),
        (lambda run: gnomon.diagnose(run, human="-1"), "human"),
        (lambda run: gnomon.diagnose(predictions=7), "int is not a table"),
        (lambda run: gnomon.diagnose(), "there is nothing to diagnose"),
        (lambda run: gnomon.pipeline(7), "int is not a table"),
        (lambda run: gnomon.pipeline(pl.DataFrame({"target": SPANS})), "'target' has the type Duration"),
        (lambda run: gnomon.diagnose(run, human=pl.DataFrame({"id": SPANS})), "'id' has the type Duration"),
        (lambda run: gnomon.load(7), "int is not a run"),
        (lambda run: gnomon.load(None), "NoneType is not a run"),
        (lambda run: gnomon.show(7), "int is not a run"),
        (lambda run: gnomon.test([7]), "int is not a run"),
        (lambda run: gnomon.test([]), "an ensemble needs at least one run"),
        (lambda run: gnomon.nudge(run), "nudge needs a setting"),
        (lambda run: gnomon.settings("tabular"), "tabular"),
        (lambda run: gnomon.fit(X, Y, epoch=3), r"unknown setting 'epoch'\. Fix: did you mean stop\.epochs"),
        (lambda run: gnomon.fit(X, Y, epochs="many"), "epochs"),
        (lambda run: gnomon.fit(X, Y, optimiser=7), "optimiser"),
        (lambda run: gnomon.fit(X, Y, task=7), "task"),
        (lambda run: gnomon.fit(X, Y, model=7), "model"),
        (lambda run: gnomon.fit(X, Y, follower=7), "follower"),
        (lambda run: gnomon.fit(resume=7), "int is not a run"),
    ],
)  # fmt: skip
def test_an_argument_that_cannot_be_used_is_one_clear_error(run, call, message):
    with pytest.raises(gnomon.GnomonError, match=message):
        call(run)


def test_a_follower_hears_the_events_it_has_methods_for():
    from types import SimpleNamespace

    epochs = []
    gnomon.fit(X, Y, epochs=3, follower=SimpleNamespace(on_epoch=lambda row: epochs.append(row["epoch"])))
    assert epochs == [1, 2, 3]
    with pytest.raises(gnomon.GnomonError, match=r"on_epochs, and there is no such event\. Fix: did you mean on_epoch"):
        gnomon.fit(X, Y, epochs=3, follower=SimpleNamespace(on_epochs=print))


def test_shares_and_durations_may_be_numbers_or_texts(run):
    assert gnomon.plan("10 %", other="9%") == gnomon.plan(0.1, other=0.09)
    assert gnomon.diagnose(run, human="0.03,0.01").rungs == gnomon.diagnose(run, human=(0.03, 0.01)).rungs


def test_conditions_stand_beside_the_runs_as_on_the_command_line(run):
    other = gnomon.fit(X, Y, **QUICK, seed=1, data={"labels": None})
    in_words = gnomon.compare(run, other.path, "size_mb < 0.001", weight={"0": "10"})
    in_python = gnomon.compare([run, other], conditions=["size_mb < 0.001"], weight={"0": 10})
    assert in_words.choice.winner is None
    assert in_words.target == in_python.target
    assert [one.measures["error"] for one in in_words.systems] == [one.measures["error"] for one in in_python.systems]


def test_predictions_of_pandas_are_diagnosed():
    frame = pl.DataFrame({"split": ["train", "dev"] * 40, "target": ["a"] * 80, "prediction": ["a", "b"] * 40})
    assert gnomon.diagnose(predictions=frame.to_pandas()) == gnomon.diagnose(predictions=frame)


def test_settings_lists_every_setting_with_its_default():
    found = {line.row.key: line.value for line in gnomon.settings()}
    assert found["seed"] == 0
    assert found["stop.epochs"] is None
    filled = {line.row.key: line.value for line in gnomon.settings("tabular_regression")}
    assert filled["stop.epochs"] > 0
    assert filled["model.name"] == "dense"


def test_a_folder_of_a_run_is_one_for_every_function_of_the_system(run):
    import os

    assert os.fspath(run) == os.fspath(run.folder) == str(run.path)
    assert RunFolder.open(run).path == run.path
