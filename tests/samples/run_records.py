"""What the files of a run hold, as small as can be: for tests that care for the files and not for what is in them."""

from __future__ import annotations

from typing import Any

import polars as pl

from gnomon.core.evaluation import SHARE
from gnomon.strategy.diagnosis import Diagnosis, Rung, Verdict

OUTCOME: dict[str, Any] = {"seconds": 1.5, "steps": 12, "ended_because": "epochs", "dev_looks": 3, "layers": []}
ENVIRONMENT: dict[str, Any] = {"python": "3.11", "time": "2026-01-02T03:04:05+00:00", "command": ["gnomon", "fit"]}
DIAGNOSIS = Diagnosis(
    SHARE, "error", (Rung("dev", 0.1, 0.0, 0.2, 10),), (), Verdict(None, (), 0.5, "No gap is clear."), ()
)
SPLITS = pl.DataFrame(
    {"split": ["train", "dev"], "id": ["a", "b"], "fingerprint": [1, 2**64 - 1]},
    schema_overrides={"fingerprint": pl.UInt64},
)
LEAKS = pl.DataFrame(
    {"kind": ["copy"], "split": ["dev"], "id": ["b"], "other_split": ["train"], "other_id": ["a"],
     "same_target": [True], "similarity": [1.0]}
)  # fmt: skip


def card(*notes: str) -> dict[str, Any]:
    """A data card."""
    return {"source": "digits", "reopen": "digits", "why": "a test", "splits": {"train": 1, "dev": 1},
            "classes": {}, "notes": list(notes), "bad": [], "leaks": []}  # fmt: skip


def row(epoch: int, size: int = 0) -> dict[str, Any]:
    """An epoch of the history, of at least `size` bytes."""
    measured = {"train_loss": 1 / epoch, "train_error": 0.5, "dev_error": 0.5, "learning_rate": 0.1, "best": True}
    signal = {"layer": "x" * size, "mean": 0.0, "std": 1.0, "gradient": 1.0, "update_ratio": 0.1, "dead": None,
              "saturated": None}  # fmt: skip
    return {"epoch": epoch, **measured, **({"signals": [signal]} if size else {})}


def predictions(*ids: str) -> pl.DataFrame:
    """One row for each id, every other one wrong."""
    wrong = [float(place % 2) for place in range(len(ids))]
    told = ["cat" if not error else "dog" for error in wrong]
    return pl.DataFrame(
        {"id": ids, "source": "planted", "target": "cat", "prediction": told, "error": wrong, "weight": 1.0,
         "loss": 0.1, "confidence": 0.9, "group": pl.Series([None] * len(ids), dtype=pl.String)}
    )  # fmt: skip
