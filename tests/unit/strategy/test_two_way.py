"""General data against the data that counts: the notes' table, and what stays empty."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.strategy.two_way import two_way, two_way_text


def judged(split: str, parts: dict[str, tuple[int, int]]) -> Evaluation:
    """{source: (errors, examples)}"""
    rows = [(name, float(i < errors)) for name, (errors, size) in parts.items() for i in range(size)]
    table = pl.DataFrame({"id": range(len(rows)), "source": [name for name, _ in rows], "error": [e for _, e in rows]})
    return Evaluation(split, SHARE, table)


def test_the_speech_example_of_the_notes():
    # general speech and rear-view mirror: human 4 % and 6 %, trained on 7 % and 6 %, not trained on 10 % and 6 %
    found = two_way(
        {
            "train": judged("train", {"speech": (700, 10_000), "mirror": (60, 1000)}),
            "train_dev": judged("train_dev", {"speech": (1000, 10_000)}),
            "dev": judged("dev", {"mirror": (60, 1000)}),
        },
        human_general=0.04,
        human_target=0.06,
    )
    assert found is not None
    values = {place: round(100 * one.value) for place, one in found.cells.items() if one is not None}
    assert values == {
        ("human", "general"): 4, ("trained on", "general"): 7, ("not trained on", "general"): 10,
        ("human", "target"): 6, ("trained on", "target"): 6, ("not trained on", "target"): 6,
    }  # fmt: skip
    assert found.sentences[0] == "for people, the target data is harder by 2.0 points"
    assert "-4.0 points from general to target" in found.sentences[1]
    assert "not trained on  10.0 %" in two_way_text(found)


def test_a_single_source_leaves_trained_on_target_empty():
    found = two_way(
        {name: judged(name, {"all": (5, 100)}) for name in ("train", "train_dev", "dev")}, human_target=0.01
    )
    assert found is not None
    assert found.cells["trained on", "target"] is None
    assert found.cells["trained on", "general"].value == pytest.approx(0.05)
    assert found.cells["human", "general"] is None


def test_without_train_dev_there_is_no_table():
    assert two_way({"train": judged("train", {"a": (1, 10)}), "dev": judged("dev", {"a": (1, 10)})}) is None


def test_cells_have_the_intervals_of_the_ladder():
    from gnomon.metrics.intervals import wilson

    dev = judged("dev", {"mirror": (60, 1000)})
    found = two_way({"train_dev": judged("train_dev", {"speech": (10, 100)}), "dev": dev})
    assert found is not None
    cell = found.cells["not trained on", "target"]
    assert np.allclose((cell.low, cell.high), (wilson(60, 1000).low, wilson(60, 1000).high))
