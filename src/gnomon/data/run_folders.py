"""Folders that gnomon writes itself: runs, searches, and the pictures beside them are never data, wherever they lie."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from gnomon.data.source import File, Tree, counted, first_names

OF_A_RUN = ("manifest.json", "settings.toml", "splits.parquet")  # what every run and every search has
BESIDE_RUNS = ("peek", "lr")  # folders of pictures beside the kinds of runs


@final
@dataclass(frozen=True)
class DataTree:
    """A tree without the files that gnomon wrote."""

    tree: Tree
    files: Sequence[File]

    @property
    def notes(self) -> Sequence[str]:
        return self.tree.notes

    @property
    def origin(self) -> str:
        return self.tree.origin

    def read(self, name: str) -> bytes:
        return self.tree.read(name)


def without_runs(tree: Tree, root: str, runs_folder: str | None) -> tuple[Tree, tuple[str, ...]]:
    """The tree without run folders and without all that lies in `runs_folder`, if that is a folder inside `root`.

    Beside it a sentence about what is left out.
    """
    written = _written([file.name for file in tree.files])
    if runs_folder is not None:
        written += [f"{folder}/" for folder in _inside(root, runs_folder)]
    kept = [file for file in tree.files if not file.name.startswith(tuple(written))] if written else tree.files
    if len(kept) == len(tree.files):
        return tree, ()
    number = counted(len(tree.files) - len(kept), "file")
    folders = first_names(sorted({folder.removesuffix("/") for folder in written}))
    return DataTree(tree, kept), (f"ignored, because gnomon wrote them: {number} in {folders}",)


def is_run(folder: str) -> bool:
    """Whether a folder is that of a run or a search."""
    return all(os.path.isfile(os.path.join(folder, name)) for name in OF_A_RUN)  # noqa: PTH113, PTH118  # False if locked


def is_of_a_run(path: str) -> bool:
    """Whether a file lies in the folder of a run, however deep."""
    return any(is_run(str(folder)) for folder in Path(path).absolute().parents)


def _written(names: Iterable[str]) -> list[str]:
    """The run folders among the folders of some files, and the folders of pictures beside them, each with its "/"."""
    of_a_run = Counter(name.rpartition("/")[0] for name in names if name.rpartition("/")[2] in OF_A_RUN)
    runs = [folder for folder, count in of_a_run.items() if folder and count == len(OF_A_RUN)]
    tops = {"/".join(folder.split("/")[:-2]) for folder in runs if folder.count("/")}
    beside = [f"{top}/{name}" if top else name for top in tops for name in BESIDE_RUNS]
    return [f"{folder}/" for folder in (*runs, *beside)]


def _inside(root: str, runs_folder: str) -> list[str]:
    """The path of `runs_folder` below `root`, if it lies there and is not `root` itself."""
    below = os.path.relpath(os.path.realpath(runs_folder), os.path.realpath(root))
    return [] if below == "." or below.startswith("..") else [below]
