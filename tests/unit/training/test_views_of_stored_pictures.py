"""Pictures stored larger than the model takes them: a random part of each in training, the centre everywhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import pytest
import torch

from gnomon import tasks
from gnomon.core.parts import Batch, Encoder
from gnomon.core.settings import from_flat
from gnomon.parts.pictures import PictureEncoder
from gnomon.training.evaluate import encode_whole, evaluate, predict
from gnomon.training.loop import Job, Judged, build_state, train
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.build import fresh_model, layers_of
from gnomon.workflow.road.follow import Silent
from gnomon.workflow.session import open_session

SIDE = 8  # of 12 that are stored


@final
@dataclass(frozen=True)
class Cropping(Encoder):
    """Stores what PictureEncoder stores; the model takes 8 x 8 pixels of it."""

    stored: PictureEncoder

    @classmethod
    def fit(cls, train, settings):
        return cls(PictureEncoder.fit(train, settings))

    @property
    def inputs(self) -> Any:
        return replace(self.stored, height=SIDE, width=SIDE).inputs

    def encode(self, examples) -> Mapping[str, Any]:
        return self.stored.encode(examples)

    def collate(self, columns, indices) -> Batch:
        return self.stored.collate(columns, indices)

    def augment(self, batch, settings, generator) -> Batch:
        top, left = (int(torch.randint(0, 12 - SIDE + 1, (1,), generator=generator)) for _ in range(2))
        return {**batch, "image": batch["image"][:, :, top : top + SIDE, left : left + SIDE]}

    def plain(self, batch) -> Batch:
        return {**batch, "image": batch["image"][:, :, 2 : 2 + SIDE, 2 : 2 + SIDE]}

    def arguments(self, model, batch) -> tuple[Any, ...]:
        return self.stored.arguments(model, batch)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    kind = tasks.load("image_classification")
    source = kind.reader.write_sample(tmp_path_factory.mktemp("sample"), seed=0)
    opened = from_flat({"task": kind.name, "batch_size": 8, "epochs": 2, "model": "convnet", "augment": "none"})
    session = open_session(prepare(source, opened, kind), opened)
    task = replace(session.task, encoder=Cropping(session.task.encoder))
    return replace(session, task=task, model=fresh_model(task, session.settings))


def seen_by(model) -> list[torch.Tensor]:
    """The pictures that reach the model, from here on."""
    seen: list[torch.Tensor] = []
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    return seen


def test_training_sees_random_crops_and_evaluation_the_centre(session):
    train_split, dev = session.prepared.splits["train"], session.prepared.splits["dev"]
    columns = encode_whole(session.task, train_split)
    job = Job(
        task=session.task, settings=session.settings, columns=columns, device=torch.device("cpu"), id_of=str,
        judge=lambda model: Judged(0.5, 0.5, {}), watcher=Silent(), record=lambda row: None, save=lambda state: None,
        stop_asked=lambda: False,
    )  # fmt: skip
    stored = columns["image"].permute(0, 3, 1, 2)
    seen = seen_by(session.model)
    train(job, build_state(job, session.model))
    corners = set()
    for batch in seen:
        assert batch.shape[2:] == (SIDE, SIDE)
        corners |= {
            (top, left)
            for top in range(5)
            for left in range(5)
            if all((stored[:, :, top : top + SIDE, left : left + SIDE] == one).all((1, 2, 3)).any() for one in batch)
        }
    assert len(corners) > 2

    seen.clear()
    first = evaluate(session.task, session.model, dev, split="dev", source="", device=torch.device("cpu"))
    assert all((batch.shape[2], batch.shape[3]) == (SIDE, SIDE) for batch in seen)
    assert torch.equal(
        torch.cat(seen[1:]), encode_whole(session.task, dev)["image"].permute(0, 3, 1, 2)[:, :, 2:10, 2:10]
    )
    again = predict(session.task, session.model, dev, device=torch.device("cpu"))
    assert first.table["prediction"].equals(again["prediction"])
    assert np.isfinite(first.table["loss"].to_numpy()).all()


def test_the_layer_table_starts_at_the_models_input(session):
    first = next(
        row for row in layers_of(session.task, session.model, session.prepared.splits["train"]) if row.parameters
    )
    assert first.output_shape[1:] == (SIDE, SIDE)
