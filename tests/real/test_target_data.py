"""Trained on one distribution, judged on the one that counts: pictures of two cameras, tables of two years."""

from __future__ import annotations

import os
import signal

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_digits

import gnomon
from gnomon.core.errors import DataError, StoppedError
from gnomon.data.images import as_png
from gnomon.data.tables import make_mixed_table
from gnomon.workflow.judge.diagnose import general_and_target
from gnomon.workflow.road.follow import Silent

PICTURES = {"model": "logistic", "epochs": 15, "optimiser": "adam", "learning_rate": 0.01, "augment": "none"}
ROWS = {"model": "dense", "hidden": (16,), "epochs": 25, "dropout": (), "learning_rate": 0.01}


def as_taken(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(8, 8) values of 0 .. 16 as 8 bits, as the first camera sees them."""
    return (digit * 255 / 16).astype(np.uint8)


def in_the_dark(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half the light, and the noise that comes with it."""
    return (digit * 255 / 32 + rng.normal(0, 45, digit.shape)).clip(0, 255).astype(np.uint8)


def write_folders(place, chosen, camera):
    """Class folders of digits; the names begin at 0000.png in every such folder."""
    digits, labels = load_digits(return_X_y=True)
    rng = np.random.default_rng(1)
    for number, i in enumerate(chosen):
        path = place / str(labels[i]) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_png(camera(digits[i].reshape(8, 8), rng)))
    return place


def cameras(place, camera):
    """1,000 pictures of the first camera, 790 of the second; most names are in both, and three pictures."""
    order = np.random.default_rng(0).permutation(1790)
    write_folders(place / "phone", order[1000:], camera)
    write_folders(place / "phone", order[:3], as_taken)  # in the place of one or the other of 790
    return write_folders(place / "studio", order[:1000], as_taken), place / "phone"


def gap(run, name):
    return next(gap for gap in run.diagnosis.gaps if gap.name == name)


def test_pictures_of_another_camera_show_as_data_mismatch_and_stay_apart(tmp_path):
    studio, phone = cameras(tmp_path, in_the_dark)
    run = gnomon.fit(studio, target_data=str(phone), human=0.05, dev=0.5, test=0.5, **PICTURES)
    assert [rung.name for rung in run.diagnosis.rungs] == ["human", "train", "train_dev", "dev"]
    sizes = run.folder.load_data()["splits"]
    assert sum(sizes.values()) == len(list(tmp_path.rglob("*.png")))
    assert sizes["train_dev"] == 100
    assert sizes["dev"] + sizes["test"] >= 790
    assert gap(run, "data mismatch").is_there
    assert run.diagnosis.verdict.gap == "data mismatch"
    assert {run.evaluation(split).table["source"][0] for split in ("train", "train_dev")} == {"studio"}
    assert run.evaluation("dev").table["source"].unique().to_list() == ["phone"]
    opened = run.test()
    assert opened.table["source"].unique().to_list() == ["phone"]
    assert gnomon.fit(resume=run.path).diagnosis.verdict.gap == "data mismatch"


def test_without_a_shift_there_is_no_data_mismatch(tmp_path):
    studio, phone = cameras(tmp_path, as_taken)
    run = gnomon.fit(studio, target_data=str(phone), human=0.05, **PICTURES)
    assert not gap(run, "data mismatch").is_there
    assert run.diagnosis.verdict.gap != "data mismatch"
    told = run.folder.load_data()["leaks"]  # a picture that is in both is told, and too rare to change the ladder
    assert any("dev is also in train (" in one for one in told)
    assert not any(rung.raw for rung in run.diagnosis.rungs)


class StopsAfter(Silent):
    """Sends the signal that Ctrl-C sends when an epoch's row is in."""

    def on_epoch(self, row):
        if row["epoch"] == 3:
            os.kill(os.getpid(), signal.SIGINT)


def test_a_stopped_run_on_two_sources_with_the_same_file_names_resumes_to_the_same_end(tmp_path):
    studio, phone = cameras(tmp_path, in_the_dark)
    whole = gnomon.fit(studio, target_data=str(phone), runs_folder="whole", **PICTURES)
    with pytest.raises(StoppedError):
        gnomon.fit(studio, target_data=str(phone), follower=StopsAfter(), runs_folder="stopped", **PICTURES)
    (path,) = (tmp_path / "stopped" / "image_classification").iterdir()
    resumed = gnomon.fit(resume=path)
    assert resumed.evaluation("dev").table.equals(whole.evaluation("dev").table)
    (phone / "0").rename(phone / "zero")
    with pytest.raises(DataError, match=r"the data is not what this run was made from|that train has no examples of"):
        gnomon.load(path).test()


def year(place, name: str, number: int, seed: int, *, prices: float):
    table = make_mixed_table(number, seed).drop("level", "sold").with_columns(pl.col("price") * prices)
    table.write_csv(place / f"{name}.csv")
    return place / f"{name}.csv"


@pytest.mark.parametrize(("prices", "expected"), [(1.0, False), (1.4, True)])
def test_tables_of_two_years(tmp_path, prices, expected):
    """A target set of 2,400 rows leaves some to train on: its rows join those of the source under names of both."""
    first, second = (
        year(tmp_path, "1990", 3000, 1, prices=1.0),
        year(tmp_path, "2020", 2400, 2, prices=prices),
    )
    run = gnomon.fit(first, target="price", target_data=str(second), dev=0.4, test=0.4, **ROWS)
    sizes = run.folder.load_data()["splits"]
    assert sizes == {"train": 3132, "train_dev": 348, "dev": 960, "test": 960}
    assert gap(run, "data mismatch").is_there == expected
    ids = run.evaluation("train").table["id"]
    assert {name.partition(":")[0] for name in ids} == {"1990.csv", "2020.csv"}
    assert ids.n_unique() == 3132
    run.test()
    assert gnomon.fit(resume=run.path).diagnosis.rungs == gnomon.load(run.path).diagnosis.rungs


WRONG = {
    "a column is gone": (lambda table: table.drop("rooms"), "rooms"),
    "the target is gone": (lambda table: table.drop("price"), "price"),
    "a number is a text": (lambda table: table.with_columns(rooms=pl.lit("many")), "rooms"),
    "the target is a text": (lambda table: table.with_columns(price=pl.lit("high")), "price"),
}


@pytest.mark.parametrize("fault", WRONG)
@pytest.mark.parametrize("rows", [100, 3000])  # too few to train on any of them, and enough
def test_another_schema_is_one_clear_error(tmp_path, fault, rows):
    change, named = WRONG[fault]
    first = year(tmp_path, "1990", 200, 1, prices=1.0)
    change(make_mixed_table(rows, 2).drop("level", "sold")).write_csv(tmp_path / "2020.csv")
    with pytest.raises(gnomon.GnomonError, match=named) as caught:
        gnomon.fit(first, target="price", target_data=str(tmp_path / "2020.csv"), **ROWS)
    assert caught.value.exit_code in (2, 3)
    assert "2020.csv" in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_a_class_the_source_lacks_is_named(tmp_path):
    studio = write_folders(tmp_path / "studio", range(100), as_taken)
    write_folders(tmp_path / "phone", range(100, 200), as_taken)
    (tmp_path / "phone" / "7").rename(tmp_path / "phone" / "seven")
    with pytest.raises(DataError, match="seven"):
        gnomon.fit(studio, target_data=str(tmp_path / "phone"), **PICTURES)


def test_a_source_that_divides_itself_says_what_is_not_used(tmp_path):
    for split, chosen in (("train", range(200)), ("dev", range(200, 240)), ("test", range(240, 280))):
        write_folders(tmp_path / "studio" / split, chosen, as_taken)
    phone = write_folders(tmp_path / "phone", range(300, 500), in_the_dark)
    run = gnomon.fit(tmp_path / "studio", target_data=str(phone), **PICTURES)
    card = run.folder.load_data()
    assert card["splits"]["train"] + card["splits"]["train_dev"] == 200
    assert "dev and test of the source are not used: target_data provides dev and test" in card["notes"]


def test_pictures_and_a_table_do_not_go_together(tmp_path):
    studio = write_folders(tmp_path / "studio", range(40), as_taken)
    other = year(tmp_path, "2020", 50, 2, prices=1.0)
    with pytest.raises(DataError, match="this is a table, not pictures"):
        gnomon.fit(studio, target_data=str(other))


def test_rows_know_their_source_and_every_cell_of_the_two_way_table_is_measured(tmp_path):
    """2,000 general and 2,100 target rows, of which 1,260 go to train: trained on or not, general or target, people."""
    first, second = year(tmp_path, "1990", 2000, 1, prices=1.0), year(tmp_path, "2020", 2100, 2, prices=1.3)
    run = gnomon.fit(first, target="price", target_data=str(second), dev=0.2, test=0.2, **ROWS)
    for split in ("train", "train_dev"):
        table = run.evaluation(split).table
        from_name = table["id"].str.split(":").list.first().str.strip_suffix(".csv")
        assert table["source"].to_list() == from_name.to_list()
        assert set(table["source"]) == {"1990", "2020"}
    assert set(run.evaluation("dev").table["source"]) == {"2020"}
    dev, held = run.evaluation("dev").table, run.evaluation("train_dev").table
    answers = pl.concat([one.select("id", "target") for one in (dev, held)]).rename({"target": "anna"})
    table = general_and_target(run, human=answers.with_columns(pl.col("anna").cast(pl.Float64) * 1.01))
    assert all(cell is not None for cell in table.cells.values())
    train = run.evaluation("train").table
    for column, source in (("general", "1990"), ("target", "2020")):
        errors = train.filter(pl.col("source") == source)["error"]
        assert table.cells["trained on", column].value == pytest.approx(errors.mean())
    assert table.cells["human", "general"].value < table.cells["not trained on", "general"].value


def test_the_split_of_the_notes_205k_and_twice_2500(tmp_path):
    """200,000 general and 10,000 target rows: half of the target goes to train, the rest is dev and test."""
    rng = np.random.default_rng(0)
    for name, number in (("web", 200_000), ("mobile", 10_000)):
        inputs = rng.normal(size=(number, 2)).round(3)
        kind = np.where(inputs.sum(axis=1) + rng.normal(size=number) > 0, "cat", "dog")
        pl.DataFrame({"a": inputs[:, 0], "b": inputs[:, 1], "kind": kind}).write_csv(tmp_path / f"{name}.csv")
    run = gnomon.fit(
        tmp_path / "web.csv", target="kind", target_data=str(tmp_path / "mobile.csv"), human=0.1, epochs=1,
        model="logistic", train_dev=2500 / 205_000,
    )  # fmt: skip
    sizes = run.folder.load_data()["splits"]
    assert (sizes["train"] + sizes["train_dev"], sizes["dev"], sizes["test"]) == (205_000, 2500, 2500)
    assert abs(sizes["train_dev"] - 2500) <= 1
    cells = general_and_target(run).cells
    assert {place for place, cell in cells.items() if cell is None} == {("human", "general")}  # no one was asked


def test_two_sources_of_one_name_are_told_apart(tmp_path):
    for folder in ("web", "phone"):
        (tmp_path / folder).mkdir()
    first, second = (
        year(tmp_path / folder, "data", 1500, seed, prices=1.0) for seed, folder in enumerate(("web", "phone"))
    )
    run = gnomon.fit(first, target="price", target_data=str(second), dev=0.3, test=0.3, **ROWS)
    assert set(run.evaluation("train").table["source"]) == {"data", "data (target)"}
    assert set(run.evaluation("dev").table["source"]) == {"data (target)"}
    assert general_and_target(run).cells["trained on", "target"] is not None
