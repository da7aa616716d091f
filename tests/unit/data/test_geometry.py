"""One geometry for pixels, masks, boxes and points: what is drawn and what is kept as numbers stay together."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from gnomon.core.augmentation import KINDS, MOVES
from gnomon.data.augment import draw_geometry, resized
from gnomon.data.geometry import Geometry

SIZES = st.sampled_from([((64, 64), (64, 64)), ((64, 48), (64, 48)), ((80, 60), (64, 48)), ((60, 90), (48, 48))])


def usual(names):
    return {name: KINDS[name].strength for name in names}


def planted(generator, size, count):
    """Black pictures with one white rectangle each, and where its edges are."""
    height, width = size
    images, boxes = torch.zeros(count, 1, height, width), []
    for image in images:
        left, top = (int(torch.randint(0, side // 2, (1,), generator=generator)) for side in (width, height))
        wide, tall = (int(torch.randint(6, side // 2, (1,), generator=generator)) for side in (width, height))
        image[:, top : top + tall, left : left + wide] = 255
        boxes.append([left, top, left + wide, top + tall])
    return images, torch.tensor(boxes, dtype=torch.float32)


def edges(picture, light):
    """Left, top, right, bottom of what is brighter than `light` in (H, W); None if nothing is."""
    rows, columns = (picture > light).any(1).nonzero().flatten(), (picture > light).any(0).nonzero().flatten()
    return None if not len(rows) else np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


def check_together(kinds, seed, size):
    """Nothing bright lies more than a pixel outside the box, and light comes to within a pixel of each of its sides."""
    before, after = size
    generator = torch.Generator().manual_seed(seed)
    images, boxes = planted(generator, before, 8)
    moved = draw_geometry(8, before, after, kinds, generator)
    assert moved is not None
    shown = moved.pictures(images, fill=[0.0])[:, 0]
    masked = moved.masks((images[:, 0] > 0).to(torch.uint8), outside=0)
    found, visible = moved.boxes(boxes[:, None])
    for picture, mask, box, share in zip(shown, masked, found[:, 0].numpy(), visible[:, 0], strict=True):
        assert ((picture > 127) != (mask > 0)).float().mean() < 0.02  # the two differ along the border alone
        outwards = np.array([1, 1, -1, -1])
        bright, light = edges(picture, 40), edges(picture, 8)
        if bright is not None:
            assert share > 0
            assert (outwards * (bright - box) >= -1).all()
        if light is None:  # a corner of less than a pixel
            assert share < 0.01
        else:
            assert (outwards * (light - box) <= 1).all()


@pytest.mark.parametrize("kind", MOVES)
@pytest.mark.parametrize("size", [((64, 64), (64, 64)), ((80, 60), (64, 48))])
def test_a_box_drawn_as_pixels_and_the_box_as_numbers_stay_together(kind, size):
    for seed in range(3):
        check_together(usual([kind]), seed, size)


@settings(max_examples=40)
@given(st.sets(st.sampled_from(MOVES), min_size=1), st.integers(0, 10_000), SIZES)
@example(set(MOVES), 0, ((80, 60), (64, 48)))
def test_they_stay_together_under_every_combination(names, seed, size):
    check_together(usual(names), seed, size)


@settings(max_examples=40)
@given(st.sets(st.sampled_from(MOVES), min_size=1), st.integers(0, 10_000), SIZES, st.floats(0.1, 1))
def test_points_go_where_their_pixels_go(names, seed, size, power):
    """A bright spot, found again as the centre of its brightness; and back from there by the map of places itself."""
    before, after = size
    kinds = {name: power * min(KINDS[name].largest, 45) for name in names} | dict.fromkeys(names & {"crop"}, 0.5)
    generator = torch.Generator().manual_seed(seed)
    moved = draw_geometry(6, before, after, kinds, generator)
    assert moved is not None
    points = (0.2 + 0.6 * torch.rand(6, 5, 2, generator=generator)) * torch.tensor([before[1], before[0]])
    found, inside = moved.points(points)
    # where a place of the output lies in the input is what pictures are looked up by; a picture of its own coordinates
    # says it at every pixel
    down, across = torch.meshgrid(torch.arange(before[0]) + 0.5, torch.arange(before[1]) + 0.5, indexing="ij")
    said = moved.pictures(torch.stack([across, down]).expand(6, 2, *before).contiguous())
    for b in range(6):
        for k in range(5):
            x, y = (float(value) for value in found[b, k])
            assert bool(inside[b, k]) == (0 <= x <= after[1] and 0 <= y <= after[0])
            if not (1 <= x < after[1] - 1 and 1 <= y < after[0] - 1):
                continue
            column, row = int(x), int(y)
            # the pixel that holds the point shows a place of the input at most a pixel's reach from the point
            there = said[b, :, row, column]
            reach = float(torch.linalg.matrix_norm(moved.matrix[b, :, :2], 2)) * (1 + 16 * kinds.get("warp", 0)) * 0.75
            assert float((there - points[b, k]).norm()) <= reach + 1e-2


def test_the_forward_map_undoes_the_lookup_to_a_hundredth_of_a_pixel():
    generator = torch.Generator().manual_seed(3)
    kinds = {"crop": 0.5, "rotate": 30.0, "shear": 10.0, "warp": KINDS["warp"].largest, "mirror": 0.5, "shift": 0.1}
    moved = draw_geometry(20, (60, 90), (48, 64), kinds, generator)
    assert moved is not None
    places = moved._places()  # (B, 2, h, w): of every pixel's centre
    back, _ = moved.points(places.flatten(2).mT)
    down, across = torch.meshgrid(torch.arange(48) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    expected = torch.stack([across.flatten(), down.flatten()], 1).expand(20, -1, -1)
    torch.testing.assert_close(back, expected, atol=1e-2, rtol=0)


def test_a_quarter_turn_is_that_of_pillow():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    # counterclockwise by 90 degrees about the middle: the output's (x, y) shows (16 - y, x) of the input
    turn = Geometry(torch.tensor([[[0.0, -1.0, 16.0], [1.0, 0.0, 0.0]]]), (16, 16), (16, 16))
    turned = turn.pictures(torch.from_numpy(picture).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(turned, np.asarray(Image.fromarray(picture).transpose(Image.Transpose.ROTATE_90)))


def test_an_affine_map_is_that_of_pillow():
    """Pillow's transform takes the same matrix, of the output's pixel centres, and cuts the fraction off."""
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (40, 40), dtype=np.uint8)
    matrix = torch.tensor([[[0.8, 0.1, 3.0], [-0.1, 0.9, 4.0]]])
    ours = Geometry(matrix, (40, 40), (36, 32)).pictures(torch.from_numpy(picture)[None, None])[0, 0].numpy()
    data = tuple(matrix.flatten().tolist())
    theirs = Image.fromarray(picture).transform((32, 36), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    difference = np.abs(ours.astype(int) - np.asarray(theirs).astype(int))
    assert difference[2:-2, 2:-2].max() <= 2


@given(st.sets(st.sampled_from(["shift", "mirror", "updown"]), min_size=1), st.integers(0, 10_000))
def test_whole_pixels_are_looked_up_as_they_are_between_pixels(names, seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (4, 3, 12, 10), dtype=torch.uint8, generator=generator)
    moved = draw_geometry(4, (12, 10), (12, 10), usual(names), generator)
    assert moved is not None
    assert moved.is_aligned
    assert torch.equal(moved.pictures(images), dataclasses.replace(moved, is_aligned=False).pictures(images))


def test_a_shift_reaches_as_far_as_it_says_and_repeats_the_border():
    picture = torch.arange(28, dtype=torch.uint8).expand(2_000, 1, 28, 28)
    moved = draw_geometry(2_000, (28, 28), (28, 28), {"shift": 0.07}, torch.Generator().manual_seed(0))
    assert moved is not None
    first = moved.pictures(picture)[:, 0, 5, 10] - 10.0  # by how far each was moved
    assert sorted(set(first.tolist())) == [-2, -1, 0, 1, 2]
    counts = torch.bincount((first + 2).long())
    assert (counts - 400).abs().max() < 5 * np.sqrt(2_000 * 0.2 * 0.8)
    assert (moved.pictures(picture)[:, 0, 0].float().diff(dim=1) >= 0).all()


def test_without_a_kind_the_larger_picture_is_shown_whole():
    generator = torch.Generator().manual_seed(0)
    images = (
        torch.rand(3, 1, 8, 8).repeat_interleave(2, 2).repeat_interleave(2, 3) * 255
    )  # squares of four equal pixels
    whole = draw_geometry(3, (16, 16), (8, 8), {}, generator)
    assert whole is not None
    torch.testing.assert_close(whole.pictures(images), images[:, :, ::2, ::2])
    assert draw_geometry(3, (8, 8), (8, 8), {}, generator) is None


def test_what_is_judged_of_a_larger_picture_is_the_whole_of_it_resized_as_pillow_does():
    picture = np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8)
    ours = resized(torch.from_numpy(picture).permute(2, 0, 1)[None], (16, 20))[0].permute(1, 2, 0).numpy()
    theirs = np.asarray(Image.fromarray(picture).resize((20, 16), Image.Resampling.BILINEAR))
    assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_crops_are_of_the_areas_and_shapes_they_should_be():
    moved = draw_geometry(5_000, (100, 100), (50, 50), {"crop": 0.5}, torch.Generator().manual_seed(1))
    assert moved is not None
    wide, tall = moved.matrix[:, 0, 0] / 2, moved.matrix[:, 1, 1] / 2  # shares of the width and the height
    area, aspect = wide * tall, wide / tall
    assert 0.5 <= area.min() < 0.51
    assert 0.99 < area.max() <= 1 + 1e-6
    assert area.mean() == pytest.approx(0.75, abs=0.01)
    assert aspect.max() <= 4 / 3 + 1e-5
    assert aspect.min() >= 3 / 4 - 1e-5
    left, top = moved.matrix[:, 0, 2], moved.matrix[:, 1, 2]
    assert min(left.min(), top.min()) >= -1e-4  # inside the picture
    assert max((left / 100 + wide).max(), (top / 100 + tall).max()) <= 1 + 1e-5


def test_pairs_of_points_change_places_in_mirrored_pictures_alone():
    generator = torch.Generator().manual_seed(0)
    moved = draw_geometry(50, (20, 20), (20, 20), {"mirror": 0.5, "rotate": 20.0}, generator)
    assert moved is not None
    assert 10 < int(moved.is_mirrored.sum()) < 40
    # the left eye is left of the right one, in front of the nose, and stays so
    eyes = torch.tensor([[8.0, 8.0], [12.0, 8.0], [10.0, 12.0]]).expand(50, 3, 2)
    found, inside = moved.points(eyes)
    assert inside.all()
    before_swap = found[:, 0, 0] < found[:, 1, 0]
    assert torch.equal(before_swap, ~moved.is_mirrored)
    swapped = moved.swapped(found, [(0, 1)])
    assert (swapped[:, 0, 0] < swapped[:, 1, 0]).all()
    assert torch.equal(swapped[:, 2], found[:, 2])


def test_ragged_boxes_and_points_are_those_of_a_padded_batch():
    generator = torch.Generator().manual_seed(5)
    moved = draw_geometry(4, (32, 32), (32, 32), usual(MOVES), generator)
    assert moved is not None
    boxes = torch.tensor([[2.0, 3.0, 20.0, 30.0], [10.0, 10.0, 12.0, 31.0]]).expand(4, 2, 4)
    of = torch.tensor([0, 0, 1, 2, 2, 3])
    rows = torch.tensor([0, 1, 0, 0, 1, 1])
    padded, shares = moved.boxes(boxes)
    ragged, shares_ragged = moved.boxes(boxes[of, rows], of)
    torch.testing.assert_close(ragged, padded[of, rows])
    torch.testing.assert_close(shares_ragged, shares[of, rows])
    points, inside = moved.points(boxes[:, :, :2])
    points_ragged, inside_ragged = moved.points(boxes[of, rows, :2], of)
    torch.testing.assert_close(points_ragged, points[of, rows])
    assert torch.equal(inside_ragged, inside[of, rows])


def test_a_box_half_outside_is_clipped_and_says_so():
    # moved 10 pixels to the left: the box from 0 to 20 is left from -10 to 10
    left = Geometry(torch.tensor([[[1.0, 0.0, 10.0], [0.0, 1.0, 0.0]]]), (32, 32), (32, 32))
    boxes = torch.tensor([[[0.0, 4.0, 20.0, 8.0], [0.0, 0.0, 5.0, 5.0], [10.0, 0.0, 32.0, 32.0], [3.0, 3.0, 3.0, 3.0]]])
    found, visible = left.boxes(boxes)
    assert found[0, 0].tolist() == [0, 4, 10, 8]
    assert visible[0].tolist() == [0.5, 0, 1, 0]
