"""A loss, an augmentation and a network of the user's own: used, recorded by name, asked for again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits, load_wine
from torch import nn
from torch.nn import functional

import gnomon
from gnomon.core.errors import UsageError
from gnomon.core.own import name_of
from gnomon.workflow.road.follow import Silent

X, Y = load_wine(return_X_y=True)
QUICK = {"epochs": 3, "test": 0.2, "hidden": (8,)}


def cross_entropy(outputs, target):
    return functional.cross_entropy(outputs, target, reduction="none")


def ten_times(outputs, target):
    return 10 * functional.cross_entropy(outputs, target, reduction="none")


def absolute(outputs, target):
    return (outputs - target).abs().mean(1)


class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(13, width), nn.ReLU(), nn.Linear(width, 3))

    def forward(self, numbers, _categories):
        return self.layers(numbers)


def weights(run):
    return run.model.state_dict()


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


# --- a loss -----------------------------------------------------------------------------------------------------------
def test_the_loss_of_torch_handed_over_is_the_loss_that_gnomon_has():
    own, usual = gnomon.fit(X, Y, **QUICK, loss=cross_entropy), gnomon.fit(X, Y, **QUICK)
    for name, tensor in weights(usual).items():
        torch.testing.assert_close(weights(own)[name], tensor, atol=1e-4, rtol=1e-3)
    np.testing.assert_allclose(
        own.evaluation("dev").table["loss"].to_numpy(), usual.evaluation("dev").table["loss"].to_numpy(), atol=1e-3
    )


def test_an_own_loss_is_what_is_trained_and_what_every_table_has():
    usual = gnomon.fit(X, Y, **QUICK, optimiser="sgd", learning_rate=0.001, weight_decay=0)
    larger = gnomon.fit(X, Y, **QUICK, optimiser="sgd", learning_rate=0.0001, weight_decay=0, loss=ten_times)
    for name, tensor in weights(usual).items():  # a tenth of the rate, ten times the gradient
        torch.testing.assert_close(weights(larger)[name], tensor, atol=1e-5, rtol=1e-4)
    logits = larger.model(torch.from_numpy(_standardised(larger)), None)
    rows = _positions(larger, "dev")
    wanted = 10 * functional.cross_entropy(logits, torch.from_numpy(Y), reduction="none")[rows]
    np.testing.assert_allclose(larger.evaluation("dev").table["loss"].to_numpy(), wanted.detach().numpy(), rtol=1e-3)


def _positions(run, split):
    splits = run.folder.load_splits()
    return splits.filter(splits["split"] == split)["id"].cast(int).to_numpy() - 1


def _standardised(run):
    train = X[_positions(run, "train")]
    return ((X - train.mean(0)) / train.std(0)).astype(np.float32)


def test_targets_of_a_loss_for_numbers_are_in_standard_deviations_like_the_outputs():
    inputs, target = load_diabetes(return_X_y=True)
    seen = []

    def watched(outputs, wanted):
        seen.append(wanted.detach())
        return absolute(outputs, wanted)

    run = gnomon.fit(inputs, target, epochs=2, loss=watched)
    first_epoch = torch.cat(seen[: -(-len(_positions(run, "train")) // run.settings.optimiser.batch_size)])
    assert first_epoch.mean().abs() < 0.1
    assert abs(first_epoch.std() - 1) < 0.1
    assert run.settings.own.loss == f"{__name__}.{watched.__qualname__}"


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (nn.CrossEntropyLoss(), r"CrossEntropyLoss gave torch\.float32 of shape \(\) for \d+ examples, not one number"),
        (lambda outputs, target: outputs, r"shape \(\d+, 3\) for \d+ examples"),
        (lambda outputs, target: outputs.argmax(1), r"gave torch\.int64 of shape"),
        (lambda outputs, target: 3.0, r"gave float for"),
        ("focal", r"loss='focal' is not a function\. Fix: pass the function itself"),
    ],
)  # fmt: skip
def test_a_loss_that_does_not_give_one_number_for_each_example_is_refused(loss, message):
    with pytest.raises(UsageError, match=message):
        gnomon.fit(X, Y, **QUICK, loss=loss)


def test_a_module_with_reduction_none_is_a_loss():
    assert gnomon.fit(X, Y, **QUICK, loss=nn.CrossEntropyLoss(reduction="none")).settings.own.loss.endswith(
        ".CrossEntropyLoss"
    )


# --- an augmentation --------------------------------------------------------------------------------------------------
def noise(batch, generator):
    numbers = batch["numbers"]
    return {**batch, "numbers": numbers + 0.1 * torch.randn(numbers.shape, generator=generator)}


def test_an_augmentation_changes_training_batches_alone_and_repeats_by_the_seed():
    first, again = (gnomon.fit(X, Y, **QUICK, augment_with=noise) for _ in range(2))
    plain, other = gnomon.fit(X, Y, **QUICK), gnomon.fit(X, Y, **QUICK, augment_with=noise, seed=1)
    assert same(weights(first), weights(again))
    assert not same(weights(first), weights(plain))
    assert not same(weights(first), weights(other))
    untouched = gnomon.fit(X, Y, **QUICK, augment_with=lambda batch, generator: batch)
    assert same(weights(untouched), weights(plain))


def test_pictures_are_augmented_by_the_users_own_function_alone_unless_more_is_asked_for():
    pictures, classes = load_digits().images[:200], load_digits().target[:200]
    shapes = set()

    def look(batch, generator):
        shapes.add((tuple(batch["image"].shape[1:]), batch["image"].dtype))
        return batch

    own = gnomon.fit(pictures, classes, epochs=1, augment_with=look)
    assert shapes == {((1, 8, 8), torch.uint8)}
    assert own.settings.regularise.augment == "none"
    both = gnomon.fit(pictures, classes, epochs=1, augment_with=look, augment="shift")
    assert both.settings.regularise.augment == "shift"


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [
        (lambda batch, generator: None, r"gave NoneType\. Fix: return a batch of "),
        (lambda batch, generator: {"numbers": batch["numbers"]}, r"gave numbers\. Fix: return a batch of "),
        (lambda batch, generator: {**batch, "numbers": batch["numbers"][:1]}, r"gave 1 examples of numbers, of \d+"),
        (3, r"augment_with=3 is not a function"),
    ],
)  # fmt: skip
def test_an_augmentation_that_loses_something_is_refused(augmentation, message):
    with pytest.raises(UsageError, match=message):
        gnomon.fit(X, Y, **QUICK, augment_with=augmentation)


# --- asked for again --------------------------------------------------------------------------------------------------
def test_a_run_with_an_own_loss_predicts_without_it_and_asks_for_it_by_name_to_evaluate():
    run = gnomon.fit(X, Y, **QUICK, loss=ten_times)
    reopened = gnomon.load(run.path)
    assert reopened.predict(X)["prediction"].to_list() == run.predict(X)["prediction"].to_list()
    with pytest.raises(UsageError, match=rf"own loss {__name__}\.ten_times.*gnomon\.load\(path, loss=\.\.\.\)"):
        reopened.test((X, Y))
    assert reopened.folder.num_openings == 0
    measured = gnomon.load(run.path, loss=ten_times).test((X, Y))
    assert measured.table["loss"].to_numpy().mean() > 1


def test_a_run_with_an_own_network_asks_for_it_by_its_class():
    run = gnomon.fit(X, Y, epochs=2, model=Net())
    assert run.settings.own.module == f"{__name__}.Net"
    with pytest.raises(UsageError, match=rf"your own model {__name__}\.Net\. Fix: pass it: gnomon\.load"):
        gnomon.load(run.path).predict(X)
    reopened = gnomon.load(run.path, model=Net())
    assert reopened.predict(X)["prediction"].to_list() == run.predict(X)["prediction"].to_list()


class StopInTheSecondEpoch(Silent):
    def on_epoch(self, row):
        if row["epoch"] == 1:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGINT)


def test_a_stopped_run_is_resumed_with_its_own_parts_and_with_nothing_less():
    own = {"model": Net(), "loss": ten_times, "augment_with": noise}
    whole = gnomon.fit(X, Y, epochs=3, model=Net(), loss=ten_times, augment_with=noise)
    with pytest.raises(gnomon.GnomonError, match="its state is saved"):
        gnomon.fit(X, Y, epochs=3, **own, follower=StopInTheSecondEpoch())
    path = (whole.path.parents[1] / "latest").resolve()
    for lacking in own:
        rest = {name: thing for name, thing in own.items() if name != lacking}
        with pytest.raises(UsageError, match=rf"pass it: gnomon\.fit\(resume=\.\.\., {lacking}=\.\.\.\)"):
            gnomon.fit(X, Y, resume=path, **rest)
    resumed = gnomon.fit(X, Y, resume=path, model=Net(), loss=ten_times, augment_with=noise)
    assert [row["epoch"] for row in resumed.history] == [1, 2, 3]
    assert resumed.settings.own == whole.settings.own


@pytest.mark.parametrize("verb", ["probe", "improve"])
def test_verbs_that_train_more_than_once_say_which_part_they_lack(verb):
    run = gnomon.fit("wine", epochs=2, hidden=(8,), loss=ten_times)
    with pytest.raises(UsageError, match=rf"own loss {__name__}\.ten_times"):
        getattr(gnomon, verb)(run, time=20)


def test_a_run_whose_settings_file_names_a_loss_asks_for_it():
    with pytest.raises(UsageError, match=r"this trains with your own loss mine\.focal\. Fix: pass it"):
        gnomon.fit(X, Y, **QUICK, own={"loss": "mine.focal"})


def test_names_are_those_of_functions_and_classes():
    from functools import partial

    assert name_of(ten_times) == f"{__name__}.ten_times"
    assert name_of(partial(ten_times, target=None)) == f"{__name__}.ten_times"
    assert name_of(Net()) == f"{__name__}.Net"
    assert name_of(nn.CrossEntropyLoss()) == "torch.nn.modules.loss.CrossEntropyLoss"
