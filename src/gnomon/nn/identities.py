"""Identities: the layer that makes unit vectors of examples, and the losses that bring those of one identity together.

Letters: B examples of a batch, K identities of the training split, D numbers of a vector.
"""

from __future__ import annotations

from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional

Compared = Literal["difference", "chi-square"]
Mining = Literal["random", "hard", "semi-hard"]
Margin = Literal["cosface", "arcface"]

SMALLEST = 1e-6  # below this an angle or a denominator has no gradient worth having


@final
class IdentityLayer(nn.Module):
    """The last layer: features to vectors of length 1, (B, D); beside it what compares them.

    `people` (K, D) are the directions of the training identities, where the loss tells them apart; `weigh` turns what
    two vectors differ by into one number, where the comparison is learned. `passes_on`: the vectors start as the
    features themselves.
    """

    def __init__(
        self, project: nn.Module, width: int, num_people: int, compared: Compared | None, *, passes_on: bool = False
    ) -> None:
        super().__init__()
        self.project, self.passes_on = project, passes_on
        self.people = nn.Linear(width, num_people, bias=False) if num_people else None
        self.weigh = nn.Linear(width, 1) if compared is not None else None
        self.compared = compared

    def forward(self, features: Tensor) -> Tensor:
        return functional.normalize(self.project(features), dim=1)

    def start(self, _generator: torch.Generator) -> None:
        """A comparison begins with all parts of the difference counting alike, `passes_on` with the features."""
        if self.passes_on and isinstance(self.project, nn.Linear):
            nn.init.eye_(self.project.weight)
            nn.init.zeros_(self.project.bias)
        if self.weigh is not None:
            with torch.no_grad():
                self.weigh.weight.fill_(1.0)
                self.weigh.bias.zero_()

    def cosines(self, vectors: Tensor) -> Tensor:
        """(B, K): of each vector with each training identity."""
        assert self.people is not None
        return functional.linear(functional.normalize(vectors, dim=1), functional.normalize(self.people.weight, dim=1))

    def distances(self, left: Tensor, right: Tensor) -> Tensor:
        """(...): of vectors (..., D). The squared distance, 0 to 4, or the learned one, which may be negative."""
        if self.weigh is None:
            return (left - right).square().sum(dim=-1)
        found: Tensor = self.weigh(parts_of(left, right, self.compared))[..., 0]
        return found


def parts_of(left: Tensor, right: Tensor, compared: Compared | None) -> Tensor:
    """(..., D): |f - f'|, or (f - f')² / (|f| + |f'|). Source: Taigman et al. 2014, section 4 (chi-square)."""
    if compared == "chi-square":
        return (left - right).square() / (left.abs() + right.abs() + SMALLEST)
    return (left - right).abs()


def margin_softmax(cosines: Tensor, identity: Tensor, *, kind: Margin, margin: float, scale: float) -> Tensor:
    """(B,): cross entropy of `scale` times the cosines (B, K), that of the true identity made smaller by a margin.

    cosface: cos θ - m; arcface: cos(θ + m), and beyond θ = π - m, where it would rise again, the line cos θ - m sin m.
    Source: Wang et al. 2018, equation 4 (cosface); Deng et al. 2019, equation 3 (arcface), with its published code's
    line.
    """
    own = cosines.gather(1, identity[:, None])
    if kind == "cosface":
        moved = own - margin
    else:
        angle = own.clamp(-1 + SMALLEST, 1 - SMALLEST).acos()
        is_usual = angle + margin <= torch.pi
        moved = torch.where(is_usual, (angle + margin).cos(), own - margin * torch.tensor(margin).sin().item())
    logits = scale * cosines.scatter(1, identity[:, None], moved)
    return functional.cross_entropy(logits, identity, reduction="none")


def triplet_losses(distances: Tensor, identity: Tensor, *, margin: float, mining: Mining) -> Tensor:
    """(B,): the mean over an anchor's triplets of max(0, d(a, p) - d(a, n) + margin); distances (B, B), squared.

    random: for each positive one negative, by its place in the batch, which was drawn at random. hard: the farthest
    positive and the nearest negative. semi-hard: for each positive, the nearest negative that is farther away than it;
    if there is none, the farthest negative. An anchor without a positive or without a negative has the loss 0.
    Source: Schroff et al. 2015, section 3.2 (semi-hard); Hermans et al. 2017, section 2 (hard, in the batch).
    """
    size = len(identity)
    is_same = identity[:, None] == identity[None, :]
    is_positive = is_same & ~torch.eye(size, dtype=torch.bool, device=identity.device)
    is_negative = ~is_same
    if mining == "hard":
        farthest = distances.masked_fill(~is_positive, -torch.inf).amax(dim=1)
        nearest = distances.masked_fill(~is_negative, torch.inf).amin(dim=1)
        found = (farthest - nearest + margin).relu()
        return torch.where(is_positive.any(dim=1) & is_negative.any(dim=1), found, torch.zeros_like(found))
    chosen = _random_negatives(is_negative) if mining == "random" else _semi_hard(distances.detach(), is_negative)
    negative = distances.gather(1, chosen)  # (B, B): of anchor a and positive p
    hinge = (distances - negative + margin).relu()
    counts = is_positive & is_negative.any(dim=1, keepdim=True)
    return torch.where(counts, hinge, torch.zeros_like(hinge)).sum(dim=1) / counts.sum(dim=1).clamp_min(1)


def _random_negatives(is_negative: Tensor) -> Tensor:
    """(B, B): for anchor a and positive p a negative: the one at place p, counted round, of a's negatives."""
    size = len(is_negative)
    order = torch.argsort(is_negative.to(torch.int8), dim=1, descending=True, stable=True)  # negatives come first
    place = torch.arange(size, device=is_negative.device)[None, :] % is_negative.sum(dim=1, keepdim=True).clamp_min(1)
    return order.gather(1, place)


def _semi_hard(distances: Tensor, is_negative: Tensor) -> Tensor:
    """(B, B): for anchor a and positive p the nearest negative farther than p, else the farthest negative."""
    size = len(distances)
    to_negatives = distances.masked_fill(~is_negative, torch.inf).sort(dim=1)  # (B, B): negatives, then infinite
    count = is_negative.sum(dim=1, keepdim=True)
    place = torch.searchsorted(to_negatives.values.contiguous(), distances.contiguous(), right=True)
    place = torch.minimum(place, (count - 1).clamp_min(0).expand(size, size))
    return to_negatives.indices.gather(1, place)


def pair_losses(distances: Tensor, identity: Tensor) -> Tensor:
    """(B,): of all pairs of a batch, the cross entropy of "same" with the logit -d; distances (B, B).

    Of each example, its pairs with others of its identity and those with the rest count alike.
    """
    is_same = identity[:, None] == identity[None, :]
    is_other = ~torch.eye(len(identity), dtype=torch.bool, device=identity.device)
    losses = functional.softplus(torch.where(is_same, distances, -distances))
    parts = [
        torch.where(kind, losses, torch.zeros_like(losses)).sum(dim=1) / kind.sum(dim=1).clamp_min(1)
        for kind in (is_same & is_other, ~is_same)
    ]
    return (parts[0] + parts[1]) / 2


def contrastive_losses(distances: Tensor, is_same: Tensor) -> Tensor:
    """(B,): d² of pairs of one identity, max(0, 1 - d)² of two; from squared distances. Hadsell et al. 2006."""
    apart = distances.clamp_min(0)
    return torch.where(is_same, apart, (1 - (apart + SMALLEST**2).sqrt()).relu().square())
