"""Training of the default detector beside a loop by hand: `python -m benchmarks.detector [--rounds 5] [--side 320]`.

The same net with the same starting weights on the same pictures of blood-cells-voc, in one process and turn by turn,
some steps of each. A step of the plain loop is that of most tutorials: a data set that opens and resizes each photo
with Pillow and mirrors half of them, a DataLoader, the net in torch's usual memory layout, forward, loss, backward,
AdamW. A step of gnomon is that of `gnomon fit`: pictures are in memory as bytes, are moved and recoloured by the batch,
the net lies channels last, its first two stages are frozen as the default has it. "gnomon, all stages" trains them
too, as the plain loop does; "plain loop, kept" has all pictures in memory, decoded and resized.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks.workload import DATA

STEPS = 6  # of each, in turn


class Photos(Dataset):
    """As in most tutorials: opened, resized and mirrored one by one. `kept`: only opened the first time."""

    def __init__(self, annotations: Any, size: tuple[int, int], *, kept: bool) -> None:
        self.annotations, self.size = annotations, size
        self.index = [i for i, one in enumerate(annotations.pictures) if one.split in ("train", "all")]
        self.kept: dict[int, np.ndarray] | None = {} if kept else None

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        place = self.index[i]
        picture = self.annotations.pictures[place]
        scale = min(self.size[0] / picture.height, self.size[1] / picture.width)
        pixels = torch.from_numpy(self._pixels(place, scale)).permute(2, 0, 1).float() / 255
        objects = self.annotations.objects(place)
        boxes = torch.tensor([one.box for one in objects]).reshape(-1, 4) * scale
        if torch.rand(()) < 0.5:
            pixels = pixels.flip(2)
            boxes[:, [0, 2]] = self.size[1] - boxes[:, [2, 0]]
        return pixels, boxes, torch.tensor([one.label for one in objects])

    def _pixels(self, place: int, scale: float) -> np.ndarray:
        if self.kept is not None and place in self.kept:
            return self.kept[place]
        picture = self.annotations.pictures[place]
        with Image.open(io.BytesIO(self.annotations.tree.read(picture.file))) as photo:
            small = photo.convert("RGB").resize((round(picture.width * scale), round(picture.height * scale)))
        pixels = np.full((*self.size, 3), 114, np.uint8)
        pixels[: small.height, : small.width] = np.asarray(small)
        if self.kept is not None:
            self.kept[place] = pixels
        return pixels


def together(examples: list[tuple[torch.Tensor, ...]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    most = max(1, *(len(kinds) for _, _, kinds in examples))
    boxes, kinds = torch.zeros(len(examples), most, 4), torch.full((len(examples), most), -1)
    for row, (_, own, labels) in enumerate(examples):
        boxes[row, : len(own)], kinds[row, : len(own)] = own, labels
    return torch.stack([pixels for pixels, _, _ in examples]), boxes, kinds


def plain_steps(model: Any, photos: Photos, batch: int) -> Callable[[], None]:
    """What does one step."""
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3)
    loader = DataLoader(photos, batch, shuffle=True, collate_fn=together, drop_last=True)

    def forever() -> Iterator[tuple[torch.Tensor, ...]]:
        while True:
            yield from loader

    batches = forever()

    def step() -> None:
        pictures, boxes, kinds = next(batches)
        optimiser.zero_grad()
        model.losses(model(pictures), boxes, kinds).mean().backward()
        optimiser.step()

    return step


def gnomon_steps(session: Any) -> Callable[[], None]:
    from gnomon.nn.groups import set_training
    from gnomon.training.evaluate import encode_whole
    from gnomon.training.loop import Job, Judged, build_state, step
    from gnomon.workflow.road.follow import Silent

    columns = encode_whole(session.task, session.prepared.splits["train"])
    job = Job(
        task=session.task, settings=session.settings, columns=columns, device=session.device, id_of=str,
        judge=lambda _model: Judged(0.5, 0.5, {}), watcher=Silent(), record=lambda _row: None,
        save=lambda _state: None, stop_asked=lambda: False,
    )  # fmt: skip
    state, draw = build_state(job, session.model), torch.Generator().manual_seed(0)
    set_training(session.model)
    count, batch = len(session.prepared.splits["train"]), session.settings.optimiser.batch_size

    def one() -> None:
        step(job, state, torch.randperm(count, generator=draw)[:batch], 1e-3)

    return one


def in_turn(ways: Mapping[str, Callable[[], None]], rounds: int, steps: int, batch: int) -> dict[str, list[float]]:
    """Pictures per second of CPU time in each round: other work on the machine does not change it much."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(rounds + 1):  # the first warms up
        for name, step in ways.items():
            began = time.process_time()
            for _ in range(steps):
                step()
            if round_:
                rates[name].append(batch * steps / (time.process_time() - began))
    return rates


def main() -> None:
    from gnomon.core.settings import DataSettings, from_flat
    from gnomon.data.annotations.reading import read_annotations
    from gnomon.data.trees import FolderTree
    from gnomon.workflow.prepare import prepare
    from gnomon.workflow.road.build import fresh_model
    from gnomon.workflow.session import open_session

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", type=int, default=0, help="pixels of the longer side (0: as gnomon fit has it)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--data", default=str(DATA / "blood-cells-voc"))
    parser.add_argument("--backbone", default="")
    given = parser.parse_args()
    own = {"backbone": given.backbone} if given.backbone else {}
    more = {"image_size": given.side} if given.side else {}

    def opened(**changed: Any) -> Any:
        settings = from_flat({"model": "detector", "threads": given.threads, **own, **more, **changed})
        return open_session(prepare(given.data, settings), settings)

    session, whole = opened(), opened(freeze="none")
    batch = session.settings.optimiser.batch_size
    torch.set_num_threads(given.threads)
    size = (session.task.encoder.height, session.task.encoder.width)
    annotations = read_annotations(FolderTree(given.data), DataSettings())

    def plain(*, kept: bool) -> Callable[[], None]:
        model = fresh_model(whole.task, whole.settings)
        return plain_steps(model.train(), Photos(annotations, size, kept=kept), batch)

    ways = {
        "gnomon": gnomon_steps(session), "gnomon, all stages": gnomon_steps(whole), "plain loop": plain(kept=False),
        "plain loop, kept": plain(kept=True),
    }  # fmt: skip
    rates = in_turn(ways, given.rounds, given.steps, batch)
    print(f"pictures of {size[1]}x{size[0]}, batches of {batch}, {given.threads} threads, seconds of CPU time")
    for name, found in rates.items():
        ratios = [a / b for a, b in zip(rates["gnomon"], found, strict=True)]
        print(f"{name:20} {statistics.median(found):6.1f} pictures/s   gnomon / it {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
