"""The machine's fp32 matrix product, in GF/s with 1 and with all threads: the ceiling every stack shares."""

from __future__ import annotations

import json
import time

import torch

SIZE = 2048


def peak(threads: int) -> float:
    """The best of twelve products, in 1e9 floating-point operations a second."""
    torch.set_num_threads(threads)
    left, right = torch.rand(SIZE, SIZE), torch.rand(SIZE, SIZE)
    product, best = torch.empty(SIZE, SIZE), 0.0
    for _ in range(12):
        began = time.perf_counter()
        torch.mm(left, right, out=product)
        best = max(best, 2 * SIZE**3 / (time.perf_counter() - began) / 1e9)
    return best


if __name__ == "__main__":
    every = torch.get_num_threads()
    print("\n" + json.dumps({"all": peak(every), "one": peak(1)}))
