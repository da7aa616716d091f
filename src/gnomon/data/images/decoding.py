"""One picture from its bytes: allowed formats, limits from the header, every kind of pixel handled on purpose."""

from __future__ import annotations

import io
import logging
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from gnomon.core.errors import MachineError
from gnomon.data.images.whites import DIM, LARGEST, OTHER_SCALE, Range, Whites, white_of_file
from gnomon.data.source import display_name

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
_FORMAT_OF = {
    "png": "PNG", "apng": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "jpe": "JPEG", "jfif": "JPEG", "gif": "GIF",
    "bmp": "BMP", "dib": "BMP", "tif": "TIFF", "tiff": "TIFF", "webp": "WEBP", "ppm": "PPM", "pgm": "PPM",
    "pbm": "PPM", "pnm": "PPM",
}  # fmt: skip
_UNREAD = frozenset(
    {"heic", "heif", "svg", "psd", "jp2", "avif", "tga", "ico", "eps", "dcm", "cr2", "nef", "dng", "exr"}
)

BYTES_PER_PIXEL = 4  # a file with more bytes than this per allowed pixel is not opened
LEAST_SIDE = 256  # pixels of the shorter side that are always kept
BIG = 4_000_000  # pixels from which a picture is rotated in strips, and only one at a time
WHITE = 255
TURNED = 5  # EXIF orientations from here on exchange width and height

TRANSPARENT = "transparent pixels put on white"
PALETTE = "palette converted to RGB"
CMYK = "CMYK converted to RGB"
OTHER_COLOURS = "YCbCr or Lab converted to RGB"
DEEP = "16 bits per value: divided by 257 to get 8"
DEEP_DARK = "16 bits per value, but none above 4,095: dark when divided by 257"
FLOATS_ONE = "floats in 0..1: multiplied by 255"
FLOATS_BYTE = "floats in 0..255: rounded"
FLOATS_DEEP = "floats in 0..65,535: divided by 257"
CUT = "values above the training set's white: clipped to white"
NEARLY_BLACK = "below 1/64 of the training set's white: nearly black on that scale"
ROTATED = "rotated upright as EXIF says"
BAD_EXIF = "unreadable EXIF: assumed upright"
ANIMATED = "several frames or pages: the first one is used"
MISNAMED = "named like another format than the content has"

# What Pillow and its plugins raise on damaged or malicious bytes. Not MemoryError: that is the machine's fault.
_DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError,
    RuntimeError, EOFError, BufferError, struct.error, zlib.error, Warning,
)  # fmt: skip


class UnreadableError(Exception):
    """A picture that cannot be used; `why` says so in a few words."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, upright, shrunk so that its shorter side still has at least the pixels to keep."""

    pixels: np.ndarray  # (H, W) or (H, W, 3) uint8; gray wherever all three channels agree
    height: int  # as stored, before shrinking
    width: int
    remarks: tuple[str, ...]  # what was done to it
    values: Range | None = None  # the stored ones, where white is not simply 255: more than 8 bits
    is_float: bool = False


def is_picture_name(name: str) -> bool:
    """Whether the name is that of a picture, in a format that can be read or one that cannot."""
    suffix = _suffix(name)
    return suffix in _FORMAT_OF or suffix in _UNREAD


def _suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
    return suffix.lower() if dot and stem else ""


@contextmanager
def decoder_guard(max_pixels: int) -> Iterator[None]:
    """Around any number of `decode` calls in any threads: Pillow's pixel limit is ours, its bomb warning an error."""
    from PIL import Image

    # Warning filters and the limit are per process, so the first one in sets them and the last one out restores them.
    with _guard.lock:
        if _guard.inside == 0:
            _guard.caught = warnings.catch_warnings()
            _guard.caught.__enter__()
            warnings.simplefilter("ignore")  # corrupt EXIF and so on: what matters comes back as an exception
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            logging.getLogger("PIL").addHandler(_guard.silence)  # else its complaints go to the terminal
            _guard.limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
        _guard.inside += 1
    try:
        yield
    finally:
        with _guard.lock:
            _guard.inside -= 1
            if _guard.inside == 0:
                Image.MAX_IMAGE_PIXELS = _guard.limit
                logging.getLogger("PIL").removeHandler(_guard.silence)
                _guard.caught.__exit__(None, None, None)


class _Guard:
    lock = threading.Lock()
    inside = 0
    caught: Any = None
    limit: int | None = None
    silence = logging.NullHandler()


_guard = _Guard()
_one_big = threading.Lock()


def decode(
    content: bytes, name: str, *, max_pixels: int, least_side: int = LEAST_SIDE, whites: Whites | None = None
) -> Picture:
    """Decode completely. Call it within `decoder_guard`.

    `least_side`: the shorter side keeps at least that many pixels; larger pictures are averaged down by an integer
    factor, always the same one for the same picture. `whites` are those of the training set; without them 65,535 is
    white in integers of more than 8 bits, and floats are scaled by their own range. Raises UnreadableError.
    """
    return _opened(content, name, max_pixels, lambda image: _picture(image, name, least_side, whites))


def measure(content: bytes, name: str, *, max_pixels: int) -> tuple[int, int, int]:
    """Height and width of the upright picture, and its EXIF orientation (1 to 8), all from its header.

    Call it within `decoder_guard`. Raises UnreadableError.
    """

    def sizes(image: Image.Image) -> tuple[int, int, int]:
        width, height = image.size
        orientation = _orientation(image, [])
        orientation = orientation if orientation in _UPRIGHT else 1
        return (width, height, orientation) if orientation >= TURNED else (height, width, orientation)

    return _opened(content, name, max_pixels, sizes)


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """(H, W, ...) stored pixels, turned as their EXIF orientation says."""
    return np.ascontiguousarray(_UPRIGHT[orientation](pixels)) if orientation in _UPRIGHT else pixels


def stored_values(content: bytes, name: str, *, max_pixels: int) -> np.ndarray:
    """(H, W) or (H, W, C) integers of a picture as they are stored: palette indices, 16-bit values, not turned.

    Call it within `decoder_guard`. Raises UnreadableError.
    """
    return _opened(content, name, max_pixels, _values)


def _values(image: Image.Image) -> np.ndarray:
    deep = any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    if deep and image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        raise UnreadableError("16 bits per value in several channels")
    values = np.asarray(image)
    if values.dtype.kind not in "biu":
        raise UnreadableError("values that are not integers")
    return values


def _opened(content: bytes, name: str, max_pixels: int, use: Callable[[Image.Image], T]) -> T:
    """What `use` makes of the opened picture. Raises UnreadableError."""
    from PIL import Image

    if not content:
        raise UnreadableError("empty (0 bytes)")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise UnreadableError(f"{width * height:,} pixels, more than max_pixels={max_pixels:,} allows")
            if width * height < BIG:
                return use(image)
            with _one_big:
                return use(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        found = re.search(r"\((\d+) pixels\)", str(error))
        pixels = f"{int(found[1]):,} pixels" if found else "more pixels"
        raise UnreadableError(f"{pixels}, more than max_pixels={max_pixels:,} allows") from None
    except MemoryError:
        raise MachineError(
            "not enough memory to decode a picture.", where=display_name(name), fix="free memory, or lower max_pixels."
        ) from None
    except _DECODER_ERRORS as error:
        raise UnreadableError(_fault(content, name, error)) from None


def _picture(image: Image.Image, name: str, least_side: int, whites: Whites | None) -> Picture:
    remarks = []
    kind = "JPEG" if image.format == "MPO" else image.format  # phones append a second view to a JPEG
    if _FORMAT_OF.get(_suffix(name), kind) != kind:
        remarks.append(MISNAMED)
    if getattr(image, "is_animated", False) and image.format != "MPO":
        remarks.append(ANIMATED)
    width, height = image.size
    if kind == "JPEG":  # decodes directly to 1/2, 1/4 or 1/8, never below what is needed
        scale = least_side / min(width, height)
        image.draft(None, (int(np.ceil(width * scale)), int(np.ceil(height * scale))))
    deep = any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    image.load()
    orientation = _orientation(image, remarks)
    values = None
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _native(image)
        values = _range(image)
        convert = _scaling(image, values, whites, remarks)
    else:
        convert = _conversion(image, deep, remarks)
    pixels = _eight_bits(image, least_side, convert)
    if orientation in _UPRIGHT:
        remarks.append(ROTATED)
        pixels = np.ascontiguousarray(_UPRIGHT[orientation](pixels))
        if orientation >= TURNED:
            width, height = height, width
    return Picture(_gray_if_gray(pixels), height, width, tuple(remarks), values, image.mode == "F")


# EXIF 2.32, tag 0x0112: where the stored first row and first column are in the upright picture.
_UPRIGHT = {
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: np.rot90(p),
}


def _orientation(image: Image.Image, remarks: list[str]) -> int:
    try:  # for a TIFF it is 1 by now: Pillow rotates it while loading
        return int(image.getexif().get(0x0112, 1))
    except _DECODER_ERRORS:
        remarks.append(BAD_EXIF)
        return 1


def _eight_bits(image: Image.Image, least_side: int, convert: Any) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8, shrunk by an integer factor; strip by strip, so that no second copy is made."""
    factor = max(1, min(image.size) // least_side)
    rows = max(1, BIG // image.width // factor) * factor
    if rows >= image.height:
        return _array(convert(image), factor)
    return np.concatenate([_array(convert(strip), factor) for strip in _strips(image, rows)])


def _strips(image: Image.Image, rows: int) -> Iterator[Image.Image]:
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _array(image: Image.Image, factor: int) -> np.ndarray:
    return np.asarray(image.reduce(factor) if factor > 1 else image)


def _conversion(image: Image.Image, deep: bool, remarks: list[str]) -> Any:
    """A function from a strip of `image` to an L or RGB one; adds what it does to `remarks`."""
    mode = image.mode
    if deep:
        remarks.append(DEEP)  # Pillow has kept the upper eight bits already
        hidden = image.info.get("transparency")
        if isinstance(hidden, tuple):  # but not of the colour that should be transparent
            image.info["transparency"] = tuple(value >> 8 for value in hidden)
    if mode in ("P", "PA"):
        remarks.append(PALETTE)
    if mode in ("PA", "LA", "La", "RGBA", "RGBa") or "transparency" in image.info:
        opaque = mode in ("LA", "RGBA") and image.getchannel("A").getextrema() == (WHITE, WHITE)
        if not opaque:
            remarks.append(TRANSPARENT)
        return _over_white
    if mode == "CMYK":
        remarks.append(CMYK)
    elif mode in ("YCbCr", "LAB", "HSV"):
        remarks.append(OTHER_COLOURS)
    wanted = "L" if mode in ("1", "L") else "RGB"
    return (lambda strip: strip) if mode == wanted else (lambda strip: strip.convert(wanted))


def _over_white(strip: Image.Image) -> Image.Image:
    from PIL import Image

    strip = strip.convert("RGBA")
    background = Image.new("RGB", strip.size, (WHITE, WHITE, WHITE))
    background.paste(strip, mask=strip.getchannel("A"))
    return background


def _native(image: Image.Image) -> Image.Image:
    """16-bit grays in the byte order of the machine: Pillow reads the other order but cannot process it."""
    from PIL import Image

    if image.mode in ("I", "F", "I;16"):
        return image
    native = Image.fromarray(np.asarray(image).astype(np.uint16))
    native.info = image.info
    return native


def _range(image: Image.Image) -> Range:
    """The values of 16-bit, 32-bit and floating point grays. Raises UnreadableError if they are not brightnesses."""
    if image.mode == "F":
        values = Range()
        for strip in _strips(image, max(1, BIG // image.width)):
            found = np.asarray(strip)
            if not np.isfinite(found).all():
                raise UnreadableError("floats that are NaN or infinite")
            values |= Range(float(found.min()), float(found.max()), bool((found == np.rint(found)).all()))
    else:
        low, high = cast("tuple[float, float]", image.getextrema())
        values = Range(low, high)
    if values.low < 0 or values.high > LARGEST:
        raise UnreadableError(f"values from {values.low:g} to {values.high:g}, outside 0..65,535")
    return values


def _scaling(image: Image.Image, values: Range, whites: Whites | None, remarks: list[str]) -> Any:
    """For 16-bit, 32-bit and floating point grays: a function from a strip to an L one, white becoming 255."""
    from PIL import Image

    is_float = image.mode == "F"
    whites = whites or Whites()
    white = white_of_file(values, whites, is_float=is_float)
    if values.high > OTHER_SCALE * white:
        raise UnreadableError(
            f"values up to {values.high:,g}, but white is {white:,g} in the training set: another scale"
        )
    remarks.append(_scaled(white, values, is_float=is_float))
    if values.high > white:
        remarks.append(CUT)
    elif whites.of_file(is_float=is_float) and values.high < DIM * white:
        remarks.append(NEARLY_BLACK)
    hidden = image.info.get("transparency")
    if isinstance(hidden, int):
        remarks.append(TRANSPARENT)

    def scaled(strip: Image.Image) -> Image.Image:
        numbers = np.asarray(strip)
        bytes_ = (np.minimum(numbers, numbers.dtype.type(white)).astype(np.float32) * (WHITE / white) + 0.5).astype(
            np.uint8
        )
        if isinstance(hidden, int):
            bytes_[numbers == hidden] = WHITE
        return Image.fromarray(bytes_)

    return scaled


def _scaled(white: float, values: Range, *, is_float: bool) -> str:
    """What was done, in words."""
    if is_float:
        usual = {1.0: FLOATS_ONE, float(WHITE): FLOATS_BYTE, LARGEST: FLOATS_DEEP}
        return usual.get(white, f"floats in 0..{white:,g}: multiplied by 255/{white:,g}")
    if white == LARGEST:
        return DEEP if values.high > 4095 else DEEP_DARK
    return f"16 bits per value, of which 0..{white:,g} are used: multiplied by 255/{white:,g}"


def _gray_if_gray(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 2:
        return pixels
    red = pixels[..., 0]
    if (red[0] != pixels[0, :, 1]).any():  # the first row decides for most photographs
        return pixels
    if (red == pixels[..., 1]).all() and (red == pixels[..., 2]).all():
        return np.ascontiguousarray(red)
    return pixels


_MAGIC = (
    (b"\x89PNG", "PNG"), (b"\xff\xd8", "JPEG"), (b"GIF8", "GIF"), (b"BM", "BMP"), (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"), (b"RIFF", "WEBP"),
)  # fmt: skip
_PPM = re.compile(rb"P[1-7fF][\s#]")


def _fault(content: bytes, name: str, error: Exception) -> str:
    """Why Pillow could not: truncated, damaged, another format, or not a picture at all."""
    kind = next((kind for magic, kind in _MAGIC if content.startswith(magic)), None)
    if kind is None and _PPM.match(content):
        kind = "PPM"
    if kind is None:
        if _suffix(name) in _UNREAD:
            return f"a format that is not read (use one of {', '.join(FORMATS)})"
        return f"not an image ({_what_else(content)})"
    message = str(error).partition("\n")[0].removesuffix(".")
    ended = {
        "PNG": b"IEND" in content[-64:],
        "JPEG": b"\xff\xd9" in content[-4096:],
        "GIF": content.rstrip(b"\0").endswith(b";"),
        "WEBP": len(content) >= 8 + int.from_bytes(content[4:8], "little"),
    }.get(kind, "truncated" not in message.lower() and not isinstance(error, EOFError | struct.error))
    if not ended:
        return f"truncated: the {kind} ends too early"
    if "cannot identify" in message:
        return f"damaged {kind}"
    return f"damaged {kind} ({display_name(message)[:120]})"


def _what_else(content: bytes) -> str:
    start = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        return "the content is HTML"
    if start.startswith((b"<svg", b"<?xml")):
        return "the content is SVG or XML"
    if not content[:512].strip(b"\0"):
        return "the content is zeros"
    if all(byte >= 32 or byte in b"\t\r\n\f" for byte in content[:512]):
        return "the content is text"
    return "the content is of an unknown kind"
