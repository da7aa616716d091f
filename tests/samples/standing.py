"""Where knobs stand, for tests of what reads them: settings as people write them, and what a task is able to do."""

from __future__ import annotations

from gnomon.core import found
from gnomon.core.knobs import AUGMENTATION, DRAWN_LAYERS, HIDDEN_LAYERS, SOFT_LABELS, Here
from gnomon.core.settings import flat, from_flat, knobs

PICTURE_CLASSES = frozenset({AUGMENTATION, SOFT_LABELS})
TABLE_CLASSES = frozenset({SOFT_LABELS})


def standing(*, abilities: frozenset[str] = TABLE_CLASSES, num_train: int = 1000, **values: object) -> Here:
    """Where the knobs of these settings stand, for a task with these abilities."""
    settings = from_flat({"model": "dense", **values})
    family = found.family(settings.model.name)
    own = family.abilities(settings.model.name, family.settings.model_validate(settings.model.own))
    drawn = {DRAWN_LAYERS} if HIDDEN_LAYERS in own else set()
    return Here(flat(settings), abilities | own | drawn, knobs(settings), num_train)
