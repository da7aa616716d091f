"""The diary of an improvement: what was seen, tried, gave, kept and why; and where it stands, live or read back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gnomon.core.errors import ArtefactError
from gnomon.strategy.improve import SeedScatter
from gnomon.strategy.improve_turns import Learned

Event = Literal["began", "first", "seen", "tried", "ended", "final", "test"]


@dataclass(frozen=True)
class Entry:
    """One step, with its text for people and its facts for the steps that follow."""

    event: Event
    text: str  # one line
    seconds: float  # since the beginning, over all sittings
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def step(self) -> str:
        """What kind of step it was, as people read it: a change that was tried is "kept" or "undone"."""
        if self.event == "tried":
            return "kept" if self.facts.get("kept") else "undone"
        return {"began": "begin", "first": "first system", "ended": "end"}.get(self.event, self.event)

    def to_json(self) -> dict[str, Any]:
        """A line of diary.jsonl."""
        return {"event": self.event, "text": self.text, "seconds": round(self.seconds, 2), "facts": dict(self.facts)}

    @staticmethod
    def from_json(line: Mapping[str, Any]) -> Entry:
        """Raises ArtefactError for a line that is none of these."""
        try:
            return Entry(line["event"], str(line["text"]), float(line["seconds"]), dict(line["facts"]))
        except (KeyError, TypeError, ValueError):
            raise ArtefactError(
                "holds a line that is no step of an improvement.", where="diary.jsonl", fix="start a new improvement."
            ) from None


@dataclass
class State:
    """Where an improvement stands: everything that its next step depends on."""

    changes: dict[str, Any] = field(default_factory=dict)  # kept so far, full key -> value
    learned: list[Learned] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)  # settings that were trained, as `changes_key`
    number_tried: int = 0  # changes that were compared on dev
    number_confirmed: int = 0  # of them, those that the second half of dev was asked about
    number_kept: int = 0
    scatters: list[SeedScatter] = field(default_factory=list)
    links: tuple[str, ...] = ()  # whose knobs are turned
    further: tuple[str, ...] = ()  # those of every gap that is there, for when these have no knob left
    is_seen: bool = False  # the system as it stands was diagnosed
    is_over: bool = False  # nothing more is tried
    is_final: bool = False  # the improved system was trained and written
    seconds: float = 0.0

    def take(self, entry: Entry) -> None:
        """Move on by one step of the diary."""
        facts, self.seconds = entry.facts, entry.seconds
        match entry.event:
            case "first":
                self.tried.add(changes_key({}))
            case "seen":
                self.links, self.further, self.is_seen = tuple(facts["links"]), tuple(facts["further"]), True
            case "tried":
                self._take_try(facts)
            case "ended":
                self.is_over = True
            case "final":
                self.is_final = True

    def _take_try(self, facts: Mapping[str, Any]) -> None:
        after = {**self.changes, **facts["changes"]}
        self.tried.add(changes_key(after))
        if facts.get("failed"):
            self.learned.append(Learned(facts["name"], 0.0))
            return
        self.number_tried += 1
        self.number_confirmed += bool(facts["confirmed"])
        self.learned.append(Learned(facts["name"], facts["relative_gain"]))
        if facts["scatter"]["freedom"]:
            self.scatters.append(SeedScatter(**facts["scatter"]))
        if facts["kept"]:
            self.tried.add(changes_key({**after, **facts["values_before"]}))  # the step back: it was just compared
            self.changes, self.is_seen = after, False
            self.number_kept += 1


def changes_key(changes: Mapping[str, Any]) -> str:
    """Equal for equal changes, whatever their order."""
    return json.dumps(sorted(changes.items()), default=list)


def state_of(entries: Sequence[Entry]) -> State:
    """Where a diary has come to."""
    state = State()
    for entry in entries:
        state.take(entry)
    return state


def page(entries: Sequence[Entry], title: str, picture: str | None = None) -> str:
    """The diary as a page of Markdown that a reviewer can follow; `picture` is the path of its figure."""
    rule = (
        "A change is kept when a paired test on dev supports it, its p value corrected for the number of changes tried"
    )
    tries = [entry for entry in entries if entry.event == "tried"]
    kept = [entry for entry in tries if entry.facts.get("kept")]
    lines = [
        f"# {title}",
        "",
        f"{len(tries)} changes tried, {len(kept)} kept. {rule}; everything else is undone.",
        "",
        *([f"![dev error by time]({picture})", ""] if picture else []),
        "| time | step | what |",
        "|---:|---|---|",
    ]
    for entry in entries:
        what = entry.text.replace("|", "\\|")
        lines.append(f"| {_clock(entry.seconds)} | {entry.step} | {what} |")
    if kept:
        lines += ["", "Settings that differ from the first system:", ""]
        final = state_of(entries).changes
        lines += [f"- `{key}` = {json.dumps(value)}" for key, value in final.items()]
    return "\n".join(lines) + "\n"


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
