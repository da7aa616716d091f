"""However much a run holds, the page stays small and is soon written."""

from __future__ import annotations

import time

import numpy as np
import pytest
from matplotlib.figure import Figure

from gnomon import report
from gnomon.core.example import BadInput
from gnomon.core.parts import View
from gnomon.metrics.classification import Confusion
from gnomon.metrics.interval import Interval
from gnomon.report.record import DataCard, Layer, Mistake
from gnomon.strategy.slices import Slice

MEGABYTE = 1_000_000
LONG = "&" * 3000  # five times as long when it is escaped
HALF = Interval(0.3, 0.2, 0.4)


def noisy_figure(rng) -> Figure:
    figure = Figure(figsize=(9, 9))
    figure.add_subplot().imshow(rng.random((900, 900, 3)), interpolation="nearest")
    return figure


def test_a_run_of_a_hundred_thousand_examples_and_a_thousand_classes(samples):
    rng = np.random.default_rng(0)
    names = tuple(f"class {place}" for place in range(1000))
    record = samples.record(
        confusion=Confusion(names, rng.integers(0, 30, (1000, 1000))),
        slices={"class": tuple(Slice("target", name, HALF, 100, 0.001, 0.001) for name in names)},
        data=DataCard("x", "x", {"train": 80_000, "dev": 10_000, "test": 10_000},
                      {name: {"train": 80, "dev": 10} for name in names}),
        mistakes=[Mistake(f"{place}.png", View(image=np.zeros((64, 64, 3), dtype=np.uint8)), "a", "b", 1.0, 0.9)
                  for place in range(3000)],
        history=[{"epoch": epoch, "train_error": 0.3, "dev_error": 0.4, "dev_low": 0.3, "dev_high": 0.5,
                  "train_loss": 1.0, "learning_rate": 0.1} for epoch in range(1, 2001)],
    )  # fmt: skip
    start = time.process_time()
    html = report.build(record)
    assert time.process_time() - start < 10  # 0.9 s when written
    assert len(html.encode()) < 2 * MEGABYTE


@pytest.mark.slow
def test_no_record_makes_the_page_larger_than_20_megabytes(samples):
    rng = np.random.default_rng(0)

    def noise():
        return rng.integers(0, 256, (400, 400, 3), dtype=np.uint8)

    record = samples.planted(samples.record(), lambda path: LONG + path)
    record = samples.record(
        **{name: getattr(record, name) for name in ("title", "settings", "diagnosis", "reproduce", "command_line")},
        environment={f"{LONG}{place}": LONG for place in range(1000)},
        slices={f"tag.{LONG}{group}": [Slice("t", LONG, HALF, 9, 0.1, 0.1)] * 2000 for group in range(50)},
        data=DataCard(LONG, LONG, {"train": 9}, {f"{LONG}{place}": {"train": 1} for place in range(3000)},
                      [LONG] * 1000, [BadInput(LONG, LONG)] * 5000, [LONG] * 1000),
        layers=[Layer(LONG, LONG, LONG, 1, 1, 1)] * 5000,
        mistakes=[Mistake(LONG, View(noise(), LONG, {f"{LONG}{place}": LONG for place in range(50)}), LONG, LONG, 1.0)
                  for _ in range(200)],
        example_views=[(LONG, View(noise(), LONG))] * 50,
        figures={f"{LONG}{place}": noisy_figure(rng) for place in range(30)},
        metrics={f"{LONG}{split}": {f"{LONG}{place}": HALF for place in range(500)} for split in range(40)},
    )  # fmt: skip
    html = report.build(record)
    assert len(html.encode()) < 20 * MEGABYTE
    assert "more pictures of the task were left out" in html
