"""L-BFGS, one evaluation a step; all that it remembers is in buffers, so that it is saved like any other state."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

LEAST_CURVATURE = 1e-10  # of a step: below it tells nothing about the second derivative


@final
class Lbfgs(nn.Module):
    """Limited-memory BFGS on a flat vector of at most `size` numbers: it remembers `history` steps.

    A step equals one of torch.optim.LBFGS with max_iter=1, no line search and no tolerances, which keeps its state in
    lists of tensors that grow, and imports a compiler for a second. Where the first steps find no positive curvature,
    torch takes the whole gradient as the next step, and this one twice the first. Source: Nocedal 1980.
    """

    moves: Tensor  # (history, size): what was stepped
    changes: Tensor  # (history, size): how much the gradient changed by it
    held: Tensor  # pairs stored since the beginning; pair i is at i % history
    made: Tensor  # steps
    gradient: Tensor  # (size,) at the last step
    move: Tensor  # (size,) the last step
    scale: Tensor  # of the first guess of the inverse of the second derivative

    def __init__(self, size: int, history: int) -> None:
        super().__init__()
        self.history = history
        for name in ("moves", "changes"):
            self.register_buffer(name, torch.zeros(history, size))
        for name in ("gradient", "move"):
            self.register_buffer(name, torch.zeros(size))
        for name in ("held", "made"):
            self.register_buffer(name, torch.zeros((), dtype=torch.int64))
        self.register_buffer("scale", torch.ones(()))

    def forget(self) -> None:
        """Begin again: on another vector, or where what is remembered misleads."""
        self.held.zero_()
        self.made.zero_()
        self.scale.fill_(1.0)

    @torch.no_grad()
    def step(self, x: Tensor, gradient: Tensor, rate: float) -> None:
        """Change `x` (n,), n <= size, in place. `gradient` (n,) is that at `x`."""
        last, move = self.gradient[: len(x)], self.move[: len(x)]
        if int(self.made):
            self._remember(gradient - last, move)
        if int(self.held):
            torch.mul(self._direction(gradient), rate, out=move)
        else:
            first = rate * min(1.0, 1.0 / max(float(gradient.abs().sum()), 1e-30))
            torch.mul(gradient, -first * 2.0 ** int(self.made), out=move)
        last.copy_(gradient)
        self.made += 1
        x += move

    def _remember(self, change: Tensor, move: Tensor) -> None:
        curvature = change.dot(move)
        if float(curvature) > LEAST_CURVATURE:
            place = int(self.held) % self.history
            self.moves[place, : len(move)], self.changes[place, : len(move)] = move, change
            self.held += 1
            self.scale.copy_(curvature / change.dot(change))

    def _direction(self, gradient: Tensor) -> Tensor:
        """Minus the estimated inverse of the second derivative times the gradient. Nocedal & Wright, algorithm 7.4."""
        held, size = int(self.held), len(gradient)
        pairs = [
            (self.moves[i % self.history, :size], self.changes[i % self.history, :size])
            for i in range(max(0, held - self.history), held)
        ]
        inverse = [1.0 / change.dot(move) for move, change in pairs]
        direction, along = -gradient, list[Tensor]()
        for (move, change), one in zip(reversed(pairs), reversed(inverse), strict=True):
            along.append(move.dot(direction) * one)
            direction -= along[-1] * change
        direction *= self.scale
        for (move, change), one, part in zip(pairs, inverse, reversed(along), strict=True):
            direction += (part - change.dot(direction) * one) * move
        return direction
