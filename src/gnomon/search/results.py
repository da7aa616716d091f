"""The results of the trials of a search, and which is the best."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypedDict

import numpy as np

from gnomon.core.errors import ArtefactError
from gnomon.core.plain import NAN_TOO, Count, Seconds, read_as
from gnomon.search.space import Point

FIX = "restore the file from a copy, or start a new search."
MOST_ERRORS = 100_000_000  # examples of a dev set

FINISHED, STOPPED, DIVERGED, FAILED = "finished", "stopped", "diverged", "failed"


@dataclass(frozen=True)
class Result:
    """One trial. `error`, `low`, `high`: the dev error with its interval over examples; inf if there is none."""

    number: int  # from 1
    round: int  # from 0: the defaults
    point: Point
    status: str  # FINISHED, STOPPED (early, by the median rule), DIVERGED, FAILED
    error: float = math.inf
    low: float = math.inf
    high: float = math.inf
    loss: float = math.inf  # mean dev loss: breaks ties between equal errors
    train_error: float = math.inf
    epoch_errors: tuple[float, ...] = ()  # dev error after each epoch
    epochs: int = 0  # planned
    seconds: float = 0.0
    cost: float = 0.0  # multiply-adds of its training, backward pass included
    measures: Mapping[str, float] = field(default_factory=dict)
    unmet: tuple[str, ...] = ()  # conditions that it fails
    note: str = ""  # why it stopped early or failed
    errors: np.ndarray | None = None  # (N,) float32: the error of each dev example, None for metrics of the whole split

    @property
    def rank(self) -> tuple[bool, bool, float, float, int]:
        """Sort key, best first: conditions met, finished, smaller error, smaller loss, lower number."""
        return bool(self.unmet), self.status != FINISHED, self.error, self.loss, self.number

    def best_by(self, epoch: int) -> float:
        """The smallest dev error in the first `epoch` epochs; inf if it did not get that far."""
        return min(self.epoch_errors[:epoch]) if 0 < epoch <= len(self.epoch_errors) else math.inf


def ranked(results: Iterable[Result]) -> list[Result]:
    """Those that have an error, best first."""
    return sorted((one for one in results if math.isfinite(one.error)), key=lambda one: one.rank)


def best_of(results: Iterable[Result]) -> Result | None:
    """The best one that finished and meets every condition."""
    first = next(iter(ranked(results)), None)
    return first if first is not None and first.status == FINISHED and not first.unmet else None


# --- as plain JSON values ---------------------------------------------------------------------------------------------
def to_json(result: Result) -> dict[str, Any]:
    plain = {name: getattr(result, name) for name in _PLAIN}
    numbers = {name: _number(getattr(result, name)) for name in _NUMBERS}
    return {
        **plain,
        **numbers,
        "point": dict(result.point),
        "measures": {name: _number(value) for name, value in result.measures.items()},
        "unmet": list(result.unmet),
        "epoch_errors": [_number(error) for error in result.epoch_errors],
        "errors": None if result.errors is None else pack(result.errors),
    }


Measured = Annotated[float, NAN_TOO]


class Line(TypedDict):
    """What `to_json` gives."""

    number: Count
    round: int  # below 0: a repeat of that trial with another seed
    status: Literal["finished", "stopped", "diverged", "failed"]
    error: Measured
    low: Measured
    high: Measured
    loss: Measured
    train_error: Measured
    epoch_errors: list[Measured]
    epochs: Count
    seconds: Seconds
    cost: float
    point: dict[str, Any]
    measures: dict[str, Measured]
    unmet: list[str]
    note: str
    errors: str | None  # as `pack` gives them


def from_json(plain: Any, where: str = "ledger.jsonl", root: str = "result") -> Result:
    """What `to_json` was given. Raises ArtefactError for the file `where`, naming the place from `root` on."""
    line = read_as(Line, plain, where=where, root=root, fix=FIX)
    try:
        errors = None if line["errors"] is None else unpack(line["errors"])
    except ValueError as fault:
        raise ArtefactError(f"{root}.errors: {fault}.", where=where, fix=FIX) from None
    lists: dict[str, Any] = {name: tuple(line[name]) for name in ("epoch_errors", "unmet")}  # type: ignore[literal-required]
    return Result(**{**line, **lists, "errors": errors})  # type: ignore[typeddict-item]


_PLAIN = ("number", "round", "status", "epochs", "note")
_NUMBERS = ("error", "low", "high", "loss", "train_error", "seconds", "cost")


def _number(value: float) -> float | str:
    """JSON has no inf and no NaN: they are stored as text, which float() reads."""
    return float(value) if math.isfinite(value) else str(float(value))


def pack(errors: np.ndarray) -> str:
    """(N,) numbers as text, in a line of a ledger: 0/1 errors of 10,000 examples take about 2 KB."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(errors, "<f4").tobytes())).decode("ascii")


def unpack(text: str) -> np.ndarray:
    """Raises ValueError for a text that `pack` did not give."""
    unpacking = zlib.decompressobj()
    try:
        data = unpacking.decompress(base64.b64decode(text, validate=True), MOST_ERRORS * 4)
    except zlib.error as fault:
        raise ValueError(f"cannot be unpacked ({fault})") from None
    if not unpacking.eof or len(data) % 4:
        raise ValueError("is truncated, or unpacks to far more than any dev set")
    errors = np.frombuffer(data, "<f4").copy()
    if not np.isfinite(errors).all():
        raise ValueError("contains an error that is not a finite number")
    return errors
