"""Runs under attack by kills, power losses, full disks, flipped bits and each other: nothing that was saved is lost."""

from __future__ import annotations

import errno
import itertools
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import run_records
from run_records import DIAGNOSIS, ENVIRONMENT, card, row

from gnomon.core.errors import ArtefactError, BusyError, GnomonError, MachineError, UsageError
from gnomon.core.settings import from_flat
from gnomon.runs import writer
from gnomon.runs.folder import RunFolder, find
from gnomon.runs.lock import RunLock

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BIG = bytes(range(256)) * 40  # 10,240 bytes: three pages of 4 KB, the last one not full
TABLE = run_records.predictions("a", "b")


# --- a run with something of everything, and what can be read of it ---------------------------------------------------
def make_run(folder: Path) -> RunFolder:
    run = RunFolder.create(folder / "runs", "sorting", "screws", now=NOW)
    with run.lock():
        run.save_settings(from_flat({"epochs": 3}), ["stop.epochs"])
        run.save_data(card("a", "b"))
        for epoch in range(1, 5):
            run.history.append(row(epoch))
        run.openings.append({"opened": "2026"})
        run.save_checkpoint(1, {"model.safetensors": BIG, "state.json": b"{1}"}, is_best=True)
        run.save_checkpoint(2, {"model.safetensors": BIG[::-1], "state.json": b"{2}"})
        run.save_model({"model.safetensors": BIG, "task.json": b"{}"})
        run.save_predictions("dev", TABLE)
        run.save_diagnosis(DIAGNOSIS)
    return run


def or_none(load: Callable[[], object]) -> object:
    try:
        return load()
    except UsageError:  # not there yet
        return None


READERS: dict[str, Callable[[RunFolder], object]] = {
    "latest": lambda run: (checkpoint := run.latest_checkpoint()) and (checkpoint.step, checkpoint.files),
    "best": lambda run: (checkpoint := run.best_checkpoint()) and (checkpoint.step, checkpoint.files),
    "model": lambda run: run.load_model(),
    "settings": lambda run: run.load_settings(),
    "data": lambda run: run.load_data(),
    "environment": lambda run: or_none(run.load_environment),
    "diagnosis": lambda run: run.load_diagnosis(),
    "predictions": lambda run: run.load_predictions("dev").to_dict(as_series=False),
    "openings": lambda run: run.openings.read(),
    "history": lambda run: run.history.read(),
}

# None of them writes Parquet: polars hangs in forked children. Predictions are saved the way data is.
ACTIONS: dict[str, Callable[[RunFolder], object]] = {
    "checkpoint": lambda run: run.save_checkpoint(3, {"model.safetensors": BIG, "state.json": b"{3}"}),
    "checkpoint, keep 1": lambda run: run.save_checkpoint(3, {"state.json": b"{3}"}, keep=1),
    "new best, keep 1": lambda run: run.save_checkpoint(3, {"state.json": b"{3}"}, keep=1, is_best=True),
    "same step again": lambda run: run.save_checkpoint(2, {"model.safetensors": BIG, "state.json": b"{new 2}"}),
    "model again": lambda run: run.save_model({"model.safetensors": BIG[::-1]}),
    "data again": lambda run: run.save_data(card(*(f"{number:04d}" for number in range(1000)))),
    "first environment": lambda run: run.save_environment(ENVIRONMENT),
    "history": lambda run: run.history.append(row(5, size=5000)),
    "history cut": lambda run: run.history.keep_first(2),
}


def state(run: RunFolder, only: tuple[str, ...] = tuple(READERS)) -> dict[str, object]:
    return {name: READERS[name](run) for name in only}


@pytest.fixture(autouse=True)
def disk_without_waiting(monkeypatch):
    """Syncs take milliseconds each; what they promise is what the model of the disk below is about."""
    monkeypatch.setattr(writer.Calls, "fsync", staticmethod(lambda descriptor: None))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """An empty folder, in memory where there is such a place: these tests make and remove thousands of files."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="gnomon-test-", dir=memory))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> RunFolder:
    return make_run(tmp_path_factory.mktemp("template"))


@pytest.fixture
def fresh(template: RunFolder, place: Path) -> Iterator[Callable[[], RunFolder]]:
    """Makes copies of the template run."""
    numbers = itertools.count()

    def copy() -> RunFolder:
        path = place / f"copy{next(numbers)}"
        shutil.copytree(template.path, path)
        return RunFolder.open(path)

    return copy


# --- the seam: count, fail, kill --------------------------------------------------------------------------------------
class Hooked:
    """The writer's calls with `hook(index, name, arguments)` before each one."""

    def __init__(self, hook: Callable[[int, str, tuple], None]) -> None:
        self._real, self._hook, self._count = writer.Calls(), hook, 0

    def __getattr__(self, name: str) -> Callable:
        def call(*arguments):
            self._hook(self._count, name, arguments)
            self._count += 1
            return getattr(self._real, name)(*arguments)

        return call


def in_child(action: Callable[[], object]) -> int:
    """Run `action` in a forked child; its exit code, or minus the number of the signal that ended it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Pythons warn of forks beside threads; these children start none
        child = os.fork()
    if child == 0:
        code = 99
        try:
            action()
            code = 0
        except GnomonError as error:
            code = error.exit_code
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_before(run: RunFolder, number: int, action: Callable[[RunFolder], object]) -> bool:
    """Whether a child doing `action` got through before it reached file operation `number`."""

    def hook(index: int, name: str, arguments: tuple) -> None:
        if index == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        with run.lock():
            writer.calls = Hooked(hook)
            action(run)

    code = in_child(work)
    assert code in (0, -signal.SIGKILL)
    return code == 0


def leftovers(run: RunFolder) -> list[str]:
    return [path.name for path in run.path.rglob("*") if writer.is_leftover(path.name) or ".replaced" in path.name]


# --- kills ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_a_kill_before_any_file_operation_leaves_the_old_or_the_new(fresh, action):
    done = fresh()
    before = state(done)
    with done.lock():
        action(done)
    after = state(done)
    for number in itertools.count():
        run = fresh()
        finished = kill_before(run, number, action)
        unlocked = RunFolder.open(run.path)
        found = state(unlocked)  # already readable, before anybody cleans up
        # Between two commits of one save (a checkpoint, then the removal of old ones) parts may be at either state.
        assert all(found[name] in (before[name], after[name]) for name in found), number
        with unlocked.lock():
            assert leftovers(run) == []
            assert state(unlocked) == found
            assert unlocked.check().bad == ()
            action(unlocked)
        if "history" not in found or action is not ACTIONS["history"]:
            assert state(RunFolder.open(run.path)) == after
        if finished:
            assert found == after
            break
    assert number > 4


def test_a_kill_while_a_run_is_created_leaves_no_half_run(tmp_path):
    for number in itertools.count():
        runs = tmp_path / f"{number}"

        def hook(index: int, name: str, arguments: tuple, number: int = number) -> None:
            if index == number:
                os.kill(os.getpid(), signal.SIGKILL)

        def work(runs: Path = runs, hook: Callable = hook) -> None:
            writer.calls = Hooked(hook)
            RunFolder.create(runs, "sorting", "screws", now=NOW)

        finished = in_child(work) == 0
        again = RunFolder.create(runs, "sorting", "screws", now=NOW)
        assert find("latest", runs).path == again.path.resolve()
        if finished:
            assert again.path.name.endswith("-screws-2")
            break
    assert number > 8


def test_the_best_checkpoint_and_the_newest_survive_every_kill_in_rotation(fresh):
    # The best is the oldest, only one is to be kept: after any kill both can still be loaded.
    for number in itertools.count():
        run = fresh()
        finished = kill_before(run, number, ACTIONS["checkpoint, keep 1"])
        assert run.best_checkpoint().step == 1
        assert run.latest_checkpoint().step in (2, 3)
        if finished:
            assert sorted(path.name for path in (run.path / "checkpoints").iterdir()) == ["00000001", "00000003"]
            break


# --- power loss -------------------------------------------------------------------------------------------------------
@dataclass(eq=False)
class Node:
    """A file or folder as the running system sees it (`now`) and as the disk is sure to hold it (`safe`)."""

    is_folder: bool
    now: object  # bytes, or {name: Node}
    safe: object
    pending: list[dict[str, Node | None]] = field(default_factory=list)  # changes of names not yet synced, in order


@dataclass
class Disk:
    """A model of a disk below `root`, fed with the writer's calls: what could be left after the power goes?"""

    root: Path
    top: Node = field(init=False)
    open_files: dict[int, Node] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.top = self._load(self.root)

    def _load(self, path: Path) -> Node:
        if path.is_dir():
            entries = {child.name: self._load(child) for child in path.iterdir()}
            return Node(True, entries, dict(entries))
        return Node(False, path.read_bytes(), path.read_bytes())

    def _find(self, path: object) -> tuple[Node, str]:
        parts = Path(str(path)).relative_to(self.root).parts
        folder = self.top
        for part in parts[:-1]:
            folder = folder.now[part]
        return folder, parts[-1] if parts else ""

    def _change(self, folder: Node, changes: dict[str, Node | None]) -> None:
        folder.pending.append(changes)
        _apply(folder.now, changes)

    def did(self, name: str, arguments: tuple, result: object) -> None:
        if name == "open":
            folder, leaf = self._find(arguments[0])
            if leaf and leaf not in folder.now:
                self._change(folder, {leaf: Node(False, b"", b"")})
            self.open_files[result] = folder.now[leaf] if leaf else self.top
        elif name == "write":
            self.open_files[arguments[0]].now += bytes(arguments[1])[:result]
        elif name == "fsync":
            node = self.open_files[arguments[0]]
            node.safe, node.pending = (dict(node.now), []) if node.is_folder else (node.now, [])
        elif name == "rename":
            (source, old), (target, new) = map(self._find, arguments)
            assert source is target
            self._change(source, {new: source.now[old], old: None})
        elif name == "mkdir":
            folder, leaf = self._find(arguments[0])
            self._change(folder, {leaf: Node(True, {}, {})})
        elif name in ("unlink", "rmdir"):
            folder, leaf = self._find(arguments[0])
            self._change(folder, {leaf: None})
        else:
            assert name == "close"

    def states(self, node: Node | None = None) -> Iterator[dict[str, object] | bytes]:
        """Everything the disk could hold: each unsynced change of a name kept or lost, each unsynced content torn."""
        node = node or self.top
        if not node.is_folder:
            yield from _contents(node)
            return
        seen = []
        for kept in itertools.product((True, False), repeat=len(node.pending)):
            entries = dict(node.safe)
            for keep, changes in zip(kept, node.pending, strict=True):
                if keep:
                    _apply(entries, changes)
            if entries in seen:
                continue
            seen.append(entries)
            for combination in itertools.product(*(list(self.states(child)) for child in entries.values())):
                yield dict(zip(entries, combination, strict=True))

    def sample(self, rng: random.Random, node: Node | None = None) -> dict[str, object] | bytes:
        """One of `states`, drawn by chance: for when they are too many."""
        node = node or self.top
        if not node.is_folder:
            return rng.choice(list(_contents(node)))
        entries = dict(node.safe)
        for changes in node.pending:
            if rng.random() < 0.5:
                _apply(entries, changes)
        return {name: self.sample(rng, child) for name, child in entries.items()}


def _apply(entries: dict[str, Node], changes: dict[str, Node | None]) -> None:
    for name, node in changes.items():
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


def _contents(node: Node) -> Iterator[bytes]:
    """What an unsynced file could hold: the old content, all, zeros for all, and any set of its new 4 KB pages lost."""
    if node.now == node.safe:
        yield node.safe
        return
    size, start = len(node.now), len(node.safe)
    yield node.safe
    for cut in {start + (size - start) // 2, size - 1}:  # the file's length written in between
        yield node.now[:cut]
    pages = range(start // 4096, (size + 4095) // 4096)
    for lost in itertools.product((False, True), repeat=len(pages)):
        content = bytearray(node.now)
        for page, is_lost in zip(pages, lost, strict=True):
            if is_lost:
                low, high = max(page * 4096, start), min((page + 1) * 4096, size)
                content[low:high] = bytes(high - low)
        yield bytes(content)


def materialise(content: dict[str, object] | bytes, path: Path) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.mkdir()
        for name, child in content.items():
            materialise(child, path / name)


def fingerprint(content: dict[str, object] | bytes) -> int:
    if isinstance(content, bytes):
        return hash(content)
    return hash(tuple((name, fingerprint(child)) for name, child in sorted(content.items())))


def record(
    run: RunFolder, action: Callable, monkeypatch, look: Callable[[Disk], object], *, forget_syncs=False
) -> None:
    """Do `action` with a model of the disk beside it; `look` at that model after every call."""
    real = writer.Calls()
    with run.lock():
        disk = Disk(run.path)

        class Recorded:
            def __getattr__(self, name: str) -> Callable:
                def call(*arguments):
                    result = getattr(real, name)(*arguments)
                    if name != "fsync" or not forget_syncs:
                        disk.did(name, arguments, result)
                    look(disk)
                    return result

                return call

        monkeypatch.setattr(writer, "calls", Recorded())
        action(run)
        monkeypatch.undo()


def power_losses(run: RunFolder, action: Callable, monkeypatch) -> tuple[list[dict[str, object]], set[int]]:
    """All distinct states of the disk, over all moments during `action`, at which the power could go.

    And which of them, by their place in the list, could still be found once `action` has returned.
    """
    found: dict[int, dict[str, object]] = {}
    last: list[int] = []

    def look(disk: Disk) -> None:
        states = {fingerprint(content): content for content in disk.states()}
        found.update(states)
        last[:] = states

    record(run, action, monkeypatch, look)
    return list(found.values()), {list(found).index(key) for key in last}


def check_power_losses(run: RunFolder, action: Callable[[RunFolder], object], monkeypatch, path: Path) -> int:
    """Every state loads as it was before or after `action`. Returns how many distinct ones there were."""
    before = state(run)
    contents, last = power_losses(run, action, monkeypatch)
    after = state(run)
    parts = tuple(part for part in before if before[part] != after[part] or part in ("latest", "best", "model"))
    for number, content in enumerate(contents):
        materialise(content, path)
        left = RunFolder.open(path)
        found = state(left, parts)
        assert all(found[part] in (before[part], after[part]) for part in parts), number
        if number in last:  # what was reported as saved stays saved
            assert all(found[part] == after[part] for part in parts)
        assert {bad.name for bad in left.check().bad} <= {"history.jsonl"}  # whose torn last line is said, and cut
        with left.lock():
            action(left)
        assert all(READERS[part](left) == after[part] for part in parts if part != "history"), number
        shutil.rmtree(path)
    return len(contents)


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_every_legal_state_after_a_power_loss_loads_the_old_or_the_new(fresh, place, monkeypatch, action):
    assert check_power_losses(fresh(), action, monkeypatch, place / "loss") >= 5


@pytest.mark.slow
def test_five_thousand_states_after_a_power_loss_load_the_old_or_the_new(fresh, place, monkeypatch):
    pages = {count: bytes(range(1, 256)) * (count * 4096 // 255) for count in (8, 12)}
    actions = (
        lambda run: run.save_checkpoint(3, {"model.safetensors": pages[12], "optimizer.safetensors": pages[8]}),
        lambda run: run.save_checkpoint(2, {"model.safetensors": pages[8], "state.json": b"{2}"}, is_best=True),
        lambda run: run.save_model({"model.safetensors": pages[8], "task.json": b"{}"}),
        lambda run: run.save_data(card("x" * len(pages[8]))),
        lambda run: run.save_environment({**ENVIRONMENT, "cpu": "x" * len(pages[8])}),
        lambda run: run.history.append(row(5, size=len(pages[8]))),
    )
    counts = [check_power_losses(fresh(), action, monkeypatch, place / "loss") for action in actions]
    print(counts)
    assert sum(counts) >= 5000, counts


def test_the_replay_finds_the_fault_of_a_writer_that_syncs_nothing(fresh, place, monkeypatch):
    run, rng = fresh(), random.Random(0)
    states: list[dict[str, object]] = []
    before = state(run, ("latest",))
    record(run, ACTIONS["checkpoint"], monkeypatch, lambda disk: states.append(disk.sample(rng)), forget_syncs=True)
    after = state(run, ("latest",))
    bad = 0
    for number, content in enumerate(states):
        path = place / f"loss{number}"
        materialise(content, path)
        checkpoint = RunFolder.open(path).latest_checkpoint()
        bad += bool(checkpoint.notes) or {"latest": (checkpoint.step, checkpoint.files)} not in (before, after)
    assert bad > 0


# --- full disks, failing disks, limits --------------------------------------------------------------------------------
FAULTS = {
    "no space": ({"open", "write", "mkdir", "symlink"}, errno.ENOSPC),
    "no right": ({"open", "rename", "mkdir", "unlink", "rmdir"}, errno.EACCES),
    "failed sync": ({"fsync"}, errno.EIO),
    "failed write": ({"write"}, errno.EIO),
    "failed close": ({"close"}, errno.EDQUOT),
}


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("action", ["checkpoint", "same step again", "model again", "data again", "history"])
def test_a_fault_at_any_call_is_reported_and_costs_nothing_saved(fresh, monkeypatch, action, fault, for_ever):
    names, number = FAULTS[fault]
    done = fresh()
    before = state(done)
    with done.lock():
        ACTIONS[action](done)
    after = state(done)
    for at in itertools.count():
        run = fresh()
        seen = 0

        def hook(index: int, name: str, arguments: tuple, at: int = at) -> None:
            nonlocal seen
            seen += name in names
            if name in names and (seen - 1 >= at if for_ever else seen - 1 == at):
                raise OSError(number, os.strerror(number))

        with run.lock():
            monkeypatch.setattr(writer, "calls", Hooked(hook))
            told = None
            try:
                ACTIONS[action](run)
            except MachineError as error:
                told = error
            monkeypatch.setattr(writer, "calls", writer.Calls())
            found = state(run)
            assert all(found[name] in (before[name], after[name]) for name in found)
            if told is None:
                assert found == after
            else:
                assert str(run.path) in told.where
                assert told.fix
        with run.lock():
            assert leftovers(run) == []
            if found != after:
                ACTIONS[action](run)  # once there is space again
            assert state(run) == after
        if seen <= at:
            break
    assert told is None
    assert at >= 1


def test_a_full_disk_is_reported_with_path_bytes_and_fix_and_leaves_no_partial_file(fresh, monkeypatch):
    run = fresh()
    with run.lock():

        def hook(index: int, name: str, arguments: tuple) -> None:
            if name == "write":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(writer, "calls", Hooked(hook))
        with pytest.raises(
            MachineError, match=r"no space left on device; 1[0-9],[0-9]{3} bytes needed, [0-9,]+ free"
        ) as told:
            ACTIONS["checkpoint"](run)
        assert told.value.where == str(run.path / "checkpoints" / "00000003")
        assert "free some space" in told.value.fix
        assert leftovers(run) == []


def test_after_a_failed_sync_the_old_file_is_never_synced_again(fresh, monkeypatch):
    run, opened, synced = fresh(), {}, []

    class Calls:
        def __getattr__(self, name: str) -> Callable:
            def call(*arguments):
                if name == "fsync":
                    synced.append(opened[arguments[0]])
                    if len(synced) == 1:
                        raise OSError(errno.EIO, os.strerror(errno.EIO))
                result = getattr(writer.Calls(), name)(*arguments)
                if name == "open":
                    opened[result] = (len(opened), str(arguments[0]))  # each opening of a file is another one
                return result

            return call

    with run.lock():
        monkeypatch.setattr(writer, "calls", Calls())
        writer.write_bytes(run.path / "report.html", b"<html>")
        assert len(set(synced)) == len(synced)
        synced.clear()
        run.history.append(row(9))
        assert run.history.read()[-1] == row(9)
        assert len(set(synced)) == len(synced) >= 2
    assert (run.path / "report.html").read_bytes() == b"<html>"


def test_a_file_size_limit_is_reported_and_leaves_the_old_checkpoint(fresh):
    run = fresh()

    def work() -> None:
        with run.lock():
            resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
            run.save_checkpoint(3, {"model.safetensors": BIG})

    assert in_child(work) == MachineError.exit_code
    assert run.latest_checkpoint().step == 2
    assert leftovers(run) == []


FULL_DISK = """
import json, sys
from pathlib import Path
from gnomon.core.errors import GnomonError
from gnomon.runs.folder import RunFolder
disk = Path(sys.argv[1])
run = RunFolder.create(disk, "sorting", "screws")
codes = []
with run.lock():
    for step in range(1, 6):
        try:
            run.save_checkpoint(step, {"model.safetensors": bytes([step]) * 100_000}, keep=10)
            codes.append(0)
        except GnomonError as error:
            codes.append(error.exit_code)
            text = str(error)
    left = [path.name for path in run.path.rglob("*.tmp-*")]
    step = run.latest_checkpoint().step
    run.save_checkpoint(9, {"model.safetensors": b"small"}, keep=1)
    run.save_checkpoint(10, {"model.safetensors": bytes(100_000)}, keep=1)
    print(json.dumps([codes, text, left, step, run.latest_checkpoint().step, len(run.check().bad)]))
"""


def in_a_private_mount(mount: str, script: str, folder: Path) -> subprocess.CompletedProcess:
    """Run `script` after `mount` in a mount namespace of its own; the test is skipped where that is not allowed."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("needs the right to mount (unshare -m)")
    command = f'{mount} && exec "{sys.executable}" -c "$SCRIPT" "{folder}"'
    environment = {**os.environ, "SCRIPT": script}
    return subprocess.run(["unshare", "-m", "sh", "-c", command], capture_output=True, text=True, env=environment)


def test_a_really_full_disk_costs_only_the_checkpoint_that_did_not_fit(tmp_path):
    result = in_a_private_mount(f"mount -t tmpfs -o size=280k none '{tmp_path}'", FULL_DISK, tmp_path)
    assert result.returncode == 0, result.stderr
    codes, text, left, step, after_freeing, num_bad = json.loads(result.stdout)
    assert codes == [0, 0, 4, 4, 4]
    assert "no space left on device" in text
    assert (left, step, after_freeing, num_bad) == ([], 2, 10, 0)


def test_a_read_only_disk_is_reported(tmp_path):
    script = FULL_DISK.split("codes =")[0]
    mount = f"mount --bind '{tmp_path}' '{tmp_path}' && mount -o remount,ro,bind '{tmp_path}'"
    result = in_a_private_mount(mount, script, tmp_path)
    assert "MachineError" in result.stderr
    assert "read-only file system" in result.stderr
    assert "Fix: mount that disk writable" in result.stderr


# --- flipped bits -----------------------------------------------------------------------------------------------------
def guarded_files(run: RunFolder) -> list[str]:
    free = ("lock", "report.html", "figures")
    names = (path.relative_to(run.path) for path in run.path.rglob("*") if path.is_file())
    return sorted(str(name) for name in names if name.parts[0] not in free)


def flip(path: Path, position: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ (1 << bit)]))


def flips_found(run: RunFolder, count: int, rng: random.Random) -> int:
    names, found = guarded_files(run), 0
    for number in range(count):
        name = names[number % len(names)]
        path = run.path / name
        position, bit = rng.randrange(path.stat().st_size), rng.randrange(8)
        flip(path, position, bit)
        found += name in {bad.name for bad in run.check().bad}
        flip(path, position, bit)
    return found


def test_a_flipped_bit_in_any_file_is_found_and_the_file_named(fresh):
    run = fresh()
    assert run.check().bad == ()
    assert set(run.check().good) == set(guarded_files(run))
    assert flips_found(run, 1000, random.Random(0)) == 1000


@pytest.mark.slow
def test_ten_thousand_flipped_bits_are_found(fresh):
    assert flips_found(fresh(), 10_000, random.Random(1)) == 10_000


@pytest.mark.parametrize(
    "name",
    [
        "settings.toml",
        "data.json",
        "diagnosis.json",
        "predictions/dev.parquet",
        "manifest.json",
        "model/task.json",
        "model/manifest.json",
        "openings.jsonl",
        "history.jsonl",
    ],
)
def test_loading_a_file_with_a_flipped_bit_fails_naming_it(fresh, name):
    run, rng = fresh(), random.Random(2)
    size = (run.path / name).stat().st_size
    for position in rng.sample(range(size - 1), min(size - 1, 40)):
        flip(run.path / name, position, position % 8)
        with pytest.raises(ArtefactError) as told:
            state(
                RunFolder.open(run.path),
                ("settings", "data", "diagnosis", "predictions", "model", "openings", "history"),
            )
        assert told.value.where == str(run.path / name)
        flip(run.path / name, position, position % 8)


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(fresh):
    for name in ("model.safetensors", "state.json", "manifest.json"):
        run = fresh()
        flip(run.path / "checkpoints" / "00000002" / name, 1, 3)
        checkpoint = run.latest_checkpoint()
        assert checkpoint.step == 1
        assert len(checkpoint.notes) == 1
        assert f"00000002/{name}" in checkpoint.notes[0]
        flip(run.path / "checkpoints" / "00000001" / name, 1, 3)
        with pytest.raises(ArtefactError, match="00000002"):
            run.latest_checkpoint()


# --- each other -------------------------------------------------------------------------------------------------------
def test_one_of_twenty_processes_gets_the_run_and_the_others_learn_which(fresh, tmp_path):
    run = fresh()
    gate, told = tmp_path / "gate", tmp_path / "told"
    told.mkdir()

    def work(number: int) -> None:
        while not gate.exists():
            time.sleep(0.001)
        started = time.monotonic()
        try:
            with run.lock():
                (told / f"{number}").write_text(json.dumps(["won", os.getpid()]))
                time.sleep(60)
        except BusyError as error:
            seconds = time.monotonic() - started
            (told / f"{number}").write_text(json.dumps(["busy", error.what, error.exit_code, seconds]))

    children = []
    for number in range(20):
        child = os.fork()
        if child == 0:
            try:
                work(number)
            finally:
                os._exit(0)
        children.append(child)
    gate.touch()
    deadline = time.monotonic() + 20
    while len(list(told.iterdir())) < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    answers = [json.loads(path.read_text()) for path in told.iterdir()]
    winners = [answer[1] for answer in answers if answer[0] == "won"]
    for child in winners:
        os.kill(child, signal.SIGKILL)
    for child in children:
        os.waitpid(child, 0)
    assert len(answers) == 20
    assert len(winners) == 1
    losers = [answer for answer in answers if answer[0] == "busy"]
    assert all(f"process {winners[0]} on " in what and " since 20" in what for _, what, _, _ in losers)
    assert {code for _, _, code, _ in losers} == {5}
    assert max(seconds for *_, seconds in losers) < 2
    with run.lock():  # the kernel let go of it when the holder was killed
        pass


def test_a_forked_child_does_not_keep_the_lock_of_a_killed_holder(tmp_path):
    ready, path = tmp_path / "ready", tmp_path / "lock"
    holder = os.fork()
    if holder == 0:
        with RunLock(path):
            worker = os.fork()
            if worker == 0:
                ready.write_text(str(os.getpid()))
                time.sleep(60)
                os._exit(0)
            time.sleep(60)
        os._exit(0)
    while not ready.exists() or not ready.read_text():
        time.sleep(0.005)
    with pytest.raises(BusyError, match=f"process {holder} on "), RunLock(path):
        pass
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    with RunLock(path):
        os.kill(int(ready.read_text()), signal.SIGKILL)


def test_twenty_runs_created_at_once_get_one_folder_each(tmp_path):
    gate = tmp_path / "gate"

    def work() -> None:
        while not gate.exists():
            time.sleep(0.001)
        RunFolder.create(tmp_path / "runs", "sorting", "screws", now=NOW)

    children = []
    for _ in range(20):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work()
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    gate.touch()
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 20
    names = {path.name for path in (tmp_path / "runs" / "sorting").iterdir()}
    first = "20260102-030405-screws"
    assert names == {first, *(f"{first}-{number}" for number in range(2, 21))}
    assert find("latest", tmp_path / "runs").path.name in names
