"""How people write augmentations: words, lists, strengths; what is refused, in one clear answer."""

from __future__ import annotations

import pytest

from gnomon.core.augmentation import KINDS, strengths
from gnomon.core.errors import UsageError
from gnomon.core.settings import from_flat
from gnomon.core.settings.steps import more_augmentation


def kinds(**values):
    return strengths(from_flat(values).regularise)


def test_a_list_gives_each_kind_its_usual_strength():
    assert kinds(augment="crop,mirror") == {"crop": KINDS["crop"].strength, "mirror": 0.5}
    assert kinds(augment=["mirror", "crop"]) == kinds(augment="crop, mirror") == kinds(augment="crop,mirror")


def test_the_form_of_older_runs_is_read():
    assert kinds(augment="shift+mirror+cutout") == {"shift": 0.07, "mirror": 0.5, "cutout": 0.5}
    assert from_flat({"augment": "shift+mirror"}).regularise.augment == "shift,mirror"


def test_a_strength_stands_in_the_list_or_on_its_own():
    assert kinds(augment="mirror,rotate:15") == {"rotate": 15.0, "mirror": 0.5}
    assert kinds(augment="mirror", rotate=15) == {"rotate": 15.0, "mirror": 0.5}
    assert kinds(augment="mirror,rotate:15", rotate=30) == {"rotate": 30.0, "mirror": 0.5}
    assert kinds(augment="mirror,rotate", rotate=0) == {"mirror": 0.5}
    assert kinds(augment="none", cutout="0.3") == {"cutout": 0.3}


def test_auto_is_what_an_unset_one_is():
    assert from_flat({"augment": "auto"}).regularise.augment is None
    assert kinds(augment="none") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("crop,miror", r"unknown kind 'miror'\. Fix: did you mean mirror\?"),
        ("flip", r"unknown kind 'flip'\. Fix: did you mean mirror\?"),
        ("xyz", r"unknown kind 'xyz'\. Fix: use auto, none, or some of crop, shift,"),
        ("crop,none", r"none stands alone"),
        ("crop,,shift", r"a kind is missing between its commas"),
        ("shift,shift", r"names shift twice"),
        ("crop:1", r"the strength of crop is a number of at least 0 and below 1 \(share of a picture's area"),
        ("rotate:far", r"at most 180 .* Fix: rotate:10 is the usual strength"),
        ("mirror:-0.5", r"at least 0 and at most 1"),
    ],
)
def test_what_cannot_be_read_gets_one_answer(text, message):
    with pytest.raises(UsageError, match=message):
        from_flat({"augment": text})


@pytest.mark.parametrize(("key", "value"), [("crop", 1), ("crop", 1.5), ("crop", -0.1), ("warp", 0.2), ("mixup", "x")])
def test_a_strength_beyond_its_range_is_refused(key, value):
    with pytest.raises(UsageError, match=rf"regularise\.{key}={value} cannot be used: expected a number"):
        from_flat({key: value})


def test_augmentation_is_turned_up_by_one_kind_at_a_time_until_none_is_left():
    value, seen = "none", []
    while value is not None:
        seen.append(value)
        value = more_augmentation(value, None)
    assert [len(kinds(augment=one)) for one in seen] == list(range(len(seen)))
    assert more_augmentation("mirror:0.3", None).startswith("mirror:0.3,")
