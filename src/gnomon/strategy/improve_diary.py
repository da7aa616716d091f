"""The diary of an improvement: what was seen and tried, gained, kept and why, and the current state."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, TypedDict

from gnomon.core.errors import ArtefactError
from gnomon.core.plain import NOT_EMPTY, Count, Seconds, read_as
from gnomon.strategy.diagnosis import Diagnosis
from gnomon.strategy.improve_turns import Learned
from gnomon.strategy.paired import SeedScatter

Event = Literal["began", "first", "seen", "tried", "together", "ended", "final", "test"]
FIX = "start a new improvement."


class Scatter(TypedDict):
    """A SeedScatter as the diary keeps it."""

    squares: float
    freedom: Count
    explained: float


class Facts(TypedDict, total=False):
    """Everything that a step can say."""

    limit: Seconds  # that the whole improvement may take
    looks: Count
    links: list[str]
    further: list[str]
    reason: str
    verdict: str
    gaps: dict[str, float]
    dev_error: float
    train_error: float
    name: str
    label: str
    link: str
    changes: dict[str, Any]
    values_before: dict[str, Any]
    failed: str
    kept: bool
    proven: bool
    confirmed: bool
    why: str
    level: float
    seeds: list[int]
    dev_before: Annotated[list[float], NOT_EMPTY]
    dev_after: Annotated[list[float], NOT_EMPTY]
    gain: float
    relative_gain: float
    low: float
    high: float
    p_value: float
    lean: float
    lean_p: float
    scatter: Scatter
    cost: float
    training_seconds: Seconds
    epochs_a_second: float
    errors: dict[str, float]
    error: float
    unproven: list[str]


class Line(TypedDict):
    """A line of diary.jsonl."""

    event: Event
    text: str
    seconds: Seconds
    facts: Facts


MEASURED = frozenset({"relative_gain", "confirmed", "scatter", "dev_before", "dev_after"})
NEEDED: Mapping[Event, frozenset[str]] = {  # what later steps, the figure and a resumed improvement depend on
    "began": frozenset({"limit"}),
    "first": frozenset({"dev_error"}),
    "seen": frozenset({"links", "further"}),
    "tried": frozenset({"name", "label", "link", "changes", "values_before", "kept"}),
    "together": frozenset({"label", "changes", "kept", "proven"}) | (MEASURED - {"relative_gain"}),
}


@dataclass(frozen=True)
class Entry:
    """One step, with its text for people and its facts for the steps after it."""

    event: Event
    text: str  # one line
    seconds: float  # since the start, over all sessions
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def step(self) -> str:
        """The kind of step as people read it: a change tried is "kept" (proven), "on trial" or "undone"."""
        if self.event == "tried":
            if not self.facts.get("kept"):
                return "undone"
            return "kept" if self.is_proven else "on trial"
        return {"began": "begin", "first": "first system", "ended": "end"}.get(self.event, self.event)

    @property
    def is_proven(self) -> bool:
        """Whether it is a change that a test supports; in diaries from before trials, a change that was kept."""
        return bool(self.facts.get("proven", self.facts.get("kept")))

    def to_json(self) -> dict[str, Any]:
        """A line of diary.jsonl."""
        return {"event": self.event, "text": self.text, "seconds": round(self.seconds, 2), "facts": dict(self.facts)}

    @staticmethod
    def from_json(line: Any, where: str = "diary.jsonl", number: int = 1) -> Entry:
        """The step in line `number` of the file `where`. Raises ArtefactError for a line that is not one."""
        read = read_as(Line, line, where=where, root=f"line {number}", fix=FIX)
        needed = NEEDED.get(read["event"], frozenset())
        if read["event"] == "tried" and "failed" not in read["facts"]:
            needed |= MEASURED
        missing = sorted(needed - read["facts"].keys())
        if missing:
            raise ArtefactError(f"line {number}.facts.{missing[0]}: the key is missing.", where=where, fix=FIX)
        return Entry(read["event"], read["text"], read["seconds"], dict(read["facts"]))


@dataclass
class State:
    """The current state of an improvement: everything its next step depends on."""

    changes: dict[str, Any] = field(default_factory=dict)  # in the current system, full key -> value
    proven: dict[str, Any] = field(default_factory=dict)  # those of them that a test supports; the others are on trial
    learned: list[Learned] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)  # settings that were trained, as `changes_key`
    number_tried: int = 0  # changes that were compared on dev
    number_confirmed: int = 0  # those of them that were also tested on the second half of dev
    number_kept: int = 0
    is_settled: bool = False  # everything on trial was tested together
    scatters: list[SeedScatter] = field(default_factory=list)
    links: tuple[str, ...] = ()  # whose knobs are turned
    further: tuple[str, ...] = ()  # links of all clear gaps, for when `links` has no knob left
    is_seen: bool = False  # the current system was diagnosed
    is_over: bool = False  # nothing more will be tried
    is_final: bool = False  # the improved system was trained and written
    undone_in_a_row: dict[str, int] = field(default_factory=dict)  # by link: changes undone in a row
    looks: int = 0  # at dev: one per epoch of each training that was compared there
    seconds: float = 0.0

    @property
    def unproven(self) -> dict[str, Any]:
        """Changes in the system that are on trial."""
        return {
            key: value for key, value in self.changes.items() if key not in self.proven or self.proven[key] != value
        }

    def take(self, entry: Entry) -> None:
        """Apply one step of the diary."""
        facts, self.seconds = entry.facts, entry.seconds
        self.looks += int(facts.get("looks", 0))
        match entry.event:
            case "first":
                self.tried.add(changes_key({}))
            case "seen":
                self.links, self.further, self.is_seen = tuple(facts["links"]), tuple(facts["further"]), True
            case "tried":
                self._take_try(facts, is_proven=entry.is_proven)
            case "together":
                self._take_together(facts)
            case "ended":
                self.is_over = True
            case "final":
                self.is_final = True

    def _take_try(self, facts: Mapping[str, Any], *, is_proven: bool) -> None:
        after = {**self.changes, **facts["changes"]}
        self.tried.add(changes_key(after))
        self.undone_in_a_row[facts["link"]] = 0 if facts["kept"] else self.undone_in_a_row.get(facts["link"], 0) + 1
        if facts.get("failed"):
            self.learned.append(Learned(facts["name"], 0.0))
            return
        self.learned.append(Learned(facts["name"], facts["relative_gain"]))
        self._count(facts)
        if facts["kept"]:
            self.tried.add(changes_key({**after, **facts["values_before"]}))  # the way back: it was just compared
            self.changes, self.is_seen = after, False
            self.number_kept += 1
            if is_proven:
                self.proven = {**self.proven, **facts["changes"]}

    def _take_together(self, facts: Mapping[str, Any]) -> None:
        self._count(facts)
        self.is_settled = True
        if facts["proven"]:
            self.proven = dict(self.changes)
        elif not facts["kept"]:
            self.changes = dict(self.proven)

    def _count(self, facts: Mapping[str, Any]) -> None:
        self.number_tried += 1
        self.number_confirmed += bool(facts["confirmed"])
        if facts["scatter"]["freedom"]:
            self.scatters.append(SeedScatter(**facts["scatter"]))


def changes_key(changes: Mapping[str, Any]) -> str:
    """Equal for equal changes in any order."""
    return json.dumps(sorted(changes.items()), default=list)


def state_of(entries: Sequence[Entry]) -> State:
    """The state after these entries."""
    state = State()
    for entry in entries:
        state.take(entry)
    return state


def apply_diary(diagnosis: Diagnosis, entries: Sequence[Entry]) -> Diagnosis:
    """The diagnosis without advice to do what was just tried and undone, and with a note that says so.

    Advice about a setting is dropped if the last change of it in that direction was undone, or if it leads back to a
    value that was compared with the current one.
    """
    undone: dict[tuple[str, str], bool] = {}  # by the last try of each setting and direction
    seen: dict[str, set[str]] = {}
    for entry in entries:
        facts = entry.facts
        if entry.event != "tried" or "relative_gain" not in facts:
            continue
        for key, value in facts["changes"].items():
            before, after = _shown(facts["values_before"].get(key)), _shown(value)
            undone[key, _direction(before, after)] = not facts["kept"]
            seen.setdefault(key, set()).update((before, after))
    gone = []
    for advice in diagnosis.advice:
        before, arrow, after = advice.action.partition(" ")[2].partition(" -> ")
        way = _direction(before, after)
        if arrow and any(undone.get((key, way)) or after in seen.get(key, ()) for key in advice.settings):
            gone.append(advice)
    if not gone:
        return diagnosis
    listed = ", ".join(advice.action for advice in gone)
    note = f"no longer advised, because improve tried it and did not keep it: {listed} (numbers in the diary)"
    kept = tuple(advice for advice in diagnosis.advice if advice not in gone)
    return replace(diagnosis, advice=kept, notes=(*diagnosis.notes, note))


def _direction(before: str, after: str) -> str:
    """ "up" or "down" for numbers (for lists: the largest, otherwise the length), for the rest the value itself."""
    try:
        sizes = [
            [float(part) for part in text.split(",") if part not in ("", "none", "None")] for text in (before, after)
        ]
    except ValueError:
        return after
    low, high = ((max(size, default=0.0), len(size)) for size in sizes)
    return "up" if high > low else "down"


def _shown(value: Any) -> str:
    """A value as written in advice."""
    if isinstance(value, list | tuple):
        return ",".join(map(_shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def page(entries: Sequence[Entry], title: str, picture: str | None = None) -> str:
    """The diary as a Markdown page for a reviewer; `picture` is the path of its figure."""
    final = state_of(entries)
    rule = (
        "A change is proven when a paired test on dev supports it, with a p value corrected for the number of changes "
        "tried. A change that is more likely better than not stays on trial, and at the end everything on trial is "
        "tested together. Everything else is undone."
    )
    lines = [
        f"# {title}",
        "",
        f"{kept_summary(entries)}. {rule}",
        "",
        *([f"![dev error by time]({picture})", ""] if picture else []),
        "| time | step | what |",
        "|---:|---|---|",
    ]
    for entry in entries:
        what = entry.text.replace("|", "\\|")
        lines.append(f"| {_clock(entry.seconds)} | {entry.step} | {what} |")
    if final.changes:
        lines += ["", "Settings that differ from the first system:", ""]
        unproven = final.unproven
        lines += [
            f"- `{key}` = {json.dumps(value)}{' (not proven)' if key in unproven else ''}"
            for key, value in final.changes.items()
        ]
    return "\n".join(lines) + "\n"


def kept_summary(entries: Sequence[Entry]) -> str:
    """`12 changes tried, 3 settings differ from the first system, 1 of them not proven`."""
    tries = sum(entry.event == "tried" for entry in entries)
    final = state_of(entries)
    text = f"{tries} change{'' if tries == 1 else 's'} tried"
    count, unproven = len(final.changes), len(final.unproven)
    if not count:
        return f"{text}, none kept"
    text += f", {count} setting{' differs' if count == 1 else 's differ'} from the first system"
    if not unproven:
        return text
    return (
        f"{text}, {'not' if count == 1 else 'none of them' if unproven == count else f'{unproven} of them not'} proven"
    )


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
