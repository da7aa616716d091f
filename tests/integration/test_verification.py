"""Verification from a folder of people to the screen: what is asked, what is answered, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import gnomon
from gnomon import tasks
from gnomon.core.errors import DataError, UsageError
from gnomon.metrics import identity_table
from gnomon.training.evaluate import evaluate
from gnomon.workflow.judge.errors import errors
from gnomon.workflow.judge.labels import labels
from gnomon.workflow.picture_vectors import picture_vectors
from gnomon.workflow.road.build import fresh_model

FEW = {"task": "verification", "epochs": 2, "channels": "4,8", "threads": 1}


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    return tasks.load("verification").reader.write_sample(tmp_path_factory.mktemp("people") / "writers", seed=3)


@pytest.fixture(scope="module")
def run(people, tmp_path_factory):
    return gnomon.fit(people, runs_folder=str(tmp_path_factory.mktemp("runs")), **FEW)


def test_dev_is_all_pairs_of_people_that_training_never_saw(run):
    read = identity_table.read(run.evaluation("dev").table)
    assert len(read.pairs) == 12 * 11 / 2  # two people with six pictures each
    assert int(read.is_same.sum()) == 2 * 15
    assert not set(read.people) & set(run.task.head.identities)
    assert all(
        name.split("/")[0] == read.people[person] for name, person in zip(read.names, read.person_of, strict=True)
    )


def test_the_error_is_the_mean_of_both_kinds_at_the_threshold_that_dev_chose(run):
    table = run.evaluation("dev").table
    same = (table["target"] == "same").to_numpy()
    accepted = (table["distance"] < run.task.judge.threshold).to_numpy()
    expected = ((~accepted[same]).mean() + accepted[~same].mean()) / 2
    rung = next(one for one in run.diagnosis.rungs if one.name == "dev")
    assert rung.error == pytest.approx(expected)
    assert rung.low <= rung.error <= rung.high
    found = run.task.judge.metrics(run.evaluation("dev"))
    assert found["false reject rate"].value == pytest.approx((~accepted[same]).mean())
    assert "identities" in found["equal error rate"].method
    assert not any(name.startswith("TAR") for name in found)  # 36 pairs of two people are too few for 1 %


def test_the_floor_is_the_distance_of_the_pixels(run):
    floor = run.folder.load_floor()
    assert (floor.guess.name, floor.references[0].name) == ("always different", "the distance of pixels")
    assert floor.guess.error == pytest.approx(0.5)  # all pairs of one person are wrong, no others


def test_two_pictures_are_answered_and_the_order_does_not_matter(run, people):
    files = [str(people / "writer 0" / name) for name in ("0.png", "1.png")]
    one, other = (run.predict(pair) for pair in (files, files[::-1]))
    assert one["prediction"][0] in ("same", "different")
    assert one["distance"][0] == pytest.approx(other["distance"][0], abs=1e-6)
    assert len(run.predict(str(people / "writer 0"))) == 6 * 5 / 2
    with pytest.raises(DataError, match=r"1 pictures make no pair\. Fix: give two pictures"):
        run.predict(files[:1])


def test_vectors_have_length_one_and_their_distances_are_those_that_are_judged(run, people):
    found = picture_vectors(run, str(people / "writer 1"))
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-5)
    table = run.predict(str(people / "writer 1"))
    left, right = np.triu_indices(6, k=1)
    distances = np.square(found.vectors[left] - found.vectors[right]).sum(axis=1)
    np.testing.assert_allclose(distances, table["distance"], atol=1e-5)
    assert found.threshold == run.task.judge.threshold


def test_a_picture_goes_through_the_model_once_for_all_its_pairs(run, people):
    prepared = gnomon.workflow.prepare.prepare(people, run.settings)
    pairs = run.task.judge.judged(prepared.splits["dev"], 0)
    seen = []
    handle = run.model.head.register_forward_hook(lambda _layer, _inputs, output: seen.append(len(output)))
    try:
        evaluate(run.task, run.model, pairs, split="dev", source="here", device="cpu")
    finally:
        handle.remove()
    assert 12 <= sum(seen) <= 12 + 1  # and one to find the size of the batches, where it is not known yet
    assert len(pairs) == 66


def test_errors_look_at_both_pictures_and_labels_audits_the_identities(run):
    found = errors(run)
    assert found.note == ""
    assert found.sheet.errors.count == int((run.evaluation("dev").table["error"] > 0).sum())
    audit = labels(run).audit
    assert (audit.what, audit.count) == ("pictures of identities", 12)


def test_a_false_accept_rate_without_enough_pairs_says_how_many_it_needs(people, tmp_path):
    with pytest.raises(DataError, match=r"far=0\.001 needs 3,000 pairs of two identities in every split"):
        gnomon.fit(people, runs_folder=str(tmp_path), far=0.001, **FEW)


def test_losses_within_a_batch_refuse_parts_of_it(people, tmp_path):
    with pytest.raises(UsageError, match="loss=triplet compares the pictures of a whole batch"):
        gnomon.fit(people, runs_folder=str(tmp_path), micro_batch=4, **{**FEW, "task.loss": "triplet"})


@pytest.mark.parametrize("loss", ["arcface", "triplet", "pairs"])
def test_every_loss_trains_to_the_same_bits_for_a_seed(people, tmp_path, loss):
    first, second = (gnomon.fit(people, runs_folder=str(tmp_path), **{**FEW, "task.loss": loss}) for _ in range(2))
    assert (
        dict(first.folder.load_model())["weights.safetensors"]
        == dict(second.folder.load_model())["weights.safetensors"]
    )


def test_folds_judge_the_pairs_of_each_fold_by_a_model_that_never_saw_its_people(people, tmp_path):
    run = gnomon.fit(people, runs_folder=str(tmp_path), folds=5, test=0, **FEW)
    read = identity_table.read(run.evaluation("dev").table)
    assert len(read.pairs) == 5 * 66
    assert len(read.people) == 10
    assert run.folder.load_floor().references[0].name == "the distance of pixels"
    assert not errors(run).note  # the examples of the table are found again


def test_no_epochs_judge_the_starting_weights_as_they_are(people, tmp_path):
    run = gnomon.fit(people, runs_folder=str(tmp_path), **{**FEW, "epochs": 0})
    assert run.folder.load_outcome()["steps"] == 0
    assert [(row["epoch"], row["step"]) for row in run.folder.history.read()] == [(1, 0)]
    fresh = fresh_model(run.task, run.settings).state_dict()
    assert all(torch.equal(one, fresh[name]) for name, one in run.model.state_dict().items())


def test_a_face_net_compares_its_own_vectors_until_it_is_trained(people, tmp_path):
    more = {**FEW, "model": "face-resnet", "image_size": 32, "epochs": 0}
    more.pop("channels")
    run = gnomon.fit(people, runs_folder=str(tmp_path), **more)
    pictures = torch.zeros(2, run.task.encoder.channels, 32, 32, dtype=torch.uint8)
    pictures[1, :, 8:20] = 200
    with torch.no_grad():
        features = run.model.vectors(pictures)
        found = run.model(pictures)
    torch.testing.assert_close(found, torch.nn.functional.normalize(features, dim=1))
