"""A review sheet from end to end without training: what is drawn, read back, estimated and corrected."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from gnomon.core.errors import DataError, UsageError
from gnomon.core.spreadsheet import from_csv, to_csv
from gnomon.strategy.labels import find_suspects
from gnomon.workflow.judge.label_review import (
    Audit,
    ReviewedRow,
    corrections,
    judge_review,
    read_review,
    write_review,
)
from gnomon.workflow.judge.labels import _folds

NAMES = ("ant", "bee", "cat")


def planted(size: int, flips: float, rng: np.random.Generator, tags=None) -> tuple[Audit, np.ndarray]:
    """Three classes whose posteriors are known, a share of labels flipped; the audit and the true classes."""
    true = rng.integers(3, size=size)
    logits = rng.normal(size=(size, 3)) * 0.7
    logits[np.arange(size), true] += 3.5
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    given = np.where(rng.random(size) < flips, (true + rng.integers(1, 3, size=size)) % 3, true)
    suspects = find_suspects(probabilities, given, NAMES)
    errs = probabilities.argmax(axis=1) != given
    return Audit("dev", tuple(f"e{i}" for i in range(size)), suspects, errs, tags or {}), true


def filled(path, audit: Audit, true: np.ndarray, *, rows: float = 1.0) -> None:
    """The sheet with a verdict in its first `rows`, by who knows the truth."""
    names, lines = from_csv(path.read_bytes())
    for line in lines[: round(rows * len(lines))]:
        right = NAMES[true[int(line["id"][1:])]]
        line["verdict"] = {line["given"]: "given", line["suggested"]: "suggested"}.get(right, "neither")
        line["label"] = right if line["verdict"] == "neither" else ""
    path.unlink()
    path.write_bytes(to_csv(names, lines))


def test_reviewing_everything_gives_the_exact_numbers(tmp_path):
    audit, true = planted(300, 0.1, np.random.default_rng(0))
    assert write_review(audit, tmp_path / "r.csv", top=300, random=0) == 300
    filled(tmp_path / "r.csv", audit, true)
    found = judge_review(audit, read_review(audit, tmp_path / "r.csv"))
    wrong = audit.suspects.given != true
    assert (found.wrong.low, found.wrong.value, found.wrong.high) == pytest.approx((wrong.mean(),) * 3)
    assert found.cleaning.due_to_labels.value == pytest.approx((wrong & audit.errs).mean())
    assert found.num_reviewed == 300


def test_corrections_contain_the_right_labels(tmp_path):
    audit, true = planted(300, 0.1, np.random.default_rng(1))
    write_review(audit, tmp_path / "r.csv", top=300, random=0)
    filled(tmp_path / "r.csv", audit, true)
    table = corrections(audit, read_review(audit, tmp_path / "r.csv"))
    wrong = np.flatnonzero(audit.suspects.given != true)
    assert sorted(table["id"].to_list()) == sorted(f"e{i}" for i in wrong)
    assert all(label == NAMES[true[int(one[1:])]] for one, label in table.select("id", "label").rows())


def test_stopping_halfway_leaves_a_fair_sample(tmp_path):
    held, rounds = 0, 60
    rng = np.random.default_rng(0)
    for seed in range(rounds):
        audit, true = planted(1500, 0.08, rng)
        path = tmp_path / f"{seed}.csv"
        write_review(audit, path, top=80, random=160, seed=seed)
        filled(path, audit, true, rows=0.5)
        found = judge_review(audit, read_review(audit, path))
        assert found.num_reviewed == 120
        held += found.wrong.low <= (audit.suspects.given != true).mean() <= found.wrong.high
    assert held / rounds >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / rounds)


def test_a_part_that_nobody_drew_from_may_be_all_wrong(tmp_path):
    audit, true = planted(300, 0.1, np.random.default_rng(2))
    write_review(audit, tmp_path / "r.csv", top=20, random=0)
    filled(tmp_path / "r.csv", audit, true)
    found = judge_review(audit, read_review(audit, tmp_path / "r.csv"))
    assert found.wrong.high == pytest.approx((300 - 20 + round(found.wrong.value * 300)) / 300)
    assert found.cleaning.due_to_labels.high < found.wrong.high  # only errors can be due to labels


def test_systematic_flips_are_distinguished_from_random_ones(tmp_path):
    rng = np.random.default_rng(3)
    camera = rng.choice(np.array(["phone", "studio"], dtype=object), 600, p=[0.2, 0.8])
    audit, true = planted(600, 0.0, rng)
    given = np.where((camera == "phone") & (rng.random(600) < 0.4), (true + 1) % 3, true)
    suspects = find_suspects(audit.suspects.probabilities, given, NAMES)
    errs = suspects.probabilities.argmax(axis=1) != given
    audit = Audit("dev", audit.ids, suspects, errs, {"camera": camera})
    write_review(audit, tmp_path / "r.csv", top=100, random=50)
    filled(tmp_path / "r.csv", audit, true)
    found = judge_review(audit, read_review(audit, tmp_path / "r.csv"))
    assert found.concentrations[0].where == "camera = phone"
    assert found.concentrations[0].p_value < 1e-4


def test_a_sheet_without_verdicts_says_what_to_write(tmp_path):
    audit, _ = planted(100, 0.1, np.random.default_rng(0))
    with pytest.raises(UsageError, match="no row of the sheet has a verdict"):
        judge_review(audit, [ReviewedRow(0, "suspect", 1.0, "", "")])
    with pytest.raises(UsageError, match="no such file"):
        read_review(audit, tmp_path / "none.csv")
    (tmp_path / "odd.csv").write_text("id,part\ne1,suspect\n")
    with pytest.raises(DataError, match="has no column 'stands_for'"):
        read_review(audit, tmp_path / "odd.csv")


def test_folds_keep_classes_in_proportion_and_groups_whole():
    plain = pl.DataFrame({"stratum": ["a"] * 50 + ["b"] * 25, "group": pl.Series([None] * 75, dtype=pl.String)})
    folds = _folds(plain, 5, seed=0)
    assert sorted(np.concatenate(folds).tolist()) == list(range(75))
    assert [int((fold < 50).sum()) for fold in folds] == [10] * 5
    grouped = plain.with_columns(pl.Series("group", [str(i // 5) for i in range(75)]))
    folds = _folds(grouped, 5, seed=0)
    assert sorted(np.concatenate(folds).tolist()) == list(range(75))
    of_fold = [{i // 5 for i in fold.tolist()} for fold in folds]
    assert sum(map(len, of_fold)) == 15
