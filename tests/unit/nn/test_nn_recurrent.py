"""Recurrent layers: the equations of the reference, forward and backward; padding, directions, carried states."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gnomon.nn.initialise import initialise
from gnomon.nn.recurrent import NUM_GATES, Recurrent, SteppedCell, turn
from gnomon.reference import recurrent as reference

CELLS = ("rnn", "gru", "gru-lectures", "gru-cho", "lstm", "lstm-peephole")
STEPS = {"rnn": "rnn", "gru": "gru_torch", "gru-lectures": "gru", "gru-cho": "gru_cho", "lstm": "lstm",
         "lstm-peephole": "lstm"}  # fmt: skip
GATES = {"rnn": "a", "gru": "run", "lstm": "ufno"}  # in the order in which torch stores them


def drawn(layer: nn.Module) -> nn.Module:
    """In float64, every parameter from N(0, 1/4)."""
    layer.double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return layer


def as_reference(cell: str, value) -> dict[str, np.ndarray]:
    """The parameters of a layer, or their gradients, by the reference's names. `value` gives either as an array."""
    kind, found = cell.partition("-")[0], {}
    gates = GATES[kind]
    of_state, of_inputs, bias = (
        np.split(value(name), len(gates)) for name in ("weight_hh_l0", "weight_ih_l0", "bias_ih_l0")
    )
    for gate, a, x, b in zip(gates, of_state, of_inputs, bias, strict=True):
        found[f"W_{gate}"], found[f"b_{gate}"] = np.concatenate([a, x], axis=1), b
    if cell == "gru":
        found["c_n"] = np.split(value("bias_hh_l0"), 3)[2]
    if cell == "lstm-peephole":
        found |= dict(zip(("p_u", "p_f", "p_o"), value("peephole_l0"), strict=True))
    return found


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_equals_the_reference_forward_and_backward(cell):
    net = drawn(Recurrent(3, 4, cell=cell))
    layer, x = net.onward[0], torch.randn(2, 6, 3, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():  # torch has two biases for each gate; their sum is what counts, but for a GRU's candidate
        if hasattr(layer, "bias_hh_l0"):
            layer.bias_hh_l0[: 8 if cell == "gru" else None] = 0
    first = [torch.randn(1, 2, 4, dtype=torch.float64, requires_grad=True) for _ in range(1 + ("lstm" in cell))]
    outputs, (last,) = net(x, state=(tuple(first) if len(first) > 1 else first[0],))
    last = last if isinstance(last, tuple) else (last,)
    weights = [torch.randn_like(one) for one in (outputs, *last)]
    sum((one * weight).sum() for one, weight in zip((outputs, *last), weights, strict=True)).backward()

    name = STEPS[cell]
    P = as_reference(cell, lambda one: getattr(layer, one).detach().numpy())
    step, step_backward = getattr(reference, f"{name}_step"), getattr(reference, f"{name}_step_backward")
    A, state, caches = reference.unroll(step, x.detach().numpy(), tuple(one[0].detach().numpy() for one in first), P)
    assert_allclose(outputs.detach(), A, rtol=1e-10, atol=1e-12)
    for ours, theirs in zip(last, state, strict=True):
        assert_allclose(ours[0].detach(), theirs, rtol=1e-10, atol=1e-12)
    dX, dfirst, dP = reference.unroll_backward(
        step_backward, weights[0].numpy(), tuple(one[0].numpy() for one in weights[1:]), caches, P
    )
    assert_allclose(x.grad, dX, rtol=1e-9, atol=1e-12)
    for ours, theirs in zip(first, dfirst, strict=True):
        assert_allclose(ours.grad[0], theirs, rtol=1e-9, atol=1e-12)
    for key, gradient in as_reference(cell, lambda one: getattr(layer, one).grad.numpy()).items():
        assert_allclose(gradient, dP[key], rtol=1e-9, atol=1e-12, err_msg=key)


def test_the_lectures_gru_is_chos_with_the_update_gate_negated_and_torchs_is_another_function():
    lectures, cho = drawn(SteppedCell("gru-lectures", 3, 4)), drawn(SteppedCell("gru-cho", 3, 4))
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    assert (lectures(x)[0] - cho(x)[0]).abs().max() > 0.01
    with torch.no_grad():
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"):
            getattr(cho, name)[4:8] *= -1
    assert_allclose(lectures(x)[0].detach(), cho(x)[0].detach(), rtol=1e-10)
    fused = nn.GRU(3, 4, batch_first=True).double()
    with torch.no_grad():
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"):
            getattr(fused, name).copy_(getattr(cho, name))
        fused.bias_hh_l0.zero_()
    assert (fused(x)[0] - cho(x)[0]).abs().max() > 0.01


def test_without_peepholes_a_peephole_lstm_is_torchs():
    stepped, fused = drawn(SteppedCell("lstm-peephole", 3, 4)), nn.LSTM(3, 4, batch_first=True).double()
    with torch.no_grad():
        stepped.peephole_l0.zero_()
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"):
            getattr(fused, name).copy_(getattr(stepped, name))
        fused.bias_hh_l0.zero_()
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    assert_allclose(stepped(x)[0].detach(), fused(x)[0].detach(), rtol=1e-10)


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_two_layers_in_both_directions_equal_torchs_on_packed_sequences(kind):
    net = drawn(Recurrent(3, 4, cell=kind, num_layers=2, bidirectional=True))
    torchs = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[kind](
        3, 4, num_layers=2, bidirectional=True, batch_first=True
    ).double()
    with torch.no_grad():
        for number in range(2):
            for layer, end in ((net.onward[number], ""), (net.back[number], "_reverse")):
                for name, parameter in layer.named_parameters():
                    getattr(torchs, name.replace("l0", f"l{number}{end}")).copy_(parameter)
    x, lengths = torch.randn(3, 7, 3, dtype=torch.float64), torch.tensor([4, 7, 1])
    packed, last = torchs(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
    theirs = pad_packed_sequence(packed, batch_first=True)[0]
    outputs, state = net(x, lengths)
    assert_allclose(outputs.detach(), theirs.detach(), rtol=1e-10, atol=1e-12)
    last = last[0] if kind == "lstm" else last
    assert_allclose(net.last(outputs, lengths).detach(), torch.cat([last[2], last[3]], dim=1).detach(), rtol=1e-10)
    assert state == ()


@pytest.mark.parametrize("cell", CELLS)
@settings(max_examples=6, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=4),
    more=st.integers(0, 4),
    both=st.booleans(),
    layers=st.integers(1, 2),
)
def test_padding_changes_neither_outputs_nor_gradients(cell, lengths, more, both, layers):
    net = drawn(Recurrent(2, 3, cell=cell, bidirectional=both, num_layers=layers))
    sizes = torch.tensor(lengths)
    x = torch.randn(len(lengths), max(1, int(sizes.max())), 2, dtype=torch.float64)
    odd = torch.cat([x, torch.full((len(lengths), more, 2), 1e3, dtype=torch.float64)], dim=1)
    for row, length in enumerate(lengths):
        odd[row, length:] = torch.randn(odd.shape[1] - length, 2, dtype=torch.float64) * 1e3
    gradients = []
    for given_x in (x, odd):
        net.zero_grad()
        outputs, _ = net(given_x, sizes)
        last = net.last(outputs, sizes)
        (outputs.sum() + last.square().sum()).backward()
        gradients.append([parameter.grad.clone() for parameter in net.parameters()])
        for row, length in enumerate(lengths):
            assert not outputs[row, length:].any()
            if length:
                alone, _ = net(x[row : row + 1, :length])
                torch.testing.assert_close(outputs[row, :length], alone[0])
                torch.testing.assert_close(last[row : row + 1], net.last(alone))
            else:
                assert not last[row].any()
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("cell", CELLS)
def test_a_carried_state_goes_on_where_the_sequence_was_cut(cell):
    net, x = drawn(Recurrent(2, 3, cell=cell, num_layers=2)), torch.randn(2, 9, 2, dtype=torch.float64)
    whole, _ = net(x)
    first, state = net(x[:, :4])
    second, _ = net(x[:, 4:], state=state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)


@pytest.mark.parametrize("cell", ["gru", "lstm-peephole"])
def test_truncated_back_propagation_stops_where_it_says_and_is_exact_on_short_sequences(cell):
    net, x = drawn(Recurrent(2, 3, cell=cell)), torch.randn(2, 9, 2, dtype=torch.float64, requires_grad=True)

    def found(truncate, steps):
        net.truncate = truncate
        x.grad = None
        net.zero_grad()
        outputs, _ = net(x[:, :steps])
        outputs[:, -1].sum().backward()
        return outputs, x.grad.clone(), [parameter.grad.clone() for parameter in net.parameters()]

    for one, other in zip(found(4, 4), found(None, 4), strict=True):
        torch.testing.assert_close(one, other)  # no longer than that: the whole gradient
    outputs, gradient, _ = found(4, 9)
    whole, all_of_it, _ = found(None, 9)
    torch.testing.assert_close(outputs, whole)  # the state is carried on
    assert not gradient[:, :8].any()  # of the third part there is one step
    assert all_of_it[:, 0].all()


def test_a_state_where_there_is_no_common_last_step_is_refused():
    for net, lengths in ((Recurrent(2, 3, bidirectional=True), None), (Recurrent(2, 3), torch.tensor([1, 2]))):
        with pytest.raises(ValueError, match="in one direction, through sequences of one length"):
            net(torch.zeros(2, 2, 2), lengths, state=((torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)),))


def test_turning_twice_is_nothing_and_turns_each_sequence_within_its_length():
    x, lengths = torch.arange(8.0).reshape(2, 4, 1), torch.tensor([3, 1])
    assert turn(x, lengths)[..., 0].tolist() == [[2, 1, 0, 3], [4, 5, 6, 7]]
    assert torch.equal(turn(turn(x, lengths), lengths), x)


def test_dropout_stands_between_layers_alone():
    x = torch.ones(4, 5, 2)
    one, two = Recurrent(2, 3, dropout=0.9), Recurrent(2, 3, num_layers=2, dropout=0.9)
    assert torch.equal(one(x)[0], one(x)[0])
    assert not torch.equal(two(x)[0], two(x)[0])


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_starts_with_orthogonal_recurrent_weights_and_an_lstm_with_an_open_forget_gate(cell):
    net = Recurrent(5, 8, cell=cell, num_layers=2, bidirectional=True)
    initialise(net, "he", torch.Generator().manual_seed(0))
    for layer in (*net.onward, *net.back):
        for gate in layer.weight_hh_l0.detach().split(8):
            assert_allclose(gate @ gate.T, np.eye(8), atol=1e-5)
        bias = layer.bias_ih_l0.detach()
        assert bias.tolist() == ([0.0] * 8 + [1.0] * 8 + [0.0] * 16 if "lstm" in cell else [0.0] * len(bias))
    assert set(NUM_GATES) <= set(CELLS)
