"""Open whatever the user hands over (path, archive, name of a set, arrays, frame) without judging what task it is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import polars as pl


@dataclass(frozen=True, slots=True)
class File:
    """One regular file of a tree."""

    name: str  # path inside the tree, "/" between parts: "train/cat/001.jpg"
    size: int  # bytes


class Tree(Protocol):
    """Files below a folder, or inside a zip or tar: the same to every reader. Never written to."""

    @property
    def origin(self) -> str:
        """What to call it in messages: the path the user gave."""

    @property
    def files(self) -> Sequence[File]:
        """Regular files in name order; hidden files and system litter left out."""

    @property
    def notes(self) -> Sequence[str]:
        """What was skipped while listing, and why."""

    def read(self, name: str) -> bytes:
        """The whole content of one file."""


@dataclass(frozen=True)
class Arrays:
    """Examples already in memory."""

    inputs: np.ndarray  # (N, D) numbers, (N, H, W) or (N, H, W, C) pictures
    targets: np.ndarray | None  # (N,) or (N, targets)
    target_names: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()  # names of the integer classes 0 .. K-1, where known
    feature_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """What the user handed over, opened but not yet read. Exactly one of `tree`, `table`, `frame`, `arrays` is set."""

    name: str  # short: "pets", "digits"; names the run
    origin: str  # full: absolute path, "scikit-learn digits", "arrays in memory"
    tree: Tree | None = None
    table: str | None = None  # path of a CSV, TSV or Parquet file
    frame: pl.DataFrame | None = None
    arrays: Arrays | None = None


def open_source(thing: Any) -> Source:
    """Open a path, an archive, a set's name, (X, y), arrays, a polars or pandas frame, a torch Dataset, or a list of files.

    Raises UsageError for a name that is neither a path nor a set (with the nearest names), DataError for a path that
    cannot be read, ArtefactError for an archive refused as unsafe.
    """
    raise NotImplementedError
