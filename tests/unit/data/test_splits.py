"""Splits: sizes from the notes, classes counted on paper, groups and times kept whole, clear errors."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from gnomon.core.errors import DataError, UsageError
from gnomon.core.seeds import derive
from gnomon.data.drawing import mixed
from gnomon.data.identity import compare_splits, fingerprint_of
from gnomon.data.splits import (
    automatic_share,
    carve,
    divide,
    divide_two,
)


def index_of(stratum, *, group=None, time=None, prefix="") -> pl.DataFrame:
    number = len(stratum)
    return pl.DataFrame(
        {
            "id": [f"{prefix}{i}.jpg" for i in range(number)],
            "stratum": pl.Series(stratum, dtype=pl.String),
            "group": pl.Series(group or [None] * number, dtype=pl.String),
            "time": time if time is not None else [None] * number,
        }
    )


def auto(index, **changes):
    return divide(index, **{"dev": None, "test": None, "by_time": False, "seed": 0} | changes)


def counts(index, positions) -> dict[str, int]:
    return dict(index[positions]["stratum"].value_counts().iter_rows())


def test_small_sets_are_split_60_20_20():
    division = auto(index_of(["a"] * 50 + ["b"] * 50))
    assert (len(division.train), len(division.dev), len(division.test)) == (60, 20, 20)


def test_a_million_examples_are_split_98_1_1():
    index = pl.DataFrame({"id": np.arange(1_000_000, dtype=np.uint64)}).with_columns(
        stratum=pl.lit(None, pl.String), group=pl.lit(None, pl.String), time=pl.lit(None, pl.String)
    )
    division = auto(index)
    shares = [round(100 * len(part) / 1_000_000) for part in (division.train, division.dev, division.test)]
    assert shares == [98, 1, 1]


def test_between_them_the_shares_pass_80_10_10():
    assert automatic_share(29_000) == pytest.approx(0.10, abs=0.001)


def test_dev_never_shrinks_as_the_set_grows():
    sizes = [total * automatic_share(total) for total in range(9_000, 2_000_000, 1_000)]
    assert sizes == sorted(sizes)


def test_classes_keep_their_proportions_exactly():
    # on paper: 20 % of 70, 20 and 10 are 14, 4 and 2
    index = index_of(["cat"] * 70 + ["dog"] * 20 + ["owl"] * 10)
    division = auto(index)
    assert counts(index, division.dev) == counts(index, division.test) == {"cat": 14, "dog": 4, "owl": 2}


def test_largest_remainders_round_up():
    # on paper: 20 % of 7, 4, 4 are 1.4, 0.8, 0.8; three in all, so the two remainders of 0.8 win
    index = index_of(["a"] * 7 + ["b"] * 4 + ["c"] * 4)
    division = divide(index, dev=0.2, test=0, by_time=False, seed=0)
    assert counts(index, division.dev) == {"a": 1, "b": 1, "c": 1}


def test_rounding_up_for_dev_and_test_is_spread_over_classes():
    # 10 classes of 12: 2.4 each for dev and for test, 24 in all, so four classes give a third one to each
    index = index_of([f"class {i // 12}" for i in range(120)])
    division = auto(index)
    assert sorted(counts(index, division.train).values()) == [7] * 8 + [8] * 2


def test_a_class_with_one_example_is_trained_on_with_a_note():
    index = index_of(["a"] * 20 + ["rare"])
    for seed in range(20):
        division = auto(index, seed=seed)
        assert 20 in division.train
        assert division.notes == ("1 class with a single example (rare): trained on, never evaluated.",)


def test_no_test_split_is_legal():
    division = divide(index_of(["a"] * 10), dev=0.3, test=0, by_time=False, seed=0)
    assert (len(division.train), len(division.dev), len(division.test)) == (7, 3, 0)


def test_dev_keeps_its_examples_when_the_test_share_is_kept_and_dev_grows():
    index = index_of(["a"] * 100)
    small, large = (divide(index, dev=dev, test=0.2, by_time=False, seed=0) for dev in (0.1, 0.3))
    assert small.test.tolist() == large.test.tolist()
    assert set(small.dev.tolist()) < set(large.dev.tolist())


def test_another_seed_draws_other_examples():
    index = index_of(["a"] * 100)
    assert auto(index, seed=1).dev.tolist() != auto(index, seed=2).dev.tolist()


def test_splitmix_gives_its_published_numbers():
    # the first outputs of Steele's generator started at 0 and at 1234567
    given = mixed(np.array([0, 1234567], dtype=np.uint64))
    assert given.tolist() == [0xE220A8397B1DCDAF, 6457827717110365317]


def test_the_draw_never_changes():
    # the rule written out for one id: a later NumPy or polars must divide alike
    def key(text: str) -> int:
        total = sum(_in_python(byte + (place << 8) + stream) for place, byte in enumerate(text.encode()))
        return _in_python(total)

    stream, index = derive(7, "split"), index_of(["a"] * 20)
    by_key = sorted(range(20), key=lambda i: key(f"{i}.jpg"))
    division = auto(index, seed=7)
    assert division.test.tolist() == sorted(by_key[:4])
    assert division.dev.tolist() == sorted(by_key[4:8])
    numbered = auto(index.with_columns(id=pl.Series(range(20), dtype=pl.UInt32)), seed=7)
    assert numbered.test.tolist() == sorted(sorted(range(20), key=lambda i: _in_python(i + stream))[:4])


def _in_python(value: int) -> int:
    value = (value + 0x9E3779B97F4A7C15) % 2**64
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) % 2**64
    return value ^ (value >> 31)


def test_adding_examples_moves_few_of_the_old_ones():
    before, after = index_of(["a"] * 1000), index_of(["a"] * 1100)
    judged_before, judged_after = auto(before).test, auto(after).test
    stayed = np.isin(judged_before, judged_after).mean()
    assert stayed > 0.9  # drawn anew, 20 % would


def test_groups_stay_on_one_side():
    index = index_of(["a", "b"] * 150, group=[f"patient {i // 10}" for i in range(300)])
    division = auto(index)
    sides = [set(index[part]["group"]) for part in (division.train, division.dev, division.test)]
    assert sum(len(side) for side in sides) == len(set().union(*sides))
    assert [len(side) for side in sides] == [18, 6, 6]  # 30 groups of equal size
    assert division.notes == ()


def test_groups_of_one_class_each_keep_the_classes_in_proportion():
    # half of the patients are ill: so are 3 of 6 in dev and in test
    group = [f"patient {i // 10}" for i in range(300)]
    index = index_of(["ill" if int(name.split()[1]) < 15 else "well" for name in group], group=group)
    for seed in range(20):
        division = auto(index, seed=seed)
        assert counts(index, division.test) == {"ill": 30, "well": 30}
        assert 20 <= counts(index, division.dev)["ill"] <= 40


def test_examples_without_a_group_stand_alone():
    index = index_of(["a"] * 100, group=["one patient"] * 20 + [None] * 80)
    division = auto(index)
    assert (len(division.train), len(division.dev), len(division.test)) == (60, 20, 20)


def test_a_group_larger_than_dev_is_trained_on():
    index = index_of(["a"] * 100, group=["big"] * 70 + [f"small {i}" for i in range(30)])
    for seed in range(20):
        division = divide(index, dev=0.1, test=0.1, by_time=False, seed=seed)
        assert set(range(70)) <= set(division.train.tolist())
        assert (len(division.dev), len(division.test)) == (10, 10)


def test_a_class_of_one_group_is_trained_on():
    index = index_of(["a"] * 95 + ["rare"] * 5, group=[f"{i // 5}" for i in range(100)])
    for seed in range(20):
        division = auto(index, seed=seed)
        assert set(range(95, 100)) <= set(division.train.tolist())
        assert "Classes found in only one group are trained on, never evaluated." in division.notes


def test_identities_are_split_although_each_class_is_one_group():
    names = [f"person {i // 10}" for i in range(200)]
    division = auto(index_of(names, group=names))
    assert (len(division.train), len(division.dev), len(division.test)) == (120, 40, 40)


def test_sizes_that_groups_make_impossible_are_noted():
    division = auto(index_of(["a"] * 30, group=[f"{i // 10}" for i in range(30)]))
    assert [len(part) for part in (division.train, division.dev, division.test)] == [10, 10, 10]
    assert division.notes[0] == "test has 33.3% of the examples instead of 20.0%: groups are few or large."


def test_one_group_cannot_be_divided():
    with pytest.raises(DataError, match=r"1 group in data\.group cannot be split.*leave data\.group out"):
        auto(index_of(["a"] * 30, group=["only"] * 30))


def test_two_groups_make_train_and_dev_without_a_test_split():
    index = index_of(["a"] * 30, group=["x"] * 20 + ["y"] * 10)
    division = auto(index)
    assert (len(division.train), len(division.dev), len(division.test)) == (20, 10, 0)
    assert division.notes[-1] == "There are too few examples to split in three: no test split was made."
    with pytest.raises(DataError, match=r"2 groups.*split\.test=0"):
        auto(index, test=0.2)


def test_classes_with_one_example_cannot_be_split():
    with pytest.raises(DataError, match=r"5 examples in 5 classes cannot be split"):
        auto(index_of(list("abcde")))


def test_two_examples_make_train_and_dev():
    division = auto(index_of(["a"] * 2))
    assert (len(division.train), len(division.dev), len(division.test)) == (1, 1, 0)


@pytest.mark.parametrize(("dev", "test"), [(0.5, 0.5), (0.9, 0.2), (0.0, 0.2)])
def test_shares_that_leave_nothing_are_refused(dev, test):
    with pytest.raises(UsageError, match=r"leave nothing for train or dev.*split\.dev=0\.2"):
        auto(index_of(["a"] * 10), dev=dev, test=test)


def test_time_goes_from_train_to_dev_to_test():
    time = [(i * 37) % 100 for i in range(100)]  # all of 0 .. 99, shuffled
    division = auto(index_of(["a"] * 100, time=time), by_time=True)
    when = np.array(time)
    assert sorted(when[division.train]) == list(range(60))
    assert sorted(when[division.dev]) == list(range(60, 80))
    assert sorted(when[division.test]) == list(range(80, 100))
    assert division.notes == ("Split by time: dev from 60, test from 80.",)


def test_equal_times_are_never_split_apart():
    # on paper: dev should start at 60 and test at 80; the nearest new days start at 65 and 85
    time = ["2024-01-01"] * 65 + ["2024-01-02"] * 20 + ["2024-01-03"] * 15
    division = auto(index_of(["a"] * 100, time=time), by_time=True)
    assert (len(division.train), len(division.dev), len(division.test)) == (65, 20, 15)
    assert "test has 15.0% of the examples instead of 20.0%: equal times stay together." in division.notes


def test_one_time_cannot_be_divided_by_time():
    with pytest.raises(DataError, match=r"1 distinct time cannot be split"):
        auto(index_of(["a"] * 9, time=[3] * 9), by_time=True)


def test_two_times_make_no_test_split_unless_requested():
    index = index_of(["a"] * 9, time=[1] * 6 + [2] * 3)
    division = auto(index, by_time=True)
    assert (len(division.train), len(division.dev), len(division.test)) == (6, 3, 0)
    with pytest.raises(DataError, match="2 distinct times"):
        auto(index, by_time=True, test=0.3)


def test_a_missing_time_is_named():
    with pytest.raises(DataError, match=r"1 example without a time, .* id 4\.jpg"):
        auto(index_of(["a"] * 9, time=[0, 1, 2, 3, None, 5, 6, 7, 8]), by_time=True)
    with pytest.raises(DataError, match=r"1 example without a time, .* id 2\.jpg"):
        auto(index_of(["a"] * 4, time=[0.0, 1.0, float("nan"), 3.0]), by_time=True)


def test_group_and_time_that_contradict_each_other_are_refused():
    index = index_of(["a"] * 100, time=list(range(100)), group=["x", *[None] * 98, "x"])
    with pytest.raises(DataError, match=r"conflict: 1 group with .* e\.g\. x.*leave out data\.time"):
        auto(index, by_time=True)


def test_consistent_group_and_time_are_both_kept():
    index = index_of(["a"] * 100, time=list(range(100)), group=[f"day {i // 10}" for i in range(100)])
    assert len(auto(index, by_time=True).train) == 60


def test_carving_holds_out_proportionally_and_by_name():
    index = index_of(["a"] * 80 + ["b"] * 20)
    rest, held, notes = carve(index, 0.1, seed=0, name="train_dev")
    assert counts(index, held) == {"a": 8, "b": 2}
    assert sorted([*rest, *held]) == list(range(100))
    assert notes == ()
    assert carve(index, 0.1, seed=0, name="other")[1].tolist() != held.tolist()


def test_carving_out_nothing_is_refused():
    with pytest.raises(UsageError, match="share of 0 cannot be held out"):
        carve(index_of(["a"] * 10), 0.0, seed=0, name="train_dev")


def test_web_and_mobile_pictures_are_split_as_in_the_notes():
    # the notes' example: 200,000 web + 10,000 mobile pictures; train gets 205,000, dev and test 2,500 mobile ones each
    web, mobile = index_of(["cat", "no cat"] * 100_000), index_of(["cat", "no cat"] * 5_000)
    division = divide_two(web, mobile, dev=None, test=None, train_dev=None, seed=0)
    trained = len(division.source_train) + len(division.target_train)
    held = len(division.source_train_dev) + len(division.target_train_dev)
    assert trained + held == 205_000
    assert len(division.target_train) + len(division.target_train_dev) == 5_000
    assert (len(division.target_dev), len(division.target_test)) == (2_500, 2_500)
    assert held == 2_500  # of the same mixture as train: 5,000 in 205,000 are mobile, so 61 in 2,500
    assert len(division.target_train_dev) == pytest.approx(61, abs=40)


def test_a_small_target_set_is_used_only_for_evaluation():
    division = divide_two(index_of(["a"] * 5000), index_of(["a"] * 600), dev=None, test=None, train_dev=None, seed=0)
    assert (len(division.target_dev), len(division.target_test), len(division.target_train)) == (300, 300, 0)
    assert len(division.source_train_dev) == 300


def test_a_small_target_set_without_test_is_all_dev():
    division = divide_two(index_of(["a"] * 5000), index_of(["a"] * 600), dev=None, test=0, train_dev=None, seed=0)
    assert (len(division.target_dev), len(division.target_test)) == (600, 0)


def test_groups_of_the_source_are_never_used_for_evaluation():
    source = index_of(["a"] * 100, group=[f"speaker {i % 10}" for i in range(100)])
    target = index_of(["a"] * 100, group=[f"speaker {i % 20}" for i in range(100)])
    division = divide_two(source, target, dev=0.2, test=0.2, train_dev=None, seed=0)
    seen = {f"speaker {i}" for i in range(10)}
    assert not seen & set(target[np.r_[division.target_dev, division.target_test]]["group"])
    assert "50 examples of the target data in groups that the source has too: trained on." in division.notes
    held = set(source[division.source_train_dev]["group"]) | set(target[division.target_train_dev]["group"])
    assert not held & (set(source[division.source_train]["group"]) | set(target[division.target_train]["group"]))


def test_shares_of_more_than_the_target_are_refused():
    with pytest.raises(UsageError, match="exceed the target data"):
        divide_two(index_of(["a"] * 9), index_of(["a"] * 9), dev=0.6, test=0.6, train_dev=None, seed=0)


def test_a_fingerprint_forgets_the_order_and_nothing_else():
    ids, marks = pl.Series(["a", "b", "c"]), np.array([1, 2, 3], dtype=np.uint64)
    whole = fingerprint_of(ids, marks)
    assert fingerprint_of(ids[[2, 0, 1]], marks[[2, 0, 1]]) == whole
    assert fingerprint_of(ids, marks[[1, 0, 2]]) != whole
    assert fingerprint_of(ids[:2], marks[:2]) != whole
    assert fingerprint_of(pl.Series(["ab", "c"]), marks[:2]) != fingerprint_of(pl.Series(["a", "bc"]), marks[:2])
    assert len(whole) == 64


def test_changes_since_a_run_are_counted():
    def table(**fingerprint_of_id):
        return pl.DataFrame({"id": list(fingerprint_of_id), "fingerprint": list(fingerprint_of_id.values())})

    recorded = {"train": table(a=1, b=2, c=3), "dev": table(d=4)}
    now = {"train": table(a=1, b=9, d=4), "dev": table(e=5, f=6)}
    changes = compare_splits(recorded, now)
    assert (changes.added, changes.removed, changes.changed, changes.moved) == (2, 1, 1, 1)
    assert changes
    assert not compare_splits(recorded, recorded)
