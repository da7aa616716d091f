"""Every task there is has an error sheet: in the terminal, as CSV and back, and in the studio as it draws examples."""

from __future__ import annotations

import re

import pytest
import studio_samples as samples

import gnomon
from gnomon import tasks
from gnomon.runs.tags import TagStore
from gnomon.workflow.judge import errors


@pytest.fixture(scope="module", params=tasks.names())
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    source = tasks.load(request.param).reader.write_sample(folder / "sample", seed=3)
    return gnomon.fit(source, task=request.param, epochs=2, runs_folder=str(folder / "runs"), seed=5)


def test_the_sheet_goes_out_and_comes_back(run, tmp_path):
    found = errors.errors(run)
    assert found.note == ""
    assert sum(one.tagged <= one.reviewed <= one.errors for one in found.shares) == len(found.shares)
    store, path = TagStore(run.path), tmp_path / "sheet.csv"
    assert errors.write_sheet(found.sheet, store, path, rows="all") == len(found.sheet.table)
    assert errors.read_sheet(found.sheet, store, path) == 0


def test_every_page_of_the_studio_is_shown(run):
    client, here = samples.Client(run.path.parent.parent), f"/runs/{samples.run_id(run.path)}"
    looked = client.library.run(samples.run_id(run.path)).examples("dev")
    assert looked.wait(60), looked.fault
    for path in ("", "/live", "/errors/dev", "/errors/dev?look=list&show=all&order=error", "/errors/dev?low=10&text=1",
                 "/errors/dev?part=machine", "/errors/train", "/examples/dev/0", "/sheet-dev.csv"):  # fmt: skip
        status, _, page = client.ask(f"{here}{path}", headers={"accept": "text/html"})
        assert status == 200, (path, page[-800:])
    page = client.ask(f"{here}/errors/dev?show=all")[2].decode()
    assert page.count("<article") == min(48, len(run.evaluation("dev").table))
    assert "opening the data" not in page
    assert "<img" in page or "<dl>" in page or "<pre>" in page  # drawn as the task draws it
    if {"width", "class_names"} & set(run.evaluation("dev").table.columns):  # labels and answers lie in the pictures
        assert "?shown=both" in page
    if "?shown=both" in page:
        looks = ("", "?shown=label", "?shown=answer", "?shown=both")
        drawn = [client.ask(f"{here}/pictures/dev/{row}.png{look}")[2] for look in looks for row in range(3)]
        assert all(one.startswith(b"\x89PNG") for one in drawn)
        shown = run.evaluation("dev").table[:3]
        if (shown["target"] != shown["prediction"]).any():  # labels are not where the answers are
            assert drawn[3:6] != drawn[6:9]
        assert client.ask(f"{here}/pictures/dev/0.png?shown=all")[0] == 404
    if link := re.search(r'href="([^"]*errors/dev\?tag=[^"]*)"', page):
        assert "<article" in client.ask(link[1].replace("&amp;", "&"))[2].decode()
    status, _, page = client.ask(f"{here}/labels/dev", headers={"accept": "text/html"})
    assert status in (200, 404)  # a task without classes has no labels to review, and says so


def test_a_run_compared_with_itself_has_nothing_fixed_and_nothing_broken(run):
    from gnomon.studio.compare import compared

    client = samples.Client(run.path.parent.parent)
    opened = client.library.run(samples.run_id(run.path))
    found = compared(opened, opened, "dev")
    assert (int(found.fixed.sum()), int(found.broken.sum())) == (0, 0)
    assert found.shared == len(run.evaluation("dev").table)
