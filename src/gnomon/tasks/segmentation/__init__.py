"""Segmentation: a class for every pixel of a picture."""

from pathlib import Path

import numpy as np

from gnomon.core.seeds import generator
from gnomon.core.task import TaskKind
from gnomon.data import images
from gnomon.parts.annotated import AnnotatedEncoder, AnnotatedPictures
from gnomon.parts.masks import SegmentationHead, SegmentationJudge, SegmentationSettings
from gnomon.runs.writer import write_bytes

MOST_SIDE = 256  # pixels of the longer side by default
SAMPLE, SAMPLE_SIDE = 20, 32  # pictures, pixels per side


def write_sample(folder: Path, seed: int) -> Path:
    """Twenty gray 32x32 pictures, a bright disc and a darker square on noise, and their masks: 0, 1 (disc), 2 (square).

    A strip of each mask is 255: not judged.
    """
    rng = generator(seed, "sample")
    down, across = np.mgrid[:SAMPLE_SIDE, :SAMPLE_SIDE] + 0.5
    for number in range(SAMPLE):
        picture = rng.integers(0, 60, (SAMPLE_SIDE, SAMPLE_SIDE))
        mask = np.zeros((SAMPLE_SIDE, SAMPLE_SIDE), np.uint8)
        left, top = rng.integers(2, 18, 2)
        mask[top : top + 11, left : left + 11] = 2
        x, y = rng.uniform(8, 24, 2)
        mask[np.hypot(down - y, across - x) < 6] = 1
        picture += np.array([0, 180, 100])[mask]
        mask[:, :2] = 255
        write_bytes(folder / "images" / f"{number:02d}.png", images.as_png(picture.astype(np.uint8)))
        write_bytes(folder / "masks" / f"{number:02d}.png", images.as_png(mask))
    return folder


TASK = TaskKind(
    name="segmentation",
    title="segmentation",
    modality="picture",
    target="a class for every pixel",
    reader=AnnotatedPictures("masks", MOST_SIDE, write_sample),
    encoder=AnnotatedEncoder,
    head=SegmentationHead,
    judge=SegmentationJudge,
    model="unet",
    composed="segmenter",
    settings=SegmentationSettings,
)
