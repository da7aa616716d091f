"""Every claim's rule, on numbers planted both ways; the rules themselves, on numbers from a table of Student's t."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

from gnomon import gallery
from gnomon.gallery._claim import FAILS, HOLDS, UNKNOWN, Part, verdict
from gnomon.gallery._method import above, below, epochs_to, factor, over_seeds, share_above, within

_spec = importlib.util.spec_from_file_location("gallery_planted", Path(__file__).with_name("gallery_planted.py"))
planted = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(planted)

NAMES = gallery.names()


def _planted(name: str, holds: bool):
    return getattr(planted, f"planted_{name}")(holds)


# --- the rules --------------------------------------------------------------------------------------------------------
def test_the_interval_over_seeds_is_students_t():
    # mean 2, standard deviation 1, three values: 4.303 (table, 2 degrees of freedom, 97.5 %) / sqrt(3) = 2.484
    found = over_seeds([1.0, 2.0, 3.0])
    assert (found.value, found.low, found.high) == pytest.approx((2, 2 - 2.4841, 2 + 2.4841), abs=1e-4)


def test_a_factor_is_a_geometric_mean():
    found = factor([2.0, 8.0], [1.0, 1.0])
    assert found.value == pytest.approx(4)
    assert found.low * found.high == pytest.approx(16)  # even about the middle, in logarithms


def test_one_seed_or_a_non_finite_number_is_refused():
    for values in ([1.0], [1.0, np.nan], [1.0, np.inf]):
        with pytest.raises(ValueError, match="two finite numbers"):
            over_seeds(values)


@pytest.mark.parametrize(
    ("values", "answer"),
    [([5.0, 5.1, 4.9], HOLDS), ([-5.0, -5.1, -4.9], FAILS), ([5.0, -5.0, 1.0], UNKNOWN), ([0.0, 0.0, 0.0], FAILS)],
)
def test_above_a_floor_needs_the_whole_interval(values, answer):
    assert above("it is more", over_seeds(values), 0.0).answer == answer
    assert below("it is less", over_seeds([-value for value in values]), 0.0).answer == answer


@pytest.mark.parametrize(("middle", "answer"), [(0.0, HOLDS), (7.0, FAILS), (1.0, UNKNOWN)])
def test_within_needs_the_whole_interval_inside(middle, answer):
    values = over_seeds([middle - 0.1, middle, middle + 0.1])
    assert within("it is kept", values, -1.0, 1.0).answer == answer


def test_a_share_is_decided_by_wilsons_interval():
    # 20 of 20: Wilson's lower end is 20/(20 + 1.96^2) = 83.9 %; 10 of 20: [29.9 %, 70.1 %]
    assert share_above("always", 20, 20, 0.8).answer == HOLDS
    assert share_above("always", 20, 20, 0.9).answer == UNKNOWN
    assert share_above("always", 10, 20, 0.8).answer == FAILS


def test_one_failed_statement_fails_the_claim_and_one_inconclusive_leaves_it_open():
    parts = {answer: Part("it is so", answer, "") for answer in (HOLDS, FAILS, UNKNOWN)}
    assert verdict([parts[HOLDS]]) == HOLDS
    assert verdict([parts[HOLDS], parts[UNKNOWN]]) == UNKNOWN
    assert verdict([parts[HOLDS], parts[UNKNOWN], parts[FAILS]]) == FAILS


def test_epochs_to_a_cost_count_from_before_training():
    costs = np.array([2.0, 1.0, 0.5, 0.4])
    assert [epochs_to(costs, target) for target in (3.0, 1.0, 0.45, 0.1)] == [0, 1, 3, 3]


# --- each claim -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", NAMES)
def test_numbers_that_support_a_claim_make_it_hold(name):
    parts = gallery.load(name).judge(_planted(name, True))
    assert [part.says for part in parts if part.answer != HOLDS] == []


@pytest.mark.parametrize("name", NAMES)
def test_numbers_that_contradict_every_statement_make_each_fail(name):
    parts = gallery.load(name).judge(_planted(name, False))
    assert [part.says for part in parts if part.answer != FAILS] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_claim_says_what_is_claimed_by_whom_and_by_which_rule(name):
    claim = gallery.load(name)
    assert all(len(text) > 40 for text in (claim.claimed, claim.source, claim.experiment, claim.rule))
    assert any(year in claim.source for year in map(str, range(1950, 2027)))
    assert claim.seeds >= 4
    assert dataclasses.is_dataclass(claim)
    assert gallery.title(name).endswith(".")


# --- what single claims measure with ----------------------------------------------------------------------------------
def test_a_descent_that_diverges_never_counts_as_down():
    from gnomon.gallery import optimisers

    # with curvature 40 plain descent diverges from rate 2/40 on: each step multiplies by 1 - 40 rate
    assert optimisers.steps_down(optimisers.path("sgd", 0.06)) == optimisers.BOWL_STEPS
    assert optimisers.steps_down(optimisers.path("sgd", 0.04)) < optimisers.BOWL_STEPS


def test_identical_units_count_once():
    from gnomon.gallery.symmetry import num_different

    row = np.arange(5.0)
    assert num_different(np.stack([row, row + 1e-6, row])) == 1
    assert num_different(np.stack([row, -row, row + 1])) == 3


def test_exact_probabilities_of_a_hidden_state_are_those_of_all_its_histories():
    from gnomon.gallery import both_directions as claim

    seen = np.random.default_rng(0).normal(size=(1, 6))
    histories = np.array(np.meshgrid(*[[0, 1]] * 6, indexing="ij")).reshape(6, -1).T  # all 64
    turns = (np.diff(histories, axis=1) != 0).sum(axis=1)
    fits = np.exp(-((seen - (2.0 * histories - 1)) ** 2) / (2 * claim.NOISE**2))  # (64, 6)
    prior = (1 - claim.STAYS) ** turns * claim.STAYS ** (5 - turns)
    whole = prior * fits.prod(axis=1)
    first_two = prior * fits[:, :2].prod(axis=1)
    so_far, every = claim.probabilities(seen)
    np.testing.assert_allclose(every[0], whole @ histories / whole.sum())
    np.testing.assert_allclose(so_far[0, 1], first_two @ histories[:, 1] / first_two.sum())
    np.testing.assert_allclose(so_far[0, -1], every[0, -1])


def test_a_window_of_four_words_sees_none_before_them_and_a_recurrent_net_all():
    from gnomon.gallery import fixed_window as claim

    drawn = claim.drawn(50, np.random.default_rng(0))
    changed = drawn.ids.clone()
    changed[:, : claim.STEPS - 4] = (changed[:, : claim.STEPS - 4] + 1) % len(claim.WORDS)
    for kind, is_equal in (("window", True), ("whole", False), ("recurrent", False)):
        net = claim.made(kind)
        assert bool((net(drawn.ids, drawn.lengths) == net(changed, drawn.lengths)).all()) == is_equal


def test_the_word_to_be_named_is_the_sound_of_the_animal_as_many_words_back_as_is_said():
    from gnomon.gallery import fixed_window as claim

    drawn = claim.drawn(300, np.random.default_rng(0))
    sounds = {"cow": "moos", "dog": "barks", "cat": "meows", "duck": "quacks", "sheep": "bleats", "lion": "roars",
              "frog": "croaks", "owl": "hoots"}  # fmt: skip
    for ids, label, back in zip(drawn.ids.tolist(), drawn.labels.tolist(), drawn.kinds, strict=True):
        words = [claim.WORDS[i] for i in ids]
        assert sounds[words[-back]] == claim.WORDS[label]
        assert sum(word in sounds for word in words) == 1
    assert set(drawn.kinds) == set(range(1, 13))


def test_a_phrase_means_what_its_halves_mean_once_each_not_has_turned_its_half_round():
    from gnomon.gallery import mean_and_negation as claim

    rng = np.random.default_rng(0)
    for words, is_good, kind in (claim.phrase(rng) for _ in range(300)):
        halves = " ".join(words).split(" and ")
        meanings = [any(word in claim.GOOD for word in one.split()) != ("not" in one.split()) for one in halves]
        assert meanings == [bool(is_good)] * 2
        assert len(words) <= claim.LONGEST
        next_to = [word in claim.GOOD + claim.BAD for before, word in itertools.pairwise(words) if before == "not"]
        expected = {0: "none", 1: "next" if all(next_to) else "apart", 2: "both"}[words.count("not")]
        assert kind == expected


def test_the_mean_of_words_gives_the_same_words_in_another_order_the_same_answer_and_pairs_and_a_recurrent_net_do_not():
    import torch

    from gnomon.gallery import mean_and_negation as claim

    texts = ["not good ones and bad ones", "good ones and not bad ones"]
    ids = torch.tensor([[claim.ID[word] for word in text.split()] + [0] * 5 for text in texts])
    for kind, is_equal in (("mean", True), ("pairs", False), ("recurrent", False)):
        net = claim.made(kind)
        first, second = net(ids, torch.tensor([6, 6]))
        assert np.allclose(first.detach(), second.detach(), atol=1e-6) == is_equal
        short = net(ids[:, :6], torch.tensor([6, 6]))
        np.testing.assert_allclose(short.detach()[0], first.detach(), atol=1e-6)  # padding changes nothing


def test_vectors_of_words_from_unlabelled_texts_carry_the_cluster():
    from gnomon.gallery import one_hot as claim

    vectors = claim.vectors_of(claim.drawn(claim.UNLABELLED, np.random.default_rng(0))[0])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = vectors @ vectors.T - 2 * np.eye(claim.NUM_WORDS)
    nearest = alike.argmax(axis=1)
    assert (nearest // claim.EACH == np.arange(claim.NUM_WORDS) // claim.EACH).mean() > 0.95


def test_the_exact_class_of_a_text_is_that_of_bayes_rule_over_its_topics():
    from gnomon.gallery import one_hot as claim

    texts, _ = claim.drawn(200, np.random.default_rng(0))
    expected = []
    for text in texts:
        fits = []
        for topic in range(claim.CLUSTERS):
            of_topic = [claim.FROM_TOPIC * (word // claim.EACH == topic) + (1 - claim.FROM_TOPIC) / 8 for word in text]
            fits.append(float(np.prod(of_topic)))
        expected.append(int(sum(fits[1::2]) > sum(fits[::2])))
    assert claim.exact_classes(texts).tolist() == expected


def test_the_speed_up_counts_steps_to_the_same_cost():
    from gnomon.gallery.input_normalisation import speed_up

    slow, quick = np.linspace(1, 0.1, 10), np.r_[1.0, 0.5, np.full(8, 0.05)]
    assert speed_up(slow[np.newaxis], quick[np.newaxis]) == pytest.approx([9 / 2])  # step 9 against step 2
    assert speed_up(quick[np.newaxis], slow[np.newaxis]) == pytest.approx([2 / 9])  # and the other way round


def test_the_lowest_cost_is_that_of_least_squares():
    from sklearn.linear_model import LinearRegression

    from gnomon.gallery._training import plain_trials
    from gnomon.gallery.rate_decay import lowest_cost

    trials = plain_trials("diabetes", 0, model="linear", epochs=1, learning_rate=0.01)
    numbers, target = trials.columns["numbers"].numpy(), trials.columns["target"].numpy().ravel()
    fitted = LinearRegression().fit(numbers, target)
    assert lowest_cost(trials) == pytest.approx(1 - fitted.score(numbers, target), abs=1e-6)  # 1 - R^2, target scaled


def test_the_fine_stage_keeps_a_third_of_each_range_inside_the_whole():
    from gnomon.gallery.coarse_to_fine import region

    low, high = region(np.array([0.5, 0.05]))
    assert low == pytest.approx([1 / 3, 0])
    assert high == pytest.approx([2 / 3, 1 / 3])
