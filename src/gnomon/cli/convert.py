"""What `gnomon convert` shows, of weights and of annotated pictures."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from gnomon.cli.convert_data import converted_data_as_json, print_converted_data
from gnomon.cli.text import printable, rounded
from gnomon.core.errors import UsageError

if TYPE_CHECKING:
    from gnomon.workflow.convert_data import ConvertedData
    from gnomon.workflow.convert_weights import Converted

NAMED = 3  # things left out that are named


def run_convert(words: list[str], values: dict[str, str]) -> Converted | ConvertedData:
    """Of weights or of annotated pictures. Raises UsageError where the words are not two paths."""
    from gnomon.workflow.convert import FIX, convert

    if len(words) != 2:
        raise UsageError(f"convert needs two paths, to read and to write, got {len(words)}.", fix=FIX)
    unknown = next((name for name in values if name not in ("to", "max_bad")), None)
    if unknown is not None:
        raise UsageError(f"convert takes no setting but to and max_bad, got {unknown}.", fix="leave it out.")
    return convert(*words, **values)


def print_converted(found: Converted | ConvertedData) -> None:
    from gnomon.workflow.convert_data import ConvertedData

    if isinstance(found, ConvertedData):
        print_converted_data(found)
    else:
        _print_weights(found)


def converted_as_json(found: Converted | ConvertedData) -> dict[str, Any]:
    from gnomon.workflow.convert_data import ConvertedData

    return converted_data_as_json(found) if isinstance(found, ConvertedData) else _weights_as_json(found)


def _print_weights(found: Converted) -> None:
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


def _weights_as_json(found: Converted) -> dict[str, Any]:
    return {
        "path": str(found.path), "tensors": found.tensors, "numbers": found.numbers, "model": found.model,
        "names": found.library, "left_out": list(found.left_out), "source_sha256": found.sha256,
    }  # fmt: skip
