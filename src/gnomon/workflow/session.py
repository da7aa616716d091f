"""From splits to a model ready to train, in one go: the task's facts, the settings, the model."""

from __future__ import annotations

from gnomon.core.knobs import Here
from gnomon.core.own import NO_OWN, Own
from gnomon.core.settings import Settings
from gnomon.workflow.road.build import Session, build_model
from gnomon.workflow.road.facts import fit_facts
from gnomon.workflow.road.settings import fill_settings
from gnomon.workflow.road.split import Prepared, refuse_folds


def here_of(session: Session) -> Here:
    """Where the knobs of a session stand."""
    return session.task.here(session.settings, len(session.prepared.splits["train"]))


def open_session(
    prepared: Prepared,
    settings: Settings,
    given: frozenset[str] = frozenset(),
    own: Own = NO_OWN,
    started: float | None = None,
) -> Session:
    """Fit the task's facts on train, fill the settings in, build the model (or take the user's `own` parts).

    Raises UsageError for folds, which have several models: each of them has a session of its own.
    """
    refuse_folds(prepared)
    return build_model(fill_settings(fit_facts(prepared, settings, own), settings, given), own.module, started)
