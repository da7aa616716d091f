"""What a person sees while a fit runs and when it ends; the same facts as one JSON object."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from gnomon.cli.screen import Screen
from gnomon.cli.show_craft import MeasureRows
from gnomon.cli.show_diagnosis import diagnosis_as_json, print_diagnosis
from gnomon.cli.text import clock, error_text, printable, rounded, splits_text
from gnomon.core.layer_signals import findings_of
from gnomon.workflow.nudge import in_words

if TYPE_CHECKING:
    from gnomon.workflow.road.follow import Begun, Ready
    from gnomon.workflow.run import Run

BAR = 22  # characters
NOTES_SHOWN = 6
EPOCHS_TO_SETTLE = 5  # before something that is plainly wrong in the answers is worth a warning


class Terminal:
    """Follows a fit: what was found, one row per epoch that stays, a live line below; plain lines off a terminal."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.unit: str | None = None
        self.has_train_dev = False
        self.has_begun = False
        self.epochs = 0
        self.epoch_began = time.monotonic()
        self.highest_rate = 0.0
        self.measured: list[Mapping[str, Any]] = []  # rows of epochs with signals
        self.micro_batch = 0  # examples at a time, when a whole batch does not fit into memory
        self.troubles: set[str] = set()  # signal problems already reported
        self.rows: MeasureRows | None = None  # of a craft, in place of errors
        self.best: Mapping[str, Any] | None = None  # the row of the best epoch so far, and of the last
        self.last: Mapping[str, Any] | None = None
        self.folds = 0

    def on_phase(self, text: str) -> None:
        self._end_of_training()
        self.screen.moving(f"  {text} ...")

    def on_ready(self, ready: Ready) -> None:
        self.has_begun = True
        self.unit, self.epochs = ready.task.judge.error_unit, ready.settings.stop.epochs or 0
        self.folds = len(ready.prepared.folds)
        self.has_train_dev = "train_dev" in ready.prepared.splits
        self.highest_rate = ready.settings.optimiser.learning_rate or 0.0
        for line in _opening_lines(ready):
            self.screen.line(line)
        self.screen.line()
        self.screen.line(self._header(), style="bold")
        self.epoch_began = time.monotonic()

    def on_begun(self, begun: Begun) -> None:
        self.has_begun, self.epochs = True, begun.settings.stop.epochs or 0
        self.rows = MeasureRows(begun)
        for line in self.rows.opening():
            self.screen.line(line)
        self.screen.line()
        self.screen.line(self.rows.header(), style="bold")
        self.epoch_began = time.monotonic()

    def on_nudge(self, row: Mapping[str, Any]) -> None:
        self.screen.line(f"  nudged     {in_words([row])}")

    def on_step(self, epoch: int, batch: int, num_batches: int, loss: float) -> None:
        if not self.screen.is_moving:
            return
        done = batch / num_batches
        left = (time.monotonic() - self.epoch_began) * (1 - done) / max(done, 1e-9)
        full = round(BAR * done)
        bar = "━" * full + "─" * (BAR - full)
        self.screen.moving(
            f"  {_epoch(epoch + 1, self.epochs)}  {bar}  {batch}/{num_batches}   {clock(left)} left   loss {loss:.3g}"
        )

    def on_epoch(self, row: Mapping[str, Any]) -> None:
        self.epoch_began = time.monotonic()
        if self.rows is not None:
            self.screen.row(self.rows.row(row), row["epoch"] / max(self.epochs, 1))
            return
        if self.folds and self.last is not None and self.last["fold"] != row["fold"]:
            self._end_of_training()
        self.best, self.last = row if row["best"] else self.best, row
        if self.folds:
            self.screen.moving(self._row(row))
        elif row["epoch"] < self.epochs:  # the last is shown when it is known whether it is the best
            self.screen.row(self._row(row), row["epoch"] / max(self.epochs, 1))
        self._report_problems(row)
        self._report_remarks(row)
        if row.get("micro_batch", 0) != self.micro_batch:
            self.micro_batch = row["micro_batch"]
            self.screen.line(
                f"  memory     a whole batch does not fit: trained on {self.micro_batch:,} examples at a time"
            )

    def _report_remarks(self, row: Mapping[str, Any]) -> None:
        """What is still plainly wrong after a few epochs, once."""
        for text in row.get("remarks", ()) if row["epoch"] == min(EPOCHS_TO_SETTLE, self.epochs) else ():
            self.screen.line(f"  warning    {printable(text)}")

    def _end_of_training(self) -> None:
        """The last epoch and, where it is another one, the best, whose weights are kept; of a fold the best alone."""
        if self.last is None:
            return
        if self.folds:
            self.screen.line(self._row(self.best or self.last))
            self.best = self.last = None
            return
        self.screen.forget_row()
        is_best = self.last is self.best
        self.screen.line(f"{self._row(self.last)}{'   best' if is_best else ''}")
        if self.best is not None and not is_best:
            self.screen.line(f"{self._row(self.best)}   best")
        self.best = self.last = None

    def _report_problems(self, row: Mapping[str, Any]) -> None:
        """Report what the signals of this epoch say is wrong, each problem once."""
        if not row.get("signals"):
            return
        self.measured.append(row)
        for finding in findings_of(self.measured, highest_rate=self.highest_rate):
            if finding.trouble not in self.troubles:
                self.troubles.add(finding.trouble)
                self.screen.line(f"  signals    {printable(finding.text)}")

    def _header(self) -> str:
        train_dev = f"{'train-dev':>11}" if self.has_train_dev else ""
        first = "    fold" if self.folds else "   epoch"
        return f"{first} {'train':>9}{train_dev}{'dev':>10}{'lr':>11}{'time':>8}{'examples/s':>13}"

    def _row(self, row: Mapping[str, Any]) -> str:
        train_dev = f"{error_text(row['train_dev_error'], self.unit):>11}" if self.has_train_dev else ""
        return (
            f"{self._place(row):>8} {error_text(row['train_error'], self.unit):>9}{train_dev}"
            f"{error_text(row['dev_error'], self.unit):>10}{row['learning_rate']:>11.2e}{clock(row['seconds']):>8}"
            f"{row['examples_per_second']:>13,.0f}"
        )

    def _place(self, row: Mapping[str, Any]) -> str:
        return _epoch(row["fold"], self.folds) if self.folds else _epoch(row["epoch"], self.epochs)


def _opening_lines(ready: Ready) -> list[str]:
    prepared, settings = ready.prepared, ready.settings
    lines = [f"  found      {printable(prepared.why)}      task={ready.task.name} (task=... overrides)"]
    counts = splits_text(prepared)
    if "test" in prepared.splits:
        counts += " (sealed)"
    lines.append(f"  split      {counts}")
    columns = ready.task.encoder.input_kinds()
    if columns:
        lines.append(f"  columns    {printable(columns)}")
    shown = [printable(note) for note in prepared.notes[:NOTES_SHOWN]]
    if len(prepared.notes) > NOTES_SHOWN:
        more = len(prepared.notes) - NOTES_SHOWN
        shown.append(f"{more} more notes are in the report" if more > 1 else "1 more note is in the report")
    lines.extend(f"  {'notes' if i == 0 else '':<10} {note}" for i, note in enumerate(shown))
    if prepared.bad:
        first = f"{printable(prepared.bad[0].where)} ({printable(prepared.bad[0].why)})"
        lines.append(f"  unreadable {len(prepared.bad):,}, the first {first}; all of them are in the report")
    parameters = sum(row.parameters for row in ready.layers)
    lines.append(
        f"  model      {settings.model.name} {rounded(parameters)} parameters · {settings.optimiser.name} "
        f"{settings.optimiser.learning_rate:g} {settings.schedule.name} · "
        f"batch {settings.optimiser.batch_size or 'all'} · "
        f"{ready.device}, {settings.machine.threads} thread{'s' if settings.machine.threads != 1 else ''}"
    )
    if ready.resumed_at is not None:
        lines.append(f"  resumed    at step {ready.resumed_at:,}")
    return lines


def print_result(run: Run, *, was_finished: bool) -> None:
    """The last block: ladder, advice, where everything is."""
    has_test, has_folds = run.has_test, run.folds > 0  # read first: they may be damaged
    verbs = ("errors", *(() if has_folds else ("probe",)), *(("test",) if has_test else ()))
    if was_finished:
        sys.stdout.write("  finished   this run was already finished: there was nothing left to do\n")
    is_latest = (Path("runs") / "latest").resolve() == run.path.resolve()  # an older run may have been resumed
    print_diagnosis(run.diagnosis, report=run.report, latest=run.path if is_latest else None)
    here = "latest" if is_latest else shlex.quote(str(run.path))
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    more = "   ".join(f"gnomon {verb} {printable(here)}" for verb in verbs)
    console.print(f"  more    {more}   gnomon studio", markup=False)


def fit_as_json(run: Run) -> dict[str, Any]:
    return {
        "run": str(run.path),
        "task": run.task.name,
        **({"folds": run.folds} if run.folds else {}),
        **diagnosis_as_json(run.diagnosis),
        "seconds": run.folder.load_outcome()["seconds"],
        "report": str(run.report),
    }


def _epoch(epoch: int, epochs: int) -> str:
    return f"{epoch}/{epochs}" if epochs else "start"
