"""A run that is killed or stopped anywhere, any number of times, ends as if nothing had happened."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gnomon import tasks
from gnomon.runs.folder import RunFolder


def _beside(name: str):
    """A helper module beside this file, loaded once for all test files."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


fits = _beside("fits")
SETTINGS = ("epochs=2", "batch_size=8", "save_every=0.001", *fits.EVERYTHING_ON)  # a checkpoint after every step
STEPS = 6  # two epochs of 24 pictures


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return tasks.load("image_classification").reader.write_sample(tmp_path_factory.mktemp("data") / "shapes", seed=0)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """What a run that nobody disturbed gives, and the file operations it took."""
    place = tmp_path_factory.mktemp("whole")
    operations = place / "operations"
    job = start(data, place / "runs", jobs=place, hook={"count": str(operations)})
    assert job.wait() == 0, job.stderr
    return fits.result(fits.only_run(place / "runs")), operations.read_text().splitlines()


def start(data: Path, runs: Path, *more: object, jobs: Path, **options):
    return fits.server().start("fit", data, f"runs_folder={runs}", *SETTINGS, *more, jobs=jobs, **options)


def resume(run: Path, *more: object, jobs: Path, **options):
    return fits.server().start("fit", "--resume", run, *more, jobs=jobs, **options)


def finish(run: Path, jobs: Path) -> None:
    job = resume(run, jobs=jobs)
    assert job.wait() == 0, job.stderr


def nth(operations: list[str], name: str, part: str, number: int = 0) -> int:
    """The position of the operation `name` on a path that contains `part`, the `number`-th of them."""
    return [i for i, each in enumerate(operations) if each.startswith(f"{name} ") and part in each][number]


def steps_saved(run: Path) -> list[int]:
    return [int(path.name) for path in sorted((run / "checkpoints").glob("*")) if path.name.isdigit()]


# --- killed -----------------------------------------------------------------------------------------------------------
def test_kills_in_a_row_between_file_operations_change_nothing(whole, data, tmp_path):
    expected, operations = whole
    # Counted from the start of each process; they come down in saves, rotations, the history, the model, the tables.
    points = (nth(operations, "open", "checkpoints/00000001"), 40, 85, 20, 100, 150, 31, 60)
    job = start(data, tmp_path / "runs", jobs=tmp_path, hook={"operation": points[0], "signal": fits.KILL})
    assert job.wait() == -fits.KILL
    run = fits.only_run(tmp_path / "runs")
    killed = 0
    for point in points[1:]:
        job = resume(run, jobs=tmp_path, hook={"operation": point, "signal": fits.KILL})
        killed += job.wait() == -fits.KILL
    assert killed >= 4
    finish(run, tmp_path)
    fits.assert_same(run, expected)


def test_a_kill_while_a_run_is_made_leaves_nothing_or_a_run_that_resumes(whole, data, tmp_path):
    expected, operations = whole
    rename = nth(operations, "rename", "image_classification/.tmp-")  # the moment the run appears
    for number in (rename - 5, rename, rename + 1, rename + 4):
        runs = tmp_path / f"{number}"
        job = start(data, runs, jobs=tmp_path, hook={"operation": number, "signal": fits.KILL})
        assert job.wait() == -fits.KILL
        seen = [path for path in (runs / "image_classification").iterdir() if not path.name.startswith(".")]
        assert len(seen) == (number > rename)
    finish(seen[0], tmp_path)  # `latest` never came to point at it
    fits.assert_same(seen[0], expected)
    start(data, runs, jobs=tmp_path).wait()
    assert (runs / "latest").resolve() != seen[0].resolve()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_kill_before_any_file_operation_changes_nothing(whole, data, tmp_path):
    expected, operations = whole
    made = nth(operations, "rename", "image_classification/.tmp-")
    third = nth(operations, "mkdir", "checkpoints/00000003"), nth(operations, "mkdir", "checkpoints/00000004")
    last = nth(operations, "mkdir", f"checkpoints/{STEPS:08d}")  # saved twice: in the loop and when training is done
    for number in [*range(made + 1, made + 12), *range(*third), *range(last, len(operations))]:
        runs = tmp_path / f"{number}"
        job = start(data, runs, jobs=tmp_path, hook={"operation": number, "signal": fits.KILL})
        assert job.wait() == -fits.KILL, number
        run = fits.only_run(runs)
        before = steps_saved(run)
        rows = len(RunFolder.open(run).history.read())
        finish(run, tmp_path)
        fits.assert_same(run, expected)
        assert rows <= 2
        assert before == sorted(before)
        assert len(before) <= 3
        shutil.rmtree(runs)


def kill_at_random(source: Path, runs: Path, settings: tuple[str, ...], seed: int, kills: int, lasts: float) -> None:
    """Start a fit, kill it `kills` times at random moments, resuming in between, and let it finish."""
    chance = random.Random(seed)
    job = fits.server().start("fit", source, f"runs_folder={runs}", *settings, jobs=runs)
    for _ in range(kills):
        job.pid  # noqa: B018  waits until it has begun
        time.sleep(chance.uniform(0.05, lasts))
        job.send(fits.KILL)
        job.wait()
        if list(runs.glob("*/*/manifest.json")):
            job = resume(fits.only_run(runs), jobs=runs)
        else:
            job = fits.server().start("fit", source, f"runs_folder={runs}", *settings, jobs=runs)
    assert job.wait() == 0, job.stderr


def test_kills_at_random_moments_change_nothing(whole, data, tmp_path):
    expected, _ = whole
    kill_at_random(data, tmp_path / "runs", SETTINGS, seed=0, kills=3, lasts=0.8)
    fits.assert_same(fits.only_run(tmp_path / "runs"), expected)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("task", ["image_classification", "tabular_regression", "multi_task", "spelled_numbers"])
def test_twenty_kills_at_random_moments_change_nothing(task, tmp_path):
    source = tasks.load(task).reader.write_sample(tmp_path / "sample", seed=0)
    settings = (f"task={task}", "epochs=6", "batch_size=8", "save_every=0.05", "ema=0.9", "clip_norm=1")
    settings += fits.EVERYTHING_ON[:3] if task == "image_classification" else ()
    before = fits.tree_state(tmp_path / "sample")
    job = fits.server().start("fit", source, f"runs_folder={tmp_path / 'whole'}", *settings, jobs=tmp_path)
    assert job.wait() == 0, job.stderr
    expected = fits.result(fits.only_run(tmp_path / "whole"))
    for seed in range(7):  # three kills each
        runs = tmp_path / f"runs{seed}"
        kill_at_random(source, runs, settings, seed, kills=3, lasts=1.2 * job.took)
        fits.assert_same(fits.only_run(runs), expected)
    assert fits.tree_state(tmp_path / "sample") == before


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_real_command_killed_at_random_moments(whole, data, tmp_path):
    expected, _ = whole
    chance = random.Random(0)
    for number in range(20):
        runs = tmp_path / f"{number}"
        arguments = ("fit", data, f"runs_folder={runs}", *SETTINGS)
        process = fits.real_command(*arguments, cwd=tmp_path, stdout=subprocess.DEVNULL)
        while process.poll() is None and not list(runs.glob("*/*/manifest.json")):
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 3))
        process.kill()
        process.wait()
        run = fits.only_run(runs)
        again = fits.real_command("fit", "--resume", run, cwd=tmp_path, stdout=subprocess.DEVNULL)
        assert again.wait() == 0
        fits.assert_same(run, expected)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
@pytest.mark.parametrize("call", ["rename", "fsync", "mkdir", "unlink", "rmdir"])
def test_the_real_command_killed_by_strace_before_its_nth_call(whole, data, tmp_path, call):
    expected, _ = whole
    for number in (2, 5, 11, 23):
        runs = tmp_path / f"{number}"
        runs.mkdir()
        strace = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", f"trace={call}"]
        inject = ["-e", f"inject={call}:signal=KILL:when={number}"]
        command = [sys.executable, "-m", "gnomon", "fit", str(data), f"runs_folder={runs}", *SETTINGS]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([*strace, *inject, *command], capture_output=True, env=environment, check=False)
        if not list(runs.glob("*/*/manifest.json")):
            assert done.returncode != 0
            continue
        run = fits.only_run(runs)
        finish(run, tmp_path)
        fits.assert_same(run, expected)


# --- stopped ----------------------------------------------------------------------------------------------------------
PHASES = {  # phase: the call before which the signal comes, and which one of them
    "reading": ("gnomon.workflow.fit:open_data", 1),
    "building the model": ("gnomon.workflow.fit:build_model", 1),
    "making the run": ("gnomon.runs.folder:writer.point", 1),
    "encoding": ("gnomon.workflow.road.encode:encode_whole", 2),
    "the first batch": ("gnomon.training.loop:step", 1),
    "mid-epoch": ("gnomon.training.loop:step", 2),
    "the last batch of an epoch": ("gnomon.training.loop:step", 3),
    "judging an epoch": ("gnomon.workflow.road.judge:split_error", 2),
    "writing an epoch's row": ("gnomon.runs.writer:append_line", 1),
    "a save": ("gnomon.runs.writer:_sync_folder", 8),
    "judging": ("gnomon.workflow.fit:judge_splits", 1),
    "saving the model": ("gnomon.workflow.road.write:model_files", 1),
    "the diagnosis": ("gnomon.workflow.road.verdict:judge_run", 1),
    "the report": ("gnomon.workflow.road.verdict:report_record", 1),
}
BEFORE_THE_RUN = ("reading", "building the model")
NUMBERS = {"SIGTERM": (signal.SIGTERM, 143), "SIGINT": (signal.SIGINT, 130)}


def stop_hook(phase: str, number: int, times: int = 1) -> dict[str, object]:
    call, count = PHASES[phase]
    return {"call": call, "number": count, "signal": int(number), "times": times}


def assert_says_how_to_go_on(job, run: Path) -> None:
    lines = job.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("gnomon: error[stopped]: ")
    assert lines[1] == f"fix: continue with: gnomon fit --resume {run}"


def test_stops_in_every_phase_on_the_way_change_nothing(whole, data, tmp_path):
    """One run, stopped in one phase after the other, each time by the other signal."""
    expected, _ = whole
    phases = [phase for phase in PHASES if phase not in (*BEFORE_THE_RUN, "making the run")]
    job = start(data, tmp_path / "runs", jobs=tmp_path, hook=stop_hook(phases[0], signal.SIGTERM))
    assert job.wait() == 143, job.stderr
    run = fits.only_run(tmp_path / "runs")
    assert_says_how_to_go_on(job, run)
    stopped = 1
    for i, phase in enumerate(phases[1:]):
        number, code = list(NUMBERS.values())[i % 2]
        job = resume(run, jobs=tmp_path, hook=stop_hook(phase, number))
        if job.wait() == 0:  # a resumed run makes fewer calls, and this one came to its end
            continue
        assert (job.wait(), job.took < 10) == (code, True), (phase, job.stderr)
        assert_says_how_to_go_on(job, run)
        stopped += 1
    assert stopped >= len(phases) - 2
    finish(run, tmp_path)
    fits.assert_same(run, expected)


@pytest.mark.parametrize("phase", BEFORE_THE_RUN)
def test_a_stop_before_there_is_a_run_leaves_nothing(data, tmp_path, phase):
    job = start(data, tmp_path / "runs", jobs=tmp_path, hook=stop_hook(phase, signal.SIGTERM))
    assert job.wait() == 143
    assert job.stderr.splitlines() == [
        "gnomon: error[stopped]: stopped.",
        "fix: run the command again; nothing was left half done.",
    ]
    assert not (tmp_path / "runs").exists()


def test_a_stop_while_training_says_at_which_step_and_saves_it(data, tmp_path):
    settings = [each for each in SETTINGS if not each.startswith("save_every")]
    job = fits.server().start(
        "fit", data, f"runs_folder={tmp_path / 'runs'}", *settings, "--json", jobs=tmp_path,
        hook=stop_hook("mid-epoch", signal.SIGINT),
    )  # fmt: skip
    assert job.wait() == 130
    run = fits.only_run(tmp_path / "runs")
    assert steps_saved(run) == [2]
    said = json.loads(job.stdout)
    assert said["exit_code"] == 130
    assert said["error"]["code"] == "stopped"
    assert said["error"]["what"] == "stopped at step 2; its state is saved."
    assert said["error"]["fix"] == f"continue with: gnomon fit --resume {run}"
    assert job.stderr == ""


def test_a_second_signal_ends_at_once_and_loses_nothing(whole, data, tmp_path):
    expected, _ = whole
    job = start(data, tmp_path / "runs", jobs=tmp_path, hook=stop_hook("mid-epoch", signal.SIGTERM, times=2))
    assert fits.shell_code(job.wait()) == 143
    run = fits.only_run(tmp_path / "runs")
    assert steps_saved(run) == [1]  # the second step was not waited for
    job = resume(run, jobs=tmp_path, hook=stop_hook("a save", signal.SIGINT, times=2))
    assert fits.shell_code(job.wait()) == 130
    finish(run, tmp_path)
    fits.assert_same(run, expected)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("phase", [phase for phase in PHASES if phase not in BEFORE_THE_RUN])
def test_a_stop_in_a_phase_changes_nothing(whole, data, tmp_path, phase, name):
    expected, _ = whole
    number, code = NUMBERS[name]
    job = start(data, tmp_path / "runs", "--json", jobs=tmp_path, hook=stop_hook(phase, number))
    assert (job.wait(), job.took < 10) == (code, True), job.stderr
    assert json.loads(job.stdout)["exit_code"] == code
    run = fits.only_run(tmp_path / "runs")
    finish(run, tmp_path)
    fits.assert_same(run, expected)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", NUMBERS)
def test_the_real_command_stopped_at_any_time_exits_in_ten_seconds_and_resumes(whole, data, tmp_path, name):
    expected, _ = whole
    number, code = NUMBERS[name]
    for i, wait in enumerate((0.3, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)):
        runs = tmp_path / f"{i}"
        arguments = ("fit", data, f"runs_folder={runs}", *SETTINGS)
        process = fits.real_command(*arguments, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(wait)
        process.send_signal(number)
        sent = time.monotonic()
        _, complaint = process.communicate()
        assert time.monotonic() - sent < 10
        assert fits.shell_code(process.returncode) in (code, 0)
        made = list(runs.glob("*/*/manifest.json"))
        if not made:
            continue
        run = fits.only_run(runs)
        if complaint:
            assert complaint.splitlines()[-1] == f"fix: continue with: gnomon fit --resume {run}"
        elif process.returncode:  # on its way out, with nothing left to continue
            assert (run / "report.html").is_file()
        finish(run, tmp_path)
        fits.assert_same(run, expected)


# --- the same again ---------------------------------------------------------------------------------------------------
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(whole, data, tmp_path):
    expected, _ = whole
    jobs = [start(data, tmp_path / f"{seed}", f"seed={seed}", jobs=tmp_path) for seed in (0, 1)]
    assert [job.wait() for job in jobs] == [0, 0]
    same, other = (fits.only_run(tmp_path / f"{seed}") for seed in (0, 1))
    fits.assert_same(same, expected)
    assert fits.result(other)["weights"] != expected["weights"]


@pytest.mark.slow
@pytest.mark.parametrize("task", tasks.names())
def test_every_task_repeats_byte_for_byte(task, tmp_path):
    source = tasks.load(task).reader.write_sample(tmp_path / "sample", seed=0)
    found = []
    for name in ("a", "b"):
        settings = (f"task={task}", "epochs=2", f"runs_folder={tmp_path / name}")
        job = fits.server().start("fit", source, *settings, jobs=tmp_path)
        assert job.wait() == 0, job.stderr
        found.append(fits.result(fits.only_run(tmp_path / name)))
    assert found[0] == found[1]


def test_a_run_is_resumed_from_another_folder(data, tmp_path):
    """Paths given relative to the folder of the first command are found from any."""
    shutil.copytree(data, tmp_path / "general")
    shutil.copytree(data, tmp_path / "wanted")
    job = fits.server().start(
        "fit", "general", "target_data=wanted", "epochs=2", "batch_size=8", jobs=tmp_path, cwd=tmp_path,
        hook=stop_hook("mid-epoch", signal.SIGTERM),
    )  # fmt: skip
    assert job.wait() == 143, job.stderr
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    job = resume(fits.only_run(tmp_path / "runs"), jobs=tmp_path, cwd=elsewhere)
    assert job.wait() == 0, job.stderr


def test_resuming_a_finished_run_keeps_what_was_opened(data, tmp_path):
    assert start(data, tmp_path / "runs", jobs=tmp_path).wait() == 0
    run = fits.only_run(tmp_path / "runs")
    expected = fits.result(run)
    assert fits.server().start("test", run, jobs=tmp_path).wait() == 0
    opened = fits.result(run)
    assert "test.parquet" in opened["predictions"]
    finish(run, tmp_path)
    fits.assert_same(run, {**opened, "history": expected["history"]})


# --- several at once --------------------------------------------------------------------------------------------------
def test_of_several_who_resume_one_run_exactly_one_goes_on(whole, data, tmp_path):
    expected, _ = whole
    assert start(data, tmp_path / "runs", jobs=tmp_path, hook=stop_hook("mid-epoch", signal.SIGTERM)).wait() == 143
    run = fits.only_run(tmp_path / "runs")
    jobs = [resume(run, jobs=tmp_path) for _ in range(3)]
    assert sorted(job.wait() for job in jobs) == [0, 5, 5]
    for job in jobs:
        if job.wait() == 5:
            assert re.fullmatch(
                rf"gnomon: error\[busy\]: {run}: is in use by process \d+ on {socket.gethostname()} since .* UTC\.\n"
                r"fix: wait until it ends, or stop it\.\n",
                job.stderr,
            )
    fits.assert_same(run, expected)


def test_a_run_in_use_is_refused_within_two_seconds(data, tmp_path):
    assert start(data, tmp_path / "runs", jobs=tmp_path, hook=stop_hook("encoding", signal.SIGTERM)).wait() == 143
    run = fits.only_run(tmp_path / "runs")
    with RunFolder.open(run).lock():
        job = resume(run, jobs=tmp_path)
        assert job.wait() == 5
        assert f"process {os.getpid()} on {socket.gethostname()}" in job.stderr
        assert job.took < 2
    finish(run, tmp_path)


@pytest.mark.parametrize("number", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_fits_that_start_together_get_a_folder_each(tmp_path, number):
    source = tasks.load("tabular_regression").reader.write_sample(tmp_path / "sample", seed=0)
    settings = ("task=tabular_regression", "epochs=1", f"runs_folder={tmp_path / 'runs'}")
    jobs = [fits.server().start("fit", source, *settings, jobs=tmp_path) for _ in range(number)]
    assert [job.wait() for job in jobs] == [0] * number
    runs = [path.parent for path in (tmp_path / "runs" / "tabular_regression").glob("*/report.html")]
    assert len(runs) == number
    assert (tmp_path / "runs" / "latest").resolve() in [run.resolve() for run in runs]
    assert len({(run / "model" / "weights.safetensors").read_bytes() for run in runs}) == 1
