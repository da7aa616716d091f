"""Suspect labels of spans: planted ones are found, unsure answers accuse nobody."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from gnomon.metrics.span_table import read
from gnomon.strategy.external import read_predictions
from gnomon.strategy.span_labels import find_suspects
from gnomon.workflow.judge.place_labels import audit_places, judge_review, write_review

TEXT = "Ada Lovelace met Babbage in Paris"


def table(planted) -> pl.DataFrame:
    """Twenty sentences whose answers are right, with scores from 0.80 to 0.99, and the planted ones."""
    rows = [([[0, 12, "per", ""]], [[0, 12, "per", 0.80 + n / 100]]) for n in range(20)] + planted
    cells = [(f"s{n}", TEXT, json.dumps(truth), json.dumps(said)) for n, (truth, said) in enumerate(rows)]
    return pl.DataFrame(cells, schema=["id", "text", "target", "prediction"], orient="row")


@pytest.mark.parametrize(
    ("truth", "said", "kind"),
    [
        ([], [[17, 24, "per", 0.95]], "missing label"), ([[17, 24, "org", ""]], [[17, 24, "per", 0.95]], "wrong type"),
        ([[0, 3, "per", ""]], [[0, 12, "per", 0.95]], "other ends"), ([], [[17, 24, "per", 0.82]], None),
        ([[17, 24, "per", ""]], [], None),
    ],
)  # fmt: skip
def test_a_confident_answer_that_contradicts_the_label_makes_it_suspect(truth, said, kind):
    # three of four right answers have at least 0.8475
    found = find_suspects(read(table([(truth, said)])))
    assert [one.kind for one in found] == ([kind] if kind else [])
    assert all(one.sentence == 20 for one in found)


def test_the_surest_comes_first_and_each_label_once():
    planted = [([[0, 12, "org", ""]], [[0, 12, "per", 0.9]]), ([], [[17, 24, "per", 0.97]])]
    assert [(one.sentence, one.sureness) for one in find_suspects(read(table(planted)))] == [(21, 0.97), (20, 0.9)]


def test_a_sheet_of_spans_goes_out_and_comes_back_with_verdicts(tmp_path):
    audit = audit_places(table([([], [[17, 24, "per", 0.95]])]), "dev", "a model")
    assert (audit.what, audit.count, audit.suspects[0].suggested) == ("labelled spans", 20, "Babbage (per)")
    path = tmp_path / "review.csv"
    assert write_review(audit, path, top=10, random=5) == 6
    lines = path.read_text().splitlines()
    assert lines[0].replace('"', "").split(",")[6:8] == ["start", "end"]
    path.write_text(
        "\n".join([lines[0], *(f"{line.rpartition(',')[0].rpartition(',')[0]},given," for line in lines[1:])])
    )
    reviewed = judge_review(audit, path)
    assert (reviewed.num_reviewed, reviewed.by_kind) == (6, {"missing label": (0, 1)})


def test_spans_from_elsewhere_are_judged_by_their_f1():
    rows = table([([[17, 24, "per", ""]], [])]).with_columns(split=pl.lit("dev"))
    found = read_predictions(rows)["dev"]
    # 20 of 21 found, nothing wrong answered: F1 = 40 / 41
    assert found.split_error(np.ones(21)) == pytest.approx(1 - 40 / 41)
    assert found.table["error"].to_list() == [0.0] * 20 + [1.0]
