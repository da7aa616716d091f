"""Answers drawn on the pictures they are of: boxes, masks or points, each picture in a file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gnomon.core.errors import UsageError
from gnomon.figures.compared import Legend, Shown, compared, legend_of
from gnomon.figures.encode import jpeg
from gnomon.figures.marks import marked
from gnomon.strategy.cell_wording import class_names_of
from gnomon.workflow.own_files import file_name, write_new

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import numpy as np
    import polars as pl

    from gnomon.core.example import Examples
    from gnomon.core.parts import View
    from gnomon.core.task import Task
    from gnomon.workflow.run import Run


def default_folder(run: Run) -> Path:
    """Beside the runs: nothing is added to a finished run, and nothing to the user's data."""
    return run.path.parent.parent / "predict" / run.path.name


def require_pictures(task: Task) -> None:
    """Raises UsageError for answers that nothing of is to be seen in a picture."""
    if not task.kind.has_pictures or task.judge.num_classes is not None:
        raise UsageError(
            f"draw=yes is for what is found in pictures, and this run is {task.kind.title}.", fix="leave draw out."
        )


def compared_with(
    task: Task, view: View, row: Mapping[str, Any], shown: Shown = "both", most: int | None = None
) -> tuple[np.ndarray, Legend] | None:
    """An example's picture with its label and its answer on it, as pixels; None where nothing of them is to be seen.

    `view` is its reader's, `row` its row of a table of predictions.
    """
    if view.image is None or 0 in view.image.shape:
        return None
    label, answer = (task.judge.on_view(view, row, column) for column in ("target", "prediction"))
    if label is view:
        return None
    return compared(label, answer, shown, most=most), legend_of(label, class_names_of(row))


def draw_answers(task: Task, examples: Examples, table: pl.DataFrame, folder: Path) -> tuple[Path, ...]:
    """One file for each row of `table`, which has the answers to `examples` in their order."""
    files = []
    for position, row in enumerate(table.iter_rows(named=True)):
        view = task.judge.on_view(task.reader.view(examples[position]), row, "prediction")
        files.append(write_new(folder, file_name(str(row["id"])), ".jpg", jpeg(marked(view)), "predict"))
    return tuple(files)
