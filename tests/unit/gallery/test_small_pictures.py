"""The pictures that the claims about convnets train on, and the loop that trains."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn import datasets
from torch import nn

from gnomon.core.errors import GnomonError, UsageError
from gnomon.gallery._convnets import Recipe, cost_of, error_of, logits_of, started, train
from gnomon.gallery._page import run
from gnomon.gallery._small_pictures import LARGEST, Pictures, digits, read


def _linear(pictures: Pictures) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(pictures.images[0].numel(), pictures.num_classes))


def test_digits_are_all_of_scikit_learns_once_each():
    found, expected = digits(), datasets.load_digits()
    assert found.images.shape == (1797, 1, 8, 8)
    ours = (found.images[:, 0] * 16).round().flatten(1).numpy().astype(int)
    ours = np.c_[ours, found.labels.numpy()]
    theirs = np.c_[expected.data.astype(int), expected.target]
    assert np.array_equal(np.unique(ours, axis=0), np.unique(theirs, axis=0))
    assert found.says == "1,797 pictures of 8x8 pixels, gray, 10 classes"


def test_pictures_of_the_users_own_are_read_made_smaller_and_their_test_split_is_left_out(tmp_path):
    for split, count in (("train", 6), ("test", 3)):
        for class_name, colour in (("blue", (0, 0, 255)), ("red", (255, 0, 0))):
            folder = tmp_path / "tiles" / split / class_name
            folder.mkdir(parents=True)
            for i in range(count):
                shade = tuple(max(0, each - 10 * i) for each in colour)
                Image.new("RGB", (40, 48), shade).save(folder / f"{i}.png")
    found = read(str(tmp_path / "tiles"))
    assert (found.name, len(found), found.num_classes) == ("tiles", 12, 2)
    assert found.images.shape[1:] == (3, LARGEST, LARGEST)
    assert torch.equal(found.images.mean(dim=(2, 3)).argmax(dim=1), torch.where(found.labels == 0, 2, 0))


def test_a_split_is_disjoint_its_own_for_each_seed_and_balanced_from_the_first_picture():
    whole = digits()
    train_part, dev = whole.split(3, train=200, dev=100)
    rows = {picture.numpy().tobytes() for picture in train_part.images}
    assert (len(train_part), len(dev)) == (200, 100)
    assert not any(picture.numpy().tobytes() in rows for picture in dev.images)
    assert train_part.labels[:50].bincount().tolist() == [5] * 10
    again, _ = whole.split(3, train=200, dev=100)
    other, _ = whole.split(4, train=200, dev=100)
    assert torch.equal(train_part.images, again.images)
    assert not torch.equal(train_part.images, other.images)


def test_too_few_pictures_are_refused_with_the_numbers():
    with pytest.raises(UsageError, match=r"digits has 1,797 pictures outside test; this experiment needs at least 2,1"):
        digits().split(0, train=4000, dev=100)


def test_a_smaller_picture_is_the_average_over_areas():
    picture = torch.arange(16.0).view(1, 1, 4, 4)
    small = Pictures("four", picture, torch.zeros(1, dtype=torch.int64), 1).resized(2)
    assert small.images.flatten().tolist() == [2.5, 4.5, 10.5, 12.5]  # of 0, 1, 4, 5; of 2, 3, 6, 7; ...


def test_training_learns_repeats_and_leaves_frozen_weights_alone():
    part, dev = digits().split(0, train=500, dev=200)
    nets = [started(_linear(part), 0) for _ in range(2)]
    for net in nets:
        assert not train(net, part, Recipe(8, 0.1), 0)
    assert torch.equal(logits_of(nets[0], dev), logits_of(nets[1], dev))
    assert error_of(nets[0], dev) < 0.2  # scikit-learn's logistic regression has 0.05
    frozen = started(_linear(part), 0).requires_grad_(False)
    frozen[1].bias.requires_grad_(True)
    before = frozen[1].weight.clone()
    train(frozen, part, Recipe(1, 0.1), 0)
    assert torch.equal(frozen[1].weight, before)
    assert frozen[1].bias.abs().sum() > 0


def test_the_step_is_pytorchs_and_the_rate_falls_along_half_a_cosine():
    part, _ = digits().split(0, train=64, dev=100)
    ours, theirs = (started(_linear(part), 0) for _ in range(2))
    optimiser = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=5)
    for _ in range(5):
        optimiser.zero_grad()
        nn.functional.cross_entropy(theirs(part.images), part.labels).backward()
        optimiser.step()
        rate.step()
    train(ours, part, Recipe(5, 0.1), 0)
    assert torch.allclose(logits_of(ours, part), logits_of(theirs, part), atol=1e-5)


def test_a_training_that_diverges_says_so_and_costs_a_guess():
    part, dev = digits().split(0, train=200, dev=100)
    net = started(_linear(part), 0)
    assert train(net, part, Recipe(50, 1e38), 0)
    assert cost_of(net, dev) >= np.log(10) - 1e-9


def test_a_claim_that_belongs_to_one_set_refuses_other_pictures_and_names_who_takes_them():
    with pytest.raises(UsageError, match="logic_gates does not take data="):
        run("logic_gates", data="digits")


def test_data_without_classes_is_refused(tmp_path):
    with pytest.raises(GnomonError):
        read(str(tmp_path))
