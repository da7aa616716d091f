"""A fit on a bad machine: full and read-only disks, damaged files, changed data, closed pipes, poor terminals."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
import torch

from gnomon import tasks
from gnomon.core.errors import ArtefactError
from gnomon.core.settings import from_flat
from gnomon.runs.folder import RunFolder
from gnomon.training.flat import FlatParameters
from gnomon.training.optimisers import Optimiser
from gnomon.training.state import TrainingState

E2E = Path(__file__).parents[1] / "e2e"


def _from_e2e(name: str):
    """A helper module of the end-to-end tests, loaded once for all test files."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, E2E / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


fits = _from_e2e("fits")
SETTINGS = ("epochs=2", "batch_size=8", "save_every=0.001", *fits.EVERYTHING_ON)
needs_mounts = pytest.mark.skipif(not fits.CAN_MOUNT, reason="needs the right to mount (root)")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return tasks.load("image_classification").reader.write_sample(tmp_path_factory.mktemp("data") / "shapes", seed=0)


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory) -> Path:
    """A finished run, for copies to be made of."""
    place = tmp_path_factory.mktemp("finished")
    job = start(data, place / "runs", jobs=place)
    assert job.wait() == 0, job.stderr
    return fits.only_run(place / "runs")


def start(data: Path, runs: Path, *more: object, jobs: Path, **options):
    return fits.server().start("fit", data, f"runs_folder={runs}", *SETTINGS, *more, jobs=jobs, **options)


def gnomon(*arguments: object, jobs: Path, **options):
    """A command, done: its job, with `code`."""
    job = fits.server().start(*arguments, jobs=jobs, **options)
    job.wait()
    return job


def assert_error_form(job, code: int, pattern: str) -> None:
    """At most three lines on stderr, no traceback, the place and a fix."""
    assert job.wait() == code, job.stderr
    lines = job.stderr.splitlines()
    assert len(lines) == 2, job.stderr
    assert re.match(rf"gnomon: error\[\w+\]: {pattern}", lines[0]), lines[0]
    assert lines[1].startswith("fix: ")
    assert "Traceback" not in job.stdout + job.stderr


# --- full disks -------------------------------------------------------------------------------------------------------
@needs_mounts
def test_a_full_disk_is_reported_with_numbers_and_the_run_continues_after_making_room(data, finished, tmp_path):
    """The smallest disk that holds the card and one checkpoint, but not all that comes after."""
    before = fits.tree_state(data)
    disk = tmp_path / "disk"
    disk.mkdir()
    fits.server().shell(f"mount -t tmpfs -o size=4m tmpfs {disk}", tmp_path)
    job = start(data, disk, jobs=tmp_path)
    said = r"cannot be written: no space left on device; [\d,]+ bytes needed, [\d,]+ free\."
    assert_error_form(job, 4, rf"{disk}/image_classification/.*: {said}")
    assert "the disk has" in job.stdout  # it was said before the first step
    (run,) = re.findall(rf"{disk}/image_classification/[^/]*", job.stderr.splitlines()[0])
    fits.server().shell(f"ls -R {run}; ! ls {run}/checkpoints | grep tmp", tmp_path)
    fits.server().shell(f"mount -o remount,size=100m {disk}", tmp_path)
    job = gnomon("fit", "--resume", run, jobs=tmp_path)
    assert job.wait() == 0, job.stderr
    fits.server().shell(f"cp -a {disk} {tmp_path}/copy; umount {disk}", tmp_path)
    fits.assert_same(fits.only_run(tmp_path / "copy"), fits.result(finished))
    assert fits.tree_state(data) == before


@pytest.mark.parametrize("size", [20_000, *(pytest.param(size, marks=pytest.mark.slow) for size in (3_000, 400_000))])
def test_a_file_size_limit_is_reported_with_numbers(data, finished, tmp_path, size):
    hook = {"limit": "RLIMIT_FSIZE", "size": size}
    job = start(data, tmp_path / "runs", jobs=tmp_path, hook=hook)
    assert_error_form(job, 4, r"/.*: cannot be written: file too large; [\d,]+ bytes needed, [\d,]+ free\.")
    runs = list((tmp_path / "runs").glob("*/*/manifest.json"))
    if runs:
        assert gnomon("fit", "--resume", runs[0].parent, jobs=tmp_path).wait() == 0
        fits.assert_same(runs[0].parent, fits.result(finished))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_any_failing_file_operation_is_reported_and_the_run_continues_later(data, finished, tmp_path, number):
    names = tmp_path / "names"
    job = start(data, tmp_path / "counted", jobs=tmp_path, hook={"count": str(names)})
    assert job.wait() == 0
    expected = fits.result(finished)
    operations = names.read_text().splitlines()
    for i in range(0, len(operations), 7):
        runs = tmp_path / f"{i}"
        job = start(data, runs, jobs=tmp_path, hook={"operation": i, "errno": number})
        if job.wait() != 0:  # one error is retried where it may pass (EIO), or costs nothing (a note in the lock)
            assert_error_form(job, 4, rf"{runs}.*: cannot be (written|locked): ")
        if job.wait() != 0 and not list(runs.glob("*/*/manifest.json")):
            continue
        run = fits.only_run(runs)
        assert gnomon("fit", "--resume", run, jobs=tmp_path).wait() == 0
        fits.assert_same(run, expected)
        shutil.rmtree(runs)


@needs_mounts
def test_a_read_only_runs_folder_is_reported_and_read_only_data_is_fine(data, finished, tmp_path):
    mounted, runs = tmp_path / data.name, tmp_path / "runs"
    shutil.copytree(data, mounted)
    before = fits.tree_state(mounted)
    runs.mkdir()
    for folder in (mounted, runs):
        fits.server().shell(f"mount --bind {folder} {folder}; mount -o remount,ro,bind {folder}", tmp_path)
    assert_error_form(
        start(mounted, runs, jobs=tmp_path),
        4,
        rf"{runs}/image_classification: cannot be written: read-only file system",
    )
    fits.server().shell(f"umount {runs}", tmp_path)
    job = start(mounted, runs, jobs=tmp_path)
    assert job.wait() == 0, job.stderr
    fits.assert_same(fits.only_run(runs), fits.result(finished))
    run = fits.only_run(runs)
    assert gnomon("test", run, jobs=tmp_path).wait() == 0
    assert gnomon("predict", run, next(mounted.rglob("*.png")), jobs=tmp_path).wait() == 0
    fits.server().shell(f"umount {mounted}", tmp_path)
    assert fits.tree_state(mounted) == before


@needs_mounts
def test_a_run_on_a_disk_that_became_read_only_stops_rather_than_continue_unsaved(data, tmp_path):
    job = start(data, tmp_path / "runs", jobs=tmp_path, hook={"operation": 80, "errno": errno.EROFS})
    assert_error_form(job, 4, rf"{tmp_path}/runs/.*: cannot be written: read-only file system")


# --- damage -----------------------------------------------------------------------------------------------------------
def flip(path: Path, position: int | None = None) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if position is None else position] ^= 1
    path.write_bytes(content)


def files_of(run: Path) -> list[str]:
    return sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())


READERS = {  # what reads which files of a finished run
    "settings.toml": ("show", "test", "fit --resume"),
    "data.json": ("test", "fit --resume"),
    "outcome.json": ("show",),
    "diagnosis.json": ("diagnose",),
    "floor.json": ("test", "diagnose human=0.01"),
    "history.jsonl": ("test", "fit --resume"),
    "manifest.json": ("show", "diagnose", "predict", "test", "fit --resume"),
    "splits.parquet": ("test", "fit --resume"),
    "leaks.parquet": ("test", "fit --resume"),
    "environment.json": ("test", "fit --resume"),
    "model/manifest.json": ("predict", "test"),
    "model/weights.safetensors": ("predict", "test"),
    "model/task.json": ("predict", "test"),
    "predictions/train.parquet": ("test", "diagnose human=0.01"),
    "predictions/dev.parquet": ("test", "diagnose human=0.01"),
}
UNGUARDED = ("report.html", "lock")  # for people; empty


def test_every_file_of_a_run_is_guarded_or_known_not_to_be(finished):
    others = {name for name in files_of(finished) if not name.startswith("checkpoints/")} - set(READERS)
    assert others == set(UNGUARDED)
    checked = RunFolder.open(finished).check()
    assert set(checked.good) == set(files_of(finished)) - set(UNGUARDED)


@pytest.mark.parametrize("name", [
    "settings.toml", "manifest.json", "model/weights.safetensors", "model/task.json", "predictions/dev.parquet",
    *(pytest.param(name, marks=pytest.mark.slow) for name in READERS),
])  # fmt: skip
def test_a_flipped_bit_is_refused_by_whatever_reads_that_file(data, finished, tmp_path, name):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    flip(run / name)
    before = fits.tree_state(run)
    for command in READERS[name]:
        words = command.split()
        more = [next(data.rglob("*.png"))] if command == "predict" else []
        job = gnomon(*words[:2], run, *words[2:], *more, jobs=tmp_path) if words[0] == "fit" else gnomon(
            words[0], run, *words[1:], *more, jobs=tmp_path
        )  # fmt: skip
        assert_error_form(job, 6, re.escape(f"{run}/{name}: "))
        after = fits.tree_state(run)
        assert command == "test" or {each for each in READERS if after[each] != before[each]} == set()
        before = after
    assert [bad.name for bad in RunFolder.open(run).check().bad] == [name] if name != "manifest.json" else True


def test_a_damaged_newest_checkpoint_is_reported_and_an_older_one_used(data, finished, tmp_path):
    job = start(
        data, tmp_path / "runs", jobs=tmp_path,
        hook={"call": "gnomon.training.loop:step", "number": 5, "signal": int(signal.SIGTERM)},
    )  # fmt: skip
    assert job.wait() == 143
    run = fits.only_run(tmp_path / "runs")
    older, newest = sorted((run / "checkpoints").iterdir())
    flip(newest / "optimizer.safetensors")
    job = gnomon("fit", "--resume", run, jobs=tmp_path)
    assert job.wait() == 0, job.stderr
    assert f"ignored a damaged checkpoint: {newest}/optimizer.safetensors is damaged" in job.stdout
    assert f"resumed    at step {int(older.name)}" in job.stdout
    fits.assert_same(run, fits.result(finished))


def test_when_every_checkpoint_is_damaged_the_newest_is_named(data, tmp_path):
    hook = {"call": "gnomon.training.loop:step", "number": 5, "signal": int(signal.SIGTERM)}
    assert start(data, tmp_path / "runs", jobs=tmp_path, hook=hook).wait() == 143
    run = fits.only_run(tmp_path / "runs")
    checkpoints = sorted((run / "checkpoints").iterdir())
    for checkpoint in checkpoints:
        flip(checkpoint / "state.json")
    job = gnomon("fit", "--resume", run, jobs=tmp_path)
    assert_error_form(job, 6, re.escape(f"{checkpoints[-1]}/state.json: is damaged"))


def test_a_history_that_lost_rows_is_not_continued(data, finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (run / "history.jsonl").unlink()
    job = gnomon("fit", "--resume", run, jobs=tmp_path)
    assert_error_form(job, 6, re.escape(f"{run}/history.jsonl: has 0 records, but the run wrote 2."))


@pytest.mark.parametrize("change", [
    lambda counters: {}, lambda counters: {**counters, "more": 1}, lambda counters: {**counters, "step": "1"},
    lambda counters: {**counters, "step": True}, lambda counters: [], lambda counters: None,
])  # fmt: skip
def test_a_checkpoint_with_other_counters_is_refused(change):
    module = torch.nn.Linear(2, 2)
    parameters = FlatParameters(module)
    settings = from_flat({"optimiser.name": "adam"})
    state = TrainingState(
        module, parameters, Optimiser(parameters, settings.optimiser, settings.regularise, 1), torch.Generator()
    )
    files = state.files()
    state.load(files)
    changed = json.dumps(change(json.loads(files["state.json"]))).encode()
    with pytest.raises(ArtefactError, match=r"state\.json: state[.:]"):
        state.load({**files, "state.json": changed})


@pytest.mark.slow
def test_any_flipped_bit_of_any_guarded_file_is_found(finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    for name in files_of(run):
        if name in UNGUARDED:
            continue
        size = (run / name).stat().st_size
        for position in sorted({0, size // 3, size // 2, size - 1}):
            flip(run / name, position)
            try:
                bad = [bad.name for bad in RunFolder.open(run).check().bad]
            except ArtefactError as error:
                bad = [str(Path(error.where).relative_to(run))]
            assert name in bad, (name, position)
            flip(run / name, position)
    assert RunFolder.open(run).check().bad == ()


# --- changed data -----------------------------------------------------------------------------------------------------
def test_data_that_changed_since_is_refused_with_counts(finished, data, tmp_path):
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    hook = {"call": "gnomon.training.loop:step", "number": 2, "signal": int(signal.SIGTERM)}
    assert start(copy, tmp_path / "runs", jobs=tmp_path, hook=hook).wait() == 143
    run = fits.only_run(tmp_path / "runs")
    table = RunFolder.open(run).load_splits()
    changed = table.filter(pl.col("split") == "dev")["id"][0]
    shutil.copyfile(copy / table.filter(pl.col("split") == "train")["id"][0], copy / changed)
    job = gnomon("fit", "--resume", run, jobs=tmp_path)
    assert_error_form(job, 3, rf"{copy}: the data is not what this run was made from: examples .*1 changed")
    shutil.copyfile(next(data.rglob("*.png")), copy / "lying" / "more.png")
    assert_error_form(gnomon("fit", "--resume", run, jobs=tmp_path), 3, rf"{copy}: .* \d+ added")


def test_data_that_changed_since_is_not_tested_on_and_the_seal_stays(data, tmp_path):
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    assert start(copy, tmp_path / "runs", jobs=tmp_path).wait() == 0
    run = fits.only_run(tmp_path / "runs")
    table = RunFolder.open(run).load_splits()
    tested = table.filter(pl.col("split") == "test")["id"][0]
    (copy / tested).unlink()
    assert_error_form(gnomon("test", run, jobs=tmp_path), 3, rf"{copy}: the data is not what .* 1 removed")
    assert RunFolder.open(run).openings.read() == []
    shutil.copyfile(data / tested, copy / tested)
    assert gnomon("test", run, jobs=tmp_path).wait() == 0


# --- time -------------------------------------------------------------------------------------------------------------
def test_max_time_ends_the_whole_fit_in_time_and_says_so(data, tmp_path):
    limit = 3
    settings = ("epochs=100000", "batch_size=8", f"max_time={limit}", f"runs_folder={tmp_path / 'runs'}")
    job = fits.server().start("fit", data, *settings, jobs=tmp_path)
    assert job.wait() == 0, job.stderr
    run = fits.only_run(tmp_path / "runs")
    outcome = RunFolder.open(run).load_outcome()
    assert outcome["ended_because"] == "max_time"
    assert outcome["seconds"] < 1.5 * limit
    assert job.took < 3 * limit  # the machine may be busy
    cut = f"max_time={limit} cut training short at step {outcome['steps']:,} of 100000 epochs"
    assert cut in job.stdout
    assert cut in (run / "report.html").read_text()
    assert RunFolder.open(run).load_model().keys() == {"weights.safetensors", "task.json"}
    assert gnomon("diagnose", run, jobs=tmp_path).wait() == 0


# --- poor surroundings ------------------------------------------------------------------------------------------------
def quiet(process: subprocess.Popen) -> str:
    _, complaint = process.communicate(timeout=200)
    assert "Traceback" not in complaint
    return complaint


def test_a_reader_that_goes_away_is_not_an_error(data, tmp_path):
    job = start(data, tmp_path / "runs", jobs=tmp_path, hook={"reader": "gone"})
    assert job.wait() in (0, 141)
    assert job.stderr == ""
    assert gnomon("fit", "--resume", fits.only_run(tmp_path / "runs"), jobs=tmp_path).wait() == 0


def test_ascii_no_home_and_forty_columns_change_only_the_looks(data, finished, tmp_path):
    odd = tmp_path / "d\xe4ta \u202e\n"
    shutil.copytree(data, odd)
    poor = {"HOME": None, "COLUMNS": "40"}
    job = start(odd, tmp_path / "runs", jobs=tmp_path, hook={"encoding": "ascii"}, environment=poor)
    assert job.wait() == 0, job.stderr
    assert job.stdout.isascii()
    assert "\x1b" not in job.stdout
    assert fits.result(fits.only_run(tmp_path / "runs"))["weights"] == fits.result(finished)["weights"]


@pytest.mark.slow
def test_the_real_command_in_a_pipe_whose_reader_goes_away(data, tmp_path):
    reading, writing = os.pipe()
    process = fits.real_command(
        "fit", data, f"runs_folder={tmp_path / 'runs'}", *SETTINGS, stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert os.read(reading, 10)
    os.close(reading)
    assert quiet(process) == ""
    assert process.returncode in (0, 141)
    assert gnomon("fit", "--resume", fits.only_run(tmp_path / "runs"), jobs=tmp_path).wait() == 0


@pytest.mark.slow
@pytest.mark.parametrize("environment", [
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii", "COLUMNS": "40"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"PYTHONIOENCODING": "latin-1"},
    {"TZ": "Pacific/Kiritimati"},
])  # fmt: skip
def test_the_real_command_on_a_limited_terminal_changes_only_the_looks(data, finished, tmp_path, environment):
    odd = tmp_path / "d\xe4ta \u202e\n"
    shutil.copytree(data, odd)
    without_home = {key: value for key, value in os.environ.items() if key != "HOME"}
    command = [sys.executable, "-m", "gnomon", "fit", str(odd), f"runs_folder={tmp_path / 'runs'}", *SETTINGS]
    done = subprocess.run(
        command, env={**without_home, "OMP_NUM_THREADS": "1", **environment}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stdout + done.stderr
    assert b"\x1b" not in done.stdout
    assert fits.result(fits.only_run(tmp_path / "runs"))["weights"] == fits.result(finished)["weights"]


@pytest.mark.slow
def test_a_forty_column_terminal_shows_progress_correctly(data, tmp_path):
    """A real terminal (a pty), narrow: the moving line comes and goes, and the command ends well."""
    import pty
    import struct
    import termios
    from fcntl import ioctl

    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 40, 0, 0))
    process = fits.real_command(
        "fit", data, f"runs_folder={tmp_path / 'runs'}", *SETTINGS, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert process.wait() == 0, shown
    assert b"Traceback" not in shown
    assert b"report" in shown


@pytest.mark.slow
def test_json_is_one_object_whatever_happens(data, tmp_path):
    full = {"operation": 80, "errno": errno.ENOSPC}
    for hook, code in ((None, 0), (full, 4)):
        job = start(data, tmp_path / f"{code}", "--json", jobs=tmp_path, hook=hook)
        assert job.wait() == code
        assert isinstance(json.loads(job.stdout), dict)


@pytest.mark.slow
def test_the_real_command_keeps_to_max_time(tmp_path):
    began = time.monotonic()
    process = fits.real_command("fit", "digits", "epochs=100000", "max_time=5", cwd=tmp_path, stdout=subprocess.PIPE)
    said, _ = process.communicate()
    assert process.returncode == 0
    assert "max_time=5 cut training short" in said
    outcome = RunFolder.open(fits.only_run(tmp_path / "runs")).load_outcome()
    assert outcome["seconds"] < 1.5 * 5
    assert time.monotonic() - began < 30  # imports on a busy machine
