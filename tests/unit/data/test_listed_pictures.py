"""Pictures listed in a table: one class each, or several with gaps; files that are not there are named with lines."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import gnomon
from gnomon.core.errors import DataError, UsageError
from gnomon.core.settings import from_flat
from gnomon.workflow.prepare import prepare


def written(folder, rows, header="file,colour,shape", count=20):
    """Squares of a colour: even ones red, odd ones blue, with a hole in every third one."""
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 60, (24, 24, 3), dtype=np.uint8)
        pixels[..., 0 if i % 2 == 0 else 2] += 150
        if i % 3 == 0:
            pixels[8:16, 8:16] = 0
        (folder / "photos").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / "photos" / f"{i}.png")
    path = folder / "labels.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def rows(count=20, gaps=True):
    return [
        f"photos/{i}.png,{'' if gaps and i == 5 else 'red' if i % 2 == 0 else 'blue'},"
        f"{'' if gaps and i == 6 else 'hole' if i % 3 == 0 else 'full'}"
        for i in range(count)
    ]


def opened(path, **settings):
    return prepare(path, from_flat(settings))


def test_several_classes_a_picture_with_gaps(tmp_path):
    found = opened(written(tmp_path, rows()), target="colour,shape")
    assert found.task.name == "image_multi_task"
    whole = {example.id: example for part in found.splits.values() for example in part}
    assert len(whole) == 20
    assert whole["photos/5.png"].target == {"colour": None, "shape": "full"}
    assert whole["photos/6.png"].target == {"colour": "red", "shape": None}
    assert whole["photos/9.png"].inputs.shape == (24, 24, 3)
    assert whole["photos/9.png"].inputs[10, 10].tolist() == [0, 0, 0]


def test_one_class_a_picture(tmp_path):
    found = opened(written(tmp_path, rows(gaps=False)), target="colour")
    assert found.task.name == "image_classification"
    assert set(found.splits["train"].index["label"]) == {"red", "blue"}


def test_the_only_other_column_is_the_class_and_a_usual_name_is_found_among_many(tmp_path):
    two = [line.rpartition(",")[0] for line in rows(gaps=False)]
    assert opened(written(tmp_path, two, "file,colour")).task.name == "image_classification"
    found = opened(written(tmp_path, rows(gaps=False), "path,label,shape"))
    assert set(found.splits["train"].index["label"]) == {"red", "blue"}


def test_no_chosen_class_is_asked_for(tmp_path):
    with pytest.raises(UsageError, match=r"which column holds the classes is not given; the columns are colour, shape"):
        opened(written(tmp_path, rows()))


def test_a_group_is_never_on_both_sides(tmp_path):
    lines = [f"{line},cam{i % 5}" for i, line in enumerate(rows(gaps=False))]
    found = opened(written(tmp_path, lines, "file,colour,shape,camera"), target="colour", group="camera")
    groups = [set(part.index["group"]) for part in found.splits.values()]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 5


def test_files_that_are_not_there_are_named_with_their_lines(tmp_path):
    lines = rows(gaps=False)
    lines[3] = "photos/nothing.png,blue,hole"
    lines[7] = ",blue,full"
    with pytest.raises(
        DataError, match=r"labels\.csv line 5 \(photos/nothing\.png is not there\), .*line 9 \(no file is named\)"
    ):
        opened(written(tmp_path, lines), target="colour")
    found = opened(tmp_path / "labels.csv", target="colour", max_bad=0.2)
    assert sum(map(len, found.splits.values())) == 18
    assert [bad.why for bad in found.bad] == ["photos/nothing.png is not there", "no file is named"]


def test_a_picture_listed_twice_is_refused(tmp_path):
    lines = rows(gaps=False)
    lines[4] = lines[1].replace("blue", "red")
    with pytest.raises(DataError, match=r"photos/1\.png is listed 2 times: lines 3, 6"):
        opened(written(tmp_path, lines), target="colour")


def test_a_table_without_pictures_stays_a_table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("file,size,kind\n" + "".join(f"report{i % 7}.txt,{i % 9},{'ab'[i % 2]}\n" for i in range(60)))
    assert opened(path, target="kind").task.name == "tabular_classification"


def test_one_network_learns_both_and_predicts_from_a_list_and_from_pictures(tmp_path):
    path = written(tmp_path, rows(60, gaps=False), count=60)
    run = gnomon.fit(path, target="colour,shape", epochs=12, seed=1)
    assert run.diagnosis.rungs[-1].error <= 0.25
    by_list, by_files = run.predict(path), run.predict([tmp_path / "photos" / f"{i}.png" for i in range(60)])
    assert by_list["prediction"].to_list() == by_files["prediction"].to_list()
    assert by_list["id"][3] == "photos/3.png"


def test_columns_of_a_table_are_refused_where_pictures_lie_in_folders(tmp_path):
    written(tmp_path, rows())
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(6):
            (tmp_path / "photos" / f"{i + 6 * (name == 'b')}.png").rename(tmp_path / "set" / name / f"{i}.png")
    with pytest.raises(UsageError, match="names columns of a table"):
        opened(tmp_path / "set", group="camera")
