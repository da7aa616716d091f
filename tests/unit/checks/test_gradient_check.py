"""Gradient checking: right nets pass at the start and after some steps, planted faults are found and named."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from gnomon.checks.gradients import check_gradients
from gnomon.core.errors import DivergedError, UsageError


class _WrongSign(torch.autograd.Function):
    """x W^T with the sign of one of the two gradients turned: "input" or "weight"."""

    @staticmethod
    def forward(ctx, x, weight, fault):
        ctx.save_for_backward(x, weight)
        ctx.fault = fault
        return x @ weight.T

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        dx, dweight = gradient @ weight, gradient.T @ x
        return (-dx, dweight, None) if ctx.fault == "input" else (dx, -dweight, None)


class _Net(nn.Module):
    """Three dense layers; the middle one can be given a fault."""

    def __init__(self, fault="none", activation=torch.tanh):
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(6, 5), nn.Linear(5, 5), nn.Linear(5, 3)
        self.fault, self.activation = fault, activation

    def forward(self, x):
        hidden = self.activation(self.first(x))
        if self.fault in ("input", "weight"):
            middle = _WrongSign.apply(hidden, self.middle.weight, self.fault) + self.middle.bias
        else:
            middle = self.middle(hidden.detach() if self.fault == "detach" else hidden)
        return self.last(self.activation(middle))


def _lenet():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(6, 12),
        nn.ReLU(),
        nn.Linear(12, 3),
    )


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(8, 6, generator=generator), torch.randint(0, 3, (8,), generator=generator)


@pytest.fixture
def pictures():
    """Dark borders, as digits have them: whole patches of zeros."""
    generator = torch.Generator().manual_seed(0)
    images = torch.zeros(8, 1, 8, 8)
    images[:, :, 2:6, 2:6] = torch.rand(8, 1, 4, 4, generator=generator)
    return images, torch.randint(0, 3, (8,), generator=generator)


def _loss_of(batch):
    inputs, labels = batch
    return lambda model: functional.cross_entropy(model(inputs), labels)


def _seeded(build, seed=0):
    torch.manual_seed(seed)
    return build()


def _verdicts(report):
    return {row.name: row.verdict for row in report.rows}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("activation", [torch.tanh, torch.relu, torch.sigmoid])
def test_a_right_dense_net_passes(batch, activation, seed):
    report = check_gradients(_seeded(lambda: _Net(activation=activation), seed), _loss_of(batch))
    assert report.passed, report.text
    assert set(_verdicts(report).values()) <= {"right", "probably right"}
    assert report.text.startswith("gradients agree: 6 parameters")


@pytest.mark.parametrize("biases", ["drawn", "zero"])
def test_a_right_convolutional_net_passes_at_the_start_and_after_some_steps(pictures, biases):
    model, loss = _seeded(_lenet), _loss_of(pictures)
    if biases == "zero":  # the dark patches then stand exactly at the kink of every ReLU
        for layer in model:
            if getattr(layer, "bias", None) is not None:
                nn.init.zeros_(layer.bias)
    assert check_gradients(model, loss).passed, check_gradients(model, loss).text
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(30):
        optimiser.zero_grad()
        loss(model).backward()
        optimiser.step()
    report = check_gradients(model, loss)
    assert report.passed, report.text
    assert all(row.compared for row in report.rows)


def test_a_sign_error_in_one_weights_gradient_is_found_and_that_parameter_alone_is_named(batch):
    report = check_gradients(_seeded(lambda: _Net("weight")), _loss_of(batch))
    assert [row.name for row in report.faults] == ["middle.weight"]
    assert report.faults[0].verdict == "wrong"
    assert report.faults[0].ratio == pytest.approx(1.0, abs=1e-4)  # ||a - (-a)|| / (||a|| + ||a||)
    assert report.text.startswith("the gradient is wrong for middle.weight\n")


def test_a_sign_error_in_what_a_layer_passes_back_shows_in_every_layer_before_it(batch):
    report = check_gradients(_seeded(lambda: _Net("input")), _loss_of(batch))
    assert [row.name for row in report.faults] == ["first.weight", "first.bias"]
    assert "all from middle.weight on agree, so look right behind first.bias" in report.text


def test_a_detached_branch_is_found(batch):
    report = check_gradients(_seeded(lambda: _Net("detach")), _loss_of(batch))
    assert [(row.name, row.is_reached) for row in report.faults] == [("first.weight", False), ("first.bias", False)]
    assert "backpropagation does not reach first.weight, first.bias, but the loss depends on it" in report.text


def test_a_loss_detached_from_every_parameter_is_wrong_for_all_that_matter(batch):
    report = check_gradients(_seeded(_Net), lambda m: _loss_of(batch)(m).detach())
    assert [row.name for row in report.faults] == [row.name for row in report.rows]


def test_a_small_gradient_of_a_large_loss_is_not_called_wrong(batch):
    """1000 has rounding errors of 1e-13, which a step of 1e-7 turns into 1e-6: as much as 1e-4 of these gradients."""
    report = check_gradients(_seeded(_Net), lambda m: 0.1 * _loss_of(batch)(m) + 1000)
    assert report.passed, report.text
    assert not check_gradients(_seeded(lambda: _Net("weight")), lambda m: 0.1 * _loss_of(batch)(m) + 1000).passed


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1 + 1e-6, "probably right"), (1 + 1e-4, "look again"), (1.1, "wrong")]
)
def test_verdicts_follow_the_bands_of_the_ratio(factor, verdict):
    """A gradient too large by 1 + d has the ratio d/(2 + d)."""

    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, weight):
            return weight.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * factor

    model = nn.Linear(4, 1, bias=False)
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 10
    report = check_gradients(model, lambda m: functional.linear(x, Scaled.apply(m.weight)).square().mean())
    assert report.rows[0].verdict == verdict
    assert report.rows[0].ratio == pytest.approx((factor - 1) / (factor + 1), rel=0.05)


def test_a_regulariser_missing_from_backpropagation_is_noticed(batch):
    def penalised(model, weight_of_gradient):
        penalty = sum((p * (1 - weight_of_gradient) + p.detach() * weight_of_gradient).square().sum()
                      for p in model.parameters())  # fmt: skip
        return _loss_of(batch)(model) + 0.5 * penalty

    model = _seeded(_Net)
    assert check_gradients(model, lambda m: penalised(m, 0.0)).passed
    assert len(check_gradients(model, lambda m: penalised(m, 1.0)).faults) == 6


def test_the_model_the_gradients_and_the_global_generator_are_left_alone(pictures):
    model = _seeded(_lenet)
    _loss_of(pictures)(model).backward()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    chance = torch.random.get_rng_state()
    check_gradients(model, _loss_of(pictures), coordinates_per_parameter=3)
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert all(torch.equal(a, p.grad) for a, p in zip(gradients, model.parameters(), strict=True))
    assert torch.equal(chance, torch.random.get_rng_state())
    assert all(module.training for module in model.modules())
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert next(model.parameters()).dtype == torch.float32


def test_batch_norm_stays_in_training_mode_and_dropout_is_off(pictures):
    modes = {}

    def loss(model):
        modes.update({type(module).__name__: module.training for module in model.modules()})
        return _loss_of(pictures)(model)

    check_gradients(_seeded(_lenet), loss, coordinates_per_parameter=1)
    assert modes["BatchNorm2d"]
    assert not modes["Dropout"]


def test_running_averages_do_not_drift_into_the_loss(batch):
    """A loss that reads the average of the looks before would change from look to look."""
    model = _seeded(lambda: nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3)))

    def loss(m):
        before = m[1].running_mean.square().sum()
        return _loss_of(batch)(m) + before

    assert check_gradients(model, loss).passed


def test_a_bias_removed_by_batch_norm_is_flat_rather_than_wrong(batch):
    model = _seeded(lambda: nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)))
    report = check_gradients(model, _loss_of(batch))
    assert report.passed
    assert _verdicts(report)["0.bias"] == "flat"
    assert _verdicts(report)["0.weight"] in ("right", "probably right")


def test_a_parameter_at_a_kink_is_checked_beside_it():
    """relu(0 + b) at b = 0: the differences give 1/2, torch gives 0, and neither is wrong."""
    model = nn.Linear(1, 1)
    nn.init.zeros_(model.bias)
    report = check_gradients(model, lambda m: functional.relu(m(torch.zeros(4, 1))).sum() + m.weight.sum())
    bias = next(row for row in report.rows if row.name == "bias")
    assert report.passed
    assert (bias.is_moved, bias.skipped) == (True, 1)
    assert "moved off a kink" in report.text


def test_another_coordinate_is_drawn_for_one_at_a_kink():
    model = nn.Linear(20, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([0.0, 1.0] * 10))  # every other one at the kink of the ReLU below
    (row,) = check_gradients(model, lambda m: functional.relu(m.weight).sum(), coordinates_per_parameter=6).rows
    assert (row.compared, row.verdict) == (6, "right")
    assert row.skipped > 0


def test_a_parameter_moved_off_a_kink_is_back_when_the_next_one_is_checked():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.at_kink, self.smooth = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.ones(1))

    seen = []

    def loss(model):
        seen.append(model.at_kink.item())
        return functional.relu(model.at_kink).sum() + model.smooth.square().sum()

    assert check_gradients(Two(), loss).rows[0].is_moved
    assert max(map(abs, seen)) > 1e-5
    assert seen[-3:] == [0.0, 0.0, 0.0]


def test_a_wrong_gradient_at_a_kink_is_still_wrong():
    """-relu's gradient passed off as relu's: wrong on both sides of the kink."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, z):
            ctx.save_for_backward(z)
            return z.clamp(min=0)

        @staticmethod
        def backward(ctx, gradient):
            (z,) = ctx.saved_tensors
            return gradient * torch.where(z > 0, 2.0, -1.0)

    model = nn.Linear(1, 1)
    nn.init.zeros_(model.bias)
    report = check_gradients(model, lambda m: Wrong.apply(m(torch.zeros(4, 1))).sum() + m.weight.sum())
    assert [row.name for row in report.faults] == ["bias"]


def test_coordinates_of_big_parameters_are_sampled_by_the_seed(batch):
    looks = []

    def loss(model):
        looks.append(1)
        return _loss_of(batch)(model)

    first = check_gradients(_seeded(_Net), loss, coordinates_per_parameter=4, seed=3)
    assert [row.compared for row in first.rows] == [4, 4, 4, 4, 4, 3]
    assert len(looks) < 6 * (3 + 3 * 2 * 4 + 2)
    assert check_gradients(_seeded(_Net), loss, coordinates_per_parameter=4, seed=3) == first
    assert check_gradients(_seeded(_Net), loss, coordinates_per_parameter=4, seed=4) != first


def test_shared_frozen_unused_and_sparse_parameters_are_handled():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(7, 4, sparse=True)
            self.head = nn.Linear(4, 7)
            self.twin = self.head
            self.unused = nn.Linear(2, 2)
            self.frozen = nn.Linear(4, 4).requires_grad_(False)

        def forward(self, tokens):
            return self.twin(self.frozen(self.embed(tokens).mean(dim=1)))

    tokens, labels = torch.tensor([[0, 1], [2, 2], [3, 6]]), torch.tensor([0, 5, 6])
    report = check_gradients(_seeded(Odd), lambda m: functional.cross_entropy(m(tokens), labels))
    assert report.passed, report.text
    verdicts = _verdicts(report)
    assert list(verdicts) == ["embed.weight", "head.weight", "head.bias", "unused.weight", "unused.bias"]
    assert verdicts["unused.weight"] == "flat"


def test_a_loss_of_another_model_is_refused(batch):
    other = _seeded(_Net).double()
    x, labels = batch[0].double(), batch[1]
    with pytest.raises(UsageError, match="depends on no parameter"):
        check_gradients(_seeded(_Net), lambda _: functional.cross_entropy(other(x), labels))


def test_a_loss_that_changes_between_evaluations_is_refused(batch):
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(UsageError, match="changes between two evaluations"):
        check_gradients(_seeded(_Net), lambda m: _loss_of(batch)(m) + torch.rand((), generator=generator).double())


def test_the_global_generator_gives_the_same_numbers_at_every_evaluation(batch):
    assert check_gradients(_seeded(_Net), lambda m: functional.dropout(m(batch[0]), p=0.5).square().mean()).passed


@pytest.mark.parametrize(
    ("loss", "error", "words"),
    [
        (lambda m: m(torch.ones(2, 6)).sum(dim=1), UsageError, r"one number in float64, got shape \(2,\)"),
        (lambda m: m(torch.ones(2, 6)).sum().float(), UsageError, "in torch.float32"),
        (lambda m: m(torch.full((2, 6), float("nan"))).sum(), DivergedError, "the loss is nan"),
    ],
)
def test_a_loss_that_cannot_be_checked_is_refused_with_the_reason(loss, error, words):
    with pytest.raises(error, match=words):
        check_gradients(_seeded(_Net), loss)


def test_the_rounding_of_a_large_loss_is_no_fault():
    model = nn.Linear(3, 1, bias=False)
    report = check_gradients(model, lambda module: 1e8 + (module.weight * math.pi).sum(), coordinates_per_parameter=1)
    assert 1e-7 < report.rows[0].ratio < 1e-3
    assert report.rows[0].verdict == "probably right"
