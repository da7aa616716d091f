"""Annotated pictures from one format to another, with a list of what the other format cannot hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from gnomon.core.errors import UsageError
from gnomon.core.example import BadInput
from gnomon.core.settings import DataSettings
from gnomon.data.annotations.reading import NAMES, format_of, read_annotations, tree_of
from gnomon.data.annotations.writing import FORMATS, Format, Losses, written
from gnomon.data.opening import open_source
from gnomon.runs.writer import filled_folder, is_leftover, write_bytes


@dataclass(frozen=True)
class ConvertedData:
    """What was read and written."""

    path: Path
    read_as: str  # the format that was read, in words
    to: str
    pictures: int
    objects: int
    class_names: tuple[str, ...]
    notes: tuple[str, ...]
    repaired: tuple[tuple[str, tuple[str, ...]], ...]  # what was done, to which files and objects
    bad: tuple[BadInput, ...]  # what was left out
    lost: tuple[tuple[str, tuple[str, ...]], ...]  # what the format cannot hold, and the pictures where that is


def convert_data(source: Any, out: str | Path, to: str, *, max_bad: float | None = None) -> ConvertedData:
    """Read annotated pictures in any format and write them, with their pictures, into the new folder `out`.

    The folder appears when everything is written. Raises UsageError where `out` has something in it or `to` is no
    format, and DataError.
    """
    if to not in FORMATS:
        raise UsageError(f"to={to} is not a format that convert writes.", fix=f"choose one of {', '.join(FORMATS)}.")
    out = Path(out)
    if out.exists() and (not out.is_dir() or not all(is_leftover(child.name) for child in out.iterdir())):
        raise UsageError(
            "exists already and is not an empty folder; nothing is overwritten.",
            where=str(out), fix="give another name.",
        )  # fmt: skip
    if (
        isinstance(source, str | Path)
        and Path(source).is_dir()
        and out.resolve().is_relative_to(Path(source).resolve())
    ):
        raise UsageError(
            "lies inside the data, which is never written to.", where=str(out), fix="give a folder beside it."
        )
    tree = tree_of(open_source(source))
    settings = DataSettings() if max_bad is None else DataSettings(max_bad=max_bad)
    found_format = format_of(tree)
    found = read_annotations(tree, settings)
    losses = Losses()
    with filled_folder(out) as place:
        for name, content in written(found, cast("Format", to), losses):
            write_bytes(place / name, content)
    lost = tuple((what, tuple(places)) for what, places in sorted(losses.places.items()))
    return ConvertedData(
        out, NAMES[found_format.format], to, len(found.pictures), len(found.labels), found.class_names,
        found.notes, found.repaired, found.bad, lost,
    )  # fmt: skip
