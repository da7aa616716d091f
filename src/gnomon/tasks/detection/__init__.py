"""Detection: every object in a picture, its class and the box around it."""

from __future__ import annotations

from gnomon.core.task import TaskKind
from gnomon.parts.annotated import AnnotatedEncoder, AnnotatedPictures
from gnomon.parts.boxes import DetectionHead, DetectionJudge
from gnomon.tasks.detection.sample import write_sample

SIDE = 512  # pixels of the longer side, at most: small objects need them, and every pixel costs

TASK = TaskKind(
    name="detection",
    title="object detection",
    modality="picture",
    target="boxes",
    reader=AnnotatedPictures("boxes", SIDE, write_sample),
    encoder=AnnotatedEncoder,
    head=DetectionHead,
    judge=DetectionJudge,
    model="detector",
)
