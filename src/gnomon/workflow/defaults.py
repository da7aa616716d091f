"""The settings that a task fills in, as for its own sample data."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from gnomon.core import found
from gnomon.core.settings import from_flat, rows, value_of
from gnomon.workflow.prepare import prepare
from gnomon.workflow.session import open_session


def defaults_of(name: str) -> dict[str, Any]:
    """{full key: value} for the settings that depend on task and data. Raises UsageError."""
    kind = found.task(name)
    with tempfile.TemporaryDirectory() as folder:
        source = kind.reader.write_sample(Path(folder) / "sample", seed=0)
        opened = from_flat({"task": name})
        session = open_session(prepare(source, opened), opened)
    return {row.key: value_of(session.settings, row.key) for row in rows() if row.default is None}
