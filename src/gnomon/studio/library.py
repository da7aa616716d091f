"""The runs that the studio shows: found below the given folders, each under an opaque id."""

from __future__ import annotations

import hashlib
import math
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

from gnomon.core import settings as all_settings
from gnomon.core.errors import GnomonError, UsageError
from gnomon.core.evaluation import is_structured
from gnomon.figures.text import error_text
from gnomon.runs import reader
from gnomon.runs.folder import RunFolder
from gnomon.runs.lock import is_held_here
from gnomon.runs.names import LOCK
from gnomon.runs.seal import MANIFEST
from gnomon.runs.search_folder import SEARCH
from gnomon.runs.tags import TagStore
from gnomon.studio.review import Review
from gnomon.studio.sheets import LiveSheet
from gnomon.workflow.sheet import open_sheet

if TYPE_CHECKING:
    import numpy as np

    from gnomon.core.example import Examples
    from gnomon.core.parts import View
    from gnomon.core.task import Task
    from gnomon.figures.compared import Legend, Shown
    from gnomon.strategy.diagnosis import Diagnosis, Rung
    from gnomon.strategy.evidence import Explained
    from gnomon.workflow.run import Run

State = Literal["running", "finished", "stopped", "damaged"]
OPEN_RUNS = 8  # of which the predictions and examples are kept in memory
PICTURE_SIDE = 320  # pixels
MARKED_SIDE = 640  # with boxes, masks or points on it: their captions are to be read
PICTURES_KEPT = 4_000
MAPS_KEPT = 100
DEEPEST = 3  # levels below a folder to search for runs: runs/task/run
HEAD_START = 0.25  # seconds to render the first page before torch is imported in the background
AT_ONCE = 0.4  # seconds that one request may spend on reading new runs


@dataclass(frozen=True)
class RunCard:
    """The data of a run in the list."""

    id: str
    name: str
    task: str
    created: str  # UTC, ISO 8601
    state: State
    error: Rung | None  # on dev
    train_error: float | None
    unit: str | None
    verdict: str
    settings: dict[str, Any]  # those that the user chose
    seconds: float | None
    epochs: int
    so_far: float | None = None  # dev error after the newest epoch of a run that is not evaluated yet
    made: str = ""  # of a craft's run, which has no errors: its first measure now, in words
    fault: str = ""


@final
class OpenRun:
    """One run with what has been read of it so far."""

    def __init__(self, run_id: str, path: Path) -> None:
        self.id, self.path = run_id, path
        self.folder = RunFolder.open(path)
        self.store = TagStore(path)
        self._sheets: dict[str, LiveSheet] = {}
        self._lock = threading.Lock()
        self._examples: dict[str, OpenExamples] = {}
        self._reviews: dict[str, Review] = {}

    @cached_property
    def diagnosis(self) -> Diagnosis:
        return self.folder.load_diagnosis()

    def sheet(self, split: str) -> LiveSheet:
        """The error sheet of a split. Raises UsageError for one that must not be shown, or does not exist."""
        with self._lock:
            if split not in self._sheets:
                self._sheets[split] = LiveSheet(open_sheet(self.folder, split), self.store)
            return self._sheets[split]

    def review(self, split: str) -> Review:
        """The review of a split's labels. Raises UsageError for a task without classes, and for train."""
        from gnomon.workflow.judge import labels  # torch comes with it
        from gnomon.workflow.run import Run

        if split == "train":
            raise UsageError(
                "train is audited by models trained on the rest of it.", fix="gnomon labels RUN split=train"
            )
        with self._lock:
            if split not in self._reviews:
                self._reviews[split] = Review(labels.audit(Run.open(self.path), split=split), self.store)
            return self._reviews[split]

    def examples(self, split: str) -> OpenExamples:
        """The examples themselves, being opened in the background."""
        with self._lock:
            if split not in self._examples:
                self._examples[split] = OpenExamples(self, split)
            return self._examples[split]


@final
class OpenExamples:
    """The examples of a split as people see them. Opening them may take a while or fail: the page does not wait.

    `fault` says why they cannot be shown, "" while they can.
    """

    def __init__(self, run: OpenRun, split: str) -> None:
        self.run, self.split, self.fault = run, split, ""
        self._task: Task | None = None
        self._examples: Examples | None = None
        self._trained: Run  # once the examples are there
        self._pictures: OrderedDict[tuple[int, str], bytes] = OrderedDict()
        self.legend: Legend | None = None  # of pictures with labels and answers drawn on them, once one was drawn
        self._maps: OrderedDict[int, tuple[Explained, bytes]] = OrderedDict()
        self._lock = threading.Lock()
        self._explaining = threading.Lock()  # one after the other: the processors are for all requests
        self._thread = threading.Thread(target=self._open, daemon=True)
        self._thread.start()

    @property
    def is_ready(self) -> bool:
        return self._examples is not None

    @property
    def is_done(self) -> bool:
        """Whether the tags from pictures, rows and texts are among the sheet's, or never will be."""
        return not self._thread.is_alive()

    def wait(self, seconds: float) -> bool:
        """Whether the examples are there, after at most that long."""
        self._thread.join(seconds)
        return self.is_ready

    def _open(self) -> None:
        time.sleep(HEAD_START)
        from gnomon.workflow.judge import errors  # torch comes with it
        from gnomon.workflow.run import Run

        try:
            run = Run.open(self.run.path)
            task = run.task
            data = errors.open_data(run)
            self._trained = run
            examples = errors.judged_examples(run, data, self.split)
            self._task, self._examples = task, examples
            live = self.run.sheet(self.split)
            usual = errors.usual_examples(data)
            live.replace_sheet(errors.with_looks(live.sheet, task, examples, usual, run.models[0]))
        except (GnomonError, OSError) as error:
            self.fault = fault_text(error, self.run.path) if isinstance(error, GnomonError) else str(error)

    def view(self, position: int) -> View | None:
        """None while the examples are being opened, or if they cannot be."""
        if self._examples is None or self._task is None or not 0 <= position < len(self._examples):
            return None
        return self._task.view(self._examples[position])

    @property
    def has_marks(self) -> bool:
        """Whether labels and answers can be drawn on the pictures."""
        if not self.is_ready or not is_structured(self.run.sheet(self.split).sheet.table):
            return False
        return self.legend is not None or self.marked(0) is not None

    def marked(self, position: int, shown: Shown = "both") -> np.ndarray | None:
        """The picture of an example with its label and answer drawn on it; None where nothing of them is to be seen."""
        if self._examples is None or self._task is None or not 0 <= position < len(self._examples):
            return None
        from gnomon.workflow.drawn import compared_with

        row = self.run.sheet(self.split).sheet.table.row(position, named=True)
        found = compared_with(self._task, self._task.reader.view(self._examples[position]), row, shown, MARKED_SIDE)
        if found is None:
            return None
        picture, self.legend = found
        return picture

    def picture(self, position: int, shown: Shown | None = None) -> bytes | None:
        """The picture of an example as PNG, encoded again: never a file from the disk.

        `shown`: with its label, its answer or both drawn on it.
        """
        key = position, shown or ""
        with self._lock:
            if key in self._pictures:
                self._pictures.move_to_end(key)
                return self._pictures[key]
        pixels = None if shown is None else self.marked(position, shown)
        if pixels is not None:
            return self._encoded(key, pixels, MARKED_SIDE)
        view = self.view(position)
        if view is None or view.image is None:
            return None
        return self._encoded(key, view.image, PICTURE_SIDE)

    def _encoded(self, key: tuple[int, str], pixels: np.ndarray, side: int) -> bytes:
        from gnomon.figures.encode import thumbnail  # Matplotlib comes with it: the list should not wait for it

        png = thumbnail(pixels, side)
        with self._lock:
            self._pictures[key] = png
            if len(self._pictures) > PICTURES_KEPT:
                self._pictures.popitem(last=False)
        return png

    @property
    def has_maps(self) -> bool:
        """Whether `maps` can show where an answer comes from: pictures with one class each."""
        if not self.is_ready or self._task is None:
            return False
        from gnomon.workflow.sight.pictures import is_of_pictures

        return is_of_pictures(self._task) and self._task.judge.num_classes is not None

    def maps(self, position: int) -> tuple[Explained, bytes] | None:
        """What speaks for the prediction of an example and for its label, and the figure of it as PNG.

        Computed when it is first asked for, which takes seconds for a large net. None where there is no such example.
        """
        with self._lock:
            if position in self._maps:
                self._maps.move_to_end(position)
                return self._maps[position]
        if not self.has_maps or self._examples is None or not 0 <= position < len(self._examples):
            return None
        from gnomon.figures.encode import png
        from gnomon.figures.explained import draw_explained
        from gnomon.workflow.explain import class_index
        from gnomon.workflow.sight.pictures import explain_picture

        with self._explaining:
            members, task = self._trained.members, self._trained.task
            label = self._examples.index["label"][position]
            named = None if label is None else class_index(task, label)
            found = explain_picture(members, [self._examples] * len(members), position, named)
            drawn = png(draw_explained(found))
        with self._lock:
            self._maps[position] = found, drawn
            if len(self._maps) > MAPS_KEPT:
                self._maps.popitem(last=False)
        return found, drawn


@final
class Library:
    """Every run below `places`; a run is requested by its id, which is looked up only here."""

    def __init__(self, places: Sequence[Path]) -> None:
        self.places = [Path(os.path.realpath(place)) for place in places]
        self._paths: dict[str, Path] = {}
        self._cards: dict[str, tuple[object, RunCard]] = {}
        self._open: OrderedDict[str, tuple[object, OpenRun]] = OrderedDict()
        self._lock = threading.Lock()

    def cards(self, seconds: float = math.inf) -> tuple[list[RunCard], int]:
        """The runs, newest first; and how many more could not be read in that time.

        A run that was read once costs almost nothing, so the next call gets further.
        """
        self._find()
        newest_first = sorted(self._paths.items(), key=lambda item: item[1].name, reverse=True)
        end = time.monotonic() + seconds
        cards, unread = [], 0
        for name, path in newest_first:
            card = self._known(name, path) or (self._read(name, path) if time.monotonic() < end else None)
            cards += [card] if card is not None else []
            unread += card is None
        return sorted(cards, key=lambda card: (card.created, card.name), reverse=True), unread

    def _find(self) -> None:
        paths = {run_id(path): path for place in self.places for path in _runs_below(place, DEEPEST)}
        with self._lock:
            self._paths = paths

    def path(self, name: str) -> Path | None:
        """The path of the run with that id; None for an unknown id."""
        if name not in self._paths:
            self._find()
        path = self._paths.get(name)
        return path if path is not None and _has(path, MANIFEST) else None

    def run(self, name: str) -> OpenRun | None:
        """What has been read of it so far; read again if the run has changed: its numbers belong together."""
        path = self.path(name)
        if path is None:
            return None
        stamp = _stamp(path)
        with self._lock:
            if name not in self._open or self._open[name][0] != stamp:
                self._open[name] = (stamp, OpenRun(name, path))
                if len(self._open) > OPEN_RUNS:
                    self._open.popitem(last=False)
            self._open.move_to_end(name)
            return self._open[name][1]

    def card(self, name: str) -> RunCard | None:
        path = self.path(name)
        return None if path is None else self._known(name, path) or self._read(name, path)

    def _known(self, name: str, path: Path) -> RunCard | None:
        kept = self._cards.get(name)
        is_fresh = kept is not None and kept[1].state == "finished" and kept[0] == _stamp(path)
        return kept[1] if kept is not None and is_fresh else None

    def _read(self, name: str, path: Path) -> RunCard:
        stamp = _stamp(path)
        try:
            card = _read_card(name, path)
        except GnomonError as error:
            card = RunCard(name, path.name, path.parent.name, "", "damaged", None, None, None, "", {}, None, 0,
                           fault=fault_text(error, path))  # fmt: skip
        self._cards[name] = (stamp, card)
        return card


def fault_text(error: GnomonError, *folders: Path) -> str:
    """What is wrong and what to do, with the file's path relative to one of the folders."""
    inside = (Path(error.where).relative_to(folder) for folder in folders
              if error.where and Path(error.where).is_relative_to(folder))  # fmt: skip
    where = next((f"{path}: " for path in inside if path.parts), "")
    return f"{where}{error.what} {error.fix}"


def run_id(path: Path) -> str:
    """Opaque but stable, so that a page can be bookmarked."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:20]


def _runs_below(place: Path, depth: int) -> list[Path]:
    """Folders that are runs; links are not followed, so that nothing outside `place` is reached."""
    if _has(place, MANIFEST):
        return [] if _has(place, SEARCH) else [place]  # a search is not a run; its best system is one elsewhere
    if depth == 0:
        return []
    found: list[Path] = []
    with suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                found += _runs_below(Path(entry.path), depth - 1)
    return found


def _has(folder: Path, name: str) -> bool:
    """Whether there is such a file; False if access is denied."""
    with suppress(OSError):
        return (folder / name).is_file()
    return False


def _stamp(path: Path) -> object:
    with suppress(OSError):
        found = (path / MANIFEST).stat()
        return found.st_mtime_ns, found.st_size, found.st_ino
    return None


def _craft_card(name: str, folder: RunFolder) -> RunCard:
    card, outcome, history = folder.load_craft(), folder.load_craft_outcome(), folder.measured.read()
    settings, given = folder.load_settings(as_saved=True)
    main = card["measures"][0]
    value = history[-1]["measures"].get(main["name"], math.nan) if history else math.nan
    return RunCard(
        id=name,
        name=folder.name,
        task=folder.task,
        created=folder.created,
        state="finished" if outcome else "running" if is_held_here(folder.path / LOCK) else "stopped",
        error=None,
        train_error=None,
        unit=None,
        verdict="",
        settings={key: all_settings.value_of(settings, key) for key in sorted(given)},
        seconds=outcome["seconds"] if outcome else None,
        epochs=len(history),
        made=f"{main['name']} {error_text(value, main['unit'] or None)}" if history else "not measured yet",
    )


def _read_card(name: str, path: Path) -> RunCard:
    folder = RunFolder.open(path)
    if folder.is_craft:
        return _craft_card(name, folder)
    files = reader.read_manifest(path)["files"]
    settings, given = folder.load_settings(as_saved=True)
    diagnosis = folder.load_diagnosis() if "diagnosis.json" in files else None
    outcome = folder.load_outcome() if "outcome.json" in files else None
    rungs = {rung.name: rung for rung in diagnosis.rungs} if diagnosis else {}
    history = folder.history.read()
    return RunCard(
        id=name,
        name=folder.name,
        task=folder.task,
        created=folder.created,
        state="finished" if diagnosis else "running" if is_held_here(path / LOCK) else "stopped",
        error=rungs.get("dev"),
        train_error=rungs["train"].error if "train" in rungs else None,
        unit=diagnosis.unit if diagnosis else folder.load_data().get("unit"),
        verdict=diagnosis.verdict.gap or "no significant gap" if diagnosis else "",
        settings={key: all_settings.value_of(settings, key) for key in sorted(given)},
        seconds=outcome["seconds"] if outcome else None,
        epochs=len(history),
        so_far=history[-1].get("dev_error") if history and not diagnosis else None,
    )
