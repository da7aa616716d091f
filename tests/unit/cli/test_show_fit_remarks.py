"""What is plainly wrong in the answers of an epoch is said once, when the training has settled."""

from __future__ import annotations

from gnomon.cli.show_fit import Terminal
from gnomon.core.plain import read_as
from gnomon.runs.records import HistoryRow


class Lines:
    is_moving = False

    def __init__(self):
        self.lines = []

    def line(self, text="", **_):
        self.lines.append(text)

    def row(self, text, _share):
        self.lines.append(text)

    def moving(self, text):
        pass


def epochs(total):
    terminal = Terminal(Lines())
    terminal.epochs, terminal.unit = total, "share"
    for epoch in range(1, total + 1):
        terminal.on_epoch(
            {"epoch": epoch, "best": True, "train_error": 0.5, "dev_error": 0.5, "train_loss": 1.0, "seconds": 1.0,
             "learning_rate": 0.01, "examples_per_second": 10.0, "remarks": ["no pixel is predicted as cat"]}
        )  # fmt: skip
    return [line for line in terminal.screen.lines if "no pixel" in line]


def test_a_remark_is_shown_once_after_some_epochs():
    assert epochs(12) == ["  warning    no pixel is predicted as cat"]


def test_in_a_short_training_it_is_shown_at_the_end():
    assert len(epochs(2)) == 1
    assert epochs(4) != []


def test_an_epoch_with_remarks_and_one_that_did_not_fit_into_memory_are_read_back():
    row = {"epoch": 1, "train_loss": 1.0, "train_error": 0.5, "dev_error": 0.5, "learning_rate": 0.01, "best": True}
    whole = {**row, "remarks": ["no pixel is predicted as cat"], "micro_batch": 4}
    assert read_as(HistoryRow, whole, where="history.jsonl", root="row", fix="") == whole
