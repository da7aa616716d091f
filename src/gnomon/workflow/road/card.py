"""What a run has from the start: its settings, the environment, its data card. Enough to repeat it."""

from __future__ import annotations

from gnomon.data.identity import fingerprint_of
from gnomon.runs.beginning import card_files
from gnomon.runs.environment import describe_environment
from gnomon.runs.records import StartCard
from gnomon.training.weights import Taken
from gnomon.workflow.road.build import Session


def card_of(session: Session) -> dict[str, bytes]:
    """Settings, environment and data card: enough to repeat the run. A run has them from the start."""
    prepared = session.prepared
    data = {
        "source": prepared.source.origin,
        "reopen": prepared.reopen,
        "name": prepared.source.name,
        "unit": session.task.judge.error_unit,
        "why": prepared.why,
        "splits": {name: len(examples) for name, examples in prepared.splits.items()},
        "dev_drawn_from": prepared.dev_drawn_from,
        "hashes": {
            name: fingerprint_of(part.index["id"], part.fingerprints()) for name, part in prepared.splits.items()
        },
        "classes": {name: examples.class_counts() for name, examples in prepared.splits.items()},
        "notes": list(prepared.notes),
        "bad": [[bad.where, bad.why] for bad in prepared.bad],
        "repeats": prepared.leaks.repeats,
        "leaks": [*prepared.leaks.notes, *prepared.leaks.remarks],
        "start": start_card(session.start),
    }
    return card_files(
        settings=session.settings,
        given=session.given,
        environment=describe_environment(),
        data=data,
        splits=prepared.identity(),
        leaks=prepared.leaks.pairs,
    )


def start_card(start: Taken | None) -> StartCard | None:
    """What a run says about the weights it started from."""
    if start is None:
        return None
    return {
        "origin": start.origin,
        "sha256": start.sha256,
        "names": start.library,
        "taken": start.taken,
        "left": list(start.left),
    }
