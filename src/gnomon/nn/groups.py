"""Parameters that are trained otherwise than the rest: at another rate, without decay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share how they are trained. Frozen ones need no group: `requires_grad_(False)` is enough.

    A module says so by a method `parameter_groups()`, which gives a list of these, or by an attribute `rates`, with the
    rates of some of its children by name; parameters in no group are trained at the run's rate, and weights (two or
    more dims) decay.
    """

    parameters: Sequence[nn.Parameter]
    rate: float = 1.0  # factor on the learning rate, above 0
    decay: bool = True  # False: weight decay, L2 and L1 leave these alone (embeddings, positions)


def parameter_groups(model: nn.Module) -> list[ParameterGroup]:
    """The groups of the model: those it names itself, or else those of the modules it is made of.

    Raises ValueError where a parameter is in two groups, or a rate is not above 0.
    """
    groups = list(_groups(model))
    members = [id(parameter) for group in groups for parameter in group.parameters]
    if len(members) != len(set(members)):
        raise ValueError("a parameter is in two groups.")
    if any(not group.rate > 0 for group in groups):
        raise ValueError("a group's rate must be above 0; freeze parameters with requires_grad_(False).")
    return groups


def _groups(module: nn.Module) -> Iterator[ParameterGroup]:
    own = getattr(module, "parameter_groups", None)
    if own is not None:
        yield from own()
        return
    rates: dict[str, float] = getattr(module, "rates", {})
    for name, child in module.named_children():
        if name in rates:
            yield ParameterGroup([one for one in child.parameters() if one.requires_grad], rates[name])
        else:
            yield from _groups(child)


def set_training(model: nn.Module) -> None:
    """Training mode, but for the parts that are frozen: their dropout is off and batch norm keeps what it measured.

    So does batch norm that is told to (nn/stages.py).
    """
    model.train()
    for module in model.modules():
        parameters = list(module.parameters())
        is_frozen = parameters and not any(parameter.requires_grad for parameter in parameters)
        if is_frozen or getattr(module, "keeps_statistics", False):
            module.eval()
