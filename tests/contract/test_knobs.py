"""Every knob that a task and a model declare changes training; every other setting is refused. No key does nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from gnomon import tasks
from gnomon.core import found
from gnomon.core.augmentation import KINDS
from gnomon.core.errors import UsageError
from gnomon.core.knobs import DRAWN_LAYERS, DRAWN_WEIGHTS, DROPOUT, HIDDEN_LAYERS, Here, Knob
from gnomon.core.settings import Settings, from_flat, refuse_idle, rows, value_of, with_values
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.split import Prepared
from gnomon.workflow.session import here_of
from gnomon.workflow.trial import Trial, Trials

# What each setting is turned to: far enough that two short epochs show it. Own settings of models are turned by type.
TURNED: dict[str, Any] = {
    "init.name": "small", "init.scale": 3.0, "regularise.weight_decay": 20.0, "regularise.l2": 30.0,
    "regularise.l1": 3.0, "regularise.dropout": 0.55, "regularise.label_smoothing": 0.3, "regularise.ema": 0.9,
    "regularise.augment": "shift", "optimiser.name": "momentum", "optimiser.learning_rate": 0.02,
    "optimiser.batch_size": 5, "optimiser.momentum": 0.5, "optimiser.beta2": 0.9, "optimiser.epsilon": 1e-2,
    "transfer.freeze": "backbone", "transfer.backbone_rate": 0.1,
    "optimiser.clip_norm": 1e-3, "optimiser.clip_value": 1e-4, "schedule.name": "constant", "schedule.warmup": 0.6,
    **{f"regularise.{name}": kind.strength / 2 for name, kind in KINDS.items()}, "regularise.shift": 0.25,
    "schedule.decay": 0.3, "schedule.every": 1, "schedule.table": "1:0.01,2:0.001", "stop.epochs": 3,
}  # fmt: skip
ELSEWHERE = {  # knobs that two epochs on a sample cannot show, and the tests that do
    "data.labels": "tests/unit/workflow/judge/test_corrected_labels.py",
    "split.duplicates": "tests/unit/workflow: copies in train",
    "stop.patience": "tests/unit/training/test_training_loop.py",
    "model.name": "the other parameters of this test",
    "transfer.pretrained": "tests/unit/workflow/test_transfer.py",
}
KIND_KEYS = frozenset(f"regularise.{name}" for name in KINDS)
SAME_MODELS = {"image_multi_task", "landmarks", "localisation", "tones", "verification"}  # as image_classification,
# which turns every family's own settings
NEEDS_WITH = {"schedule.name": {"schedule.table": "1:0.02,2:0.002"}}  # what a value of `when` cannot do without


def _models(prepared: Prepared) -> list[str]:
    """What takes the inputs of this task and gives what its head wants; of names with the same knobs, the smallest."""
    kind = prepared.task
    modality = kind.from_train(prepared.splits["train"], Settings()).encoder.inputs.modality
    fitting = {name: found.family(name) for name in found.family_names()}
    fitting = {name: one for name, one in fitting.items() if modality in one.takes and kind.head.wants in one.gives}
    alike: dict[Any, list[str]] = {}
    for name, one in fitting.items():
        alike.setdefault((one.names, one.abilities(name, one.settings())), []).append(name)
    return [min(names, key=family_order.index) for (family_order, _), names in alike.items()]


@pytest.fixture(scope="module")
def prepared_of(tmp_path_factory) -> Any:
    kept: dict[str, Prepared] = {}

    def prepared(task: str) -> Prepared:
        if task not in kept:
            source = tasks.load(task).reader.write_sample(tmp_path_factory.mktemp(task) / "sample", seed=1)
            kept[task] = prepare(source, from_flat({"task": task}))
        return kept[task]

    return prepared


def _opened(task: str, model: str, **more: Any) -> Settings:
    if _is_another_backbone(model) and "width" in found.family(model).settings.model_fields:
        more |= {"width": 0.125}
    if _is_segmenter(model):
        more |= {"backbone": "resnet20"}
    small = {"units": 8, "embedding": 8} if "units" in found.family(model).settings.model_fields else {}
    small = {"width": 16, "layers": 1, "heads": 2} if model == "transformer" else small
    more |= {"width": 0.125} if model == "resnet1d" else small  # what acts on small nets acts on large ones
    more |= {"beam": 1} if task == "translation" else {}  # every trial is judged, and knobs change how nets are trained
    return from_flat({"task": task, "model": model, "epochs": 2, "threads": 1, "batch_size": 8, **more})


def _is_another_backbone(model: str) -> bool:
    """One of the nets that are trained in the way of another one, for which every knob is turned."""
    is_backbone = "features" in found.family(model).gives and model not in found.family("resnet20").names
    return is_backbone or _is_segmenter(model) or model in ("yolo-notes", "faster-rcnn")  # trained as model=detector is


def _is_segmenter(model: str) -> bool:
    """A net for pixels on a backbone, which is trained in the way of the U-Net."""
    family = found.family(model)
    return "pixels" in family.gives and family.backbone is not None


def _trials(prepared: Prepared, model: str) -> Trials:
    task = prepared.task.name
    try:
        return Trials(prepared, _opened(task, model))
    except UsageError as refused:  # LeNet-5, AlexNet and GoogLeNet need 16 pixels a side, the recogniser of faces 32
        least = 32 if "30x30" in refused.what else 16
        return Trials(prepared, _opened(task, model, image_size=least))


def _differ(one: Trial, other: Trial) -> bool:
    """Other weights are kept, or the losses on the way were others: the epoch that is kept may be the first."""
    before, after = one.model.state_dict(), other.model.state_dict()
    if [row["train_loss"] for row in one.history] != [row["train_loss"] for row in other.history]:
        return True
    if before.keys() != after.keys() or len(one.history) != len(other.history):
        return True
    return any(before[n].shape != after[n].shape or not torch.equal(before[n], after[n]) for n in before)


def _turned(knob: Knob, value: Any, here: Here) -> Any:
    """Another value of this setting."""
    if knob.key in TURNED and value != TURNED[knob.key]:
        return TURNED[knob.key]
    for step in knob.steps:
        wanted = step.next(value, here)
        if wanted is not None and not isinstance(wanted, dict):
            return wanted
    if isinstance(value, list | tuple) and value and all(isinstance(one, int) for one in value):
        return [one + 3 for one in value]
    if knob.key == "model.hidden":
        return [4]
    if isinstance(value, list | tuple):
        return "tanh" if "tanh" not in value else "relu"
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    others = {"batch": "layer", "layer": "none", "none": "layer", "before": "after", "gru": "lstm"}
    return others.get(value, [4])


@pytest.mark.parametrize("task", tasks.names())
def test_every_knob_acts_and_every_other_setting_is_refused(task: str, prepared_of: Any) -> None:
    prepared = prepared_of(task)
    for number, model in enumerate(_models(prepared)[: 1 if task in SAME_MODELS else None]):
        _check_every_knob(prepared, model, is_first=number == 0)


def _check_every_knob(prepared: Prepared, model: str, *, is_first: bool = True) -> None:
    trials = _trials(prepared, model)
    here, base = here_of(trials.base), trials.run({})
    for row in rows(trials.base.settings):
        knob = next(one for one in here.knobs if one.key == row.key)
        if here.why_idle(knob):
            with pytest.raises(UsageError, match="would have no effect here"):
                refuse_idle({row.key}, here, "this task")
            if knob.when is None or (knob.needs and knob.needs not in here.abilities):
                continue
        if not knob.links or row.key in ELSEWHERE:
            continue
        is_alike = _is_another_backbone(model) or (found.family(model).backbone is not None and not is_first)
        if is_alike and not _is_of_the_model(knob):  # detectors on a backbone are trained in one way, too
            continue
        if row.key in KIND_KEYS and not is_first:  # they act on pictures, before any model
            continue
        assert _acts(knob, trials, base, here), f"{row.key} changes nothing of {prepared.task.name} with model={model}"


def _is_of_the_model(knob: Knob) -> bool:
    """A setting of the family, or one that acts where its family says so."""
    return knob.key.startswith("model.") or knob.needs in (DRAWN_WEIGHTS, DRAWN_LAYERS, HIDDEN_LAYERS, DROPOUT)


def _acts(knob: Knob, trials: Trials, base: Trial, here: Here) -> bool:
    """Whether turning the knob gives other weights, or another course; with what it needs to act switched on."""
    around: dict[str, Any] = {}
    if knob.when is not None and here.settings.get(knob.when[0]) not in knob.when[1]:
        around = {knob.when[0]: knob.when[1][0], **NEEDS_WITH.get(knob.when[0], {})}
        base = trials.run(around)
    value = value_of(with_values(trials.base.settings, around), knob.key)
    changed = trials.run({**around, knob.key: _turned(knob, value, here)})
    return _differ(base, changed)


IDLE = """
from gnomon.core.knobs import Knob
from gnomon.core.settings import setting, OwnSettings
from gnomon.core.family import Family
from gnomon.models import linear

class IdleSettings(OwnSettings):
    unread: float = setting(1.0, "nobody reads it", Knob(("fit-train",)))

FAMILY = Family(names=("idle",), title="", source="", takes=("table",), build=linear.build, settings=IdleSettings)
"""


def test_a_setting_that_no_code_reads_is_caught(prepared_of: Any, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "idle.py").write_text(IDLE)
    monkeypatch.setenv("GNOMON_MODELS", os.pathsep.join([os.environ["GNOMON_MODELS"], str(tmp_path)]))
    with pytest.raises(AssertionError, match=r"model\.unread changes nothing"):
        _check_every_knob(prepared_of("tabular_regression"), "idle")


def test_a_family_refuses_the_settings_of_others_with_the_nearest_of_its_own() -> None:
    with pytest.raises(UsageError, match=r"model=logistic has no setting 'hidden'\. Fix: logistic has no settings"):
        from_flat({"model": "logistic", "hidden": "256"})
    with pytest.raises(UsageError, match=r"did you mean model\.channels"):
        from_flat({"model": "convnet", "model.chanels": "32"})


@pytest.mark.parametrize("model", found.family_names())
def test_own_settings_of_all_other_models_are_refused(model: str) -> None:
    own = set(found.family(model).settings.model_fields)
    every = {leaf for name in found.family_names() for leaf in found.family(name).settings.model_fields}
    for leaf in sorted(every - own):
        with pytest.raises(UsageError, match=f"model={model} has no setting '{leaf}'"):
            from_flat({"model": model, f"model.{leaf}": 4})
