"""Hostile and unlucky pictures and folders: each named with its reason, within limits, the user's data untouched."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import re
import resource
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gnomon.core.errors import DataError, GnomonError
from gnomon.core.settings import DataSettings
from gnomon.data import images
from gnomon.data.images import stores
from gnomon.data.opening import open_source


def put_picture(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(images.as_png(pixels))


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape or (16, 16, 3), dtype=np.uint8)


def good(folder: Path, count: int = 30) -> Path:
    """Two classes, `a` and `b`."""
    for i in range(count):
        put_picture(folder / "ab"[i % 2] / f"{i:03d}.png", noise(i))
    return folder


def encoded(array: np.ndarray, kind: str, mode: str | None = None, **options) -> bytes:
    buffer = io.BytesIO()
    picture = Image.fromarray(array)
    (picture.convert(mode) if mode else picture).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, data: bytes, *extra: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def snapshot(folder: Path) -> str:
    """A hash over names, contents, sizes, times and rights of everything below."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*"), key=os.fsencode):
        found = path.lstat()
        digest.update(os.fsencode(path) + repr((found.st_size, found.st_mtime_ns, found.st_mode)).encode())
        if stat.S_ISREG(found.st_mode):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def read(folder, **settings):
    return images.read_labelled(open_source(folder), DataSettings(**settings))


# --- odd files ------------------------------------------------------------------------------------------------------


def test_every_odd_file_is_read_or_listed_with_its_reason_and_nothing_is_touched(tmp_path):
    good(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [Image.fromarray(noise(i, 8, 8)) for i in range(3)]
    animated = io.BytesIO()
    frames[0].save(animated, "PNG", save_all=True, append_images=frames[1:])
    jpeg, small = encoded(noise(5, 64, 64, 3), "JPEG"), encoded(noise(6), "PNG")
    usable = {
        "a/png-named.jpg": small, "a/cmyk.jpg": encoded(noise(7), "JPEG", "CMYK"),
        "a/frames.png": animated.getvalue(), "a/deep.png": encoded(np.full((9, 9), 40_000, np.uint16), "PNG"),
        "a/rgba.png": encoded(noise(8, 9, 9, 4), "PNG"), "a/1x1.png": encoded(noise(10, 1, 1), "PNG"),
        "a/turned.jpg": encoded(noise(9, 9, 20, 3), "JPEG", exif=exif), "a/palette.gif": encoded(noise(12), "GIF"),
        "a/flat.png": encoded(noise(11, 1, 60_000), "PNG"),
    }  # fmt: skip
    bad = {
        "b/zero.png": (b"", "empty"),
        "b/ten.jpg": (jpeg[: len(jpeg) // 10], "truncated"),
        "b/fifty.jpg": (jpeg[: len(jpeg) // 2], "truncated"),
        "b/ninety.jpg": (jpeg[: len(jpeg) * 9 // 10], "truncated"),
        "b/page.jpg": (b"<html></html>", "not an image (the content is HTML)"),
        "b/text.png": (b"hello\n", "not an image (the content is text)"),
        "b/drawing.svg": (b"<svg/>", "a format that is not read"),
    }  # fmt: skip
    for name, content in usable.items() | {(name, content) for name, (content, _) in bad.items()}:
        (tmp_path / name).write_bytes(content)
    before = snapshot(tmp_path)
    reading = read(tmp_path, max_bad=0.2)
    assert {one.where for one in reading.bad} == set(bad)
    assert all(one.why.startswith(bad[one.where][1]) for one in reading.bad)
    assert set(usable) < set(reading.splits["all"].index["id"])
    for part in (
        "16 bits per value",
        "CMYK",
        "transparent",
        "upright",
        "first one is used",
        "another format",
        "palette",
    ):
        assert any(part in note for note in reading.notes), part
    assert reading.splits["all"].pixels(8, 8, 3).shape == (39, 8, 8, 3)
    assert snapshot(tmp_path) == before


# --- bombs ----------------------------------------------------------------------------------------------------------


def gif_of(frames: int) -> bytes:
    """Frames of 2x2 pixels. Source: GIF89a specification; the data is clear, 0, 0, 0, 0, end in LZW codes of 3 bits."""
    head = b"GIF89a" + struct.pack("<HHBBB", 2, 2, 0x80, 0, 0) + bytes([0, 0, 0, 255, 255, 255])
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 2, 2, 0) + b"\x02\x02\x84\x51\x00"
    return head + frame * frames + b"\x3b"


def tiff_of_strips(count: int) -> bytes:
    """A little-endian TIFF whose strip offsets and sizes claim `count` entries. Source: TIFF 6.0, section 2."""
    tags = [(256, 3, 1, 64), (257, 3, 1, 64), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, count, 8),
            (277, 3, 1, 1), (278, 3, 1, 1), (279, 4, count, 8)]  # fmt: skip
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)


@functools.cache
def squeezed(megabytes: int) -> bytes:
    packer = zlib.compressobj(1)
    return b"".join(packer.compress(bytes(10**6)) for _ in range(megabytes)) + packer.flush()


@functools.cache
def bombs() -> dict[str, bytes]:
    blank = zlib.compress(bytes(13_000 * 1_626), 9)
    return {
        "169-megapixels.png": png(13_000, 13_000, 1, blank),
        "header-of-60000.png": png(60_000, 60_000, 8, zlib.compress(b"0")),
        "text-of-200-mb.png": png(4, 4, 8, zlib.compress(bytes(20)), chunk(b"zTXt", b"k\0\0" + squeezed(200))),
        "icc-of-200-mb.png": png(4, 4, 8, zlib.compress(bytes(20)), chunk(b"iCCP", b"k\0\0" + squeezed(200))),
        "strips.tif": tiff_of_strips(2**31 - 1),
        "strips64.tif": tiff_of_strips(2**32 - 1),
        "frames.gif": gif_of(10_000),
        "header-of-65535.gif": gif_of(1).replace(b"\2\0\2\0", b"\xff\xff\xff\xff", 1),
        "header.bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 2**30, 2**30, 1, 24, 0, 0, 0, 0, 0, 0),
        "header.ppm": b"P6 1000000 1000000 255\n",
        "long-header.ppm": b"P6 " + b"9" * 10_000,
    }  # fmt: skip


BOMB_SCRIPT = """
import json, sys, time
from gnomon.core.errors import GnomonError
from gnomon.core.settings import DataSettings
from gnomon.data import images
from gnomon.data.opening import open_source
def peak_kb():  # not ru_maxrss: a child starts with its parent's
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
images.read_labelled(open_source(sys.argv[1]), DataSettings())
idle = peak_kb()
outcomes = {}
for path in sys.argv[2:]:
    start = time.process_time()
    try:
        images.read_unlabelled(open_source(path), DataSettings(), images.Whites())
        why = "read"
    except GnomonError as error:
        why = error.what
    outcomes[path.rpartition("/")[2]] = [why, time.process_time() - start]
print(json.dumps({"outcomes": outcomes, "above_idle_mb": (peak_kb() - idle) / 1024}))
"""


def test_bombs_are_refused_in_little_memory_and_time(tmp_path):
    good(tmp_path / "good", 6)
    paths = []
    for name, content in bombs().items():
        (tmp_path / name).write_bytes(content)
        paths.append(str(tmp_path / name))
    sparse = tmp_path / "sparse.jpg"
    with sparse.open("wb") as file:
        file.truncate(5 * 2**30)
    command = [sys.executable, "-c", BOMB_SCRIPT, str(tmp_path / "good"), *paths, str(sparse)]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    reasons = {name: why for name, (why, _) in result["outcomes"].items()}
    assert reasons.pop("frames.gif") == "read"  # the first of 10,000 frames
    assert all(why.startswith("0 of 1 picture can be read") for why in reasons.values()), reasons
    for name in ("169-megapixels.png", "header-of-60000.png", "header-of-65535.gif", "header.bmp", "header.ppm"):
        assert "max_pixels" in reasons[name]
    assert "5,368,709,120 bytes" in reasons["sparse.jpg"]
    assert result["above_idle_mb"] < 400
    assert max(seconds for _, seconds in result["outcomes"].values()) < 1


def test_bombs_among_good_pictures_are_listed_and_the_rest_is_read(tmp_path):
    good(tmp_path)
    for name, content in bombs().items():
        (tmp_path / "a" / name).write_bytes(content)
    reading = read(tmp_path, max_bad=0.5)
    assert len(reading.bad) == len(bombs()) - 1
    assert len(reading.splits["all"]) == 31


def test_a_picture_of_exactly_the_limit_is_read_in_bounded_memory(tmp_path):
    """50 megapixels of RGBA, which naive conversions would hold three times."""
    row = zlib.compressobj(1)
    data = b"".join(row.compress(bytes(1 + 4 * 10_000)) for _ in range(5_000)) + row.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 10_000, 5_000, 8, 6, 0, 0, 0))
    (tmp_path / "large.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    good(tmp_path / "good", 6)
    command = [sys.executable, "-c", BOMB_SCRIPT, str(tmp_path / "good"), str(tmp_path / "large.png")]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert result["outcomes"]["large.png"][0] == "read"
    assert result["above_idle_mb"] < 400


# --- names, paths, links --------------------------------------------------------------------------------------------


NASTY = [
    b"latin-\xe9", b"new\nline", b"tab\t", b"\x1b[31mred", "rtl\u202egnp".encode(), "😀".encode(), b"x" * 251,
    "é".encode(), "e\u0301".encode(), b"CON", b"-rf", b"=cmd()", b"<img onerror=alert(1)>", b"back\\slash", b"%2e%2e",
]  # fmt: skip


def test_names_of_any_bytes_go_all_the_way_as_files_and_as_classes(tmp_path):
    root = os.fsencode(tmp_path)
    content = [encoded(noise(i), "PNG") for i in range(2 * len(NASTY))]
    for i, name in enumerate(NASTY):
        os.mkdir(os.path.join(root, name))
        for j in range(2):
            with open(os.path.join(root, name, NASTY[i - j] + b".png"), "wb") as file:
                file.write(content[2 * i + j])
    part = read(tmp_path).splits["all"]
    assert len(part) == 2 * len(NASTY)
    assert part.index["stratum"].n_unique() == len(NASTY)
    assert part.index["id"].n_unique() == len(part)
    shown = "".join(part.index["id"].to_list() + part.index["stratum"].to_list())
    assert not any(ord(char) < 32 or char == "\u202e" for char in shown)
    json.dumps(part.index["id"].to_list(), ensure_ascii=False).encode("utf-8")
    for example in (part[i] for i in range(len(part))):  # every id leads back to its own bytes
        with Image.open(os.path.join(root, name_of(example.id))) as stored:
            np.testing.assert_array_equal(example.inputs, np.asarray(stored))


def name_of(shown: str) -> bytes:
    """The bytes behind a display name."""

    def plain(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] not in "xu":
            return {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}[code]
        number = int(code[1:], 16)
        return chr(number + 0xDC00 if code[0] == "x" and number >= 0x80 else number)

    return os.fsencode(re.sub(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|.)", plain, shown))


def test_a_path_as_long_as_paths_may_be_is_read_or_named(tmp_path):
    here = tmp_path
    while len(os.fsencode(here)) < 3_800:
        here = here / ("d" * 200)
    good(here, 6)
    assert len(read(here).splits["all"]) == 6
    with pytest.raises(GnomonError):
        open_source(str(here / ("x" * 200)) + "/" + "y" * 200)


def test_links_pipes_and_junk_files_among_the_pictures(tmp_path):
    data = good(tmp_path / "data", 8)
    (data / "a/loop").symlink_to("..")
    (data / "a/out.png").symlink_to("/etc/hostname")
    (data / "a/gone.png").symlink_to("nowhere")
    os.mkfifo(data / "a/pipe.png")
    (data / "b/.DS_Store").write_bytes(b"x")
    (data / "__MACOSX").mkdir()
    (data / "__MACOSX/._1.png").write_bytes(b"x")
    before = snapshot(data)
    reading = read(data)
    assert len(reading.splits["all"]) == 8
    assert len([note for note in reading.notes if any(word in note for word in ("link", "special", "hidden"))]) == 5
    assert snapshot(data) == before


UNREADABLE_SCRIPT = """
import os, sys
from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data import images
from gnomon.data.opening import open_source
images.read_labelled(open_source(sys.argv[2]), DataSettings())  # whoever we become may not reach Python's own modules
os.setgid(65534)
os.setuid(65534)
reading = images.read_labelled(open_source(sys.argv[1]), DataSettings())
print([bad.where + ": " + bad.why for bad in reading.bad], reading.notes)
try:
    open_source(sys.argv[1] + "/locked")
except DataError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_data_of_another_user_is_read_and_what_is_locked_is_named(tmp_path_factory):
    base = Path(subprocess.run(["mktemp", "-d"], check=True, capture_output=True, text=True).stdout.strip())
    try:
        base.chmod(0o755)
        data = good(base / "data", 30)
        (data / "locked").mkdir(mode=0)
        (data / "a/000.png").chmod(0)
        for path in data.rglob("*"):
            if path.name not in ("locked", "000.png"):
                path.chmod(0o555 if path.is_dir() else 0o444)
        data.chmod(0o555)
        before = snapshot(data)
        command = [sys.executable, "-c", UNREADABLE_SCRIPT, str(data), str(good(base / "warm-up", 4))]
        shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert "a/000.png: it cannot be opened: Permission denied" in shown
        assert "folders that cannot be opened (Permission denied): 1 (locked/)" in shown
        assert "locked: the folder cannot be opened: Permission denied" in shown
        assert snapshot(data) == before
    finally:
        subprocess.run(["rm", "-rf", str(base)], check=True)


# --- changes under the run ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("change", "what"), [
    (lambda path: path.unlink(), "it has disappeared"),
    (lambda path: path.write_bytes(encoded(noise(99, 40, 40), "PNG")), "it has changed"),
    (lambda path: path.write_bytes(path.read_bytes()), "it has changed"),
])  # fmt: skip
def test_a_picture_that_changes_between_scan_and_use_is_named(tmp_path, monkeypatch, change, what):
    monkeypatch.setattr(stores, "MEMORY", 0)
    part = read(good(tmp_path, 6)).splits["all"]
    os.utime(tmp_path, ns=(1, 1))
    change(tmp_path / "b/003.png")
    with pytest.raises(DataError, match=what) as caught:
        part.pixels(8, 8, 3)
    assert caught.value.where == "b/003.png"


def test_a_picture_replaced_behind_the_same_size_and_time_is_known_by_its_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "MEMORY", 0)
    for i in range(4):
        path = tmp_path / "ab"[i % 2] / f"{i}.bmp"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded(noise(i), "BMP"))
    part = read(tmp_path).splits["all"]
    found = path.stat()
    path.write_bytes(encoded(noise(99), "BMP"))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    with pytest.raises(DataError, match="no longer: it has changed") as caught:
        part.pixels(16, 16, 3)
    assert caught.value.where == "b/3.bmp"


def test_pictures_in_memory_survive_the_loss_of_their_files(tmp_path):
    part = read(good(tmp_path, 6)).splits["all"]
    before = part.pixels(8, 8, 3)
    for path in tmp_path.rglob("*.png"):
        path.unlink()
    np.testing.assert_array_equal(part.pixels(8, 8, 3), before)


# --- many -----------------------------------------------------------------------------------------------------------


def test_ten_thousand_classes_with_one_picture_are_refused_with_the_count(tmp_path):
    content = encoded(noise(0, 4, 4), "PNG")
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for i in range(10_000):
            archive.writestr(f"{i}/1.png", content)
    with pytest.raises(DataError, match="10,000 of 10,000 classes have only one picture"):
        read(tmp_path / "many.zip")


MANY_SCRIPT = """
import sys
from gnomon.data import images
from gnomon.data.opening import open_source
def peak_kb():  # not ru_maxrss: a child starts with its parent's
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
source = open_source(sys.argv[1])
images.claim(source)
print(len(source.tree.files), peak_kb() // 1024)
"""


@pytest.mark.slow
def test_listing_a_hundred_thousand_files_takes_little_memory(tmp_path):
    for i in range(100):
        (tmp_path / f"class{i}").mkdir()
        for j in range(1_000):
            (tmp_path / f"class{i}/{j}.jpg").touch()
    command = [sys.executable, "-c", MANY_SCRIPT, str(tmp_path)]
    count, megabytes = map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    assert count == 100_000
    assert megabytes < 300


def test_files_are_not_left_open(tmp_path):
    good(tmp_path, 20)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = len(os.listdir("/proc/self/fd"))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (opened + 10, limits[1]))
        for _ in range(3):
            read(tmp_path).splits["all"].pixels(8, 8, 3)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(os.listdir("/proc/self/fd")) <= opened
