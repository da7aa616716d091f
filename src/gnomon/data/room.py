"""Room for encoded examples: in memory, or in a file that is mapped into it when there is not enough."""

from __future__ import annotations

import math
import os
import resource
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gnomon.core.errors import MachineError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

CGROUP = Path("/sys/fs/cgroup")


def empty(shape: Sequence[int], dtype: torch.dtype, folder: Path | None = None) -> Tensor:
    """An uninitialised tensor; with a `folder`, its values are a file there that has no name and ends with the process.

    Raises MachineError where the disk has no room for it.
    """
    import torch

    if folder is None:
        return torch.empty(*shape, dtype=dtype)
    count = math.prod(shape)
    size = count * torch.empty((), dtype=dtype).element_size()
    try:
        with tempfile.NamedTemporaryFile(prefix=".columns-", dir=folder) as file:  # its name ends here, its content not
            if hasattr(os, "posix_fallocate"):  # else a full disk shows itself as a signal on some later write
                os.posix_fallocate(file.fileno(), 0, max(size, 1))
            return torch.from_file(file.name, shared=True, size=count, dtype=dtype).reshape(*shape)
    except OSError as error:
        raise MachineError(
            f"there is no room for {size:,} bytes of encoded examples ({error.strerror}).",
            where=str(folder),
            fix="make room on that disk, or use smaller pictures: image_size=32.",
        ) from None


def memory_left() -> int:
    """Bytes that this process may still take: the least of what the machine, its container and its limits leave."""
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
    """What a control group (version 2) leaves; no limit where there is none."""
    try:
        most = (CGROUP / "memory.max").read_text().strip()
        used = int((CGROUP / "memory.current").read_text())
        files = sum(
            int(line.split()[1])
            for line in (CGROUP / "memory.stat").read_text().splitlines()
            if line.split()[0] in ("inactive_file", "active_file")
        )
    except (OSError, ValueError):
        return 1 << 62
    return 1 << 62 if most == "max" else int(most) - used + files  # what is cached of files makes way


def _own_bytes() -> int:
    """Data of this process that counts against its limits, as far as the system tells."""
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
        return int(lines["VmData"].split()[0]) * 1024
    except (OSError, KeyError):
        return 0
