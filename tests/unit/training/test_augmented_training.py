"""Training with every kind of augmentation: it resumes bit for bit, and only training sees it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from gnomon import tasks
from gnomon.core.augmentation import KINDS
from gnomon.core.errors import UsageError
from gnomon.core.settings import from_flat, with_values
from gnomon.data.images import ImageExamples
from gnomon.parts.pictures import PictureEncoder, larger
from gnomon.training.evaluate import encode_whole
from gnomon.training.loop import Job, Judged, build_state, train
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.build import fresh_model
from gnomon.workflow.road.follow import Silent
from gnomon.workflow.session import open_session

EVERY = ",".join(KINDS)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    kind = tasks.load("image_classification")
    source = kind.reader.write_sample(tmp_path_factory.mktemp("sample"), seed=0)
    opened = from_flat({"task": kind.name, "batch_size": 8, "epochs": 2, "model": "convnet", "augment": EVERY})
    return open_session(prepare(source, opened, kind), opened)


def job_of(session, settings):
    columns = encode_whole(session.task, session.prepared.splits["train"])
    return Job(
        task=session.task, settings=settings, columns=columns, device=torch.device("cpu"), id_of=str,
        judge=lambda model: Judged(0.5, 0.5, {}), watcher=Silent(), record=lambda row: None, save=lambda state: None,
        stop_asked=lambda: False,
    )  # fmt: skip


@pytest.mark.parametrize("model", ["convnet", "dense"])
def test_a_run_with_every_kind_continues_as_if_it_had_not_stopped(session, model):
    settings = with_values(session.settings, {"model.name": model, "augment": EVERY, "label_smoothing": 0.1})

    def fresh(**more):
        torch.manual_seed(0)
        net = fresh_model(session.task, settings)
        job = dataclasses.replace(job_of(session, settings), **more)
        return net, job, build_state(job, net)

    whole, job, state = fresh()
    train(job, state)
    kept = []
    _, job, state = fresh(save=lambda one: kept.append(one.files()))
    job = dataclasses.replace(job, stop_asked=lambda: state.counters.step >= 3)
    train(job, state)
    net, job, state = fresh()
    torch.manual_seed(999)
    state.load(kept[-1])
    assert state.counters.step == 3
    train(job, state)
    assert state.counters.finished
    assert all(torch.equal(one, net.state_dict()[name]) for name, one in whole.state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_changes_pictures_by_the_seed_alone_and_never_what_is_judged(session, kind):
    columns = encode_whole(session.task, session.prepared.splits["train"])
    indices = torch.arange(16)
    regularise = from_flat({"augment": kind}).regularise
    plain = session.task.batch(columns, indices)["image"].clone()
    one, again, other = (
        session.task.augment(session.task.collate(columns, indices), regularise, torch.Generator().manual_seed(seed))[
            "image"
        ]
        for seed in (1, 1, 2)
    )
    assert one.dtype == torch.uint8
    assert one.shape == plain.shape
    assert one.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert not torch.equal(one, plain)
    assert torch.equal(session.task.batch(columns, indices)["image"], plain)


# --- crops of a larger stored picture -------------------------------------------------------------------------------


def photos(side=40, count=24):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8), np.arange(count) % 2


def test_what_is_stored_has_the_pixels_that_the_smallest_crop_needs_and_no_more():
    sizes = np.full((5, 2), 100)
    assert larger(sizes, 32, 32, 0.0) is None
    assert larger(sizes, 32, 32, 0.5) == (45, 45)  # 32 / sqrt(1 - 0.5)
    assert larger(sizes, 32, 32, 0.9) == (64, 64)  # never more than twice as large
    assert larger(np.full((5, 2), 36), 32, 32, 0.5) == (36, 36)  # there is no more
    assert larger(np.full((5, 2), 32), 32, 32, 0.5) is None
    assert larger(np.full((5, 2), 20), 32, 32, 0.5) is None


def test_crops_come_from_the_larger_picture_and_the_whole_of_it_is_judged():
    kind = tasks.load("image_classification")
    opened = from_flat(
        {"task": kind.name, "image_size": 20, "augment": "crop:0.5", "model": "convnet", "pretrained": False}
    )
    session = open_session(prepare(photos(), opened, kind), opened)
    encoder = session.task.encoder
    assert isinstance(encoder, PictureEncoder)
    assert encoder.stored == (28, 28)
    train_split = session.prepared.splits["train"]
    assert isinstance(train_split, ImageExamples)
    columns = encode_whole(session.task, train_split)
    assert columns["image"].shape[1:] == (28, 28, 3)
    indices = torch.arange(len(train_split))
    judged = session.task.batch(columns, indices)["image"]
    assert judged.shape[1:] == (3, 20, 20)
    direct = torch.from_numpy(train_split.pixels(20, 20, 3)).permute(0, 3, 1, 2)
    assert (judged.float() - direct.float()).abs().mean() < 12  # of noise with a deviation of 40: the same pictures
    cropped = session.task.augment(
        session.task.collate(columns, indices), session.settings.regularise, torch.Generator().manual_seed(0)
    )["image"]
    assert cropped.shape == judged.shape
    assert any("28x28 in memory" in note for note in session.prepared.notes)


# --- what a task cannot have, or should not --------------------------------------------------------------------------

TABLE = {"a": [0.5 * (i % 7) for i in range(40)], "kind": ["x", "y"] * 20}


@pytest.mark.parametrize("settings", [{"augment": "rotate"}, {"rotate": 15}, {"mixup": 0.2}, {"augment": "cutmix"}])
def test_augmentation_is_refused_on_tables_in_one_answer(settings):
    import polars as pl

    import gnomon

    with pytest.raises(UsageError, match=r"would have no effect here: it needs .*pictures|training examples that can"):
        gnomon.fit(pl.DataFrame(TABLE), "kind", epochs=1, **settings)


def notes_of(names, augment, channels=1):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (30, 12, 12, *((3,) if channels == 3 else ())), dtype=np.uint8)
    opened = from_flat({"augment": augment, "epochs": 1, "pretrained": False})
    session = open_session(prepare((pixels, [names[i % len(names)] for i in range(30)]), opened), opened)
    return [note for note in session.prepared.notes if "advised against" in note]


def test_mirrored_digits_are_advised_against_in_one_line_and_not_refused():
    assert notes_of("012", "shift,mirror") == [
        "classes 0, 1, 2: mirrored, a character is another one or none: advised against"
    ]
    assert len(notes_of("bd", "updown")) == 1
    assert len(notes_of("69", "rotate:180")) == 1
    assert not notes_of("012", "shift,rotate")
    assert not notes_of(["cat", "dog"], "mirror")
    assert not notes_of("012", "mirror", channels=3)
