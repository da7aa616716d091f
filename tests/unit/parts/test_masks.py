"""Segmentation: what is learned of masks, what is judged, and that pixels which are not judged count nowhere."""

from __future__ import annotations

import io
import json

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from gnomon.core.errors import UsageError
from gnomon.core.evaluation import Evaluation
from gnomon.core.parts import View
from gnomon.core.settings import from_flat
from gnomon.data.annotated import read_annotated
from gnomon.data.opening import open_source
from gnomon.metrics import mask_table
from gnomon.metrics.segmentation import confusion
from gnomon.nn.pixel_losses import dice_loss, focal_loss, pixel_cross_entropy
from gnomon.parts.masks import ClassMap, SegmentationHead, SegmentationJudge, counted, nearest

NAMES = ("0", "1", "2")
JUDGE = SegmentationJudge(NAMES)


def written(folder, masks):
    for number, mask in enumerate(masks):
        for kind, pixels in (("images", np.full(mask.shape, 100, np.uint8)), ("masks", mask.astype(np.uint8))):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / kind / f"{number:02d}.png")
    return read_annotated(open_source(str(folder)), from_flat({}).data, "masks", 256).splits["all"]


def blocks(count=6, side=40, seed=0):
    """Masks of 0 and 1 with a block of 2 and a strip of 255."""
    rng, masks = np.random.default_rng(seed), []
    for _ in range(count):
        mask = np.zeros((side, side + 8), np.int64)
        top, left = rng.integers(0, side - 16, 2)
        mask[top : top + 12, left : left + 9] = 1
        mask[20:26, 4:40] = 2
        mask[:, :3] = 255
        masks.append(mask)
    return masks


def head_of(examples, **values):
    return SegmentationHead.fit(examples, from_flat({"task": "segmentation", **values}))


def batch_of(examples, **values):
    head = head_of(examples, **values)
    columns, indices = head.encode(examples), torch.arange(len(examples))
    frame = np.column_stack([examples.scales(head.height, head.width), examples.sizes()])
    batch = {"mask": columns["mask"], "frame": torch.from_numpy(frame)}
    return head, head.collate(batch, columns, indices)


def test_pixels_are_counted_from_runs_as_one_by_one():
    rng = np.random.default_rng(0)
    for _ in range(20):
        truth, said = rng.integers(-1, 3, (9, 7)), rng.integers(0, 3, (9, 7))
        expected = confusion(truth, said, 3, ignore=-1)
        np.testing.assert_array_equal(counted(ClassMap.of(truth), ClassMap.of(said), 3), expected)


def test_a_mask_is_resized_to_the_nearest_pixel_and_invents_no_class():
    mask = np.array([[0, 2], [1, -1]])
    assert nearest(mask, 4, 4).tolist() == [[0, 0, 2, 2], [0, 0, 2, 2], [1, 1, -1, -1], [1, 1, -1, -1]]
    # three of six pixels: the centres of the new ones, 1, 3 and 5, lie in pixels 1, 3 and 5
    assert nearest(np.arange(6)[None], 1, 3).tolist() == [[1, 3, 5]]
    rng = np.random.default_rng(1)
    assert set(np.unique(nearest(rng.choice([0, 2], (50, 50)), 31, 17))) <= {0, 2}


def test_what_lies_outside_and_what_is_not_judged_has_no_class_and_no_weight(tmp_path):
    examples = written(tmp_path, blocks(side=52))  # 52 x 60 pixels in a frame of 64 x 64
    head, batch = batch_of(examples)
    assert (head.height, head.width) == (64, 64)
    mask = batch["mask"][0].numpy()
    assert (mask[:, :3] == -1).all()
    assert (mask[52:] == -1).all()
    assert (mask[:, 60:] == -1).all()
    assert batch["weight"].tolist() == [52 * 57] * len(examples)


def test_the_truth_of_a_batch_is_the_mask_of_the_file_whatever_the_model_sees(tmp_path):
    masks = blocks()
    examples = written(tmp_path, masks)
    head, batch = batch_of(examples, image_size=32)
    assert head.width == 32
    for truth, mask in zip(JUDGE.targets(batch), masks, strict=True):
        np.testing.assert_array_equal(mask_table.decode(truth.text()), np.where(mask == 255, -1, mask))


def test_pixels_that_are_not_judged_get_no_gradient_through_the_head(tmp_path):
    head, batch = batch_of(written(tmp_path, blocks()))
    logits = torch.randn(len(batch["mask"]), 3, 64, 64, requires_grad=True)
    head.losses(logits, batch).sum().backward()
    left_out = (batch["mask"] == -1)[:, None].expand_as(logits)
    assert not logits.grad[left_out].any()
    assert logits.grad[~left_out].any()


def test_the_loss_is_chosen_by_the_balance_of_the_classes(tmp_path):
    rare = [np.zeros((40, 40), np.int64) for _ in range(6)]
    for mask in rare:
        mask[3:7, 3:9] = 1
    even = [np.where(np.arange(40) < 16, 1, 0) * np.ones((40, 1), np.int64) for _ in range(6)]
    expected = {"rare": ("dice", None), "even": ("cross_entropy", pytest.approx(np.log(2)))}
    for name, masks in (("rare", rare), ("even", even)):
        head = head_of(written(tmp_path / name, masks))
        assert (head.pixel_loss, head.chance_loss) == expected[name]
    assert head_of(written(tmp_path / "even", even), **{"task.pixel_loss": "focal"}).pixel_loss == "focal"


def test_each_loss_is_the_one_it_is_called(tmp_path):
    examples = written(tmp_path, blocks())
    logits = torch.randn(6, 3, 64, 64)
    for name, expected in (
        ("cross_entropy", pixel_cross_entropy),
        ("focal", focal_loss),
        ("dice", lambda z, t: pixel_cross_entropy(z, t) + dice_loss(z, t)),
    ):
        head, batch = batch_of(examples, **{"task.pixel_loss": name})
        torch.testing.assert_close(head.losses(logits, batch), expected(logits, batch["mask"].long()))


def test_a_class_that_train_does_not_have_is_named(tmp_path):
    masks = blocks()
    examples = written(tmp_path, masks)
    without = np.array([i for i in range(len(masks)) if i != 0])
    only_here = masks[0].copy()
    only_here[30:36, 10:20] = 3
    examples = written(tmp_path / "more", [only_here, *masks[1:]])
    notes = " ".join(head_of(examples.take(without)).notes(examples))
    assert "no pixel of train is 3: the model cannot learn it, its IoU will be 0" in notes
    assert "no pixel" not in " ".join(head_of(examples).notes(examples))


def test_masks_of_a_single_class_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"all pixels of these masks are of one class \(0\)"):
        head_of(written(tmp_path, [np.zeros((40, 40), np.int64)] * 5))


def test_a_network_that_answers_at_another_size_is_told_so(tmp_path):
    head, batch = batch_of(written(tmp_path, blocks()))
    batch["image"] = torch.zeros(6, 1, 64, 64)
    with pytest.raises(UsageError, match=r"the network gave 6x3x32x32 for pictures of 6x1x64x64"):
        head.outputs(torch.nn.Conv2d(1, 3, 2, stride=2), (batch["image"],), batch)


# --- judging ---------------------------------------------------------------------------------------------------------
def evaluated(truths, answers):
    """An evaluation of these pictures, as the judge makes it."""
    frame = torch.tensor([[1.0, *truth.shape] for truth in truths], dtype=torch.float64)
    rows = [torch.from_numpy(mask_table.runs_of(truth)) for truth in truths]
    batch = {"frame": frame, "runs": torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-2)}
    values = [ClassMap.of(said) for said in answers]
    table = pl.DataFrame(
        {
            "id": [f"{i}" for i in range(len(truths))],
            "target": JUDGE.describe(JUDGE.targets(batch)),
            "prediction": JUDGE.describe(values),
            "error": JUDGE.errors(values, batch),
            "weight": [1.0] * len(truths),
            "group": pl.Series([None] * len(truths), dtype=pl.String),
            "confusion": [json.dumps(one.tolist()) for one in JUDGE.confusions(values, batch)],
        }
    )
    return Evaluation("dev", "share", table, JUDGE.split_error(table))


def test_the_error_of_a_picture_is_one_minus_the_mean_iou_of_its_classes_by_hand():
    truth = np.array([[0, 0, 1, 1], [0, 0, 1, -1]])
    said = np.array([[0, 0, 0, 1], [0, 0, 1, 2]])
    # class 0: 4 of 5; class 1: 2 of 3; class 2 is only said where nothing is judged
    found = evaluated([truth], [said])
    assert found.table["error"].to_list() == pytest.approx([1 - (4 / 5 + 2 / 3) / 2])


def test_the_error_of_a_split_pools_the_pixels_and_not_the_pictures():
    truths = [np.array([[0, 0, 0, 0]]), np.array([[0, 0, 1, 1]])]
    answers = [np.array([[0, 0, 0, 1]]), np.array([[0, 0, 1, 1]])]
    found = evaluated(truths, answers)
    # pooled: class 0 has 5 of 6, class 1 has 2 of 3. Pictures: (3/4 + 0/1) / 2 and 1
    assert found.split_error(np.ones(2)) == pytest.approx(1 - (5 / 6 + 2 / 3) / 2)
    assert found.table["error"].to_list() == pytest.approx([1 - 3 / 8, 0.0])
    # the first picture drawn twice, the second not at all: 6 of 8, 0 of 2
    assert found.split_error(np.array([2.0, 0.0])) == pytest.approx(1 - (6 / 8 + 0 / 2) / 2)


def test_a_picture_of_which_nothing_is_judged_has_no_error():
    nothing = np.full((3, 4), -1)
    assert evaluated([nothing], [np.zeros((3, 4), np.int64)]).table["error"].to_list() == [0.0]


def test_metrics_have_intervals_and_are_what_scikit_learn_and_paper_say():
    from sklearn.metrics import f1_score, jaccard_score

    rng = np.random.default_rng(2)
    truths = [rng.integers(-1, 3, (12, 10)) for _ in range(8)]
    answers = [np.where(rng.random(t.shape) < 0.8, t.clip(0), rng.integers(0, 3, t.shape)) for t in truths]
    known = np.concatenate([t.ravel() for t in truths]), np.concatenate([a.ravel() for a in answers])
    y, said = (one[known[0] >= 0] for one in known)
    found = JUDGE.metrics(evaluated(truths, answers))
    assert found["mean IoU"].value == pytest.approx(jaccard_score(y, said, average="macro"))
    for k, dice in enumerate(f1_score(y, said, average=None)):
        assert found[f"Dice of {k}"].value == pytest.approx(dice)
    assert found["pixel error"].value == pytest.approx((y != said).mean())
    assert set(found) == {"mean IoU", "Dice of 0", "Dice of 1", "Dice of 2", "pixel error", "boundary F"}
    for one in found.values():
        assert one.low < one.value < one.high
    assert {name for name in found if JUDGE.less_is_better(name)} == {"pixel error"}


def test_an_answer_is_brought_to_the_size_of_the_picture_and_not_the_mask_to_that_of_the_answer():
    # A picture of 6 x 4, seen at half its size in a frame of 4 x 4: rows 0 to 2 and columns 0 to 1 are the picture.
    logits = torch.full((1, 3, 4, 4), -9.0)
    logits[0, 0] = 0.0
    logits[0, 1, :, 1] = 4.0
    logits[0, 2, 3, :] = 99.0  # below the picture: nobody may hear of it
    batch = {"frame": torch.tensor([[0.5, 6.0, 4.0]], dtype=torch.float64)}
    found = JUDGE.predict(torch.nn.Identity(), logits, batch)
    classes = mask_table.decode(found.values[0].text())
    assert classes.shape == (6, 4)
    assert (classes[:, 0] == 0).all()
    assert (classes[:, 2:] == 1).all()
    runs = torch.from_numpy(mask_table.runs_of(classes))[None]
    judged = JUDGE.predict(torch.nn.Identity(), logits, {**batch, "runs": runs})
    sure = mask_table.decode(judged.columns["sure"][0])
    assert (sure == -1).any()  # between the two columns
    assert ((sure == classes) | (sure == -1)).all()


def test_several_models_say_together_what_their_mean_probability_says():
    one = torch.tensor([0.9, 0.1]).log().view(1, 2, 1, 1)
    other = torch.tensor([0.2, 0.8]).log().view(1, 2, 1, 1)
    together = JUDGE.averaged([(JUDGE, one), (JUDGE, other)])
    assert together.softmax(dim=1).flatten().tolist() == pytest.approx([0.55, 0.45])


def test_predicted_masks_become_files_with_the_values_of_the_masks_of_training():
    judge = SegmentationJudge(("0", "128", "255"))
    table = pl.DataFrame(
        {"id": ["a.png"], "prediction": [mask_table.encode(np.array([[0, 1], [2, 2]]))], "confidence": [0.5]}
    )
    with Image.open(io.BytesIO(judge.answer_files(table)["a.png"])) as image:
        assert np.asarray(image).tolist() == [[0, 128], [255, 255]]
    with Image.open(io.BytesIO(SegmentationJudge(("sky", "sea", "boat")).answer_files(table)["a.png"])) as image:
        assert np.asarray(image).tolist() == [[0, 1], [2, 2]]
    row = judge.answer_rows(table).row(0, named=True)
    assert row == {"id": "a.png", "confidence": 0.5, "height": 2, "width": 2, "share of 0": 0.25,
                   "share of 128": 0.25, "share of 255": 0.5}  # fmt: skip


def test_a_mask_is_drawn_at_the_size_of_the_picture_that_is_shown():
    row = {"id": "a", "prediction": mask_table.encode(np.array([[0, 1], [2, -1]]))}
    view = JUDGE.on_view(View(image=np.zeros((4, 4), np.uint8)), row, "prediction")
    assert view.mask.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 0, 0], [2, 2, 0, 0]]


def test_a_class_that_is_never_predicted_is_named_with_its_share():
    truths = [np.array([[0, 0, 0, 1], [0, 0, 2, -1]])]
    said = evaluated(truths, [np.array([[0, 0, 0, 0], [0, 0, 2, 1]])])
    (remark,) = JUDGE.remarks(said)
    assert remark.startswith("no pixel is predicted as 1, which 14.3% of dev are: its IoU and Dice are 0")
    assert JUDGE.remarks(evaluated(truths, [np.array([[0, 0, 0, 1], [0, 0, 2, 0]])])) == ()
