"""What the published recogniser makes of faces, by what it is shown: `python -m benchmarks.faces`.

AT&T's faces (`GNOMON_DATA`/faces) and the package of npm (`GNOMON_FACE_API`). Pictures as they are, and what the face
finder cuts out of them once they are enlarged twice and put on 416x416 gray pixels. Nothing is trained.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from gnomon.core.errors import DataError
from gnomon.core.family import PictureInputs, Wanted
from gnomon.metrics.verification import Compared, equal_error
from gnomon.models.face_resnet import FAMILY, NAME, SIDE
from gnomon.training.weights import load_into, read_public
from gnomon.workflow.faces import Finder

AT_ONCE = 20  # pictures per forward pass
SCENE = 416  # pixels per side


def vectors(pictures: list[np.ndarray]) -> np.ndarray:
    """(N, 128) of length 1, of gray pictures of any size, stretched to 150x150."""
    inputs, public = PictureInputs(3, SIDE, SIDE, (0.5,) * 3, (0.5,) * 3), FAMILY.weights[0]
    net = FAMILY.build(Wanted(NAME, inputs, FAMILY.settings(), (), 2)).eval()
    load_into(net, read_public(public, NAME), FAMILY, NAME, public)
    square = [np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for one in pictures]
    batches = torch.from_numpy(np.stack(square))[:, None].expand(-1, 3, -1, -1).split(AT_ONCE)
    with torch.no_grad():
        return functional.normalize(torch.cat([net.vectors(one.contiguous()) for one in batches]), dim=1).numpy()


def line(name: str, pictures: list[np.ndarray], who: np.ndarray) -> str:
    """Equal error rate over all pairs, and rank-1 of the others where the first picture of each person is known."""
    found = vectors(pictures)
    apart = 2 - 2 * found @ found.T
    left, right = np.triu_indices(len(who), 1)
    error = equal_error(Compared.of(apart[left, right], who[left] == who[right]))
    known = np.unique(who, return_index=True)[1]
    asked = np.setdiff1d(np.arange(len(who)), known)
    right_ones = int((who[known][apart[asked][:, known].argmin(axis=1)] == who[asked]).sum())
    return f"{name}: {len(who)} pictures, EER {100 * error:.1f} %, rank-1 {right_ones} of {len(asked)}"


def main(folder: Path | None = None) -> list[str]:
    folder = folder or Path(os.environ["GNOMON_DATA"]) / "faces"
    files = sorted(folder.glob("*/*.pgm"))
    who, pictures = np.array([file.parent.name for file in files]), [np.asarray(Image.open(file)) for file in files]
    lines, finder, kept, faces = [line("as they are", pictures, who)], Finder(), [], []
    for number, picture in enumerate(pictures):
        large = picture.repeat(2, axis=0).repeat(2, axis=1)
        top, left = (SCENE - large.shape[0]) // 2, (SCENE - large.shape[1]) // 2
        scene = np.full((SCENE, SCENE), 110, np.uint8)
        scene[top : top + large.shape[0], left : left + large.shape[1]] = large
        try:
            faces.append(finder.one_face(scene, str(files[number])))
        except DataError:
            continue
        kept.append(number)
    lines.append(line(f"the face found in {len(kept)} of {len(files)}", faces, who[kept]))
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
