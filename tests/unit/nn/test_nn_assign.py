"""Task-aligned assignment against plain loops over places and objects, written from the paper."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from gnomon.nn.assign import task_aligned
from gnomon.reference import boxes as plain

NOTHING = -1


def grid(side, stride):
    """(side² , 3): places of a map of side x side cells."""
    return torch.tensor(
        [[(x + 0.5) * stride, (y + 0.5) * stride, stride] for y in range(side) for x in range(side)],
        dtype=torch.float64,
    )


def by_loops(scores, boxes, places, truths, kinds, top):
    """One picture: for each place the object it learns, its quality, whether it is spared."""
    finest = min(place[2] for place in places)
    inside, aligned, overlap = {}, {}, {}
    for i, (truth, kind) in enumerate(zip(truths, kinds, strict=True)):
        for a, (x, y, _) in enumerate(places):
            half = [max((truth[2 + axis] - truth[axis]) / 2, finest / 2) for axis in (0, 1)]
            middle = [(truth[2 + axis] + truth[axis]) / 2 for axis in (0, 1)]
            inside[i, a] = abs(x - middle[0]) <= half[0] and abs(y - middle[1]) <= half[1]
            overlap[i, a] = plain.iou(truth, boxes[a])
            aligned[i, a] = scores[a][kind] * overlap[i, a] ** 6 if kind >= 0 else 0.0
    wants = {}
    for i, kind in enumerate(kinds):
        candidates = [a for a in range(len(places)) if inside[i, a] and kind >= 0]
        for a in sorted(candidates, key=lambda a: -aligned[i, a])[:top]:
            wants.setdefault(a, []).append(i)
    target = [max(wants[a], key=lambda i: overlap[i, a]) if a in wants else NOTHING for a in range(len(places))]
    quality = [0.0] * len(places)
    for i in range(len(kinds)):
        own = [a for a in range(len(places)) if target[a] == i]
        if own and max(aligned[i, a] for a in own) > 0:
            scale = max(overlap[i, a] for a in own) / max(aligned[i, a] for a in own)
            for a in own:
                quality[a] = min(1.0, aligned[i, a] * scale)
    spared = [
        target[a] == NOTHING and any(inside[i, a] for i, kind in enumerate(kinds) if kind == -2)
        for a in range(len(places))
    ]
    return target, quality, spared


@pytest.mark.parametrize("seed", range(20))
def test_small_cases_equal_the_loops(seed):
    rng = torch.Generator().manual_seed(seed)
    places = torch.cat([grid(4, 8.0), grid(2, 16.0)])
    corner = torch.rand(2, 4, 2, generator=rng, dtype=torch.float64) * 28
    truths = torch.cat([corner, corner + 0.5 + torch.rand(2, 4, 2, generator=rng, dtype=torch.float64) * 20], 2)
    kinds = torch.randint(-2, 3, (2, 4), generator=rng)
    near = places[None, :, :2] + torch.randn(2, len(places), 2, generator=rng, dtype=torch.float64)
    half = 1 + torch.rand(2, len(places), 2, generator=rng, dtype=torch.float64) * 10
    boxes, scores = torch.cat([near - half, near + half], 2), torch.rand(2, len(places), 3, generator=rng).double()
    found = task_aligned(scores, boxes, places, truths, kinds, top=3)
    for picture in range(2):
        target, quality, spared = by_loops(
            *(one[picture].tolist() for one in (scores, boxes)), places.tolist(),
            *(one[picture].tolist() for one in (truths, kinds)), 3,
        )  # fmt: skip
        assert found.target[picture].tolist() == target
        assert_close(found.quality[picture], torch.tensor(quality, dtype=torch.float64), rtol=1e-9, atol=1e-12)
        assert found.is_spared[picture].tolist() == spared


def one_object(kind, box=(1.0, 1.0, 15.0, 15.0)):
    places = grid(4, 8.0)
    boxes = torch.cat([places[:, :2] - 5, places[:, :2] + 5], 1)[None]
    scores = torch.full((1, len(places), 2), 0.5, dtype=torch.float64)
    return task_aligned(scores, boxes, places, torch.tensor([[box]], dtype=torch.float64), torch.tensor([[kind]]))


def test_the_best_place_of_an_object_is_to_score_its_iou():
    # drawn on paper: every place in the box predicts a square of 10 that shares 8x8 with its square of 14
    found = one_object(1)
    assert found.target[0].tolist() == [0, 0, -1, -1, 0, 0, *[-1] * 10]
    assert found.quality[0, 0].item() == pytest.approx(64 / (100 + 196 - 64))


def test_padding_is_background_and_an_ignored_object_spares_what_lies_on_it():
    padding, ignored = one_object(-1), one_object(-2)
    assert set(padding.target[0].tolist()) == set(ignored.target[0].tolist()) == {-1}
    assert not padding.is_spared.any()
    assert ignored.is_spared[0].nonzero()[:, 0].tolist() == [0, 1, 4, 5]


def test_an_object_in_which_no_place_lies_is_learnt_by_the_nearest():
    assert one_object(0, (7.0, 3.0, 7.5, 3.5)).target[0].tolist() == [0, *[-1] * 15]


def test_without_objects_all_is_background():
    places = grid(2, 8.0)
    found = task_aligned(
        torch.rand(3, 4, 2), torch.rand(3, 4, 4), places, torch.zeros(3, 0, 4), torch.zeros(3, 0, dtype=torch.long)
    )
    assert found.target.tolist() == [[-1] * 4] * 3
    assert not found.quality.any()
    assert not found.is_spared.any()
