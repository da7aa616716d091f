"""A translation that is killed while it learns, is judged or is asked ends as if nothing had happened."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from gnomon import tasks


def _beside(name: str):
    """A helper module beside this file, loaded once for all test files."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


fits = _beside("fits")
SETTINGS = ("epochs=2", "batch_size=16", "save_every=0.001", "label_smoothing=0.1", "ema=0.9", "beam=3", "n_best=2")
NETS = {
    "transformer": ("model=transformer", "model.width=8", "model.layers=1", "model.heads=2", "dropout=0.3"),
    "seq2seq-attention": ("model=seq2seq-attention", "model.units=8", "model.embedding=8", "dropout=0.3"),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Dates, each with a second reference: which of them training draws is chance, too."""
    path = tasks.load("translation").reader.write_sample(tmp_path_factory.mktemp("data"), seed=0)
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, *rows, *(f"{row} " for row in rows[:40])]) + "\n")
    return path


def start(data: Path, place: Path, net: str, hook=None):
    words = ("fit", data, "task=translation", f"runs_folder={place / 'runs'}", *NETS[net], *SETTINGS)
    return fits.server().start(*words, jobs=place, hook=hook)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("net", NETS)
def test_a_translation_killed_in_training_in_judging_and_in_answering_is_the_same(data, tmp_path, net):
    whole = tmp_path / "whole"
    whole.mkdir()
    job = start(data, whole, net)
    assert job.wait() == 0, job.stderr
    expected = fits.result(fits.only_run(whole / "runs"))
    points = (
        ("gnomon.training.loop:step", 3), ("gnomon.parts.translation:search", 2), ("gnomon.training.loop:step", 3),
        ("gnomon.workflow.fit:judge_splits", 1), ("gnomon.parts.translation:search", 2),
    )  # fmt: skip
    hooks = [{"call": call, "number": number, "signal": fits.KILL} for call, number in points]
    job = start(data, tmp_path, net, hooks[0])
    assert job.wait() == -fits.KILL, job.stderr
    run = fits.only_run(tmp_path / "runs")
    for hook in hooks[1:]:
        job = fits.server().start("fit", "--resume", run, jobs=tmp_path, hook=hook)
        assert job.wait() == -fits.KILL, (hook, job.stderr)
    job = fits.server().start("fit", "--resume", run, jobs=tmp_path)
    assert job.wait() == 0, job.stderr
    fits.assert_same(run, expected)

    sources = tmp_path / "sources.txt"
    sources.write_text("\n".join(f"{day} May 2015" for day in range(1, 29)) + "\n")
    before, out = fits.tree_state(run), tmp_path / "answers.csv"
    words = ("predict", run, sources, "beam=4", "n_best=3", f"out={out}")
    job = fits.server().start(*words, jobs=tmp_path, hook={**hooks[1], "number": 1})
    assert job.wait() == -fits.KILL, job.stderr
    assert not out.exists()
    assert fits.tree_state(run) == before
    other = tmp_path / "whole.csv"
    for model, path in ((run, out), (fits.only_run(whole / "runs"), other)):
        job = fits.server().start(*("predict", model, sources, "beam=4", "n_best=3", f"out={path}"), jobs=tmp_path)
        assert job.wait() == 0, job.stderr
    assert out.read_bytes() == other.read_bytes()
    assert len(out.read_text().splitlines()) == 1 + 3 * 28
