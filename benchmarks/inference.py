"""How long a trained net takes for one picture: `python -m benchmarks.inference [--threads 1] [--seconds 2]`.

The nets of W2 (a small convnet, 28x28 gray) and W3 (ResNet-20, 32x32 colour) with random weights, on 1 and on 64
pictures. Rows: what `gnomon predict` does with one encoded batch, computed by torch and by onnxruntime (engine=onnx);
an onnxruntime session alone, given its array; the net as torch traces and freezes it. In turn, several rounds; a row
is the median of its calls in the quietest round, so that other programs count for little.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from gnomon.core import found
from gnomon.core.family import PictureInputs, Wanted
from gnomon.core.task import Task
from gnomon.parts.one_class import ClassHead, ClassJudge
from gnomon.parts.pictures import PictureEncoder
from gnomon.training.evaluate import Member, judging
from gnomon.training.onnx_engine import exported, with_engine

NETS = {"W2": ("convnet", 28, 1, {"channels": (32, 64), "hidden": (128,)}), "W3": ("resnet20", 32, 3, {})}
BATCHES = (1, 64)
ROUNDS = 5


def member_of(work: str) -> Member:
    """The net of a workload, as a run has it, with ten classes."""
    name, side, channels, own = NETS[work]
    family, mean, std = found.family(name), (0.5,) * channels, (0.25,) * channels
    net = family.build(
        Wanted(name, PictureInputs(channels, side, side, mean, std), family.settings(**own), (), 10)
    ).eval()
    head = ClassHead(tuple("0123456789"))
    encoder = PictureEncoder(side, side, channels, mean, std)
    return Member(Task(found.task("image_classification"), encoder, head, ClassJudge.of(head)), net)


def rows_of(member: Member, batch: dict[str, torch.Tensor], threads: int) -> dict[str, Callable[[], Any]]:
    """What is timed, by name; each gives the same answers."""
    import onnxruntime

    net, pictures = member.model, batch["image"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        exported(net, [pictures[[0, 0]]]), options, providers=["CPUExecutionProvider"]
    )
    array = np.ascontiguousarray(pictures.numpy())
    through = replace(member, model=with_engine(net, "onnx"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch.jit goes; it is timed as long as it is there
        frozen = torch.jit.freeze(torch.jit.trace(net, pictures))
    return {
        "gnomon": lambda: member.outputs(batch),
        "gnomon, engine=onnx": lambda: through.outputs(batch),
        "onnxruntime alone": lambda: session.run(None, {"x0": array})[0],
        "torch, traced and frozen": lambda: frozen(pictures),
    }


def measured(work: str, size: int, threads: int, seconds: float) -> dict[str, float]:
    """Microseconds per call of each row: the median of the quietest of ROUNDS rounds."""
    torch.set_num_threads(threads)
    member = member_of(work)
    _, side, channels, _ = NETS[work]
    drawn = torch.Generator().manual_seed(0)
    stored = torch.randint(0, 256, (size, side, side, channels), dtype=torch.uint8, generator=drawn)
    batch = {"image": stored.permute(0, 3, 1, 2)}
    with judging(member.model):
        rows = rows_of(member, batch, threads)
        wanted = torch.as_tensor(rows["gnomon"]())
        for one in rows.values():
            torch.testing.assert_close(torch.as_tensor(one()), wanted, atol=1e-5, rtol=1e-5)
        rounds = [{name: _median(one, seconds / ROUNDS) for name, one in rows.items()} for _ in range(ROUNDS)]
    return {name: min(one[name] for one in rounds) for name in rows}


def _median(call: Callable[[], Any], seconds: float) -> float:
    taken: list[float] = []
    for _ in range(5):
        call()
    while sum(taken) < seconds or len(taken) < 5:
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return 1e6 * float(np.median(taken))


def table(works: Sequence[str], threads: int, seconds: float) -> list[str]:
    """Lines of a Markdown table: microseconds per call, and how many times that of onnxruntime alone."""
    found_here = {(work, size): measured(work, size, threads, seconds) for work in works for size in BATCHES}
    titles = [f"{work}, {size} picture{'s' if size > 1 else ''}" for work, size in found_here]
    lines = [f"| µs per call, {threads} thread{'s' if threads > 1 else ''} | {' | '.join(titles)} |"]
    lines.append("|---" * (len(titles) + 1) + "|")
    for row in next(iter(found_here.values())):
        cells = [f"{one[row]:,.0f} ({one[row] / one['onnxruntime alone']:.2f})" for one in found_here.values()]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each row")
    options = parser.parse_args()
    print("\n".join(table(tuple(NETS), options.threads, options.seconds)))


if __name__ == "__main__":
    main()
