"""Receptive fields: which pixels a place of a feature map can see, from the operations of a forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

Pair = tuple[int, int]  # down, across

# Besides pointwise operations: those that give each place what its inputs have there. What normalises by the whole
# map (group norm) is among them, see `Field`.
SAME_PLACE = frozenset(
    {"cat", "clone", "detach", "alias", "_to_copy", "native_dropout", "native_batch_norm", "native_group_norm"}
    | {"_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm", "contiguous"}
)
PADS = frozenset({"constant_pad_nd", "reflection_pad2d", "replication_pad2d"})
MAX_POOLS = frozenset({"max_pool2d", "max_pool2d_with_indices", "mkldnn_max_pool2d"})


@dataclass(frozen=True)
class Field:
    """Place (i, j) of a map sees the rows low[0] + stride[0] * i to high[0] + stride[0] * i, and columns likewise.

    Pixels are counted from the top left, the ends are included, and may lie outside the picture. What sees the whole
    picture but only scales a map, the gates of squeeze and excitation or the statistics of group norm, is not counted.
    """

    stride: Pair
    low: Pair
    high: Pair

    @property
    def size(self) -> Pair:
        """Pixels down and across."""
        return self.high[0] - self.low[0] + 1, self.high[1] - self.low[1] + 1

    def window(self, row: int, column: int) -> tuple[int, int, int, int]:
        """Top, left, bottom, right (both excluded) of what a place sees; not clipped to the picture."""
        top, left = (low + stride * at for low, stride, at in zip(self.low, self.stride, (row, column), strict=True))
        return top, left, top + self.size[0], left + self.size[1]


@contextmanager
def tracing(picture: Tensor) -> Iterator[Callable[[Tensor], Field | None]]:
    """Inside, every operation is followed from `picture` (B, C, H, W) on; what comes tells the field of a tensor.

    None: it does not come from the picture, or each of its places sees all of it. To be used without gradients.
    """
    fields: Any = WeakTensorKeyDictionary()
    fields[picture] = Field((1, 1), (0, 0), (0, 0))
    with _Tracing(fields):
        yield fields.get


class _Tracing(TorchDispatchMode):
    """Every operation gives its result the field that follows from those of its inputs."""

    def __init__(self, fields: Any) -> None:
        super().__init__()
        self.fields = fields

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        first = result[0] if isinstance(result, tuple | list) and result else result
        if isinstance(first, Tensor) and first.dim() == 4:
            found = self._field(func, args, first)
            if found is not None:
                self.fields[first] = found
        return result

    def _field(self, func: Any, args: tuple[Any, ...], result: Tensor) -> Field | None:
        name = func.overloadpacket.__name__.rstrip("_")
        if torch.Tag.pointwise in func.tags or name in SAME_PLACE:
            return self._union(args, result)
        before = self.fields.get(args[0]) if args and isinstance(args[0], Tensor) else None
        if before is None:
            return None
        if name == "convolution":
            weight, stride, padding, dilation, is_transposed = args[1], *args[3:7]
            if is_transposed:
                return _transposed(before, weight.shape[2:], stride, padding) if set(dilation) == {1} else None
            return _sliding(before, weight.shape[2:], stride, padding, dilation)
        if name.startswith("upsample_nearest2d"):
            times = [after / was for after, was in zip(result.shape[2:], args[0].shape[2:], strict=True)]
            steps = [round(one) for one in times]
            return _transposed(before, steps, steps, (0, 0)) if steps == times else None
        if name in MAX_POOLS or name == "avg_pool2d":
            size, *rest = args[1:]
            stride = rest[0] if rest and rest[0] else size
            padding = rest[1] if len(rest) > 1 else 0
            dilation = rest[2] if len(rest) > 2 and name in MAX_POOLS else 1
            return _sliding(before, size, stride, padding, dilation)
        if name in PADS:  # left, right, top, bottom, ...
            left, top = args[1][0], args[1][2] if len(args[1]) > 2 else 0
            return _sliding(before, 1, 1, (top, left), 1)
        if name == "slice":
            return _sliced(before, *args[1:])
        return None

    def _union(self, args: tuple[Any, ...], result: Tensor) -> Field | None:
        """Of those inputs whose places are those of the result: not of what is spread over all places."""
        flat = [each for one in args for each in (one if isinstance(one, tuple | list) else (one,))]
        seen = [
            self.fields[each]
            for each in flat
            if isinstance(each, Tensor) and each.dim() == 4 and each.shape[2:] == result.shape[2:]
            and each in self.fields
        ]  # fmt: skip
        if not seen or any(one.stride != seen[0].stride for one in seen):
            return None
        low = min(one.low[0] for one in seen), min(one.low[1] for one in seen)
        high = max(one.high[0] for one in seen), max(one.high[1] for one in seen)
        return Field(seen[0].stride, low, high)


def _sliding(before: Field, size: Any, stride: Any, padding: Any, dilation: Any) -> Field:
    """After a filter or a pool, of which output i takes the inputs i * stride - padding + t * dilation, t < size.

    Source: Araujo et al. 2019, "Computing Receptive Fields of Convolutional Neural Networks", section 2.
    """
    size, stride, padding, dilation = (_pair(one) for one in (size, stride, padding, dilation))
    low = [before.low[a] - before.stride[a] * padding[a] for a in (0, 1)]
    reach = [before.stride[a] * (size[a] - 1) * dilation[a] - before.stride[a] * padding[a] for a in (0, 1)]
    high = [before.high[a] + reach[a] for a in (0, 1)]
    steps = before.stride[0] * stride[0], before.stride[1] * stride[1]
    return Field(steps, (low[0], low[1]), (high[0], high[1]))


def _transposed(before: Field, size: Any, stride: Any, padding: Any) -> Field | None:
    """After a transposed filter: output j sees the inputs i with i * stride - padding + t = j for some t < size.

    Neighbours see different inputs; the field is one that holds for all of them. None: between whole pixels.
    """
    size, stride, padding = (_pair(one) for one in (size, stride, padding))
    if any(before.stride[a] % stride[a] for a in (0, 1)):
        return None
    steps = before.stride[0] // stride[0], before.stride[1] // stride[1]
    low = [before.low[a] + steps[a] * (padding[a] - size[a] + 1) for a in (0, 1)]
    high = [before.high[a] + steps[a] * padding[a] for a in (0, 1)]
    return Field(steps, (low[0], low[1]), (high[0], high[1]))


def _sliced(before: Field, dim: int = 0, start: int | None = None, _end: Any = None, step: int = 1) -> Field | None:
    """After x[:, :, start:end:step]; a slice of examples or channels changes nothing."""
    axis = dim % 4 - 2
    if axis < 0:
        return before
    if start is not None and start < 0:
        return None
    shift, steps = [0, 0], [1, 1]
    shift[axis], steps[axis] = start or 0, step
    return _sliding(before, 1, steps, (-shift[0], -shift[1]), 1)


def _pair(value: Any) -> Pair:
    both = (value, value) if isinstance(value, int) else tuple(value)
    return (both[0], both[-1])
