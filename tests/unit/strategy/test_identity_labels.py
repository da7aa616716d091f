"""Pictures filed under the wrong person: planted ones are found, clean data accuses nobody."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.metrics.identity_table import IdentityTable
from gnomon.strategy.identity_labels import find_suspects
from gnomon.strategy.identity_tags import from_identities


def table(
    seed: int, planted: float, people: int = 20, each: int = 10, noise: float = 0.25
) -> tuple[IdentityTable, set[int]]:
    """Vectors around a centre for each person; `planted` of the pictures are filed under somebody else."""
    rng, people, each, noise = np.random.default_rng(seed), 20, 10, 0.25
    truth = np.repeat(np.arange(people), each)
    centres = rng.normal(size=(people, 32))
    vectors = centres[truth] / np.linalg.norm(centres[truth], axis=1, keepdims=True)
    vectors = vectors + noise * rng.normal(size=vectors.shape) / np.sqrt(32) * 2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    filed = truth.copy()
    wrong = rng.choice(len(truth), round(planted * len(truth)), replace=False)
    filed[wrong] = (filed[wrong] + rng.integers(1, people, len(wrong))) % people
    left, right = np.triu_indices(len(truth), k=1)
    apart = np.square(vectors[left] - vectors[right]).sum(axis=1) - 1.2
    names = tuple(f"picture {i}" for i in range(len(truth)))
    persons = tuple(f"p{i}" for i in range(people))
    pairs = np.stack([left, right], axis=1)
    return IdentityTable(names, filed, persons, pairs, apart, filed[left] == filed[right]), set(wrong.tolist())


@pytest.mark.parametrize("seed", range(5))
def test_five_per_cent_planted_are_found_with_their_true_person(seed):
    found_table, wrong = table(seed, 0.05)
    found = find_suspects(found_table)
    suspected = {int(one.name.split()[1]) for one in found}
    assert len(wrong & suspected) >= 0.9 * len(wrong)
    assert len(suspected - wrong) <= 1
    truth = np.repeat(np.arange(20), 10)
    named = [one for one in found if int(one.name.split()[1]) in wrong]
    assert all(one.suggested == f"p{truth[int(one.name.split()[1])]}" for one in named)


def test_clean_data_accuses_nobody_in_twenty_draws():
    assert sum(len(find_suspects(table(seed, 0.0)[0])) for seed in range(20)) <= 2


def test_tags_name_the_people_that_errors_are_of():
    hard, _ = table(3, 0.05)
    tags = {tag.name: tag for tag in from_identities(hard)}
    assert "suspect identity" in tags
    people = [tag for name, tag in tags.items() if name.startswith("a picture of ")]
    assert people
    wrong = hard.is_wrong
    counts = np.bincount(hard.person_of[hard.pairs[wrong]].ravel(), minlength=20)
    assert people[0].name == f"a picture of p{int(counts.argmax())}"
