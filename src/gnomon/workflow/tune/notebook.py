"""A search in a notebook: one line that moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, final

from gnomon.strategy.wording import format_error
from gnomon.workflow.notebook import LiveLine, has_kernel
from gnomon.workflow.road.follow import listening
from gnomon.workflow.tune.plan import Follower, Plan, Silent

if TYPE_CHECKING:
    from gnomon.search.results import Result
    from gnomon.search.rounds import Zoom


@final
class SearchLine:
    """Follows a search."""

    def __init__(self) -> None:
        self.line = LiveLine()
        self.unit: str | None = None
        self.trials = 0
        self.summary = ""
        self.best: Result | None = None

    def on_phase(self, text: str) -> None:
        self.line.say(f"{self.summary}{text} ...")

    def on_plan(self, plan: Plan) -> None:
        self.unit, self.trials = plan.task.judge.error_unit, plan.trials

    def on_trial(self, result: Result, *, is_best: bool) -> None:
        if is_best:
            self.best = result
        best = "" if self.best is None else f"best {format_error(self.best.error, self.unit)} ({self.best.number})  "
        self.summary = f"trial {result.number}/{self.trials}  dev {format_error(result.error, self.unit)}  {best}"
        self.line.say(self.summary)

    def on_zoom(self, zooms: Sequence[Zoom]) -> None:
        pass

    def on_note(self, text: str) -> None:
        self.line.say(f"{self.summary}{text}")


def search_follower(given: Any) -> Follower:
    """The user's own follower, else one line in a notebook, else none. Raises UsageError."""
    return SearchLine() if given is None and has_kernel() else listening(given, Silent())
