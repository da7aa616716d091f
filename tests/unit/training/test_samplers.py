"""Samplers: what is seen, in which batches, how much is padded; and that a stopped run draws the same again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gnomon import tasks
from gnomon.core.settings import from_flat
from gnomon.data.columns import Ragged
from gnomon.training.evaluate import encode_whole
from gnomon.training.loop import Job, Judged, build_state, train
from gnomon.training.samplers import Epoch, by_identity, by_length, every_example, shuffled
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.build import fresh_model
from gnomon.workflow.road.follow import Silent
from gnomon.workflow.session import open_session


def batches_of(epoch: Epoch, batch_size: int) -> list[list[int]]:
    found, seen = [], 0
    while seen < len(epoch.order):
        end = epoch.end_after(seen, batch_size)
        found.append(epoch.order[seen:end].tolist())
        seen = end
    return found


def ragged(lengths) -> Ragged:
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    return Ragged(torch.zeros(int(offsets[-1])), offsets)


@given(
    lengths=st.lists(st.integers(0, 30), min_size=2, max_size=120),
    seed=st.integers(0, 99),
    epoch=st.integers(0, 5),
    size=st.integers(2, 9),
)
def test_by_length_sees_every_example_once_in_batches_of_the_size(lengths, seed, epoch, size):
    batches = batches_of(by_length("words")({"words": ragged(lengths)}, seed, epoch, size), size)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    sizes = [len(batch) for batch in batches]
    assert 1 not in sizes
    assert sum(one != size for one in sizes) <= 1  # the last that was cut
    again = by_length("words")({"words": torch.tensor(lengths)}, seed, epoch, size)  # lengths in a plain column
    assert batches_of(again, size) == batches


def test_by_length_needs_a_twentieth_of_the_padding_of_shuffled_batches():
    """Lengths 1 to 100, evenly. A shuffled batch of 32 is padded to about 97, of a mean of 50.5: half is padding."""
    lengths = torch.from_numpy(np.random.default_rng(0).integers(1, 101, 6400))

    def padding(sampler) -> float:
        batches = batches_of(sampler({"words": lengths}, 0, 0, 32), 32)
        padded = sum(int(lengths[batch].max()) * len(batch) for batch in batches)
        return 1 - int(lengths.sum()) / padded

    assert padding(every_example) == pytest.approx(1 - 50.5 / 97, abs=0.02)
    assert padding(by_length("words")) < 0.05 * padding(every_example) * 1.3


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("batch_size", [8, 32, 128])
@pytest.mark.parametrize(
    ("kind", "draw"),
    [
        ("sentences", lambda rng: rng.negative_binomial(3, 3 / 22, 4_000) + 1),  # mean 20, deviation 12
        ("names", lambda rng: rng.binomial(14, 0.45, 4_000) + 1),
        ("reviews", lambda rng: np.exp(rng.normal(5.2, 0.6, 4_000)).astype(int) + 1),  # median 180, some of 1,000
        ("all of one length", lambda rng: np.full(4_000, 7)),
    ],
)
def test_padding_by_length_is_less_than_a_tenth_of_the_steps(kind, draw, batch_size, seed):
    lengths = torch.from_numpy(draw(np.random.default_rng(seed)))
    for epoch in range(2):
        batches = batches_of(by_length("words")({"words": lengths}, seed, epoch, batch_size), batch_size)
        padded = sum(int(lengths[batch].max()) * len(batch) for batch in batches)
        assert 1 - int(lengths.sum()) / padded < 0.1, kind


def test_by_length_neither_begins_with_the_short_ones_nor_repeats_an_epoch():
    lengths = torch.from_numpy(np.random.default_rng(1).integers(1, 101, 3200))
    sampler = by_length("words")
    first, second = (batches_of(sampler({"words": lengths}, 3, epoch, 32), 32) for epoch in (0, 1))
    means = [float(lengths[batch].double().mean()) for batch in first]
    assert abs(np.corrcoef(np.arange(100), means)[0, 1]) < 0.3  # 3 standard errors of 100 independent batches
    assert {frozenset(batch) for batch in first}.isdisjoint({frozenset(batch) for batch in second})


@given(
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=25),
    each=st.integers(2, 4),
    many=st.integers(2, 5),
    seed=st.integers(0, 99),
)
def test_by_identity_mixes_different_identities_with_several_examples_each(sizes, each, many, seed):
    identity = torch.cat([torch.full((count,), 7 * i) for i, count in enumerate(sizes)])
    if sum(count >= 2 for count in sizes) < 2:
        with pytest.raises(ValueError, match="no two identities"):
            by_identity("who", each)({"who": identity}, seed, 0, each * many)
        return
    batches = batches_of(by_identity("who", each)({"who": identity}, seed, 0, each * many), each * many)
    seen = [i for batch in batches for i in batch]
    assert len(seen) == len(set(seen))
    for batch in batches:
        found, counts = identity[batch].unique(return_counts=True)
        assert 2 <= len(found) <= many
        for one, count in zip(found.tolist(), counts.tolist(), strict=True):
            assert count == min(each, sizes[one // 7])
    lost = identity[sorted(set(range(len(identity))) - set(seen))]
    rests = {i: count % each if count >= each else count == 1 for i, count in enumerate(sizes)}
    alone = [i for i in rests if int((lost == 7 * i).sum()) > rests[i]]
    assert len(alone) <= 1  # whoever has groups left when nobody else has


def test_by_identity_uses_the_remainders_in_other_epochs():
    identity = torch.arange(10).repeat_interleave(5)
    seen = set()
    for epoch in range(12):
        seen |= set(by_identity("who", 2)({"who": identity}, 0, epoch, 8).order.tolist())
    assert len(seen) == 50


def test_a_task_without_a_sampler_keeps_its_order():
    epoch = every_example({"x": torch.zeros(11, 2)}, 5, 3, 4)
    assert epoch.order.tolist() == shuffled(11, 5, 3).tolist()
    assert [len(batch) for batch in batches_of(epoch, 4)] == [4, 4, 3]
    assert [len(batch) for batch in batches_of(epoch, 5)] == [5, 6]  # no example alone


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    kind = tasks.load("image_classification")
    source = kind.reader.write_sample(tmp_path_factory.mktemp("sample"), seed=0)
    opened = from_flat({"task": kind.name, "batch_size": 8, "epochs": 3, "dropout": 0.3, "model": "dense"})
    return open_session(prepare(source, opened, kind), opened)


@pytest.mark.parametrize("stop_at", [1, 2, 3, 5])
@pytest.mark.parametrize("sampler", [by_identity("target", 2), by_length("size")], ids=["identity", "length"])
def test_a_stopped_run_continues_with_the_same_batches(session, sampler, stop_at):
    task = dataclasses.replace(session.task, kind=dataclasses.replace(session.task.kind, sampler=sampler))
    columns = dict(encode_whole(task, session.prepared.splits["train"]))
    columns["size"] = columns["image"].flatten(1).sum(dim=1)
    steps: list[int] = []

    def fresh(save=lambda state: None, stop=lambda: False):
        torch.manual_seed(0)
        job = Job(
            task=task, settings=session.settings, columns=columns, device=torch.device("cpu"), id_of=str,
            judge=lambda model: Judged(0.5, 0.5, {}), watcher=Silent(), record=lambda row: steps.append(row["step"]),
            save=save, stop_asked=stop,
        )  # fmt: skip
        return job, build_state(job, fresh_model(task, session.settings))

    job, whole = fresh()
    train(job, whole)
    kept: list[dict[str, bytes]] = []
    job, stopped = fresh(save=lambda state: kept.append(state.files()), stop=lambda: stopped.counters.step >= stop_at)
    train(job, stopped)
    assert not stopped.counters.finished
    job, state = fresh()
    torch.manual_seed(54321)
    state.load(kept[-1])
    train(job, state)
    assert state.counters.finished
    assert state.counters.step == whole.counters.step
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, state.model.state_dict()[name]), name


def test_by_length_of_two_columns_pads_both_little():
    """Sources and targets of pairs: about as long as each other, as sentences and their translations are."""
    rng = np.random.default_rng(0)
    sources = rng.negative_binomial(3, 3 / 17, 8_000) + 2
    targets = np.maximum(1, np.rint(sources * rng.normal(1.1, 0.15, 8_000))).astype(int)
    columns = {"ids": ragged(sources.tolist()), "target": ragged(targets.tolist())}
    batches = batches_of(by_length("ids", "target")(columns, 0, 0, 64), 64)
    assert sorted(i for batch in batches for i in batch) == list(range(8_000))
    padded = sum((sources[batch].max() + targets[batch].max()) * len(batch) for batch in batches)
    assert 1 - (sources.sum() + targets.sum()) / padded < 0.1
