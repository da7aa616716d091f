"""The ledger of a search: one line for every event of a trial; read back after a crash."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NotRequired, Protocol, TypedDict

from gnomon.core.errors import ArtefactError
from gnomon.core.plain import Count, Seconds, read_as
from gnomon.search.results import FAILED, FIX, Result, from_json, to_json
from gnomon.search.rounds import Zoom
from gnomon.search.space import Point, Space, misfit

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


class _Spent(TypedDict):
    """Seconds spent on the search until a line was written."""

    spent: Seconds


class _About(TypedDict):
    """A line about one trial."""

    number: Count
    why: NotRequired[str]


class _Zoomed(TypedDict):
    round: Count
    name: str
    before: tuple[Any, ...]
    after: tuple[Any, ...]
    trials: tuple[Count, ...]


def replay(ledger: Ledger, space: Space, where: str) -> float:
    """Fill the ledger of a search over `space` from its lines; the seconds that were spent.

    Raises ArtefactError for lines that no such search wrote.
    """
    spent = 0.0
    for number, record in enumerate(ledger.lines.read(), start=1):
        rest, root = dict(record), f"line {number}"
        kind = rest.pop("kind", None)
        read = read_as(_Spent, {"spent": rest.pop("spent", None)}, where=where, root=root, fix=FIX)
        spent = max(spent, read["spent"])
        _replay_one(ledger, kind, rest, where, root)
    _check_results([*ledger.results.values(), *ledger.again.values()], space, where)
    return spent


def _check_results(results: Sequence[Result], space: Space, where: str) -> None:
    """Raises ArtefactError where results are not of one search: points of another space, errors of other examples."""
    sizes = {len(one.errors) for one in results if one.errors is not None}
    if len(sizes) > 1:
        raise ArtefactError("has trials that were evaluated on different examples.", where=where, fix=FIX)
    for one in results:
        odd = misfit(space, one.point)
        if odd:
            raise ArtefactError(f"trial {one.number}: {odd}.", where=where, fix=FIX)


def _replay_one(ledger: Ledger, kind: Any, rest: dict[str, Any], where: str, root: str) -> None:
    if kind in (TRIAL, AGAIN):
        result = from_json(rest, where, root)
        (ledger.results if kind == TRIAL else ledger.again)[result.number] = result
    elif kind == ZOOMED:
        ledger.zooms.append(Zoom(**read_as(_Zoomed, rest, where=where, root=root, fix=FIX)))
    elif kind in (BEGAN, PUT_BACK, DIED):
        about = read_as(_About, rest, where=where, root=root, fix=FIX)
        number = about["number"]
        if kind == DIED:
            ledger.deaths[number] = about.get("why", "")
        else:
            ledger.times[number] = ledger.times.get(number, 0) + 1 if kind == BEGAN else 0
    else:
        raise ArtefactError(f"{root} is a line that does not belong to a search.", where=where, fix=FIX)
