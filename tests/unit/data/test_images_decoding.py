"""One picture at a time: every odd kind of pixel comes out as a person would see it, and every fault has its reason."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from gnomon.data.images import decoding
from gnomon.data.images.decoding import UnreadableError, decode, decoder_guard

LIMIT = 50_000_000


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(height: int = 40, width: int = 60) -> np.ndarray:
    """Smooth colours, different in every corner."""
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return np.rint(np.stack([rows, columns, 1 - rows], axis=-1) * 255).astype(np.uint8)


def read(content: bytes, name: str = "a.png", **options) -> decoding.Picture:
    with decoder_guard(LIMIT):
        return decode(content, name, max_pixels=LIMIT, **options)


def reason(content: bytes, name: str = "a.png", max_pixels: int = LIMIT) -> str:
    with pytest.raises(UnreadableError) as caught, decoder_guard(max_pixels):
        decode(content, name, max_pixels=max_pixels)
    return caught.value.why


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, data: bytes, *extra: bytes) -> bytes:
    """A PNG by hand. Source: PNG specification, third edition, sections 11.2.1 to 11.2.4."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_lossless_formats_give_back_the_pixels_that_went_in(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = read(encoded(Image.fromarray(photo()), kind, **options), f"a.{kind.lower()}")
    np.testing.assert_array_equal(picture.pixels, photo())
    assert (picture.height, picture.width, picture.remarks) == (40, 60, ())


def test_a_jpeg_is_close_to_what_went_in():
    picture = read(encoded(Image.fromarray(photo()), "JPEG", quality=95), "a.jpg")
    assert np.abs(picture.pixels.astype(int) - photo()).max() < 12


def test_sixteen_bits_are_scaled_by_257_with_a_note():
    # 40,000 / 257 = 155.6; Pillow's own convert("L") would clip it to 255
    values = np.array([[40_000, 65_535, 128, 129]], np.uint16)
    picture = read(encoded(Image.fromarray(values), "PNG"))
    np.testing.assert_array_equal(picture.pixels, [[156, 255, 0, 1]])
    assert picture.remarks == (decoding.DEEP,)


def test_sixteen_bit_pictures_that_use_twelve_bits_are_called_dark():
    picture = read(encoded(Image.fromarray(np.full((4, 5), 4095, np.uint16)), "PNG"))
    np.testing.assert_array_equal(picture.pixels, 16)
    assert picture.remarks == (decoding.DEEP_DARK,)


def test_sixteen_bit_colours_are_converted_to_eight_with_a_note():
    row = b"\0" + struct.pack(">6H", 65_535, 32_896, 0, 0, 257, 65_535)  # 255, 128, 0 and 0, 1, 255 times 257
    picture = read(png(2, 1, 16, 2, zlib.compress(row)))
    np.testing.assert_array_equal(picture.pixels, [[[255, 128, 0], [0, 1, 255]]])
    assert picture.remarks == (decoding.DEEP,)


@pytest.mark.parametrize(("high", "remark", "expected"), [
    (1.0, decoding.FLOATS_ONE, 255), (200.0, decoding.FLOATS_BYTE, 200), (65_535.0, decoding.FLOATS_DEEP, 255),
])  # fmt: skip
def test_floating_point_pictures_are_scaled_by_their_range(high, remark, expected):
    values = np.array([[0.0, high]], np.float32)
    picture = read(encoded(Image.fromarray(values), "TIFF"), "a.tif")
    np.testing.assert_array_equal(picture.pixels, [[0, expected]])
    assert picture.remarks == (remark,)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0, 1e6])
def test_floats_that_are_not_brightnesses_are_refused(bad):
    values = np.array([[0.5, bad, 0.25]], np.float32)
    why = reason(encoded(Image.fromarray(values), "TIFF"), "a.tif")
    assert "NaN" in why or "outside" in why


def test_alpha_is_put_on_white():
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, :, 3] = [0, 255, 128]  # black: invisible, solid, half
    picture = read(encoded(Image.fromarray(pixels), "PNG"))
    np.testing.assert_allclose(picture.pixels, [[255, 0, 127]], atol=1)  # equal channels come out gray
    assert picture.remarks == (decoding.TRANSPARENT,)


def test_gray_with_alpha_is_put_on_white():
    pixels = np.array([[[10, 255], [10, 0]]], np.uint8)
    picture = read(encoded(Image.fromarray(pixels), "PNG"))
    np.testing.assert_array_equal(picture.pixels, [[10, 255]])


def test_an_opaque_alpha_channel_changes_nothing_and_is_not_mentioned():
    pixels = np.dstack([photo(), np.full((40, 60), 255, np.uint8)])
    picture = read(encoded(Image.fromarray(pixels), "PNG"))
    np.testing.assert_array_equal(picture.pixels, photo())
    assert picture.remarks == ()


def test_a_palette_with_a_transparent_entry_shows_white_there():
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([200, 0, 0, 0, 0, 200])
    picture = read(encoded(image, "PNG", transparency=1))
    np.testing.assert_array_equal(picture.pixels, [[[200, 0, 0], [255, 255, 255]]])
    assert set(picture.remarks) == {decoding.PALETTE, decoding.TRANSPARENT}


def test_cmyk_becomes_rgb_with_a_note():
    ink = np.zeros((8, 8, 4), np.uint8)
    ink[..., 1:3] = 255  # magenta and yellow make red
    picture = read(encoded(Image.fromarray(ink, "CMYK"), "TIFF"), "a.tiff")
    np.testing.assert_array_equal(picture.pixels[0, 0], [255, 0, 0])
    assert picture.remarks == (decoding.CMYK,)


def test_a_cmyk_jpeg_is_read():
    picture = read(encoded(Image.fromarray(photo()).convert("CMYK"), "JPEG", quality=95), "a.jpg")
    assert np.abs(picture.pixels.astype(int) - photo()).max() < 16


def test_one_bit_pictures_are_black_and_white():
    picture = read(encoded(Image.fromarray(np.array([[True, False]])), "PNG"))
    np.testing.assert_array_equal(picture.pixels, [[255, 0]])


def test_gray_stored_as_colour_comes_out_gray():
    gray = photo()[..., 0]
    picture = read(encoded(Image.fromarray(np.dstack([gray] * 3)), "PNG"))
    np.testing.assert_array_equal(picture.pixels, gray)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(kind, orientation):
    image = Image.fromarray(photo())
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(image, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    with Image.open(io.BytesIO(content)) as stored:
        stored.load()
        upright = np.asarray(ImageOps.exif_transpose(stored))
    picture = read(content, f"a.{kind.lower()}")
    np.testing.assert_array_equal(picture.pixels, upright)
    assert (picture.height, picture.width) == upright.shape[:2]


def test_the_six_oclock_rotation_is_the_one_phones_use():
    # EXIF 2.32: 6 = the stored first row is the right side of the picture, the first column its top
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    picture = read(encoded(Image.fromarray(stored), "PNG", exif=exif))
    np.testing.assert_array_equal(picture.pixels, [[4, 1], [5, 2], [6, 3]])
    assert picture.remarks == (decoding.ROTATED,)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_of_several_frames_is_used_with_a_note(kind):
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (10, 200)]
    content = encoded(
        frames[0], kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {})
    )
    picture = read(content, f"a.{kind.lower()}")
    np.testing.assert_array_equal(picture.pixels, 10)
    assert decoding.ANIMATED in picture.remarks


def test_the_second_view_that_phones_append_to_a_jpeg_is_not_an_animation():
    views = [Image.fromarray(photo()), Image.fromarray(photo()[::-1])]
    content = encoded(views[0], "MPO", save_all=True, append_images=views[1:], quality=95)
    picture = read(content, "a.jpg")
    assert np.abs(picture.pixels.astype(int) - photo()).max() < 12
    assert picture.remarks == ()


QUIET_SCRIPT = """
import sys
from gnomon.data.images.decoding import UnreadableError, decode, decoder_guard
try:
    with decoder_guard(1000):
        decode(sys.stdin.buffer.read(), "a.tif", max_pixels=1000)
except UnreadableError as error:
    print(error.why)
"""


def test_decoder_warnings_stay_off_the_terminal():
    tags = [(256, 3, 1, 9), (257, 3, 1, 9), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 128)]
    content = b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    done = subprocess.run(
        [sys.executable, "-c", QUIET_SCRIPT], input=content + bytes(4), capture_output=True, check=True
    )
    assert done.stdout.startswith(b"damaged TIFF")
    assert done.stderr == b""


def test_right_content_under_a_wrong_name_is_used_with_a_note():
    picture = read(encoded(Image.fromarray(photo()), "PNG"), "a.jpg")
    np.testing.assert_array_equal(picture.pixels, photo())
    assert picture.remarks == (decoding.MISNAMED,)


@pytest.mark.parametrize("shape", [(1, 1), (1, 60_000), (60_000, 1)])
def test_extreme_shapes_are_read(shape):
    picture = read(encoded(Image.fromarray(np.full(shape, 7, np.uint8)), "PNG"))
    assert picture.pixels.shape == shape


# --- bringing large pictures down -----------------------------------------------------------------------------------


def test_large_pictures_are_averaged_by_a_whole_factor_and_keep_their_stored_size():
    pixels = np.kron(np.random.default_rng(0).integers(0, 256, (30, 50), dtype=np.uint8), np.ones((20, 20), np.uint8))
    picture = read(encoded(Image.fromarray(pixels), "PNG"), least_side=30)  # 600 x 1000, factor 20
    np.testing.assert_array_equal(picture.pixels, pixels[::20, ::20])
    assert (picture.height, picture.width) == (600, 1000)


def test_a_picture_turned_in_strips_equals_one_turned_whole(monkeypatch):
    rng = np.random.default_rng(0)
    content = encoded(Image.fromarray(rng.integers(0, 256, (211, 137, 4), dtype=np.uint8)), "PNG")
    whole = read(content, least_side=20).pixels
    monkeypatch.setattr(decoding, "BIG", 137 * 20)
    np.testing.assert_array_equal(read(content, least_side=20).pixels, whole)


def test_the_shorter_side_never_falls_below_its_minimum():
    for kind in ("JPEG", "PNG"):
        picture = read(encoded(Image.fromarray(photo(777, 1111)), kind), f"a.{kind.lower()}", least_side=100)
        assert min(picture.pixels.shape[:2]) >= 100
        assert (picture.height, picture.width) == (777, 1111)


# --- faults ---------------------------------------------------------------------------------------------------------


def noisy(kind: str) -> bytes:
    return encoded(Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)), kind)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_a_truncated_file_is_called_truncated(kind, share):
    content = noisy(kind)
    assert reason(content[: int(len(content) * share)], f"a.{kind.lower()}").startswith("truncated")


@pytest.mark.parametrize(("content", "expected"), [
    (b"", "empty (0 bytes)"),
    (b"<!DOCTYPE html><html><body>404</body></html>", "not an image (the content is HTML)"),
    (b"just some words\n", "not an image (the content is text)"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image (the content is SVG or XML)"),
    (bytes(1000), "not an image (the content is zeros)"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image (the content is text)"),
    (b"\x01\xfe\x99" * 50, "not an image (the content is of an unknown kind)"),
])  # fmt: skip
def test_files_that_are_not_pictures_are_called_what_they_are(content, expected):
    assert reason(content) == expected


def test_formats_outside_the_list_are_not_opened_although_pillow_could():
    ico = encoded(Image.fromarray(photo(32, 32)), "ICO")
    assert "not read" in reason(ico, "a.ico")
    assert "not an image" in reason(encoded(Image.fromarray(photo(32, 32)), "TGA"), "a.png")


def test_the_pixel_limit_is_taken_from_the_header():
    assert reason(png(60_000, 60_000, 8, 0, zlib.compress(b"0"))).startswith("3,600,000,000 pixels, more than")
    small = encoded(Image.fromarray(photo()), "PNG")
    assert "max_pixels=2,399" in reason(small, max_pixels=2_399)
    with pytest.raises(UnreadableError, match="2,400 pixels, more than max_pixels=2,399"), decoder_guard(LIMIT):
        decode(small, "a.png", max_pixels=2_399)
    with decoder_guard(2_400):
        decode(small, "a.png", max_pixels=2_400)


def test_the_guard_leaves_pillow_as_it_was():
    before = Image.MAX_IMAGE_PIXELS
    with decoder_guard(5), decoder_guard(5):
        assert Image.MAX_IMAGE_PIXELS == 5
    assert before == Image.MAX_IMAGE_PIXELS


SEEDS = [encoded(Image.fromarray(photo(20, 30)), kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")]
SEEDS.append(encoded(Image.fromarray(np.full((9, 9), 40_000, np.uint16)), "PNG"))
mutations = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=12)


def outcome(content: bytes, name: str) -> decoding.Picture | str:
    try:
        with decoder_guard(1_000_000):
            return decode(content, name, max_pixels=1_000_000)
    except UnreadableError as error:
        return error.why


@settings(max_examples=150, deadline=5000, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SEEDS), mutations, st.integers(0, 10_000))
def test_whatever_bytes_are_given_they_are_read_or_refused_with_a_reason(seed, changes, cut):
    content = bytearray(seed)
    for position, value in changes:
        content[position % len(content)] = value
    if cut % 3 == 0:
        del content[cut % len(content) :]
    result = outcome(bytes(content), "a.png")
    if isinstance(result, str):
        assert result
        assert result.isprintable()
    else:
        assert result.pixels.dtype == np.uint8
        assert result.pixels.ndim in (2, 3)


MAGIC = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"BM", b"II*\0", b"P5 ", b"RIFF\xff\0\0\0WEBPVP8 "]


@settings(max_examples=100, deadline=5000)
@given(st.binary(max_size=200), st.sampled_from(MAGIC))
def test_noise_behind_a_magic_number_is_read_or_refused_with_a_reason(noise, magic):
    assert outcome(magic + noise, "a.jpg")
