"""A diary read back stands where it stood when it was written, and a person can follow it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gnomon.core.errors import ArtefactError
from gnomon.strategy.diagnosis import Advice, Diagnosis
from gnomon.strategy.improve_diary import Entry, State, apply_diary, changes_key, kept_summary, page, state_of
from gnomon.strategy.ladder import diagnose_rates

NO_SCATTER = {"squares": 0.0, "freedom": 0, "explained": 0.0}


def tried(changes, *, kept, gain=0.1, name="more dropout", seconds=5.0, **more):
    facts = {
        "name": name, "changes": changes, "values_before": {"regularise.dropout": [0.2]}, "kept": kept,
        "proven": kept, "link": "fit-dev", "relative_gain": gain, "confirmed": False,
        "scatter": {"squares": 0.1, "freedom": 2, "explained": 0.05}, "label": name, "dev_before": [0.2],
        "dev_after": [0.2 - gain], **more,
    }  # fmt: skip
    return Entry("tried", f"{name} was tried", seconds, facts)


DIARY = [
    Entry("began", "digits: 1,079 train", 0.1, {"limit": 60.0}),
    Entry("first", "dev 4.1 %", 2.0, {"dev_error": 0.041}),
    Entry("seen", "variance: knobs of fit-dev", 2.1, {"links": ["fit-dev"], "further": ["fit-dev", "fit-train"]}),
    tried({"regularise.dropout": [0.4]}, kept=True),
    Entry("seen", "variance again", 5.1, {"links": ["fit-dev"], "further": ["fit-dev"]}),
    tried({"regularise.ema": 0.99}, kept=False, gain=-0.05, name="averaged weights"),
    tried({"regularise.ema": 0.9}, kept=False, name="averaged weights", failed="it diverged"),
]


def test_what_was_kept_tried_and_learned_comes_back():
    state = state_of([Entry.from_json(json.loads(json.dumps(entry.to_json()))) for entry in DIARY])
    assert state.changes == {"regularise.dropout": [0.4]}
    assert state.number_tried == 2  # the one that failed was not compared on dev
    assert state.number_kept == 1
    assert [one.gain for one in state.learned] == [0.1, -0.05, 0.0]
    assert changes_key({"regularise.dropout": [0.4], "regularise.ema": 0.99}) in state.tried
    assert changes_key({}) in state.tried
    assert changes_key({"regularise.dropout": [0.2]}) in state.tried  # the step back from what was kept
    assert len(state.scatters) == 2
    assert state.undone_in_a_row == {"fit-dev": 2}  # in a row since the last one that stayed
    assert state.links == ("fit-dev",)
    assert state.seconds == 5.0
    assert not state.is_over


def test_what_is_on_trial_is_in_the_system_until_it_is_tested_together():
    trial = tried({"regularise.ema": 0.99}, kept=True, proven=False, name="averaged weights")
    state = state_of([*DIARY[:4], trial])
    assert state.changes == {"regularise.dropout": [0.4], "regularise.ema": 0.99}
    assert state.proven == {"regularise.dropout": [0.4]}
    assert state.unproven == {"regularise.ema": 0.99}
    assert trial.step == "on trial"
    for kept, proven, left, unproven in (
        (True, True, {"regularise.dropout", "regularise.ema"}, set()),
        (True, False, {"regularise.dropout", "regularise.ema"}, {"regularise.ema"}),
        (False, False, {"regularise.dropout"}, set()),
    ):
        facts = {"kept": kept, "proven": proven, "confirmed": False, "scatter": NO_SCATTER, "looks": 20}
        after = state_of([*DIARY[:4], trial, Entry("together", "both", 6.0, facts)])
        assert after.changes.keys() == left
        assert after.unproven.keys() == unproven
        assert after.is_settled
        assert after.looks == 20
        assert after.number_tried == 3


def test_kept_changes_are_summarised_in_one_line():
    trial = tried({"regularise.ema": 0.99}, kept=True, proven=False, name="averaged weights")
    assert kept_summary(DIARY[:3]) == "0 changes tried, none kept"
    assert kept_summary(DIARY[:4]) == "1 change tried, 1 setting differs from the first system"
    assert kept_summary([*DIARY[:4], trial]).endswith("2 settings differ from the first system, 1 of them not proven")


def advised(*actions) -> Diagnosis:
    found = diagnose_rates({"human": 0.01, "train": (0.03, 1000), "dev": (0.1, 50)})
    keys = {"dropout": "regularise.dropout", "augment": "regularise.augment", "hidden": "model.hidden"}
    advice = [Advice(action, "why", "fit-dev", (keys[action.split()[0]],)) for action in actions]
    return replace(found, advice=(*advice, Advice("get more training data", "why", "fit-dev")))


def test_what_was_just_undone_is_not_advised():
    diary = [
        *DIARY[:3],
        tried({"regularise.dropout": [0.3]}, kept=False, gain=-0.1),
        tried({"regularise.augment": "none"}, kept=True, values_before={"regularise.augment": "shift"}),
        tried({"model.hidden": [32]}, kept=False, values_before={"model.hidden": [64]}),
    ]
    found = apply_diary(advised("dropout 0.2 -> 0.5", "augment none -> shift", "hidden 64 -> 128"), diary)
    # more dropout was undone, shifted pictures were left behind; a narrower network says nothing of a wider one
    assert [one.action for one in found.advice] == ["hidden 64 -> 128", "get more training data"]
    assert "dropout 0.2 -> 0.5, augment none -> shift" in found.notes[-1]
    assert apply_diary(advised("dropout 0.4 -> 0.1"), diary[:4]).notes == advised().notes


def test_a_kept_change_is_looked_at_before_the_next_one():
    state = State()
    for entry in DIARY[:4]:
        state.take(entry)
    assert not state.is_seen
    state.take(DIARY[4])
    assert state.is_seen


def test_nothing_follows_the_end():
    assert state_of([*DIARY, Entry("ended", "no time", 9.0, {})]).is_over


def test_the_order_of_changes_does_not_matter():
    assert changes_key({"a": 1, "b": (2, 3)}) == changes_key({"b": [2, 3], "a": 1})


def test_the_page_lists_every_step_and_its_outcome():
    text = page(DIARY, "How it was improved")
    for entry in DIARY:
        assert entry.text in text
    assert "| 0:05 | kept | more dropout was tried |" in text
    assert "| 0:05 | undone | averaged weights was tried |" in text
    assert "`regularise.dropout` = [0.4]" in text


def test_a_line_that_is_not_a_step_is_refused():
    with pytest.raises(ArtefactError, match=r"diary\.jsonl: line 1\.facts: the key is missing"):
        Entry.from_json({"event": "tried"})
    line = tried({"regularise.dropout": [0.4]}, kept=True).to_json()
    del line["facts"]["dev_after"]
    with pytest.raises(ArtefactError, match=r"a/diary\.jsonl: line 7\.facts\.dev_after: the key is missing"):
        Entry.from_json(line, "a/diary.jsonl", 7)
