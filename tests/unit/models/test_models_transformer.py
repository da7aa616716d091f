"""The Transformer: piece by piece as all at once, beyond its length, and a published recipe said in settings."""

import pytest
import torch

from gnomon.core.errors import UsageError
from gnomon.core.family import TextInputs, Wanted
from gnomon.core.settings import OwnSettings
from gnomon.models import transformer
from gnomon.nn.initialise import initialise

IDS, LENGTH = 11, 8


def built(**own: int) -> transformer.Transformer:
    settings: OwnSettings = transformer.TransformerSettings.model_validate(
        {"width": 16, "layers": 2, "heads": 4, **own}
    )
    torch.manual_seed(0)
    return transformer.build(Wanted("transformer", TextInputs(IDS, LENGTH), settings, (0.0,), IDS, "tokens")).eval()


@pytest.mark.parametrize("parts", [[1] * LENGTH, [3, 5], [LENGTH]])
@torch.no_grad()
def test_piece_by_piece_is_all_at_once(parts):
    model, ids = built(), torch.randint(0, IDS, (3, LENGTH))
    state, found = None, []
    for part in ids.split(parts, dim=1):
        said, state = model.step(part, state)
        found.append(said)
    torch.testing.assert_close(torch.cat(found, dim=1), model(ids, torch.full((3,), LENGTH)))


@torch.no_grad()
def test_a_text_beyond_its_length_goes_on_from_the_latter_half():
    model, ids = built(), torch.randint(0, IDS, (2, LENGTH + 2))
    _, state = model.step(ids[:, :LENGTH], None)
    said, state = model.step(ids[:, LENGTH : LENGTH + 1], state)
    half = ids[:, LENGTH + 1 - LENGTH // 2 : LENGTH + 1]
    torch.testing.assert_close(said[:, -1], model(half, torch.full((2,), LENGTH // 2))[:, -1])
    said, _ = model.step(ids[:, LENGTH + 1 :], state)
    longer = torch.cat([half, ids[:, LENGTH + 1 :]], dim=1)
    torch.testing.assert_close(said, model(longer, torch.full((2,), LENGTH // 2 + 1))[:, -1:])


@torch.no_grad()
def test_all_at_once_each_place_beyond_its_length_sees_half_of_it_or_more():
    model, ids = built(), torch.randint(0, IDS, (2, LENGTH + 6))
    said = model(ids, torch.full((2,), LENGTH + 6))
    torch.testing.assert_close(said[:, :LENGTH], model(ids[:, :LENGTH], torch.full((2,), LENGTH)))
    for place in range(LENGTH, LENGTH + 6):
        first = 4 if place < LENGTH + 4 else 8  # of the stretches that begin every half length
        seen = ids[:, first : place + 1]
        torch.testing.assert_close(said[:, place], model(seen, torch.full((2,), seen.shape[1]))[:, -1])


def test_at_the_start_it_guesses_evenly():
    model = built(layers=6)
    initialise(model, "xavier", torch.Generator().manual_seed(2))
    said = model(torch.randint(0, IDS, (4, LENGTH)), torch.full((4,), LENGTH)).log_softmax(dim=-1)
    assert float(said.detach().std()) < 0.1
    assert model.embedding.weight.std().item() == pytest.approx(0.02, rel=0.3)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(UsageError, match="3 attention heads do not divide a width of 16"):
        built(heads=3)


def test_its_parameters_are_those_of_the_paper():
    # per block: 4 D² + 4 D of attention, 8 D² + 5 D of the layer on each place, 4 D of two norms
    model, width = built(layers=3), 16
    blocks = 3 * (12 * width**2 + 13 * width)
    ends = (IDS + LENGTH) * width + 2 * width + (width + 1) * IDS
    assert sum(parameter.numel() for parameter in model.parameters()) == blocks + ends
