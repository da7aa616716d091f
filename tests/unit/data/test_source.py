"""Opening things: paths, sets by name, and the errors that say what was meant."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import datasets

from gnomon.core.errors import DataError, UsageError
from gnomon.data.archives import TarTree, ZipTree
from gnomon.data.opening import open_source
from gnomon.data.source import display_name, first_names
from gnomon.data.trees import FilesTree, FolderTree


@pytest.mark.parametrize(("name", "load"), [
    ("iris", datasets.load_iris), ("wine", datasets.load_wine), ("breast-cancer", datasets.load_breast_cancer),
])  # fmt: skip
def test_named_sets_of_classes_equal_scikit_learns(name, load):
    theirs, ours = load(), open_source(name).arrays
    np.testing.assert_array_equal(ours.inputs, theirs.data)
    np.testing.assert_array_equal(ours.targets, theirs.target)
    assert ours.feature_names == tuple(theirs.feature_names)
    assert ours.class_names == tuple(theirs.target_names)


def test_digits_equal_scikit_learns():
    theirs, ours = datasets.load_digits(), open_source("digits").arrays
    np.testing.assert_array_equal(ours.inputs, theirs.images)
    np.testing.assert_array_equal(ours.targets, theirs.target)
    assert ours.class_names == tuple(str(name) for name in theirs.target_names)


def test_diabetes_equals_scikit_learns_in_natural_units():
    theirs, ours = datasets.load_diabetes(scaled=False), open_source("diabetes").arrays
    np.testing.assert_array_equal(ours.inputs, theirs.data)
    np.testing.assert_array_equal(ours.targets, theirs.target)
    assert ours.feature_names == tuple(theirs.feature_names)


@pytest.mark.parametrize("name", ["Digits", "breast_cancer", "DIABETES"])
def test_set_names_are_found_in_other_spellings(name):
    assert open_source(name).arrays is not None


def test_reading_digits_as_pictures_imports_nothing_heavy():
    code = (
        "import sys\nfrom gnomon.data.opening import open_source\nfrom gnomon.data import images\n"
        "from gnomon.core.settings import DataSettings\n"
        "part = images.read_labelled(open_source('digits'), DataSettings()).splits['all']\n"
        "assert part.pixels(8, 8, 1).shape == (1797, 8, 8, 1)\n"
        "heavy = {'sklearn', 'scipy', 'torch', 'matplotlib', 'pandas', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"no file, folder or set named digitz.*did you mean digits\?"):
        open_source("digitz")
    with pytest.raises(UsageError, match=r"did you mean photos\?"):
        open_source("photo")
    with pytest.raises(UsageError, match=rf"did you mean {tmp_path}/photos\?"):
        open_source(tmp_path / "fotos")
    with pytest.raises(UsageError, match="or one of the sets breast-cancer, diabetes, digits, iris, wine"):
        open_source("qqqqqqq")


@pytest.mark.parametrize("text", ["", "a\0b", "x" * 5000, "/" * 3 + "nowhere/at/all", "\udcff"])
def test_odd_texts_are_refused_as_names(text):
    with pytest.raises((UsageError, DataError)) as caught:
        open_source(text)
    assert str(caught.value).isprintable()


def test_a_path_hides_the_set_of_its_name_and_says_so(tmp_path, monkeypatch):
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits/a.txt").write_text("a")
    monkeypatch.chdir(tmp_path)
    source = open_source("digits")
    assert isinstance(source.tree, FolderTree)
    assert "not scikit-learn's set" in source.notes[0]


@pytest.mark.parametrize("name", ["t.csv", "t.TSV", "t.parquet", "t.csv.gz", "t.pq"])
def test_tables_are_passed_on_by_path(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"a,b\n1,2\n")
    source = open_source(path)
    assert (source.name, source.table, source.tree) == ("t", str(path), None)


def test_folders_archives_and_files_become_trees(tmp_path):
    folder = tmp_path / "pets"
    folder.mkdir()
    (folder / "1.png").write_bytes(b"one")
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        archive.write(folder / "1.png", "1.png")
    for suffix, mode in [("tar", "w"), ("tar.gz", "w:gz"), ("tgz", "w:gz"), ("tar.bz2", "w:bz2"), ("tar.xz", "w:xz")]:
        with tarfile.open(tmp_path / f"pets.{suffix}", mode) as archive:
            archive.add(folder / "1.png", "1.png")
    kinds = {"pets": FolderTree, "pets.zip": ZipTree, "pets/1.png": FilesTree} | {
        f"pets.{suffix}": TarTree for suffix in ("tar", "tar.gz", "tgz", "tar.bz2", "tar.xz")
    }
    for name, kind in kinds.items():
        source = open_source(tmp_path / name)
        assert isinstance(source.tree, kind)
        assert source.name == ("1.png" if kind is FilesTree else "pets")
        assert source.origin == str(tmp_path / name)
        assert [source.tree.read(file.name) for file in source.tree.files] == [b"one"]
        assert source.summary() == "found 1 file (.png 1)"


def test_a_folder_of_a_run_is_not_data(tmp_path):
    for name in ("manifest.json", "settings.toml", "splits.parquet", "predictions/dev.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match="of a run or a search, not data"):
        open_source(tmp_path)


def test_several_files_are_one_tree_and_one_path_in_a_list_is_that_path(tmp_path):
    for name in ("b.png", "a.png"):
        (tmp_path / name).write_bytes(b"x")
    source = open_source([tmp_path / "b.png", str(tmp_path / "a.png")])
    assert [file.name for file in source.tree.files] == [str(tmp_path / "b.png"), str(tmp_path / "a.png")]
    assert isinstance(open_source([tmp_path]).tree, FolderTree)
    with pytest.raises(UsageError, match="is not a file"):
        open_source([tmp_path, tmp_path / "a.png"])
    (tmp_path / "t.csv").write_text("a\n1\n")
    with pytest.raises(UsageError, match="one at a time"):
        open_source([tmp_path / "t.csv", tmp_path / "a.png"])


def test_empty_and_unusable_paths_are_named(tmp_path):
    with pytest.raises(DataError, match="no files in it"):
        open_source(tmp_path)
    (tmp_path / ".hidden").write_text("x")
    with pytest.raises(DataError, match="hidden and system files skipped: 1"):
        open_source(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="named pipe"):
        open_source(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to("nowhere")
    with pytest.raises(DataError, match="this link is broken"):
        open_source(tmp_path / "broken")
    with pytest.raises(DataError, match="device"):
        open_source("/dev/zero")
    (tmp_path / "a.7z").write_bytes(b"7z")
    with pytest.raises(DataError, match="not supported"):
        open_source(tmp_path / "a.7z")


def test_a_gzip_that_is_not_a_table_is_one_file(tmp_path):
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(b"x"))
    assert len(open_source(path).tree.files) == 1


@given(st.text(alphabet=st.characters(codec=None), max_size=8), st.text(alphabet=st.characters(codec=None), max_size=8))
def test_display_names_are_printable_utf8_and_never_shared(a, b):
    shown = display_name(a)
    shown.encode("utf-8")
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 or char in "\u202e\u2028\u200b" for char in shown)
    assert (shown == display_name(b)) == (a == b)


@pytest.mark.parametrize(("name", "shown"), [
    ("cat.png", "cat.png"), ("é.png", "é.png"), ("a\nb", r"a\nb"), (os.fsdecode(b"\xff.png"), r"\xff.png"),
    ("\x1b[31m", r"\x1b[31m"), ("a\u202eb", r"a\u202eb"), ("a\\b", r"a\\b"),
])  # fmt: skip
def test_display_names(name, shown):
    assert display_name(name) == shown


def test_many_names_are_counted():
    assert first_names(["a", "b\n", "c", "d", "e"]) == r"a, b\n, c and 2 more"


# --- what gnomon wrote ------------------------------------------------------------------------------------------------
RUN = ("manifest.json", "settings.toml", "splits.parquet", "predictions/dev.parquet", "figures/curve.png", "data.json")


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def names_of(source):
    return [file.name for file in source.tree.files]


@pytest.mark.parametrize("place", ["runs", "old/runs of may", "a/b/c"])
def test_run_folders_are_never_data_wherever_they_are(tmp_path, place):
    put(tmp_path, "cat/1.png", "dog/2.png", f"{place}/peek/cat.png", f"{place}/lr/x.png")
    put(tmp_path, *(f"{place}/{kind}/20260101-x/{name}" for kind in ("image_classification", "tune") for name in RUN))
    source = open_source(tmp_path)
    assert names_of(source) == ["cat/1.png", "dog/2.png"]
    assert any("ignored, because gnomon wrote them: 14 files" in note for note in source.notes)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in ("cat/1.png", "dog/2.png", *(f"{place}/image_classification/r/{name}" for name in RUN)):
            archive.writestr(name, b"x")
    assert names_of(open_source(tmp_path / "all.zip")) == ["cat/1.png", "dog/2.png"]


def test_the_runs_folder_is_never_data_even_before_it_holds_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(tmp_path, "cat/1.png", "runs/peek/x.png", "output/tables/y.png")
    assert names_of(open_source(".", "runs")) == ["cat/1.png", "output/tables/y.png"]
    assert names_of(open_source(tmp_path, "output")) == ["cat/1.png", "runs/peek/x.png"]
    assert names_of(open_source(tmp_path / "runs", "runs")) == ["peek/x.png"]  # given by name, it is looked into


def test_data_next_to_runs_in_its_own_folder_is_kept(tmp_path):
    put(tmp_path, "table.csv", *(f"tabular_classification/r/{name}" for name in RUN))
    assert names_of(open_source(tmp_path, str(tmp_path))) == ["table.csv"]


def test_a_file_of_a_run_is_refused(tmp_path):
    put(tmp_path, *(f"runs/tune/r/{name}" for name in RUN))
    with pytest.raises(DataError, match="this file belongs to a run that gnomon wrote"):
        open_source(tmp_path / "runs/tune/r/predictions/dev.parquet")
    with pytest.raises(DataError, match=r"there are no files in it.*ignored, because gnomon wrote them"):
        open_source(tmp_path / "runs")
