"""Forecasts held against what came: half of train is put away, the error with all of it forecast and then measured."""

from __future__ import annotations

import gzip
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from gnomon.core.seeds import generator
from gnomon.core.settings import from_flat
from gnomon.metrics.intervals import measure, wilson
from gnomon.strategy.curve import fit_curve, forecast
from gnomon.workflow.improve.matched import Matched, Outcome, nested_rows
from gnomon.workflow.prepare import prepare
from gnomon.workflow.trial import Trials

SHARES = (1 / 16, 1 / 16, 1 / 16, 1 / 8, 1 / 8, 1 / 4, 1 / 4, 1 / 2)  # what the forecast may see: half of train
REPEATS = 5  # divisions of each set
DENSE = {"model": "dense", "hidden": (64,)}
SETS = {"breast-cancer": {}, "diabetes": {}, "digits": DENSE, "mnist": DENSE, "fashion": DENSE, "cifar": DENSE}
PICTURES = 2000  # of MNIST, Fashion-MNIST and CIFAR-10
IDX = {"mnist": "mnist-10k", "fashion": "fashion-mnist"}


def data_of(name: str, seed: int, real_data):
    if name == "cifar":
        return colour_pictures(seed, real_data)
    if name not in IDX:
        return name
    raw = [
        np.frombuffer(
            gzip.decompress((real_data / IDX[name] / f"t10k-{kind}-ubyte.gz").read_bytes()), np.uint8, -1, skip
        )
        for kind, skip in (("images-idx3", 16), ("labels-idx1", 8))
    ]
    chosen = np.random.default_rng([7, seed]).permutation(len(raw[1]))[:PICTURES]
    return raw[0].reshape(-1, 28, 28)[chosen], raw[1][chosen].astype(np.int64)


def colour_pictures(seed: int, real_data):
    with zipfile.ZipFile(real_data / "cifar10-half.zip") as file:
        names = sorted(name for name in file.namelist() if name.endswith(".jpg") and "/train/" in f"/{name}")
        chosen = [names[i] for i in np.random.default_rng([7, seed]).permutation(len(names))[:PICTURES]]
        pictures = np.stack([np.asarray(Image.open(io.BytesIO(file.read(name)))) for name in chosen])
    return pictures, np.unique([name.split("/")[-2] for name in chosen], return_inverse=True)[1].astype(np.int64)


def held_out(name: str, seed: int, real_data) -> tuple[float, float, float, float]:
    """The forecast from at most half of train (value, low, high), and the dev error with all of it."""
    opened = from_flat({**SETS[name], "seed": seed})
    matched = Matched(Trials(prepare(data_of(name, seed, real_data), opened), opened))
    points, repeats = [], dict[float, int]()
    for share in SHARES:
        own = seed + 100 * repeats.get(share, 0)
        repeats[share] = repeats.get(share, 0) + 1
        # nested in the half that is seen: subsets of one order, another order for each repeat
        rows = nested_rows(matched.trials.prepared, share, own)
        points.append(matched.outcome({}, own, rows=rows))
    whole = matched.outcome({}, seed)
    assert all(isinstance(one, Outcome) for one in (*points, whole))
    rng = generator(seed, "forecast", name)
    curve = fit_curve(
        [one.examples for one in points],
        [one.dev_error for one in points],
        dev_variance=[float(measure(one.evaluations["dev"]).draws.var()) for one in points],
        rng=rng,
    )
    found = forecast(curve, rng, factor=whole.examples / points[-1].examples)
    return found.error, found.low, found.high, whole.dev_error


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_forecasts_at_twice_the_data_hold_what_is_measured(real_data):
    """Six real sets, five divisions each: at least 85 of 100 intervals hold the error that comes."""
    hits = []
    print("\n| set | forecast, mean [interval] | what came | intervals that held it |\n|---|---:|---:|---:|")
    for name in SETS:
        cases = np.array([held_out(name, seed, real_data) for seed in range(REPEATS)])
        inside = (cases[:, 1] <= cases[:, 3]) & (cases[:, 3] <= cases[:, 2])
        hits += inside.tolist()
        error, low, high, came = cases.mean(axis=0)
        print(f"| {name} | {error:.4g} [{low:.4g}, {high:.4g}] | {came:.4g} | {inside.sum()} of {REPEATS} |")
    share = wilson(sum(hits), len(hits))
    print(f"| all | | | {sum(hits)} of {len(hits)} [{share.low:.3f}, {share.high:.3f}] |")
    assert share.value >= 0.85
