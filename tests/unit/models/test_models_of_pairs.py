"""Nets from one text to another: alone as in a batch, place by place as all at once, and they learn to copy."""

import math

import pytest
import torch
from torch.nn import functional

from gnomon.core import found
from gnomon.core.family import PairInputs, Wanted
from gnomon.core.settings import Settings, fill
from gnomon.nn.initialise import initialise

INPUTS = PairInputs(13, 6, 11, 5)
SHARED = PairInputs(12, 6, 12, 5, is_shared=True)
SMALL = {
    "transformer": {"width": 16, "layers": 2, "heads": 4},
    "seq2seq-attention": {"units": 10, "embedding": 8, "layers": 2},
    "seq2seq": {"units": 10, "embedding": 8, "layers": 2},
}
KINDS = [
    ("transformer", {}), ("transformer", {"norm": "after"}), ("transformer", {"layers": 1}),
    ("seq2seq-attention", {}), ("seq2seq-attention", {"cell": "lstm"}), ("seq2seq-attention", {"layers": 1}),
    ("seq2seq", {}), ("seq2seq", {"cell": "lstm", "layers": 3}),
]  # fmt: skip
every_kind = pytest.mark.parametrize(("name", "own"), KINDS, ids=str)


def built(name, own, inputs=INPUTS, dropout=0.0):
    torch.manual_seed(0)
    family = found.family(name)
    settings = family.settings.model_validate({**SMALL[name], **own})
    return family.build(Wanted(name, inputs, settings, (dropout,), inputs.num_target_ids, "sequence")).double().eval()


def batch(lengths=(6, 3, 1), targets=(5, 2, 4), inputs=INPUTS):
    draw = torch.Generator().manual_seed(1)
    ids = torch.randint(3, inputs.num_ids, (len(lengths), max(lengths)), generator=draw)
    before = torch.randint(3, inputs.num_target_ids, (len(targets), max(targets)), generator=draw)
    before[:, 0] = 2
    for row, (source, target) in enumerate(zip(lengths, targets, strict=True)):
        ids[row, source - 1], ids[row, source:], before[row, target:] = 2, 0, 0
    return ids, torch.tensor(lengths), before, targets


@every_kind
@torch.no_grad()
def test_a_pair_is_answered_alone_as_in_a_batch(name, own):
    model = built(name, own)
    ids, lengths, before, targets = batch()
    together = model(ids, lengths, before)
    assert together.shape == (3, 5, 11)
    for row, target in enumerate(targets):
        alone = model(ids[row : row + 1, : lengths[row]], lengths[row : row + 1], before[row : row + 1, :target])
        torch.testing.assert_close(together[row, :target], alone[0])


@every_kind
@torch.no_grad()
def test_step_by_step_is_all_at_once(name, own):
    model = built(name, own)
    ids, lengths, before, _ = batch(targets=(5, 5, 5))
    memory, said = model.encode(ids, lengths), []
    state = model.begin(memory)
    for place in range(before.shape[1]):
        logits, state = model.step(before[:, place : place + 1], memory, state)
        said.append(logits[:, 0])
    torch.testing.assert_close(torch.stack(said, dim=1), model(ids, lengths, before))


@every_kind
@torch.no_grad()
def test_hypotheses_that_go_on_from_others_say_what_their_own_words_say(name, own):
    """Ten random steps of four hypotheses, each time with random parents: as if each were read from its beginning."""
    model, draw = built(name, own), torch.Generator().manual_seed(3)
    ids, lengths, _, _ = batch()
    memory = model.encode(ids, lengths)
    words = torch.full((3, 1, 1), 2)
    logits, state = model.step(words[..., -1], memory, model.begin(memory))
    for _ in range(10):
        rows = torch.randint(0, words.shape[1], (3, 4), generator=draw)
        words = words.gather(1, rows[..., None].expand(-1, -1, words.shape[2]))
        words = torch.cat([words, torch.randint(3, 11, (3, 4, 1), generator=draw)], dim=2)
        logits, state = model.step(words[..., -1], memory, model.reordered(state, rows))
    for number in range(4):
        torch.testing.assert_close(logits[:, number], model(ids, lengths, words[:, number])[:, -1])


@every_kind
def test_no_place_sees_what_comes_after_it_and_all_see_the_source(name, own):
    model = built(name, own)
    ids, lengths, before, _ = batch(lengths=(6,), targets=(5,))
    said, changed = model(ids, lengths, before), before.clone()
    changed[:, 3] = 3 + (changed[:, 3] - 2) % 8
    other = model(ids, lengths, changed)
    torch.testing.assert_close(other[:, :3], said[:, :3])
    assert not torch.isclose(other[:, 3], said[:, 3]).any()
    ids[:, 1] = 3 + (ids[:, 1] - 2) % 8
    assert not torch.isclose(model(ids, lengths, before), said).all(dim=2).any()


@every_kind
@torch.no_grad()
def test_texts_longer_than_any_in_training_are_answered(name, own):
    model = built(name, own)
    ids, lengths, before, _ = batch(lengths=(40, 2), targets=(30, 30))
    assert model(ids, lengths, before).isfinite().all()


@every_kind
@torch.no_grad()
def test_alignment_is_a_weight_of_each_place_of_the_source(name, own):
    model = built(name, own)
    ids, lengths, before, _ = batch()
    weights = model.alignment(ids, lengths, before)
    if name == "seq2seq":
        assert weights is None
        return
    assert weights.shape == (3, 5, 6)
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(3, 5, dtype=torch.float64))
    assert (weights[1, :, 3:] == 0).all()
    assert (weights[1, :, :3] > 0).all()


@every_kind
def test_shared_ids_have_one_table_of_vectors(name, own):
    model = built(name, own, SHARED)
    assert model.embedding.weight is model.target_embedding.weight
    assert model(*batch(inputs=SHARED)[:3]).shape == (3, 5, 12)
    apart = built(name, own, PairInputs(12, 6, 12, 5))
    size = sum(one.numel() for one in apart.parameters()) - sum(one.numel() for one in model.parameters())
    assert size == model.embedding.weight.numel()


@pytest.mark.parametrize("name", SMALL)
def test_recipes_are_settings_and_smaller_for_characters(name):
    family, words = found.family(name), PairInputs(8_000, 40, 8_000, 40)
    filled = [fill(Settings(), {"model.name": name, **family.defaults(name, one, 29_000)}) for one in (INPUTS, words)]
    sizes = [
        sum(one.numel() for one in family.build(
            Wanted(name, INPUTS, family.settings.model_validate(each.model.own), (0.1,), 11, "sequence")
        ).parameters())
        for each in filled
    ]  # fmt: skip
    assert 2 * sizes[0] < sizes[1]
    assert filled[1].regularise.label_smoothing == 0.1


@pytest.mark.parametrize(
    ("name", "own"), [("transformer", {}), ("transformer", {"norm": "after"}), ("seq2seq-attention", {})]
)
def test_it_learns_to_turn_a_text_round(name, own):
    """With what the recipe starts from; five of eight kinds of letters in each text, so none is met twice."""
    inputs = PairInputs(11, 6, 11, 6)
    model = built(
        name, {"width": 32, **own} if name == "transformer" else {"units": 32, "embedding": 16, **own}, inputs
    )
    model.float().train()
    initialise(model, "xavier", torch.Generator().manual_seed(0))
    draw, optimiser = torch.Generator().manual_seed(5), torch.optim.Adam(model.parameters(), lr=3e-3)

    def pairs():
        letters = torch.stack([torch.randperm(8, generator=draw)[:5] + 3 for _ in range(32)])
        ends = torch.full((32, 1), 2)
        return torch.cat([letters, ends], dim=1), torch.cat([letters.flip(1), ends], dim=1)

    for _ in range(300):
        source, target = pairs()
        said = model(source, torch.full((32,), 6), functional.pad(target[:, :-1], (1, 0), value=2))
        loss = functional.cross_entropy(said.flatten(0, 1), target.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1


@every_kind
@torch.no_grad()
def test_before_training_the_last_piece_is_no_likelier_than_others(name, own):
    """Tied vectors would foretell it once more: its loss would be nats below that of a guess, ln V, others above."""
    inputs = PairInputs(203, 8, 203, 8, is_shared=True)
    wide = {"width": 64} if name == "transformer" else {"units": 64, "embedding": 64}
    model = built(name, {**wide, **own}, inputs)
    initialise(model, "xavier", torch.Generator().manual_seed(0))
    ids, lengths, before, _ = batch(targets=(5, 5, 5), inputs=inputs)
    said = model(ids, lengths, before).flatten(0, 1)
    for wanted in (before.flatten(), before.flatten().roll(1)):
        assert functional.cross_entropy(said, wanted).item() == pytest.approx(math.log(203), abs=1)
