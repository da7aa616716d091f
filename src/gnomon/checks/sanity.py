"""Cheap checks of data and model before a long run: each catches a kind of bug that a loss curve hides."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from gnomon.checks.gradients import check_gradients
from gnomon.core.parts import Batch
from gnomon.core.seeds import derive
from gnomon.core.task import Task
from gnomon.data.columns import Columns, Ragged, length

FEW = 8  # examples to memorise
STEPS = 300  # at most, to memorise them
BATCH, BRIEF_STEPS = 64, 150  # of a brief training
MEMORISED = 0.05  # of the loss of a guess, or of the loss at the start where that is lower
LEARNING_RATE = 1e-2  # for memorising at first; the other checks use a third of it
NOTABLY = 0.95  # chance alone rarely makes one loss this much smaller than another
COORDINATES, FEWEST_COORDINATES = 8, 8  # whose gradient is checked: of each parameter at most, of a large net in all
PASSES = 12  # for one coordinate: several steps, and others where the loss has a kink
# Floating-point operations that a part may take: with a large net it sees fewer examples, but never fewer than 4.
DIFFERENCES, MEMORISING, BRIEFLY = 4 * 10**11, 2 * 10**12, 2 * 10**12
FEWEST = 4
START_TOLERANCE = 0.5  # the initial loss may differ from ln K by this share


@dataclass(frozen=True)
class Finding:
    """One check and its answer in words, with the numbers behind it."""

    name: str
    passed: bool
    text: str


def sanity_checks(
    task: Task, build: Callable[[], nn.Module], train: Columns, dev: Columns, *, seed: int
) -> list[Finding]:
    """All checks, cheapest first. `build` returns a fresh model, the same each time. Columns: inputs and targets."""
    cost = _cost(task, build(), train)
    return [
        loss_at_start(task, build(), _spread(train, BRIEFLY // cost)),
        *units_differ(build()),
        overfits_few(task, build(), train, cost=cost),
        gradients_right(task, build(), train, cost=cost, seed=seed),
        *(labels_and_inputs_matter(task, build, train, dev, cost=cost, seed=seed) if task.head.columns else ()),
    ]


def _cost(task: Task, model: nn.Module, train: Columns) -> int:
    """Floating-point operations of a forward pass of one example."""
    few = min(2, length(train))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        _mean(task, model, _rows(train, torch.arange(few)))
    return max(1, counter.get_total_flops() // few)


def _affordable(work: int, cost: int, most: int) -> int:
    """Examples in each step of a training."""
    return max(FEWEST, min(most, work // (3 * cost)))  # the way back costs twice the way there


def loss_at_start(task: Task, model: nn.Module, train: Columns) -> Finding:
    """An untrained model should know nothing: its loss is that of a uniform guess, ln K for K classes."""
    loss = _mean(task, model, train)
    expected = task.head.chance_loss
    if expected is None:
        return Finding("loss at the start", math.isfinite(loss), f"{loss:.3f} (this task has no chance level)")
    right = abs(loss - expected) <= START_TOLERANCE * expected
    verdict = "as expected" if right else "an untrained model should not be this confident: check input scale and init"
    return Finding("loss at the start", right, f"{loss:.3f}, chance is {expected:.3f}: {verdict}")


def units_differ(model: nn.Module) -> list[Finding]:
    """Units of a hidden layer that start with the same weights get the same gradients, and stay the same for ever."""
    layers = [
        (name, weight.detach().flatten(1))
        for name, weight in model.named_parameters()
        if name.endswith("weight") and weight.dim() >= 2 and len(weight) > 1
    ]
    alike = [name.removesuffix(".weight") for name, rows in layers[:-1] if bool((rows == rows[:1]).all())]
    if not alike:
        return []
    text = (
        f"symmetry: all units of {', '.join(alike[:3])} start with the same weights, get the same gradients and stay "
        "the same: a wide layer is worth one unit (init=he starts them apart)"
    )
    return [Finding("units differ at the start", False, text)]


def overfits_few(task: Task, model: nn.Module, train: Columns, *, cost: int = 1) -> Finding:
    """A model that cannot memorise a handful of examples has a bug somewhere between data and update."""
    few = _rows(train, torch.arange(min(_affordable(MEMORISING // STEPS, cost, FEW), length(train))))
    _without_dropout(model)
    before = _mean(task, model, few)
    # A start far above chance may fall to a twentieth of itself and still know nothing.
    enough = MEMORISED * min(before, before if task.head.chance_loss is None else task.head.chance_loss)
    enough += _cost_of_telling_apart(task, few)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    for rate in (LEARNING_RATE, LEARNING_RATE / 3):  # at the first, deep Transformers jump about
        model.load_state_dict(start)
        after, steps = before, 0
        optimiser = torch.optim.Adam(model.parameters(), lr=rate)
        while steps < STEPS and after > enough:
            after = _learn(task, model, optimiser, _batch(task, few, torch.arange(length(few))))
            steps += 1
        if after <= enough:
            break
    right = after <= enough
    text = f"loss {before:.3f} -> {after:.4f} on {length(few)} examples in {steps} steps"
    return Finding("memorises a small batch", right, text if right else f"{text}: it should fall below {enough:.3f}")


def _cost_of_telling_apart(task: Task, few: Columns) -> float:
    """Where the inputs are the targets, as in a text: which of the few it is, nothing before it says: ln N for each."""
    if task.head.columns:
        return 0.0
    batch = _batch(task, few, torch.arange(length(few)))
    units = batch.get("weight", torch.ones(length(few)))
    return float((math.log(length(few)) / units).mean())


def gradients_right(task: Task, model: nn.Module, train: Columns, *, cost: int = 1, seed: int) -> Finding:
    """Back-propagated gradients against two-sided differences, in float64, on a few coordinates per parameter.

    Of a large net a few parameters are checked, spread over its depth.
    """
    few = 4 if 4 * cost * PASSES * FEWEST_COORDINATES <= DIFFERENCES else 1
    batch = _batch(task, train, torch.arange(min(few, length(train))))
    double = {name: value.double() if value.is_floating_point() else value for name, value in batch.items()}

    def loss(module: nn.Module) -> Tensor:
        return task.losses(task.outputs(module, double), double).mean()

    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad and parameter.numel()]
    coordinates = max(FEWEST_COORDINATES, DIFFERENCES // (PASSES * few * cost))
    chosen = names
    if coordinates < len(names):
        chosen = [names[round(at)] for at in torch.linspace(0, len(names) - 1, coordinates).tolist()]
    each = max(1, min(COORDINATES, coordinates // len(chosen)))
    report = check_gradients(model, loss, coordinates_per_parameter=each, only=chosen, seed=seed)
    some = f" ({len(chosen)} of {len(names)}: the net is large)" if len(chosen) < len(names) else ""
    return Finding("gradients", report.passed, report.text.splitlines()[0] + some)


def labels_and_inputs_matter(
    task: Task, build: Callable[[], nn.Module], train: Columns, dev: Columns, *, cost: int = 1, seed: int
) -> list[Finding]:
    """Train briefly on true and on shuffled targets; evaluate on dev as it is, and on dev with swapped inputs.

    With shuffled targets, or with the inputs of other examples, a sound system does no better than chance. If it
    does, the answer reaches the model by some way other than its inputs.
    """
    shuffle = torch.Generator().manual_seed(derive(seed, "sanity"))
    targets = sorted(train.keys() - _input_names(task, train))
    order = torch.randperm(length(train), generator=shuffle)
    shuffled = {**train, **{name: _rows({name: train[name]}, order)[name] for name in targets}}
    honest, blind = build(), build()
    batch = _affordable(BRIEFLY // (2 * BRIEF_STEPS), cost, BATCH)
    _fit_briefly(task, honest, train, shuffle, batch)
    _fit_briefly(task, blind, shuffled, shuffle, batch)
    dev = _spread(dev, max(BATCH, BRIEFLY // (3 * cost)))
    swapped = dict(dev)
    around = torch.arange(length(dev)).roll(max(1, length(dev) // 2))
    swapped.update({name: _rows({name: dev[name]}, around)[name] for name in _input_names(task, dev)})
    with_labels, without, with_swapped = (
        _mean(task, model, columns) for model, columns in ((honest, dev), (blind, dev), (honest, swapped))
    )
    chance = math.inf if task.head.chance_loss is None else task.head.chance_loss
    learns = with_labels < NOTABLY * min(without, chance)
    needs_inputs = with_labels < NOTABLY * min(with_swapped, chance)  # worse than chance, it uses nothing rightly
    return [
        Finding(
            "learns less from shuffled labels",
            learns,
            f"dev loss {with_labels:.3f} with the labels, {without:.3f} with shuffled ones"
            + ("" if learns else ": the inputs do not predict the targets, or the targets are misaligned"),
        ),
        Finding(
            "uses its inputs",
            needs_inputs,
            f"dev loss {with_labels:.3f} with the inputs, {with_swapped:.3f} with those of other examples"
            + ("" if needs_inputs else ": the answer does not come from the inputs"),
        ),
    ]


def _input_names(task: Task, columns: Columns) -> set[str]:
    """The columns that a prediction needs, as the task says: those that are not targets."""
    return set(columns) - set(task.head.columns)


def _spread(columns: Columns, most: int) -> Columns:
    """Rows at equal distances: classes may lie one behind the other."""
    size = length(columns)
    return columns if size <= most else _rows(columns, torch.linspace(0, size - 1, max(1, most)).long())


def _rows(columns: Columns, indices: Tensor) -> Columns:
    return {
        name: Ragged.of([column.row(int(i)) for i in indices]) if isinstance(column, Ragged) else column[indices]
        for name, column in columns.items()
    }


def _batch(task: Task, columns: Columns, indices: Tensor) -> Batch:
    return task.batch(columns, indices)


def _mean(task: Task, model: nn.Module, columns: Columns) -> float:
    """Mean loss over all rows, in evaluation mode; weighted by scored units."""
    was_training, total, weights = model.training, 0.0, 0.0
    model.eval()
    with torch.inference_mode():
        for indices in torch.arange(length(columns)).split(BATCH):
            batch = task.batch(columns, indices)
            losses = task.losses(task.outputs(model, batch), batch)
            weight = batch.get("weight", torch.ones_like(losses))
            total += float((losses * weight).sum())
            weights += float(weight.sum())
    model.train(was_training)
    return total / max(weights, 1e-12)


def _learn(task: Task, model: nn.Module, optimiser: torch.optim.Optimizer, batch: Batch) -> float:
    optimiser.zero_grad()
    loss = task.losses(task.outputs(model, batch), batch).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return float(loss.detach())


def _fit_briefly(task: Task, model: nn.Module, columns: Columns, shuffle: torch.Generator, batch: int) -> None:
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE / 3)
    model.train()
    for _ in range(BRIEF_STEPS):
        indices = torch.randint(0, length(columns), (min(batch, length(columns)),), generator=shuffle)
        _learn(task, model, optimiser, task.batch(columns, indices))


def _without_dropout(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(module, nn.RNNBase):
            module.dropout = 0.0  # between its layers
