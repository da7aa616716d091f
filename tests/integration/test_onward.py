"""weights=RUN: a language model goes on with another text, in its own vocabulary and from its own weights."""

import pytest
import torch

import gnomon

SMALL = {"units": 16, "layers": 1, "embedding": 8, "epochs": 2, "window": 16, "dev": 0.25, "test": 0}


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    folder = tmp_path_factory.mktemp("before")
    (folder / "one.txt").write_text("abcdefgh " * 120)
    return gnomon.fit(folder / "one.txt", runs_folder=str(folder / "runs"), model="gru", **SMALL)


def test_it_starts_as_the_run_ended_and_keeps_its_vocabulary(before, tmp_path):
    text = tmp_path / "other.txt"
    text.write_text("hgfedcba? " * 100)
    still = gnomon.fit(
        text, weights=str(before.path), epochs=1, learning_rate=1e-12, weight_decay=0, dev=0.25, test=0,
        runs_folder=str(tmp_path / "runs"),
    )  # fmt: skip
    assert still.task.encoder == before.task.encoder
    assert still.settings.model.name == "gru"
    assert still.settings.data.window == 16
    for one, other in zip(still.model.parameters(), before.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)
    assert int(still.evaluation("dev").table["unknown"].sum()) > 0  # the question mark
    learned = gnomon.fit(
        text, weights=str(before.path), epochs=6, learning_rate=0.02, dev=0.25, test=0,
        runs_folder=str(tmp_path / "runs"),
    )  # fmt: skip
    assert learned.evaluation("dev").table["error"].mean() < 0.7 * still.evaluation("dev").table["error"].mean()
    assert learned.sample("abc", count=1, length=4, seed=1)[0].startswith("abc")


def test_settings_that_contradict_the_run_are_refused_and_so_is_a_run_of_something_else(before, tmp_path):
    text = tmp_path / "other.txt"
    text.write_text("hgfedcba " * 100)
    with pytest.raises(gnomon.GnomonError, match=r"data\.window=8, but the run that weights= names has 16"):
        gnomon.fit(text, weights=str(before.path), window=8, runs_folder=str(tmp_path / "runs"))
    with pytest.raises(gnomon.GnomonError, match=r"model\.name=lstm, but the run that weights= names has gru"):
        gnomon.fit(text, weights=str(before.path), model="lstm", runs_folder=str(tmp_path / "runs"))
    table = tmp_path / "table.csv"
    table.write_text("a,b\n" + "".join(f"{i % 7},{'yes' if i % 7 > 3 else 'no'}\n" for i in range(60)))
    other = gnomon.fit(table, target="b", epochs=1, runs_folder=str(tmp_path / "runs"))
    with pytest.raises(gnomon.GnomonError, match="which other data cannot go on from"):
        gnomon.fit(text, weights=str(other.path), runs_folder=str(tmp_path / "runs"))
