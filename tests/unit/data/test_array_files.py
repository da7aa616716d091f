""".npz and .npy files: which arrays are inputs and targets, own splits, and every way a file can be wrong."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from gnomon.core.errors import ArtefactError, DataError, MachineError
from gnomon.data import array_files
from gnomon.data.opening import open_source
from gnomon.workflow.fit import fit

X, Y = np.arange(48.0).reshape(4, 2, 6), np.array([0, 1, 1, 0])


def saved(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


@pytest.mark.parametrize(
    "names", [("x", "y"), ("X", "Y"), ("data", "target"), ("images", "labels"), ("signals", "label")]
)
def test_inputs_and_targets_are_told_by_their_names(tmp_path, names):
    arrays = open_source(saved(tmp_path / "a.npz", **dict(zip(names, (X, Y), strict=True)))).arrays
    np.testing.assert_array_equal(arrays.inputs, X)
    np.testing.assert_array_equal(arrays.targets, Y)
    assert arrays.splits == ()


@pytest.mark.parametrize("pattern", ["{role}_{split}", "{split}_{role}"])
def test_own_splits_are_kept_in_their_order(tmp_path, pattern):
    parts = {"test": slice(0, 1), "val": slice(1, 2), "train": slice(2, 4)}
    named = {
        pattern.format(role=role, split=split): array[part]
        for split, part in parts.items()
        for role, array in (("x", X), ("y", Y))
    }
    arrays = open_source(saved(tmp_path / "a.npz", **named)).arrays
    assert arrays.splits == (("train", 2), ("dev", 1), ("test", 1))
    np.testing.assert_array_equal(arrays.inputs, X[[2, 3, 1, 0]])
    np.testing.assert_array_equal(arrays.targets, Y[[2, 3, 1, 0]])


def test_a_single_array_of_any_name_is_the_inputs(tmp_path):
    arrays = open_source(saved(tmp_path / "a.npz", ecg=X)).arrays
    assert arrays.targets is None
    np.save(tmp_path / "b.npy", np.asfortranarray(X).astype(">i2"))
    read = open_source(tmp_path / "b.npy").arrays.inputs
    np.testing.assert_array_equal(read, X)
    assert read.dtype.isnative


def test_compressed_files_and_other_arrays_are_read_with_a_note(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=X, y=np.array(["up", "down", "up", "up"]), rate=np.array(8_000))
    source = open_source(tmp_path / "a.npz")
    assert source.arrays.targets.tolist() == ["up", "down", "up", "up"]
    assert source.notes == ("arrays that are neither inputs nor targets, not read: rate (a single value int64)",)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a": X, "b": Y}, r"cannot tell .*a \(4x2x6 float64\), b \(4 int64\)"),
        ({"x": X, "data": X, "y": Y}, "cannot tell"),
        ({"x": X, "x_test": X, "y": Y}, "cannot tell"),
        ({"x_test": X, "x_dev": X}, "nothing to train on"),
        ({"x": X, "y": Y[:3]}, "x has 4 examples, and y 3 targets"),
        ({"x_train": X, "y_train": Y, "x_test": X}, "no targets for x_test"),
        ({"x_train": X, "y_train": Y, "x_test": X[:, :1], "y_test": Y}, "different shapes: x_train .*x_test"),
        ({"x": np.array([{}, 1], dtype=object), "y": Y[:2]}, "Python objects, pickled"),
        ({"x": np.zeros(4, [("a", "f4"), ("b", "i2")]), "y": Y}, "has fields"),
        ({"x": np.array(5.0), "y": Y}, "single value"),
        ({"x": X.astype(complex), "y": Y}, "complex numbers"),
        ({"x": np.array(["a", "b", "c", "d"])[:, None], "y": Y}, "not numbers"),
    ],
)
def test_arrays_that_cannot_be_used_are_one_clear_error(tmp_path, arrays, words):
    with pytest.raises(DataError, match=words) as caught:
        open_source(saved(tmp_path / "a.npz", **arrays))
    assert "a.npz" in caught.value.where


def test_objects_are_not_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("owned").mkdir, ())

    np.savez(tmp_path / "a.npz", x=X, y=np.array([Bomb()] * 4))
    with pytest.raises(DataError, match="could run any code"):
        open_source(tmp_path / "a.npz")
    assert not (tmp_path / "owned").exists()


def test_a_file_cut_anywhere_is_one_error(tmp_path):
    whole = (tmp_path / "a.npz", tmp_path / "b.npy")
    saved(whole[0], x=X, y=Y)
    np.save(whole[1], X)
    for path in whole:
        content = path.read_bytes()
        for size in range(0, len(content), 7):
            path.write_bytes(content[:size])
            with pytest.raises((ArtefactError, DataError)):
                open_source(path)


def test_a_changed_byte_is_an_error_or_another_number_never_a_crash(tmp_path):
    path, rng = tmp_path / "a.npz", np.random.default_rng(0)
    saved(path, x=X, y=Y)
    content = path.read_bytes()
    for _ in range(400):
        changed = bytearray(content)
        changed[rng.integers(len(content))] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(changed))
        try:
            open_source(path)
        except (ArtefactError, DataError):
            continue


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((500, 100_000), np.uint8), y=np.zeros(500))
    with pytest.raises(ArtefactError, match="bomb"):
        open_source(tmp_path / "a.npz")


def test_a_header_that_promises_more_than_there_is_takes_no_memory(tmp_path):
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**9)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("x.npy", content.getvalue())
    with pytest.raises(ArtefactError, match="takes 8,000,000,000,000,000,000 bytes, and there are 0"):
        open_source(tmp_path / "a.npz")


def test_more_than_is_left_of_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(array_files.room, "memory_left", lambda: 100)
    with pytest.raises(MachineError, match="memory are left"):
        open_source(saved(tmp_path / "a.npz", x=X, y=Y))


def test_other_files_named_npz_are_refused(tmp_path):
    (tmp_path / "a.npz").write_text("x,y\n1,2\n")
    with pytest.raises(ArtefactError, match=r"not a \.npz file"):
        open_source(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as file:
        file.writestr("notes.txt", "hello")
    with pytest.raises(DataError, match="no arrays in it"):
        open_source(tmp_path / "b.npz")


def test_pictures_and_tables_in_npz_files_keep_their_own_splits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    pictures = (rng.integers(0, 90, (40, 8, 8)) + 120 * labels[:, None, None]).astype(np.uint8)
    splits = {"train": slice(0, 24), "val": slice(24, 32), "test": slice(32, 40)}
    for name, inputs in (("pictures", pictures), ("table", pictures.reshape(40, -1)[:, :5].astype(np.float64))):
        parts = {f"{role}_{split}": array[part] for split, part in splits.items()
                 for role, array in (("x", inputs), ("y", labels))}  # fmt: skip
        run = fit(saved(tmp_path / f"{name}.npz", **parts), epochs=1)
        assert run.evaluation("dev").table["target"].to_list() == labels[24:32].tolist()
        assert run.test().table["target"].to_list() == labels[32:].tolist()
