"""Files that a verb writes for people to look at: named after what they show, never in place of another one."""

from __future__ import annotations

import os
import re
from pathlib import Path

from gnomon.core.errors import UsageError
from gnomon.runs.writer import write_bytes

LONGEST_NAME = 60  # characters: of up to 4 bytes, and file systems allow 255


def file_name(name: str) -> str:
    """'photos/cat/01.png' -> 'cat-01': the folder, which may be the class, and what no file system dislikes."""
    stem = re.sub(r"\.[A-Za-z0-9]{1,5}$", "", "-".join(Path(name).parts[-2:]))
    return re.sub(r"[^\w.+=,@-]+", "-", stem)[-LONGEST_NAME:].strip("-.") or "picture"


def write_new(folder: Path, name: str, ending: str, content: bytes, verb: str) -> Path:
    """The file NAME.png, or NAME-2.png and so on if there is one. Raises UsageError where the folder is a file."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"is a file, and {verb} writes several.", where=str(folder), fix="give a folder: out=maps/")
    path, number = folder / f"{name}{ending}", 1
    while os.path.lexists(path):
        number += 1
        path = folder / f"{name}-{number}{ending}"
    write_bytes(path, content)
    return path
