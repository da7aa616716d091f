"""The nearest of many vectors, nearly always, by faiss: only those in the cells around the query are compared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch

from gnomon.core.errors import MachineError
from gnomon.nn.nearest import Nearest

EXTRA = "pip install 'gnomon[people]', or leave index=approximate out."
FEWEST = 10_000  # vectors below which a search through all of them is as fast
PER_CELL = 40  # vectors that place a cell: faiss asks for 39
CELLS_PER_ROOT = 2  # number of cells by the square root of the number of vectors
TRIED = 256  # of the vectors themselves, to see how many cells must be visited
RECALL = 0.97  # of their nearest neighbours that are to be found
SEED = 1234


@final
@dataclass(frozen=True)
class ApproximateNearest:
    """N vectors of length 1 in about 2 sqrt(N) cells, of which as many are visited as RECALL asks for."""

    index: Any
    count: int

    @staticmethod
    def of(vectors: np.ndarray) -> ApproximateNearest | Nearest:
        """`vectors` (N, D) float32; of few of them the exact search. Raises MachineError without faiss."""
        try:
            import faiss
        except ImportError as error:
            raise MachineError("index=approximate needs faiss.", fix=EXTRA) from error
        if len(vectors) < FEWEST:
            return Nearest.of(vectors)
        faiss.omp_set_num_threads(torch.get_num_threads())
        cells = round(CELLS_PER_ROOT * math.sqrt(len(vectors)))
        middle = faiss.IndexFlatL2(vectors.shape[1])
        index = faiss.IndexIVFFlat(middle, vectors.shape[1], cells, faiss.METRIC_L2)
        index.cp.max_points_per_centroid, index.cp.seed = PER_CELL, SEED
        rows = np.ascontiguousarray(vectors, np.float32)
        index.train(rows)
        index.add(rows)
        _visit_enough(index, rows, cells)
        return ApproximateNearest((index, middle), len(vectors))  # the index does not keep its middles alive

    def search(self, queries: np.ndarray, count: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """As `Nearest.search`, of float32 distances; infinite, and row -1, where the cells hold fewer."""
        distances, rows = self.index[0].search(np.ascontiguousarray(queries, np.float32), min(count, self.count))
        return np.where(rows < 0, np.inf, distances).astype(np.float64), rows


def _visit_enough(index: Any, rows: np.ndarray, cells: int) -> None:
    """Set how many cells are visited: 1, 2, 4 and so on, until enough of some rows' nearest others are found."""
    tried = rows[np.random.default_rng(SEED).choice(len(rows), min(TRIED, len(rows)), replace=False)]
    nearest = Nearest.of(rows).search(tried, 2)[0][:, 1]  # the first is the row itself
    visited = 1
    while visited < cells:
        index.nprobe = visited
        found = index.search(tried, 2)[0][:, 1]
        if (found <= nearest + 1e-5).mean() >= RECALL:
            return
        visited *= 2
    index.nprobe = cells
