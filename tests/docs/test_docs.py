"""The pages tell the truth: their code runs, their links lead somewhere, what is generated is current."""

from __future__ import annotations

import gzip
import importlib.util
import re
import struct
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *DOCS.glob("*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def _load(name: str) -> ModuleType:
    """A script of docs/, which is no package."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


pages = _load("pages")
RUNNABLE = [page for page in PAGES if any(block.runs for block in pages.blocks(page.read_text()))]


def _name(page: Path) -> str:
    return page.stem


# --- code -------------------------------------------------------------------------------------------------------------
def _run(page: Path, folder: Path, *, quick: bool) -> None:
    session = pages.Session(folder, quick=quick)
    for block in pages.blocks(page.read_text()):
        if block.runs and not (quick and block.is_slow):
            session.run(block)


@pytest.mark.parametrize("page", RUNNABLE, ids=_name)
def test_the_code_on_every_page_runs_with_two_epochs(page, tmp_path, monkeypatch):
    import gnomon

    monkeypatch.delenv("GNOMON_TASKS")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    whole = gnomon.fit
    monkeypatch.setattr(
        gnomon, "fit", lambda *data, **given: whole(*data, **({} if "resume" in given else {"epochs": 2}) | given)
    )
    _run(page, tmp_path, quick=True)


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNABLE, ids=_name)
def test_the_code_on_every_page_runs_as_written(page, tmp_path, monkeypatch):
    monkeypatch.delenv("GNOMON_TASKS")
    _run(page, tmp_path, quick=False)


def test_the_lines_on_your_own_data_work(tmp_path):
    (block,) = [block for block in pages.blocks((ROOT / "README.md").read_text()) if "own-data" in block.words]
    _own_data(tmp_path)
    pages.Session(tmp_path, quick=True).run(block)


def _own_data(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for place in ("photos", "phone"):
        for name, level in (("day", 200), ("night", 40)):
            (folder / place / name).mkdir(parents=True)
            for i in range(20):
                pixels = rng.integers(level - 40, level + 40, (12, 12), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / place / name / f"{i}.png")
    for person in range(12):
        (folder / "faces" / f"p{person}").mkdir(parents=True)
        for i in range(4):
            pixels = rng.integers(20 * person, 20 * person + 30, (12, 12), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "faces" / f"p{person}" / f"{i}.png")
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for path in sorted((folder / "photos").rglob("*.png")):
            archive.write(path, path.relative_to(folder))
    rows = [f"{area:.1f},{3 * area + rng.random():.2f}" for area in 20 + 100 * rng.random(60).round(2)]
    (folder / "table.csv").write_text("\n".join(["area,price", *rows]))
    dates = [f"{day} {month} 2016,2016-{number:02}-{day:02}" for day in range(1, 21) for number, month in enumerate(
        ("January", "February", "March"), start=1)]  # fmt: skip
    (folder / "dates.csv").write_text("\n".join(["human,iso", *dates]))
    listed = [f"{path.relative_to(folder)},{path.parent.name},{'ab'[i % 2]}" for i, path in enumerate(
        sorted((folder / "photos").rglob("*.png")))]  # fmt: skip
    (folder / "labels.csv").write_text("\n".join(["file,kind,colour", *listed]))
    (folder / "fashion-mnist").mkdir()
    for part in ("train", "t10k"):
        pixels = rng.integers(0, 256, (40, 28, 28), dtype=np.uint8)
        labels = np.arange(40, dtype=np.uint8) % 2
        for kind, array in (("images-idx3", pixels), ("labels-idx1", labels)):
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            path = folder / "fashion-mnist" / f"{part}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(header + array.tobytes()))


def test_a_block_that_fails_is_noticed(tmp_path):
    wrong = pages.Block("bash", ("run",), "gnomon fit nowhere/\n", 0, 0)
    with pytest.raises(AssertionError, match="exited with 2"):
        pages.Session(tmp_path).run(wrong)


def test_a_block_may_say_the_exit_code_it_ends_with(tmp_path):
    wrong = pages.Block("bash", ("run", "exit=2"), "gnomon fit nowhere/\n", 0, 0)
    assert "error[usage]" in pages.Session(tmp_path).run(wrong)


# --- links ------------------------------------------------------------------------------------------------------------
def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_between_pages_lead_somewhere(page):
    for target in LINK.findall(page.read_text()):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        place = (page.parent / name) if name else page
        assert place.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in _anchors(place), f"{page.name} links to {target}"


def test_every_page_is_linked_from_the_readme():
    linked = {Path(target.partition("#")[0]).name for target in LINK.findall((ROOT / "README.md").read_text())}
    assert {page.name for page in DOCS.glob("*.md")} - {"log.md"} <= linked


# --- what is generated or said twice ----------------------------------------------------------------------------------
def test_the_page_of_settings_is_current():
    assert (DOCS / "settings.md").read_text() == _load("make_pages").settings_page()


def test_the_table_of_nets_is_current():
    page = (DOCS / "backbones.md").read_text()
    assert page.count("| `") > 40
    assert page == _load("make_pages").backbones_page(page)


def test_readme_and_ci_run_the_same_commands():
    commands = [line for block in pages.blocks((ROOT / "README.md").read_text()) for line in block.text.splitlines()]
    assert "pip install -c constraints.txt . && gnomon fit digits" in commands
    ci = (ROOT / ".ci" / "run").read_text().replace(" --quiet", "").splitlines()
    install = next(line for line in ci if line.startswith("pip install"))
    assert f"{install} && {ci[-1]}" in commands


def test_every_command_has_its_section():
    from gnomon.cli.commands import COMMANDS

    assert {f"gnomon-{name}" for name in COMMANDS} <= _anchors(DOCS / "commands.md")


def test_every_task_has_its_section():
    here = ROOT / "src" / "gnomon" / "tasks"
    built_in = {folder.name for folder in here.iterdir() if (folder / "__init__.py").is_file()}
    text = (DOCS / "tasks.md").read_text()
    assert {name for name in built_in if f"`{name}`" in text} == built_in


def test_every_error_kind_is_in_the_table_of_exit_codes():
    from gnomon.core import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.GnomonError)]
    text = (DOCS / "commands.md").read_text()
    missing = [
        kind.code for kind in kinds if kind.code != "stopped" and f"| {kind.exit_code} | `{kind.code}`" not in text
    ]
    assert not missing


def test_every_room_of_the_house_is_on_its_picture():
    source = ROOT / "src" / "gnomon"
    rooms = {folder.name for folder in source.iterdir() if (folder / "__init__.py").is_file()}
    text = (DOCS / "architecture.md").read_text()
    assert {room for room in rooms if f"{room}/" in text} == rooms


def test_the_rule_of_threads_is_the_one_the_page_gives():
    from gnomon.training.threads import PER_THREAD

    assert f"one for every {PER_THREAD / 1e6:g} million multiply-adds" in (DOCS / "architecture.md").read_text()


@pytest.mark.slow
def test_numbers_on_the_tasks_page_hold(tmp_path):
    """Seed 0 of every bundled set falls into the range that the page states for it."""
    import gnomon

    for line in (DOCS / "tasks.md").read_text().splitlines():
        found = re.match(r"\| `([\w-]+)` \| \w+ \| [\d.]+(?: %)? \(([\d.]+) to ([\d.]+)\) ", line)
        if found is None:
            continue
        run = gnomon.fit(found[1], seed=0)
        dev = next(rung.error for rung in run.diagnosis.rungs if rung.name == "dev")
        shown = 100 * dev if run.diagnosis.unit == "share" else dev
        assert float(found[2]) - 0.06 <= shown <= float(found[3]) + 0.06, found[1]
