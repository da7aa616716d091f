"""Room for encoded examples: in memory, or in files that are mapped into it if there is not enough."""

from __future__ import annotations

import ctypes
import functools
import math
import mmap
import os
import resource
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnomon.core.errors import MachineError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

CGROUP = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")
MOST_MEMORY = 0.5  # share of the remaining memory that encoded columns may take
WILL_NEED = 3  # MADV_WILLNEED on Linux, macOS and the BSDs


SMALLER = "use smaller pictures: image_size=32"


def empty(
    shape: Sequence[int], dtype: torch.dtype, folder: Path | None = None, *, what: str = "encoded examples",
    otherwise: str = SMALLER,
) -> Tensor:  # fmt: skip
    """An uninitialised tensor; with a `folder`, its values are in an unnamed file there that ends with the process.

    Raises MachineError if the disk has no room for it, which says `what` it is and what to do `otherwise`.
    """
    import torch

    if folder is None:
        return torch.empty(*shape, dtype=dtype)
    count = math.prod(shape)
    size = count * torch.empty((), dtype=dtype).element_size()
    try:
        with tempfile.NamedTemporaryFile(
            prefix=".columns-", dir=folder
        ) as file:  # its name ends here, its content does not
            if hasattr(os, "posix_fallocate"):  # otherwise a full disk shows up as a signal on a later write
                os.posix_fallocate(file.fileno(), 0, max(size, 1))
            return over(Path(file.name), shape, dtype)
    except OSError as error:
        raise MachineError(
            f"there is no room for {size:,} bytes of {what} ({error.strerror}).",
            where=str(folder),
            fix=f"free some space on that disk, or {otherwise}.",
        ) from None


def over(file: Path, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """The content of a file as a tensor; writes to it go to the file."""
    import torch

    if not math.prod(shape):
        return torch.empty(*shape, dtype=dtype)
    return torch.from_file(str(file), shared=True, size=math.prod(shape), dtype=dtype).reshape(*shape)


def view(content: mmap.mmap, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A mapped file as a tensor that is only read from."""
    import torch

    if not math.prod(shape):
        return torch.empty(*shape, dtype=dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it is read-only
        return torch.frombuffer(content, dtype=dtype).reshape(*shape)


def is_short_for(size: int) -> bool:
    """Whether this many bytes are more than half of the remaining memory: columns of that size go into files."""
    return size > MOST_MEMORY * memory_left()


def share_in_memory(column: Tensor) -> float:
    """How much of a mapped tensor is in memory at the moment (0 to 1); 1 if the system does not say."""
    import numpy as np

    first = column.data_ptr() // mmap.PAGESIZE * mmap.PAGESIZE
    pages = np.ones(-(-(column.data_ptr() + column.nbytes - first) // mmap.PAGESIZE), np.uint8)
    _system("mincore", ctypes.c_void_p)(first, column.data_ptr() + column.nbytes - first, pages.ctypes.data)
    return float((pages & 1).mean())


def prefetch(column: Tensor, rows: Tensor) -> None:
    """Have the system read all of these rows of a mapped tensor now, instead of each page when it is touched.

    A disk that gets one request at a time mostly waits.
    """
    each, advise = column[0].nbytes, _system("madvise", ctypes.c_int)
    starts = column.data_ptr() + rows * each
    firsts = starts // mmap.PAGESIZE * mmap.PAGESIZE
    for first, size in zip(firsts.tolist(), (starts + each - firsts).tolist(), strict=True):
        advise(first, size, WILL_NEED)


@functools.cache
def _system(name: str, last: Any) -> Any:
    """A C library function on a piece of memory: its start, its size in bytes, and one more argument."""
    function = getattr(ctypes.CDLL(None), name)
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, last)
    return function


def memory_left() -> int:
    """Bytes that this process may still take: the minimum of what the machine, its container and its limits leave."""
    left = [_available(), _container()]
    own = _own_bytes()
    for limit in (resource.RLIMIT_DATA, resource.RLIMIT_AS):
        soft, _hard = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY:
            left.append(soft - own)
    return max(0, min(left))


def _available() -> int:
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):  # not Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _container() -> int:
    """What the control groups of this process leave it; infinite without a limit.

    Version 2 has one tree; in version 1 it is the tree of the controller "memory". A limit further up counts too.
    """
    try:
        lines = [line.split(":", 2) for line in OWN_GROUPS.read_text().splitlines()]
    except OSError:
        lines = []
    trees = {"": CGROUP, "memory": CGROUP / "memory"}
    places = {(name, path) for _, names, path in lines for name in names.split(",") if name in trees} | {("", "/")}
    left = [1 << 62]
    for name, path in places:
        group = trees[name] / path.lstrip("/")
        for each in (group, *group.parents):  # in a container the path may be that of its host
            left.append(_left_in(each))
            if each == trees[name]:
                break
    return min(left)


def _left_in(group: Path) -> int:
    for limit, current, kinds in (
        ("memory.max", "memory.current", ("inactive_file", "active_file")),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")),
    ):
        try:
            most, used = (group / limit).read_text().strip(), int((group / current).read_text())
            stat = dict(line.split(" ", 1) for line in (group / "memory.stat").read_text().splitlines())
            if most != "max":
                return int(most) - used + sum(int(stat[kind]) for kind in kinds)  # cached file pages can be evicted
        except (OSError, ValueError, KeyError):
            continue
    return 1 << 62


def _own_bytes() -> int:
    """Data of this process that counts against its limits, as far as the system says."""
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
        return int(lines["VmData"].split()[0]) * 1024
    except (OSError, KeyError):
        return 0
