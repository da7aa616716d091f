"""How often dev was used to choose this system: its own epochs, and those of whatever chose its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gnomon.strategy.improve_diary import state_of

if TYPE_CHECKING:
    from gnomon.runs.folder import RunFolder


def looks_at_dev(folder: RunFolder) -> int:
    """Models compared on dev on the way to this run, one per epoch of every training; 0 before it was evaluated.

    A run made by `improve` has the diary of all its trainings, including its own.
    """
    outcome = folder.load_outcome()
    diary = state_of(folder.load_diary())
    return max(outcome["dev_looks"], diary.looks) + outcome.get("earlier_looks", 0)


def remember_earlier(folder: RunFolder, looks: int) -> None:
    """Record in a finished run how often dev was used before it was trained. The caller holds the run's lock."""
    folder.save_outcome({**folder.load_outcome(), "earlier_looks": looks})
