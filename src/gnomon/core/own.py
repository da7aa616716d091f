"""What the user made and passed to `gnomon.fit`: a network, a loss, an augmentation. A run keeps their names only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, final

from gnomon.core.errors import UsageError

if TYPE_CHECKING:
    import torch

    from gnomon.core.settings import Settings

Batch = dict[str, "torch.Tensor"]
Loss = Callable[[Any, Any], "torch.Tensor"]
"""(outputs, target) -> (B,): one value per example. Both are of the model's own scale (see `Head.wanted`)."""

Augmentation = Callable[[Batch, "torch.Generator"], Batch]
"""(batch, generator) -> batch: the same named tensors, changed at random by nothing but the generator."""


@final
@dataclass(frozen=True)
class Own:
    """What was passed; None where gnomon's own is used."""

    module: torch.nn.Module | None = None
    loss: Loss | None = None
    augmentation: Augmentation | None = None

    def names(self) -> dict[str, str]:
        """The settings that record it: {"own.loss": "mypackage.focal_loss"}."""
        made = {"own.module": self.module, "own.loss": self.loss, "own.augmentation": self.augmentation}
        return {key: name_of(thing) for key, thing in made.items() if thing is not None}


NO_OWN = Own()  # nothing of the user's own


def asked_for(settings: Settings, own: Own, fix: str) -> UsageError | None:
    """What to raise where `settings` name a part that `own` lacks; None where it has them all.

    `fix` is what to do, with {} for the arguments: "pass it: gnomon.fit(data, {})".
    """
    wanted = (
        ("network", settings.own.module, own.module, "model=..."),
        ("loss", settings.own.loss, own.loss, "loss=..."),
        ("augmentation", settings.own.augmentation, own.augmentation, "augment_with=..."),
    )
    missing = [(what, name, argument) for what, name, thing, argument in wanted if name is not None and thing is None]
    if not missing:
        return None
    named = " and ".join(f"{what} {name}" for what, name, _ in missing)
    arguments = ", ".join(argument for _, _, argument in missing)
    return UsageError(f"this trains with your own {named}.", fix=fix.format(arguments))


@final
@dataclass(frozen=True)
class Missing:
    """Stands for a loss that a reopened run was not passed: predicting needs none, and whoever calls it is told."""

    name: str
    fix: str

    def __call__(self, *_: Any) -> NoReturn:
        raise UsageError(f"this run trained with your own loss {self.name}.", fix=self.fix)


def name_of(thing: Any) -> str:
    """Of a function its qualified name, of any other object that of its class: "mypackage.Net"."""
    while isinstance(thing, partial):
        thing = thing.func
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}"


def checked_losses(losses: Any, loss: Loss, size: int) -> torch.Tensor:
    """As it came. Raises UsageError unless it is (size,) numbers that a gradient can flow through."""
    shape = getattr(losses, "shape", None)
    if shape is None or tuple(shape) != (size,) or not losses.is_floating_point():
        given = type(losses).__name__ if shape is None else f"{losses.dtype} of shape {tuple(shape)}"
        raise UsageError(
            f"your own loss {name_of(loss)} gave {given} for {size} examples, not one number for each.",
            fix=f"return ({size},) floats: reduction='none', then the mean over all dims but the first.",
        )
    found: torch.Tensor = losses
    return found


def checked_batch(batch: Any, before: Batch, augmentation: Augmentation) -> Batch:
    """As it came. Raises UsageError unless it has the tensors of before, with as many examples."""
    name = name_of(augmentation)
    if not isinstance(batch, dict) or batch.keys() != before.keys():
        given = ", ".join(map(str, batch)) if isinstance(batch, dict) else type(batch).__name__
        raise UsageError(f"your own augmentation {name} gave {given}.", fix=f"return a batch of {', '.join(before)}.")
    for key, tensor in before.items():
        if len(batch[key]) != len(tensor):
            raise UsageError(
                f"your own augmentation {name} gave {len(batch[key])} examples of {key}, of {len(tensor)}.",
                fix="return as many examples as came in.",
            )
    return batch
