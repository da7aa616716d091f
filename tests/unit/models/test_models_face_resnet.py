"""The face recogniser against the numbers of its own JavaScript: tests/golden/make_face_api.mjs."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from gnomon.core import found
from gnomon.core.errors import ArtefactError
from gnomon.core.family import PictureInputs, Wanted
from gnomon.models.face_resnet import FAMILY
from gnomon.training.weights import file_of, load_into, read_public, read_tensors

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "face_api.json").read_text())
PUBLIC = FAMILY.weights[0]
needs_package = pytest.mark.skipif(file_of(PUBLIC) is None, reason="the package of npm is not installed")


def net(side=150, num_outputs=5):
    inputs = PictureInputs(3, side, side, (0.5,) * 3, (0.2,) * 3)
    return FAMILY.build(Wanted("face-resnet", inputs, FAMILY.settings(), (), num_outputs)).eval()


def made_bytes(count, salt):
    place = np.arange(count, dtype=np.int64)
    return ((place * 37 + place // 7 * 101 + place // 251 * 53 + salt * 29) % 256).astype(np.uint8)


def names_and_shapes():
    """As in the published manifest, in its order."""

    def conv(name, size, inputs, channels):
        yield f"{name}/conv/filters", (size, size, inputs, channels)
        yield from ((f"{name}/{part}", (channels,)) for part in ("conv/bias", "scale/weights", "scale/biases"))

    yield from conv("conv32_down", 7, 3, 32)
    blocks = [(32, ("1", "2", "3")), (64, ("down", "1", "2", "3")), (128, ("down", "1", "2")),
              (256, ("down", "1", "2", "down_out"))]  # fmt: skip
    before = 32
    for channels, parts in blocks:
        for part in parts:
            yield from conv(f"conv{channels}_{part}/conv1", 3, before, channels)
            yield from conv(f"conv{channels}_{part}/conv2", 3, channels, channels)
            before = channels
    yield "fc", (256, 128)


def write_made(folder: Path) -> Path:
    """Quantised shards of a formula; two files, cut in the middle of a tensor."""
    entries, data = [], b""
    for number, (name, shape) in enumerate(names_and_shapes()):
        fan_in = math.prod(shape[:3]) if len(shape) == 4 else shape[0]
        scale, low = (0.5 / 255, 0.75) if name.endswith("scale/weights") else (
            3 / math.sqrt(fan_in) / 255, -1.5 / math.sqrt(fan_in))  # fmt: skip
        entries.append({"name": name, "shape": shape, "dtype": "float32",
                        "quantization": {"dtype": "uint8", "scale": scale, "min": low}})  # fmt: skip
        data += made_bytes(math.prod(shape), number).tobytes()
    (folder / "a.bin").write_bytes(data[:1000])
    (folder / "b.bin").write_bytes(data[1000:])
    manifest = folder / "made-weights_manifest.json"
    manifest.write_text(json.dumps([{"paths": ["a.bin", "b.bin"], "weights": entries}]))
    return manifest


def made_picture(side, salt):
    return torch.from_numpy(made_bytes(side * side * 3, salt).reshape(1, side, side, 3)).permute(0, 3, 1, 2)


def test_quantised_shards_give_the_vector_that_face_api_gives(tmp_path):
    model = net()
    taken = load_into(model, read_tensors(write_made(tmp_path)), FAMILY, "face-resnet")
    assert (taken.library, taken.left, taken.taken) == ("face-api", (), 117)
    with torch.no_grad():
        found_here = model.vectors(made_picture(150, 3))[0]
    expected = torch.tensor(GOLDEN["made"]["vector"])
    assert expected.abs().min() > 1e-4
    torch.testing.assert_close(found_here, expected, rtol=1e-4, atol=1e-5)


@needs_package
def test_the_published_weights_give_the_published_vector_of_a_made_picture():
    model = net()
    load_into(model, read_public(PUBLIC, "it"), FAMILY, "face-resnet", PUBLIC)
    with torch.no_grad():
        vector = model.vectors(made_picture(150, 3))[0]
    torch.testing.assert_close(vector, torch.tensor(GOLDEN["published"]["made_picture"]), rtol=1e-4, atol=1e-5)


def test_a_shard_that_is_cut_missing_or_elsewhere_is_refused(tmp_path):
    manifest = write_made(tmp_path)
    whole = (tmp_path / "b.bin").read_bytes()
    (tmp_path / "b.bin").write_bytes(whole[:-1])
    with pytest.raises(ArtefactError, match=r"fc ends after the last of"):
        read_tensors(manifest)
    (tmp_path / "b.bin").write_bytes(whole + b"x")
    with pytest.raises(ArtefactError, match=r"lists [\d,]+ bytes, and its files have"):
        read_tensors(manifest)
    (tmp_path / "b.bin").unlink()
    with pytest.raises(ArtefactError, match=r"b\.bin: cannot be read"):
        read_tensors(manifest)
    manifest.write_text(manifest.read_text().replace("b.bin", "../b.bin"))
    with pytest.raises(ArtefactError, match=r"which is no file beside it"):
        read_tensors(manifest)


@pytest.mark.parametrize("content", ["[]x", "[1]", '{"a": 1}', '[{"paths": []}]', "[" * 100_000])
def test_what_is_no_manifest_is_named(tmp_path, content):
    (tmp_path / "m.json").write_text(content)
    with pytest.raises(ArtefactError, match="no manifest of weights"):
        read_tensors(tmp_path / "m.json")


def test_other_weights_under_the_same_name_are_refused(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    write_made(tmp_path / "model").rename(tmp_path / PUBLIC.file)
    monkeypatch.setenv("GNOMON_FACE_API", str(tmp_path))
    with pytest.raises(ArtefactError, match="not those of @vladmandic"):
        read_public(PUBLIC, "it")


def test_node_modules_of_a_folder_above_are_found_and_no_default_for_other_pictures(tmp_path, monkeypatch):
    monkeypatch.delenv("GNOMON_FACE_API", raising=False)
    inside = tmp_path / "node_modules" / PUBLIC.module
    (inside / "model").mkdir(parents=True)
    (inside / PUBLIC.file).write_text("[]")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert file_of(PUBLIC) == inside / PUBLIC.file
    assert "face-resnet" not in found.installed_weights()


@pytest.mark.parametrize(
    ("side", "strides"), [(150, (4, 8, 16, 32, 64)), (103, (4, 8, 16, 32, 64)), (64, (1, 2, 4, 8, 16))]
)
def test_maps_have_the_strides_they_say(side, strides):
    with torch.no_grad():
        maps = net(side, None)(torch.zeros(1, 3, side, side))
    assert list(maps) == [f"stride{stride}" for stride in strides]
    for stride, one in zip(strides, maps.values(), strict=True):
        assert -(-side // stride) - 6 // min(stride, 2) <= one.shape[-1] <= -(-side // stride)
