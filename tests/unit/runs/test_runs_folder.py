"""The run folder: made once, found again, everything saved comes back, everything doubtful is refused by name."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime, timedelta, timezone

import pytest
import run_records
from hypothesis import given
from hypothesis import strategies as st
from run_records import DIAGNOSIS, ENVIRONMENT, LEAKS, OUTCOME, SPLITS, card, row

from gnomon.core.errors import ArtefactError, MachineError, UsageError
from gnomon.core.settings import from_flat
from gnomon.runs import reader, seal, sealed_files, writer
from gnomon.runs.folder import RunFolder, find
from gnomon.runs.journal import Journal
from gnomon.runs.names import safe_name

NOW = datetime(2026, 11, 21, 10, 15, 0, tzinfo=UTC)
TABLE = run_records.predictions("a", "b")


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch):
    monkeypatch.setattr(writer.Calls, "fsync", staticmethod(lambda descriptor: None))


@pytest.fixture
def run(tmp_path):
    run = RunFolder.create(tmp_path / "runs", "sorting", "screws", now=NOW)
    with run.lock():
        yield run


# --- making and finding -----------------------------------------------------------------------------------------------
def test_a_run_is_made_under_task_time_and_name(run, tmp_path):
    assert run.path == tmp_path / "runs" / "sorting" / "20261121-101500-screws"
    assert (run.task, run.name, run.created) == ("sorting", "screws", "2026-11-21T10:15:00+00:00")


def test_the_time_in_the_name_is_utc(tmp_path):
    there = timezone(timedelta(hours=9))
    run = RunFolder.create(tmp_path, "sorting", "screws", now=datetime(2026, 1, 1, 3, tzinfo=there))
    assert run.path.name == "20251231-180000-screws"


def test_a_second_run_in_the_same_second_gets_a_number_and_is_the_latest(run, tmp_path):
    second = RunFolder.create(tmp_path / "runs", "sorting", "screws", now=NOW)
    third = RunFolder.create(tmp_path / "runs", "sorting", "screws", now=NOW)
    assert second.path.name == "20261121-101500-screws-2"
    assert third.path.name == "20261121-101500-screws-3"
    assert find("latest", tmp_path / "runs").path == third.path
    assert os.readlink(tmp_path / "runs" / "latest") == "sorting/20261121-101500-screws-3"


def test_a_run_is_found_by_path_and_through_the_pointer(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (run.path, str(run.path), "runs/latest", "runs/sorting/20261121-101500-screws/"):
        opened = find(path, "runs")
        assert (opened.path, opened.task, opened.name, opened.created) == (run.path, run.task, run.name, run.created)


def test_the_pointer_may_be_text(run, tmp_path):
    pointer = tmp_path / "runs" / "latest"
    pointer.unlink()
    pointer.write_text("sorting/20261121-101500-screws\n")
    assert find("latest", tmp_path / "runs").path == run.path


@pytest.mark.parametrize("target", ["../elsewhere", "/etc", "sorting/../../elsewhere"])
def test_a_pointer_to_elsewhere_is_refused(run, tmp_path, target):
    (tmp_path / "elsewhere").mkdir()
    writer.point(tmp_path / "runs" / "latest", target)
    with pytest.raises(ArtefactError, match="points to a place outside of its folder"):
        find("latest", tmp_path / "runs")


def test_something_that_is_not_a_run_is_reported(run, tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        RunFolder.open(tmp_path / "none")
    with pytest.raises(UsageError, match="has no runs yet"):
        find("latest", tmp_path / "none")
    with pytest.raises(UsageError, match=r"not a run folder: it has no manifest\.json"):
        RunFolder.open(tmp_path)
    with pytest.raises(UsageError, match="is a file, not a run folder"):
        RunFolder.open(run.path / "manifest.json")
    shutil.rmtree(run.path)
    with pytest.raises(UsageError, match="points to 20261121-101500-screws, which is gone"):
        find("latest", tmp_path / "runs")


def test_a_manifest_that_does_not_say_what_the_run_is_is_refused(run):
    writer.write_bytes(run.path / "manifest.json", seal.encode_sealed({"format": 1, "task": 3, "files": {}}))
    with pytest.raises(ArtefactError, match="does not say task, name and time"):
        RunFolder.open(run.path)


@pytest.mark.parametrize(("text", "name"), [
    ("pets", "pets"), ("my pets/2026", "my-pets-2026"), ("../../etc", "etc"), ("-rf", "rf"), (".hidden", "hidden"),
    ("a\nb\x1b[31m\u202ec", "a-b-[31m-c"), ("", "run"), ("...", "run"), ("\udcff", "run"), ("für 猫", "für-猫"),
    ("x" * 300, "x" * 200), ("é" * 300, "é" * 100), ('a:b*c?"d', "a-b-c--d"),
])  # fmt: skip
def test_names_are_made_valid_for_every_file_system(text, name):
    assert safe_name(text) == name


@given(st.text(st.characters(blacklist_categories=[]), max_size=400))
def test_any_text_becomes_one_plain_short_name(text):
    name = safe_name(text)
    assert 1 <= len(name.encode()) <= 200
    assert seal.check_name(name) == name
    assert not name.startswith("-")
    assert safe_name(name) == name


def test_a_run_of_any_name_can_be_made_and_opened(tmp_path):
    for name in ("\udcff\n../x", "x" * 255, "=cmd()", "<img onerror=alert(1)>"):
        made = RunFolder.create(tmp_path, "sorting", name)
        assert RunFolder.open(made.path).name == name


# --- saving and loading -----------------------------------------------------------------------------------------------
def test_saved_values_come_back(run):
    settings = from_flat({"epochs": 3, "learning_rate": 0.02})
    run.save_settings(settings, ["stop.epochs"])
    run.save_environment(ENVIRONMENT)
    run.save_data(card())
    run.save_outcome(OUTCOME)
    run.save_diagnosis(DIAGNOSIS)
    run.save_model({"model.safetensors": b"weights", "task.json": b"{}"})
    run.save_predictions("train_dev", TABLE)
    run.save_predictions("dev", TABLE.reverse())
    run.save_splits(SPLITS)
    run.save_leaks(LEAKS)
    run.history.append(row(1))
    run.openings.append({"opened": "2026"})
    again = RunFolder.open(run.path)
    assert again.load_settings() == (settings, frozenset(["stop.epochs"]))
    assert again.load_environment() == ENVIRONMENT
    assert again.load_data() == card()
    assert again.load_outcome() == OUTCOME
    assert again.load_diagnosis() == DIAGNOSIS
    assert again.load_model() == {"model.safetensors": b"weights", "task.json": b"{}"}
    assert again.load_predictions("train_dev").equals(TABLE)
    assert again.load_predictions("dev").equals(TABLE.reverse())
    assert again.load_splits().equals(SPLITS)
    assert again.load_leaks().equals(LEAKS)
    assert again.saved_predictions() == ("train_dev", "dev")
    assert again.history.read() == [row(1)]
    assert again.openings.read() == [{"opened": "2026"}]
    assert (run.path / "predictions" / "train-dev.parquet").exists()
    assert again.check().bad == ()


def test_the_same_predictions_give_the_same_bytes(run):
    run.save_predictions("dev", TABLE)
    first = (run.path / "predictions" / "dev.parquet").read_bytes()
    (run.path / "predictions" / "dev.parquet").unlink()
    run.save_predictions("dev", TABLE)
    assert (run.path / "predictions" / "dev.parquet").read_bytes() == first


def test_saving_the_same_again_writes_nothing(run, monkeypatch):
    run.save_data({"a": 1})
    monkeypatch.setattr(writer, "write_bytes", None)
    run.save_data({"a": 1})


def test_a_missing_artefact_is_reported_with_the_way_to_get_it(run):
    with pytest.raises(UsageError, match=r"has no diagnosis\.json yet.*gnomon fit --resume"):
        run.load_diagnosis()
    with pytest.raises(UsageError, match=r"has no predictions/dev\.parquet yet"):
        run.load_predictions("dev")
    with pytest.raises(UsageError, match="no split named 'val'"):
        run.save_predictions("val", TABLE)
    assert run.latest_checkpoint() is None
    assert run.best_checkpoint() is None


def test_a_missing_saved_file_is_named(run):
    run.save_data({"a": 1})
    (run.path / "data.json").unlink()
    with pytest.raises(ArtefactError, match=r"data\.json: is missing"):
        run.load_data()
    run.save_data(card())
    assert run.load_data() == card()


def test_report_and_figures_may_be_deleted(run):
    assert run.save_report("<html>").read_text() == "<html>"
    assert run.save_figure("confusion matrix.svg", b"<svg>").name == "confusion-matrix.svg"
    shutil.rmtree(run.path / "figures")
    (run.path / "report.html").unlink()
    assert run.check().bad == ()


def test_a_table_that_is_not_parquet_is_refused(run):
    run._files.save("predictions/dev.parquet", b"PAR1 but not really PAR1")
    with pytest.raises(ArtefactError, match=r"dev\.parquet: is not a Parquet table"):
        run.load_predictions("dev")


def test_json_that_could_not_be_read_back_is_not_written(run, monkeypatch):
    monkeypatch.setattr(sealed_files, "JSON_LIMIT", 100)
    with pytest.raises(ValueError, match=r"data\.json would have 1[0-9]{2} bytes; it may have 100"):
        run.save_data({"a": "x" * 100})
    assert not (run.path / "data.json").exists()


def test_a_reader_during_a_write_gets_the_old_or_the_new(run, monkeypatch):
    run.save_data(card("1"))
    other, real, done = RunFolder.open(run.path), reader.verified, []

    def verified(*arguments, **options):
        if not done:
            done.append(1)
            run.save_data(card("2"))  # just after the reader looked up the checksum
        return real(*arguments, **options)

    monkeypatch.setattr(reader, "verified", verified)
    assert other.load_data() == card("2")


# --- one at a time ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("change", [
    lambda run: run.save_data({}), lambda run: run.save_checkpoint(1, {}), lambda run: run.save_model({}),
    lambda run: run.history.append({"a": 1}), lambda run: run.history.keep_first(0),
    lambda run: run.save_report(""), lambda run: run.save_figure("a.svg", b""),
    lambda run: run.openings.append({"a": 1}),
])  # fmt: skip
def test_a_run_is_changed_only_under_its_lock(tmp_path, change):
    run = RunFolder.create(tmp_path, "sorting", "screws")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RuntimeError, match="only inside `with run"):
        change(run)
    with run.lock(), run.lock():
        pass
    with pytest.raises(RuntimeError):
        change(run)
    assert sorted(tmp_path.rglob("*")) == sorted([*before, run.path / "lock"])


def test_taking_the_lock_removes_leftovers_and_nothing_else(tmp_path):
    run = RunFolder.create(tmp_path, "sorting", "screws")
    with run.lock():
        run.save_checkpoint(5, {"a": b"1"})
    (run.path / ".tmp-1-ab").write_bytes(b"")
    (run.path / "figures").mkdir()
    (run.path / "figures" / ".tmp-1-cd").write_bytes(b"")
    (run.path / "figures" / "mine.svg").write_bytes(b"")
    (run.path / "checkpoints" / "00000009.tmp-1").mkdir()
    (run.path / "notes.replaced").write_bytes(b"")
    with run.lock():
        names = {str(path.relative_to(run.path)) for path in run.path.rglob("*")}
    assert names == {
        "manifest.json", "lock", "figures", "figures/mine.svg", "notes.replaced", "checkpoints", "checkpoints/00000005",
        "checkpoints/00000005/a", "checkpoints/00000005/manifest.json",
    }  # fmt: skip


# --- checkpoints ------------------------------------------------------------------------------------------------------
def steps(run):
    return sorted(int(path.name) for path in (run.path / "checkpoints").iterdir())


def test_the_newest_two_and_the_best_are_kept(run):
    for step in range(1, 6):
        run.save_checkpoint(step, {"a": bytes([step])}, is_best=step == 2)
    assert steps(run) == [2, 4, 5]
    assert run.latest_checkpoint().step == 5
    best = run.best_checkpoint()
    assert (best.step, best.files, best.is_best, best.notes) == (2, {"a": b"\2"}, True, ())
    run.save_checkpoint(6, {"a": b""}, keep=1, is_best=True)
    assert steps(run) == [6]


def test_order_is_by_saving_not_by_step_name_or_clock(run):
    run.save_checkpoint(100, {"a": b"1"})
    run.save_checkpoint(200, {"a": b"2"})
    run.save_checkpoint(50, {"a": b"3"})  # after a resume from an older one
    os.utime(run.path / "checkpoints" / "00000050", (0, 0))
    assert run.latest_checkpoint().step == 50
    run.save_checkpoint(60, {"a": b"4"})
    assert steps(run) == [50, 60]


def test_a_just_written_entry_is_never_deleted(run):
    run.save_checkpoint(9, {"a": b"1"}, is_best=True)
    for step in (8, 7, 6):
        run.save_checkpoint(step, {"a": b"2"}, keep=1)
        assert run.latest_checkpoint().step == step
        assert steps(run) == [step, 9]


def test_the_same_step_again_replaces(run):
    run.save_checkpoint(1, {"a": b"old"})
    run.save_checkpoint(1, {"b": b"new"})
    assert run.latest_checkpoint().files == {"b": b"new"}


@pytest.mark.parametrize(("step", "keep"), [(-1, 2), (1, 0)])
def test_impossible_checkpoints_are_refused(run, step, keep):
    with pytest.raises(ValueError, match="step must be at least 0 and keep at least 1"):
        run.save_checkpoint(step, {"a": b""}, keep=keep)


def test_a_checkpoint_without_its_step_is_ignored_with_a_note(run):
    run.save_checkpoint(1, {"a": b"1"})
    writer.commit_folder(run.path / "checkpoints" / "00000002", {"a": b"2"}, {"step": "2"})
    checkpoint = run.latest_checkpoint()
    assert checkpoint.step == 1
    assert "has no step, sequence and best mark" in checkpoint.notes[0]
    run.save_checkpoint(3, {"a": b"3"})
    assert steps(run) == [1, 3]


def test_only_damaged_checkpoints_are_an_error_never_a_fresh_start(run):
    run.save_checkpoint(1, {"a": b"1"})
    (run.path / "checkpoints" / "00000001" / "manifest.json").unlink()
    with pytest.raises(ArtefactError, match=r"00000001/manifest\.json: is missing"):
        run.latest_checkpoint()


def test_a_checkpoint_found_between_its_two_names_is_used(run):
    run.save_checkpoint(1, {"a": b"1"})
    run.save_model({"m": b"1"})
    for path in (run.path / "checkpoints" / "00000001", run.path / "model"):
        path.rename(path.with_name(path.name + ".replaced"))
    again = RunFolder.open(run.path)
    assert again.latest_checkpoint().files == {"a": b"1"}
    assert again.load_model() == {"m": b"1"}
    assert again.check().bad == ()


# --- runs made by others ----------------------------------------------------------------------------------------------
def test_saving_never_follows_a_link_out_of_the_run(run, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("figures", "predictions", "checkpoints"):
        (run.path / name).symlink_to(outside)
    for save in (
        lambda: run.save_figure("a.svg", b"x"),
        lambda: run.save_predictions("dev", TABLE),
        lambda: run.save_checkpoint(1, {"a": b"x"}),
    ):
        with pytest.raises(ArtefactError, match="through a link or is outside"):
            save()
    (run.path / "report.html").symlink_to(outside / "report.html")
    with pytest.raises(ArtefactError, match="through a link"):
        run.save_report("x")
    (outside / "log").write_bytes(b"")
    (run.path / "history.jsonl").symlink_to(outside / "log")
    with pytest.raises(ArtefactError, match="through a link"):
        run.history.append({"a": 1})
    os.link(outside / "log", run.path / "openings.jsonl")
    with pytest.raises(ArtefactError, match="hard link"):
        run.openings.append({"a": 1})
    assert (outside / "log").read_bytes() == b""
    assert [path.name for path in outside.iterdir()] == ["log"]


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_linked_artefacts_are_refused_on_load(run, tmp_path, link):
    run.save_model({"model.safetensors": b"weights"})
    run.save_data({"a": 1})
    for name in ("model/model.safetensors", "data.json"):
        path = run.path / name
        path.rename(tmp_path / "moved")
        link(tmp_path / "moved", path)
        load = run.load_model if name.startswith("model") else run.load_data
        with pytest.raises(ArtefactError) as told:
            load()
        assert told.value.where == str(path)
        assert name in [bad.name for bad in run.check().bad]
        path.unlink()
        (tmp_path / "moved").rename(path)


def test_a_manifest_that_lists_a_file_elsewhere_cannot_reach_it(run, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    manifest = {"format": 1, "task": "t", "name": "n", "created": "c"}
    entry = writer.file_entry(b"secret")
    names = ("../../../secret", str(tmp_path / "secret"), "a/../../../../secret")
    writer.write_bytes(
        run.path / "manifest.json", seal.encode_sealed({**manifest, "files": dict.fromkeys(names, entry)})
    )
    assert {bad.name for bad in RunFolder.open(run.path).check().bad} == set(names)


def test_a_damaged_manifest_names_itself(run):
    data = (run.path / "manifest.json").read_bytes()
    (run.path / "manifest.json").write_bytes(data.replace(b"sorting", b"sortinG"))
    with pytest.raises(ArtefactError, match=r"manifest\.json: does not match its own checksum"):
        RunFolder.open(run.path)
    assert [bad.name for bad in run.check().bad] == ["manifest.json"]


def test_a_hostile_journal_or_settings_file_is_refused_by_name(run):
    run._files.save("settings.toml", b"[optimiser]\nname = 'os.system'\n")
    with pytest.raises(ArtefactError, match=r"settings\.toml: optimiser\.name=os\.system"):
        run.load_settings()
    run._files.save("data.json", b'{"a":' * 100_000)
    with pytest.raises(ArtefactError, match=r"data\.json: is nested too deeply"):
        run.load_data()
    run._files.save("diagnosis.json", b"[1, 2]")
    with pytest.raises(ArtefactError, match=r"diagnosis\.json: has a list instead of an object"):
        run.load_diagnosis()
    (run.path / "history.jsonl").write_bytes(b'{"step":1}\n{"step":2}\n')
    assert [(bad.name, bad.why[:6]) for bad in run.check().bad] == [("history.jsonl", "line 1")]


@pytest.mark.parametrize("name", ["history", "openings", "diary", "nudges", "ledger"])
def test_every_journal_is_read_by_check_and_a_torn_or_damaged_one_listed(run, name):
    path = run.path / f"{name}.jsonl"
    journal = Journal(run.path, path.name)
    journal.append({"step": 1})
    journal.append({"step": 2})
    assert path.name in run.check().good
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"step":')
    assert [(bad.name, bad.why) for bad in run.check().bad] == [(path.name, "line 3 is torn.")]
    path.write_bytes(whole.replace(b"1", b"7", 1))
    assert [(bad.name, bad.why[:17]) for bad in run.check().bad] == [(path.name, "line 1 is damaged")]


def test_a_run_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "runs").write_bytes(b"")
    with pytest.raises(MachineError) as told:
        RunFolder.create(tmp_path / "runs", "sorting", "screws")
    assert told.value.fix


def test_a_manifest_is_readable_by_people_and_any_json_reader(run):
    run.save_data({"a": 1})
    manifest = json.loads((run.path / "manifest.json").read_text())
    assert manifest["task"] == "sorting"
    assert manifest["files"]["data.json"]["size"] == (run.path / "data.json").stat().st_size
