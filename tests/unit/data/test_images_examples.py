"""Pictures as Examples: taking, joining, resizing, fingerprints and thumbnails, from files and arrays alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from PIL import Image

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data import images
from gnomon.data.images import stores
from gnomon.data.images.examples import index_of
from gnomon.data.images.scaling import as_bytes
from gnomon.data.opening import open_source
from gnomon.data.source import Arrays, Source
from gnomon.workflow.road.split import Prepared


def put_picture(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(images.as_png(pixels))


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def from_array(array: np.ndarray, targets=None) -> images.ImageExamples:
    targets = np.arange(len(array)) % 2 if targets is None else targets
    return images.read_labelled(open_source((array, targets)), DataSettings()).splits["all"]


def from_files(folder, pictures: dict[str, np.ndarray], **settings) -> images.ImageExamples:
    for name, pixels in pictures.items():
        put_picture(folder / name, pixels)
    return images.read_labelled(open_source(folder), DataSettings(**settings)).splits["all"]


@pytest.fixture
def four(tmp_path):
    return from_files(tmp_path, {f"{kind}/{i}.png": noise(20, 30, 3, seed=i) for i, kind in enumerate("aabb")})


def test_an_example_is_what_a_person_sees(four):
    example = four[2]
    assert (example.id, example.target, dict(example.tags)) == ("b/2.png", "b", {})
    np.testing.assert_array_equal(example.inputs, noise(20, 30, 3, seed=2))
    assert [one.id for one in four] == ["a/0.png", "a/1.png", "b/2.png", "b/3.png"]


def test_the_index_has_the_columns_everyone_relies_on(four):
    assert four.index.columns == ["id", "label", "stratum", "group", "time"]
    assert four.index["stratum"].to_list() == ["a", "a", "b", "b"]
    assert four.index["group"].null_count() == len(four) == 4


def test_take_keeps_the_order_asked_for_and_repeats(four):
    taken = four.take(np.array([3, 0, 3]))
    assert taken.index["id"].to_list() == ["b/3.png", "a/0.png", "b/3.png"]
    np.testing.assert_array_equal(taken.pixels(20, 30, 3)[1], noise(20, 30, 3, seed=0))
    np.testing.assert_array_equal(taken.take(np.array([1])).fingerprints(), four.fingerprints()[:1])


def test_joined_examples_of_two_sources_are_the_ones_before_then_the_ones_after(four):
    others = from_array(noise(5, 8, 8))
    joined = four.join(others).join(four.take(np.array([1])))
    assert len(joined) == 10
    assert len(joined.stores) == 2
    np.testing.assert_array_equal(
        joined.fingerprints(), [*four.fingerprints(), *others.fingerprints(), four.fingerprints()[1]]
    )
    np.testing.assert_array_equal(joined.sizes()[[0, 4, 9]], [[20, 30], [8, 8], [20, 30]])
    np.testing.assert_array_equal(joined.pixels(10, 10, 3)[4:9], others.pixels(10, 10, 3))
    np.testing.assert_array_equal(joined[9].inputs, noise(20, 30, 3, seed=1))
    assert joined.is_colour
    assert not joined.take(np.arange(4, 9)).is_colour
    assert joined.thumbnails().shape == (10, 256)


def test_examples_of_three_sources_with_the_same_names_are_told_apart(tmp_path):
    sets = {}
    for number, camera in enumerate(("studio", "phone", "drone")):
        pictures = {f"{'ab'[i % 2]}/{i}.png": noise(8, 8, seed=10 * number + i) for i in range(4)}
        sets[camera] = from_files(tmp_path / camera, pictures)
    joined = sets["studio"].join(sets["phone"]).join(sets["drone"])
    assert joined.index.n_chunks() == 1  # polars 2.1 panics on columns that are cut at different places
    prepared = Prepared(*[None] * 3, {"train": joined, "dev": sets["studio"]}, (), (), None, None)
    identity = prepared.identity()
    assert identity["id"].n_unique() == len(identity) == 16
    assert set(identity["fingerprint"].to_list()) == set(joined.fingerprints().tolist())


def test_ids_in_several_pieces_are_numbered_all_the_same():
    # found by trial: in one of these draws polars 2.1 panics, the ids being cut where the fingerprints are not
    rng = np.random.default_rng(0)
    for draw in range(40):
        parts = {}
        for number in range(3):
            names = [f"{int(i)}.png" for i in rng.choice(6, 3, replace=False)]
            pieces = [pl.Series("id", [name]) for name in names]
            ids = pl.concat(pieces, rechunk=number > 0)
            table = index_of(names, ["a", "b", "a"]).with_columns(ids)
            parts[f"part {number}"] = replace(
                from_array(noise(3, 4, 4, seed=3 * draw + number), np.array([0, 1, 0])), table=table
            )
        identity = Prepared(*[None] * 3, parts, (), (), None, None).identity()
        assert identity["id"].n_unique() == len(identity) == 9


def test_pixels_at_their_own_size_are_the_pictures_themselves():
    array = noise(6, 9, 7)
    np.testing.assert_array_equal(from_array(array).pixels(9, 7, 1)[..., 0], array)
    np.testing.assert_array_equal(from_array(array).pixels(9, 7, 3), np.repeat(array[..., None], 3, axis=3))
    assert from_array(array).pixels(9, 7, 3).flags["C_CONTIGUOUS"]


def test_shrinking_averages_instead_of_skipping():
    checks = np.indices((64, 64)).sum(axis=0) % 2 * 255  # skipping would give all black or all white
    shrunk = from_array(np.stack([checks] * 4).astype(np.uint8)).pixels(8, 8, 1)
    assert np.abs(shrunk.astype(int) - 127).max() <= 2


def test_colour_becomes_gray_by_its_luminance():
    red = np.zeros((4, 4, 4, 3), np.uint8)
    red[..., 0] = 255
    np.testing.assert_array_equal(from_array(red).pixels(4, 4, 1), 76)  # 0.299 * 255, ITU-R BT.601


def test_a_picture_is_the_same_from_a_file_and_from_an_array(tmp_path):
    pictures = noise(4, 33, 21, 3)
    filed = from_files(tmp_path, {f"{'ab'[i % 2]}/{i}.png": picture for i, picture in enumerate(pictures)})
    filed = filed.take(np.array([0, 2, 1, 3]))
    array = from_array(pictures)
    for size in [(33, 21, 3), (16, 16, 1), (50, 40, 3)]:
        np.testing.assert_array_equal(filed.pixels(*size), array.pixels(*size))
    np.testing.assert_array_equal(filed.fingerprints(), array.fingerprints())
    assert np.abs(filed.thumbnails() - array.thumbnails()).max() < 0.05


def test_pictures_that_do_not_fit_into_memory_are_decoded_again_to_the_same_pixels(tmp_path, monkeypatch):
    pictures = {f"{'ab'[i % 2]}/{i}.png": noise(300, 400, 3, seed=i) for i in range(6)}
    remembered = from_files(tmp_path, pictures)
    monkeypatch.setattr(stores, "MEMORY", 0)
    monkeypatch.setattr(stores, "THREADS_FROM", 0)
    forgotten = images.read_labelled(open_source(tmp_path), DataSettings()).splits["all"]
    np.testing.assert_array_equal(forgotten.pixels(64, 64, 3), remembered.pixels(64, 64, 3))
    np.testing.assert_array_equal(forgotten[3].inputs, remembered[3].inputs)
    np.testing.assert_array_equal(forgotten.fingerprints(), remembered.fingerprints())


def test_a_picture_is_the_same_alone_and_with_others(four):
    np.testing.assert_array_equal(four.pixels(7, 9, 3)[2], four.take(np.array([2])).pixels(7, 9, 3)[0])


def test_fingerprints_differ_between_pictures_and_between_shapes():
    array = noise(3, 4, 6)
    array[2] = array[0]
    prints = from_array(array, np.array([0, 1, 0])).fingerprints()
    assert prints.dtype == np.uint64
    assert prints[0] == prints[2] != prints[1]
    turned = from_array(array.reshape(3, 6, 4), np.array([0, 1, 0]))
    assert turned.fingerprints()[0] != prints[0]


def test_thumbnails_have_mean_0_and_standard_deviation_1():
    array = noise(3, 40, 50)
    array[2] = np.clip(array[0].astype(int) // 2 + 60, 0, 255)  # the same picture, darker and flatter
    thumbnails = from_array(array, np.array([0, 1, 0])).thumbnails()
    assert thumbnails.shape == (3, 256)
    assert thumbnails.dtype == np.float32
    np.testing.assert_allclose(thumbnails.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(thumbnails.std(axis=1), 1, atol=1e-5)
    correlation = thumbnails @ thumbnails.T / 256
    assert correlation[0, 2] > 0.99
    assert abs(correlation[0, 1]) < 0.4


def test_thumbnails_are_robust_to_resizing_and_jpeg(tmp_path):
    rows, columns = np.mgrid[0:1:90j, 0:1:120j]
    scene = np.rint(127 + 60 * np.sin(9 * rows) + 60 * np.cos(14 * columns * rows)).astype(np.uint8)
    put_picture(tmp_path / "a/1.png", scene)
    put_picture(tmp_path / "b/2.png", scene[:, ::-1])
    Image.fromarray(scene).resize((80, 60)).save(tmp_path / "a/3.jpg", quality=60)
    thumbnails = images.read_labelled(open_source(tmp_path), DataSettings()).splits["all"].thumbnails()
    correlation = thumbnails @ thumbnails.T / 256
    assert correlation[0, 1] > 0.99  # a/1.png, a/3.jpg
    assert correlation[0, 2] < 0.8


def test_thumbnails_of_small_pictures_keep_their_size_and_flat_ones_are_zero():
    array = noise(3, 8, 8)
    array[1] = 77
    thumbnails = from_array(array, np.array([0, 1, 0])).thumbnails()
    assert thumbnails.shape == (3, 64)
    assert (thumbnails[1] == 0).all()
    np.testing.assert_allclose(np.corrcoef(thumbnails[0], array[0].ravel())[0, 1], 1)


def test_moments_are_those_of_all_pixels():
    array = noise(7, 5, 6, 3)
    found = images.moments(from_array(array, np.arange(7) % 2), 5, 6, 3)
    np.testing.assert_allclose(found.mean, (array / 255).mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(found.std, (array / 255).std(axis=(0, 1, 2)), rtol=1e-5)
    expected = np.cov((array / 255).reshape(-1, 3), rowvar=False, bias=True)
    np.testing.assert_allclose(found.covariance, expected, atol=1e-6)
    assert images.moments(from_array(np.full((4, 5, 6), 9, np.uint8)), 5, 6, 1).std == (1.0,)


# --- arrays ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("values", "expected", "said"), [
    (np.array([0.0, 0.5, 1.0]), [0, 128, 255], "0..1"),
    (np.array([0.0, 8.0, 16.0]), [0, 128, 255], "0..16"),
    (np.array([0.0, 8.5, 16.0]), [0, 8, 16], "0..255: rounded"),
    (np.array([0.0, 100.0, 255.0], np.float32), [0, 100, 255], "0..255"),
    (np.array([0, 100, 255]), [0, 100, 255], "0..255"),
    (np.array([0, 40_000, 65_535], np.uint16), [0, 156, 255], "divided by 257"),
    (np.array([False, True, True]), [0, 255, 255], "0..1"),
])  # fmt: skip
def test_arrays_of_other_numbers_are_scaled_by_their_range_with_a_note(values, expected, said):
    found = as_bytes(values.reshape(1, 1, 3), "x")
    np.testing.assert_array_equal(found.pixels[0, 0], expected)
    assert said in found.notes[0]


def test_bytes_are_used_as_they_are_without_a_copy():
    array = noise(3, 4, 4)
    found = as_bytes(array, "x")
    assert found.pixels is array
    assert found.notes == ()


def test_four_channels_are_colour_and_transparency():
    array = np.zeros((1, 1, 2, 4), np.uint8)
    array[0, 0, 1, 3] = 255
    found = as_bytes(array, "x")
    np.testing.assert_array_equal(found.pixels[0, 0], [[255] * 3, [0] * 3])
    assert "transparency" in found.notes[0]


@pytest.mark.parametrize(("array", "what"), [
    (np.full((2, 3, 3), np.nan), "picture 0 has NaN or infinite values"),
    (np.full((2, 3, 3), -0.5), "from -0.5 to -0.5"),
    (np.full((2, 3, 3), 1e9), "not 0..1"),
    (np.zeros((2, 3, 3, 2)), "not a set of pictures"),
    (np.zeros((2, 3, 3), complex), "not numbers"),
])  # fmt: skip
def test_arrays_that_are_not_pictures_are_refused(array, what):
    with pytest.raises(DataError, match=what):
        as_bytes(array, "x")


@pytest.mark.parametrize(("targets", "classes"), [
    (np.array([3, 7, 3, 7]), ["3", "7", "3", "7"]),
    (np.array([1.0, 0.0, 1.0, 0.0]), ["1", "0", "1", "0"]),
    (np.array(["007", "None", "007", "None"]), ["007", "None", "007", "None"]),
    (np.array([[0], [1], [0], [1]]), ["0", "1", "0", "1"]),
    (np.array([True, False, True, False]), ["true", "false", "true", "false"]),
    (np.eye(2)[[1, 0, 1, 0]], ["1", "0", "1", "0"]),
])  # fmt: skip
def test_targets_become_class_names_as_text(targets, classes):
    assert from_array(noise(4, 8, 8), targets).index["stratum"].to_list() == classes


@pytest.mark.parametrize(("targets", "what"), [
    (np.array([0.0, np.nan, 1.0, 0.0]), "missing targets: 1, the first of picture 1"),
    (np.array([0.5, 1.0, 0.0, 1.0]), "fractions"),
    (np.zeros((4, 2)), "targets of shape 4x2, not one-hot: example 0 has 0 ones"),
    (np.array([[1, 0], [0, 1], [1, 1], [0, 1]]), "not one-hot: example 2 has 2 ones"),
    (np.full((4, 2), 0.5), "neither one class each nor one-hot: 0.5 in example 0"),
    (np.array(["a", None, "b", "a"], object), "missing targets: 1, the first of picture 1"),
    (np.zeros(4), "only one class"),
    (np.arange(4), "4 of 4 classes have only one picture"),
])  # fmt: skip
def test_targets_that_are_not_classes_are_refused(targets, what):
    with pytest.raises(DataError, match=what):
        from_array(noise(4, 8, 8), targets)


def test_class_names_number_the_targets():
    named = Source("x", "x", arrays=Arrays(noise(4, 8, 8), np.array([1, 0, 1, 0]), class_names=("cat", "dog")))
    assert images.read_labelled(named, DataSettings()).splits["all"].index["stratum"].to_list() == ["dog", "cat"] * 2
    short = Source("x", "x", arrays=Arrays(noise(4, 8, 8), np.array([2, 0, 1, 0]), class_names=("cat", "dog")))
    with pytest.raises(DataError, match="from 0 to 2, but there are 2 class names"):
        images.read_labelled(short, DataSettings())


def test_arrays_to_predict_need_no_targets():
    reading = images.read_unlabelled(open_source(noise(3, 8, 8)), DataSettings(), images.Whites())
    assert reading.splits["all"][1].id == "image 1"
    assert reading.splits["all"][1].target is None


@pytest.mark.parametrize(
    ("shape", "certain"), [((9, 8, 8), True), ((9, 8, 8, 3), True), ((9, 64), False), ((9, 8, 8, 5), False)]
)
def test_arrays_are_claimed_by_their_shape(shape, certain):
    claim = images.claim(open_source((np.zeros(shape), np.zeros(9))), DataSettings())
    assert (claim is not None and claim.certainty > 0.5) == certain
