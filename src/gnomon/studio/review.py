"""The review of labels: suspects and a random part of the rest, one by one, and what that says of them all."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from gnomon.core.seeds import generator
from gnomon.runs.tags import Saying
from gnomon.strategy.labels import VERDICTS, draw_review

if TYPE_CHECKING:
    from gnomon.runs.tags import TagStore
    from gnomon.workflow.judge.labels import Audit, Reviewed

KEYS = dict(zip("1234", VERDICTS, strict=True))


@dataclass(frozen=True)
class Question:
    """One example whose label is in question."""

    place: int  # in the review
    position: int  # in the split's table
    id: str
    part: str  # "suspect", or drawn from the "error"s or the "right" answers that are no suspects
    given: str
    suggested: str
    p_given: float
    p_suggested: float
    verdict: str  # "" while nobody has looked


@final
class Review:
    """The rows that `gnomon labels` would write into a sheet, with the verdicts given here."""

    def __init__(self, found: Audit, store: TagStore) -> None:
        from gnomon.workflow.judge import labels  # torch comes with it: the list of runs does not wait for that

        self._labels = labels
        self.found, self.store = found, store
        drawn = draw_review(
            found.suspects, top=labels.TOP, random=labels.RANDOM, rng=generator(0, "label review", found.split)
        )
        self._positions = drawn.positions.tolist()
        self._parts, self._stands_for = drawn.parts, drawn.stands_for.tolist()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._positions)

    def verdicts(self) -> dict[str, str]:
        """By example."""
        said = self.store.in_force(self.found.split)
        return {one.saying.example: one.saying.value for one in said if one.saying.kind == "review"}

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
        """The first place after that one, or from the start, that has no verdict; None when all have."""
        known = self.verdicts()
        places = [*range(after + 1, len(self)), *range(min(after + 1, len(self)))]
        return next((place for place in places if self.found.ids[self._positions[place]] not in known), None)

    def say(self, place: int, verdict: str, who: str) -> None:
        example = self.found.ids[self._positions[place]]
        self.store.say([Saying(self.found.split, example, "review", "", verdict)], who)

    def place_of(self, example: str) -> int | None:
        places = (place for place, position in enumerate(self._positions) if self.found.ids[position] == example)
        return next(places, None)

    def so_far(self) -> Reviewed | None:
        """What the verdicts say about the whole split; None before the first."""
        known, ids = self.verdicts(), self.found.ids
        said = []
        for place, position in enumerate(self._positions):
            verdict = known.get(ids[position], "")
            label = self.question_label(position) if verdict == "suggested" else ""
            said.append(self._labels.ReviewedRow(position, self._parts[place], self._stands_for[place], verdict, label))
        if not any(one.verdict for one in said):
            return None
        return self._labels.judge_review(self.found, said)

    def question_label(self, position: int) -> str:
        """The class suggested for an example."""
        suspects = self.found.suspects
        return suspects.class_names[int(suspects.suggested[position])]
