"""convert decides by what it is given, writes beside the data, and overwrites nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from annotated import Files, voc, voc_object, yolo

from gnomon.cli import main
from gnomon.core.errors import UsageError
from gnomon.workflow import convert_data
from gnomon.workflow.convert import convert
from gnomon.workflow.convert_data import ConvertedData


def _laid_out(tree: Files, root: Path) -> Path:
    for file in tree.files:
        path = root / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tree.read(file.name))
    return root


def _state(root: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in root.rglob("*") if path.is_file()}


def test_a_folder_becomes_another_format_and_is_not_touched(tmp_path: Path) -> None:
    data = _laid_out(voc(voc_object("cell", (2, 3, 10, 12), difficult=1)), tmp_path / "data")
    before = _state(data)
    found = convert(data, tmp_path / "out", to="coco")
    assert isinstance(found, ConvertedData)
    assert (found.pictures, found.objects, found.class_names) == (10, 10, ("cell",))
    assert found.lost == (("flags: difficult", ("JPEGImages/a.png",)),)
    written = json.loads((tmp_path / "out/annotations/instances.json").read_text())
    boxes = [one["bbox"] for one in written["annotations"]]
    assert boxes[0] == [1, 2, 9, 10]  # columns 2 to 10 and rows 3 to 12, counted from 1: 9 x 10 pixels
    assert min(one["id"] for one in written["annotations"]) == 1
    assert _state(data) == before


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    data = _laid_out(yolo(""), tmp_path / "data")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="nothing is overwritten"):
        convert(data, tmp_path / "out", to="voc")
    with pytest.raises(UsageError, match="lies inside the data, which is never written to"):
        convert(data, data / "out", to="voc")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("is_there", [False, True])
def test_an_interrupted_convert_leaves_nothing_in_the_way_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    data, out = _laid_out(yolo(""), tmp_path / "data"), tmp_path / "out"
    if is_there:
        out.mkdir()
        (out / ".tmp-1-killed").mkdir()
    write, calls = convert_data.write_bytes, []

    def interrupted(path: Path, content: bytes) -> None:
        calls.append(path)
        if len(calls) == 3:
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(convert_data, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        convert(data, out, to="voc")
    assert sorted(path.name for path in tmp_path.rglob("*.xml")) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out"][: 1 + is_there]
    monkeypatch.undo()
    convert(data, out, to="voc")
    assert (out / "Annotations").is_dir()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data", "out"], "which format data becomes is not given"),
        (["data", "out", "to=pascal"], "to=pascal is not a format that convert writes"),
        (["data"], "convert needs two paths, to read and to write, got 1"),
        (["x.pth", "out", "to=coco"], "x.pth is a file of weights, for which to and max_bad mean nothing"),
        (["data", "out", "to=coco", "max_bad=many"], "max_bad is a share from 0 to 1, got many"),
        (["data", "out", "from=voc"], "convert takes no setting but to and max_bad, got from"),
        (["boxes", "out", "to=masks"], "the objects have no outlines"),
        (["empty", "out", "to=coco"], "no format of annotations is recognised"),
    ],
)
def test_what_fits_neither_is_one_clear_error(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _laid_out(yolo(""), tmp_path / "data")
    _laid_out(yolo("0 .5 .5 .1 .1"), tmp_path / "boxes")
    _laid_out(Files({"a.txt": "nothing"}), tmp_path / "empty")
    monkeypatch.chdir(tmp_path)
    assert main(["convert", *words]) in (2, 3)
    assert message in capsys.readouterr().err


def test_the_command_line_lists_what_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _laid_out(voc(voc_object("cell", (2, 3, 10, 12), truncated=1)), tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    assert main(["convert", "data", "out", "to=yolo"]) == 0
    shown = capsys.readouterr().out
    assert "Pascal VOC: 10 pictures, 10 objects, 1 class (cell)" in shown
    assert "lost       flags: truncated: 1 (JPEGImages/a.png)" in shown
    assert main(["convert", "data", "again", "to=yolo", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lost"] == {"flags: truncated": ["JPEGImages/a.png"]}


def test_a_table_stands_for_its_folder(tmp_path: Path) -> None:
    data = _laid_out(yolo("", more={"boxes.csv": "file,class,left,top,right,bottom\na.png,x,1,2,3,4\n"}), tmp_path)
    found = convert(data / "boxes.csv", tmp_path.parent / f"{tmp_path.name}-out", to="coco")
    assert isinstance(found, ConvertedData)
    assert (found.pictures, found.objects, found.class_names) == (1, 1, ("x",))
