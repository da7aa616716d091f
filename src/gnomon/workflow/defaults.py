"""The settings a task fills in, seen on its own sample data."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from gnomon.core import found
from gnomon.core.settings import from_flat, rows, value_of
from gnomon.workflow.prepare import prepare
from gnomon.workflow.session import open_session


def defaults_of(name: str) -> dict[str, Any]:
    """{full key: value} for the settings that are open until task and data are known. Raises UsageError."""
    kind = found.task(name)
    with tempfile.TemporaryDirectory() as folder:
        source = kind.reader.write_sample(Path(folder) / "sample", seed=0)
        opened = from_flat({"task": name})
        session = open_session(prepare(source, opened), opened)
    return {row.key: value_of(session.settings, row.key) for row in rows() if row.default is None}
