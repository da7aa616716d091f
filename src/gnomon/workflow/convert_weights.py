"""Weights from one file format to another, and the name of the architecture they belong to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch

from gnomon.core import found
from gnomon.core.errors import UsageError
from gnomon.core.family import PictureInputs, Wanted
from gnomon.runs.writer import write_bytes
from gnomon.training.state import tensors_to_bytes
from gnomon.training.weights import TensorFile, library_of, read_tensors

ENDING = ".safetensors"
SIDE = 224  # pixels of the pictures that backbones are built for while their names are compared


@dataclass(frozen=True)
class Converted:
    """What was written."""

    path: Path
    tensors: int
    numbers: int
    model: str | None  # the architecture whose weights they are; None if it is none that gnomon has
    library: str  # whose names the tensors have
    left_out: tuple[str, ...]  # what else the file held
    sha256: str  # of the file that was read


def convert_weights(source: str | Path, out: str | Path) -> Converted:
    """Write the tensors of a .pth, .pt, .bin or .safetensors file as safetensors, under the names they have.

    The file is read as tensors: nothing in it is executed. Raises UsageError, ArtefactError, MachineError.
    """
    out = Path(out)
    if out.suffix != ENDING:
        raise UsageError(
            f"{out.name} is not a name that convert can write weights to.",
            fix=f"end it in {ENDING}: {out.stem}{ENDING}.",
        )
    if out.exists():
        raise UsageError("exists already; nothing is overwritten.", where=str(out), fix="give another name.")
    file = read_tensors(Path(source))
    model, library = architecture_of(file)
    write_bytes(out, tensors_to_bytes(dict(sorted(file.tensors.items()))))
    numbers = sum(tensor.numel() for tensor in file.tensors.values())
    return Converted(out, len(file.tensors), numbers, model, library, file.left_out, file.sha256)


def architecture_of(file: TensorFile) -> tuple[str | None, str]:
    """The model whose weights these are and whose names they have; (None, "") if it is none of gnomon's."""
    inputs = PictureInputs(3, SIDE, SIDE, (0.5,) * 3, (0.5,) * 3)
    count = sum(not re.search(r"num_batches_tracked$", name) for name in file.tensors)
    for name in found.family_names():
        family = found.family(name)
        if "features" not in family.gives:
            continue
        with torch.device("meta"):
            model = family.build(Wanted(name, inputs, family.settings(), (), 1))
        if len(model.state_dict()) < count // 2:  # far fewer tensors: it would leave most of them out
            continue
        library = library_of(model, file, family, name)
        if library is not None:
            return name, library
    return None, ""
