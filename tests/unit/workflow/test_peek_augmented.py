"""`peek augment=...`: a sheet of examples beside what training sees of them, boxes with their pictures."""

from __future__ import annotations

import numpy as np
import pytest

import gnomon
from gnomon import tasks
from gnomon.core.errors import UsageError
from gnomon.core.settings import from_flat
from gnomon.figures.contact_sheet import draw_contact_sheet
from gnomon.figures.marks import colour_of
from gnomon.workflow.peek import COPIES, ORIGINALS, augmented
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.facts import fit_facts
from gnomon.workflow.road.settings import fill_settings

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8), [("cat", "dog")[i % 2] for i in range(40)]


def cells_of(source, **settings):
    opened = from_flat({"pretrained": False, **settings})
    filled = fill_settings(fit_facts(prepare(source, opened), opened), opened)
    return augmented(filled.task, filled.prepared.splits["train"], filled.settings), filled


def test_the_sheet_is_drawn_where_augmentation_is_asked_for(tmp_path):
    plain = gnomon.peek(*PICTURES, pretrained=False, runs_folder=str(tmp_path))
    found = gnomon.peek(*PICTURES, augment="crop,mirror", rotate=20, pretrained=False, runs_folder=str(tmp_path))
    assert found.picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert found.picture != plain.picture
    assert any("augment=crop:0.3,rotate:20,mirror:0.5 makes" in note for note in found.prepared.notes)


def test_auto_is_what_fit_would_do(tmp_path):
    found = gnomon.peek(*PICTURES, augment="auto", pretrained=False, runs_folder=str(tmp_path))
    assert any("mirror:0.5 makes" in note for note in found.prepared.notes)


def test_each_row_has_the_original_first_and_its_changes_after_it():
    cells, filled = cells_of(PICTURES, augment="rotate")
    assert len(cells) == ORIGINALS * (1 + COPIES)
    train = filled.prepared.splits["train"]
    for row in range(ORIGINALS):
        (caption, original), *copies = cells[row * (1 + COPIES) : (row + 1) * (1 + COPIES)]
        assert caption in ("cat", "dog")
        assert any(np.array_equal(original.image, train[i].inputs) for i in range(len(train)))
        assert all(not np.array_equal(original.image, view.image) for _, view in copies)
        assert all(text is None for text, _ in copies)


def test_mixed_pictures_say_of_what():
    cells, _ = cells_of(PICTURES, augment="cutmix")
    texts = {text for i, (text, _) in enumerate(cells) if i % (1 + COPIES)}
    assert any("% cat, " in text and text.endswith("% dog") for text in texts)


def test_boxes_are_drawn_where_the_bright_squares_went(tmp_path):
    source = tasks.load("boxes").reader.write_sample(tmp_path / "scenes", seed=0)
    cells, _ = cells_of(source, task="boxes", augment="mirror,shift:0.2,rotate")
    boxes = 0
    for _, view in cells:
        for left, top, right, bottom in np.round(view.boxes).astype(int):
            boxes += 1
            inside = view.image[top:bottom, left:right]
            assert (inside > 120).mean() > 0.3  # squares and discs of 200 on noise below 60
        outside = np.ones(view.image.shape, bool)
        for left, top, right, bottom in view.boxes:
            rows, columns = (slice(max(0, int(low) - 1), int(high) + 2) for low, high in ((top, bottom), (left, right)))
            outside[rows, columns] = False
        assert boxes == 0 or (view.image[outside] > 120).mean() < 0.02
    assert boxes > 10
    figure = draw_contact_sheet(cells, columns=1 + COPIES)
    captions = [axes.get_xlabel() for axes in figure.axes[: 1 + COPIES]]
    assert captions[0]
    assert captions[1:] == [""] * COPIES  # what a picture is stands under the original alone
    drawn = 0
    for axes, (_, view) in zip(figure.axes, cells, strict=False):
        pixels = np.asarray(axes.images[0].get_array())
        scale = len(pixels) / len(view.image)
        for left, top, right, bottom in view.boxes * scale:
            x, y = round(left), round((max(top, 0) + min(bottom, len(pixels))) / 2)
            drawn += 0 <= x < len(pixels) and tuple(pixels[y, x]) == colour_of(0)
            drawn += x < 0 and tuple(pixels[y, min(round(right), len(pixels)) - 1]) == colour_of(0)
    assert drawn == boxes


def test_masks_and_points_are_drawn_with_their_picture():
    from gnomon.core.parts import View

    mask = np.zeros((8, 8), int)
    mask[2:4, 3:6] = 2
    view = View(image=np.zeros((8, 8), np.uint8), mask=mask, points=np.array([[1.0, 2.0], [np.nan, np.nan]]))
    axes = draw_contact_sheet([("", view)]).axes[0]
    shown = np.asarray(axes.images[0].get_array())  # black where nothing is drawn
    scale = len(shown) // 8
    covered = shown.reshape(8, scale, 8, scale, 3).any(axis=4).all(axis=(1, 3))
    assert np.array_equal(covered, mask > 0)
    assert tuple(shown[2 * scale, scale]) == colour_of(0)  # the point


@pytest.mark.parametrize(
    ("source", "settings", "message"),
    [
        (
            ({"a": [0.5, 1, 2, 3] * 10, "b": ["x", "y"] * 20}, "b"),
            {"augment": "rotate"},
            r"rotate would have no effect",
        ),
        (PICTURES, {"augment": "mirrror"}, r"did you mean mirror\?"),
        (PICTURES, {"crop": 1.2}, r"crop=1\.2 cannot be used: expected a number of at least 0 and below 1"),
    ],
)
def test_what_cannot_be_had_is_refused_before_a_sheet_is_drawn(source, settings, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        gnomon.peek(*source, **settings, runs_folder=str(tmp_path))


def test_mixing_is_refused_where_targets_cannot_be_mixed(tmp_path):
    source = tasks.load("boxes").reader.write_sample(tmp_path / "scenes", seed=0)
    with pytest.raises(UsageError, match=r"augment=mirror,mixup: mixup needs pictures with classes; this is box det"):
        gnomon.peek(str(source), augment="mirror,mixup", task="boxes", runs_folder=str(tmp_path))
    with pytest.raises(UsageError, match=r"cutmix=1\.0 would have no effect here: it needs pictures with classes"):
        gnomon.peek(str(source), cutmix=1, task="boxes", runs_folder=str(tmp_path))
