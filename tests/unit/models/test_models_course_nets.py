"""The two small nets of the course: parameters counted by hand, and both learn what they were made for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from gnomon.core.family import PictureInputs
from gnomon.core.settings import from_flat
from gnomon.models.course_nets import signs, smile
from gnomon.workflow.prepare import prepare
from gnomon.workflow.trial import Trials

INPUTS = PictureInputs(3, 64, 64, (0.5,) * 3, (0.25,) * 3)


def test_the_nets_have_the_parameters_of_the_exercises():
    # 7x7x3 filters, 32 of them, with biases; two numbers a channel; 32x32 places of 32 channels to one unit
    counted = (7 * 7 * 3 + 1) * 32 + 2 * 32 + 32 * 32 * 32 + 1
    assert sum(p.numel() for p in smile(INPUTS, 1).parameters()) == counted == 37_569
    # 4x4x3 filters, 8; 2x2x8 filters, 16; 2x2 places of 16 channels to 6 units
    counted = (4 * 4 * 3 + 1) * 8 + (2 * 2 * 8 + 1) * 16 + (2 * 2 * 16 + 1) * 6
    assert sum(p.numel() for p in signs(INPUTS, 6).parameters()) == counted == 1_310


@pytest.mark.parametrize(("side", "places"), [(64, (8, 8)), (60, (8, 8)), (9, (2, 2))])
def test_sizes_are_kept_by_the_convolutions_and_rounded_up_by_the_pools(side, places):
    inputs = PictureInputs(3, side, side, (0.5,) * 3, (0.25,) * 3)
    maps = signs(inputs, None)(torch.zeros(1, 3, side, side))
    assert {name: one.shape[1:] for name, one in maps.items()} == {
        "stride1": (8, side, side), "stride8": (16, *places)
    }  # fmt: skip
    assert smile(inputs, None)(torch.zeros(1, 3, side, side))["stride1"].shape == (1, 32, side, side)


def faces(folder, number):
    """Round faces of any colour, of which half smile."""
    rng = np.random.default_rng(0)
    for i in range(number):
        picture = Image.new("RGB", (64, 64), tuple(rng.integers(0, 90, 3)))
        pen = ImageDraw.Draw(picture)
        x, y = rng.integers(-4, 5, 2)
        pen.ellipse((8 + x, 8 + y, 56 + x, 56 + y), fill=tuple(rng.integers(150, 256, 3)))
        for eye in (22, 38):
            pen.ellipse((eye + x, 22 + y, eye + 4 + x, 27 + y), fill="black")
        mouth = ((20, 26, 44, 46), 20, 160) if i % 2 else ((20, 38, 44, 58), 200, 340)
        pen.arc(tuple(place + shift for place, shift in zip(mouth[0], (x, y) * 2, strict=True)), *mouth[1:], "black", 3)
        kept = folder / ("smile" if i % 2 else "no smile")
        kept.mkdir(parents=True, exist_ok=True)
        picture.save(kept / f"{i:03}.png")
    return folder


def hands(folder, number):
    """A palm with none to five fingers."""
    rng = np.random.default_rng(0)
    for i in range(number):
        picture = Image.new("RGB", (64, 64), tuple(rng.integers(200, 256, 3)))
        pen, skin = ImageDraw.Draw(picture), tuple(rng.integers(60, 170, 3))
        x, y = rng.integers(-4, 5, 2)
        pen.ellipse((18 + x, 32 + y, 46 + x, 60 + y), fill=skin)
        for finger in range(i % 6):
            left = 16 + 6 * finger + x
            pen.rectangle((left, 8 + y, left + 3, 44 + y), fill=skin)
        kept = folder / f"{i % 6} fingers"
        kept.mkdir(parents=True, exist_ok=True)
        picture.save(kept / f"{i:03}.png")
    return folder


@pytest.mark.parametrize(
    ("model", "draw", "number", "side", "epochs", "num_classes"),
    [("smile", faces, 120, 32, 16, 2), ("signs", hands, 240, 64, 40, 6)],
)
def test_a_net_learns_what_it_was_made_for(tmp_path, model, draw, number, side, epochs, num_classes):
    values = {"model": model, "image_size": side, "epochs": epochs, "batch_size": 16, "augment": "none", "threads": 1}
    settings = from_flat({"task": "image_classification", **values})
    dev = Trials(prepare(draw(tmp_path / "pictures", number), settings), settings).run({}).evaluations["dev"]
    wrong = int((dev.table["prediction"] != dev.table["target"]).sum())
    assert wrong <= 0.25 * (1 - 1 / num_classes) * len(dev.table)  # a quarter of what guessing gives
