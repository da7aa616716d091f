"""Encoded inputs too large for memory, kept in the user's cache under a hash of everything they depend on."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import gnomon.data
from gnomon.core.errors import MachineError
from gnomon.core.example import Examples
from gnomon.core.parts import Encoding
from gnomon.core.task import Task
from gnomon.data import room
from gnomon.data.columns import Columns
from gnomon.runs import writer
from gnomon.runs.cache import Cache, Entry, own_cache

Place = Callable[[Sequence[int], torch.dtype], Tensor]  # an uninitialised tensor of this shape and type
LIBRARIES = ("numpy", "pillow", "polars", "torch")  # that decode, resize and hash
DTYPES = {
    str(dtype): dtype
    for dtype in (
        torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
        torch.float16, torch.bfloat16, torch.float32, torch.float64,
    )
}  # fmt: skip


def through_cache(
    task: Task, examples: Examples, size: int, encode: Callable[[Place], Columns], tell: Callable[[str], None]
) -> Columns | None:
    """The inputs as encoded before, else as `encode` writes them into the cache; None if there is no cache.

    Either way the values are the same. Two processes that want the same inputs wait for each other.
    """
    cache, key = own_cache(), key_of(task, examples)
    if cache is None or key is None:
        return None
    found = _found(cache, key, tell)
    if found is not None:
        return found
    with cache.making(key, size) as folder:
        if folder is None:
            return None
        found = _found(cache, key, tell)  # another process may have made it meanwhile
        if found is not None:
            return found
        return _made(cache, key, folder, encode, tell)


def key_of(task: Task, examples: Examples) -> str | None:
    """64 hex digits: the same for the same inputs in the same order, encoded by the same code with the same statistics.

    None for an encoder whose code cannot be read (made in a notebook, for example).
    """
    code = _code(type(task.encoder))
    if code is None:
        return None
    versions = [importlib.metadata.version(name) for name in LIBRARIES]
    about = [1, sys.byteorder, code, versions, task.name, task.encoder.depends_on(), len(examples)]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(examples.fingerprints(), "<u8").tobytes())
    return digest.hexdigest()


def _code(kind: type[Encoding]) -> str | None:
    """A hash of every source file that encoding may use: changed code must not use results of the old code."""
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    if file is None:
        return None
    own = Path(file).parent
    files = {*Path(gnomon.data.__path__[0]).rglob("*.py"), *own.glob("*.py"), *own.parent.glob("*.py")}
    digest = hashlib.sha256()
    for path in sorted(files):
        content = path.read_bytes()
        digest.update(b"%d:" % len(content) + content)
    return digest.hexdigest()


def _found(cache: Cache, key: str, tell: Callable[[str], None]) -> Columns | None:
    entry = cache.find(key)
    columns = None if entry is None else _columns(entry)
    if columns is not None:
        tell(f"{_size(columns)} of encoded examples are in {cache.path}, kept by an earlier run")
    return columns


def _made(
    cache: Cache, key: str, folder: Path, encode: Callable[[Place], Columns], tell: Callable[[str], None]
) -> Columns | None:
    numbers = iter(range(1 << 30))

    def place(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        file = folder / f"{next(numbers)}.bin"
        writer.allocate(file, max(1, torch.Size(shape).numel() * dtype.itemsize))
        return room.over(file, shape, dtype)

    try:
        columns = encode(place)
        dense = {name: column for name, column in columns.items() if isinstance(column, Tensor)}
        facts = [[name, str(column.dtype), list(column.shape)] for name, column in dense.items()]
        cache.keep(key, folder, {"columns": facts})
    except MachineError:  # the disk is full or broken: the caller has another place
        return None
    tell(f"{_size(columns)} of encoded examples are kept in {cache.path}, as memory is short; the next run reuses them")
    return columns


def _columns(entry: Entry) -> Columns | None:
    """The columns of an entry; None if it does not have what this gnomon writes."""
    found: dict[str, Tensor] = {}
    try:
        for number, (name, dtype, shape) in enumerate(entry.facts["columns"]):
            found[name] = room.view(entry.files[f"{number}.bin"], shape, DTYPES[dtype])
    except (KeyError, TypeError, ValueError, RuntimeError):
        return None
    return found


def _size(columns: Columns) -> str:
    total: Any = sum(column.nbytes for column in columns.values() if isinstance(column, Tensor))
    return f"{total / 1e9:.2g} GB" if total >= 1e8 else f"{total / 1e6:.2g} MB"
