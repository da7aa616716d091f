"""Whatever the crash, no finished trial is lost: the ledger cut at every byte, and continued."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.core.errors import ArtefactError
from gnomon.runs.journal import Journal
from gnomon.search.ledger import MOST_TIMES, Ledger, replay
from gnomon.search.results import FINISHED, Result
from gnomon.search.rounds import Zoom
from gnomon.search.space import Dimension, Space

POINT = {"learning_rate": 0.01}
SPACE = Space((Dimension("learning_rate", "optimiser.learning_rate", "log", 1, 0.01, 1e-4, 1e-1),))


def result(number):
    errors = np.random.default_rng(number).random(50).astype(np.float32)
    return Result(number, 1, POINT, FINISHED, error=0.1 * number, epoch_errors=(0.5, 0.4), epochs=2, errors=errors)


def written(folder, count=4):
    ledger = Ledger(Journal(folder, "ledger.jsonl"), lambda: 1.5)
    for number in range(1, count + 1):
        ledger.began(number)
        ledger.trial(result(number))
    return ledger


def reopened(folder):
    ledger = Ledger(Journal(folder, "ledger.jsonl"), lambda: 0.0)
    return ledger, replay(ledger, SPACE, "ledger.jsonl")


@pytest.mark.parametrize("step", [23, pytest.param(1, marks=pytest.mark.slow)])
def test_a_ledger_cut_at_any_of_its_last_400_bytes_keeps_every_whole_line_and_goes_on(tmp_path, step):
    # Optuna's journal loses the whole study at 399 of 400 such cuts
    written(tmp_path)
    path = tmp_path / "ledger.jsonl"
    whole = path.read_bytes()
    for cut in range(1, 401, step):
        kept = whole[:-cut]
        path.write_bytes(kept)
        ledger, _ = reopened(tmp_path)
        lines = [line for line in kept.split(b"\n")[:-1] if b'"trial"' in line]
        assert len(ledger.results) == len(lines)
        ledger.trial(result(9))
        again, _ = reopened(tmp_path)
        assert set(again.results) == {*range(1, len(lines) + 1), 9}


def test_what_was_written_is_read_back(tmp_path):
    ledger = written(tmp_path)
    ledger.zoomed(Zoom(2, "learning_rate", (1e-4, 0.1), (1e-3, 0.01), (1, 2)))
    ledger.repeated(result(50))
    again, spent = reopened(tmp_path)
    assert spent == 1.5
    assert again.zooms == ledger.zooms
    assert set(again.again) == {50}
    assert all((again.results[n].errors == ledger.results[n].errors).all() for n in range(1, 5))


def test_a_zoom_is_written_once_however_often_a_search_is_resumed(tmp_path):
    ledger = written(tmp_path)
    one = Zoom(2, "learning_rate", (1e-4, 0.1), (1e-3, 0.01), (1, 2))
    ledger.zoomed(one)
    again, _ = reopened(tmp_path)
    again.zoomed(one)
    assert len([line for line in again.lines.read() if line["kind"] == "zoom"]) == 1


def test_a_trial_that_keeps_killing_its_process_is_given_up(tmp_path):
    ledger = written(tmp_path)
    for _ in range(MOST_TIMES):
        assert not ledger.given_up(7)
        ledger.began(7)
    again, _ = reopened(tmp_path)
    assert again.given_up(7)


def test_an_interrupted_trial_does_not_count_as_killed(tmp_path):
    ledger = written(tmp_path)
    for _ in range(5):
        ledger.began(7)
        ledger.put_back(7)
    assert not ledger.given_up(7)


def test_a_foreign_line_is_refused(tmp_path):
    written(tmp_path)
    Journal(tmp_path, "ledger.jsonl").append({"kind": "recipe", "spent": 1.0})
    with pytest.raises(ArtefactError, match="a line that does not belong to a search"):
        reopened(tmp_path)
