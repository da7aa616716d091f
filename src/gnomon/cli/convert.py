"""What `gnomon convert` shows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from gnomon.cli.text import printable, rounded

if TYPE_CHECKING:
    from gnomon.workflow.convert import Converted

NAMED = 3  # things left out that are named


def print_converted(found: Converted) -> None:
    names = f", with the names of {found.library}" if found.library else ""
    what = f"weights of {found.model}{names}" if found.model else "weights of a model that gnomon does not have"
    lines = [
        f"  {printable(str(found.path))}: {found.tensors:,} tensors, {rounded(found.numbers)} numbers",
        f"  {what}",
    ]
    if found.left_out:
        more = f" and {len(found.left_out) - NAMED:,} more" if len(found.left_out) > NAMED else ""
        lines.append(f"  left out, as no tensors of it: {printable(', '.join(found.left_out[:NAMED]))}{more}")
    if found.model:
        lines.append(f"  next   gnomon fit PHOTOS model={found.model} weights={printable(str(found.path))}")
    sys.stdout.write("\n".join(lines) + "\n")


def converted_as_json(found: Converted) -> dict[str, Any]:
    return {
        "path": str(found.path), "tensors": found.tensors, "numbers": found.numbers, "model": found.model,
        "names": found.library, "left_out": list(found.left_out), "source_sha256": found.sha256,
    }  # fmt: skip
