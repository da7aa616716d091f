"""The nearest of many vectors of length 1, exactly: a shortlist by products of whole numbers, compared in float64.

Reading all vectors once is what a search costs, so it reads them in 8 bits instead of 32. What the rounding may change
is bounded for each vector, and everything that could be the nearest within these bounds is compared again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import final

import numpy as np
import torch
from torch import Tensor

LENGTH_TOLERANCE = 1e-3  # of vectors that count as of length 1
LEVELS = 127  # of an int8, on either side of zero
SUMMED = 1.001  # float32 sums of up to 8,192 squares are that near
ROUNDED = 2e-6  # more than a few float32 operations on numbers of about 1 can lose
PRODUCTS = 1 << 20  # of a chunk of rows with all queries: 4 MiB, which stay in the processor's cache
AT_ONCE = 256  # queries
TOGETHER = 256  # rows that are passed over together if none can be near
WIDENED = 1 << 15  # rows that become float64 at a time where int8 cannot be multiplied
COMPARED = 1 << 22  # numbers that are compared in float64 at a time: 32 MiB


@final
@dataclass(frozen=True)
class Nearest:
    """N vectors of length 1 that are searched again and again, with a copy of them in 8 bits.

    With x = scale * small + rest, |rest| <= slack. The copy ends with its last row repeated, up to whole groups.
    """

    vectors: Tensor  # (N, D) float32
    small: Tensor  # (P, D) int8; P is N rounded up to a multiple of TOGETHER
    scales: Tensor  # (P,) float32
    slack: Tensor  # (P,) float32; with half of what |x|^2 differs from 1, and float32's own rounding

    @staticmethod
    def of(vectors: np.ndarray) -> Nearest:
        """`vectors` (N, D) float32, not copied if they are contiguous. Raises ValueError unless of length 1."""
        rows = torch.from_numpy(np.ascontiguousarray(vectors, np.float32))
        count, padded = len(rows), -(-len(rows) // TOGETHER) * TOGETHER
        small = torch.empty((padded, rows.shape[1]), dtype=torch.int8)
        scales, slack = torch.empty(padded), torch.empty(padded)
        for start in range(0, count, TOGETHER):
            part, some = rows[start : start + TOGETHER], slice(start, min(start + TOGETHER, count))
            length = torch.linalg.vector_norm(part, dim=1, dtype=torch.float64).square()
            _check_lengths(length)
            scale = part.abs().amax(dim=1) / LEVELS
            whole = (part / scale[:, None]).round_()
            rest = torch.linalg.vector_norm(part - whole * scale[:, None], dim=1)
            small[some], scales[some] = whole.to(torch.int8), scale
            slack[some] = SUMMED * rest + (length - 1).abs().float() / 2 + ROUNDED
        for column in (small, scales, slack):
            column[count:] = column[count - 1 : count]
        return Nearest(rows, small, scales, slack)

    def search(self, queries: np.ndarray, count: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """The `count` nearest rows of each query (M, D): squared distances, rising, and rows; (M, K) each.

        K = min(count, N). Equally near rows come in their order. The distances are of float64, and no row is nearer
        than those returned. Raises ValueError unless the queries are of length 1.
        """
        asked = torch.from_numpy(np.ascontiguousarray(queries, np.float32))
        count = min(count, len(self.vectors))
        distances, places = np.empty((len(asked), count)), np.empty((len(asked), count), np.int64)
        if not count:
            return distances, places
        for start in range(0, len(asked), AT_ONCE):
            for number, rows in enumerate(self._shortlists(asked[start : start + AT_ONCE], count), start=start):
                apart = self._distances(asked[number], rows)
                best = np.argsort(apart, kind="stable")[:count]
                distances[number], places[number] = apart[best], rows.numpy()[best]
        return distances, places

    def _shortlists(self, queries: Tensor, count: int) -> Sequence[Tensor]:
        """For each query the rows, rising, that may be among its `count` nearest.

        For x = s X + e and q = t Q + f is q.x - ts Q.X = q.e + f.(x - e), so with lengths of at most L
        |q.x - ts Q.X| <= L |e| + |f| (L + |e|). A row whose product could not exceed the `count` best that are
        certain even by this bound is not among the nearest. Divided by t, the bound of row i is a_i slack_i + b.
        """
        length = torch.linalg.vector_norm(queries, dim=1, dtype=torch.float64).square()
        _check_lengths(length)
        scale = queries.abs().amax(dim=1) / LEVELS
        whole = (queries / scale[:, None]).round_()
        rest = (queries.double() - whole.double() * scale[:, None].double()).norm(dim=1).float() + ROUNDED
        longest = 1 + LENGTH_TOLERANCE
        a, b = ((longest + rest) / scale)[:, None], (longest * rest / scale)[:, None]
        turned = whole.to(torch.int8)
        certain = torch.full((len(queries), count), -torch.inf)  # the best products, less what rounding may have added
        found = list[tuple[Tensor, Tensor, Tensor]]()
        step = max(1, PRODUCTS // len(queries) // TOGETHER) * TOGETHER
        for start in range(0, len(self.small), step):
            some = slice(start, start + step)
            products = _product(turned, self.small[some].T) * self.scales[some]
            products = products.unflatten(1, (-1, TOGETHER))  # (M, G, TOGETHER)
            tops, slack = products.amax(dim=2), self.slack[some].unflatten(0, (-1, TOGETHER))
            margin = a * slack.amax(dim=1) + b  # (M, G)
            certain = torch.cat([certain, tops - margin], dim=1).topk(count, dim=1).values
            query, group = (tops + margin >= certain[:, -1:]).nonzero(as_tuple=True)
            at_most = products[query, group] + a[query] * slack[group] + b[query]  # (P, TOGETHER)
            near, place = (at_most >= certain[query, -1:]).nonzero(as_tuple=True)
            found.append((query[near], start + group[near] * TOGETHER + place, at_most[near, place]))
        query, rows, at_most = (torch.cat(column) for column in zip(*found, strict=True))
        is_near = (at_most >= certain[query, -1]) & (rows < len(self.vectors))
        query, rows = query[is_near], rows[is_near]
        order = (query * len(self.vectors) + rows).argsort()
        return rows[order].split(query.bincount(minlength=len(queries)).tolist())

    def _distances(self, query: Tensor, rows: Tensor) -> np.ndarray:
        """(R,) float64."""
        parts = rows.split(max(1, COMPARED // self.vectors.shape[1]))
        return torch.cat([(self.vectors[part].double() - query.double()).square().sum(dim=1) for part in parts]).numpy()


def _check_lengths(squares: Tensor) -> None:
    if not bool(((squares - 1).abs() <= LENGTH_TOLERANCE).all()):
        raise ValueError("vectors must have length 1")


def _product(left: Tensor, right: Tensor) -> Tensor:
    """(M, D) int8 times (D, N) int8 -> (M, N), exact: int32, or float32 where torch's own product is not."""
    if _is_exact():
        return torch._int_mm(left, right)
    parts = [left.double() @ part.double() for part in right.split(WIDENED, dim=1)]
    return torch.cat(parts, dim=1).float()


@cache
def _is_exact() -> bool:
    """Whether torch multiplies int8 here, and without saturating.

    Processors without VNNI may add pairs of products in 16 bits (oneDNN, "Nuances of int8 computations").
    """
    if not hasattr(torch, "_int_mm"):
        return False
    signs = torch.tensor([[1], [-1]], dtype=torch.int8).repeat(32, 128) * LEVELS
    for width in (1, 16):
        try:
            found = torch._int_mm(signs, signs[:width].T.contiguous())
        except (RuntimeError, NotImplementedError):
            return False
        if not torch.equal(found.long(), signs.long() @ signs[:width].long().T):
            return False
    return True
