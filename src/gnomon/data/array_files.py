"""NumPy's files: .npy holds one array, .npz several by name. Numbers and texts only; nothing is ever unpickled."""

from __future__ import annotations

import io
import math
import re
import tokenize
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gnomon.core.errors import ArtefactError, DataError, MachineError
from gnomon.data import room
from gnomon.data.archives import ZipTree
from gnomon.data.as_arrays import checked_inputs, target_array
from gnomon.data.layouts import times
from gnomon.data.source import Arrays, counted, display_name
from gnomon.data.trees import FilesTree

ROLES = {
    **dict.fromkeys(("x", "data", "images", "inputs", "signals", "volumes"), "inputs"),
    **dict.fromkeys(("y", "label", "labels", "target", "targets"), "targets"),
}
SPLITS = {"train": "train", "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev", "test": "test"}
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_NAMING = "name them x and y, or x_train, y_train, x_dev, y_dev, x_test, y_test."


@dataclass(frozen=True)
class _Pair:
    """The names of the arrays of one split, or of all examples."""

    inputs: str
    targets: str | None


def read_array_file(path: str) -> tuple[Arrays, tuple[str, ...]]:
    """The inputs and targets of a .npy or .npz file, and notes.

    In a .npz, inputs are called x, data, images, inputs, signals or volumes, targets y, label, labels, target or
    targets, each alone or with _train, _dev (_val, _valid, _validation) or _test after it, or before it. A single array
    of another name is the inputs. The file is read into memory once, at most as large as what is left of it.
    Raises DataError, ArtefactError for a damaged file or a bomb, MachineError where it does not fit into memory.
    """
    where, notes = display_name(path), list[str]()
    if path.lower().endswith(".npy"):
        tree = FilesTree([path])
        _require_room(tree.files[0].size, where)
        inputs = checked_inputs(_array(tree.read(path), where), notes, where)
        return Arrays(inputs, None), tuple(notes)
    arrays = _members(path, where)
    pairs, others = _paired(arrays, where)
    if others:
        shown = ", ".join(_shown(name, arrays[name]) for name in others)
        notes.append(f"arrays that are neither inputs nor targets, not read: {shown}")
    return _joined(arrays, pairs, notes, where), tuple(notes)


def as_npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The content of a .npz file, the same for the same arrays: np.savez also writes the time of day."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array, allow_pickle=False)
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue())
    return buffer.getvalue()


def _members(path: str, where: str) -> dict[str, np.ndarray]:
    """Every array of a .npz by its name."""
    with open(path, "rb") as file:
        if file.read(2) != b"PK":
            raise ArtefactError("this is not a .npz file, although its name says so.", where=where,
                                fix="save it again: np.savez(path, x=x, y=y).")  # fmt: skip
    tree = ZipTree(path)
    _require_room(sum(file.size for file in tree.files), where)
    named = [file.name for file in tree.files if file.name.endswith(".npy")]
    if not named:
        raise DataError("there are no arrays in it.", where=where, fix="save it again: np.savez(path, x=x, y=y).")
    return {name.removesuffix(".npy"): _array(tree.read(name), f"{where}: {display_name(name)}") for name in named}


def _require_room(size: int, where: str) -> None:
    left = room.memory_left()
    if size > left:
        raise MachineError(
            f"its arrays take {size / 1e9:,.1f} GB, and {left / 1e9:,.1f} GB of memory are left.",
            where=where,
            fix="keep fewer examples, or a smaller type: float32, int16.",
        )


def _array(content: bytes, where: str) -> np.ndarray:
    """The array of a .npy file, over its bytes. Raises DataError for objects, ArtefactError if it is damaged."""
    file = io.BytesIO(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a header that Python 2 wrote
            shape, is_fortran, dtype = HEADERS[np.lib.format.read_magic(file)](file)
        size = math.prod(shape) * dtype.itemsize
    except (ValueError, KeyError, TypeError, SyntaxError, tokenize.TokenError, RecursionError, MemoryError) as error:
        reason = str(error).partition("\n")[0][:100]
        raise ArtefactError(f"this is not an array of NumPy, or damaged ({reason}).", where=where,
                            fix="save or copy it again.") from None  # fmt: skip
    if dtype.hasobject:
        raise DataError(
            "the array holds Python objects, pickled: loading them could run any code.",
            where=where,
            fix="save numbers or texts of a fixed width: array.astype(float), or array.astype(str).",
        )
    if dtype.fields is not None or dtype.subdtype is not None:
        raise DataError(f"the array has fields ({dtype}).", where=where, fix="save each field as an array of its own.")
    start = file.tell()
    if min(shape, default=0) < 0 or size != len(content) - start:
        raise ArtefactError(
            f"damaged or truncated: an array of {times(shape)} {dtype} takes {size:,} bytes, and there are "
            f"{len(content) - start:,}.",
            where=where,
            fix="save or copy it again.",
        )
    values = np.frombuffer(content, dtype, offset=start) if size else np.empty(math.prod(shape), dtype)
    found = values.reshape(shape, order="F" if is_fortran else "C")
    return found if dtype.isnative else found.astype(dtype.newbyteorder("="))


def _paired(arrays: Mapping[str, np.ndarray], where: str) -> tuple[dict[str, _Pair], list[str]]:
    """Inputs and targets by split, "all" without splits; and the arrays that are neither. Raises DataError."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    others = []
    for name in arrays:
        place = _place(name)
        if place is None:
            others.append(name)
        else:
            found[place[0]][place[1]].append(name)
    if not any("inputs" in roles for roles in found.values()) and len(others) == 1:
        found["all"]["inputs"], others = others, []
    named = {split: roles for split, roles in found.items() if "inputs" in roles}
    lone = [name for split, roles in found.items() if split not in named for name in roles["targets"]]
    is_unclear = any(len(names) > 1 for roles in named.values() for names in roles.values())
    if not named or lone or is_unclear or ("all" in named and len(named) > 1):
        raise DataError(
            f"cannot tell which arrays are inputs and which are targets: {_listed(arrays)}.", where=where, fix=_NAMING
        )
    if set(named) == {"test"} or set(named) == {"train"}:
        named = {"all": next(iter(named.values()))}
    if "all" not in named and "train" not in named:
        raise DataError(f"there is nothing to train on: {_listed(arrays)}.", where=where, fix=_NAMING)
    pairs = {split: _Pair(roles["inputs"][0], next(iter(roles["targets"]), None)) for split, roles in named.items()}
    return {split: pairs[split] for split in ("all", "train", "dev", "test") if split in pairs}, others


def _place(name: str) -> tuple[str, str] | None:
    """`y_val` -> ("dev", "targets"); None where a name says neither."""
    parts = [part for part in re.split(r"[_\-. ]", name.lower()) if part]
    roles, splits = [part for part in parts if part in ROLES], [part for part in parts if part in SPLITS]
    if len(roles) != 1 or len(splits) > 1 or len(parts) != len(roles) + len(splits):
        return None
    return (SPLITS[splits[0]] if splits else "all"), ROLES[roles[0]]


def _joined(arrays: Mapping[str, np.ndarray], pairs: Mapping[str, _Pair], notes: list[str], where: str) -> Arrays:
    """All splits one after the other. Raises DataError where they do not fit each other."""
    for pair in pairs.values():
        inputs = arrays[pair.inputs]
        if inputs.ndim and pair.targets is not None and len(inputs) != len(np.atleast_1d(arrays[pair.targets])):
            raise DataError(
                f"{pair.inputs} has {counted(len(inputs), 'example')}, and {pair.targets} "
                f"{counted(len(np.atleast_1d(arrays[pair.targets])), 'target')}.",
                where=where,
                fix="give one target per example.",
            )
    first = next(iter(pairs.values()))
    for pair in pairs.values():
        if arrays[pair.inputs].shape[1:] != arrays[first.inputs].shape[1:] or not arrays[pair.inputs].ndim:
            raise DataError(
                f"the splits have inputs of different shapes: {_shown(first.inputs, arrays[first.inputs])} and "
                f"{_shown(pair.inputs, arrays[pair.inputs])}.",
                where=where,
                fix="give all examples one shape.",
            )
        if (pair.targets is None) != (first.targets is None):
            one = pair if pair.targets is None else first
            raise DataError(f"there are no targets for {one.inputs}.", where=where, fix="add them, or leave it out.")
    given = [arrays[pair.inputs] for pair in pairs.values()]
    targets = [target_array(arrays[pair.targets], where) for pair in pairs.values() if pair.targets is not None]
    shapes = {one.shape[1:] for one in targets}
    if len(shapes) > 1:
        raise DataError("the splits have targets of different shapes.", where=where, fix="give all targets one shape.")
    sizes = () if "all" in pairs else tuple((split, len(arrays[pair.inputs])) for split, pair in pairs.items())
    whole = checked_inputs(given[0] if len(given) == 1 else np.concatenate(given), notes, where)
    return Arrays(whole, np.concatenate(targets) if targets else None, splits=sizes)


def _listed(arrays: Mapping[str, np.ndarray]) -> str:
    shown = [_shown(name, array) for name, array in list(arrays.items())[:12]]
    return ", ".join(shown) + (f" and {len(arrays) - 12} more" if len(arrays) > 12 else "")


def _shown(name: str, array: np.ndarray) -> str:
    return f"{display_name(name)[:80]} ({times(array.shape)} {array.dtype})"
