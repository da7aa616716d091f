"""The top suspects of MNIST's test labels against the verdicts of five people each."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gnomon.strategy.labels import find_suspects

pytestmark = [pytest.mark.slow, pytest.mark.real]

# Of the k labels that look most suspect, how many had fewer than three of five people for them.
EXPECTED = {10: 5, 15: 7, 20: 8, 30: 9, 50: 10, 100: 15}


@pytest.fixture
def audit(real_data):
    folder = real_data / "mnist-10k" / "label-audit"
    probabilities = np.load(folder / "mnist_test_set_pyx.npy")
    given = np.load(folder / "mnist_test_set_original_labels.npy").astype(np.int64)
    people = {one["id"]: one for one in json.loads((folder / "mnist_mturk.json").read_text())}
    return find_suspects(probabilities, given, [str(digit) for digit in range(10)]), people


def test_the_hundred_most_suspect_are_the_hundred_that_people_were_asked_about(audit):
    suspects, people = audit
    assert set(suspects.order[:100].tolist()) == set(people)


def test_people_find_every_second_of_the_ten_most_suspect_labels_wrong(audit):
    suspects, people = audit
    is_wrong = np.array([people[place]["mturk"]["given"] < 3 for place in suspects.order[:100].tolist()])
    assert {k: int(is_wrong[:k].sum()) for k in EXPECTED} == EXPECTED
    # 15 of 100: by chance a fifth of them would be among the first twenty, here it is more than half
    assert is_wrong[:20].mean() > 2 * is_wrong.mean()


def test_the_confident_ones_are_suspects_and_half_of_them_are_wrong(audit):
    suspects, people = audit
    chosen = np.flatnonzero(suspects.is_suspect).tolist()
    wrong = sum(people[place]["mturk"]["given"] < 3 for place in chosen)
    assert (len(chosen), wrong) == (15, 7)
    agreed = [
        suspects.class_names[suspects.suggested[place]] == str(people[place]["our_guessed_label"]) for place in chosen
    ]
    assert all(agreed)


def test_what_the_model_alone_says_is_an_upper_bound_on_what_people_found(audit):
    suspects, people = audit
    found = sum(one["mturk"]["given"] < 3 for one in people.values())
    assert found == 15  # of 10,000: 0.15 %; only 100 labels were looked at
    assert found / 10_000 <= suspects.wrong_share_at_most < 0.003
