"""Large pictures in tiles: every object once, where it is, whatever tiles its pieces lie in."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import nn

from gnomon import tasks
from gnomon.core.errors import UsageError
from gnomon.core.settings import from_flat
from gnomon.core.task import Task
from gnomon.metrics.matching import areas_of
from gnomon.parts.annotated import AnnotatedEncoder
from gnomon.parts.boxes import DetectionHead, DetectionJudge
from gnomon.training.evaluate import Member
from gnomon.workflow.predict import Way, answer
from gnomon.workflow.tiles import tiles_of

SEEN = 320  # pixels a side that the detector sees, as in training
KIND = tasks.load("detection")


class Blobs(nn.Module):
    """A detector without training: what is bright and hangs together is an object, if it is not too small to tell."""

    def forward(self, pictures):
        return pictures

    def detections(self, pictures):
        found = [self.blobs(one.amax(0).numpy() > 0.7) for one in pictures]
        most = max(len(rows) for rows in found)
        boxes, kinds = torch.zeros(len(found), most, 4), torch.full((len(found), most), -1)
        for number, rows in enumerate(found):
            boxes[number, : len(rows)], kinds[number, : len(rows)] = torch.tensor(rows).reshape(-1, 4), 0
        return boxes, (kinds >= 0) * 0.9, kinds

    @staticmethod
    def blobs(is_bright):
        parts = ndimage.find_objects(ndimage.label(is_bright)[0])
        rows = [[x.start, y.start, x.stop, y.stop] for y, x in parts]
        return [row for row in rows if row[2] - row[0] > 6]


def member(scale=1.0):
    encoder = AnnotatedEncoder(SEEN, SEEN, 1, (0.2,), (0.1,))
    head = DetectionHead(("blob",), ((20.0, 20.0),), scale)
    return Member(Task(KIND, encoder, head, DetectionJudge(("blob",), threshold=0.5)), Blobs())


def scene(folder, squares, size=(1500, 2000)):
    """A dark photo of `size` with bright squares (left, top, side), as a file."""
    photo = np.full(size, 40, np.uint8)
    for left, top, side in squares:
        photo[top : top + side, left : left + side] = 250
    Image.fromarray(photo).save(folder / "photo.png")
    return folder / "photo.png"


def found(photo, tiles, scale=1.0):
    answers = answer([member(scale)], photo, [from_flat({})], Way(tiles=tiles))
    assert answers.table["width"].to_list() == [2000]
    return np.array([box[:4] for box in json.loads(answers.table["prediction"][0])]).reshape(-1, 4)


def shared(first, second):
    """IoU of boxes in the same order."""
    low, high = np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:])
    both = np.prod(np.maximum(high - low, 0), axis=1)
    return both / (areas_of(first) + areas_of(second) - both)


@pytest.fixture(scope="module")
def squares():
    """Sixty squares of 16 to 60 pixels in a grid of places, some of them over the edges of tiles."""
    rng = np.random.default_rng(0)
    corners = [(x, y) for x in range(20, 1900, 190) for y in range(20, 1400, 230)]
    return [(x + int(rng.integers(60)), y + int(rng.integers(60)), int(rng.integers(16, 61))) for x, y in corners]


@pytest.mark.parametrize("scale", [1.0, 0.8])
def test_every_small_object_is_found_once_where_it_is(squares, tmp_path, scale):
    wanted = np.array([(x, y, x + side, y + side) for x, y, side in squares], float)
    boxes = found(scene(tmp_path, squares), True, scale)
    assert len(boxes) == len(wanted)
    order = [np.argmax(shared(boxes, np.tile(one, (len(boxes), 1)))) for one in wanted]
    assert sorted(order) == list(range(len(wanted)))
    assert shared(boxes[order], wanted).min() > 0.8


def test_a_photo_as_a_whole_loses_what_becomes_too_small(squares, tmp_path):
    assert len(found(scene(tmp_path, squares), False)) < len(squares) / 2


def test_an_object_larger_than_a_tile_is_found_in_the_whole(tmp_path):
    boxes = found(scene(tmp_path, [(300, 200, 1000), (1500, 100, 30)]), True)
    assert len(boxes) == 2
    np.testing.assert_allclose(
        boxes[np.argsort(areas_of(boxes))], [[1500, 100, 1530, 130], [300, 200, 1300, 1200]], atol=8
    )


def test_a_picture_no_larger_than_a_tile_is_answered_as_without_tiles(tmp_path):
    photo = np.full((320, 320), 40, np.uint8)
    photo[100:130, 50:90] = 250
    Image.fromarray(photo).save(tmp_path / "small.png")
    first, second = (
        answer([member()], tmp_path / "small.png", [from_flat({})], Way(tiles=tiles)).table for tiles in (False, True)
    )
    assert first.equals(second)


@pytest.mark.parametrize(("length", "side"), [(2000, 320), (321, 320), (330, 320), (640, 320), (500, 320)])
def test_tiles_reach_from_edge_to_edge_and_overlap_by_half(length, side):
    tiles = tiles_of(length, 320, (side, 320))
    left = np.unique(tiles.corners[:, 0])
    assert (left[0], left[-1] + tiles.width) == (0, length)
    assert np.diff(left).max(initial=0) <= side / 2


def test_tiles_are_refused_for_answers_that_are_no_boxes_and_for_several_models(tmp_path):
    photo = scene(tmp_path, [])
    with pytest.raises(UsageError, match=r"tiles=yes is for one model"):
        answer([member(), member()], photo, [from_flat({})] * 2, Way(tiles=True))
    words = tasks.load("image_classification")
    source = words.reader.write_sample(tmp_path / "bars", seed=0)
    from gnomon.workflow.prepare import prepare

    settings = from_flat({"task": "image_classification"})
    task = words.from_train(prepare(source, settings, words).splits["train"], settings)
    with pytest.raises(UsageError, match=r"tiles=yes is for boxes and masks, and this is image"):
        answer([Member(task, nn.Identity())], source, [settings], Way(tiles=True))


def test_a_threshold_of_ones_own_is_checked(tmp_path):
    photo = scene(tmp_path, [(10, 10, 100)])
    assert len(found(photo, False)) == 1
    high = answer([member()], photo, [from_flat({})], Way(threshold=0.95)).table
    assert json.loads(high["prediction"][0]) == []
    assert high["threshold"].to_list() == [0.95]
    with pytest.raises(UsageError, match=r"threshold=1\.5 is not above 0 and at most 1"):
        answer([member()], photo, [from_flat({})], Way(threshold=1.5))


def test_pictures_are_drawn_into_a_folder_of_their_own_and_nothing_is_overwritten(tmp_path):
    photo, folder = scene(tmp_path, [(400, 200, 600)]), tmp_path / "drawn"
    before = photo.read_bytes()
    first, second = (answer([member()], photo, [from_flat({})], Way(folder=folder)).drawn for _ in range(2))
    assert first[0] != second[0]
    assert first[0].read_bytes() == second[0].read_bytes()
    assert [path.name for path in tmp_path.iterdir()] in (["photo.png", "drawn"], ["drawn", "photo.png"])
    assert photo.read_bytes() == before
    drawn = np.asarray(Image.open(first[0]))
    assert drawn.shape == (1500, 2000, 3)
    middle = drawn[500, 400:403].astype(int)  # of the left edge: orange, where the photo is gray
    assert (np.ptp(middle, axis=1) > 100).all()


def test_several_words_may_be_files_and_folders(tmp_path):
    (tmp_path / "clip").mkdir()
    for name in ("clip/1.png", "clip/2.png"):
        Image.fromarray(np.full((320, 320), 40, np.uint8)).save(tmp_path / name)
    photo = scene(tmp_path, [])
    table = answer([member()], [photo, tmp_path / "clip"], [from_flat({})]).table
    assert [name.rsplit("/", 1)[-1] for name in table["id"]] == ["photo.png", "1.png", "2.png"]
