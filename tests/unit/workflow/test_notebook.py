"""In a notebook: one line that moves, runs and diagnoses that show themselves; elsewhere nothing is printed."""

from __future__ import annotations

import html
from html.parser import HTMLParser

import pytest
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from sklearn.datasets import load_wine

import gnomon
from gnomon import crafts
from gnomon.strategy.diagnosis import Advice, Diagnosis, Gap, Rung, Verdict
from gnomon.workflow import notebook
from gnomon.workflow.improve.improve import improve

X, Y = load_wine(return_X_y=True)
QUICK = {"epochs": 3, "hidden": (8,)}


@pytest.fixture
def shown(monkeypatch):
    """What a notebook would have been sent; the shell is a real one, its kernel is not."""
    publisher = CapturingDisplayPublisher()
    shell = InteractiveShell.instance()
    monkeypatch.setattr(shell, "display_pub", publisher)
    monkeypatch.setattr(shell, "kernel", object(), raising=False)
    yield publisher.outputs
    InteractiveShell.clear_instance()


class Page(HTMLParser):
    """Tags, attributes and texts as a browser reads them. Raises AssertionError for tags that are not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(str(text))
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


# --- while it works ---------------------------------------------------------------------------------------------------
def test_a_fit_in_a_notebook_is_one_line_that_is_changed(shown, capsys):
    run = gnomon.fit(X, Y, **QUICK)
    assert {output["transient"]["display_id"] for output in shown} == {shown[0]["transient"]["display_id"]}
    assert [output["update"] for output in shown] == [False] + [True] * (len(shown) - 1)
    assert shown[0]["data"]["text/plain"] == "reading ..."
    last = shown[-1]["data"]["text/plain"]
    best = min(row["dev_error"] for row in run.history)
    assert last.startswith("epoch 3/3  train ")
    assert f"best {100 * best:.1f} %" in last
    assert last.endswith("writing the report ...")
    assert shown[-1]["data"]["text/html"] == f"<pre>{html.escape(last)}</pre>"
    assert capsys.readouterr() == ("", "")


def test_whoever_brings_a_follower_gets_no_line(shown):
    from types import SimpleNamespace

    gnomon.fit(X, Y, **QUICK, follower=SimpleNamespace(on_epoch=lambda row: None))
    assert shown == []


def test_searches_and_improvements_have_one_line_too(shown):
    gnomon.tune(X, Y, trials=2, repeats=0, epochs=1)
    assert any(output["data"]["text/plain"].startswith("trial 2/2  dev ") for output in shown)
    assert len({output["transient"]["display_id"] for output in shown}) == 1
    shown.clear()
    improve("wine", time=4, epochs=2, hidden=(8,))
    assert shown
    assert len({output["transient"]["display_id"] for output in shown}) == 1


def test_outside_of_a_notebook_nothing_is_shown(capsys):
    assert not notebook.has_kernel()
    gnomon.fit(X, Y, **QUICK)
    assert capsys.readouterr() == ("", "")


def test_a_shell_without_a_kernel_is_no_notebook():
    InteractiveShell.instance()
    assert not notebook.has_kernel()
    InteractiveShell.clear_instance()


# --- what a cell shows ------------------------------------------------------------------------------------------------
def test_a_run_shows_its_verdict_ladder_and_curve():
    run = gnomon.fit(X, Y, **QUICK)
    page = Page(run._repr_html_())
    assert run.diagnosis.verdict.text in page.text
    for rung in run.diagnosis.rungs:
        assert rung.name in page.text
    (image,) = [attributes for tag, attributes in page.tags if tag == "img"]
    assert image["src"].startswith("data:image/svg+xml;base64,")
    assert len(page.text) < 4_000


def test_a_craft_in_a_notebook_tells_its_first_measure_and_shows_what_it_made(shown, tmp_path):
    source = crafts.load("forgers").write_sample(tmp_path / "numbers", seed=0)
    made = gnomon.fit(source, epochs=2)
    last = shown[-1]["data"]["text/plain"]
    assert last.startswith("epoch 2/2  distance of the quantiles ")
    assert last.endswith("writing the report ...")
    page = Page(made._repr_html_())
    assert "taken for true" in page.text
    assert page.text.endswith("outputs: made.txt")


def test_a_run_without_a_diagnosis_says_so_instead_of_failing(tmp_path):
    with pytest.raises(gnomon.GnomonError):
        gnomon.fit(X * 1e6, Y, epochs=2, hidden=(8,), optimiser="sgd", learning_rate=1e8)
    run = gnomon.load("latest")
    assert run.path.name in Page(run._repr_html_()).text


def test_texts_from_data_are_not_read_as_html():
    attack = "<img src=x onerror=alert(1)>&\"'"
    rungs = (Rung("train", 0.1, 0.05, 0.15, 100, attack), Rung("dev", 0.2, 0.1, 0.3, 100))
    gaps = (Gap("variance", "train", "dev", 0.1, 0.0, 0.2, True, 0.01),)
    verdict = Verdict("variance", ("variance",), 0.9, attack)
    advice = (Advice(attack, attack, "fit-dev"),)
    page = Page(Diagnosis("share", attack, rungs, gaps, verdict, advice, (attack,))._repr_html_())
    assert "img" not in {tag for tag, _ in page.tags}
    assert page.text.count(attack) == 6


def test_a_diagnosis_in_html_says_what_it_says_in_plain_text():
    run = gnomon.fit(X, Y, **QUICK)
    shown = Page(run.diagnosis._repr_html_()).text
    for word in str(run.diagnosis).split():
        if word not in ("next", "note:") and not word[0].isdigit() and word[0] not in "([":
            assert word.strip("()") in shown
