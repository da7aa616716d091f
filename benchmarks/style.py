"""Style transfer beside the loop of PyTorch's tutorial: the same net, layers, pictures and number of steps.

    python -m benchmarks.style [--steps 100] [--size 400] [--repeats 3]

The tutorial's way: a Sequential with a module after each layer that keeps the loss, torch.optim.LBFGS as it comes,
pixels cut to [0, 1] in each step. gnomon paints at one size here (scales=1), with its margin of 4 pixels on each side.
Both are timed from the first step to the last; a step is one evaluation of loss and gradient. Each repeat is its own
process, and gnomon has allocator=keep, as `gnomon style` has.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor, nn
from torch.nn import functional

import gnomon
from gnomon.crafts.style_transfer.eyes import DEFAULT, trained_net, usual_layers

STACKS = ("gnomon", "tutorial")


@dataclass(frozen=True)
class Timed:
    """Of all steps together."""

    wall: float  # seconds
    cpu: float
    style: float  # relative distance of the Gram matrices at the end


class ContentLoss(nn.Module):
    """Hands its input on and keeps how far it is from the target."""

    def __init__(self, target: Tensor) -> None:
        super().__init__()
        self.target = target.detach()

    def forward(self, x: Tensor) -> Tensor:
        self.loss = functional.mse_loss(x, self.target) / self.target.square().mean()
        return x


class StyleLoss(nn.Module):
    """The same of the Gram matrix of its input."""

    def __init__(self, target: Tensor) -> None:
        super().__init__()
        self.target = gram_matrix(target).detach()

    def forward(self, x: Tensor) -> Tensor:
        self.loss = functional.mse_loss(gram_matrix(x), self.target) / self.target.square().mean()
        return x


def gram_matrix(x: Tensor) -> Tensor:
    batch, channels, height, width = x.size()
    features = x.view(batch * channels, height * width)
    return torch.mm(features, features.t()).div(height * width)


def tutorial(content: Tensor, style: Tensor, steps: int) -> Timed:
    net, _ = trained_net(DEFAULT, None)
    net.eval().requires_grad_(False)
    content_layer, style_layers = usual_layers(DEFAULT, net)
    model, keeps, likes = nn.Sequential(net.normalise), list[ContentLoss](), list[StyleLoss]()
    for stage in ("stem", "stage1", "stage2", "stage3", "stage4"):
        part = net.get_submodule(stage)
        blocks = part.named_children() if isinstance(part, nn.Sequential) else [("", part)]
        for number, block in blocks:
            name = f"{stage}.{number}" if number else stage
            model.add_module(name.replace(".", "_"), block)
            if name == content_layer:
                keeps.append(ContentLoss(model(content)))
                model.add_module("content", keeps[-1])
            if name in style_layers:
                likes.append(StyleLoss(model(style)))
                model.add_module(f"style{len(likes)}", likes[-1])
    picture = content.clone().requires_grad_(True)
    optimiser, made = torch.optim.LBFGS([picture]), [0]
    wall, cpu = time.perf_counter(), time.process_time()
    while made[0] < steps:

        def closure() -> Tensor:
            with torch.no_grad():
                picture.clamp_(0, 1)
            optimiser.zero_grad()
            model(picture)
            loss = sum(one.loss for one in keeps) + 10.0 * sum(one.loss for one in likes) / len(likes)
            across = (picture[..., 1:] - picture[..., :-1]).square().mean()
            loss = loss + 10.0 * (across + (picture[..., 1:, :] - picture[..., :-1, :]).square().mean())
            # The tutorial's weight of the style is 1,000,000: gradients of means are too small for the tolerances.
            loss = loss * picture.numel()
            loss.backward()
            made[0] += 1
            return loss

        optimiser.step(closure)
    spent = (time.perf_counter() - wall) * steps / made[0], (time.process_time() - cpu) * steps / made[0]
    with torch.no_grad():
        model(picture.clamp_(0, 1))
    return Timed(*spent, float(sum(one.loss for one in likes) / len(likes)))


def with_gnomon(content: Path, style: Path, size: int, steps: int, scratch: Path) -> Timed:
    marks = list[tuple[float, float]]()

    class Clock:
        """Notes the clocks when the steps begin, and when they end."""

        def on_begun(self, _begun: object) -> None:
            marks.append((time.perf_counter(), time.process_time()))

        def on_epoch(self, _row: dict[str, object]) -> None:
            marks.append((time.perf_counter(), time.process_time()))

    made = gnomon.style(
        content, style, image_size=size, epochs=max(1, steps // 20), scales=1, save_every=3600, follower=Clock(),
        threads=torch.get_num_threads(), allocator="keep", runs_folder=str(scratch / "runs"),
    ).made  # fmt: skip
    spent = (last - first for first, last in zip(marks[0], marks[-1], strict=True))
    return Timed(*spent, made.measures["distance from the style"])


def one(stack: str, size: int, steps: int) -> Timed:
    """A repeat, in this process."""
    with tempfile.TemporaryDirectory() as name:
        places, tensors = list[Path](), list[Tensor]()
        for which in ("china", "flower"):
            picture = Image.fromarray(load_sample_image(f"{which}.jpg"))
            picture = picture.resize((size, round(size * picture.height / picture.width)))
            places.append(Path(name) / f"{which}.png")
            picture.save(places[-1])
            tensors.append(torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].contiguous() / 255)
        if stack == "gnomon":
            return with_gnomon(places[0], places[1], size, steps, Path(name))
        return tutorial(tensors[0], tensors[1], steps)


def elsewhere(stack: str, size: int, steps: int) -> Timed:
    """A repeat, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.style", "--one", stack, "--size", str(size), "--steps", str(steps)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Timed(**json.loads(done.stdout.splitlines()[-1]))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--size", type=int, default=400, help="pixels of the longer side")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", choices=STACKS, help="one repeat of this stack in this process, as JSON")
    given = parser.parse_args(arguments)
    if given.one:
        print(json.dumps(asdict(one(given.one, given.size, given.steps))))
        return
    found: dict[str, list[Timed]] = {stack: [] for stack in STACKS}
    for _ in range(given.repeats):
        for stack in STACKS:
            found[stack].append(elsewhere(stack, given.size, given.steps))
    print("| | ms per step | CPU ms per step | distance from the style |\n|---|---|---|---|")
    for stack, times in found.items():
        wall, cpu = (1000 * median(getattr(one, clock) for one in times) / given.steps for clock in ("wall", "cpu"))
        print(f"| {stack} | {wall:.1f} | {cpu:.1f} | {times[-1].style:.4f} |")
    ratios = [theirs.cpu / ours.cpu for ours, theirs in zip(*found.values(), strict=True)]
    print(f"\n{median(ratios):.2f} times as many steps per CPU second, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
