"""What newcomers get wrong, through the real command line: one clear error that names file and fix, nothing touched."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gnomon.cli import main
from gnomon.cli.commands import COMMANDS
from gnomon.cli.run_command import run_command


def _beside(name: str):
    """A module beside this file, which is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


bad_inputs = _beside("bad_inputs")
WORDS = r"None|NoneType|Traceback|Exception|\w+Error|dict|tuple|str|bool|polars|pydantic|torch|numpy"
NOT_FOR_PEOPLE = re.compile(rf"\b({WORDS})\b|<class| object at ")


def snapshot(root: Path, leave: str = "") -> str:
    """A hash over names, contents, sizes, times and rights of everything below, the folder `leave` apart."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*"), key=os.fsencode):
        if path.relative_to(root).parts[0] == leave:
            continue
        found = path.lstat()
        digest.update(os.fsencode(path) + repr((found.st_size, found.st_mtime_ns, found.st_mode)).encode())
        if stat.S_ISREG(found.st_mode):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def gnomon(capsys, *words) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    capsys.readouterr()
    code = run_command([str(word) for word in words])
    found = capsys.readouterr()
    return code, found.out, found.err


def assert_error_form(err: str, code: str, says: tuple[str, ...]) -> None:
    lines = err.splitlines()
    assert 2 <= len(lines) <= 3
    assert lines[0].startswith(f"gnomon: error[{code}]: ")
    assert lines[1].startswith("fix: ")
    assert all(len(line) < 450 for line in lines)
    assert NOT_FOR_PEOPLE.findall(err) == []
    for part in says:
        assert part in err


def assert_refused(capsys, case, words: list[str]) -> None:
    """One error on stderr; with --json one object on stdout; everything below the folder as it was."""
    before = snapshot(Path.cwd())
    code, out, err = gnomon(capsys, *words)
    assert (code, out) == (bad_inputs.EXIT_CODES[case.code], "")
    assert_error_form(err, case.code, case.says)
    code, out, err = gnomon(capsys, *words, "--json")
    assert (code, err) == (bad_inputs.EXIT_CODES[case.code], "")
    (line,) = out.splitlines()
    found = json.loads(line)
    assert found["exit_code"] == code
    assert found["error"].keys() == {"code", "what", "where", "fix"}
    assert found["error"]["code"] == case.code
    assert snapshot(Path.cwd()) == before


@pytest.mark.parametrize("case", bad_inputs.FRESH, ids=lambda case: case.name)
def test_a_bad_input_is_refused_in_one_clear_error_and_its_fix_works(case, capsys):
    words = case.make()
    assert_refused(capsys, case, words)
    if case.fix is not None:
        code, _, err = gnomon(capsys, *case.fix())
        assert (code, err) == (0, "")


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """pets/, houses.csv, and runs/ with a finished run of each; the table's is the latest and has no test split."""
    place, before = tmp_path_factory.mktemp("world"), Path.cwd()
    os.chdir(place)
    try:
        bad_inputs.pets()
        bad_inputs.houses()
        assert run_command(["fit", "pets", "epochs=1", "model=logistic", "--json"]) == 0
        assert run_command(["fit", "houses.csv", "target=price", "test=0", "epochs=1", "--json"]) == 0
    finally:
        os.chdir(before)
    return place


@pytest.mark.parametrize("case", bad_inputs.WITH_RUNS, ids=lambda case: case.name)
def test_a_bad_input_next_to_runs_is_refused_and_its_fix_works(case, world, tmp_path, monkeypatch, capsys):
    shutil.copytree(world, tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(tmp_path / "copy")
    words = case.make()
    assert_refused(capsys, case, words)
    if case.fix is not None:
        code, _, err = gnomon(capsys, *case.fix())
        assert (code, err) == (0, "")


@pytest.mark.parametrize("case", bad_inputs.WORKS, ids=lambda case: case.name)
def test_an_odd_input_that_can_be_used_is_used_with_a_note(case, tmp_path, capsys):
    words = case.make()
    before = snapshot(tmp_path, leave="runs")
    code, out, err = gnomon(capsys, *words)
    assert (code, err) == (0, "")
    for part in case.says:
        assert part in out
    assert snapshot(tmp_path, leave="runs") == before


@pytest.mark.skipif("torch" in sys.modules and sys.modules["torch"].cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_refused_before_training(capsys, tmp_path):
    bad_inputs.pets()
    code, out, err = gnomon(capsys, "fit", "pets", "device=cuda")
    assert (code, out) == (2, "")
    assert "leave machine.device out" in err
    assert not (tmp_path / "runs").exists()


# --- while it runs --------------------------------------------------------------------------------------------------
def test_divergence_names_step_and_a_rate_with_which_it_does_not(capsys):
    bad_inputs.houses()
    words = ["fit", "houses.csv", "target=price", "epochs=4", "test=0"]
    code, _, err = gnomon(capsys, *words, "learning_rate=1e6")
    assert code == 7
    assert_error_form(err, "diverged", ("not finite at step ", "(it was 1e+06)"))
    rate = re.search(r"start again with (learning_rate=\S+)", err)[1]
    code, out, err = gnomon(capsys, "predict", "latest", "houses.csv")
    assert (code, out) == (2, "")
    assert_error_form(err, "usage", ("this run has no model yet", "gnomon fit --resume"))
    code, out, _ = gnomon(capsys, *words, "learning_rate=1e6", "--json")
    assert (code, json.loads(out)["error"]["code"]) == (7, "diverged")
    assert gnomon(capsys, *words, rate)[0] == 0


def test_a_finished_run_is_called_finished_even_if_its_data_is_gone(capsys, tmp_path):
    bad_inputs.pets()
    assert gnomon(capsys, "fit", "pets", "epochs=1", "model=logistic")[0] == 0
    run = (tmp_path / "runs" / "latest").resolve()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    code, out, err = gnomon(capsys, "fit", "--resume", "latest")
    assert (code, err) == (0, "")
    assert "this run was already finished: there was nothing left to do" in out
    assert "gnomon test latest" in out
    latest = tmp_path / "runs" / "latest"
    aim = latest.readlink()
    latest.unlink()
    _, out, _ = gnomon(capsys, "fit", "--resume", str(run))
    assert f"gnomon test {run}" in out  # `latest` would be another run
    (tmp_path / "pets").rename(tmp_path / "moved")
    assert gnomon(capsys, "fit", "--resume", str(run))[0] == 0
    latest.symlink_to(aim)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    code, out, err = gnomon(capsys, "test", "latest")
    assert (code, out) == (3, "")
    assert_error_form(err, "data", ("/pets: the data that this run was made from is gone",))
    (run / "report.html").unlink()  # no longer whole: it goes on, and needs its data
    code, out, err = gnomon(capsys, "fit", "--resume", "latest")
    assert (code, out) == (3, "")
    where = re.search(r"say where it is now: (gnomon fit DATA --resume .*)\.?$", err)[1].rstrip(".")
    words = where.removeprefix("gnomon ").replace("DATA", "moved").split()
    assert gnomon(capsys, *words)[0] == 0
    assert (run / "report.html").exists()


NAMES = (
    b"a\nb.png", b"\x1b[31mred.png", b"=cmd().png", b"<img src=x>.png", "\u202egnp.png".encode(), b"-lead.png",
    b"two words.png", "smile \U0001f600.png".encode(), b"\xff\xfe.png", b"percent%20.png", b"back\\slash.png",
)  # fmt: skip


def test_hostile_names_work_end_to_end_and_control_no_terminal(capsys, tmp_path):
    bad_inputs.pets(each=6)
    for i, name in enumerate(NAMES):
        bad_inputs.picture("pets/cat/plain.png", 500 + i)
        os.rename(b"pets/cat/plain.png", b"pets/cat/" + name)
    os.rename(b"pets/dog", b"pets/d\xf6g")
    before = snapshot(tmp_path, leave="runs")
    commands = [
        ("fit", "pets", "epochs=1", "model=logistic"), ("fit", "pets", "epochs=1", "model=logistic", "--json"),
        ("test", "latest"), ("predict", "latest", "pets"), ("peek", "pets"), ("peek", "pets", "--json"),
    ]  # fmt: skip
    for words in commands:
        code, out, err = gnomon(capsys, *words)
        assert (code, err) == (0, "")
        assert [mark for mark in out if not mark.isprintable() and mark != "\n"] == []
        out.encode()  # no lone surrogates
    code, out, _ = gnomon(capsys, "predict", "latest", "pets", "--json")
    assert code == 0
    ids = [row["id"] for row in json.loads(out)["predictions"]]
    assert len(set(ids)) == len(ids) == 12 + len(NAMES)
    files = {os.path.join(os.fsencode(folder)[5:], name) for folder, _, names in os.walk("pets")
             for name in map(os.fsencode, names)}  # fmt: skip
    assert {back(name) for name in ids} == files
    assert gnomon(capsys, "predict", "latest", "pets", "out=answers.csv")[0] == 0
    assert not re.search(r"^[=+@-]", Path("answers.csv").read_text(), re.MULTILINE)
    Path("answers.csv").unlink()
    assert snapshot(tmp_path, leave="runs") == before


def back(name: str) -> bytes:
    """The bytes of a file's name from how it is shown."""
    pieces = re.split(r"(\\\\|\\n|\\t|\\r|\\x[0-9a-f]{2}|\\u[0-9a-f]{4})", name)
    short = {"\\\\": b"\\", "\\n": b"\n", "\\t": b"\t", "\\r": b"\r"}
    found = b""
    for piece in pieces:
        if piece in short:
            found += short[piece]
        elif piece.startswith("\\x"):
            found += bytes([int(piece[2:], 16)])
        elif piece.startswith("\\u"):
            found += chr(int(piece[2:], 16)).encode()
        else:
            found += piece.encode()
    return found


@pytest.mark.parametrize(("command", "setting"), [("peek", "seed=1"), ("fit", "epochs=1000")])
def test_control_c_while_reading_stops_at_once_and_leaves_nothing(command, setting, capsys, tmp_path):
    for i in range(400):
        bad_inputs.picture(f"pets/{'ab'[i % 2]}/{i}.png", i, 128, 128, 3)
    handler = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.04)  # reading takes three times as long on a fast machine
    try:
        code = main([command, "pets", setting])  # Ctrl-C in the imports is the entry's to report
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    out, err = capsys.readouterr()
    assert code == 130
    assert out == ""
    assert_error_form(err, "stopped", ("stopped.", "run the command again"))
    assert not (tmp_path / "runs").exists()
    assert signal.getsignal(signal.SIGINT) is handler


# --- help -----------------------------------------------------------------------------------------------------------
def test_help_says_how_every_command_is_called(capsys):
    code, out, err = gnomon(capsys, "--help")
    assert (code, err) == (0, "")
    assert all(f"\n  {name} " in out for name in COMMANDS)
    assert gnomon(capsys, "help") == gnomon(capsys, "-h") == (0, out, "")
    assert gnomon(capsys) == (2, out, "")
    for name in COMMANDS:
        code, out, err = gnomon(capsys, name, "--help")
        assert (code, err) == (0, "")
        assert f"gnomon {name}" in out
        assert gnomon(capsys, "help", name) == (0, out, "")
        assert gnomon(capsys, name, "nonsense", "--help") == (0, out, "")
    code, out, _ = gnomon(capsys, "--json")
    assert (code, json.loads(out)["error"]["what"]) == (2, "no command given.")
    code, out, _ = gnomon(capsys, "--version")
    assert code == 0
    assert re.fullmatch(r"gnomon \d+\.\d+\.\d+\n", out)


def test_help_takes_a_third_of_a_second_and_none_of_the_heavy_packages():
    code = (
        "import sys; from gnomon.cli import main; main(['--help']); main(['fit', '--help']); main(['nonsense']); "
        "heavy = {'torch', 'polars', 'numpy', 'pydantic', 'rich', 'matplotlib', 'PIL', 'scipy', 'sklearn'}; "
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stderr.splitlines()[-1] == "[]"
    # seconds of computing, which a busy machine does not stretch as it does those on the wall
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3


# --- another process ------------------------------------------------------------------------------------------------
def shell(command: str, **environment: str) -> tuple[int, str, str]:
    """Run `gnomon ...` in a shell of its own; exit code of the last part, stdout, stderr."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{plain['PATH']}"
    words = ["bash", "-c", f"set -o pipefail; {command}"]
    done = subprocess.run(words, capture_output=True, env={**plain, "PATH": path, **environment}, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("environment", [{"LC_ALL": "C"}, {"LC_ALL": "POSIX"}, {"PYTHONIOENCODING": "ascii"}], ids=str)
def test_a_terminal_without_utf_8_is_not_an_error(environment):
    code, out, err = shell("gnomon show Köln-東京-\U0001f600", **environment)
    assert (code, out) == (2, "")
    assert_error_form(err, "usage", ("does not exist",))
    assert shell("gnomon --help; gnomon settings", **environment)[0] == 0


def test_a_reader_that_goes_away_and_closed_streams_are_not_errors():
    code, out, err = shell("gnomon settings | head -n 1")
    assert (code in (0, 141), len(out.splitlines()), err) == (True, 1, "")
    assert shell("gnomon settings >&-") == (0, "", "")
    assert shell("gnomon show nope >&- 2>&-") == (2, "", "")
    assert shell("gnomon show nope 2>/dev/full") == (2, "", "")
    code, out, err = shell("gnomon settings >/dev/full")
    assert (code, out) == (4, "")
    assert_error_form(err, "machine", ("the disk is full",))


def test_an_error_in_a_subprocess_has_the_same_form():
    bad_inputs.pets(each=3)
    code, out, err = shell("gnomon fit pest")
    assert (code, out) == (2, "")
    assert_error_form(err, "usage", ("named pest", "did you mean pets?"))
    code, out, err = shell("gnomon show pest --debug")
    assert (code, out) == (2, "")
    assert err.startswith("Traceback")
    assert err.splitlines()[-2] == "gnomon: error[usage]: pest: does not exist."
    code, out, err = shell("gnomon show pest --json")
    assert (code, err) == (2, "")
    assert json.loads(out)["error"]["where"] == "pest"
