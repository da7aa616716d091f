"""How often dev was looked at until a system came about: its own epochs, and those of whatever chose its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gnomon.strategy.improve_diary import state_of

if TYPE_CHECKING:
    from gnomon.runs.folder import RunFolder


def looks_at_dev(folder: RunFolder) -> int:
    """Models that were compared on dev on the way to this run, one an epoch of every training; 0 before it was judged.

    A run that `improve` made holds the diary of all its trainings, its own among them.
    """
    outcome = folder.load_outcome()
    diary = state_of(folder.load_diary())
    return max(outcome["dev_looks"], diary.looks) + outcome.get("earlier_looks", 0)


def remember_earlier(folder: RunFolder, looks: int) -> None:
    """Keep in a finished run how often dev had been looked at before it was trained. The run's lock is held."""
    folder.save_outcome({**folder.load_outcome(), "earlier_looks": looks})
