"""Damaged artefacts and hostile run folders: each is named, none is called a bug, none takes the studio down."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import hostile_runs as hostile
import pytest
import studio_samples as samples
from hostile_runs import Artefact
from studio_fuzz import fuzz

import gnomon
from gnomon.cli import main
from gnomon.runs.journal import Journal
from gnomon.runs.tags import TagEvent, TagStore

FITTED = ["target=label", "model=dense", "hidden=8", "epochs=2"]
SLOWEST = 20.0  # seconds of processor time that one command may take on one damaged run


def called(words: list[str]) -> tuple[int, str]:
    """The exit code of a command line carried out in this process, and what it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(words)
    return code, said.getvalue()


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder in memory, where there is such a place: runs are copied thousands of times."""
    shared = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=shared if os.access(shared, os.W_OK) else None))
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def data(place) -> Path:
    """A table with a number, a category, two classes and copies of its own rows."""
    draw = random.Random(0)
    rows = []
    for _ in range(160):
        value = draw.gauss(0, 1)
        rows.append(f"{value:.3f},{draw.choice(['red', 'blue'])},{'yes' if value + draw.gauss(0, 0.7) > 0 else 'no'}\n")
    (place / "t.csv").write_text("a,colour,label\n" + "".join([*rows, *rows[:16]]))
    return place / "t.csv"


@pytest.fixture(scope="module")
def whole(data) -> Path:
    """A run with something of everything: improved, probed, tested, tagged, nudged."""
    assert called(["improve", str(data), *FITTED, "time=2s"])[0] == 0
    assert called(["probe", "latest", "time=5s"])[0] == 0
    assert called(["test", "latest"])[0] == 0
    run = gnomon.load("latest")
    ids = run.evaluation("dev").table["id"].cast(str).to_list()
    events = [TagEvent("", "", "new", "odd"), TagEvent("dev", ids[0], "tag", "odd", "1"),
               TagEvent("dev", ids[1], "comment", "", "hm")]  # fmt: skip
    TagStore(run.path).record(events, "ann")
    nudge = {"step": 3, "key": "optimiser.learning_rate", "old": 0.1, "new": 0.05, "time": "2026", "request": "a"}
    Journal(run.path, "nudges.jsonl").append(nudge)
    return run.path


@pytest.fixture(scope="module")
def other(data) -> Path:
    """Another run on the same data; with a moving average of its weights."""
    assert called(["fit", str(data), *FITTED, "ema=0.9", "run_name=other"])[0] == 0
    return gnomon.load("latest").path


@pytest.fixture(scope="module")
def stopped(other, place) -> Path:
    """A run that goes on from its checkpoint when it is resumed."""
    run = hostile.copied(other, place / "stopped")
    (run / "report.html").unlink()
    return run


@pytest.fixture(scope="module")
def search(data) -> Path:
    assert called(["tune", str(data), *FITTED, "trials=4", "workers=1"])[0] == 0
    (found,) = Path("runs/tune").iterdir()
    return found.absolute()


# --- by every verb ----------------------------------------------------------------------------------------------------
LIGHT = {  # verbs that take milliseconds, with the words around the run
    "show": ["show", "RUN"], "show --json": ["show", "RUN", "--json"], "diagnose": ["diagnose", "RUN"],
    "diagnose --json": ["diagnose", "RUN", "--json"], "errors": ["errors", "RUN"], "labels": ["labels", "RUN"],
    "predict": ["predict", "RUN", "DATA"], "nudge": ["nudge", "RUN", "learning_rate=0.01"],
    "improve --resume": ["improve", "--resume", "RUN"], "fit --resume": ["fit", "--resume", "RUN"],
}  # fmt: skip
HEAVY = {
    "compare": ["compare", "RUN", "OTHER"], "mismatch": ["mismatch", "RUN"], "test": ["test", "RUN"],
    "probe": ["probe", "RUN", "time=0.3s"], "improve": ["improve", "RUN", "time=0.3s"],
    "errors report": ["errors", "RUN", "report=yes"],
}  # fmt: skip
OF_A_SEARCH = {"tune --resume": ["tune", "--resume", "RUN"], "retest": ["retest", "RUN", "seeds=1", "trials=1"]}


def fault_of(words: list[str], artefact: Artefact, run: Path, names: dict[str, str]) -> str:
    """What is wrong with how a command takes a damaged run; "" where nothing is."""
    damaged = hostile.copied(run, run.parent / "damaged")
    hostile.forge(damaged, artefact)
    start = time.process_time()  # the machine may have other work
    code, said = called([{"RUN": str(damaged), **names}.get(word, word) for word in words])
    seconds = time.process_time() - start
    about = f"{' '.join(words)}, {str(artefact)[:200]}: exit {code} after {seconds:.1f} s: {said[-300:]}"
    if code not in range(8) or seconds > SLOWEST or (code == 6 and str(damaged) not in said):
        return about
    return about if code and len(said.strip().splitlines()) > 20 else ""


def drawn(run: Path, count: int | None, seed: int, part: str = "") -> list[Artefact]:
    """So many of the run's artefacts (all of them, if None), in random order; of the files in `part` of it alone."""
    found = [artefact for artefact in hostile.artefacts(run) if artefact.file.startswith(part)]
    random.Random(seed).shuffle(found)
    return found[:count]


def of_each_file(run: Path, count: int, seed: int, part: str = "") -> list[Artefact]:
    """So many artefacts of every file: some have thousands of places to change, some have few."""
    by_file: dict[str, list[Artefact]] = {}
    for artefact in drawn(run, None, seed, part):
        by_file.setdefault(artefact.file, []).append(artefact)
    return [artefact for found in by_file.values() for artefact in found[:count]]


def tried(chosen: list[Artefact], run: Path, verbs: dict[str, list[str]], **names: Path) -> Counter:
    """Each artefact put before one of the verbs, in turn; how many there were for each."""
    faults, count = [], Counter()
    turns = itertools.cycle(verbs)
    for artefact in chosen:
        verb = next(turns)
        count[verb] += 1
        fault = fault_of(verbs[verb], artefact, run, {name: str(path) for name, path in names.items()})
        faults += [fault] if fault else []
    assert not faults, "\n".join(faults[:20])
    return count


def test_a_damaged_artefact_is_named_by_every_light_verb(whole, other, data):
    count = tried(drawn(whole, 300, seed=0), whole, LIGHT, OTHER=other, DATA=data)
    assert set(count) == set(LIGHT)


def test_a_damaged_artefact_is_named_by_every_heavy_verb(whole, other, data):
    tried(drawn(whole, 12, seed=1), whole, HEAVY, OTHER=other, DATA=data)


def test_a_damaged_checkpoint_is_named_by_a_fit_that_continues_from_it(stopped):
    tried(drawn(stopped, 40, seed=2, part="checkpoints"), stopped, {"fit": ["fit", "--resume", "RUN"]})


def test_a_damaged_search_is_named_by_whatever_continues_it(search):
    tried(drawn(search, 60, seed=3), search, OF_A_SEARCH)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("verb", [*LIGHT, *HEAVY])
def test_damaged_artefacts_of_every_file_are_named_by_every_verb(whole, other, data, verb):
    verbs = {**LIGHT, **HEAVY}
    chosen = of_each_file(whole, 20 if verb in LIGHT else 3, seed=list(verbs).index(verb))
    tried(chosen, whole, {verb: verbs[verb]}, OTHER=other, DATA=data)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_damaged_artefacts_of_every_file_of_a_checkpoint_and_a_search_are_named(stopped, search):
    tried(of_each_file(stopped, 25, seed=5, part="checkpoints"), stopped, {"fit": ["fit", "--resume", "RUN"]})
    for seed, (verb, words) in enumerate(OF_A_SEARCH.items()):
        tried(of_each_file(search, 25, seed=seed), search, {verb: words})


# --- behind the studio ------------------------------------------------------------------------------------------------
ROUTES = ["", "/live", "/errors/dev", "/errors/train?show=all", "/errors/dev/changes", "/sheet-dev.csv",
          "/examples/dev/0", "/errors/dev?versus=GOOD&change=broken"]  # fmt: skip
COMPARISONS = ["/compare?run=GOOD&run=BAD", "/compare?run=BAD&run=GOOD&smooth=0.9&log=true"]
EVENT = json.dumps({"events": [{"position": 0, "kind": "comment", "value": "x"}]}).encode()


def studio_over(run: Path, chosen: list[Artefact], place: Path) -> tuple[samples.Client, str, list[str]]:
    """A studio over one good copy of the run and one copy for each artefact; the good one's id, and theirs."""
    runs = place / "runs" / "task"
    good = hostile.copied(run, runs / "good")
    bad = []
    for number, artefact in enumerate(chosen):
        bad.append(hostile.copied(run, runs / f"bad-{number}"))
        hostile.forge(bad[-1], artefact)
    return samples.Client(place / "runs"), samples.run_id(good), [samples.run_id(path) for path in bad]


def listed(client: samples.Client) -> bytes:
    """The list, once every run was read: a page that is short of time leaves some for the next one."""
    for _ in range(100):
        assert client.ask("/", headers={"accept": "text/html"})[0] == 200
        if client.library.cards()[1] == 0:
            return client.ask("/", headers={"accept": "text/html"})[2]
    raise AssertionError("some runs are never read")


def asked(run: Path, chosen: list[Artefact], place: Path) -> Counter:
    """Every page of every damaged run, and something said about it; how many answers there were of each status."""
    client, good, bad = studio_over(run, chosen, place)
    body, seen = listed(client), Counter()
    assert good.encode() in body
    for name, artefact in zip(bad, chosen, strict=True):
        paths = [f"/runs/{name}{route}" for route in ROUTES]
        paths += [route.replace("BAD", name) for route in COMPARISONS]
        for path in paths:
            status, _, body = client.ask(path.replace("GOOD", good), headers={"accept": "text/html"})
            seen[status] += 1
            assert status in (200, 404, 409, 424, 503), (path, status, str(artefact)[:200], body[:300])
        status, _, body = client.ask(f"/runs/{name}/errors/dev/record", "POST", EVENT)
        assert status in (200, 404, 409, 422, 424, 503), (status, str(artefact)[:200], body[:300])
    assert client.ask(f"/runs/{good}", headers={"accept": "text/html"})[0] == 200
    return seen


def test_eighty_hostile_runs_are_listed_and_shown_as_far_as_possible(whole, tmp_path):
    seen = asked(whole, drawn(whole, 80, seed=7), tmp_path)
    assert seen[200] > 200
    assert seen[424] > 20


@pytest.mark.parametrize("file", ["tags.sqlite", "lock", "manifest.json", "history.jsonl"])
def test_every_kind_of_hostile_file_that_the_list_or_a_page_reads_is_answered(whole, tmp_path, file):
    asked(whole, drawn(whole, 8, seed=8, part=file), tmp_path)


def test_no_request_is_a_server_error_with_hostile_runs(whole, tmp_path):
    client, _, _ = studio_over(whole, drawn(whole, 80, seed=9), tmp_path)
    listed(client)
    assert {200, 404} <= set(fuzz(client, 120))  # that damaged runs are answered with 424 is asserted above


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_two_thousand_hostile_runs_and_five_thousand_requests(whole, tmp_path):
    for number, seed in enumerate(range(10, 30)):
        asked(whole, drawn(whole, 100, seed=seed), tmp_path / f"{number}")
        shutil.rmtree(tmp_path / f"{number}")
    client, _, _ = studio_over(whole, drawn(whole, 80, seed=30), tmp_path)
    listed(client)
    assert {200, 404, 424} <= set(fuzz(client, 5_000))
