"""Tables of boxes and of points beside the photos."""

from __future__ import annotations

import re

import pytest
from annotated import Files, png, turned_jpeg

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.annotations.tables import looks_like_table, read_table

SETTINGS = DataSettings(max_bad=0.5)


def table(text: str, name: str = "boxes.csv", **more: bytes) -> Files:
    return Files({name: text, "a.png": png(), "b.png": png(seed=1), "c.png": png(seed=2)} | more)


@pytest.mark.parametrize(
    "text",
    [
        "file,class,left,top,right,bottom\na.png,cell,1,2,11.5,22\nb.png,,,,,\n",
        "filename;xmin;ymin;xmax;ymax;label\na.png;1;2;11.5;22;cell\nb.png;;;;;\n",
        "image\tx\ty\tw\th\tclass\na.png\t1\t2\t10.5\t20\tcell\nb.png\t\t\t\t\t\n",
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,40,30,cell,1,2,11.5,22\nb.png,40,30,,,,,\n",
        "\ufefffile,class,x1,y1,x2,y2\r\na.png,cell,1,2,11.5,22\r\nb.png,,,,,\r\n",
    ],
)
def test_boxes_are_read_from_every_usual_form(text: str) -> None:
    found = read_table(table(text), SETTINGS)
    assert [one.file for one in found.pictures] == ["a.png", "b.png"]
    assert [one.box for one in found.objects(0)] == [(1, 2, 11.5, 22)]
    assert found.objects(1) == []  # a row with a file alone: a negative
    assert found.notes == ("pictures that the table does not name, left out: 1 (c.png)",)


def test_a_column_says_which_pictures_belong_together() -> None:
    text = "file,class,x1,y1,x2,y2,Patient\na.png,x,1,2,9,9,p1\nb.png,x,1,2,9,9,p2\na.png,x,3,3,9,9,p1\n"
    found = read_table(table(text), DataSettings(group="Patient"))
    assert [one.group for one in found.pictures] == ["p1", "p2"]
    with pytest.raises(DataError, match=r"there is no column ward; there are file, class, x1, .*patient"):
        read_table(table(text), DataSettings(group="ward"))
    with pytest.raises(DataError, match=r"the group \(patient\) was p1 before") as refused:
        read_table(table(text.replace("3,3,9,9,p1", "3,3,9,9,p3")), DataSettings(group="patient"))
    assert "boxes.csv line 4" in str(refused.value)


def test_flags_and_splits_are_read() -> None:
    columns = "file,class,left,top,right,bottom,difficult,crowd,split"
    text = f"{columns}\na.png,x,1,2,9,9,1,0,train\nb.png,x,1,2,9,9,no,yes,val\n"
    found = read_table(table(text), SETTINGS)
    assert [one.split for one in found.pictures] == ["train", "dev"]
    assert (found.objects(0)[0].is_difficult, found.objects(1)[0].is_crowd) == (True, True)


@pytest.mark.parametrize(
    ("columns", "names"),
    [("x1,y1,x2,y2,x3,y3", ("1", "2", "3")), ("eye_x,eye_y,nose_x,nose_y,ear_x,ear_y", ("eye", "nose", "ear"))],
)
def test_points_are_read_with_their_names_and_gaps(columns: str, names: tuple[str, ...]) -> None:
    found = read_table(table(f"file,{columns}\na.png,1,2,3,4,5,6\nb.png,1,2,,,5,6\n", "landmarks.csv"), SETTINGS)
    assert (found.format, found.point_names) == ("landmarks", names)
    points = found.objects(1)[0].details.points
    assert points is not None
    assert points.tolist() == [[1, 2, 2], [0, 0, 0], [5, 6, 2]]


def test_two_points_without_a_class_are_points_and_with_one_a_box() -> None:
    assert read_table(table("file,x1,y1,x2,y2\na.png,1,2,3,4\n"), SETTINGS).format == "landmarks"
    assert read_table(table("file,class,x1,y1,x2,y2\na.png,k,1,2,3,4\n"), SETTINGS).format == "boxes"


def test_a_stated_size_turns_boxes_with_their_picture() -> None:
    text = "file,width,height,class,xmin,ymin,xmax,ymax\na.png,40,30,cell,2,4,10,16\n"
    found = read_table(table(text, **{"a.png": turned_jpeg(40, 30, 6)}), SETTINGS)
    assert found.objects(0)[0].box == (14, 2, 26, 10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,class,left,top,right,bottom\na.png,k,1,2,3\n", "line 2 has 5 cells, and there are 6 columns"),
        ('file,class,left,top,right,bottom\n"a.png,k,1,2,3,4\n', "line 2: unexpected end of data"),
        ("file,class,left,left,top,right,bottom\n", "column left is there twice"),
        ("file,class,left,top,right,bottom,split\na.png,k,1,2,3,4,holdout\n", "the split is not train, dev or test"),
        ("file,class,left,top,right,bottom,split\na.png,k,1,2,3,4,train\na.png,k,1,2,3,4,test\n", "was train before"),
    ],
)
def test_broken_tables_are_one_clear_error(text: str, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        read_table(table(text), SETTINGS)


def test_a_table_without_boxes_or_points_is_not_claimed() -> None:
    assert looks_like_table(table("file,class\na.png,k\n"))[0] == 0.0
    assert looks_like_table(table("file,class,left,top,right,bottom\n"))[0] > 0.9
