"""Seconds of CPU to an equal error on letter, beside scikit-learn's MLPClassifier: `python -m benchmarks.letter`.

20,000 letters in 26 classes, a fifth for test, a cut per seed, everything on one thread and in turn in one process:

- MLPClassifier(256, 256) with early stopping, on standardised columns: its error, and the seconds of its `fit`;
- gnomon's default and the same with fewer epochs: the error, and the seconds of encoding, training and judging.

Equal error: the fewest of the tried epochs with which gnomon's mean error is not above the MLP's. A schedule ends
with its training, so this is the mean of whole trainings, not a point on the way of a longer one.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.table_sets import SETS, TableSet
from benchmarks.tables import cut_of, errors_of_gnomon, of_net

EPOCHS = (14, 20)  # the default has 40
NET, DEFAULT = "MLP (256, 256), early stopping", "gnomon, default"


def measured(whole: TableSet, seed: int) -> dict[str, tuple[float, float]]:
    """(error, seconds of CPU) of each."""
    cut, prepared, settings = cut_of(whole, seed)
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.process_time()
        answers = of_net(cut)
        found[NET] = float(np.mean(answers != cut.targets[1])), time.process_time() - began
    for name, given in ((DEFAULT, {}), *((f"gnomon, epochs={few}", {"epochs": few}) for few in EPOCHS)):
        began = time.process_time()
        errors = errors_of_gnomon(cut, prepared, settings, given)
        found[name] = float(errors.mean()), time.process_time() - began
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.letter", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    whole = replace(SETS["letter"], most_rows=20_000)
    with threadpool_limits(1):
        runs = [measured(whole, seed) for seed in range(parser.parse_args().seeds)]
    mean = {name: np.mean([run[name] for run in runs], axis=0) for name in runs[0]}
    for name, (error, seconds) in mean.items():
        each = ", ".join(f"{100 * run[name][0]:.1f}" for run in runs)
        print(f"{name:<32} {100 * error:.2f} % ({each}) {seconds:5.1f} s, {mean[NET][1] / seconds:.1f} x as fast")
    equal = [name for name in mean if name.startswith("gnomon, epochs") and mean[name][0] <= mean[NET][0]]
    if equal:
        print(f"equal error: {equal[0]}, {mean[NET][1] / mean[equal[0]][1]:.1f} times as fast as {NET}")


if __name__ == "__main__":
    main()
