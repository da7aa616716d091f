"""The layer table: published counts exactly, another counter as twin, and the model left as it was."""

import tomllib
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gnomon.checks.shapes_and_cost import layer_table, totals

NUMBERS = tomllib.loads((Path(__file__).parents[2] / "golden" / "numbers.toml").read_text())


def _table(model, *shape, batch_size=3):
    return layer_table(model, lambda module: module(torch.zeros(batch_size, *shape)), batch_size=batch_size)


def _lenet():
    """The net of the course's CNN example, on 32x32 colour pictures."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 5),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 5),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.Linear(120, 84),
        nn.Linear(84, 10),
    )


def test_lenet_has_the_parameters_and_activation_sizes_of_the_course():
    rows = _table(_lenet(), 3, 32, 32)
    assert [row.parameters for row in rows if row.parameters] == NUMBERS["lenet_parameters"]["value"]
    sizes = [row.activation_size for row in rows if row.kind != "Flatten"]
    assert sizes == NUMBERS["lenet_activation_sizes"]["value"]
    assert [row.output_shape for row in rows[:4]] == [(8, 28, 28), (8, 14, 14), (16, 10, 10), (16, 5, 5)]
    assert [row.multiply_adds for row in rows[:3]] == [28 * 28 * 8 * 5 * 5 * 3, 0, 10 * 10 * 16 * 5 * 5 * 8]


def test_a_bottleneck_saves_what_the_course_says():
    plain = nn.Conv2d(192, 32, 5, padding=2)
    bottleneck = nn.Sequential(nn.Conv2d(192, 16, 1), nn.Conv2d(16, 32, 5, padding=2))
    assert totals(_table(plain, 192, 28, 28)).multiply_adds == NUMBERS["inception_5x5"]["value"]
    saved = NUMBERS["inception_5x5_behind_a_bottleneck"]["value"]
    assert totals(_table(bottleneck, 192, 28, 28)).multiply_adds == saved


def test_depthwise_separable_convolution_costs_what_the_course_says():
    plain = _table(nn.Conv2d(3, 5, 3), 3, 6, 6)
    separable = _table(nn.Sequential(nn.Conv2d(3, 3, 3, groups=3), nn.Conv2d(3, 5, 1)), 3, 6, 6)
    costs = [row.multiply_adds for row in plain + separable]
    assert costs == NUMBERS["depthwise_separable"]["value"]
    # the course's ratio: 1/n_c' + 1/f^2
    assert sum(costs[1:]) / costs[0] == pytest.approx(1 / 5 + 1 / 3**2)


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (_lenet(), (3, 32, 32)),
        (nn.Sequential(nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, 2, bias=False)), (4, 7)),
        (nn.Sequential(nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), nn.BatchNorm1d(6), nn.ReLU()), (4, 20)),
        (nn.Sequential(nn.Conv3d(2, 3, (1, 2, 3)), nn.AvgPool3d(2)), (2, 4, 5, 6)),
        (nn.Sequential(nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, groups=2)), (4, 5, 6)),
    ],
)
def test_multiply_adds_are_half_the_flops_of_torchs_counter(model, shape):
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.zeros(3, *shape))
    assert totals(_table(model, *shape)).multiply_adds * 3 * 2 == counter.get_total_flops()


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_the_table_is_the_same_for_every_batch_size(batch_size):
    assert _table(_lenet(), 3, 32, 32, batch_size=batch_size) == _table(_lenet(), 3, 32, 32)


class _Tied(nn.Module):
    """One layer called twice, one weight shared by two layers, one layer that is never called."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.mix = nn.Linear(6, 6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.embed.weight
        self.idle = nn.Linear(3, 4)
        self.scale = nn.Parameter(torch.ones(6))

    def forward(self, tokens):
        return self.head(self.mix(self.mix(self.embed(tokens))) * self.scale)


def test_shared_weights_count_once_and_the_column_sums_to_the_model():
    model = _Tied()
    tokens = torch.zeros(2, 5, dtype=torch.long)
    rows = {row.name: row for row in layer_table(model, lambda module: module(tokens), batch_size=2)}
    assert {name: row.parameters for name, row in rows.items()} == {
        "embed": 66, "mix": 42, "head": 0, "": 6, "idle": 16
    }  # fmt: skip
    assert totals(rows.values()).parameters == sum(parameter.numel() for parameter in model.parameters())
    assert (rows["mix"].calls, rows["mix"].multiply_adds, rows["mix"].activation_size) == (2, 2 * 5 * 36, 2 * 5 * 6)
    assert rows["head"].multiply_adds == 5 * 6 * 11
    assert rows["embed"].multiply_adds == 0
    assert (rows["idle"].calls, rows["idle"].output_shape, rows["idle"].activation_size) == (0, (), 0)


def test_uncountable_layers_are_none_and_named_rather_than_wrong():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(6, 8))

        def forward(self, x):
            return x @ self.scale.T @ self.scale

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.pair = nn.Bilinear(4, 4, 8)
            self.scaled = Scaled()
            self.head = nn.Linear(8, 2)

        def forward(self, x):
            return self.head(self.scaled(self.pair(x, x))[:, -1])

    model = Odd()
    rows = _table(model, 6, 4)
    sums = totals(rows)
    assert sums.uncounted == ("pair", "scaled")
    assert sums.multiply_adds == 8 * 2
    assert sums.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert rows[0].output_shape == (6, 8)


# Hidden units x (inputs + hidden units of the step before), once a gate, direction and layer; times 7 steps.
RECURRENT = {
    "lstm": (lambda: nn.LSTM(3, 5, batch_first=True), 7 * 4 * 5 * (3 + 5)),
    "gru": (lambda: nn.GRU(3, 5, batch_first=True), 7 * 3 * 5 * (3 + 5)),
    "rnn": (lambda: nn.RNN(3, 5, batch_first=True), 7 * 5 * (3 + 5)),
    "two layers": (lambda: nn.LSTM(3, 5, 2, batch_first=True), 7 * 4 * 5 * ((3 + 5) + (5 + 5))),
    "both ways": (
        lambda: nn.GRU(3, 5, 2, batch_first=True, bidirectional=True), 7 * 2 * 3 * 5 * ((3 + 5) + (10 + 5))
    ),
    "projected": (
        lambda: nn.LSTM(3, 5, 2, batch_first=True, proj_size=2), 7 * (4 * 5 * ((3 + 2) + (2 + 2)) + 2 * 2 * 5)
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:LSTM with projections")  # torch says that it has no fast kernel for those
@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_recurrent_layer_costs_what_its_equations_multiply(name, batch_size):
    build, expected = RECURRENT[name]
    row = _table(build(), 7, 3, batch_size=batch_size)[0]
    assert (row.multiply_adds, row.output_shape[0]) == (expected, 7)


@pytest.mark.parametrize(("cell", "gates"), [(nn.LSTMCell(3, 5), 4), (nn.GRUCell(3, 5), 3), (nn.RNNCell(3, 5), 1)])
def test_a_cell_costs_one_time_step(cell, gates):
    assert _table(cell, 3)[0].multiply_adds == gates * 5 * (3 + 5)


def test_packed_sequences_cost_the_steps_they_have():
    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(3, 5, batch_first=True)

        def forward(self, x):
            return self.lstm(nn.utils.rnn.pack_padded_sequence(x, torch.tensor([6, 4]), batch_first=True))[1][0]

    assert _table(Packed(), 6, 3, batch_size=2)[0].multiply_adds == 5 * 4 * 5 * (3 + 5)  # 5 steps an example


class Crossed(nn.Module):
    """Queries of 4 times, keys and values of 6, of other widths; called by names."""

    def __init__(self, **options):
        super().__init__()
        self.attend = nn.MultiheadAttention(8, 2, kdim=5, vdim=3, **options)

    def forward(self, x):
        first = 0 if self.attend.batch_first else 1
        batch = x.shape[0]
        shapes = [(batch, 4, 8), (batch, 6, 5), (batch, 6, 3)]
        q, k, v = (torch.zeros(shape if first == 0 else (shape[1], batch, shape[2])) for shape in shapes)
        return self.attend(value=v, key_padding_mask=None, query=q, key=k)[0].movedim(first, 0)


@pytest.mark.parametrize("batch_first", [True, False])
def test_attention_between_two_sequences_costs_its_projections_and_products(batch_first):
    row = next(row for row in _table(Crossed(batch_first=batch_first), 1) if row.name == "attend")
    projections = 4 * 8 * 8 + 6 * 5 * 8 + 6 * 3 * 8 + 4 * 8 * 8
    assert row.multiply_adds == projections + 4 * 6 * 8 + 4 * 6 * 8
    with_more = next(
        row for row in _table(Crossed(batch_first=batch_first, add_bias_kv=True), 1) if row.name == "attend"
    )
    assert with_more.multiply_adds == row.multiply_adds + 2 * 4 * 1 * 8


def test_a_transformer_layer_costs_half_of_what_torchs_counter_says():
    model = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    counter = FlopCounterMode(display=False)
    with counter:  # in training, where no fast path hides the products
        model(torch.zeros(3, 7, 16))
    sums = totals(_table(model, 7, 16))
    assert not sums.uncounted
    assert sums.multiply_adds * 3 * 2 == counter.get_total_flops()
    assert torch.backends.mha.get_fastpath_enabled()


class Attention(nn.Module):
    """Attention as models write it themselves: three projections, torch's function, one projection."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)

    def forward(self, x):
        q, k, v = (part.unflatten(2, (4, 4)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=2))
        mixed = nn.functional.scaled_dot_product_attention(q, k, value=v, is_causal=True)
        return self.out(mixed.transpose(1, 2).flatten(2))


def test_attention_inside_a_module_has_a_row_of_its_own():
    model = nn.Sequential(Attention(), nn.LayerNorm(16), Attention())
    rows = _table(model, 7, 16)
    costs = {(row.name, row.kind): row.multiply_adds for row in rows}
    assert costs["0", "scaled_dot_product_attention"] == 2 * 7 * 7 * 16
    assert costs["2", "scaled_dot_product_attention"] == 2 * 7 * 7 * 16
    sums = totals(rows)
    assert sums.multiply_adds == 2 * (2 * 7 * 7 * 16 + 7 * 16 * 48 + 7 * 16 * 16)
    assert sums.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert not sums.uncounted


def test_an_activation_used_at_two_shapes_has_a_row_for_each():
    class Reused(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.relu = nn.Linear(4, 7), nn.Linear(7, 3), nn.ReLU()

        def forward(self, x):
            return self.relu(self.second(self.relu(self.first(x))))

    rows = _table(Reused(), 4)
    assert [(row.name, row.output_shape) for row in rows] == [
        ("first", (7,)), ("relu", (7,)), ("second", (3,)), ("relu", (3,))
    ]  # fmt: skip


def test_the_model_is_left_as_it_was_even_when_the_pass_fails():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.BatchNorm1d(4))
    model[1].eval()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    _table(model, 4)
    with pytest.raises(RuntimeError):
        _table(model, 9)
    assert [module.training for module in model.modules()] == [True, True, False, True, True]
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
