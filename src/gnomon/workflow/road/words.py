"""Start the words of a model from vectors from elsewhere."""

from __future__ import annotations

from typing import Any

from torch import nn

from gnomon.core.settings import Settings, with_values
from gnomon.core.task import Task
from gnomon.data.source import display_name
from gnomon.data.text.embeddings import Known, known_vectors
from gnomon.data.text.tokens import SPECIAL
from gnomon.nn.words import WordVectors

LEARNED_FROM = 2_000  # texts from which the vectors are trained, too; a judgement: no other number was tried


def with_learning(settings: Settings, num_train: int) -> Settings:
    """The settings with a decision in place of `embeddings_learn=auto`."""
    if settings.data.embeddings is None or settings.data.embeddings_learn != "auto":
        return settings
    return with_values(settings, {"data.embeddings_learn": "yes" if num_train >= LEARNED_FROM else "no"})


def start_from_vectors(model: nn.Module, task: Task, settings: Settings) -> None:
    """Copy the vectors of the settings, if there are any, into the model's tables of words. Raises DataError."""
    if settings.data.embeddings is None:
        return
    known, are_learned = _known(settings.data.embeddings, task), settings.data.embeddings_learn != "no"
    for module in model.modules():
        if isinstance(module, WordVectors):
            module.take(known.values, SPECIAL, are_learned=are_learned)


def notes_on_vectors(task: Task, settings: Settings) -> list[str]:
    """Sentences on the vectors that words start from."""
    if settings.data.embeddings is None:
        return []
    known = _known(settings.data.embeddings, task)
    name = display_name(settings.data.embeddings.rstrip("/").rpartition("/")[2])
    are_learned = settings.data.embeddings_learn != "no"
    what = "they are trained, too" if are_learned else "they stay as they are"
    turn = "no" if are_learned else "yes"
    about = (
        f"{known.num_found:,} of {known.num_own:,} words of train start from the vectors of {name} "
        f"({known.values.shape[1]} numbers each); {what} (embeddings_learn={turn} to change that)"
    )
    return [about, *known.remarks]


def _known(path: str, task: Task) -> Known:
    encoder: Any = task.encoder  # of texts: whatever else is refused these settings
    return known_vectors(path, encoder.vocabulary[: encoder.num_own])
