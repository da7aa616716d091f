"""explain: why a picture got its answer; what a translation looked at; what the units of a net for pictures see."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnomon.core.errors import UsageError
from gnomon.data.opening import open_source
from gnomon.figures.alignment import draw_alignment
from gnomon.figures.encode import png
from gnomon.figures.explained import draw_explained, draw_units
from gnomon.workflow.own_files import file_name, write_new
from gnomon.workflow.prepare import prepare_again
from gnomon.workflow.sight.alignments import align, is_of_pairs
from gnomon.workflow.sight.pictures import explain_picture, require_classes, require_pictures
from gnomon.workflow.sight.units import units_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gnomon.core.example import BadInput
    from gnomon.core.task import Task
    from gnomon.strategy.alignment import Alignment
    from gnomon.strategy.evidence import Explained, StageUnits
    from gnomon.workflow.run import Run

MOST_PICTURES = 100  # explained in one call: each takes about a hundred passes through the net, and a file
MOST_TEXTS = 100
LONGEST_NAME = 40  # characters of a text, as the name of its file
CLASSES_NAMED = 12


@dataclass(frozen=True)
class Explanation:
    """What explain found: a record per picture, text or stage of the net; the file of each, if they were written."""

    run: Path
    pictures: tuple[Explained, ...] = ()
    stages: tuple[StageUnits, ...] = ()
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    bad: tuple[BadInput, ...] = ()
    alignments: tuple[Alignment, ...] = ()  # of texts that became others: what each piece looked at


def explain_run(
    run: Run, source: Any, class_name: Any, out: str | Path | None, tell: Callable[[str], None] = lambda _text: None
) -> Explanation:
    """As `gnomon.explain`, which is in workflow/run.py; `tell` hears what is being done."""
    if is_of_pairs(run.task):
        return _texts(run, source, class_name, out, tell)
    if source is None and class_name is not None:
        raise UsageError("class= is for pictures, and none are given.", fix="gnomon explain RUN PICTURE class=NAME")
    return _units(run, out, tell) if source is None else _pictures(run, source, class_name, out, tell)


def default_folder(run: Run) -> Path:
    """Where the command line writes: beside the runs, since nothing is added to a finished run."""
    return run.path.parent.parent / "explain" / run.path.name


def _pictures(
    run: Run, source: Any, class_name: Any, out: str | Path | None, tell: Callable[[str], None]
) -> Explanation:
    require_classes(run.task)
    named = None if class_name is None else class_index(run.task, class_name)
    opened = open_source(source, run.settings.runs_folder)
    members = run.members
    readings = [one.task.reader.read_inputs(opened, run.settings.data, one.task.encoder) for one in members]
    inputs = [reading.splits["all"] for reading in readings]
    count = len(inputs[0])
    if count > MOST_PICTURES:
        raise UsageError(
            f"explain writes one picture per input, {MOST_PICTURES} at most, and got {count:,}.",
            where=opened.origin, fix="name those you want to look at: gnomon explain RUN a.png b.png",
        )  # fmt: skip
    found: list[Explained] = []
    files: list[Path] = []
    for place in range(count):
        tell(f"explaining {place + 1} of {count}")
        found.append(explain_picture(members, inputs, place, named))
        files += _written(out, file_name(found[-1].id), lambda one=found[-1]: draw_explained(one))  # type: ignore[misc]
    return Explanation(
        run.path, pictures=tuple(found), files=tuple(files), notes=readings[0].notes, bad=readings[0].bad
    )


def _texts(run: Run, source: Any, class_name: Any, out: str | Path | None, tell: Callable[[str], None]) -> Explanation:
    if source is None or class_name is not None:
        what = "explain needs a text to translate" if source is None else "class= is for pictures, and these are texts"
        raise UsageError(f"{what}.", fix='gnomon explain RUN "the quick fox", for example.')
    member = run.members[0]
    opened = open_source(source, run.settings.runs_folder, may_be_text=True)
    reading = member.task.reader.read_inputs(opened, run.settings.data, member.task.encoder)
    inputs = reading.splits["all"]
    if len(inputs) > MOST_TEXTS:
        raise UsageError(
            f"explain draws one figure per text, {MOST_TEXTS} at most, and got {len(inputs):,}.",
            where=opened.origin, fix='name those you want to look at: gnomon explain RUN "a text" "another one"',
        )  # fmt: skip
    found: list[Alignment] = []
    files: list[Path] = []
    for place in range(len(inputs)):
        tell(f"explaining {place + 1} of {len(inputs)}")
        one = align(member, inputs, place)
        files += _written(out, file_name(one.source[:LONGEST_NAME]), lambda one=one: draw_alignment(one))  # type: ignore[misc]
        found.append(one)
    notes = ("of the first of its models",) if len(run.members) > 1 else ()
    return Explanation(
        run.path, files=tuple(files), notes=(*reading.notes, *notes), bad=reading.bad, alignments=tuple(found)
    )


def _units(run: Run, out: str | Path | None, tell: Callable[[str], None]) -> Explanation:
    require_pictures(run.task)
    member = run.members[0]
    tell("opening the data")
    data = prepare_again(
        run.folder, None, run.settings, run.task.kind,
        in_memory="give pictures: run.explain(pictures).", moved="put it back to see what excites its units.",
    )  # fmt: skip
    examples = (data.fold(0) if data.folds else data).splits["dev"]
    tell("looking at dev pictures")
    stages = units_of(member, examples)
    if not stages:
        raise UsageError(
            f"this net ({run.settings.model.name}) has no feature maps: each of its units sees the whole picture.",
            where=str(run.path),
            fix="give a picture (gnomon explain RUN PICTURE), or train a convnet: gnomon fit DATA model=convnet",
        )
    files: list[Path] = []
    for number, stage in enumerate(stages, start=1):
        files += _written(out, f"units-{number}-{stage.name}", lambda stage=stage: draw_units(stage))  # type: ignore[misc]
    notes = ("of the first of its models",) if run.folds else ()
    return Explanation(run.path, stages=stages, files=tuple(files), notes=notes)


def class_index(task: Task, name: Any) -> int:
    """The place of a class among the task's. Raises UsageError for one that is not there, with those that are."""
    num_classes = task.judge.num_classes or 0
    names = [str(one) for one in task.judge.describe(np.arange(num_classes)).to_list()]
    if str(name) in names:
        return names.index(str(name))
    near = difflib.get_close_matches(str(name), names, n=1)
    shown = ", ".join(names[:CLASSES_NAMED]) + (" ..." if len(names) > CLASSES_NAMED else "")
    raise UsageError(
        f"there is no class {str(name)!r} among the {len(names)} of this run.",
        fix=f"did you mean class={near[0]}?" if near else f"use one of {shown}.",
    )


def _written(out: str | Path | None, name: str, draw: Callable[[], Figure]) -> Sequence[Path]:
    """The file of a figure in the folder `out`; none without a folder."""
    return () if out is None else (write_new(Path(out), name, ".png", png(draw()), "explain"),)
