"""tiles=yes for masks: large pictures at the scale of training, with the answer of one pass over the whole picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import gnomon
from gnomon.metrics import mask_table
from gnomon.nn.tiles import LEAST, MARGINS, Tiled
from gnomon.parts import masks
from gnomon.tasks import load
from gnomon.training.evaluate import judging


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    source = load("segmentation").reader.write_sample(folder / "sample", seed=1)
    return gnomon.fit(source, epochs=2, runs_folder=str(folder / "runs"), width=0.0625, model="unet")


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (330, 290), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "large.png")
    return tmp_path / "large.png", pixels


def test_a_large_picture_in_tiles_gets_the_answer_of_one_pass_over_all_of_it(run, photo, monkeypatch):
    file, pixels = photo
    sides = []

    def tiled(model, margin, step):
        made = Tiled(model, margin, step, side=2 * (-(-margin // step) * step) + 2 * step)
        sides.append(made.side)
        return made

    monkeypatch.setattr(masks, "Tiled", tiled)
    said = gnomon.predict(run.path, str(file), tiles=True).table
    assert sides[0] < 330  # there were several tiles
    with judging(run.model):
        whole = run.model(torch.from_numpy(pixels)[None, None])[0].argmax(0).numpy()
    np.testing.assert_array_equal(mask_table.decode(said["prediction"][0]), whole)
    resized = mask_table.decode(gnomon.predict(run.path, str(file)).table["prediction"][0])
    assert resized.shape == whole.shape
    assert (resized != whole).mean() > 0.01  # scaled down to 32 pixels, it is another picture


def test_pictures_that_fit_are_answered_in_tiles_as_without(run, tmp_path):
    source = load("segmentation").reader.write_sample(tmp_path / "more", seed=2)
    plain, tiled = (gnomon.predict(run.path, str(source), tiles=tiles).table for tiles in (False, True))
    assert tiled["id"].to_list() == plain["id"].to_list()
    assert tiled["prediction"].to_list() == plain["prediction"].to_list()
    assert "confusion" not in tiled.columns


def test_a_picture_too_large_for_one_pass_is_judged_in_tiles_with_the_same_answer(run, monkeypatch):
    picture = torch.randint(0, 256, (1, 1, 350, 320), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    head, sizes = run.task.head, []
    with judging(run.model):
        whole = head.outputs(run.model, (picture,), {"image": picture})
        monkeypatch.setattr(masks, "LEAST", 256)
        monkeypatch.setattr(masks, "Tiled", lambda model, margin, step: Tiled(model, margin, step, side=288))
        handle = run.model.down[0].register_forward_hook(lambda _m, _x, out: sizes.append(max(out.shape[2:])))
        tiled = head.outputs(run.model, (picture,), {"image": picture})
        handle.remove()
    torch.testing.assert_close(tiled, whole, atol=1e-4, rtol=1e-4)
    assert len(sizes) > 3
    assert max(sizes) == 288


class Sorted(torch.nn.Module):
    """Nothing can be said about where its answers come from."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, pictures):
        return self.scale * pictures.float().sort(dim=2).values


def test_a_net_that_cannot_be_followed_gets_a_quarter_of_a_tile():
    assert masks.in_tiles(Sorted(), 1).margin == LEAST // MARGINS


def test_out_writes_masks_beside_the_table_and_draw_pictures_with_masks_on_them(run, tmp_path, capsys):
    from gnomon.cli import main

    source = load("segmentation").reader.write_sample(tmp_path / "more", seed=2) / "images"
    main(["predict", str(run.path), str(source), f"out={tmp_path / 'said.csv'}", "draw=yes"])
    shown = capsys.readouterr().out
    assert '"runs"' not in shown
    assert "%" in shown
    files = sorted((tmp_path / "said-masks").glob("*.png"))
    assert len(files) == 20
    with Image.open(files[0]) as image:
        assert set(np.unique(np.asarray(image))) <= {0, 1, 2}
    assert (tmp_path / "said.csv").read_text().startswith("id,confidence,height,width,share of 0")
    assert len(list((run.path.parent.parent / "predict" / run.path.name).glob("*.jpg"))) == 20
