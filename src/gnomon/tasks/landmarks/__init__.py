"""Landmarks: points in a fixed order in each picture, any of which may be missing."""

from collections.abc import Mapping
from typing import Any

from gnomon.core.task import Task, TaskKind
from gnomon.parts.annotated import AnnotatedEncoder, AnnotatedPictures
from gnomon.parts.landmarks import LandmarkSettings, LandmarksHead, LandmarksJudge
from gnomon.tasks.landmarks.faces import sample

SIDE = 64  # pixels of the longer side, at most
TURNED = 10.0  # degrees


def defaults(task: Task, _num_train: int) -> Mapping[str, Any]:
    """Pictures are moved, and mirrored where it is known which points then change places."""
    head = task.head
    is_mirrored = isinstance(head, LandmarksHead) and head.pairs is not None
    kinds = ("shift", "mirror", "rotate") if is_mirrored else ("shift", "rotate")
    return {"regularise.augment": ",".join(kinds), "regularise.rotate": TURNED}


TASK = TaskKind(
    name="landmarks",
    title="landmarks",
    modality="picture",
    target="points",
    reader=AnnotatedPictures("points", SIDE, sample),
    encoder=AnnotatedEncoder,
    head=LandmarksHead,
    judge=LandmarksJudge,
    model="spatial-softmax",
    settings=LandmarkSettings,
    defaults=defaults,
)
