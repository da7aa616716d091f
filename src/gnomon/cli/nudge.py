"""A nudge on the screen: what was requested, and whether the run has applied it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from gnomon.runs.folder import find
from gnomon.workflow.nudge import Nudged, request


def run_nudge(run: str, values: Mapping[str, str]) -> list[Nudged]:
    """Ask the run ("latest" is the newest in ./runs) for these settings."""
    return request(find(run, "runs"), values)


def print_nudged(nudged: Sequence[Nudged]) -> None:
    for one in nudged:
        name = one.key.rpartition(".")[2]
        if one.step is None:
            sys.stdout.write(f"  asked    {name} {one.value:g}: the run applies it at its next step\n")
        else:
            sys.stdout.write(f"  nudged   {name} {one.old:g} -> {one.value:g} from step {one.step + 1:,} on\n")
    if any(one.step is None for one in nudged):
        path = shlex.quote(str(nudged[0].run))
        sys.stdout.write(f"  if it is not running, it applies it when it resumes: gnomon fit --resume {path}\n")


def nudged_as_json(nudged: Sequence[Nudged]) -> dict[str, Any]:
    return {
        "run": str(nudged[0].run),
        "nudges": [{"key": one.key, "old": one.old, "new": one.value, "step": one.step} for one in nudged],
    }
