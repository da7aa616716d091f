"""Vectors from elsewhere beside the words of train, and how a model starts from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnomon.core import found
from gnomon.core.errors import DataError
from gnomon.core.family import TextInputs, Wanted
from gnomon.data.text.embeddings import known_vectors
from gnomon.data.text.tokens import SPECIAL
from gnomon.nn.words import WordVectors

GLOVE = "the 1 2\nfilm 3 4\nsuperb 5 6\nplot 7 8\n"


@pytest.fixture
def path(tmp_path) -> str:
    (tmp_path / "glove.txt").write_text(GLOVE)
    return str(tmp_path / "glove.txt")


def test_words_of_train_come_first_and_then_what_the_vectors_add(path):
    known = known_vectors(path, ("Film", "zzz", "the"))
    assert known.vocabulary == ("Film", "zzz", "the", "film", "superb", "plot")
    assert (known.num_own, known.num_found) == (3, 2)
    nan = np.nan
    np.testing.assert_array_equal(known.values, [[3, 4], [nan, nan], [1, 2], [3, 4], [5, 6], [7, 8]])


def test_vectors_of_other_words_are_refused(path):
    with pytest.raises(DataError, match=r"none of the 2 words of train has a vector.*'the', 'film', 'superb'"):
        known_vectors(path, ("le", "cinéma"))


@pytest.mark.parametrize("are_learned", [True, False])
def test_a_model_starts_from_them_and_further_words_are_never_trained(path, are_learned):
    known = known_vectors(path, ("Film", "zzz", "the"))
    words = WordVectors(SPECIAL + 6, 2, dropout=0.0, num_fixed=3)
    drawn = words.vectors.weight.detach().clone()
    words.take(known.values, SPECIAL, are_learned=are_learned)
    ids = torch.arange(SPECIAL + 6)[None]
    scale = 0.1 / np.nanstd(known.values, ddof=1)  # they start as small as drawn ones
    expected = torch.cat([drawn[:SPECIAL], scale * torch.tensor([[3.0, 4.0]]), drawn[SPECIAL + 1 : SPECIAL + 2],
                          scale * torch.tensor([[1.0, 2], [3, 4], [5, 6], [7, 8]])])  # fmt: skip
    torch.testing.assert_close(words(ids)[0], expected)
    learned = [name for name, parameter in words.named_parameters() if parameter.requires_grad]
    assert learned == (["vectors.weight"] if are_learned else [])


@pytest.mark.parametrize("name", ["transformer", "lstm", "mean"])
def test_every_family_takes_vectors_of_any_width(name):
    family = found.family(name)
    inputs = TextInputs(9, 4, are_whole=True, vectors=3, num_fixed=2)
    model = family.build(Wanted(name, inputs, family.settings(), (), 2))
    assert model(torch.tensor([[3, 5, 8, 0]]), torch.tensor([3])).shape == (1, 2)
    words = next(one for one in model.modules() if isinstance(one, WordVectors))
    assert words.vectors.weight.shape == (7, 3)
