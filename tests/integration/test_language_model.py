"""Language models: what a text costs, in closed form; padding and batches change nothing; order is split in order."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import gnomon
from gnomon import tasks
from gnomon.core.settings import Settings, from_flat
from gnomon.data.opening import open_source
from gnomon.data.text import files, reading
from gnomon.data.text.on_disk import OnDisk
from gnomon.data.text.reading import of_strings, read_running_text
from gnomon.data.text.tokens import END, SPECIAL, Numbering
from gnomon.models import build
from gnomon.parts.next_token import costs
from gnomon.training import evaluate as evaluating
from gnomon.training.evaluate import encode_whole, evaluate
from gnomon.training.loop import mean_loss

TEXTS = ["abab", "b", "aabbaabb", "ba"]


SMALL = {"model.units": 16, "model.embedding": 8}
OWN = {"transformer": {"model.width": 16, "model.layers": 2, "model.heads": 2}}


def task_and_model(model: str = "lstm"):
    kind = tasks.load("language_model")
    settings = from_flat({"model": model, "regularise.dropout": (0.0,), **OWN.get(model, SMALL)})
    task = kind.from_train(of_strings(TEXTS), settings)
    torch.manual_seed(3)
    return task, build(task, settings)


def test_a_model_that_knows_nothing_pays_the_logarithm_of_the_number_of_ids():
    task, model = task_and_model()
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    found = evaluate(task, model, of_strings(TEXTS), split="dev", source="x", device=torch.device("cpu"))
    assert found.table["error"].to_numpy() == pytest.approx(math.log2(SPECIAL + 2))
    metrics = task.judge.metrics(found)
    assert metrics["perplexity"].value == pytest.approx(SPECIAL + 2)
    pieces, size = sum(len(one) + 1 for one in TEXTS), sum(map(len, TEXTS))  # an end after each
    assert metrics["bits per byte"].value == pytest.approx(math.log2(SPECIAL + 2) * pieces / size)


MODELS = ["rnn", "gru", "lstm", "transformer"]


@pytest.mark.parametrize("model", MODELS)
def test_a_text_costs_the_same_alone_and_beside_longer_ones(model):
    task, model = task_and_model(model)
    model.eval()
    together = encode_whole(task, of_strings(TEXTS))
    batch = task.batch(together, torch.arange(len(TEXTS)))
    losses = task.losses(task.outputs(model, batch), batch).detach()
    for row, text in enumerate(TEXTS):
        alone = task.batch(encode_whole(task, of_strings([text])), torch.arange(1))
        assert float(task.losses(task.outputs(model, alone), alone).detach()) == pytest.approx(
            float(losses[row]), abs=1e-6
        )
        assert float(batch["weight"][row]) == len(text) + 1


@pytest.mark.parametrize("model", MODELS)
def test_nothing_that_comes_later_changes_what_was_said_before(model):
    task, model = task_and_model(model)
    model.eval()
    batch = task.batch(encode_whole(task, of_strings(["abab", "abba"])), torch.arange(2))
    one, other = task.outputs(model, batch)
    torch.testing.assert_close(one[:3], other[:3], rtol=0, atol=1e-6)  # said from the end before, a, and b
    assert not torch.allclose(one[3], other[3])


def test_padding_has_exactly_no_gradient():
    task, model = task_and_model()
    batch = task.batch(encode_whole(task, of_strings(TEXTS)), torch.arange(len(TEXTS)))
    outputs = task.outputs(model, batch).detach().requires_grad_()
    costs(outputs, batch["ids"]).sum().backward()
    beyond = torch.arange(outputs.shape[1]) >= batch["length"][:, None]
    assert beyond.any()
    assert (outputs.grad[beyond] == 0).all()


def test_what_always_follows_costs_nothing_once_learned_and_windows_are_split_in_order(tmp_path):
    text = tmp_path / "abc.txt"
    text.write_text("abcdefgh" * 700 + "\n")
    run = gnomon.fit(
        text, epochs=15, window=41, optimiser="adam", learning_rate=0.01, batch_size=16,
        runs_folder=str(tmp_path / "runs"),
        **{"model.units": 32, "model.layers": 1, "model.embedding": 16, "dropout": 0.0},
    )  # fmt: skip
    dev = run.evaluation("dev").table
    begins = [int(name.rsplit(" ", 1)[1]) for name in dev["id"]]
    train = [int(name.rsplit(" ", 1)[1]) for name in run.evaluation("train").table["id"]]
    assert max(train) < min(begins) and begins == sorted(begins)  # noqa: PT018  one claim
    floor = run.diagnosis.floor
    assert floor.guess.name == "character frequencies"
    assert floor.guess.error == pytest.approx(3, abs=0.01)  # of eight letters, all as frequent
    assert [one.name for one in floor.references] == ["5-gram"]
    assert floor.best.error == pytest.approx(0, abs=0.05)  # nor does the first letter of a window, after the one before
    assert dev["error"].mean() == pytest.approx(0, abs=0.05)


def windows(tmp_path, text: str, **settings):
    (tmp_path / "running.txt").write_text(text)
    given = from_flat({"data.each": "window", **settings})
    return read_running_text(open_source(tmp_path / "running.txt"), given.data).splits["all"], given


@pytest.mark.parametrize("model", MODELS)
def test_a_window_costs_what_it_costs_after_the_text_before_it_and_is_trained_on_alone(model, tmp_path):
    text = "the cat sat on the mat and the dog ate it all"
    some, settings = windows(tmp_path, text, **{"data.window": 8, "model": model, **OWN.get(model, SMALL)})
    task = tasks.load("language_model").from_train(some, settings)
    torch.manual_seed(3)
    model = build(task, settings).eval()
    ids = torch.from_numpy(Numbering(task.head.vocabulary, "character").ids(text)).long()
    table = evaluate(task, model, some, split="dev", source="x", device=torch.device("cpu")).table
    assert table["pieces"].to_list() == [8, 8, 8, 8, 8, 5]
    expected = []
    for start in range(0, len(ids), 8):
        begun = ids[max(0, start - 8) : start + 8]
        said = model(torch.cat([torch.tensor([END]), begun[:-1]])[None], torch.tensor([len(begun)]))[0]
        own = len(ids[start : start + 8])
        nats = torch.nn.functional.cross_entropy(said[-own:], begun[-own:]).item()
        expected.append(nats / math.log(2))
    assert table["bits"].to_list() == pytest.approx(expected, abs=1e-5)
    every_other = evaluate(
        task, model, some.take(np.array([1, 3])), split="dev", source="x", device=torch.device("cpu")
    ).table
    assert every_other["bits"].to_list() == pytest.approx([expected[1], expected[3]], abs=1e-5)

    batch = task.batch(encode_whole(task, some), torch.tensor([0, 5, 2]))
    batch = task.augment(batch, settings.regularise, torch.Generator())
    assert batch["length"].tolist() == batch["weight"].tolist() == [8, 5, 8]
    for row, start in enumerate((0, 40, 16)):
        own = ids[start : start + 8]
        assert batch["ids"][row].tolist() == [*own.tolist(), *[0] * (8 - len(own))]


@pytest.mark.parametrize("level", ["character", "word"])
def test_what_stands_before_a_window_is_found_in_every_level(level, tmp_path):
    text = "ä b\nçé d e f " * 9
    some, settings = windows(tmp_path, text, **{"data.window": 5, "data.level": level})
    task = tasks.load("language_model").from_train(some, settings)
    numbering = Numbering(task.head.vocabulary, level)
    ids, columns, place = numbering.ids(text).tolist(), encode_whole(task, some), 0
    for row in range(len(some)):
        context, end = int(columns["context"][row]), int(columns["length"][row])
        assert context == min(place, 5)
        assert columns["ids"][row, :end].tolist() == ids[place - context : place - context + end]
        place += end - context
    assert place == len(ids)


@pytest.fixture
def in_large_parts(monkeypatch):
    """Every file is a large one, and a text has at most four examples."""
    monkeypatch.setattr(files, "LARGE", 1)
    monkeypatch.setattr(files, "PART", 16)
    monkeypatch.setattr(reading, "MOST_WINDOWS", 4)
    monkeypatch.setattr(evaluating, "MOST_ENCODED", 1)
    monkeypatch.setattr(evaluating, "BATCH", 2)


@pytest.mark.usefixtures("in_large_parts")
def test_of_a_long_text_any_window_of_an_example_is_trained_on_and_its_last_one_judged(tmp_path):
    text = "".join(chr(ord("a") + place % 26) + "é" for place in range(76))
    some, settings = windows(tmp_path, text, **{"data.window": 8, **SMALL})
    assert len(some) == 3
    assert some.windows == 8  # 228 bytes in four examples of 8
    task = tasks.load("language_model").from_train(some, settings)
    ids = Numbering(task.head.vocabulary, "character").ids(text).tolist()
    columns = encode_whole(task, some)
    assert set(columns) == {"rows"}  # nothing is encoded before it is asked for
    seen = set()
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        batch = task.augment(task.collate(columns, torch.tensor([0, 2, 1])), settings.regularise, generator)
        assert batch["weight"].tolist() == [8, 8, 8]
        for row, start in enumerate((0, 128, 64)):
            assert batch["context"][row] == 0
            own = batch["ids"][row].tolist()
            places = [place for place in range(start, min(start + 64, len(ids)) - 7) if ids[place : place + 8] == own]
            assert places
            seen.add((row, places[0]))
    assert len({place for row, place in seen if row == 0}) == 52  # of 57, some of which are alike after 26 letters
    torch.manual_seed(0)
    model = build(task, settings).eval()
    table = evaluate(task, model, some, split="dev", source="x", device=torch.device("cpu"), columns=columns).table
    assert table["pieces"].to_list() == [8, 8, 8]
    assert table["bytes"].to_list() == [12, 12, 12]
    for end, bits in zip((64, 128, 152), table["bits"], strict=True):
        begun = torch.tensor(ids[end - 16 : end])
        said = model(torch.cat([torch.tensor([END]), begun[:-1]])[None], torch.tensor([16]))[0, -8:]
        assert bits == pytest.approx(torch.nn.functional.cross_entropy(said, begun[-8:]).item() / math.log(2), abs=1e-5)


@pytest.mark.usefixtures("in_large_parts")
def test_a_text_on_disk_is_learned_from_and_what_no_longer_is_there_is_said(tmp_path):
    text = tmp_path / "long.txt"
    text.write_text("abcd efgh " * 300)
    run = gnomon.fit(text, epochs=2, window=8, dev=0.25, test=0, runs_folder=str(tmp_path / "runs"), **SMALL)
    assert run.evaluation("dev").table.height == 1
    floor = {one.name: one.error for one in run.diagnosis.floor.references}
    assert floor["5-gram"] < 0.2
    content = OnDisk(str(text), text.stat().st_size)
    assert content[2:7] == b"cd ef"
    assert content[0] == ord("a")
    text.write_text("short")
    with pytest.raises(gnomon.GnomonError, match="it has changed since it was opened"):
        content[100:200]


def test_a_name_is_learned_with_its_end(tmp_path):
    kind = tasks.load("language_model")
    task = kind.from_train(of_strings(["ann"] * 4), Settings())
    columns = encode_whole(task, of_strings(["ann", "na"]))
    assert columns["length"].tolist() == [4, 3]
    assert columns["ids"][:, -2:].numpy().tolist() == [[columns["ids"][0, 1].item(), END], [END, 0]]
    assert np.array_equal(columns["bytes"].numpy(), [3, 2])


def test_steps_are_those_of_a_loop_over_pieces_whatever_the_batches_are_cut_into():
    """Each piece counts alike: the mean over pieces of a whole batch, not the mean of the means of texts or parts."""
    task, model = task_and_model()
    columns = encode_whole(task, of_strings(TEXTS))
    batch = task.batch(columns, torch.arange(len(TEXTS)))
    model.zero_grad()
    mean_loss(task.losses(task.outputs(model, batch), batch), batch).backward()
    ours = [parameter.grad.clone() for parameter in model.parameters()]

    model.zero_grad()
    pieces = sum(len(text) + 1 for text in TEXTS)
    numbering = Numbering(task.head.vocabulary, "character")
    for text in TEXTS:  # one at a time, without padding
        ids = torch.tensor([*numbering.ids(text).tolist(), END])
        said = model(torch.cat([torch.tensor([END]), ids[:-1]])[None], torch.tensor([len(ids)]))[0]
        (torch.nn.functional.cross_entropy(said, ids, reduction="sum") / pieces).backward()
    for parameter, own in zip(model.parameters(), ours, strict=True):
        torch.testing.assert_close(parameter.grad, own, rtol=1e-4, atol=1e-7)


def test_micro_batches_change_nothing_and_the_same_seed_gives_the_same_bits(tmp_path):
    text = tmp_path / "words.txt"
    text.write_text("\n".join(["anna", "bob", "hannah", "otto", "ada", "eve"] * 6) + "\n")
    given = {
        "epochs": 2,
        "batch_size": 12,
        "dropout": 0.0,
        "each": "line",
        "runs_folder": str(tmp_path / "runs"),
        **SMALL,
    }
    whole, parts, again = (gnomon.fit(text, **given, **more) for more in ({}, {"micro_batch": 5}, {}))
    for one, other, same in zip(*(run.model.parameters() for run in (whole, parts, again)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
        assert torch.equal(one, same)


def test_a_text_may_be_given_as_it_is_and_a_running_text_has_no_end(tmp_path):
    text = tmp_path / "abc.txt"
    text.write_text("abcdefgh" * 200)
    run = gnomon.fit(text, epochs=1, window=16, runs_folder=str(tmp_path / "runs"), **SMALL)
    table = run.predict("abcdefgh abc?")
    assert table["id"].to_list() == ["text 1 byte 0"]
    assert table["pieces"].to_list() == [13]
    assert table["unknown"].to_list() == [2]
    found = gnomon.predict(run, ["abcd efgh", "hgfe " * 8])
    assert found.table["id"].to_list() == [f"text {row}" for row in ("1 byte 0", "2 byte 0", "2 byte 16", "2 byte 32")]
    bits, pieces = found.table["bits"].to_numpy(), found.table["pieces"].to_numpy()
    assert f"{(bits * pieces).sum() / pieces.sum():.4g}" in found.notes[0]
    with pytest.raises(gnomon.GnomonError, match=r"there is no file, folder or set named abd\.txt"):
        run.predict("abd.txt")
    with pytest.raises(gnomon.GnomonError, match="the text is empty"):
        run.predict("")


def test_a_run_finds_its_text_again_from_another_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "words.txt").write_text("\n".join(["anna", "bob", "hannah", "otto"] * 10) + "\n")
    monkeypatch.chdir(tmp_path / "here")
    run = gnomon.fit("words.txt", epochs=1, runs_folder=str(tmp_path / "runs"), **SMALL)
    monkeypatch.chdir(tmp_path)
    assert gnomon.errors(run).note == ""


def test_gradients_hold_in_float64_and_a_check_passes(tmp_path):
    text = tmp_path / "words.txt"
    text.write_text("\n".join(["anna", "bob", "hannah", "otto", "ada", "eve", "pip", "dad"] * 8) + "\n")
    checked = gnomon.check(text, each="line", **SMALL)
    assert [one.text for one in checked.findings if not one.passed] == []
    assert any("gradients agree" in one.text for one in checked.findings)


def test_more_texts_than_are_encoded_at_a_time_are_encoded_alike():
    task, _ = task_and_model()
    columns = encode_whole(task, of_strings(["ab", "aba"] * 4_500))
    assert columns["length"].tolist() == [3, 4] * 4_500
    assert set(columns) == {"ids", "length", "bytes", "unknown"}
