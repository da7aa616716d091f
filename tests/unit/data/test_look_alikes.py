"""Names that look the same in print and are not: which bytes differ is said wherever they would be taken for two."""

from __future__ import annotations

import unicodedata

import numpy as np
import polars as pl
import pytest
from PIL import Image

import gnomon
from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data import images
from gnomon.data.corrections import relabelled
from gnomon.data.features import fit_features, unlike_training
from gnomon.data.opening import open_source
from gnomon.data.source import look_alike
from gnomon.data.tables import Kind, read_table

COMPOSED = unicodedata.normalize("NFC", "café")
DECOMPOSED = unicodedata.normalize("NFD", "café")
HOW = "bytes 65 cc 81 in place of c3 a9"  # e and U+0301; U+00E9


@pytest.mark.parametrize(
    ("name", "other", "how"),
    [
        (DECOMPOSED, COMPOSED, HOW),
        (COMPOSED, DECOMPOSED, "bytes c3 a9 in place of 65 cc 81"),
        ("Ａ1", "A1", "bytes ef bc a1 in place of 41"),
        ("a\u00a0b", "a b", "bytes c2 a0 in place of 20"),
    ],
)
def test_the_bytes_that_differ_are_reported(name, other, how):
    assert how in look_alike(name, ["b", other])


def test_names_that_look_different_are_not_alike():
    assert look_alike("cafe", [COMPOSED, "Cafe", "caf"]) == ""
    assert look_alike(COMPOSED, [COMPOSED]) == ""


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(len(str(path))).integers(0, 255, (8, 8), dtype=np.uint8)).save(path)


def test_class_folders_that_look_alike_are_kept_apart_with_a_note(tmp_path):
    for folder in (COMPOSED, DECOMPOSED, "tea"):
        for i in range(2):
            put(tmp_path / folder / f"{i}.png")
    reading = images.read_labelled(open_source(tmp_path), DataSettings())
    assert any("look alike" in note and "in place of" in note for note in reading.notes)


def test_a_class_of_dev_that_looks_like_one_of_train_is_refused_with_its_bytes(tmp_path):
    for folder in (f"train/{COMPOSED}", "train/tea", f"dev/{DECOMPOSED}", "dev/tea"):
        for i in range(2):
            put(tmp_path / folder / f"{i}.png")
    with pytest.raises(DataError, match=f"dev has 1 class without pictures in train.*{HOW}"):
        images.read_labelled(open_source(tmp_path), DataSettings())


def test_a_class_of_the_target_data_that_looks_like_one_of_the_source_is_refused_with_its_bytes(tmp_path):
    for folder in (f"a/{COMPOSED}", "a/tea", f"b/{DECOMPOSED}", "b/tea"):
        for i in range(8):
            put(tmp_path / folder / f"{i}.png")
    with pytest.raises(DataError, match=f"that train has no examples of.*{HOW}"):
        gnomon.fit(tmp_path / "a", target_data=str(tmp_path / "b"), epochs=1, runs_folder=str(tmp_path / "runs"))


def test_categories_and_columns_that_look_alike_are_reported():
    rows = "".join(f"{(COMPOSED, DECOMPOSED, 'tea')[i % 3]},{i % 7}\n" for i in range(30))
    table = read_table("t.csv", DataSettings(), content=f"drink,label\n{rows}".encode())
    assert any("are kept as different values" in note and "in place of" in note for note in table.notes)
    with pytest.raises(
        DataError, match=f"has no column.*{HOW.replace('65 cc 81 in place of c3 a9', 'c3 a9 in place of 65 cc 81')}"
    ):
        read_table("t.csv", DataSettings(), content=f"{DECOMPOSED},x\n1,2\n".encode(), kinds={COMPOSED: Kind("number")})


def test_an_unknown_category_that_looks_like_a_known_one_is_reported():
    features, _ = fit_features(pl.DataFrame({"drink": [COMPOSED, "tea"] * 5}), ["drink"])
    new = pl.DataFrame({"drink": ["tea", DECOMPOSED]})
    _, (note,) = unlike_training(new, features, lambda rows: f"row {rows[0] + 1}")
    assert HOW in note


def test_a_correction_that_looks_like_a_class_is_reported():
    examples = images.read_labelled(open_source((np.zeros((4, 4, 4), np.uint8), [COMPOSED, "tea"] * 2)), DataSettings())
    with pytest.raises(DataError, match=HOW):
        relabelled(examples.splits["all"], {"image 1": DECOMPOSED})
