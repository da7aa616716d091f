"""What maps of a picture hang on, the net or the picture: `python -m benchmarks.maps RUN [--pictures 40]`.

The weights of each layer of the run's net are shuffled, from the last child with parameters up to the first, and every
map is drawn again for dev pictures, evenly spaced (Adebayo et al. 2018, "Sanity Checks for Saliency Maps"). The table
has the mean rank correlation with the map of the trained net, for the class that the trained net predicts; in brackets
the number of pictures, where a map was the same everywhere in the others. Beside the three maps of `gnomon explain`
stand ways not taken.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn.functional import interpolate

import gnomon
from gnomon.checks import attribution
from gnomon.checks.feature_maps import stages_in
from gnomon.workflow.prepare import prepare_again

Draw = Callable[[nn.Module, Tensor, int], Tensor]  # (model, picture (C, H, W), class) -> (H, W)


def shuffled(model: nn.Module, children: Sequence[str]) -> nn.Module:
    """A copy of the model, the numbers of every parameter in these children in another order."""
    generator, found = torch.Generator().manual_seed(0), copy.deepcopy(model)
    for name, one in found.named_parameters():
        if name.partition(".")[0] in children:
            one.data = one.data.flatten()[torch.randperm(one.numel(), generator=generator)].view_as(one)
    return found


def gradients(model: nn.Module, picture: Tensor, k: int, copies: int) -> tuple[Tensor, Tensor]:
    """The gradient of the score of class k on noisy copies of the picture, (copies, C, H, W), and the copies."""
    noise = torch.randn((copies, *picture.shape), generator=torch.Generator().manual_seed(0))
    spread = attribution.NOISE * (picture.max() - picture.min()) if copies > 1 else 0.0
    inputs = (picture + spread * noise).requires_grad_()
    (found,) = torch.autograd.grad(model(inputs)[:, k].sum(), inputs)
    return found, inputs.detach()


def ways(mean: Tensor) -> dict[str, Draw]:
    """Each way to draw a map; `mean` (C,) hides squares."""

    def saliency(model: nn.Module, picture: Tensor, k: int) -> Tensor:
        return attribution.saliency(model, picture, [k], rows=32, generator=torch.Generator().manual_seed(0))[0]

    def occlusion(model: nn.Module, picture: Tensor, k: int) -> Tensor:
        squares = attribution.hidden_squares(model, picture, mean, rows=128)
        return attribution.occlusion(squares, k, (picture.shape[1], picture.shape[2]))

    def activation(model: nn.Module, picture: Tensor, k: int) -> Tensor:
        places = attribution.class_activation(model, picture, [k], stages_in(model, model, picture[None])[-1])
        return interpolate(places[None], picture.shape[1:], mode="bilinear")[0, 0]

    def squared(model: nn.Module, picture: Tensor, k: int) -> Tensor:
        return gradients(model, picture, k, attribution.NOISY)[0].square().sum(dim=(0, 1))

    def gradient(model: nn.Module, picture: Tensor, k: int) -> Tensor:
        return gradients(model, picture, k, 1)[0][0].square().sum(dim=0)

    def times_picture(model: nn.Module, picture: Tensor, k: int) -> Tensor:
        found, inputs = gradients(model, picture, k, 1)
        return (found * inputs)[0].sum(dim=0).abs()

    return {
        "saliency": saliency, "occlusion": occlusion, "class activation": activation, "squared gradients": squared,
        "gradient": gradient, "gradient x picture": times_picture,
    }  # fmt: skip


def agreement(one: Sequence[Tensor], other: Sequence[Tensor]) -> str:
    """The mean rank correlation of maps of the same pictures."""
    pairs = [(a.flatten().numpy(), b.flatten().numpy()) for a, b in zip(one, other, strict=True)]
    found = [float(spearmanr(a, b).statistic) for a, b in pairs if np.ptp(a) > 0 and np.ptp(b) > 0]
    return (f"{np.mean(found):.2f}" if found else "-") + ("" if len(found) == len(pairs) else f" ({len(found)})")


def measured(run: gnomon.Run, pictures: int) -> list[list[str]]:
    """A row per part that is shuffled, with those after it: its name, then the agreement of each way."""
    data = prepare_again(run.folder, None, run.settings, in_memory="give a run on files.", moved="put it back.")
    dev, encoder, model = data.splits["dev"], run.task.encoder, run.model
    chosen = dev.take(np.linspace(0, len(dev) - 1, min(pictures, len(dev))).astype(np.int64))
    inputs = run.task.batch(encoder.encode(chosen), torch.arange(len(chosen)))["image"].float() / 255
    with torch.no_grad():
        classes = model(inputs).argmax(dim=1).tolist()
    drawn = ways(torch.tensor(encoder.mean))
    before = {name: [draw(model, *one) for one in zip(inputs, classes, strict=True)] for name, draw in drawn.items()}
    parts = [name for name, child in model.named_children() if any(True for _ in child.parameters())][::-1]
    rows = [["shuffled", *drawn]]
    for number in range(1, len(parts) + 1):
        other = shuffled(model, parts[:number]).eval()
        after = {name: [draw(other, *one) for one in zip(inputs, classes, strict=True)] for name, draw in drawn.items()}
        rows.append([parts[number - 1], *(agreement(before[name], after[name]) for name in drawn)])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--pictures", type=int, default=40)
    given = parser.parse_args()
    for row in measured(gnomon.load(given.run), given.pictures):
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
