"""Pictures inside an archive are trained on where they are: nothing is unpacked beside it, nothing stays behind."""

from __future__ import annotations

import os
import tempfile
import zipfile

import pytest

import gnomon
from gnomon.data.named import NAMES


def smaller(archive, place, *, train: int, test: int):
    """A zip of the first pictures of each of the ten classes of cifar10-half.zip."""
    place.mkdir()
    path = place / "cifar.zip"
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(path, "w") as part:
        for name in whole.namelist():
            split, _, leaf = name.split("/")
            if int(leaf.removesuffix(".jpg")) < {"train": train, "test": test}[split] // 10:
                part.writestr(name, whole.read(name))
    return path


def seen(place):
    """Every path below a folder with its size and times."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns, path.stat().st_ino) for path in place.rglob("*")}


def fit_and_look(archive, tmp_path, monkeypatch, **settings):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", None)
    before, times = seen(archive.parent), os.stat(archive.parent).st_mtime_ns
    run = gnomon.fit(archive, epochs=1, **settings)
    run.test()
    assert seen(archive.parent) == before
    assert os.stat(archive.parent).st_mtime_ns == times
    assert list(scratch.iterdir()) == []
    assert not list(run.path.rglob("*.jpg"))
    return run


@pytest.mark.real
def test_a_zip_of_pictures_is_fitted_and_tested_where_it_lies(real_data, tmp_path, monkeypatch):
    archive = smaller(real_data / "cifar10-half.zip", tmp_path / "data", train=300, test=100)
    run = fit_and_look(archive, tmp_path, monkeypatch, model="lenet5")
    card = run.folder.load_data()
    assert sum(card["splits"].values()) == 400
    assert card["splits"]["test"] == 100
    assert len(card["classes"]["train"]) == 10
    assert len(run.predict(archive)) == 400


@pytest.mark.real
@pytest.mark.slow
def test_5000_and_1000_pictures_of_a_zip_are_learnt_from(real_data, tmp_path, monkeypatch):
    archive = smaller(real_data / "cifar10-half.zip", tmp_path / "data", train=5000, test=1000)
    run = fit_and_look(archive, tmp_path, monkeypatch)
    splits = run.folder.load_data()["splits"]
    assert splits["train"] + splits["dev"] == 5000
    assert splits["test"] == 1000
    assert run.evaluation("test").table["error"].mean() < 0.75  # 90 % is chance; one pass over 4,000
    assert "cifar" not in NAMES
