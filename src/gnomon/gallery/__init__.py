"""All claims, found by file name: a file here without a leading underscore is a claim and its experiment."""

from __future__ import annotations

import ast
import difflib
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnomon.core.errors import UsageError

if TYPE_CHECKING:
    from gnomon.gallery._claim import Claim

HERE = Path(__file__).parent


def names() -> tuple[str, ...]:
    """All claims, in alphabetical order."""
    return tuple(sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_")))


def title(name: str) -> str:
    """The claim in one line: the docstring of its file, read without importing anything."""
    text = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))) or ""
    return text.splitlines()[0]


def load(name: str) -> Claim[Any]:
    """The claim of that name; `random-search` is `random_search`. Raises UsageError listing the nearest one."""
    known, wanted = names(), name.lower().replace("-", "_")
    if wanted not in known:
        near = difflib.get_close_matches(wanted, known, n=1)
        fix = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"unknown claim {name!r}.", fix=f"{fix}`gnomon gallery` lists the claims.")
    claim: Claim[Any] = importlib.import_module(f"gnomon.gallery.{wanted}").CLAIM
    return claim
