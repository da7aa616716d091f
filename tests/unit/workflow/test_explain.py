"""explain: answers with their maps, units with their patches, files never overwritten, one clear refusal each."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_wine
from torch import nn

import gnomon
from gnomon.checks import attribution
from gnomon.cli import main
from gnomon.core import found
from gnomon.core.errors import DataError, UsageError
from gnomon.figures.explained import strip
from gnomon.strategy.evidence import Patch, Unit
from gnomon.training import evaluate
from gnomon.workflow.explain import MOST_PICTURES
from gnomon.workflow.prepare import prepare_again
from gnomon.workflow.road.report import _units

QUICK = {"epochs": 2, "test": 0.2, "augment": "none"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return found.task("image_classification").reader.write_sample(tmp_path_factory.mktemp("explain") / "bars", 0)


@pytest.fixture(scope="module")
def run(place):
    return gnomon.fit(place, model="convnet", runs_folder=str(place.parent / "runs"), **QUICK)


def picture(place, number=0):
    return str(place / "lying" / f"{number:02d}.png")


def dev_of(run):
    return prepare_again(run.folder, None, run.settings, in_memory="", moved="").splits["dev"]


# --- pictures ---------------------------------------------------------------------------------------------------------
def test_the_answer_is_that_of_predict_and_every_map_has_the_size_of_the_picture(run, place):
    (one,) = run.explain(picture(place)).pictures
    row = run.predict(picture(place)).row(0, named=True)
    assert one.prediction == row["prediction"]
    assert one.probability == pytest.approx(row["confidence"], abs=1e-6)
    assert [each.class_name for each in one.classes] == [one.prediction]
    assert {name: each.shape for name, each in one.classes[0].maps.items()} == dict.fromkeys(
        ("saliency", "occlusion", "activation"), (12, 12)
    )
    np.testing.assert_array_equal(one.picture, np.asarray(Image.open(picture(place))))


def test_the_named_class_is_explained_beside_the_predicted_one(run, place):
    answer = run.explain(picture(place)).pictures[0].prediction
    other = "standing" if answer == "lying" else "lying"
    (one,) = run.explain(picture(place), class_name=other).pictures
    assert [each.class_name for each in one.classes] == [answer, other]
    assert sum(each.probability for each in one.classes) == pytest.approx(1)
    # of two classes, what speaks for one speaks against the other
    occluded = [each.maps["occlusion"] for each in one.classes]
    np.testing.assert_allclose(occluded[0], -occluded[1], atol=1e-4)
    assert len(run.explain(picture(place), class_name=answer).pictures[0].classes) == 1


def test_the_same_picture_is_explained_alike_every_time(run, place):
    one, other = (run.explain(picture(place)).pictures[0].classes[0] for _ in range(2))
    assert all(np.array_equal(one.maps[name], other.maps[name]) for name in one.maps)


def test_the_hidden_square_leaves_the_probability_that_is_said(run, place):
    one = next(
        each for number in range(20) for each in run.explain(picture(place, number)).pictures if each.classes[0].hidden
    )
    hidden, pixels = one.classes[0].hidden, one.picture.copy()
    pixels[hidden.top : hidden.bottom, hidden.left : hidden.right] = round(255 * run.task.encoder.mean[0])
    answer = run.predict(pixels[None])
    assert answer[f"p.{one.prediction}"][0] == pytest.approx(hidden.probability, abs=0.01)


def test_one_file_is_written_for_each_picture_and_none_is_overwritten(run, place, tmp_path):
    files = [place / "lying" / "00.png", place / "standing" / "00.png"]
    first = run.explain(files, out=tmp_path / "maps").files
    kept = [one.read_bytes() for one in first]
    again = run.explain(files, out=tmp_path / "maps").files
    assert len({*first, *again}) == 4
    assert [one.read_bytes() for one in first] == kept
    assert again[0].name == first[0].name.replace(".png", "-2.png")
    assert [one.name for one in first] == ["lying-00.png", "standing-00.png"]
    assert all(one.startswith(b"\x89PNG") for one in kept)
    assert run.explain(files).files == ()


def test_pictures_of_any_name_get_files_of_plain_names(run, place, tmp_path):
    odd = (b"a\nb.png", b"\xf6.png", b"=1+1.png", b"-.png", "\u4e2d".encode() * 70 + b".png")
    for name in odd:
        (tmp_path / "odd").mkdir(exist_ok=True)
        (tmp_path / "odd" / os.fsdecode(name)).write_bytes((place / "lying" / "00.png").read_bytes())
    written = [one.name for one in run.explain(tmp_path / "odd", out=tmp_path / "maps").files]
    assert len(set(written)) == len(odd)
    assert all(name.isprintable() and "/" not in name and name[0] not in "-." for name in written)


def test_a_dense_net_has_no_class_activation_map(place):
    flat = gnomon.fit(place, model="logistic", **QUICK)
    assert 'id="units"' not in flat.report.read_text()
    (one,) = flat.explain(picture(place), out="maps").pictures
    assert set(one.classes[0].maps) == {"saliency", "occlusion"}
    with pytest.raises(UsageError, match=r"\(logistic\) has no feature maps.*model=convnet"):
        flat.explain()


def test_folds_are_explained_by_the_mean_of_their_maps(place):
    folds = gnomon.fit(place, model="convnet", folds=2, epochs=1, test=0.2)
    (one,) = folds.explain(picture(place)).pictures
    assert one.probability == pytest.approx(folds.predict(picture(place))["confidence"][0], abs=1e-6)
    assert folds.explain().stages


def test_a_network_of_the_users_own_is_explained(place):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 1)

        def forward(self, pictures):
            return self.head(torch.relu(self.conv(pictures)).amax(dim=(2, 3)))

    own = gnomon.fit(place, model=Net(), **QUICK)
    assert "activation" in own.explain(picture(place)).pictures[0].classes[0].maps
    assert [(one.name, one.sees) for one in own.explain().stages] == [("conv", (3, 3))]


# --- units ------------------------------------------------------------------------------------------------------------
def test_units_show_the_parts_of_dev_pictures_that_excite_them_most(run, monkeypatch):
    monkeypatch.setattr(evaluate, "BATCH", 3)  # the best of several batches
    stages, dev = run.explain().stages, dev_of(run)
    assert [(one.name, one.places, one.sees) for one in stages] == [
        ("stage1", (6, 6), (4, 4)),
        ("stage2", (3, 3), (10, 10)),
    ]
    ids, pictures = dev.index["id"].to_list(), [dev[i].inputs for i in range(len(dev))]
    inputs = torch.from_numpy(np.stack(pictures))[:, None]
    with torch.no_grad():
        maps = run.model.stage1(run.model.normalise(inputs))
    assert [len(unit.patches) for unit in stages[0].units] == [min(9, len(dev))] * 8
    for unit in stages[0].units:
        highest = maps[:, unit.number].flatten(1).max(dim=1).values.sort(descending=True).values
        np.testing.assert_allclose([one.value for one in unit.patches], highest[:9], rtol=1e-5)
        for patch in unit.patches:
            one = ids.index(patch.id)
            row, column = divmod(int(maps[one, unit.number].argmax()), 6)
            assert maps[one, unit.number, row, column].item() == pytest.approx(patch.value, rel=1e-5)
            # a convolution 3x3 with a border of zeros, then a pool of 2: rows 2r - 1 to 2r + 2
            top, left = 2 * row - 1, 2 * column - 1
            seen = pictures[one][max(top, 0) : top + 4, max(left, 0) : left + 4]
            np.testing.assert_array_equal(patch.pixels, seen)
            assert patch.offset == (max(-top, 0), max(-left, 0))


def test_a_unit_that_is_the_same_for_every_picture_is_silent(run):
    run = gnomon.load(run.path)  # whose model is its own
    with torch.no_grad():
        run.model.stage1.norm.weight[3] = 0
        run.model.stage1.norm.bias[3] = -1
    stage = run.explain().stages[0]
    assert stage.num_silent == 1
    assert 3 not in {unit.number for unit in stage.units}
    with torch.no_grad():
        run.model.stage1.norm.weight[:] = 0
        run.model.stage1.norm.bias[:] = -1
    dead = run.explain(out="dead")
    assert [(one.num_silent, one.units) for one in dead.stages] == [(32, ()), (64, ())]
    assert len(dead.files) == 2


def test_a_sheet_keeps_the_place_of_what_lies_beyond_the_edge():
    inside, cut = np.zeros((4, 4), np.uint8), np.full((3, 4), 255, np.uint8)
    sheet = strip(Unit(0, (Patch(inside, (0, 0), 1.0, "a", ""), Patch(cut, (1, 0), 1.0, "b", ""))))
    assert sheet.shape == (40, 83, 3)  # ten times as large, three pixels between
    assert (sheet[:, :40] == 0).all()
    assert (sheet[:10, 43:] == 222).all()
    assert (sheet[10:, 43:] == 255).all()


def test_the_report_has_what_units_see_where_that_is_cheap(run, monkeypatch):
    assert 'id="units"' in run.report.read_text()
    layers, dev = run.folder.load_outcome()["layers"], dev_of(run)
    (first, _) = stages = _units(run, dev, layers)
    assert [len(one.units) for one in stages] == [4, 4]
    assert first.num_pictures == len(dev)
    large = [{"multiply_adds": 2e8}]  # per picture, as of resnet18 on 64 pixels: 5e9 are half a second
    assert _units(run, dev, large) == ()


# --- the command line -------------------------------------------------------------------------------------------------
def test_the_command_writes_beside_the_runs_and_says_where(run, place, capsys):
    assert main(["explain", str(run.path), picture(place)]) == 0
    shown = capsys.readouterr().out
    (file,) = (run.path.parents[1] / "explain" / run.path.name).glob("*00.png")
    assert str(file) in shown
    assert "saliency" in shown
    assert "spread evenly" in shown


def test_json_has_the_same_for_programs(run, place, capsys):
    assert main(["explain", str(run.path), picture(place), "class=lying", "out=maps", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["pictures"]
    assert one["classes"][0].keys() >= {"class", "probability", "without", "saliency", "occlusion", "activation"}
    assert (gnomon.Run.open(run.path).explain(picture(place)).pictures[0].prediction) == one["prediction"]
    assert main(["explain", str(run.path), "out=maps", "--json"]) == 0
    stages = json.loads(capsys.readouterr().out)["stages"]
    assert [one["name"] for one in stages] == ["stage1", "stage2"]
    assert {patch["id"] for one in stages for unit in one["shown"] for patch in unit["patches"]} <= set(
        dev_of(run).index["id"].to_list()
    )


# --- refusals ---------------------------------------------------------------------------------------------------------
def test_a_class_that_is_not_there_is_refused_with_the_nearest(run, place):
    with pytest.raises(UsageError, match=r"no class 'standin' among the 2 of this run.*did you mean class=standing"):
        run.explain(picture(place), class_name="standin")
    with pytest.raises(UsageError, match="use one of lying, standing"):
        run.explain(picture(place), class_name="zebra")
    with pytest.raises(UsageError, match="class= is for pictures, and none are given"):
        run.explain(class_name="lying")


def test_an_unreadable_picture_is_named(run, place, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken\.png"):
        run.explain(tmp_path / "broken.png")


def test_more_pictures_than_a_person_looks_at_are_refused(run):
    with pytest.raises(UsageError, match=f"{MOST_PICTURES} at most, and got 101"):
        run.explain(np.zeros((101, 12, 12), np.uint8))


def test_a_file_in_place_of_the_folder_is_refused(run, place, tmp_path):
    (tmp_path / "maps").write_text("")
    with pytest.raises(UsageError, match="is a file, and explain writes several"):
        run.explain(picture(place), out=tmp_path / "maps")


def test_a_task_without_pictures_is_refused_in_one_sentence():
    table = gnomon.fit(*load_wine(return_X_y=True), epochs=1)
    with pytest.raises(UsageError, match=r"explain shows what matters in pictures, and this run is .*table data"):
        table.explain()


def test_pictures_with_several_classes_have_units_but_no_single_answer(tmp_path):
    several = found.task("image_multi_task").reader.write_sample(tmp_path / "several", 0)
    both = gnomon.fit(several, model="convnet", **QUICK)
    assert both.explain().stages
    with pytest.raises(UsageError, match="why a picture has one class and not another"):
        both.explain(str(tmp_path / "several" / "pictures" / "00.png"))


def test_data_that_was_in_memory_is_asked_for(place):
    pictures = np.random.default_rng(0).integers(0, 255, (40, 12, 12), dtype=np.uint8)
    memory = gnomon.fit(pictures, np.arange(40) % 2, model="convnet", **QUICK)
    with pytest.raises(UsageError, match="data was in memory"):
        memory.explain()
    assert memory.explain(pictures[:1]).pictures


def test_an_explanation_of_a_large_picture_stays_within_memory(run, place, monkeypatch):
    passes = []
    monkeypatch.setattr(attribution, "MOST_BYTES", 1)
    handle = run.model.register_forward_pre_hook(lambda _m, inputs: passes.append(len(inputs[0])))
    run.explain(picture(place))
    handle.remove()
    assert set(passes) == {1}
