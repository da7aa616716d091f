"""`gnomon gallery` from the command line: the list, a page written once, the cheapest claims whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gnomon import gallery
from gnomon.cli import main
from gnomon.core.errors import UsageError

DOCS = Path(__file__).resolve().parents[3] / "docs"
ANSWERS = {"holds", "does not hold here", "inconclusive"}
ON_THE_CLOCK = {"batch_sizes"}  # claims about seconds may turn out otherwise on a busy machine


def _json(capsys, *words: str) -> dict:
    assert main(["gallery", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_claims_are_found_by_file_name():
    folder = Path(gallery.__file__).parent
    files = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert set(gallery.names()) == files
    assert len(files) >= 14


def test_the_list_has_one_line_per_claim(capsys):
    assert main(["gallery"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[: len(gallery.names())]] == list(gallery.names())
    assert {claim["name"] for claim in _json(capsys)["claims"]} == set(gallery.names())


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(UsageError, match=r"unknown claim 'random-serch'.*did you mean random_search"):
        gallery.load("random-serch")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["logic_gates", "seeds=1"], "needs at least 2"),
        (["logic_gates", "seeds=many"], "is not a whole number"),
        (["logic_gates", "epochs=3"], "takes only seeds"),
        (["logic_gates", "symmetry"], "takes one NAME, got 2"),
        (["logic_gate"], "unknown claim 'logic_gate'"),
    ],
)
def test_a_word_that_cannot_be_used_is_refused_before_anything_runs(capsys, words, said):
    assert main(["gallery", *words]) == 2
    assert said in capsys.readouterr().err
    assert not Path("gallery").exists()


def test_a_page_is_written_in_the_current_directory_and_never_over_an_older_one(capsys):
    first = _json(capsys, "logic-gates", "seeds=2")
    kept = {path.name: path.read_bytes() for path in Path("gallery/logic_gates").iterdir()}
    assert first["verdict"] in ANSWERS
    assert Path(first["page"]) == Path("gallery/logic_gates/page.md")
    assert kept["figure.png"].startswith(b"\x89PNG")
    assert "figure.png" in kept["page.md"].decode()
    assert json.loads(kept["numbers.json"])["measured"]["one_unit"]["XOR"]  # the raw numbers, for whoever asks
    second = _json(capsys, "logic_gates", "seeds=2")
    assert Path(second["page"]) == Path("gallery/logic_gates-2/page.md")
    assert {path.name: path.read_bytes() for path in Path("gallery/logic_gates").iterdir()} == kept
    assert [part["shown"] for part in first["parts"]] == [part["shown"] for part in second["parts"]]  # same seeds


@pytest.mark.parametrize(("name", "seeds"), [("symmetry", 2), ("optimisers", 2)])
def test_a_cheap_claim_runs_to_the_end_and_shows_numbers_verdict_and_page(capsys, name, seeds):
    assert main(["gallery", name, f"seeds={seeds}"]) == 0
    shown = capsys.readouterr().out
    assert any(f"verdict    {answer}" in shown for answer in ANSWERS)
    page = Path(f"gallery/{name}/page.md").read_text()
    claim = gallery.load(name)
    assert all(text in page for text in (claim.claimed, claim.source, claim.experiment, claim.rule))
    assert f"seeds={seeds}" in page


@pytest.mark.parametrize("name", gallery.names())
def test_every_claim_has_its_page_in_the_docs(name):
    page, claim = (DOCS / "gallery" / f"{name}.md").read_text(), gallery.load(name)
    assert all(text in page for text in (gallery.title(name), claim.claimed, claim.experiment, claim.rule))
    assert (DOCS / "gallery" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert f"(gallery/{name}.md)" in (DOCS / "gallery.md").read_text()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", gallery.names())
def test_every_claim_gives_the_verdict_on_its_page(capsys, name):
    found = _json(capsys, name)
    page = (DOCS / "gallery" / f"{name}.md").read_text()
    if name not in ON_THE_CLOCK:
        assert f"**{found['verdict'].capitalize()}**" in page
    assert found["seconds"] < 240  # two to three minutes on the machine that wrote the pages
