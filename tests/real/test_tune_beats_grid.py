"""Random search from coarse to fine against grid search: same space, same compute, ten divisions of each set.

Width and depth are the same for all trials, so that every trial costs the same, and as many trials are as much compute.
Nobody ends trials early. Both choose their best trial on dev and are judged on test, which neither has seen; it is most
of the data, so that chance in judging is small beside chance in searching. The errors of one division belong together,
so it is their differences that are averaged.
"""

from __future__ import annotations

import gzip
import sys

import numpy as np
import pytest
from scipy import stats

from gnomon.core.settings import from_flat
from gnomon.search.default_space import space_of
from gnomon.search.results import DIVERGED, FINISHED, Result, best_of
from gnomon.search.rounds import draws, grid, plan, whole, zoom
from gnomon.training.evaluate import evaluate
from gnomon.training.loop import split_error
from gnomon.workflow.prepare import prepare
from gnomon.workflow.trial import Trials
from gnomon.workflow.tune.worker import Job, make

SEEDS = 10
MOST = 24  # trials a search: a grid of 3 x 2 x 2 x 2, with dropout at its default
DEV, TEST = 0.1, 0.75  # of 10,000 pictures: 1,500 are left to train on


class Search:
    """Trials on one division of a set; what they cost; the test error of the best."""

    def __init__(self, source, seed: int) -> None:
        opened = from_flat(
            {"model": "dense", "epochs": 8, "seed": seed, "machine.threads": 1, "dev": DEV, "test": TEST}
        )
        given = frozenset({"model.name", "model.hidden", "stop.epochs", "seed", "machine.threads"})
        self.trials = Trials(prepare(source, opened), opened, given=given)
        self.space = space_of(self.trials.base.settings, {}, given, len(self.trials.prepared.splits["train"]))
        self.seed = seed

    def make(self, number: int, round_number: int, point) -> Result:
        found = make(self.trials, Job(number, self.space.changes(point), {}))
        if found["status"] == DIVERGED:
            return Result(number, round_number, point, DIVERGED)
        kept = {name: found[name] for name in ("error", "loss", "cost")}
        return Result(number, round_number, point, FINISHED, **kept)

    def by_grid(self) -> list[Result]:
        return [self.make(i, 1, point) for i, point in enumerate(grid(self.space, MOST), start=2)]

    def from_coarse_to_fine(self) -> list[Result]:
        results: list[Result] = []
        region, last = whole(self.space), None
        for what in plan(1 + len(grid(self.space, MOST)), self.space.tiers):
            if last is not None:
                region, _ = zoom(self.space, region, results, last)
            points = draws(self.space, region, what, self.seed)
            results.extend(self.make(number, what.number, point) for number, point in points.items())
            last = what
        return results

    def test_error(self, results: list[Result]) -> float:
        """Of the best by dev, trained once more exactly as it was."""
        trial = self.trials.run(self.space.changes(best_of(results).point))
        split = trial.task.judge.judged(self.trials.prepared.splits["test"], 0)
        return split_error(
            evaluate(trial.task, trial.model, split, split="test", source="", device=self.trials.base.device)
        )


def pictures(folder):
    """10,000 of them, brought to 14 x 14 so that a trial takes a fraction of a second: (N, 14, 14) and (N,)."""
    content = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())
    whole = np.frombuffer(content, np.uint8, offset=16).reshape(-1, 14, 2, 14, 2)
    return whole.mean(axis=(2, 4)).round().astype(np.uint8), np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["mnist-10k", "fashion-mnist"])
def test_coarse_to_fine_beats_a_grid_at_equal_compute(name, real_data):
    source = pictures(real_data / name)
    by_grid, by_zoom = np.zeros(SEEDS), np.zeros(SEEDS)
    for seed in range(SEEDS):
        search = Search(source, seed)
        first, second = search.by_grid(), search.from_coarse_to_fine()
        assert len(first) == len(second)
        costs = {one.cost for one in (*first, *second) if one.status == FINISHED}
        assert max(costs) < 1.01 * min(costs)
        by_grid[seed], by_zoom[seed] = search.test_error(first), search.test_error(second)
        sys.stdout.write(f"{name} seed {seed}: grid {by_grid[seed]:.4f}, coarse to fine {by_zoom[seed]:.4f}\n")
        sys.stdout.flush()
    gain = by_grid - by_zoom
    low, high = stats.t.interval(0.95, SEEDS - 1, gain.mean(), stats.sem(gain))
    sys.stdout.write(
        f"{name}, {len(first)} trials each: test error by grid {by_grid.mean():.4f}, "
        f"coarse to fine {by_zoom.mean():.4f}; gain {gain.mean():.4f} [{low:.4f}, {high:.4f}]\n"
    )
    assert low > 0
