"""Segmentation beyond what every task does: the floor, the first model, patches of large pictures, masks in peek."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

import gnomon
from gnomon import tasks
from gnomon.cli import main
from gnomon.core.settings import from_flat
from gnomon.metrics import mask_table
from gnomon.training.evaluate import encode_whole
from gnomon.workflow.prepare import prepare
from gnomon.workflow.session import open_session

KIND = tasks.load("segmentation")
CLASSES = np.array([20, 120, 220], np.uint8)  # gray of each class


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return KIND.reader.write_sample(tmp_path_factory.mktemp("segmentation") / "cells", seed=3)


@pytest.fixture(scope="module")
def run(source):
    return gnomon.fit(source, epochs=4, seed=5, width=0.0625, runs_folder=str(source.parent / "runs"))


def painted(folder, size, count=12, channels=1):
    """Pictures whose gray says the class, and their masks."""
    rng = np.random.default_rng(0)
    for number in range(count):
        mask = np.zeros(size, np.uint8)
        top, left = rng.integers(2, size[0] // 2), rng.integers(2, size[1] // 2)
        mask[top : top + size[0] // 3, left : left + size[1] // 3] = 1
        mask[: size[0] // 4] = 2
        pixels = CLASSES[mask] if channels == 1 else np.stack([CLASSES[mask], mask * 60, 200 - mask * 50], axis=2)
        for kind, content in (("images", pixels), ("masks", mask)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(content.astype(np.uint8)).save(folder / kind / f"{number}.png")
    return folder


def session_of(source, **values):
    settings = from_flat({"task": "segmentation", "threads": 1, **values})
    return open_session(prepare(str(source), settings), settings)


def error_on_dev(run):
    return next(rung.error for rung in run.diagnosis.rungs if rung.name == "dev")


def test_the_floor_is_what_trees_make_of_each_pixels_colour_and_what_the_commonest_class_reaches(run):
    floor = json.loads((run.path / "floor.json").read_text())
    (trees,) = floor["references"]
    assert trees["name"] == "boosted trees on the colour of each pixel"
    # noise of 60 gray levels hides nothing: 0 to 59, 100 to 159, 180 to 239
    assert trees["error"] < 0.01
    counts = sum(np.array(json.loads(text)) for text in run.evaluation("dev").table["confusion"])
    share = counts.sum(axis=1) / counts.sum()
    assert floor["guess"]["name"] == "always '0'"
    assert floor["guess"]["error"] == pytest.approx(1 - share[0] / 3)  # IoU: its share, 0 and 0
    assert trees["ahead"] == pytest.approx(error_on_dev(run) - trees["error"])


def test_gray_pictures_get_a_unet_and_colour_ones_the_public_weights(source, tmp_path):
    gray = session_of(source)
    assert (gray.settings.model.name, gray.settings.transfer.pretrained) == ("unet", False)
    colour = session_of(painted(tmp_path, (64, 64), channels=3))
    assert (colour.settings.model.name, colour.settings.transfer.pretrained) == ("segmenter", True)
    assert colour.start is not None
    assert colour.model.backbone.normalise.mean.flatten().tolist() == pytest.approx([127 / 255] * 3)
    scratch = session_of(tmp_path, pretrained=False)
    assert (scratch.settings.model.name, scratch.settings.transfer.pretrained) == ("unet", False)


def test_training_on_patches_sees_parts_of_pictures_with_their_own_part_of_the_mask(tmp_path):
    session = session_of(
        painted(tmp_path, (96, 128)), image_size=128, **{"task.patch": 48, "augment": "mirror,updown,crop:0.2"}
    )
    task, train = session.task, session.prepared.splits["train"]
    columns, indices = encode_whole(task, train), torch.arange(len(train))
    generator = torch.Generator().manual_seed(0)
    one, other = (
        task.augment(task.collate(columns, indices), session.settings.regularise, generator) for _ in range(2)
    )
    assert one["image"].shape[2:] == one["mask"].shape[1:] == (48, 48)
    assert not torch.equal(one["image"], other["image"])
    gray, mask = one["image"][:, 0].float(), one["mask"].long()
    expected = torch.from_numpy(CLASSES).float()[mask]
    assert float(((gray - expected).abs() < 2).float().mean()) > 0.9  # all but what lies between two classes
    assert one["weight"].tolist() == [48 * 48] * len(train)
    whole = task.batch(columns, indices)  # judged whole
    assert whole["image"].shape[2:] == (96, 128)


def test_a_patch_as_large_as_the_picture_is_refused(source):
    with pytest.raises(gnomon.GnomonError, match="patch=64 is no part of pictures of 32x32"):
        session_of(source, **{"task.patch": 64})


def test_what_was_trained_on_patches_is_judged_on_whole_pictures(tmp_path):
    run = gnomon.fit(
        str(painted(tmp_path / "data", (64, 64))), epochs=1, width=0.125, seed=1, image_size=64,
        augment="mirror", runs_folder=str(tmp_path / "runs"), **{"task.patch": 32},
    )  # fmt: skip
    table = run.evaluation("dev").table
    assert mask_table.decode(table["prediction"][0]).shape == (64, 64)
    assert sum(map(sum, json.loads(table["confusion"][0]))) == 64 * 64


def test_peek_draws_masks(source, tmp_path, capsys):
    assert main(["peek", str(source), f"runs_folder={tmp_path}", "--json"]) == 0
    (picture,) = (tmp_path / "peek").glob("*.png")
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    is_coloured = (pixels.max(axis=2) - pixels.min(axis=2)) > 30
    assert is_coloured.mean() > 0.01  # the pictures are gray; masks are not
