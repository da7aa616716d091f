"""Localisation: at most one object in each picture, its class and its box."""

from collections.abc import Mapping
from typing import Any

from gnomon.core.task import Task, TaskKind
from gnomon.parts.annotated import AnnotatedEncoder, AnnotatedPictures
from gnomon.parts.one_box import LocalisationHead, LocalisationJudge, LocalisationSettings
from gnomon.tasks.localisation.shapes import sample

SIDE = 128  # pixels of the longer side, at most


def defaults(_task: Task, _num_train: int) -> Mapping[str, Any]:
    return {}


TASK = TaskKind(
    name="localisation",
    title="localisation",
    modality="picture",
    target="a box",
    reader=AnnotatedPictures("boxes", SIDE, sample, is_asked_for=True),
    encoder=AnnotatedEncoder,
    head=LocalisationHead,
    judge=LocalisationJudge,
    model="spatial-softmax",
    settings=LocalisationSettings,
    defaults=defaults,
)
