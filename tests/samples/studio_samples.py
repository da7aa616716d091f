"""Runs made without training: any number of examples, any names, errors where the test wants them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.core.settings import from_flat
from gnomon.runs.beginning import card_files
from gnomon.runs.folder import RunFolder
from gnomon.strategy.ladder import diagnose
from gnomon.studio.app import create
from gnomon.studio.library import Library, run_id

NO_LEAKS = pl.DataFrame(
    schema={"kind": pl.String, "split": pl.String, "id": pl.String, "other_split": pl.String, "other_id": pl.String,
            "same_target": pl.Boolean, "similarity": pl.Float64}
)  # fmt: skip


def predictions(
    count: int, num_wrong: int, *, classes: Sequence[str] = ("cat", "dog", "fox"), ids: Sequence[str] | None = None,
    seed: int = 0,
) -> pl.DataFrame:  # fmt: skip
    """`count` examples, of which exactly `num_wrong`, drawn by `seed`, have another class than their own."""
    rng = np.random.default_rng(seed)
    target = np.arange(count) % len(classes)
    wrong = np.zeros(count, dtype=bool)
    wrong[rng.choice(count, num_wrong, replace=False)] = True
    said = np.where(wrong, (target + 1) % len(classes), target)
    sure = rng.uniform(0.5, 1.0, count)
    names = np.array(classes, dtype=object)
    return pl.DataFrame(
        {
            "id": list(ids) if ids is not None else [f"{classes[t]}/{i:06d}.png" for i, t in enumerate(target)],
            "source": ["planted"] * count,
            "target": pl.Series(names[target], dtype=pl.String),
            "prediction": pl.Series(names[said], dtype=pl.String),
            "error": wrong.astype(float),
            "weight": np.ones(count),
            "loss": rng.uniform(0, 1, count),
            "confidence": sure,
            "group": pl.Series([None] * count, dtype=pl.String),
            "tag.camera": [("phone", "web")[i % 2] for i in range(count)],
        }
    )


def plant(
    runs: Path, dev: pl.DataFrame, *, name: str = "planted", train: pl.DataFrame | None = None,
    settings: dict[str, Any] | None = None, epochs: int = 3, finished: bool = True, now: datetime | None = None,
) -> RunFolder:  # fmt: skip
    """A run whose data is gone and whose model was never there: its tables, diagnosis and history are."""
    train = predictions(100, 4) if train is None else train
    given = settings or {}
    counts = dict(train["target"].cast(str).value_counts().iter_rows())
    card = {
        "source": "planted", "why": "planted for a test", "splits": {"train": len(train), "dev": len(dev)},
        "classes": {"train": counts}, "notes": [], "leaks": [], "bad": [], "reopen": "/gone/data",
    }  # fmt: skip
    empty = pl.DataFrame(schema={"split": pl.String, "id": pl.String, "fingerprint": pl.UInt64})
    files = card_files(
        settings=from_flat({"epochs": epochs, **given}), given=["stop.epochs", *given],
        environment={"command": ["gnomon", "fit", "planted"], "time": "2026-11-21T10:15:00"}, data=card, splits=empty,
        leaks=NO_LEAKS,
    )  # fmt: skip
    folder = RunFolder.create(
        runs, "image_classification", name, files, now=now or datetime(2026, 11, 21, 10, tzinfo=UTC)
    )
    with folder.lock():
        for epoch in range(1, epochs + 1):
            add_epoch(folder, epoch)
        if finished:
            evaluations = {"train": Evaluation("train", SHARE, train), "dev": Evaluation("dev", SHARE, dev)}
            for split, evaluation in evaluations.items():
                folder.save_predictions(split, evaluation.table)
            folder.save_outcome(
                {"seconds": 12.0, "steps": 30, "dev_looks": epochs, "ended_because": "epochs", "layers": []}
            )
            folder.save_diagnosis(diagnose(evaluations, human=(0.01,), error_name="error"))
    return folder


def add_epoch(folder: RunFolder, epoch: int) -> None:
    row = {"epoch": epoch, "train_error": 0.5 / epoch, "dev_error": 0.6 / epoch, "train_loss": 1 / epoch,
           "learning_rate": 1e-3, "best": True}  # fmt: skip
    with folder.lock():
        folder.history.append(row)


class Client:
    """Asks the guarded application as a browser would, without a socket."""

    def __init__(self, runs: Path, port: int = 8765) -> None:
        self.library = Library([runs])
        self.app, self.sessions = create(self.library, host="127.0.0.1", port=port)
        self.port = port
        self.secret = self.sessions.enter(self.sessions.new_token())

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, *, headers: dict[str, str] | None = None,
        cookie: str | None = "own", host: str | None = None,
    ) -> tuple[int, dict[str, str], bytes]:  # fmt: skip
        """Status, headers and body of the answer."""
        given = {"host": host or f"127.0.0.1:{self.port}"}
        secret = self.secret if cookie == "own" else cookie
        if secret is not None:
            given["cookie"] = f"gnomon_{self.port}={secret}"
        if body is not None:
            given |= {"content-type": "application/json", "content-length": str(len(body)),
                      "origin": f"http://127.0.0.1:{self.port}"}  # fmt: skip
        given |= {name.lower(): value for name, value in (headers or {}).items()}
        path, _, query = path.partition("?")
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode("utf-8", "surrogatepass"),
            "query_string": query.encode(), "http_version": "1.1", "scheme": "http", "root_path": "",
            "server": ("127.0.0.1", self.port), "client": ("127.0.0.1", 50000),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
        }  # fmt: skip
        return asyncio.run(_asked(self.app, scope, body or b""))


async def _asked(app: Any, scope: dict[str, Any], body: bytes) -> tuple[int, dict[str, str], bytes]:
    found: dict[str, Any] = {"status": 0, "headers": {}, "body": b""}
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            found["status"] = message["status"]
            found["headers"] = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            found["body"] += message.get("body", b"")

    await app(scope, receive, send)
    return found["status"], found["headers"], found["body"]


__all__ = ["Client", "add_epoch", "plant", "predictions", "run_id"]
