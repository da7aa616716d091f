"""A search under fire: workers and drivers killed, torn ledgers, full disks; no finished trial is ever lost."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from gnomon.runs.journal import decode_line
from gnomon.runs.search_folder import SearchFolder
from gnomon.search.results import FINISHED
from gnomon.workflow.tune.tune import tune

E2E = Path(__file__).parents[1] / "e2e"
PATIENCE = 240.0  # seconds, on a busy machine
WORKER = "gnomon.workflow.tune.worker"
QUICK = {"model": "dense", "epochs": 6, "repeats": 0, "trials": 8, "workers": 1}


def _from_e2e(name: str):
    """A helper module of the end-to-end tests, loaded once for all test files."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, E2E / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


fits = _from_e2e("fits")
needs_mounts = pytest.mark.skipif(not fits.CAN_MOUNT, reason="needs the right to mount (root)")


def start(tmp_path: Path, **other: object):
    words = [f"{key}={value}" for key, value in {**QUICK, **other}.items()]
    return fits.server().start("tune", "digits", *words, jobs=tmp_path, cwd=tmp_path)


def lines(tmp_path: Path) -> list[dict]:
    """What the ledger holds by now, without a torn end."""
    found = list((tmp_path / "runs" / "tune").glob("*/ledger.jsonl")) if (tmp_path / "runs" / "tune").is_dir() else []
    if not found:
        return []
    return [record for line in found[0].read_bytes().split(b"\n") if (record := decode_line(line)) is not None]


def wait_for(tmp_path: Path, trials: int, job) -> None:
    """Until so many trials are in the ledger and another one is under way."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        kinds = [record["kind"] for record in lines(tmp_path)]
        if kinds.count("trial") >= trials and kinds[-1] == "began":
            return
        assert not job.is_done, job.stderr + job.stdout
        time.sleep(0.01)
    raise TimeoutError(job.stderr)


def workers_of(driver: int) -> list[int]:
    """Processes of workers whose parent is `driver`."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            words = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            command = status.with_name("cmdline").read_bytes().decode()
        except (OSError, ValueError):
            continue
        if words.get("PPid") == str(driver) and WORKER in command:
            found.append(int(status.parent.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def trials_of(tmp_path: Path) -> dict[int, tuple]:
    """{number: what the ledger says of it}, but for how long it took."""
    kept = ("status", "point", "error", "loss", "epoch_errors")
    return {one["number"]: tuple(str(one[key]) for key in kept) for one in lines(tmp_path) if one["kind"] == "trial"}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[int, tuple]:
    """The trials of a search that nothing happened to."""
    place = tmp_path_factory.mktemp("undisturbed")
    job = start(place)
    assert job.wait() == 0, job.stderr
    return trials_of(place)


@pytest.mark.slow
def test_a_killed_driver_loses_no_finished_trial_and_resumes_to_the_same_search(tmp_path, undisturbed):
    job = start(tmp_path)
    wait_for(tmp_path, 3, job)
    job.send(signal.SIGKILL)
    job.wait()
    before = trials_of(tmp_path)
    assert len(before) >= 3
    path = SearchFolder.newest(tmp_path / "runs").path
    again = fits.server().start("tune", "--resume", path, "--json", jobs=tmp_path, cwd=tmp_path)
    assert again.wait() == 0, again.stderr
    after = trials_of(tmp_path)
    assert {number: after[number] for number in before} == before
    assert after == undisturbed
    made = [record["number"] for record in lines(tmp_path) if record["kind"] == "trial"]
    assert len(made) == len(set(made))  # what was finished was not made again
    assert json.loads(again.stdout)["trials"][FINISHED] >= 1


@pytest.mark.slow
def test_a_ledger_torn_by_power_loss_is_truncated_and_the_search_continues(tmp_path, undisturbed):
    job = start(tmp_path)
    wait_for(tmp_path, 4, job)
    job.send(signal.SIGKILL)
    job.wait()
    path = SearchFolder.newest(tmp_path / "runs").path
    ledger = path / "ledger.jsonl"
    with ledger.open("ab") as file:
        file.write(b'{"kind":"trial","number":5,"sta')  # half a line, as a full disk leaves it
    again = fits.server().start("tune", "--resume", path, jobs=tmp_path, cwd=tmp_path)
    assert again.wait() == 0, again.stderr
    assert trials_of(tmp_path) == undisturbed


def test_ctrl_c_says_how_to_continue_and_a_second_search_cannot_use_the_folder_meanwhile(tmp_path):
    job = start(tmp_path)
    wait_for(tmp_path, 2, job)
    path = SearchFolder.newest(tmp_path / "runs").path
    other = fits.server().start("tune", "--resume", path, jobs=tmp_path, cwd=tmp_path)
    if other.wait() != 0:  # the first one may have ended in between
        assert "is in use by process" in other.stderr
    job.send(signal.SIGINT)
    if job.wait() == 0:
        pytest.skip("it was faster than the signal")
    assert fits.shell_code(job.wait()) == 130
    assert f"fix: continue with: gnomon tune --resume {path}" in job.stderr
    assert lines(tmp_path)[-1]["kind"] in ("put back", "trial", "zoom")


@pytest.mark.slow
def test_several_workers_find_what_one_finds(tmp_path, undisturbed):
    job = start(tmp_path, workers=3)
    assert job.wait() == 0, job.stderr
    assert trials_of(tmp_path) == undisturbed


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_its_trial_repeated(tmp_path, undisturbed):
    job = start(tmp_path, workers=3, epochs=40)
    wait_for(tmp_path, 1, job)
    victims = workers_of(job.pid)
    assert len(victims) == 3
    os.kill(victims[0], signal.SIGKILL)
    assert job.wait() == 0, job.stderr
    kinds = [record["kind"] for record in lines(tmp_path)]
    assert sorted(trials_of(tmp_path)) == list(range(1, 9))
    assert "(signal 9); the trial is repeated" in job.stdout or "died" not in kinds  # it may have been idle
    assert all(status in ("finished", "stopped") for status, *_ in trials_of(tmp_path).values())


@pytest.mark.slow
def test_a_killed_driver_takes_its_workers_with_it_and_loses_no_finished_trial(tmp_path, undisturbed):
    job = start(tmp_path, workers=3)
    wait_for(tmp_path, 2, job)
    workers = workers_of(job.pid)
    assert workers
    job.send(signal.SIGKILL)
    job.wait()
    before = trials_of(tmp_path)
    deadline = time.monotonic() + 5
    while any(map(is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, workers))
    path = SearchFolder.newest(tmp_path / "runs").path
    again = fits.server().start("tune", "--resume", path, "workers=2", jobs=tmp_path, cwd=tmp_path)
    assert again.wait() == 0, again.stderr
    after = trials_of(tmp_path)
    assert {number: after[number] for number in before} == before
    assert after == undisturbed


@pytest.mark.slow
def test_a_trial_that_always_kills_its_worker_is_given_up_and_the_search_continues(tmp_path, monkeypatch):
    """Memory runs out, a driver crashes: a worker that makes trial 3 is shot each time it begins."""
    from gnomon.workflow.tune import workers

    real = workers._Worker.say

    def shoot(self, value):
        real(self, value)
        if value.get("number") == 3:
            self._process.kill()

    monkeypatch.setattr(workers._Worker, "say", shoot)
    tuned = tune("wine", trials=5, workers=2, epochs=2, repeats=0)
    third = next(one for one in tuned.results if one.number == 3)
    assert third.status == "failed"
    assert "died 3 times" in third.note
    assert len(tuned.results) == 5


@needs_mounts
@pytest.mark.slow
def test_a_full_disk_ends_the_search_with_every_reported_trial_and_it_continues_with_room(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    fits.server().shell(f"mount -t tmpfs -o size=300k tmpfs {disk}", tmp_path)
    job = start(tmp_path, trials=40, runs_folder=disk)
    assert job.wait() == 4, job.stderr + job.stdout
    assert "no space left on device" in job.stderr
    said = job.stdout.count("/40 ")
    fits.server().shell(f"mount -o remount,size=64m {disk}", tmp_path)
    fits.server().shell(f"ls {disk}/tune > {tmp_path}/name", tmp_path)
    path = disk / "tune" / (tmp_path / "name").read_text().strip()
    again = fits.server().start("tune", "--resume", path, "--json", jobs=tmp_path, cwd=tmp_path)
    assert again.wait() == 0, again.stderr
    assert sum(json.loads(again.stdout)["trials"].values()) == 40
    assert said <= 40
