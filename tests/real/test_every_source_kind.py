"""Whatever people hand over goes the whole way: fit, test where there is one, predict."""

from __future__ import annotations

import json
import tarfile
import zipfile

import numpy as np
import polars as pl
import pytest
import torch

import gnomon
from gnomon.data.images import as_png
from gnomon.data.tables import make_mixed_table

QUICK = {"epochs": 2, "model.hidden": (8,), "model.channels": (4,)}
SIDE = 8  # pixels


def pictures(number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, 8, 8) uint8, and (N,) classes: bright on the left or on the right."""
    rng = np.random.default_rng(seed)
    labels = np.arange(number) % 2
    found = rng.integers(0, 120, (number, SIDE, SIDE), dtype=np.uint8)
    for picture, label in zip(found, labels, strict=True):
        picture[:, SIDE // 2 * label : SIDE // 2 * (label + 1)] += 100
    return found, labels


def class_folders(place, number: int = 60, seed: int = 0):
    found, labels = pictures(number, seed)
    for i, (picture, label) in enumerate(zip(found, labels, strict=True)):
        path = place / ("left", "right")[label] / f"{i:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_png(picture))
    return place


def houses(number: int = 150, seed: int = 0) -> pl.DataFrame:
    return make_mixed_table(number, seed).drop("price", "sold").rename({"level": "target"})


def of_folder(place):
    return class_folders(place / "photos")


def of_zip(place):
    folder = of_folder(place)
    with zipfile.ZipFile(place / "photos.zip", "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, file.relative_to(place))
    return place / "photos.zip"


def of_tar(place):
    folder = of_folder(place)
    with tarfile.open(place / "photos.tar.gz", "w:gz") as archive:
        archive.add(folder, "photos")
    return place / "photos.tar.gz"


def of_split_folders(place):
    for seed, split in enumerate(("train", "val", "test")):
        class_folders(place / "photos" / split, 40, seed)
    return place / "photos"


def of_csv(place):
    houses().write_csv(place / "houses.csv")
    return place / "houses.csv"


def of_tsv(place):
    houses().write_csv(place / "houses.tsv", separator="\t")
    return str(place / "houses.tsv")


def of_parquet(place):
    houses().write_parquet(place / "houses.parquet")
    return place / "houses.parquet"


def of_split_tables(place):
    folder = place / "houses"
    folder.mkdir()
    houses().write_csv(folder / "train.csv")
    houses(60, seed=1).write_csv(folder / "test.csv")
    return folder


def of_polars(place):
    return houses()


def of_pandas(place):
    return houses().to_pandas()


def of_numpy_rows(place):
    inputs = np.random.default_rng(0).normal(size=(120, 4))
    return inputs, (inputs[:, 0] > 0).astype(np.int64)


def of_numpy_numbers(place):
    inputs = np.random.default_rng(0).normal(size=(120, 4))
    return inputs, inputs[:, 0] * 3 + 0.5


def of_torch_pictures(place):
    found, labels = pictures(60, 0)
    return torch.from_numpy(found)[:, None].float() / 255, torch.from_numpy(labels)


def of_dataset(place):
    found, labels = pictures(60, 0)
    return torch.utils.data.TensorDataset(torch.from_numpy(found), torch.from_numpy(labels))


def of_several_classes(place):
    make_mixed_table(150, 0).drop("price").rename({"level": "target_level", "sold": "target_sold"}).write_csv(
        place / "houses.csv"
    )
    return place / "houses.csv"


def of_several_numbers(place):
    table = make_mixed_table(150, 0).drop("level", "sold").rename({"price": "target_price", "area": "target_area"})
    table.write_csv(place / "houses.csv")
    return place / "houses.csv"


KINDS = {  # what makes the source -> the task it is for
    of_folder: "image_classification",
    of_zip: "image_classification",
    of_tar: "image_classification",
    of_split_folders: "image_classification",
    of_csv: "tabular_classification",
    of_tsv: "tabular_classification",
    of_parquet: "tabular_classification",
    of_split_tables: "tabular_classification",
    of_polars: "tabular_classification",
    of_pandas: "tabular_classification",
    of_numpy_rows: "tabular_classification",
    of_numpy_numbers: "tabular_regression",
    of_torch_pictures: "image_classification",
    of_dataset: "image_classification",
    of_several_classes: "multi_task",
    of_several_numbers: "tabular_regression",
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_source_of_any_kind_is_fitted_judged_tested_and_predicted(kind, tmp_path):
    source = kind(tmp_path)
    in_memory = not isinstance(source, str) and not hasattr(source, "__fspath__")
    run = gnomon.fit(source, **QUICK)
    assert run.task.name == KINDS[kind]
    card = run.folder.load_data()
    assert set(card["splits"]) == {"train", "dev", "test"}
    tested = run.test(source if in_memory else None)
    assert [rung.name for rung in run.diagnosis.rungs] == ["human", "train", "dev", "test"]
    assert len(tested.table) == card["splits"]["test"]
    inputs, number = source[0] if isinstance(source, tuple) else source, sum(card["splits"].values())
    if kind is of_split_tables:  # tables are predicted one at a time
        inputs, number = source / "test.csv", card["splits"]["test"]
    answers = gnomon.load(run.path).predict(inputs)
    assert answers.columns[:3] == ["id", "prediction", "confidence"]
    assert len(answers) == number
    assert answers["prediction"].null_count() == 0


def test_targets_that_are_missing_leave_their_rows_to_the_others(tmp_path):
    """sold is unknown for one row in four: all rows are trained on and judged, an unknown target is never an error."""
    run = gnomon.fit(of_several_classes(tmp_path), **QUICK)
    table = run.evaluation("dev").table
    truths = [json.loads(text) for text in table["target"]]
    holes = [truth["target_sold"] is None for truth in truths]
    assert 0 < sum(holes) < len(truths)
    assert table["weight"].to_list() == [1.0 if hole else 2.0 for hole in holes]
    answers = [json.loads(text) for text in table["prediction"]]
    pairs = zip(truths, answers, strict=True)
    wrong = [sum(truth[name] not in (None, answer[name]) for name in truth) for truth, answer in pairs]
    known = [sum(value is not None for value in truth.values()) for truth in truths]
    np.testing.assert_allclose(table["error"], np.divide(wrong, known))


def test_a_set_by_name_and_a_frame_of_it_are_the_same_data():
    """The bundled set and its arrays handed over give the same splits and, with the same seed, the same dev error."""
    from sklearn.datasets import load_iris

    inputs, labels = load_iris(return_X_y=True)
    by_name, by_hand = gnomon.fit("iris", **QUICK), gnomon.fit((inputs, labels), **QUICK)
    assert by_name.evaluation("dev").table["error"].to_list() == by_hand.evaluation("dev").table["error"].to_list()
