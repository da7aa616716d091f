"""The face finder against its own JavaScript (tests/golden/make_face_api.mjs): grid, boxes, one clear answer."""

from __future__ import annotations

import itertools
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from gnomon.core.errors import DataError, UsageError
from gnomon.models._face_finder import CHANNELS, WEIGHTS, FaceFinder, boxes_of
from gnomon.training.weights import file_of
from gnomon.workflow.faces import Finder

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "face_api.json").read_text())
FACES = Path(os.environ.get("GNOMON_DATA", "")) / "faces"
needs_faces = pytest.mark.skipif(file_of(WEIGHTS) is None or not FACES.is_dir(), reason="needs the package and faces")


def made_bytes(count, salt):
    place = np.arange(count, dtype=np.int64)
    return ((place * 37 + place // 7 * 101 + place // 251 * 53 + salt * 29) % 256).astype(np.uint8)


def made_finder():
    """The weights of a formula, in the order of the published manifest and with its axes."""
    net, number, state = FaceFinder().eval(), 0, {}

    def add(name, shape, order):
        nonlocal number
        fan_in = math.prod(shape[:3]) if len(shape) == 4 else shape[0]
        scale, low = 3 / math.sqrt(fan_in) / 255, -1.5 / math.sqrt(fan_in)
        values = (made_bytes(math.prod(shape), number) * scale + low).astype(np.float32).reshape(shape)
        state[name] = torch.from_numpy(values.transpose(order).copy())
        number += 1

    add("first.weight", (3, 3, 3, 16), (3, 2, 0, 1))
    add("first.bias", (16,), (0,))
    for i, (before, after) in enumerate(itertools.pairwise(CHANNELS), start=1):
        add(f"pairs.{i}.0.weight", (3, 3, before, 1), (2, 3, 0, 1))
        add(f"pairs.{i}.1.weight", (1, 1, before, after), (3, 2, 0, 1))
        add(f"pairs.{i}.1.bias", (after,), (0,))
    add("last.weight", (1, 1, 512, 25), (3, 2, 0, 1))
    add("last.bias", (25,), (0,))
    net.load_state_dict(state)
    return net


def scene(*placed):
    """416x416 gray pixels with faces of 92x112, enlarged twice, as in the script."""
    picture = np.full((416, 416), 110, np.uint8)
    for name, left, top in placed:
        face = np.frombuffer((FACES / name).read_bytes()[-92 * 112 :], np.uint8).reshape(112, 92)
        picture[top : top + 224, left : left + 184] = face.repeat(2, 0).repeat(2, 1)
    return picture


def test_the_grid_is_that_of_face_api():
    picture = torch.from_numpy(made_bytes(96 * 96 * 3, 5).reshape(1, 96, 96, 3)).permute(0, 3, 1, 2)
    with torch.no_grad():
        grid = made_finder()(picture)[0].permute(1, 2, 0)
    torch.testing.assert_close(grid.flatten(), torch.tensor(GOLDEN["made"]["grid"]), rtol=1e-3, atol=1e-5)


def test_a_box_is_where_pencil_and_paper_put_it():
    grid = torch.full((25, 2, 2), -9.0)
    grid[0:5, 1, 0] = torch.tensor([0.0, 0.0, 0.0, 0.0, 9.0])  # the middle of the lower left place, of the first size
    boxes, scores = boxes_of(grid)
    half = 16 * np.array([1.603231, 2.094468])
    assert boxes[0].tolist() == pytest.approx([16 - half[0], 48 - half[1], 16 + half[0], 48 + half[1]], rel=1e-5)
    assert scores.tolist() == pytest.approx([1 / (1 + math.exp(-9))])


@needs_faces
@pytest.mark.parametrize(
    ("key", "placed"),
    [("none", ()), ("one", (("s1/1.pgm", 120, 100),)), ("two", (("s1/1.pgm", 20, 60), ("s2/1.pgm", 220, 150)))],
)
def test_faces_are_found_where_face_api_finds_them(key, placed):
    found = Finder().find(scene(*placed))
    expected = np.array(GOLDEN["published"][key]).reshape(-1, 5)
    assert len(found.boxes) == len(placed) == len(expected)
    np.testing.assert_allclose(found.scores, expected[:, 0], rtol=1e-4)
    np.testing.assert_allclose(found.boxes, expected[:, 1:], rtol=1e-4, atol=0.02)


@needs_faces
def test_no_face_or_two_are_one_clear_answer_each():
    finder = Finder()
    with pytest.raises(DataError, match=r"door\.jpg: no face is found in it, where one is expected"):
        finder.one_face(scene(), "door.jpg")
    with pytest.raises(DataError, match="2 faces are found in it, where one is expected"):
        finder.one_face(scene(("s1/1.pgm", 20, 60), ("s2/1.pgm", 220, 150)), "door.jpg")
    assert finder.one_face(scene(("s1/1.pgm", 120, 100)), "door.jpg").shape == (178, 168)


def test_without_the_package_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("GNOMON_FACE_API", str(tmp_path))
    with pytest.raises(UsageError, match=r"face finder are not installed\. Fix: npm install @vladmandic/face-api"):
        Finder()
