"""nudge: change a setting of a run while it trains. The request waits in the run's folder; the run applies it at its
next step and records it in its diary, from which a resumed run repeats it at the same step."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Unpack, final, get_args

from gnomon.core.errors import ArtefactError, UsageError
from gnomon.core.settings import Settings, full_key, value_of, with_values
from gnomon.runs.folder import RunFolder, find
from gnomon.runs.journal import Journal
from gnomon.runs.names import LOCK, NUDGES, OUTCOME, Place
from gnomon.runs.records import Nudge, NudgeKey, NudgeRequest
from gnomon.workflow.words import NudgeWords, spelled_out

REQUESTS = "nudge_requests.jsonl"  # in the run's folder
KEYS = get_args(NudgeKey)
SECONDS_BETWEEN_LOOKS = 1.0  # a training run checks for requests at most this often
PATIENCE = 5.0  # seconds to wait for the run to apply a request


@dataclass(frozen=True)
class Nudged:
    """One request, and whether the run has applied it yet."""

    run: Path
    key: str
    value: Any
    old: Any = None  # None, like step, until it is applied
    step: int | None = None


@spelled_out(NudgeWords)
def nudge(run: Place, *, patience: float = PATIENCE, **settings: Unpack[NudgeWords]) -> list[Nudged]:
    """Turn learning_rate, weight_decay or batch_size of a run while it trains; "latest" is the newest in ./runs.

    Waits up to `patience` seconds for the run to apply it. Raises UsageError as `request` does.
    """
    return request(find(run, "runs"), settings, patience=patience)


def request(folder: RunFolder, values: Mapping[str, Any], *, patience: float = PATIENCE) -> list[Nudged]:
    """Ask the run for new values, and wait up to `patience` seconds for it to take them.

    A stopped run applies them when it is resumed. Raises UsageError for a setting that cannot be nudged, an invalid
    value, or a finished run.
    """
    folder.require_ladder()
    settings = folder.load_settings()[0]
    wanted = checked(settings, values)
    if settings.split.folds:
        raise UsageError(
            "folds are trained alike, and a change would reach only some of them.", where=str(folder.path),
            fix="start a new run with those settings.",
        )  # fmt: skip
    if (folder.path / OUTCOME).exists():
        raise UsageError("this run is finished.", where=str(folder.path), fix="start a new one with those settings.")
    requests, diary = journals(folder)
    asked = {secrets.token_hex(8): (key, value) for key, value in wanted.items()}
    for name, (key, value) in asked.items():
        requests.append({"request": name, "key": key, "value": value})
    deadline = time.monotonic() + patience
    while not asked.keys() <= (taken := _by_request(diary)).keys() and time.monotonic() < deadline and _is_held(folder):
        time.sleep(0.1)
    found = []
    for name, (key, value) in asked.items():
        row = taken.get(name)
        found.append(Nudged(folder.path, key, value, *((row["old"], row["step"]) if row else ())))
    return found


def _by_request(diary: Journal[Nudge]) -> dict[str, Nudge]:
    return {row["request"]: row for row in diary.read()}


def _is_held(folder: RunFolder) -> bool:
    """Whether a process is working on the run, according to the note in its lock."""
    lock = folder.path / LOCK
    return lock.is_file() and lock.stat().st_size > 0


def checked(settings: Settings, values: Mapping[str, Any]) -> dict[str, Any]:
    """{full key: value} of what can be nudged. Raises UsageError."""
    if not values:
        raise UsageError("nudge needs a setting and its new value.", fix="gnomon nudge RUN learning_rate=0.001")
    keys = {full_key(key): value for key, value in values.items()}
    for key in keys:
        if key not in KEYS:
            names = [known.rpartition(".")[2] for known in KEYS]
            raise UsageError(
                f"{key} cannot be changed while a run trains.", fix=f"nudge {', '.join(names[:-1])} or {names[-1]}."
            )
    if KEYS[0] in keys and settings.schedule.name == "discrete":
        raise UsageError(
            "this run takes its learning rates from schedule.table.", fix="start a new run with another table."
        )
    new = with_values(settings, keys)
    if new.optimiser.batch_size == 1 != settings.optimiser.batch_size:
        raise UsageError("batches of one example are too small for some layers (batch norm).", fix="batch_size=2")
    return {key: value_of(new, key) for key in keys}


def journals(folder: RunFolder) -> tuple[Journal[NudgeRequest], Journal[Nudge]]:
    """Requests (a line per setting, written by the user's command), and the diary (a row per request, by the run)."""
    return Journal(folder.path, REQUESTS, NudgeRequest), Journal(folder.path, NUDGES, Nudge)


def read_diary(folder: RunFolder) -> list[Nudge]:
    """What was nudged, in the order of the steps: key, old, new, step, time."""
    return journals(folder)[1].read()


def in_words(rows: Sequence[Mapping[str, Any]]) -> str:
    """`learning_rate 0.004 -> 0.001 at step 1,200; batch_size 64 -> 128 at step 2,000`."""
    return "; ".join(
        f"{row['key'].rpartition('.')[2]} {row['old']:g} -> {row['new']:g} at step {row['step'] + 1:,}" for row in rows
    )


@final
class Nudges:
    """What a training run checks before every step: the settings from that step on, None if nothing has changed.

    Rows of the diary are repeated at their original steps; new requests are checked once a second.
    """

    def __init__(self, folder: RunFolder, settings: Settings, on_nudge: Callable[[Mapping[str, Any]], None]) -> None:
        self.folder, self.settings, self.on_nudge = folder, settings, on_nudge
        self.requests, self.diary = journals(folder)
        self.rows = self.diary.read()
        self.diary.keep_first(len(self.rows))  # a torn end would stay until the next nudge
        self.num_done = 0  # rows of the diary applied so far
        self.next_look: float | None = None
        self.size = 0  # of the request file when it was last read

    def __call__(self, step: int) -> Settings | None:
        now = time.monotonic()
        if self.next_look is None:
            self.next_look = now
        elif now >= self.next_look:
            self.next_look = now + SECONDS_BETWEEN_LOOKS
            self._take_requests(step)
        if self.num_done == len(self.rows) or self.rows[self.num_done]["step"] > step:
            return None
        while self.num_done < len(self.rows) and self.rows[self.num_done]["step"] <= step:
            row = self.rows[self.num_done]
            self.settings = with_values(self.settings, {row["key"]: row["new"]})
            self.num_done += 1
        return self.settings

    def _take_requests(self, step: int) -> None:
        """Record new requests in the diary, effective from this step."""
        try:
            size = os.stat(self.folder.path / REQUESTS).st_size  # noqa: PTH116  once a second
        except OSError:
            return
        if size == self.size or self.num_done < len(self.rows):  # a resumed run first repeats its old nudges
            return
        self.size = size
        try:
            asked = self.requests.read()
        except ArtefactError:  # somebody else's file: not a reason to end the training
            return
        done = {row["request"] for row in self.rows}
        for request in asked:
            if request.get("request") in done:
                continue
            try:
                ((key, value),) = checked(self.settings, {request["key"]: request["value"]}).items()
            except (UsageError, KeyError):  # written by hand: the nudge command checks its requests
                continue
            row: Nudge = {
                "step": step,
                "key": request["key"],
                "old": value_of(self.settings, key),
                "new": value,
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "request": request["request"],
            }
            self.diary.append(row)
            self.rows.append(row)
            self.on_nudge(row)
