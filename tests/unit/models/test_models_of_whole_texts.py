"""Nets that read whole texts: the equations of the reference in both directions, and padding that changes nothing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from gnomon.core import found
from gnomon.core.family import TextInputs, Wanted
from gnomon.models.mean import FACTOR
from gnomon.nn.words import WordVectors
from gnomon.reference import recurrent as reference

IDS, LENGTH, OUTPUTS = 13, 9, 2
GATES = {"rnn": "a", "gru": "run", "lstm": "ufno"}  # of the reference, in the order in which torch stores them
SMALL = {
    "mean": {"embedding": 5, "units": 4},
    "transformer": {"width": 8, "layers": 2, "heads": 2},
    **{cell: {"units": 3, "layers": 2, "embedding": 5} for cell in GATES},
}


def built(name: str, gives: str = "vector", **own) -> nn.Module:
    """In float64, every parameter from N(0, 1/4)."""
    family = found.family(name)
    settings = family.settings.model_validate({**SMALL[name], **own})
    model = family.build(Wanted(name, TextInputs(IDS, LENGTH), settings, (0.0,), OUTPUTS, gives)).double().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return model


def texts(*lengths: int) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(1, IDS, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(1))
    sizes = torch.tensor(lengths)
    return ids.masked_fill(torch.arange(max(lengths)) >= sizes[:, None], 0), sizes


@pytest.mark.parametrize(
    ("name", "gives"), [(name, "vector") for name in SMALL] + [(name, "places") for name in SMALL if name != "mean"]
)
@torch.no_grad()
def test_a_text_is_answered_alike_alone_and_padded_in_a_batch(name, gives):
    model = built(name, gives)
    ids, lengths = texts(LENGTH, 4, 1)
    together = model(ids, lengths)
    for row, size in enumerate(lengths.tolist()):
        alone = model(ids[row : row + 1, :size], lengths[row : row + 1])
        shared = together[row : row + 1] if gives == "vector" else together[row : row + 1, :size]
        assert alone.shape == ((1, OUTPUTS) if gives == "vector" else (1, size, OUTPUTS))
        assert_allclose(shared, alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("gives", ["vector", "places"])
@pytest.mark.parametrize("cell", sorted(GATES))
@torch.no_grad()
def test_both_directions_equal_the_reference(cell, gives):
    model = built(cell, gives)
    ids, _ = texts(6)
    X = model.embedding(ids).numpy()
    for onward, back in zip(model.layers.onward, model.layers.back, strict=True):
        X = np.concatenate([unrolled(cell, onward, X), unrolled(cell, back, X[:, ::-1])[:, ::-1]], axis=2)
    wanted = X.max(axis=1) if gives == "vector" else X
    expected = wanted @ model.head.weight.numpy().T + model.head.bias.numpy()
    assert_allclose(model(ids, torch.tensor([6])), expected, rtol=1e-10, atol=1e-12)


def unrolled(cell: str, layer: nn.Module, X: np.ndarray) -> np.ndarray:
    """(B, T, n_in) -> (B, T, n), from a state of zeros."""
    gates, P = GATES[cell], {}
    both = [np.split(getattr(layer, f"weight_{side}_l0").numpy(), len(gates)) for side in ("hh", "ih")]
    biases = [np.split(getattr(layer, f"bias_{side}_l0").numpy(), len(gates)) for side in ("ih", "hh")]
    for gate, a, x, first, second in zip(gates, *both, *biases, strict=True):
        P[f"W_{gate}"] = np.concatenate([a, x], axis=1)
        P[f"b_{gate}"] = first if (cell, gate) == ("gru", "n") else first + second
        P[f"c_{gate}"] = second
    step = getattr(reference, "gru_torch_step" if cell == "gru" else f"{cell}_step")
    zeros = np.zeros((len(X), layer.hidden_size))
    return reference.unroll(step, X, (zeros, zeros) if cell == "lstm" else (zeros,), P)[0]


@torch.no_grad()
def test_the_mean_forgets_the_order_and_is_the_mean():
    model = built("mean", units=0, bigrams=0)
    ids, lengths = texts(5)
    vectors = model.embedding(ids)[0].mean(dim=0)
    expected = model.head.weight @ vectors + model.head.bias
    assert_allclose(model(ids, lengths)[0], expected, rtol=1e-12)
    assert_allclose(model(ids.flip(1), lengths)[0], expected, rtol=1e-12)


@torch.no_grad()
def test_with_pairs_the_mean_of_those_stands_beside_it_and_the_order_of_neighbours_counts():
    model = built("mean", units=0, bigrams=3)
    ids, lengths = texts(5)
    pairs = (
        sum(
            model.bigrams.weight[(int(a) * FACTOR + int(b)) % model.num_rows] * bool(a > 1 and b > 1)  # 1 is unknown
            for a, b in itertools.pairwise(ids[0])
        )
        / 4
    )
    both = torch.cat([model.embedding(ids)[0].mean(dim=0), pairs])
    assert_allclose(model(ids, lengths)[0], model.head.weight @ both + model.head.bias, rtol=1e-12)
    assert (model(ids.flip(1), lengths) != model(ids, lengths)).all()


@torch.no_grad()
def test_in_both_directions_the_first_place_sees_the_last_and_forward_it_does_not():
    ids, lengths = texts(6)
    changed = ids.clone()
    changed[0, -1] = ids[0, -1] % (IDS - 1) + 1
    for name, own, sees in (("lstm", {}, True), ("lstm", {"directions": "forward"}, False), ("transformer", {}, True)):
        model = built(name, "places", **own)
        assert (model(ids, lengths)[0, 0] != model(changed, lengths)[0, 0]).any() == sees, (name, own)


def test_what_foretells_the_next_piece_reads_forward():
    ids, lengths = texts(6)
    changed = ids.clone()
    changed[0, -1] = ids[0, -1] % (IDS - 1) + 1
    model = built("gru", "tokens")
    assert torch.equal(model(ids, lengths)[0, :-1], model(changed, lengths)[0, :-1])


def test_in_training_words_are_left_out_at_random_and_padding_is_not():
    model = WordVectors(IDS, 4, dropout=0.5).train()
    ids = torch.arange(IDS).expand(400, IDS)
    torch.manual_seed(0)
    is_other = (model(ids) != model.vectors(ids)).any(dim=2)
    assert not is_other[:, :2].any()  # padding, and what is unknown already
    share = is_other[:, 2:].float().mean(dim=0)
    assert ((share > 0.4) & (share < 0.6)).all()  # six standard deviations of a coin thrown 400 times are 0.15
    assert torch.equal(model.eval()(ids), model.vectors(ids))
