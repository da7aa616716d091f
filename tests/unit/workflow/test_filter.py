"""`gnomon filter` on files and arrays: what is written, what is shown, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

import gnomon
from gnomon.cli import main
from gnomon.core.errors import DataError, UsageError

HALF = np.repeat([[200, 0]], 20, axis=0).repeat(10, axis=1).astype(np.uint8)  # 20x20, light left of dark


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "data" / "half.png"
    path.parent.mkdir()
    Image.fromarray(HALF).save(path)
    return path


def _pixels(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.mode == "L"
        return np.asarray(image)


# --- what is written --------------------------------------------------------------------------------------------------
def test_the_result_lies_in_the_current_directory_and_the_photo_is_left_alone(photo):
    before = photo.read_bytes()
    found = gnomon.filter(photo)
    assert found.picture == Path("half-sobel.png")
    assert_array_equal(np.unique(_pixels("half-sobel.png")[:, 9:11]), [255])
    assert_array_equal(np.unique(_pixels("half-sobel.png")[:, [*range(9), *range(11, 20)]]), [0])
    assert photo.read_bytes() == before
    assert [each.name for each in photo.parent.iterdir()] == ["half.png"]


def test_nothing_is_overwritten(photo):
    names = [gnomon.filter(photo, kind=45).picture.name for _ in range(3)]
    assert names == ["half-45.png", "half-45-2.png", "half-45-3.png"]
    with pytest.raises(UsageError, match="already exists"):
        gnomon.filter(photo, out="half-45.png")
    assert gnomon.filter(photo, out="edges.png").picture == Path("edges.png")


def test_values_with_a_sign_have_middle_gray_for_zero(photo):
    found = gnomon.filter(photo, kind="vertical")
    assert (found.values.max(), found.black, found.white) == (600, -600, 600)
    pixels = _pixels(found.picture)
    assert (pixels[0, 0], pixels[0, 9]) == (128, 255)
    mirrored = gnomon.filter(HALF[:, ::-1], kind="vertical", out="mirrored.png")
    assert_array_equal(_pixels(mirrored.picture), 255 - pixels + (pixels == 128))  # 127.5 is rounded up


def test_a_picture_without_edges_gives_one_gray():
    flat = np.full((5, 5), 70, np.uint8)
    assert np.unique(_pixels(gnomon.filter(flat, out="flat.png").picture)).tolist() == [0]
    assert np.unique(_pixels(gnomon.filter(flat, kind=0, out="signed.png").picture)).tolist() == [0]


def test_colours_are_turned_gray_and_pictures_upright(tmp_path):
    colour = np.zeros((10, 20, 3), np.uint8)
    colour[:, :10, 1] = 100  # green beside black
    sideways = Image.Exif()
    sideways[0x0112] = 6  # shown a quarter turn clockwise
    Image.fromarray(colour).save(tmp_path / "turned.png", exif=sideways)
    found = gnomon.filter(tmp_path / "turned.png", kind="horizontal", padding="valid")
    assert found.size == (20, 10)
    assert found.is_colour
    assert found.values.shape == (18, 8)
    assert_allclose(found.values.max(), 3 * 0.587 * 100, rtol=1e-6)
    assert found.notes


def test_a_large_photo_is_filtered_at_its_full_size(tmp_path):
    Image.fromarray(np.zeros((900, 1200), np.uint8)).save(tmp_path / "large.jpg")
    assert gnomon.filter(tmp_path / "large.jpg", kind="canny").values.shape == (900, 1200)


def test_an_array_is_written_only_where_out_says(tmp_path):
    assert gnomon.filter(HALF).picture is None
    assert not list(Path.cwd().glob("*.png"))
    assert gnomon.filter(Image.open(gnomon.filter(HALF, out="a.png").picture)).values.shape == (20, 20)


def test_the_white_of_canny_is_that_of_the_type():
    edges = gnomon.filter(HALF, kind="canny").values
    assert edges.any()
    assert_array_equal(gnomon.filter(HALF.astype(np.uint16) * 257, kind="canny").values, edges)
    assert_array_equal(gnomon.filter(HALF / 255, kind="canny").values, edges)


# --- what is shown ----------------------------------------------------------------------------------------------------
def test_the_screen_shows_the_numbers_and_the_size(photo, capsys):
    assert main(["filter", str(photo), "kind=scharr", "padding=valid"]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[4].split() == ["3", "0", "-3", "3", "10", "3"]
    assert "18x18: floor((n + 2p - f) / s) + 1 with f = 3, s = 1, p = 0" in shown
    assert "half-scharr.png" in shown
    assert len(shown.splitlines()) < 15


def test_json_has_the_same(photo, capsys):
    assert main(["filter", str(photo), "kind=90", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kernels"] == {"filter": pytest.approx(np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]]), abs=1e-12)}
    assert (found["out_height"], found["highest"], found["picture"]) == (20, pytest.approx(800), "half-90.png")


# --- what is refused --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "sobol"}, "kind=sobol is not an edge filter. Fix: choose sobel"),
        ({"kind": "nan"}, "kind=nan is not"),
        ({"padding": "full"}, "padding=full is not one of same, valid"),
        ({"low": 0.3}, "low and high are for kind=canny alone"),
        ({"kind": "canny", "low": 0.3}, "low=0.3 and high=0.2: canny needs 0 <= low <= high"),
        ({"kind": "canny", "padding": "valid"}, "canny keeps the size"),
        ({"out": "edges.gif"}, "written as .png, not as edges.gif"),
        ({"max_pixels": "many"}, "max_pixels=many is not a whole number"),
    ],
)
def test_options_that_cannot_be_used_are_refused(photo, given, said):
    with pytest.raises(UsageError) as caught:
        gnomon.filter(photo, **given)
    assert said in str(caught.value)
    assert not list(Path.cwd().glob("*.png"))


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (np.zeros((3, 3, 4)), "an array of shape (3, 3, 4) and type float64 is not a picture"),
        (np.zeros((0, 3)), "is not a picture"),
        (np.array([["a"]]), "is not a picture"),
        (np.full((3, 3), np.nan), "not finite"),
        ("nowhere.png", "nowhere.png: cannot be read: No such file"),
        (".", "is a folder, not a picture"),
    ],
)
def test_what_is_no_picture_is_refused(picture, said):
    with pytest.raises(DataError) as caught:
        gnomon.filter(picture)
    assert said in str(caught.value)


def test_a_damaged_file_and_one_too_large_are_refused(tmp_path, photo):
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:40])
    with pytest.raises(DataError, match=r"cut\.png: cannot be used as a picture"):
        gnomon.filter(tmp_path / "cut.png")
    with pytest.raises(DataError, match=r"400 pixels, more than max_pixels=399 allows"):
        gnomon.filter(photo, max_pixels=399)
    with pytest.raises(DataError, match=r"2x20 pixels: a filter of 3x3 does not fit"):
        gnomon.filter(HALF[:2], padding="valid")
