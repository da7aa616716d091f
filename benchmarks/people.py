"""The nearest of a million encodings, one query at a time.

    python -m benchmarks.people [--rows 1000000] [--threads 1 2] [--repeats 60]

The encodings are made: 20,000 people, each a random point of the unit sphere in 128 dimensions, with 50 pictures around
it, at a squared distance of about 0.16. A query is a further picture of one of them. (Points anywhere on the sphere
have no structure that an approximate index could use, and faces are not like that.) In turns, in one process and with
the same number of threads:

- gnomon: `gnomon.nn.nearest`, a shortlist in int8, compared in float64;
- torch, float32: (1, D) times (D, N), then topk; and the same product as (N, D) times (D,), whichever is faster;
- faiss, flat: IndexFlatL2; faiss, 8 bits: IndexScalarQuantizer, which is not exact;
- gnomon, approximate: `gnomon.training.approximate`, a faiss index of cells.

Every answer is compared with the nearest in float64, and the time to read all bytes once is beside them.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch

from gnomon.nn.nearest import Nearest
from gnomon.training.approximate import ApproximateNearest

DIMS, PICTURES, SPREAD = 128, 50, 0.4  # SPREAD: the distance of a picture from its person, before it is normalised
Search = Callable[[np.ndarray], int]


def made(rows: int, queries: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(N, D) and (Q, D) float32, of length 1."""
    rng = np.random.default_rng(seed)
    people = max(1, rows // PICTURES)
    middles = unit(rng.standard_normal((people, DIMS), np.float32))
    whose = np.concatenate([np.arange(rows) % people, rng.integers(people, size=queries)])
    rng.shuffle(whose[:rows])
    noise = rng.standard_normal((rows + queries, DIMS), np.float32) * np.float32(SPREAD / DIMS**0.5)
    both = unit(middles[whose] + noise)
    return both[:rows], both[rows:]


def unit(values: np.ndarray) -> np.ndarray:
    found: np.ndarray = values / np.linalg.norm(values, axis=1, keepdims=True)
    return found


def searches(vectors: np.ndarray) -> dict[str, tuple[Search, float]]:
    """What answers a query (1, D) with a row, and the seconds that making it took."""
    found: dict[str, tuple[Search, float]] = {}
    rows = torch.from_numpy(vectors)

    def add(name: str, make: Callable[[], Search]) -> None:
        start = time.perf_counter()
        search = make()
        found[name] = search, time.perf_counter() - start

    def ours() -> Search:
        nearest = Nearest.of(vectors)
        return lambda query: int(nearest.search(query)[1][0, 0])

    add("gnomon", ours)
    add("torch, float32, q @ X.T, topk", lambda: lambda query: int((torch.from_numpy(query) @ rows.T).topk(1).indices))
    add("torch, float32, X @ q, topk", lambda: lambda query: int((rows @ torch.from_numpy(query[0])).topk(1).indices))
    if importlib.util.find_spec("faiss"):
        add("faiss, flat", lambda: of_faiss(vectors, bits=32))
        add("faiss, 8 bits", lambda: of_faiss(vectors, bits=8))

        def cells() -> Search:
            index = ApproximateNearest.of(vectors)
            return lambda query: int(index.search(query)[1][0, 0])

        add("gnomon, approximate", cells)
    return found


def of_faiss(vectors: np.ndarray, bits: int) -> Search:
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    if bits == 32:
        index = faiss.IndexFlatL2(DIMS)
    else:
        index = faiss.IndexScalarQuantizer(DIMS, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_L2)
        index.train(vectors[:100_000])
    index.add(vectors)
    return lambda query: int(index.search(query, 1)[1][0, 0])


def nearest_of_all(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """(Q,): the smallest squared distance to any row, in float64."""
    best = np.full(len(queries), np.inf)
    wide = queries.astype(np.float64)
    for start in range(0, len(vectors), 20_000):
        part = vectors[start : start + 20_000].astype(np.float64)
        apart = np.square(part).sum(axis=1) + np.square(wide).sum(axis=1)[:, None] - 2 * wide @ part.T
        best = np.minimum(best, apart.min(axis=1))
    return best


def measured(rows: int, queries: int, repeats: int) -> list[str]:
    """The lines of a table."""
    vectors, asked = made(rows, queries)
    truth = nearest_of_all(vectors, asked)
    ways = searches(vectors)
    times: dict[str, list[float]] = {name: [] for name in ways}
    right = dict.fromkeys(ways, 0)
    for name, (search, _) in ways.items():  # the first answers also warm up
        found = np.array([search(query[None]) for query in asked])
        apart = np.square(vectors[found].astype(np.float64) - asked.astype(np.float64)).sum(axis=1)
        right[name] = int((np.abs(apart - truth) < 1e-12).sum())
    for turn in range(repeats):  # in turns, so that other programs disturb all alike
        query = asked[turn % queries][None]
        for name, (search, _) in ways.items():
            start = time.perf_counter()
            search(query)
            times[name].append(time.perf_counter() - start)
    reads = {}
    for name, whole in (("float32", torch.from_numpy(vectors)), ("int8", torch.zeros(vectors.shape, dtype=torch.int8))):
        flat = whole.view(-1).view(torch.int64)
        spent = []
        for _ in range(repeats):
            start = time.perf_counter()
            flat.sum()
            spent.append(time.perf_counter() - start)
        reads[name] = median(spent)
    ours = times["gnomon"]
    lines = [
        f"{rows:,} encodings of {DIMS} numbers, {torch.get_num_threads()} threads, median of {repeats}", "",
        "| | ms | times gnomon's | nearest found | made in s |", "|---|---:|---:|---:|---:|",
    ]  # fmt: skip
    for name, (_, seconds) in ways.items():
        ratio = median(other / own for own, other in zip(ours, times[name], strict=True))
        shown = f"{1000 * median(times[name]):.2f} | {ratio:.2f}"
        lines.append(f"| {name} | {shown} | {right[name]} of {queries} | {seconds:.1f} |")
    for name, spent in reads.items():
        lines.append(f"| reading {name} once | {1000 * spent:.2f} | {spent / median(ours):.2f} | | |")
    return lines


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args(arguments)
    for threads in given.threads:
        torch.set_num_threads(threads)
        print("\n".join(measured(given.rows, given.queries, given.repeats)), "\n", flush=True)


if __name__ == "__main__":
    main()
