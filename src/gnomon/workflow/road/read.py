"""Read a source the way its task reads data."""

from __future__ import annotations

from dataclasses import dataclass

from gnomon.core.example import Reading
from gnomon.workflow.road.recognise import Recognised


@dataclass(frozen=True)
class Read:
    """The examples of the source, in the splits that it has; likewise for the target data."""

    recognised: Recognised
    reading: Reading
    target: Reading | None


def read_examples(recognised: Recognised) -> Read:
    """Every example. What cannot be read is listed and counted. Raises DataError."""
    opened, task = recognised.opened, recognised.task
    reading = task.reader.read(opened.source, opened.settings.data)
    return Read(
        recognised, reading, None if opened.target is None else task.reader.read(opened.target, opened.settings.data)
    )
