"""The ledger of a search: one line for every event of a trial; read back after a crash."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from gnomon.core.errors import ArtefactError
from gnomon.search.results import FAILED, Result, from_json, to_json
from gnomon.search.rounds import Zoom
from gnomon.search.space import Point

MOST_TIMES = 3  # times a trial is started: one that killed its worker this often will do it again
BEGAN, TRIAL, PUT_BACK, DIED, ZOOMED, AGAIN = "began", "trial", "put back", "died", "zoom", "again"


class Lines(Protocol):
    """Where lines are kept: they are on disk when `append` returns."""

    def append(self, record: Mapping[str, Any]) -> None: ...

    def read(self) -> list[dict[str, Any]]: ...


@dataclass
class Ledger:
    """What has happened so far, and the lines that record it. Every change is written as a line first."""

    lines: Lines
    clock: Callable[[], float]  # seconds spent on the search, in this and earlier processes
    results: dict[int, Result] = field(default_factory=dict)
    again: dict[int, Result] = field(default_factory=dict)  # repeats with other seeds, by number
    times: dict[int, int] = field(default_factory=dict)  # how often a trial was started without finishing
    deaths: dict[int, str] = field(default_factory=dict)  # why the process of a trial last died
    zooms: list[Zoom] = field(default_factory=list)

    def began(self, number: int) -> None:
        self._add({"kind": BEGAN, "number": number})
        self.times[number] = self.times.get(number, 0) + 1

    def put_back(self, number: int) -> None:
        """The trial was interrupted, through no fault of its own."""
        self._add({"kind": PUT_BACK, "number": number})
        self.times[number] = 0

    def died(self, number: int, why: str) -> None:
        self._add({"kind": DIED, "number": number, "why": why})
        self.deaths[number] = why

    def trial(self, result: Result) -> None:
        self._add({"kind": TRIAL, **to_json(result)})
        self.results[result.number] = result

    def repeated(self, result: Result) -> None:
        self._add({"kind": AGAIN, **to_json(result)})
        self.again[result.number] = result

    def zoomed(self, zoom: Zoom) -> None:
        known = {(one.round, one.name) for one in self.zooms}
        if (zoom.round, zoom.name) not in known:
            plain = {"round": zoom.round, "name": zoom.name, "before": list(zoom.before), "after": list(zoom.after)}
            self._add({"kind": ZOOMED, **plain, "trials": list(zoom.trials)})
            self.zooms.append(zoom)

    def given_up(self, number: int) -> bool:
        """Whether a trial was started so often without finishing that it is not started again."""
        return self.times.get(number, 0) >= MOST_TIMES

    def _add(self, record: Mapping[str, Any]) -> None:
        self.lines.append({**record, "spent": round(self.clock(), 3)})


def failed(number: int, round_number: int, point: Point, why: str | None) -> Result:
    """The result of a trial that is given up."""
    cause = f" ({why})" if why else ""
    return Result(number, round_number, point, FAILED, note=f"its process died {MOST_TIMES} times{cause}")


def replay(ledger: Ledger, where: str) -> float:
    """Fill the ledger from its lines; returns the seconds spent. Raises ArtefactError for invalid lines."""
    spent = 0.0
    try:
        for record in ledger.lines.read():
            _replay_one(ledger, record)
            spent = max(spent, float(record["spent"]))
    except (KeyError, TypeError, ValueError) as fault:
        raise ArtefactError(
            f"has a line that does not belong to a search ({fault}).", where=where, fix="restore it from a copy."
        ) from None
    return spent


def _replay_one(ledger: Ledger, record: Mapping[str, Any]) -> None:
    kind = record["kind"]
    if kind == TRIAL:
        ledger.results[int(record["number"])] = from_json(record)
    elif kind == AGAIN:
        ledger.again[int(record["number"])] = from_json(record)
    elif kind == BEGAN:
        ledger.times[int(record["number"])] = ledger.times.get(int(record["number"]), 0) + 1
    elif kind == PUT_BACK:
        ledger.times[int(record["number"])] = 0
    elif kind == ZOOMED:
        before, after, trials = (tuple(record[name]) for name in ("before", "after", "trials"))
        ledger.zooms.append(Zoom(int(record["round"]), str(record["name"]), before, after, trials))
    elif kind == DIED:
        ledger.deaths[int(record["number"])] = str(record["why"])
    else:
        raise ValueError(kind)
