"""The review of labels: suspects and a random sample of the rest, one by one, and the resulting estimate for all."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from gnomon.core.seeds import generator
from gnomon.runs.tags import TagEvent
from gnomon.strategy.labels import VERDICTS, draw_review
from gnomon.workflow.judge.label_review import RANDOM, TOP, Audit, Reviewed, ReviewedRow, judge_review

if TYPE_CHECKING:
    from gnomon.runs.tags import TagStore

KEYS = dict(zip("1234", VERDICTS, strict=True))


@dataclass(frozen=True)
class Question:
    """One example whose label is questioned."""

    place: int  # in the review
    position: int  # in the split's table
    id: str
    part: str  # "suspect", or sampled from the "error"s or the "right" predictions that are not suspects
    given: str
    suggested: str
    p_given: float
    p_suggested: float
    verdict: str  # "" before a review


@final
class Review:
    """The rows that `gnomon labels` would write to a sheet, with the verdicts from here."""

    def __init__(self, found: Audit, store: TagStore) -> None:
        self.found, self.store = found, store
        drawn = draw_review(found.suspects, top=TOP, random=RANDOM, rng=generator(0, "label review", found.split))
        self._positions = drawn.positions.tolist()
        self._parts, self._stands_for = drawn.parts, drawn.stands_for.tolist()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._positions)

    def verdicts(self) -> dict[str, str]:
        """By example."""
        events = self.store.current(self.found.split)
        return {one.event.example: one.event.value for one in events if one.event.kind == "review"}

    def question(self, place: int) -> Question:
        position, suspects = self._positions[place], self.found.suspects
        given, suggested = int(suspects.given[position]), int(suspects.suggested[position])
        example = self.found.ids[position]
        return Question(
            place, position, example, self._parts[place], suspects.class_names[given],
            suspects.class_names[suggested], float(suspects.probabilities[position, given]),
            float(suspects.probabilities[position, suggested]), self.verdicts().get(example, ""),
        )  # fmt: skip

    def next_open(self, after: int = -1) -> int | None:
        """The first place after that one, or from the start, without a verdict; None if there is none."""
        known = self.verdicts()
        places = [*range(after + 1, len(self)), *range(min(after + 1, len(self)))]
        return next((place for place in places if self.found.ids[self._positions[place]] not in known), None)

    def record(self, place: int, verdict: str, who: str) -> None:
        example = self.found.ids[self._positions[place]]
        self.store.record([TagEvent(self.found.split, example, "review", "", verdict)], who)

    def place_of(self, example: str) -> int | None:
        places = (place for place, position in enumerate(self._positions) if self.found.ids[position] == example)
        return next(places, None)

    def so_far(self) -> Reviewed | None:
        """The estimate for the whole split; None before the first verdict."""
        known, ids = self.verdicts(), self.found.ids
        events = []
        for place, position in enumerate(self._positions):
            verdict = known.get(ids[position], "")
            label = self.question_label(position) if verdict == "suggested" else ""
            events.append(ReviewedRow(position, self._parts[place], self._stands_for[place], verdict, label))
        if not any(one.verdict for one in events):
            return None
        return judge_review(self.found, events)

    def question_label(self, position: int) -> str:
        """The class suggested for an example."""
        suspects = self.found.suspects
        return suspects.class_names[int(suspects.suggested[position])]
