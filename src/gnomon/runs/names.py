"""What the files of a run are called, and what a run may be called."""

from __future__ import annotations

import os
import unicodedata
from typing import Any

from gnomon.core.errors import UsageError
from gnomon.core.evaluation import SPLITS

SETTINGS, ENVIRONMENT, DATA, DIAGNOSIS = "settings.toml", "environment.json", "data.json", "diagnosis.json"
OUTCOME, SPLITS_TABLE, LEAKS_TABLE, PROBES = "outcome.json", "splits.parquet", "leaks.parquet", "probes.json"
FLOOR = "floor.json"
HISTORY, OPENINGS, DIARY, MODEL, LOCK = "history.jsonl", "openings.jsonl", "diary.jsonl", "model", "lock"
NUDGES, LEDGER = "nudges.jsonl", "ledger.jsonl"
LEDGER_LIMIT = 1 << 30  # bytes: a line of it may hold the error of each of a million dev examples
OPENED = "openings"  # in the manifest: how often the test split was opened
JOURNALS = (HISTORY, OPENINGS, DIARY, NUDGES, LEDGER)
PREDICTIONS, FIGURES, REPORT, OUTPUTS = "predictions", "figures", "report.html", "outputs"
FOLDS = "folds"  # a folder for the training of each
CRAFT = "craft"  # what the manifest of such a run has as its kind; those of tasks have none
LATEST = "latest"

Place = str | os.PathLike[str]  # a run or a search, or the path of one
NAME_BYTES = 200  # longest run name; time and counter still fit into the 255 bytes of a file name


def place_of(thing: Any) -> str:
    """The path of a run or a search that was handed over: a path, or a record that knows its folder."""
    if not isinstance(thing, str | os.PathLike):
        raise UsageError(
            f"{type(thing).__name__} is not a run.", fix=f'give a run, its folder, or "{LATEST}" for the newest.'
        )
    return os.fsdecode(thing)


def safe_name(text: str) -> str:
    """`text` as a file name for every file system: no control characters, separators, blanks, leading dots, dashes."""
    name = "".join("-" if _is_trouble(mark) else mark for mark in text).strip("-.")
    return name.encode()[:NAME_BYTES].decode(errors="ignore").rstrip("-.") or "run"


def _is_trouble(mark: str) -> bool:
    return mark in '/\\:*?"<>|' or mark.isspace() or unicodedata.category(mark).startswith("C")


def predictions_name(split: str) -> str:
    """Where the predictions of a split are. Raises UsageError if there is no such split."""
    if split not in SPLITS:
        raise UsageError(f"there is no split named {split!r}.", fix=f"choose one of {', '.join(SPLITS)}.")
    return f"{PREDICTIONS}/{split.replace('_', '-')}.parquet"
