"""Where things go when pictures are moved: one map per picture, applied alike to pixels, masks, boxes and points.

Places are continuous, in pixels from the top left corner of a picture, x before y: the pixel in row r and column c
covers the square from (c, r) to (c + 1, r + 1), and its centre is (c + 0.5, r + 0.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

ROUNDS = 40  # of the search for where a place went: under the largest warp each is at least a fifth closer
ALONG = 8  # places along each side of a box that are followed under a warp; of a straight map, its corners do


@final
@dataclass(frozen=True)
class Geometry:
    """A map for each of B pictures, from places of the output to places of the input.

    A place p of the output shows what was at `matrix` (p + d(p)) of the input, where d is bilinear between the control
    points of `warp`, which lie evenly from one edge of the output to the other.
    """

    matrix: Tensor  # (B, 2, 3) float32: x, y and 1 -> x, y
    before: tuple[int, int]  # height and width of the input
    after: tuple[int, int]  # height and width of the output
    warp: Tensor | None = None  # (B, 2, G, G) float32: displacement along x and y at control points, in pixels
    is_aligned: bool = False  # every pixel of the output is one of the input: mirrored, shifted by whole pixels

    def __len__(self) -> int:
        return len(self.matrix)

    def pictures(self, images: Tensor, fill: Sequence[float] | None = None) -> Tensor:
        """(B, C, *before) -> (B, C, *after): of bytes, bytes, channels last in memory; of floats, floats.

        Bilinear between pixels. Outside the input its border is repeated; or it is `fill`, one value per channel.
        """
        if self.is_aligned and fill is None:
            return self._whole_pixels(images)
        colour = None if fill is None else torch.tensor(fill, device=images.device).view(1, -1, 1, 1)
        values = images.float().contiguous()
        values = values if colour is None else values - colour
        padding = "border" if colour is None else "zeros"
        moved = functional.grid_sample(values, self._grid(), "bilinear", padding, align_corners=False)
        moved = moved if colour is None else moved.add_(colour)
        return moved if images.dtype.is_floating_point else as_bytes(moved)

    def masks(self, masks: Tensor, outside: int | None = None) -> Tensor:
        """(B, *before) of any dtype -> (B, *after): at each place the value of the nearest pixel.

        Outside the input its border is repeated, as in `pictures`; or it is `outside`.
        """
        height, width = self.before
        x, y = self._places().unbind(1)  # (B, h, w)
        column, row = x.floor().long(), y.floor().long()
        at = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
        moved = masks.reshape(len(masks), -1).gather(1, at.flatten(1)).view(at.shape)
        if outside is None:
            return moved
        is_outside = (column < 0) | (column >= width) | (row < 0) | (row >= height)
        return moved.masked_fill(is_outside, outside)

    def points(self, points: Tensor, of: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, K, 2) places of the input -> where they are in the output, and (B, K) whether that is inside it.

        With `of` (M,), the picture that each belongs to, `points` is (M, 2).
        """
        flat, of = _flat(points, of)
        found = self._forward(flat, of)
        height, width = self.after
        inside = (found >= 0).all(1) & (found[:, 0] <= width) & (found[:, 1] <= height)
        return found.view(points.shape), inside.view(points.shape[:-1])

    def boxes(self, boxes: Tensor, of: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, K, 4) left, top, right, bottom -> boxes around what is seen of each, and (B, K) how large that is.

        The box is tight around what the output shows of the old one; the second number is its area as a share of what
        it would be without the output's edges: 0, with a box of zeros, where nothing is seen. With `of` (M,), the
        picture that each belongs to, `boxes` is (M, 4). What comes back for rows that pad a batch means nothing.
        """
        flat, of = _flat(boxes, of)
        corners = _outline(flat, 1 if self.warp is None else ALONG)  # (M, P, 2), in order around the box
        outline = self._forward(corners.flatten(0, 1), of.repeat_interleave(corners.shape[1])).view(corners.shape)
        height, width = self.after
        size = outline.new_tensor([width, height])
        seen, are_seen = _inside(outline, size)  # (M, 2 P, 2) and (M, 2 P): ends of what is seen of each side
        edges = size * outline.new_tensor([[0, 0], [0, 1], [1, 0], [1, 1]])  # the output's corners
        lie_at = self._lookup(edges)[of]  # (M, 4, 2)
        are_covered = ((lie_at >= flat[:, None, :2]) & (lie_at <= flat[:, None, 2:])).all(2)
        places = torch.cat([seen, edges.expand(len(flat), 4, 2)], 1)
        are_shown = torch.cat([are_seen, are_covered], 1)[:, :, None]
        low = places.masked_fill(~are_shown, torch.inf).amin(1)
        high = places.masked_fill(~are_shown, -torch.inf).amax(1)
        found = torch.where(are_shown.any(1), torch.cat([low, high], 1), 0.0)
        whole = _area(torch.cat([outline.amin(1), outline.amax(1)], 1))
        share = torch.where(whole > 0, _area(found) / whole.clamp(min=1e-12), 0.0)
        return found.view(boxes.shape), share.view(boxes.shape[:-1])

    @cached_property
    def is_mirrored(self) -> Tensor:
        """(B,) bool: a left hand looks like a right one."""
        (a, b), (c, d) = (row.unbind(1) for row in self.matrix[:, :, :2].unbind(1))
        return a * d - b * c < 0

    def swapped(self, points: Tensor, pairs: Sequence[tuple[int, int]]) -> Tensor:
        """(B, K, ...) with the entries of each pair exchanged in mirrored pictures: the left eye is the right one."""
        order = torch.arange(points.shape[1], device=points.device)
        for one, other in pairs:
            order[one], order[other] = other, one
        chosen = self.is_mirrored.view(-1, *(1,) * (points.dim() - 1))
        return torch.where(chosen, points[:, order], points)

    def _whole_pixels(self, images: Tensor) -> Tensor:
        """`pictures` of an aligned map: one lookup for each pixel, whatever the dtype."""
        (height, width), (rows, columns) = self.before, self.after
        count, channels, device = len(images), images.shape[1], images.device
        x = self.matrix[:, 0, :1] * (torch.arange(columns, device=device) + 0.5) + self.matrix[:, 0, 2:]  # (B, w)
        y = self.matrix[:, 1, 1:2] * (torch.arange(rows, device=device) + 0.5) + self.matrix[:, 1, 2:]  # (B, h)
        column, row = x.floor().long().clamp_(0, width - 1), y.floor().long().clamp_(0, height - 1)
        start = torch.arange(count, device=device)[:, None] * (height * width)
        at = ((start + row * width)[:, :, None] + column[:, None, :]).reshape(-1)  # (B h w,)
        pixels = images.permute(0, 2, 3, 1).reshape(-1, channels)
        return pixels.index_select(0, at).view(count, rows, columns, channels).permute(0, 3, 1, 2)

    def _places(self) -> Tensor:
        """(B, 2, h, w): where in the input the centre of each output pixel comes from."""
        height, width = self.after
        device = self.matrix.device
        x, y = torch.arange(width, device=device) + 0.5, torch.arange(height, device=device) + 0.5
        flat = torch.stack([x.repeat(height), y.repeat_interleave(width), torch.ones(height * width, device=device)])
        places = self.matrix @ flat  # (B, 2, h w)
        if self.warp is not None:
            steps = self.warp.shape[2]
            across, down = _between(x / width, steps), _between(y / height, steps)  # (w, G), (h, G)
            moved = down @ self.warp @ across.T  # (B, 2, h, w)
            places = torch.baddbmm(places, self.matrix[:, :, :2], moved.flatten(2))
        return places.view(len(self), 2, height, width)

    def _lookup(self, places: Tensor) -> Tensor:
        """(K, 2) places of the output -> (B, K, 2): what each map looks up there."""
        found = places.expand(len(self), -1, -1)
        if self.warp is not None:
            steps, size = self.warp.shape[2], places.new_tensor([self.after[1], self.after[0]])
            across, down = (_between(share, steps) for share in (places / size).unbind(1))  # (K, G) each
            found = found + torch.einsum("kg,bcgh,kh->bkc", down, self.warp, across)
        return found @ self.matrix[:, :, :2].mT + self.matrix[:, None, :, 2]

    def _grid(self) -> Tensor:
        """(B, h, w, 2): `_places` on the scale of torch, on which the input goes from -1 to 1."""
        height, width = self.before
        scale = self.matrix.new_tensor([2 / width, 2 / height]).view(1, 2, 1, 1)
        return self._places().mul_(scale).sub_(1).permute(0, 2, 3, 1)

    def _forward(self, places: Tensor, of: Tensor) -> Tensor:
        """(M, 2) places of the input, of the pictures `of` (M,) -> where they are in the output."""
        inverse = torch.linalg.inv(self.matrix[:, :, :2])
        straight = (inverse[of] @ (places - self.matrix[of, :, 2]).unsqueeze(2)).squeeze(2)
        if self.warp is None:
            return straight
        size = straight.new_tensor([self.after[1], self.after[0]])
        warp, steps, found = self.warp[of], self.warp.shape[2], straight
        for _ in range(ROUNDS):
            across, down = (_between(share, steps) for share in (found / size).unbind(1))  # (M, G) each
            found = straight - torch.einsum("mg,mcgh,mh->mc", down, warp, across)
        return found


def as_bytes(values: Tensor) -> Tensor:
    """(B, C, H, W) floats from 0 to 255, which are overwritten -> the nearest bytes, channels last in memory."""
    return values.add_(0.5).to(dtype=torch.uint8, memory_format=torch.channels_last)  # the conversion cuts off


def _between(shares: Tensor, steps: int) -> Tensor:
    """(P,) places from 0 to 1, those outside taken to the ends -> (P, G) weights of evenly spaced control points."""
    at = shares.clamp(0, 1)[:, None] * (steps - 1) - torch.arange(steps, device=shares.device)
    return (1 - at.abs()).clamp_(min=0)


def _flat(given: Tensor, of: Tensor | None) -> tuple[Tensor, Tensor]:
    """(B, K, D) -> (B K, D) float32 and the picture of each; (M, D) with `of` as they are."""
    if of is None:
        of = torch.arange(len(given), device=given.device).repeat_interleave(given.shape[1])
    return given.reshape(-1, given.shape[-1]).float(), of


def _outline(boxes: Tensor, along: int) -> Tensor:
    """(M, 4) -> (M, 4 along, 2): places on the sides of each box, clockwise from its left top corner."""
    share = torch.arange(along, device=boxes.device) / along
    left, top, right, bottom = boxes[:, :, None].unbind(1)  # (M, 1) each
    x, y = (right - left) * share, (bottom - top) * share  # (M, along)
    zero = torch.zeros_like(x)
    sides = ((left + x, top + zero), (right + zero, top + y), (right - x, bottom + zero), (left + zero, bottom - y))
    return torch.cat([torch.stack(side, 2) for side in sides], dim=1)


def _inside(outline: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """The ends (M, 2 P, 2) of what of closed outlines (M, P, 2) lies between 0 and `size`; (M, 2 P) where that is any.

    Source: Liang and Barsky 1984.
    """
    step = outline.roll(-1, 1) - outline
    still = step == 0
    slope = torch.where(still, 1.0, step)
    at = torch.stack([-outline / slope, (size - outline) / slope])  # where each side's line meets the edges
    is_between = (outline >= 0) & (outline <= size)
    enters = torch.where(still, torch.where(is_between, -torch.inf, torch.inf), at.amin(0)).amax(2).clamp(min=0)
    leaves = torch.where(still, torch.inf, at.amax(0)).amin(2).clamp(max=1)
    ends = [outline + share.clamp(0, 1)[:, :, None] * step for share in (enters, leaves)]
    is_seen = enters <= leaves
    return torch.cat(ends, 1), torch.cat([is_seen, is_seen], 1)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2] - boxes[:, 0]).clamp(min=0) * (boxes[:, 3] - boxes[:, 1]).clamp(min=0)
