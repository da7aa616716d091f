"""The loop of a craft against the same steps written out with torch's own optimisers."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional

from gnomon import crafts
from gnomon.core.craft import Material
from gnomon.core.seeds import derive
from gnomon.core.settings import from_flat, with_values
from gnomon.training.making import MakingJob, MakingState, make
from gnomon.workflow.road.follow import Silent

NUMBERS = torch.linspace(2.0, 4.0, 24)
MATERIAL = Material(NUMBERS, "24 numbers", "x")
SETTINGS = from_flat(
    {"task": "forgers", "optimiser": "adam", "learning_rate": 0.01, "batch_size": 8, "epochs": 2,
     "schedule": "constant", "weight_decay": 0.0}
)  # fmt: skip


def making(settings=SETTINGS, **more):
    craft, rows, saved = crafts.load("forgers"), [], []
    torch.manual_seed(0)
    model = craft.begin(MATERIAL, settings)
    state = MakingState.begin(craft, copy.deepcopy(model), settings)
    job = MakingJob(
        craft, MATERIAL, settings, Silent(), record=rows.append, stop_asked=more.get("stop", lambda: False),
        save=lambda state: saved.append((state.counters.step, state.files())),
    )  # fmt: skip
    return model, job, state, rows, saved


def by_hand(model, steps):
    """The critic's turn, then the generator's, each changing nothing but itself; the mean loss of each."""
    chance, losses = torch.Generator().manual_seed(derive(0, "make")), []
    critic, generator = model["critic"], model["generator"]
    adam = {name: torch.optim.Adam(part.parameters(), lr=0.01) for name, part in model.items()}
    for _ in range(steps):
        fake = generator(torch.randn(8, 1, generator=chance)).detach()
        real = NUMBERS[torch.randint(24, (8,), generator=chance)][:, None]
        critic_loss = functional.softplus(critic(fake)).mean() + functional.softplus(-critic(real)).mean()
        adam["critic"].zero_grad()
        critic_loss.backward()
        adam["critic"].step()
        generator_loss = functional.softplus(-critic(generator(torch.randn(8, 1, generator=chance)))).mean()
        adam["generator"].zero_grad()
        generator_loss.backward()
        adam["generator"].step()
        losses.append((critic_loss.item(), generator_loss.item()))
    return losses


def test_two_players_take_the_turns_of_a_loop_written_out_by_hand():
    model, job, state, rows, _ = making()
    make(job, state)
    losses = by_hand(model, 6)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(state.model.state_dict()[name], tensor, rtol=1e-5, atol=1e-6)
    for row, first in zip(rows, (0, 3), strict=True):
        mean = [sum(each[i] for each in losses[first : first + 3]) / 3 for i in (0, 1)]
        assert list(row["losses"].values()) == pytest.approx(mean, rel=1e-5)
    assert [row["step"] for row in rows] == [3, 6]
    assert (state.counters.finished, state.counters.ended_because) == (True, "epochs")


def test_a_row_has_the_rate_of_the_last_step_before_it():
    halved = with_values(SETTINGS, {"schedule.name": "exponential", "schedule.decay": 0.5})
    _, job, state, rows, _ = making(halved)
    make(job, state)
    assert [row["learning_rate"] for row in rows] == [0.01, 0.005]


def test_a_checkpoint_taken_at_any_step_gives_the_same_end_bit_for_bit():
    _, job, whole, rows, _ = making()
    make(job, whole)
    for stop in range(1, 6):
        asked = iter([False] * (stop - 1) + [True] * 99)
        _, job, state, some, saved = making(stop=lambda asked=asked: next(asked))
        make(job, state)
        assert not state.counters.finished
        [(step, files)] = saved
        _, job, again, rest, _ = making()
        again.load(files, "checkpoint")
        assert again.counters.step == step
        make(job, again)
        ends = [{k: v for k, v in one.files().items() if k != "state.json"} for one in (whole, again)]
        assert ends[0] == ends[1]
        told = [[{k: v for k, v in row.items() if k != "seconds"} for row in each] for each in (rows, some + rest)]
        assert told[0] == told[1]
