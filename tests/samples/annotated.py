"""Small annotated pictures in memory, in every format, as trees that tests may damage."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from gnomon.data.source import File


class Files:
    """A tree of files in memory."""

    def __init__(self, content: Mapping[str, bytes | str]) -> None:
        self._content = {
            name: text.encode() if isinstance(text, str) else text for name, text in sorted(content.items())
        }
        self.origin, self.notes = "memory", ()
        self.files = [File(name, len(data)) for name, data in self._content.items()]

    def read(self, name: str) -> bytes:
        return self._content[name]


def png(width: int = 40, height: int = 30, *, seed: int = 0) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return encoded(noise, "PNG")


def encoded(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def turned_jpeg(width: int, height: int, orientation: int) -> bytes:
    """A JPEG of that stored size, with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(np.zeros((height, width, 3), np.uint8), "JPEG", exif=exif)


def palette_png(values: np.ndarray) -> bytes:
    """A mask whose stored values are indices of a palette of other colours."""
    out = io.BytesIO()
    colours = Image.new("P", (values.shape[1], values.shape[0]))
    colours.putpalette([channel for index in range(256) for channel in (index * 37 % 256, index * 91 % 256, 7)])
    colours.frombytes(values.astype(np.uint8).tobytes())
    colours.save(out, "PNG")
    return out.getvalue()


def voc_object(
    name: str, box: Sequence[object], difficult: object = 0, truncated: object = 0, pose: str = "Left"
) -> str:
    left, top, right, bottom = box
    return (
        f"<object><name>{name}</name><pose>{pose}</pose><truncated>{truncated}</truncated>"
        f"<difficult>{difficult}</difficult><bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax>"
        f"<ymax>{bottom}</ymax></bndbox></object>"
    )


def voc_xml(file: str, *objects: str, width: object = 40, height: object = 30) -> str:
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><filename>{file}</filename>{size}{''.join(objects)}</annotation>"


def voc(*objects: str, more: Mapping[str, bytes | str] | None = None, **size: object) -> Files:
    """One picture with these objects, and nine more with one cell each."""
    content: dict[str, bytes | str] = {
        "JPEGImages/a.png": png(), "Annotations/a.xml": voc_xml("a.png", *objects, **size),
    }  # fmt: skip
    for number in range(9):
        content[f"JPEGImages/b{number}.png"] = png(seed=number + 1)
        content[f"Annotations/b{number}.xml"] = voc_xml(f"b{number}.png", voc_object("cell", (1, 1, 10, 10)))
    return Files(content | dict(more or {}))


def coco(
    annotations: Sequence[Mapping[str, object]], *, images: Sequence[Mapping[str, object]] | None = None,
    categories: Sequence[Mapping[str, object]] | None = None, text: str | None = None,
    more: Mapping[str, bytes | str] | None = None,
) -> Files:  # fmt: skip
    """Ten pictures of 40 x 30, `annotations` of any of them (ids 1 to 10), classes 3 cell and 7 plate."""
    content: dict[str, bytes | str] = {f"images/{number}.png": png(seed=number) for number in range(1, 11)}
    default = [{"id": n, "file_name": f"{n}.png", "width": 40, "height": 30} for n in range(1, 11)]
    content["annotations/instances.json"] = text or json.dumps({
        "images": default if images is None else list(images), "annotations": list(annotations),
        "categories": [{"id": 3, "name": "cell"}, {"id": 7, "name": "plate"}] if categories is None else categories,
    })  # fmt: skip
    return Files(content | dict(more or {}))


def yolo(
    labels: str, *, yaml: str = "train: images\nnames: [cell, plate]\n", more: Mapping[str, bytes | str] | None = None
) -> Files:
    """One picture with these lines, and nine more with one cell each."""
    content: dict[str, bytes | str] = {"data.yaml": yaml, "images/a.png": png(), "labels/a.txt": labels}
    for number in range(9):
        content[f"images/b{number}.png"] = png(seed=number + 1)
        content[f"labels/b{number}.txt"] = "0 0.5 0.5 0.25 0.5\n"
    return Files(content | dict(more or {}))


def masks(
    values: np.ndarray, *, more: Mapping[str, bytes | str] | None = None, count: int = 9, others: Sequence[int] = (0, 1)
) -> Files:
    """One picture with this mask, and more whose masks have `others` in turns."""
    content: dict[str, bytes | str] = {"images/a.png": png(), "masks/a.png": encoded(values, "PNG")}
    for number in range(count):
        content[f"images/b{number}.png"] = png(seed=number + 1)
        plain = np.full((30, 40), others[0], np.uint8)
        plain[:15] = others[number % len(others)]
        content[f"masks/b{number}.png"] = encoded(plain, "PNG")
    return Files(content | dict(more or {}))
