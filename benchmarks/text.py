"""Language models beside other stacks: `python -m benchmarks.text [W5] [W6] [sooner] [--rounds 3] [--epochs 3]`.

W5: an LSTM, W6: a Transformer, on windows of tinyshakespeare, the same sizes, batches, optimiser and tokens in every
stack. `sooner`: seconds of training to the dev loss that nanoGPT's page gives for a CPU (1.88 nats), by a plain loop
of its recipe and by `gnomon fit tinyshakespeare.txt epochs=1`. Each stack in a process of its own, in turn. Wall
seconds are those of training alone, without reading, compiling and judging; CPU seconds tell more on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.workload import DATA, LEARNING_RATE

TEXT = DATA / "tinyshakespeare.txt"
Timed = tuple[list[float], list[float], float]  # of each epoch wall and CPU seconds, and the last training loss


@dataclass(frozen=True)
class Work:
    """A language model and what it is trained on."""

    title: str
    gnomon: Mapping[str, Any]  # the network as settings of gnomon.fit
    window: int
    batch: int
    windows: int  # per epoch
    stacks: tuple[str, ...]

    @property
    def tokens(self) -> int:
        return self.windows * self.window


W5 = Work(
    "LSTM of 512 units on characters, windows of 256, batch 32",
    {"model": "lstm", "units": 512, "layers": 1, "embedding": 128, "dropout": 0.0},
    256, 32, 960, ("gnomon", "gnomon, bfloat16", "by hand", "Keras, torch", "Keras, JAX"),
)  # fmt: skip
W6 = Work(
    "Transformer of 4 layers, 4 heads, width 128 on characters, windows of 128, batch 32",
    {"model": "transformer", "width": 128, "layers": 4, "heads": 4, "dropout": 0.0},
    128, 32, 960, ("gnomon", "gnomon, bfloat16", "by hand", "Lightning"),
)  # fmt: skip
WORKS = {"W5": W5, "W6": W6}
NEEDS = {"Keras, torch": "keras", "Keras, JAX": "jax", "Lightning": "lightning"}


def ids_of(text: str) -> tuple[np.ndarray, int]:
    """(T,) int64, from 1 on: 0 stands before a text; and how many ids there are."""
    places = {piece: number for number, piece in enumerate(sorted(set(text)), start=1)}
    return np.array([places[piece] for piece in text]), len(places) + 1


def windows_of(work: Work) -> tuple[np.ndarray, np.ndarray, int]:
    """(N, T) what stands before each place of a window and what is there, and the number of ids."""
    ids, num_ids = ids_of(TEXT.read_text(encoding="utf-8"))
    targets = ids[: work.tokens].reshape(work.windows, work.window)
    return np.pad(targets[:, :-1], ((0, 0), (1, 0))), targets, num_ids


# --- nets as one writes them in torch -----------------------------------------------------------------------------
def torch_net(work: Work, num_ids: int) -> Any:
    own = work.gnomon
    if own["model"] == "lstm":
        return _lstm(num_ids, own["units"], own["embedding"])
    return _transformer(num_ids, own["width"], own["layers"], own["heads"], work.window)


def _lstm(num_ids: int, units: int, embedding: int) -> Any:
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(num_ids, embedding)
            self.lstm = nn.LSTM(embedding, units, batch_first=True)
            self.head = nn.Linear(units, num_ids)

        def forward(self, ids: Any) -> Any:
            return self.head(self.lstm(self.embedding(ids))[0])

    return Net()


def _transformer(num_ids: int, width: int, layers: int, heads: int, window: int) -> Any:
    """Pre-norm blocks as in GPT-2, with torch's fused attention."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x: Any) -> Any:
            parts = self.qkv(self.norm(x)).unflatten(2, (3, heads, width // heads)).permute(2, 0, 3, 1, 4)
            found = functional.scaled_dot_product_attention(*parts, is_causal=True)
            x = x + self.out(found.transpose(1, 2).flatten(2))
            return x + self.narrow(functional.gelu(self.wide(self.norm2(x))))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.positions = nn.Embedding(num_ids, width), nn.Embedding(window, width)
            self.blocks = nn.Sequential(*[Block() for _ in range(layers)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, num_ids)
            for one in self.modules():
                if isinstance(one, nn.Linear | nn.Embedding):
                    nn.init.normal_(one.weight, std=0.02)

        def forward(self, ids: Any) -> Any:
            x = self.embedding(ids) + self.positions(torch.arange(ids.shape[1]))
            return self.head(self.norm(self.blocks(x)))

    return Net()


# --- stacks -------------------------------------------------------------------------------------------------------
class Clock:
    """Wall and CPU seconds of each epoch."""

    def __init__(self) -> None:
        self.wall, self.cpu = list[float](), list[float]()

    def begin(self) -> None:
        self.began = time.perf_counter(), time.process_time()

    def end(self) -> None:
        self.wall.append(time.perf_counter() - self.began[0])
        self.cpu.append(time.process_time() - self.began[1])


def fitted(path: Path, **settings: Any) -> tuple[Clock, Any]:
    """`gnomon.fit` and the seconds of its epochs, from the first step on, without judging."""
    import gnomon
    from gnomon.training import loop

    clock, judge_epoch = Clock(), loop._end_epoch

    def timed(*args: Any) -> Any:
        clock.end()
        answer = judge_epoch(*args)
        clock.begin()
        return answer

    class FromTheFirstStep:
        def on_phase(self, text: str) -> None: ...
        def on_step(self, epoch: int, batch: int, num_batches: int, loss: float) -> None: ...
        def on_epoch(self, row: Any) -> None: ...
        def on_nudge(self, row: Any) -> None: ...

        def on_ready(self, _ready: Any) -> None:
            clock.begin()

    loop._end_epoch = timed
    try:
        with tempfile.TemporaryDirectory() as folder:
            run = gnomon.fit(
                path, save_every=3600, allocator="keep", runs_folder=folder, follower=FromTheFirstStep(), **settings
            )
            return clock, (run.history, run.evaluation("dev").table)
    finally:
        loop._end_epoch = judge_epoch


def gnomon_with(precision: str) -> Callable[[Work, int], Timed]:
    def run(work: Work, epochs: int) -> Timed:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "text.txt"
            text = TEXT.read_text(encoding="utf-8")
            dev = work.windows // 50
            path.write_text(text[: (work.windows + dev) * work.window], encoding="utf-8")
            clock, (history, _) = fitted(
                path, each="window", window=work.window, batch_size=work.batch, epochs=epochs, optimiser="adam",
                learning_rate=LEARNING_RATE, schedule="constant", weight_decay=0.0, clip_norm=1.0, precision=precision,
                dev=dev / (work.windows + dev), test=0, **work.gnomon,
            )  # fmt: skip
        return clock.wall, clock.cpu, history[-1]["train_loss"]

    return run


def by_hand(work: Work, epochs: int) -> Timed:
    """Tensors in memory, one gather a batch, the fused optimiser."""
    import torch
    from torch.nn.functional import cross_entropy

    before, targets, num_ids = windows_of(work)
    inputs, wanted = torch.from_numpy(before), torch.from_numpy(targets)
    torch.manual_seed(0)
    model, clock, value = torch_net(work, num_ids), Clock(), math.nan
    optimiser = torch.optim.Adam(model.parameters(), LEARNING_RATE, fused=True)
    for _ in range(epochs):
        clock.begin()
        losses = []
        for rows in torch.randperm(len(inputs)).split(work.batch):
            loss = cross_entropy(model(inputs[rows]).flatten(0, 1), wanted[rows].flatten())
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            losses.append(loss.detach())
        value = float(torch.stack(losses).mean())
        clock.end()
    return clock.wall, clock.cpu, value


def lightning(work: Work, epochs: int) -> Timed:
    import lightning
    import torch
    from torch.nn.functional import cross_entropy
    from torch.utils.data import DataLoader, TensorDataset

    before, targets, num_ids = windows_of(work)
    torch.manual_seed(0)
    clock = Clock()

    class Net(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.last = torch_net(work, num_ids), math.nan

        def training_step(self, batch: Any, _index: int) -> Any:
            loss = cross_entropy(self.net(batch[0]).flatten(0, 1), batch[1].flatten())
            self.last = loss.detach()
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), LEARNING_RATE)

    class Timer(lightning.Callback):
        def on_train_epoch_start(self, *_: Any) -> None:
            clock.begin()

        def on_train_epoch_end(self, *_: Any) -> None:
            clock.end()

    net = Net()
    trainer = lightning.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, gradient_clip_val=1.0, callbacks=[Timer()],
    )  # fmt: skip
    loader = DataLoader(
        TensorDataset(torch.from_numpy(before), torch.from_numpy(targets)), batch_size=work.batch, shuffle=True
    )
    trainer.fit(net, loader)
    return clock.wall, clock.cpu, float(net.last)


def keras_on(backend: str) -> Callable[[Work, int], Timed]:
    def run(work: Work, epochs: int) -> Timed:
        os.environ["KERAS_BACKEND"] = backend
        import keras

        before, targets, num_ids = windows_of(work)
        clock = Clock()

        class Timer(keras.callbacks.Callback):
            def on_epoch_begin(self, *_: Any) -> None:
                clock.begin()

            def on_epoch_end(self, *_: Any) -> None:
                clock.end()

        layers = keras.layers
        model = keras.Sequential(
            [
                keras.Input((work.window,), dtype="int32"),
                layers.Embedding(num_ids, work.gnomon["embedding"]),
                layers.LSTM(work.gnomon["units"], return_sequences=True),
                layers.Dense(num_ids),
            ]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(LEARNING_RATE, clipnorm=1.0), loss)
        history = model.fit(before, targets, batch_size=work.batch, epochs=epochs, verbose=0, callbacks=[Timer()])
        return clock.wall, clock.cpu, history.history["loss"][-1]

    return run


STACKS: dict[str, Callable[[Work, int], Timed]] = {
    "gnomon": gnomon_with("float32"),
    "gnomon, bfloat16": gnomon_with("bfloat16"),
    "by hand": by_hand,
    "Lightning": lightning,
    "Keras, torch": keras_on("torch"),
    "Keras, JAX": keras_on("jax"),
}


# --- to 1.88 nats ---------------------------------------------------------------------------------------------------
STEPS, BATCH, BLOCK, RATE, WARMUP = 2_000, 12, 64, 1e-3, 100  # nanoGPT, README and train.py: the CPU of a laptop
LAPTOP = Work(
    "nanoGPT's setting for a CPU", {"model": "transformer", "width": 128, "layers": 4, "heads": 4}, BLOCK, BATCH, 0, ()
)


def recipe(steps: int = STEPS) -> tuple[float, float, float]:
    """A plain loop of nanoGPT's recipe for a CPU: wall and CPU seconds, and nats per character of the last tenth."""
    import torch
    from torch.nn.functional import cross_entropy

    ids, num_ids = ids_of(TEXT.read_text(encoding="utf-8"))
    text, cut = torch.from_numpy(ids), int(0.9 * len(ids))
    torch.manual_seed(0)
    model, clock = torch_net(LAPTOP, num_ids), Clock()
    matrices = [one for one in model.parameters() if one.dim() > 1]
    others = [one for one in model.parameters() if one.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, RATE, betas=(0.9, 0.99))
    places = torch.arange(BLOCK)
    clock.begin()
    for step in range(steps):
        done = max(0.0, (step - WARMUP) / max(1, steps - WARMUP))
        rate = RATE * min(1.0, (step + 1) / WARMUP) * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        starts = torch.randint(cut - BLOCK - 1, (BATCH, 1))
        loss = cross_entropy(model(text[starts + places]).flatten(0, 1), text[starts + places + 1].flatten())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    clock.end()
    rows = text[cut:][: (len(text) - cut - 1) // BLOCK * BLOCK + 1].unfold(0, BLOCK + 1, BLOCK)
    with torch.no_grad():
        said = torch.cat([model(some[:, :-1]) for some in rows.split(256)])
    return clock.wall[0], clock.cpu[0], float(cross_entropy(said.flatten(0, 1), rows[:, 1:].flatten()))


def by_gnomon(**settings: Any) -> tuple[float, float, float]:
    """The default of gnomon, one epoch: the same three."""
    clock, (_, dev) = fitted(TEXT, dev=0.1, test=0, epochs=1, **settings)
    pieces = dev["pieces"].to_numpy()
    return clock.wall[0], clock.cpu[0], float((dev["bits"].to_numpy() * pieces).sum() / pieces.sum() * math.log(2))


SOONER: dict[str, Callable[[], tuple[float, float, float]]] = {
    "plain loop of nanoGPT's recipe": recipe,
    "gnomon fit epochs=1": by_gnomon,
    "gnomon fit epochs=1 precision=bfloat16": lambda: by_gnomon(precision="bfloat16"),
}


# --- tables ---------------------------------------------------------------------------------------------------------
def in_a_process(what: str, stack: str, epochs: int) -> Any:
    command = [sys.executable, "-m", "benchmarks.text", "one", what, stack, "--epochs", str(epochs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def table(what: str, rounds: int, epochs: int, ask: Callable[[str, str, int], Any] = in_a_process) -> list[str]:
    """The rows of one workload: medians over the rounds of the rates of all epochs after the first."""
    work = WORKS[what]
    found: dict[str, list[Timed]] = {stack: [] for stack in work.stacks if _is_there(stack)}
    for _ in range(rounds):
        for stack in found:
            found[stack].append(ask(what, stack, epochs))
    lines = [f"{what}: {work.title}, {work.tokens:,} characters per epoch", ""]
    lines += ["| stack | characters/s | gnomon / it | by CPU seconds | loss |", "|---|---|---|---|---|"]
    rates = {stack: [_rate(work, runs, part) for part in (0, 1)] for stack, runs in found.items()}
    for stack, runs in found.items():
        ratios = [rates["gnomon"][part] / rates[stack][part] for part in (0, 1)]
        lines.append(
            f"| {stack} | {rates[stack][0]:,.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} "
            f"| {median(loss for _, _, loss in runs):.3f} |"
        )
    return lines


def _is_there(stack: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(NEEDS.get(stack, "torch")) is not None


def _rate(work: Work, runs: list[Timed], part: int) -> float:
    return median(work.tokens * len(run[part][1:]) / sum(run[part][1:]) for run in runs)


def sooner_table(rounds: int, ask: Callable[[str, str, int], Any] = in_a_process) -> list[str]:
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in SOONER}
    for _ in range(rounds):
        for name in found:
            found[name].append(ask("sooner", name, 1))
    lines = ["| to 1.88 nats on the last tenth | seconds | CPU seconds | nats |", "|---|---|---|---|"]
    for name, runs in found.items():
        wall, cpu, nats = (median(run[part] for run in runs) for part in range(3))
        lines.append(f"| {name} | {wall:.1f} | {cpu:.1f} | {nats:.3f} |")
    return lines


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.text", description=__doc__)
    parser.add_argument("what", nargs="*", default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args(arguments)
    if options.what[:1] == ["one"]:
        warnings.simplefilter("ignore")
        _, what, stack = options.what
        print("\n" + json.dumps(SOONER[stack]() if what == "sooner" else STACKS[stack](WORKS[what], options.epochs)))
        return
    for what in options.what or [*WORKS, "sooner"]:
        lines = sooner_table(options.rounds) if what == "sooner" else table(what, options.rounds, options.epochs)
        print("\n".join([*lines, ""]), flush=True)


if __name__ == "__main__":
    main()
