"""The embedded categories of a table in one look-up and one addition of gradients, however many columns there are."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, nn


@final
class EmbeddedColumns:
    """What a list of embeddings, one for each column of codes, gives side by side, and its gradients.

    In flat parameters the embeddings of a table lie one after the other, so each component of each column is a place
    that its code points to. Called one by one, hundreds of them cost more than the dense layers behind them. Sums
    run over the batch in its order, as autograd's do.
    """

    def __init__(self, embeddings: list[nn.Embedding], weights: Tensor, gradients: Tensor) -> None:
        self.weights, self.gradients = weights, gradients  # (sum of size x width): views into the flat buffers
        sizes = torch.tensor([embedding.weight.numel() for embedding in embeddings])
        widths = torch.tensor([embedding.embedding_dim for embedding in embeddings])
        ends = widths.cumsum(0)
        self.width = int(ends[-1])  # E: components of all columns
        self.column = torch.arange(len(embeddings)).repeat_interleave(widths)  # (E,) of the codes
        self.stride = widths[self.column]  # (E,) from the component of one category to that of the next
        component = torch.arange(self.width) - (ends - widths)[self.column]
        self.first = (sizes.cumsum(0) - sizes)[self.column] + component  # (E,) its place for code 0
        self.places: Tensor | None = None  # (B·E,) of the last forward pass

    @staticmethod
    def of(module: nn.Module) -> EmbeddedColumns | None:
        """None if `module` is anything but a list of plain embeddings that lie one after the other."""
        embeddings = [one for one in module.children() if type(one) is nn.Embedding and _is_plain(one)]
        if not embeddings or len(embeddings) != len(list(module.children())):
            return None
        weights, gradients = _joined(embeddings, lambda e: e.weight), _joined(embeddings, lambda e: e.weight.grad)
        return None if weights is None or gradients is None else EmbeddedColumns(embeddings, weights, gradients)

    def __call__(self, codes: Tensor) -> Tensor:
        """(B, C) int64 -> (B, E)."""
        places = codes.index_select(1, self.column).mul_(self.stride).add_(self.first)
        self.places = places.flatten()
        return self.weights.index_select(0, self.places).view(places.shape)

    def backward(self, d: Tensor) -> None:
        """Add the gradients of the weights, from that of what was given (B, E)."""
        assert self.places is not None  # set in the forward pass
        self.gradients.scatter_add_(0, self.places, d.flatten())


def _is_plain(embedding: nn.Embedding) -> bool:
    return embedding.padding_idx is None and embedding.max_norm is None and not embedding.scale_grad_by_freq


def _joined(embeddings: list[nn.Embedding], of: Callable[[nn.Embedding], Tensor | None]) -> Tensor | None:
    """One view (sum of sizes) of what lies one after the other in memory; None where it does not."""
    parts = [of(embedding) for embedding in embeddings]
    tensors = [part for part in parts if part is not None]
    if len(tensors) < len(parts) or not all(one.is_contiguous() for one in tensors):
        return None
    for one, other in itertools.pairwise(tensors):
        if other.data_ptr() != one.data_ptr() + one.numel() * one.element_size():
            return None
    first = tensors[0].detach()
    if first.untyped_storage().data_ptr() != tensors[-1].untyped_storage().data_ptr():
        return None
    return torch.as_strided(first, (sum(one.numel() for one in tensors),), (1,), first.storage_offset())
