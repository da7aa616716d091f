"""Run one claim; its Markdown page, its figure, its numbers as JSON."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gnomon import gallery
from gnomon.core.errors import UsageError
from gnomon.figures.encode import png
from gnomon.figures.text import duration, visible
from gnomon.gallery._claim import HOLDS, Answer, Claim, Part, Progress, Table, verdict
from gnomon.gallery._small_pictures import Pictures, read
from gnomon.runs import writer
from gnomon.runs.environment import describe_environment
from gnomon.runs.seal import encode_json

LEAST_SEEDS = 2  # an interval over seeds needs two


@dataclass(frozen=True)
class Outcome:
    """A claim and the result of its test."""

    name: str
    title: str
    claim: Claim[Any]
    seeds: int
    pictures: Pictures | None  # the user's own
    measured: Any
    parts: tuple[Part, ...]
    table: Table
    seconds: float  # of processor time

    @property
    def verdict(self) -> Answer:
        return verdict(self.parts)

    @property
    def counted(self) -> str:
        """`4 of 5 statements hold`."""
        held = sum(part.answer == HOLDS for part in self.parts)
        return f"{held} of {len(self.parts)} statements hold" if len(self.parts) > 1 else ""


def run(name: str, *, seeds: int | None = None, data: str | None = None, progress: Progress | None = None) -> Outcome:
    """Run the experiment of a claim on seeds 0, 1, ... and decide; on the pictures of `data` if it takes pictures.

    Raises UsageError, and DataError for data that cannot be read.
    """
    claim = gallery.load(name)
    if seeds is not None and seeds < LEAST_SEEDS:
        raise UsageError(
            f"seeds={seeds} is too few: an interval over seeds needs at least {LEAST_SEEDS}.",
            fix=f"give {LEAST_SEEDS} or more, or leave it out (default: {claim.seeds}).",
        )
    name = name.lower().replace("-", "_")
    if data is not None and claim.pictures is None:
        raise UsageError(
            f"{name} does not take data=: its experiment belongs to one set.",
            fix=f"leave it out. Claims with data=: {', '.join(taking_pictures())}.",
        )
    pictures = None if data is None else read(data)
    count = seeds or claim.seeds
    began = time.process_time()
    measured = claim.measured(range(count), progress or (lambda _share, _doing: None), pictures)
    return Outcome(
        name, gallery.title(name), claim, count, pictures, measured, claim.judge(measured), claim.table(measured),
        time.process_time() - began,
    )  # fmt: skip


def taking_pictures() -> list[str]:
    """The claims whose pictures the user may choose."""
    return [name for name in gallery.names() if gallery.load(name).pictures is not None]


def save(outcome: Outcome, parent: Path) -> Path:
    """Write page.md, figure.png and numbers.json into parent/NAME/, or NAME-2, NAME-3 ... Raises MachineError."""
    files = {
        "page.md": page(outcome, figure="figure.png").encode(),
        "figure.png": png(outcome.claim.draw(outcome.measured)),
        "numbers.json": encode_json({**as_json(outcome), "measured": plain(outcome.measured)}),
    }
    writer.make_folder(parent)
    tries = (parent / (outcome.name if number == 1 else f"{outcome.name}-{number}") for number in itertools.count(1))
    return next(folder for folder in tries if writer.commit_new_folder(folder, files))


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The verdict and the evidence for it, as plain JSON values."""
    return {
        "name": outcome.name,
        "title": outcome.title,
        "verdict": outcome.verdict,
        "parts": [
            {
                "says": part.says,
                "answer": part.answer,
                "shown": part.shown,
                **({} if part.measured is None else plain(part.measured)),
            }
            for part in outcome.parts
        ],
        "table": {"head": list(outcome.table.head), "rows": [list(row) for row in outcome.table.rows]},
        "seeds": outcome.seeds,
        **({} if outcome.pictures is None else {"data": outcome.pictures.name}),
        "seconds": outcome.seconds,
    }


def page(outcome: Outcome, *, figure: str) -> str:
    """The page of a claim; `figure` is the path of its figure relative to the page."""
    claim, where = outcome.claim, describe_environment()
    counted = f" ({outcome.counted})" if outcome.counted else ""
    took = _words(duration(outcome.seconds))
    data, own = "", []
    if outcome.pictures is not None:
        data = f" data={outcome.pictures.name}"
        own = [f"**Pictures.** {outcome.pictures.name} in place of those named below: {outcome.pictures.says}.\n"]
    made = f"Written by `gnomon gallery {outcome.name} seeds={outcome.seeds}{data}` in {took} of processor time, "
    made += f"with torch {where['packages'].get('torch')} on {where['cpu']}."
    return "\n".join(
        [
            f"# {outcome.title}\n",
            f"**{outcome.verdict[0].upper()}{outcome.verdict[1:]}**{counted}.\n",
            f"> {claim.claimed}\n>\n> {claim.source}\n",
            *own,
            f"**Experiment.** {claim.experiment}\n",
            f"**Rule.** {claim.rule}\n",
            _markdown(Table(("statement", "measured", "answer"), tuple(map(_part_row, outcome.parts)))),
            f"![{outcome.title}]({figure})\n",
            _markdown(outcome.table),
            f"{made}\n",
        ]
    )


def plain(value: Any) -> Any:
    """Dataclasses, arrays and mappings as plain JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def _part_row(part: Part) -> tuple[str, ...]:
    return (part.says, _words(part.shown), f"**{part.answer}**")


def _markdown(table: Table) -> str:
    lines = [table.head, tuple("---" for _ in table.head), *table.rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _words(text: str) -> str:
    return visible(text, keep="\u00a0").replace("\u00a0", " ")
