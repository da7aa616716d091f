"""The environment of a run: versions, processor, command. No user names, no host names, no secrets."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "numpy", "polars", "pydantic", "scipy", "scikit-learn", "pillow", "safetensors", "matplotlib")

_KEYS = "(?:.*[-_.])?(?:token|secret|password|passwd|credentials?|api[-_]?key)"  # names of what must stay private
_SECRET = re.compile(f"^({_KEYS})=.*", re.DOTALL | re.IGNORECASE)
_SECRET_OPTION = re.compile(f"-{_KEYS}", re.IGNORECASE)
_LOGIN = re.compile(r"(?<=://)[^/@\s]+@")


def describe_environment() -> dict[str, Any]:
    """Plain JSON values; the time is UTC. Imports none of the packages it names."""
    return {
        "gnomon": _version("gnomon"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "cores": _usable_cores(),
        "memory_bytes": _memory_bytes(),
        "packages": {name: version for name in PACKAGES if (version := _version(name)) is not None},
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command(sys.argv),
    }


def command(arguments: Sequence[str]) -> list[str]:
    """The command line without private details: the home folder becomes ~, secrets become ***."""
    shown = [Path(arguments[0]).name] if arguments else []
    hide_next = False
    for argument in arguments[1:]:
        shown.append("***" if hide_next else _shown(argument))
        hide_next = bool(_SECRET_OPTION.fullmatch(argument)) and not hide_next
    return shown


def _shown(argument: str) -> str:
    home = os.environ.get("HOME", "").rstrip("/")
    if home:
        argument = re.sub(rf"{re.escape(home)}(?=/|$)", "~", argument)
    return _LOGIN.sub("***@", _SECRET.sub(r"\1=***", argument))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _usable_cores() -> int:
    """Cores this process may run on, which in a container are fewer than those of the machine."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
