"""In a notebook: one line that moves while a verb works, and what a run looks like when a cell ends with it.

IPython is never imported here: only who runs inside it has a notebook, and there it is loaded already.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, final

from markupsafe import Markup

from gnomon.core.errors import GnomonError
from gnomon.strategy.notebook import diagnosis_html
from gnomon.strategy.wording import format_error
from gnomon.workflow.road.follow import Begun, Follower, Ready, Silent, listening

if TYPE_CHECKING:
    from gnomon.core.craft import Measure
    from gnomon.strategy.improve_diary import Entry
    from gnomon.workflow.made import Made
    from gnomon.workflow.run import Run

SECONDS_BETWEEN_WORDS = 0.2  # a notebook redraws a line no more often


def has_kernel() -> bool:
    """Whether this is a notebook, or something like one, that can change what a cell shows."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


# --- while a verb works -----------------------------------------------------------------------------------------------
@final
class LiveLine:
    """One line of a cell's output that is changed in its place."""

    def __init__(self) -> None:
        self.handle: Any = None
        self.next_word = 0.0

    def say(self, text: str, *, patient: bool = False) -> None:
        """Show `text` now; if `patient`, only if the last one has been there for a while."""
        now = time.monotonic()
        if patient and now < self.next_word:
            return
        self.next_word = now + SECONDS_BETWEEN_WORDS
        shown = {"text/plain": text, "text/html": Markup("<pre>{}</pre>").format(text)}
        if self.handle is None:
            self.handle = sys.modules["IPython"].display.display(shown, raw=True, display_id=True)
        else:
            self.handle.update(shown, raw=True)


@final
class FitLine:
    """Follows a fit."""

    def __init__(self) -> None:
        self.line = LiveLine()
        self.unit: str | None = None
        self.epochs = 0
        self.summary = ""  # of the epochs so far
        self.best: tuple[float, int] | None = None  # dev error and epoch
        self.measure: Measure | None = None  # of a craft, the one to look at

    def on_phase(self, text: str) -> None:
        self.line.say(f"{self.summary}{text} ...")

    def on_ready(self, ready: Ready) -> None:
        self.unit, self.epochs = ready.task.judge.error_unit, ready.settings.stop.epochs or 0

    def on_begun(self, begun: Begun) -> None:
        self.measure, self.epochs = begun.craft.measures[0], begun.settings.stop.epochs or 0

    def on_step(self, epoch: int, batch: int, num_batches: int, loss: float) -> None:
        self.line.say(
            f"{self.summary}epoch {epoch + 1}/{self.epochs}  batch {batch}/{num_batches}  loss {loss:.3g}", patient=True
        )

    def on_epoch(self, row: Mapping[str, Any]) -> None:
        if self.measure is not None:
            value = format_error(row["measures"][self.measure.name], self.measure.unit or None)
            self.summary = f"epoch {row['epoch']}/{self.epochs}  {self.measure.name} {value}  "
            self.line.say(self.summary, patient=row["epoch"] < self.epochs)
            return
        if self.best is None or row["best"]:
            self.best = row["dev_error"], row["epoch"]
        train, dev, best = (
            format_error(value, self.unit) for value in (row["train_error"], row["dev_error"], self.best[0])
        )
        self.summary = (
            f"epoch {row['epoch']}/{self.epochs}  train {train}  dev {dev}  best {best} (epoch {self.best[1]})  "
        )
        self.line.say(self.summary, patient=row["epoch"] < self.epochs)

    def on_nudge(self, row: Mapping[str, Any]) -> None:
        self.line.say(f"{self.summary}nudged {row['key']} to {row['new']}")


def fit_follower(given: Any) -> Follower:
    """The user's own follower, else one line in a notebook, else none. Raises UsageError as `listening`."""
    return FitLine() if given is None and has_kernel() else listening(given, Silent())


def line_printer() -> Callable[[str], None]:
    """Prints progress if the caller passed nothing: one line in a notebook, otherwise nothing."""
    return LiveLine().say if has_kernel() else _ignore


def diary_printer() -> Callable[[Entry], None]:
    """Likewise for the steps of an improvement."""
    say = line_printer()
    return lambda entry: say(entry.text)


def _ignore(_text: str) -> None:
    pass


# --- when a cell ends -------------------------------------------------------------------------------------------------
def run_html(run: Run) -> str:
    """Where it is, its verdict and ladder, and its curves; a run that has none of these yet says why."""
    title = Markup("<p><b>{}</b> {}</p>").format(run.path.name, run.folder.task.replace("_", " "))
    try:
        return title + diagnosis_html(run.diagnosis) + _curves(run) + Markup("<p>report: {}</p>").format(run.report)
    except GnomonError as error:
        return title + Markup("<p>{}</p>").format(error)


def made_html(made: Made) -> str:
    """Where it is, what it measured, what it made."""
    title = Markup("<p><b>{}</b> {}</p>").format(made.path.name, made.folder.task.replace("_", " "))
    try:
        units = {one["name"]: one["unit"] or None for one in made.card["measures"]}
        rows = [
            Markup("<tr><th>{}</th><td>{}</td></tr>").format(name, format_error(value, units.get(name)))
            for name, value in made.measures.items()
        ]
        files = [one["name"] for one in made.outcome["outputs"]] if made.outcome else []
    except GnomonError as error:
        return title + Markup("<p>{}</p>").format(error)
    made_files = Markup("<p>outputs: {}</p>").format(", ".join(files) or "none yet")
    return title + Markup("<table>{}</table>").format(Markup("").join(rows)) + made_files


def _curves(run: Run) -> Markup:
    from gnomon.figures.encode import data_uri, svg  # matplotlib takes a while to import
    from gnomon.figures.learning_curves import draw_learning_curves

    diagnosis = run.diagnosis
    figure = draw_learning_curves(run.history, error_name=diagnosis.error_name, unit=diagnosis.unit)
    return Markup('<img style="background:white" alt="errors per epoch" src="{}">').format(
        data_uri(svg(figure), "image/svg+xml")
    )
