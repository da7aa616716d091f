"""The number of threads: by a table, or by what other programs leave, when that is asked for."""

from __future__ import annotations

import pytest
import torch

from gnomon.training import threads


class Machine:
    """A clock that a test moves: `busy` says whether another program holds a processor."""

    def __init__(self, monkeypatch):
        self.wall = self.cpu = 0.0
        self.busy = False
        self.now = 2
        monkeypatch.setattr(threads.time, "monotonic", lambda: self.wall)
        monkeypatch.setattr(threads.time, "process_time", lambda: self.cpu)
        monkeypatch.setattr(threads.torch, "set_num_threads", self.set_threads)

    def set_threads(self, number):
        self.now = number

    def run(self, watch, seconds):
        """Steps of 10 ms with one thread, 6 ms with two, 40 ms with two that wait for a third program."""
        end = self.wall + seconds
        while self.wall < end:
            started = watch.start_step()
            took = 0.010 if self.now == 1 else 0.040 if self.busy else 0.006
            self.wall += took
            self.cpu += took * (1.0 if self.now == 1 else 1.3 if self.busy else 1.99)
            watch.end_step(started)


@pytest.fixture
def machine(monkeypatch):
    return Machine(monkeypatch)


def test_an_idle_machine_keeps_its_threads(machine):
    watch = threads.Threads(2, adaptive=True)
    machine.run(watch, 120)
    assert machine.now == 2


def test_next_to_a_busy_program_one_thread_is_used_until_it_ends(machine):
    watch = threads.Threads(2, adaptive=True)
    machine.busy = True
    machine.run(watch, 5)
    assert machine.now == 1
    machine.run(watch, 25)
    assert machine.now == 1  # settled
    machine.busy = False
    machine.run(watch, threads.SETTLED + 5)
    assert machine.now == 2
    machine.run(watch, 60)
    assert machine.now == 2


def test_a_trial_of_all_threads_on_a_busy_machine_is_given_up(machine):
    watch = threads.Threads(2, adaptive=True)
    machine.busy = True
    shares = []
    for _ in range(10 * int(threads.SETTLED)):
        machine.run(watch, 1.0)
        shares.append(machine.now == 1)
    assert sum(shares) > 0.9 * len(shares)
    assert not all(shares[5:])  # it was tried


def test_threads_waiting_for_something_else_are_kept(machine):
    """A step that idles (a disk, a lock) looks starved; one thread turns out slower, and all come back."""
    watch = threads.Threads(2, adaptive=True)

    def run(seconds):
        end = machine.wall + seconds
        while machine.wall < end:
            started = watch.start_step()
            machine.wall += 0.020 if machine.now == 1 else 0.012
            machine.cpu += 0.010
            watch.end_step(started)

    run(5)
    assert machine.now == 2


def test_by_default_the_number_of_threads_is_kept(machine):
    watch = threads.Threads(2)
    machine.busy = True
    machine.run(watch, 60)
    assert machine.now == 2


def test_a_step_is_timed(machine):
    watch = threads.Threads(1)
    started = watch.start_step()
    machine.wall += 0.25
    assert watch.end_step(started) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("multiply_adds", "cores", "number"),
    [(0, 8, 1), (39e6, 8, 1), (40e6, 8, 2), (40e6, 1, 1), (61e6, 2, 2), (99e6, 8, 4), (1e12, 64, 64)],
)
def test_a_thread_for_every_twenty_million_multiply_adds_but_no_more_than_cores(multiply_adds, cores, number):
    assert threads.threads_for(multiply_adds, cores) == number


def test_the_previous_number_is_restored():
    before = torch.get_num_threads()
    with threads.using(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    for chosen in (None, "adaptive"):
        with threads.using(chosen):
            assert torch.get_num_threads() == before
