"""Recurrent layers: plain, GRU in three forms, LSTM with and without peepholes; deep, in both directions, padding.

The equations are in reference/recurrent.py. Where torch's fused kernels compute them they are used: "rnn", "gru" (the
form of torch and cuDNN) and "lstm"; "gru-lectures", "gru-cho" and "lstm-peephole" run step by step.
"""

from __future__ import annotations

from typing import Any, Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional

Cell = Literal["rnn", "gru", "gru-lectures", "gru-cho", "lstm", "lstm-peephole"]
Stepped = Literal["gru-lectures", "gru-cho", "lstm-peephole"]
State = tuple[Any, ...]  # one per layer: (1, B, H), of an LSTM a pair of them

FUSED = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
NUM_GATES = {"gru-lectures": 3, "gru-cho": 3, "lstm-peephole": 4}


@final
class Recurrent(nn.Module):
    """(B, T, D) -> (B, T, H), or (B, T, 2 H) in both directions: one or several recurrent layers, dropout between them.

    With `truncate`, gradients go back through at most so many steps: states are carried on, without their history.
    """

    def __init__(
        self, num_inputs: int, hidden: int, *, cell: Cell = "lstm", num_layers: int = 1, bidirectional: bool = False,
        dropout: float = 0.0, truncate: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.hidden, self.bidirectional, self.truncate = hidden, bidirectional, truncate
        self.num_features = 2 * hidden if bidirectional else hidden
        sizes = [num_inputs, *[self.num_features] * (num_layers - 1)]
        self.onward = nn.ModuleList(_one_way(cell, size, hidden) for size in sizes)
        self.back = nn.ModuleList(_one_way(cell, size, hidden) for size in sizes if bidirectional)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor | None = None, state: State | None = None) -> tuple[Tensor, State]:
        """The outputs at each step, and the state after the last one, with which the next part of a sequence goes on.

        `lengths` (B,): steps of each sequence; the rest is padding, which changes nothing, and where outputs are 0.
        A state is given and returned only for sequences of one length in one direction: otherwise there is no common
        last step, and it is empty. Raises ValueError for a state that is given all the same.
        """
        carries = lengths is None and not self.bidirectional
        if state and not carries:
            raise ValueError("a state is carried on in one direction, through sequences of one length.")
        states = []
        for number, layer in enumerate(self.onward):
            if number:
                x = self.dropout(x)
            outputs, last = self._through(layer, x, state[number] if state else None)
            if self.bidirectional:
                turned, _ = self._through(self.back[number], turn(x, lengths), None)
                outputs = torch.cat([outputs, turn(turned, lengths)], dim=2)
            states.append(last)
            x = outputs
        if lengths is not None:
            x = x.masked_fill(~real_steps(lengths, x.shape[1])[..., None], 0)
        return x, tuple(states) if carries else ()

    def last(self, outputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(B, H) or (B, 2 H): what each direction gives after it has seen a whole sequence; 0 for an empty one."""
        end = torch.full((len(outputs),), outputs.shape[1], device=outputs.device) if lengths is None else lengths
        rows = torch.arange(len(outputs), device=outputs.device)
        onward = outputs[rows, (end - 1).clamp_min(0), : self.hidden]
        return torch.cat([onward, outputs[:, 0, self.hidden :]], dim=1)

    def _through(self, layer: nn.Module, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One direction of one layer. Padding is not packed away: on CPU packed sequences take three times as long."""
        parts: list[Tensor] = []
        for part in x.split(self.truncate or max(1, x.shape[1]), dim=1):
            outputs, state = layer(part, detached(state) if parts else state)
            parts.append(outputs)
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1), state


@final
class SteppedCell(nn.Module):
    """(B, T, D) -> (B, T, H) and the last state, as torch's recurrent layers: a cell that they do not have.

    Parameters have the names and the order of gates of torch's: reset, update, new of a GRU; input, forget, new, output
    of an LSTM. In "gru-cho" the update gate keeps the old state, in "gru-lectures" it admits the new one.
    Source: reference/recurrent.py.
    """

    def __init__(self, cell: Stepped, num_inputs: int, hidden_size: int) -> None:
        super().__init__()
        self.cell, self.hidden_size = cell, hidden_size
        rows, bound = NUM_GATES[cell] * hidden_size, hidden_size**-0.5
        self.weight_ih_l0 = nn.Parameter(torch.empty(rows, num_inputs).uniform_(-bound, bound))
        self.weight_hh_l0 = nn.Parameter(torch.empty(rows, hidden_size).uniform_(-bound, bound))
        self.bias_ih_l0 = nn.Parameter(torch.zeros(rows))
        self.peephole_l0 = nn.Parameter(torch.zeros(3, hidden_size)) if cell == "lstm-peephole" else None

    @property
    def is_lstm(self) -> bool:
        return self.cell == "lstm-peephole"

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        first = x.new_zeros(x.shape[0], self.hidden_size)
        if self.is_lstm:
            a, c = (first, first) if state is None else (one[0] for one in state)
        else:
            a, c = (first if state is None else state[0]), first
        inputs = functional.linear(x, self.weight_ih_l0, self.bias_ih_l0)  # (B, T, gates * H), of all steps at once
        outputs = []
        for step in inputs.unbind(dim=1):
            a, c = self._lstm(step, a, c) if self.is_lstm else (self._gru(step, a), c)
            outputs.append(a)
        found = torch.stack(outputs, dim=1)
        return found, (a[None], c[None]) if self.is_lstm else a[None]

    def _gru(self, inputs: Tensor, a: Tensor) -> Tensor:
        gates, new = self.weight_hh_l0.split([2 * self.hidden_size, self.hidden_size])
        from_inputs, for_new = inputs.split([2 * self.hidden_size, self.hidden_size], dim=1)
        reset, update = (from_inputs + a @ gates.T).sigmoid().chunk(2, dim=1)
        candidate = (for_new + (reset * a) @ new.T).tanh()
        kept, added = (update, 1 - update) if self.cell == "gru-cho" else (1 - update, update)
        return kept * a + added * candidate

    def _lstm(self, inputs: Tensor, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        assert self.peephole_l0 is not None
        admit, forget, new, show = (inputs + a @ self.weight_hh_l0.T).chunk(4, dim=1)
        for_admit, for_forget, for_show = self.peephole_l0
        c = (admit + for_admit * c).sigmoid() * new.tanh() + (forget + for_forget * c).sigmoid() * c
        return (show + for_show * c).sigmoid() * c.tanh(), c


def _one_way(cell: Cell, num_inputs: int, hidden: int) -> nn.Module:
    if cell in FUSED:
        return FUSED[cell](num_inputs, hidden, batch_first=True)
    return SteppedCell(cell, num_inputs, hidden)  # type: ignore[arg-type]


def detached(state: Any) -> Any:
    """The state without its history: back-propagation through time ends here."""
    if state is None:
        return None
    return state.detach() if isinstance(state, Tensor) else tuple(detached(one) for one in state)


def real_steps(lengths: Tensor, steps: int) -> Tensor:
    """(B,) -> (B, T) bool: which steps are no padding."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def turn(x: Tensor, lengths: Tensor | None) -> Tensor:
    """(B, T, D) with each sequence in the reverse order; its padding stays at the end."""
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device)
    places = torch.where(real_steps(lengths, x.shape[1]), lengths[:, None] - 1 - steps, steps)  # (B, T)
    return x.gather(1, places[..., None].expand_as(x))
