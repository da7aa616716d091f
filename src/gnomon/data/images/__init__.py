"""Pictures: class folders, IDX files, archives of either, arrays; the single entry point to them all."""

from __future__ import annotations

from dataclasses import replace

from gnomon.core.errors import DataError, UsageError
from gnomon.core.example import Reading
from gnomon.core.parts import Claim
from gnomon.core.settings import DataSettings
from gnomon.data import layouts
from gnomon.data.images.arrays import read_arrays, read_arrays_to_predict
from gnomon.data.images.class_folders import looks_like_class_folders, read_class_folders, read_pictures
from gnomon.data.images.examples import ImageExamples, as_png, moments
from gnomon.data.images.idx import looks_like_idx, read_idx, read_idx_pictures
from gnomon.data.images.listed import looks_like_list, read_listed, read_listed_to_predict
from gnomon.data.images.whites import Whites
from gnomon.data.source import Source, Tree

__all__ = ["ImageExamples", "Whites", "as_png", "claim", "moments", "read_labelled", "read_unlabelled"]


def claim(source: Source, settings: DataSettings, *, several: bool = False) -> Claim | None:
    """How certain it is, without decoding anything, that the source is pictures with a class each (or `several`)."""
    if source.table is not None:
        certainty, why, targets = looks_like_list(source.table, settings)
        certainty = certainty if (targets > 1) == several else certainty / 3
    elif several:
        return None
    elif source.arrays is not None:
        return layouts.claim(source.arrays, settings.layout, "picture", source.origin)
    elif source.tree is not None:
        certainty, why = max(looks_like_idx(source.tree), looks_like_class_folders(source.tree))
    else:
        return None
    return Claim(certainty, why) if certainty > 0 else None


def read_labelled(source: Source, settings: DataSettings, *, several: bool = False) -> Reading:
    """All pictures with their classes. Raises DataError naming what is wrong where, UsageError for table settings."""
    if source.arrays is not None:
        return _with_notes(source, read_arrays(source.arrays, settings, source.origin))
    _refuse_layout(source, settings)
    if source.table is not None:
        return _with_notes(source, read_listed(source.table, settings, several=several))
    tree = _tree(source)
    if several:
        raise DataError(
            "pictures with several classes each are listed in a table.", where=source.origin,
            fix="give a table with a column of file names and a column for each kind of class.",
        )  # fmt: skip
    _refuse_columns(source, settings)
    if looks_like_idx(tree)[0] > 0:
        return _with_notes(source, read_idx(tree))
    return _with_notes(source, read_class_folders(tree, settings))


def read_unlabelled(source: Source, settings: DataSettings, whites: Whites) -> Reading:
    """All pictures on the scale of the training set, under the key "all", whatever folders they are in."""
    if source.arrays is not None:
        return _with_notes(source, read_arrays_to_predict(source.arrays, settings, source.origin, whites))
    if source.table is not None:
        return _with_notes(source, read_listed_to_predict(source.table, settings, whites))
    tree = _tree(source)
    if looks_like_idx(tree)[0] > 0:
        return _with_notes(source, read_idx_pictures(tree, whites))
    return _with_notes(source, read_pictures(tree, settings, whites))


def _refuse_columns(source: Source, settings: DataSettings) -> None:
    """Raise UsageError for settings that would have no effect, so that nobody relies on them."""
    for key in ("target", "group", "time", "ignore"):
        value = getattr(settings, key)
        if value:
            raise UsageError(
                f"data.{key} names columns of a table ({', '.join([value] if isinstance(value, str) else value)}), "
                "but these are pictures.",
                where=source.origin,
                fix=f"leave data.{key} out: the folder that a picture is in is its class.",
            )


def _refuse_layout(source: Source, settings: DataSettings) -> None:
    if settings.layout is not None:
        raise UsageError(
            f"layout={settings.layout} names the axes of an array, but these are picture files.",
            where=source.origin,
            fix="leave it out.",
        )


def _tree(source: Source) -> Tree:
    if source.tree is None:
        raise DataError(
            "this is a table, not pictures.", where=source.origin, fix="give pictures: a folder or an archive."
        )
    return source.tree


def _with_notes(source: Source, reading: Reading) -> Reading:
    return replace(reading, notes=source.notes + reading.notes)
