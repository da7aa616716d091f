"""compare, plan, labels, mismatch and pipeline from the command line: real runs, planted faults, clear refusals."""

from __future__ import annotations

import csv
import json

import numpy as np
import polars as pl
import pytest
from PIL import Image

import gnomon
from gnomon.cli import main


@pytest.fixture
def answer(capsys):
    """A command line in, its exit code and JSON object out."""

    def run(*words: str) -> tuple[int, dict]:
        code = main([*map(str, words), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


@pytest.fixture(scope="module")
def flipped(tmp_path_factory):
    """A table of three classes far apart, one label in twenty changed on purpose; ids are lines of the file."""
    folder = tmp_path_factory.mktemp("flipped")
    rng = np.random.default_rng(0)
    true = rng.integers(3, size=900)
    points = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])[true] + rng.normal(size=(900, 2))
    wrong = rng.random(900) < 0.05
    given = np.where(wrong, (true + rng.integers(1, 3, size=900)) % 3, true)
    names = np.array(["ant", "bee", "=cow()"])
    table = pl.DataFrame({"x": points[:, 0], "y": points[:, 1], "kind": names[given]})
    table.write_csv(folder / "table.csv")
    settings = {"target": "kind", "epochs": 6, "runs_folder": str(folder / "runs")}
    run = gnomon.fit(folder / "table.csv", **settings, hidden="16", run_name="one")
    other = gnomon.fit(folder / "table.csv", **settings, run_name="two", model="logistic")
    return (
        folder,
        run,
        other,
        {str(i + 2): names[true[i]] for i in range(900)},
        {str(i + 2) for i in np.flatnonzero(wrong)},
    )


def test_compare_measures_everything_and_tests_the_winner(flipped, answer):
    _, run, other, *_ = flipped
    code, found = answer("compare", run.path, other.path, "size_mb <= 1", "accuracy >= 10 %")
    assert code == 0
    assert set(found["systems"]) == {run.path.name, other.path.name}
    measures = found["systems"][run.path.name]["measures"]
    weights = (run.path / "model").rglob("*")
    assert measures["size_mb"]["value"] == pytest.approx(
        sum(one.stat().st_size for one in weights if one.name in ("weights.safetensors", "task.json")) / 1e6
    )
    assert 0 < measures["latency_ms"]["low"] <= measures["latency_ms"]["value"] <= measures["latency_ms"]["high"] < 1000
    errors = {one.path.name: one.evaluation("dev").table["error"].mean() for one in (run, other)}
    assert found["winner"] == min(found["ranked"], key=lambda name: errors[name])
    against = found["against"][0]
    assert against["method"] == "McNemar, exact"
    assert against["difference"]["value"] == pytest.approx(-abs(errors[run.path.name] - errors[other.path.name]))
    assert found["settings"]["model.name"] == ["dense", "logistic"]


def test_compare_says_when_nobody_meets_the_conditions(flipped, answer):
    _, run, other, *_ = flipped
    code, found = answer("compare", run.path, other.path, "latency_ms <= 0.000001")
    assert code == 0
    assert found["winner"] is None
    assert found["systems"][run.path.name]["not_met"] == ["latency_ms <= 1e-06"]


def test_compare_takes_predictions_made_elsewhere(tmp_path, answer):
    rng = np.random.default_rng(0)
    target = rng.choice(["a", "b"], 400)
    for name, error in (("good", 0.05), ("bad", 0.25)):
        said = np.where(rng.random(400) < error, np.where(target == "a", "b", "a"), target)
        table = pl.DataFrame(
            {"split": "dev", "id": [f"e{i}" for i in range(400)], "target": target, "prediction": said}
        )
        table.write_csv(tmp_path / f"{name}.csv")
    code, found = answer("compare", tmp_path / "good.csv", tmp_path / "bad.csv")
    assert (code, found["winner"]) == (0, "good.csv")
    assert found["against"][0]["is_significant"]
    code, found = answer("compare", tmp_path / "good.csv", tmp_path / "bad.csv", "latency_ms <= 5")
    assert (code, found["error"]["what"]) == (2, "unknown metric 'latency_ms'.")


def test_a_weight_changes_who_wins(tmp_path, answer):
    # the notes: 3 % of errors, some of them on pictures that must not get through, against 5 % of harmless ones
    target = ["cat"] * 960 + ["porn"] * 40
    for name, wrong in (("a", {*range(10), *range(960, 980)}), ("b", set(range(50)))):
        said = [("porn" if one == "cat" else "cat") if i in wrong else one for i, one in enumerate(target)]
        table = {"split": "dev", "id": [f"e{i}" for i in range(1000)], "target": target, "prediction": said}
        camera = ["one" if i % 4 else "two" for i in range(1000)]
        pl.DataFrame({**table, "tag.camera": camera}).write_csv(tmp_path / f"{name}.csv")
    both = tmp_path / "a.csv", tmp_path / "b.csv"
    assert answer("compare", *both)[1]["winner"] == "a.csv"
    found = answer("compare", *both, "weight.porn=10", "worst error over camera <= 50 %")[1]
    assert found["winner"] == "b.csv"
    assert found["systems"]["a.csv"]["measures"]["error"]["value"] == pytest.approx(210 / 1360)
    assert answer("compare", *both, "weight.dog=10")[1]["error"]["what"] == "unknown class 'dog'."


def test_runs_of_other_dev_examples_are_not_tested_as_a_pair(flipped, answer):
    folder, run, *_ = flipped
    settings = {"target": "kind", "hidden": "16", "epochs": 2, "runs_folder": str(folder / "others")}
    other = gnomon.fit(folder / "table.csv", **settings, seed=9)
    code, found = answer("compare", run.path, other.path)
    assert code == 0
    assert found["against"] == []
    assert "different dev examples" in found["notes"][0]
    assert (found["comparable"], found["winner"], found["ranked"]) == (False, None, [])


def test_incomparable_runs_are_reported_first(flipped, capsys):
    folder, run, *_ = flipped
    settings = {"target": "kind", "hidden": "16", "epochs": 2, "runs_folder": str(folder / "again")}
    other = gnomon.fit(folder / "table.csv", **settings, seed=9)
    assert main(["compare", str(run.path), str(other.path)]) == 0
    shown = capsys.readouterr().out
    assert "were evaluated on different dev examples" in shown.splitlines()[0]
    assert "best" not in shown.replace("none is the best", "")
    assert "not set" in shown or "none" in shown  # a setting without a value has a word for it


def test_the_planner_prints_no_line_that_a_screen_breaks(capsys):
    assert main(["plan", "error=10%", "other=9%"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 110


@pytest.mark.parametrize("command", ["improve", "labels"])
def test_without_arguments_it_asks_for_data_or_a_run(command, answer):
    code, found = answer(command)
    assert code == 2
    assert "data (a folder, an archive, a table or a bundled set) or a run" in found["error"]["what"]
    assert found["error"]["fix"].startswith(f"gnomon {command} ")


def test_errors_are_those_of_the_ladder_without_copies_of_training_examples(tmp_path, answer):
    rng = np.random.default_rng(0)
    rows = pl.DataFrame({"x": rng.normal(size=120), "class": ["a", "b"] * 60})
    (tmp_path / "data").mkdir()
    rows[:90].write_csv(tmp_path / "data" / "train.csv")
    pl.concat([rows[90:], rows[:10]]).write_csv(tmp_path / "data" / "dev.csv")
    runs = [
        gnomon.fit(tmp_path / "data", epochs=2, runs_folder=str(tmp_path), learning_rate=rate) for rate in (0.01, 0.02)
    ]
    dev = next(rung for rung in runs[0].diagnosis.rungs if rung.name == "dev")
    assert "without 10 copies" in dev.note
    found = answer("compare", *(run.path for run in runs))[1]
    assert found["systems"][runs[0].path.name]["measures"]["error"]["value"] == pytest.approx(dev.error)
    assert found["against"][0]["examples"] == dev.examples


def test_the_same_from_python(flipped):
    _, run, other, *_ = flipped
    found = gnomon.compare([run, str(other.path)], metric="macro_f1", conditions=["size_mb <= 1"])
    assert found.target.metric == "macro F1"
    assert found.choice.winner.name in {run.path.name, other.path.name}
    assert gnomon.mismatch(run.path).num_train == run.folder.load_data()["splits"]["train"]


def test_compare_refuses_one_run_and_the_same_run_twice(flipped, answer):
    _, run, *_ = flipped
    assert answer("compare", run.path)[1]["error"]["what"] == "compare needs at least two runs."
    assert answer("compare", run.path, run.path)[1]["error"]["what"] == "is given twice."


def test_planted_flips_come_back_as_corrections(flipped, answer, tmp_path):
    folder, run, _, true, wrong = flipped
    table = folder / "table.csv"
    settings = ("target=kind", "hidden=16", "epochs=6", "folds=3")
    code, found = answer("labels", table, *settings, f"out={tmp_path / 'review.csv'}", "top=40", "random=60")
    assert code == 0
    train = {row["id"] for row in found["suspects"]}
    assert len(train & wrong) / len(train) > 0.8
    with (tmp_path / "review.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert not any(row["given"].startswith("=") for row in rows)  # no cell is a formula
    for row in rows:
        given, suggested, right = row["given"].lstrip("'"), row["suggested"].lstrip("'"), true[row["id"]]
        row["verdict"] = "given" if given == right else "suggested" if suggested == right else "neither"
        row["label"] = right if row["verdict"] == "neither" else ""
    with (tmp_path / "review.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    code, found = answer(
        "labels", table, *settings, f"review={tmp_path / 'review.csv'}", f"corrected={tmp_path / 'labels.csv'}"
    )
    assert code == 0
    review = found["review"]
    assert review["reviewed"] == 100
    in_train = run.folder.load_splits().filter(pl.col("split") == "train")["id"].to_list()
    assert review["wrong"]["low"] <= len(wrong & set(in_train)) / len(in_train) <= review["wrong"]["high"]
    assert review["cleaning"]["fix"] is True
    corrected = pl.read_csv(tmp_path / "labels.csv", infer_schema=False)
    assert set(corrected["id"]) <= wrong
    assert all(label.lstrip("'") == true[one] for one, label in corrected.select("id", "label").rows())


def test_dev_labels_are_audited_from_the_runs_own_probabilities(flipped, answer):
    _, run, _, _, wrong = flipped
    code, found = answer("labels", run.path)
    assert (code, found["split"]) == (0, "dev")
    dev = set(run.evaluation("dev").table["id"].cast(pl.String))
    assert {row["id"] for row in found["suspects"]} <= dev
    top = [row["id"] for row in found["suspects"][:3]]
    assert set(top) <= wrong


def test_a_sheet_that_does_not_fit_is_refused_by_line(flipped, answer, tmp_path):
    _, run, *_ = flipped
    sheet = tmp_path / "review.csv"
    answer("labels", run.path, f"out={sheet}", "top=5", "random=4")
    good = sheet.read_text()
    lines = good.splitlines()
    cells = lines[1].split(",")
    for change, what in (
        ({0: "99999"}, "is not in this split"),
        ({8: "maybe"}, "'maybe' is not a verdict"),
        ({2: "-3"}, "is not a valid number"),
        ({3: "dog"}, "'dog' in the sheet"),
        ({1: "half"}, "unknown part 'half'"),
    ):
        changed = [change.get(place, cell) for place, cell in enumerate(cells)]
        sheet.write_text("\n".join([lines[0], ",".join(changed), *lines[2:]]) + "\n")
        code, found = answer("labels", run.path, f"review={sheet}")
        assert code == 3
        assert what in found["error"]["what"]
        assert "line 2" in found["error"]["where"]
    sheet.write_text(good)
    assert answer("labels", run.path, f"review={sheet}")[1]["error"]["what"] == "no row of the sheet has a verdict."
    assert answer("labels", run.path, f"out={sheet}")[0] == 2


def test_numbers_have_no_labels_to_audit(answer):
    code, found = answer("labels", "diabetes", "epochs=2")
    assert code == 2
    assert "what is predicted here is a number" in found["error"]["what"]
    assert "gnomon errors" in found["error"]["fix"]


@pytest.fixture(scope="module")
def cameras(tmp_path_factory):
    """Pictures of two shades from two cameras, the second one brighter and out of focus."""
    folder = tmp_path_factory.mktemp("cameras")
    rng = np.random.default_rng(0)
    for number in range(360):
        kind = ("left", "right")[number % 2]
        picture = rng.normal(60, 15, (12, 12))
        picture[:, slice(0, 6) if kind == "left" else slice(6, 12)] += 100
        camera = "second" if number % 3 == 0 else "first"
        if camera == "second":
            picture = (picture + np.roll(picture, 1, 0) + np.roll(picture, 2, 0)) / 3 + 25
        path = folder / camera / kind / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(path)
    return folder


def test_two_cameras_differ_and_the_harmless_shift_is_called_harmless(cameras, answer, tmp_path):
    run = gnomon.fit(
        cameras / "first", target_data=str(cameras / "second"), epochs=8, model="logistic", runs_folder=str(tmp_path)
    )
    code, found = answer("mismatch", run.path)
    assert code == 0
    assert found["auc"]["low"] > 0.9
    assert {"brightness", "grain", "sharpness", "darkest twentieth"} & {one["name"] for one in found["columns"][:5]}
    assert found["effect"]["is_harmful"] is not True  # both classes stay as easy as they were
    assert len(found["most_dev_like"]) == 8


def test_one_camera_does_not_differ_from_itself(cameras, answer, tmp_path):
    run = gnomon.fit(cameras / "first", epochs=2, model="logistic", runs_folder=str(tmp_path), split={"dev": 0.4})
    code, found = answer("mismatch", run.path)
    assert code == 0
    assert found["auc"]["low"] <= 0.5 <= found["auc"]["high"]
    assert not found["is_there"]


def test_columns_of_a_table_that_shifted_are_named(answer, tmp_path):
    rng = np.random.default_rng(0)
    for name, shift in (("train", 0.0), ("dev", 2.0)):
        x = rng.normal(size=(200, 3))
        x[:, 1] += shift
        table = pl.DataFrame(
            {"age": x[:, 0], "height": x[:, 1], "weight": x[:, 2], "kind": np.where(x[:, 0] > 0, "a", "b")}
        )
        (tmp_path / "data").mkdir(exist_ok=True)
        table.write_csv(tmp_path / "data" / f"{name}.csv")
    run = gnomon.fit(tmp_path / "data", target="kind", epochs=2, runs_folder=str(tmp_path / "runs"))
    code, found = answer("mismatch", run.path)
    assert code == 0
    assert [one["name"] for one in found["columns"]] == ["height"]


def regions(folder, *, test_shift: float):
    """train and dev of one region, test of another where that region's heights are shifted."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for name, shift in (("train", 0.0), ("dev", 0.0), ("test", test_shift)):
        x = rng.normal(size=(150, 3))
        x[:, 1] += shift
        pl.DataFrame(
            {"age": x[:, 0], "height": x[:, 1], "weight": x[:, 2], "kind": np.where(x[:, 0] > 0, "a", "b")}
        ).write_csv(folder / f"{name}.csv")
    return folder


def test_a_test_set_of_another_region_is_not_taken_for_overfitting_to_dev(answer, tmp_path):
    run = gnomon.fit(
        regions(tmp_path / "data", test_shift=2.0), target="kind", epochs=2, runs_folder=str(tmp_path / "runs")
    )
    code, found = answer("mismatch", run.path)
    assert code == 0
    assert not found["is_there"]  # train and dev are of one region
    beyond = found["beyond_dev"]
    assert beyond["is_there"]
    assert [one["name"] for one in beyond["columns"]] == ["height"]
    assert beyond["columns"][0]["test"] - beyond["columns"][0]["dev"] == pytest.approx(2.0, abs=0.5)  # as planted
    assert beyond["tags"] == []  # the classes of test were not counted
    assert "not to overfitting to dev" in beyond["text"]
    assert run.folder.num_openings == 0


def test_a_test_set_of_the_same_region_looks_like_dev(answer, tmp_path):
    run = gnomon.fit(
        regions(tmp_path / "data", test_shift=0.0), target="kind", epochs=2, runs_folder=str(tmp_path / "runs")
    )
    code, found = answer("mismatch", run.path)
    assert code == 0
    assert not found["beyond_dev"]["is_there"]
    assert found["beyond_dev"]["text"].startswith("Dev and test look alike")


def test_plan_answers_from_the_command_line(answer, capsys):
    code, found = answer("plan", "error=10%", "other=0.09", "disagree=5%")
    assert code == 0
    assert found["rows"][0]["paired"] == [4023, 4023]
    assert answer("plan", "error=10%", "other=20", "within=3")[0] == 2
    assert answer("plan", "other=0.1")[1]["error"]["what"] == "plan needs an error to plan for."
    assert answer("plan", "error=0.1", "eror=0.2")[1]["error"]["what"] == "unknown option 'eror'."
    assert answer("plan", "error=2")[1]["error"]["what"] == "an error of 2 is not a share between 0 and 1."
    assert main(["plan", "error=0.1", "examples=1000"]) == 0
    assert "1,000 examples (both models on the same ones" in capsys.readouterr().out


def test_pipeline_reads_both_kinds_of_tables(answer, tmp_path):
    table = pl.DataFrame(
        {
            "target": ["x"] * 40,
            "prediction": ["x"] * 28 + ["y"] * 12,
            "find": ["here"] * 30 + ["there"] * 10,
            "find.truth": ["here"] * 40,
            "name": ["x"] * 28 + ["y"] * 12,
            "name.truth": ["x"] * 40,
        }
    )
    table.write_parquet(tmp_path / "stages.parquet")
    code, found = answer("pipeline", tmp_path / "stages.parquet")
    assert code == 0
    assert [(one["stage"], one["count"]) for one in found["blames"]] == [("find", 10), ("name", 2), ("", 0)]
    assert found["first"] == "find"
    table.select("target", "prediction", pl.col("target").alias("prediction.find")).write_csv(tmp_path / "whole.csv")
    code, found = answer("pipeline", tmp_path / "whole.csv")
    assert found["ceilings"][0]["gain"]["value"] == pytest.approx(0.3)
    table.select("target", "prediction").write_csv(tmp_path / "none.csv")
    assert "there are no stages" in answer("pipeline", tmp_path / "none.csv")[1]["error"]["what"]
