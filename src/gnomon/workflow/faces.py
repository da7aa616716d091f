"""Where the faces in a photograph are, and the one face of a photograph that is to show one person."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch.nn import functional

from gnomon.core.errors import ArtefactError, DataError
from gnomon.models._face_finder import NAMING, SIDE, WEIGHTS, FaceFinder, boxes_of
from gnomon.training.weights import read_public


@dataclass(frozen=True)
class Faces:
    """N faces of a photograph, the surest first."""

    boxes: np.ndarray  # (N, 4) float32: left, top, right, bottom, in pixels of the photograph; may pass its edges
    scores: np.ndarray  # (N,) float32, above 0.5


@final
class Finder:
    """The published face finder. Raises UsageError where its package is not installed, ArtefactError."""

    def __init__(self) -> None:
        file = read_public(WEIGHTS, "the face finder")
        tensors = {_renamed(name): tensor for name, tensor in file.tensors.items()}
        self.net = FaceFinder().eval()
        try:
            self.net.load_state_dict(tensors)
        except RuntimeError as fault:
            what = str(fault).splitlines()[-1].strip()
            raise ArtefactError(
                f"does not hold the weights of the face finder: {what}", where=file.where, fix=f"{WEIGHTS.how_to_get}."
            ) from None

    @torch.no_grad()
    def find(self, picture: np.ndarray) -> Faces:
        """Of a picture (H, W) or (H, W, 3), uint8. It is fitted into 416x416 pixels, with black beside or below it."""
        pixels = torch.from_numpy(np.ascontiguousarray(picture))
        pixels = pixels[..., None].expand(-1, -1, 3) if pixels.dim() == 2 else pixels
        side = max(pixels.shape[:2])
        square = functional.pad(pixels.permute(2, 0, 1), (0, side - pixels.shape[1], 0, side - pixels.shape[0]))
        seen = square[None].float()
        if side != SIDE:
            seen = functional.interpolate(seen, (SIDE, SIDE), mode="bilinear", antialias=side > SIDE)
        boxes, scores = boxes_of(self.net(seen)[0])
        return Faces((boxes * (side / SIDE)).numpy(), scores.numpy())

    def one_face(self, picture: np.ndarray, where: str) -> np.ndarray:
        """The part of the picture that shows its only face. Raises DataError where it shows none, or several."""
        faces = self.find(picture)
        if len(faces.boxes) != 1:
            count = "no face is" if not len(faces.boxes) else f"{len(faces.boxes)} faces are"
            raise DataError(
                f"{count} found in it, where one is expected.", where=where,
                fix="give a picture that shows one person from the front, or cut the face out.",
            )  # fmt: skip
        height, width = picture.shape[:2]
        left, top, right, bottom = faces.boxes[0].round().astype(int)
        return picture[max(0, top) : min(height, bottom), max(0, left) : min(width, right)]


def _renamed(name: str) -> str:
    for pattern, replacement in NAMING.rules:
        name = re.sub(pattern, replacement, name)
    return name
