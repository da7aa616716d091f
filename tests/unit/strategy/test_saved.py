"""A diagnosis survives JSON and refuses what is not one."""

from __future__ import annotations

import json

import polars as pl
import pytest

from gnomon.core.errors import ArtefactError
from gnomon.core.evaluation import Evaluation
from gnomon.strategy.ladder import diagnose, diagnose_rates
from gnomon.strategy.saved import from_json, to_json


def example():
    return diagnose_rates({"human": 0.01, "train": (0.03, 1000), "dev": (0.1, 50)}, dev_looks=3, test_openings=0)


def test_a_diagnosis_comes_back_equal():
    found = example()
    assert from_json(json.loads(json.dumps(to_json(found), allow_nan=False))) == found


def test_unknown_spreads_are_valid_json_too():
    def one(name, error):
        return Evaluation(name, "m", pl.DataFrame({"id": ["a"], "error": [error]}))

    found = diagnose({"train": one("train", 1.0), "dev": one("dev", 2.0)})
    assert from_json(json.loads(json.dumps(to_json(found), allow_nan=False))) == found


def change(values, path, value):
    *parts, last = path
    for part in parts:
        values = values[part]
    if value is KeyError:
        del values[last]
    else:
        values[last] = value


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (("more",), 1, r"diagnosis\.more: .*unknown key"),
        (("rungs", 1, "extra"), 1, r"diagnosis\.rungs\[1\]\.extra: .*unknown key"),
        (("verdict", "text"), KeyError, r"diagnosis\.verdict\.text: .*missing"),
        (("rungs", 0, "error"), "0.1", r"diagnosis\.rungs\[0\]\.error: .*'0\.1' is not allowed here"),
        (("rungs", 0, "error"), True, r"diagnosis\.rungs\[0\]\.error"),
        (("rungs", 0, "error"), float("nan"), r"diagnosis\.rungs\[0\]\.error"),
        (("rungs", 0, "examples"), 1.5, r"diagnosis\.rungs\[0\]\.examples"),
        (("gaps", 0, "name"), "bias", r"diagnosis\.gaps\[0\]\.name: .*'bias'"),
        (("gaps", 0, "is_there"), 1, r"diagnosis\.gaps\[0\]\.is_there"),
        (("verdict", "contenders"), "variance", r"diagnosis\.verdict\.contenders"),
        (("verdict",), None, r"diagnosis\.verdict: .*expected an object"),
        (("unit",), 3, r"diagnosis\.unit"),
    ],
)
def test_an_invalid_diagnosis_is_refused_with_its_place(path, value, where):
    values = json.loads(json.dumps(to_json(example())))
    change(values, path, value)
    with pytest.raises(ArtefactError, match=where):
        from_json(values)


@pytest.mark.parametrize("values", [None, [], "diagnosis", 3])
def test_something_else_altogether_is_refused(values):
    with pytest.raises(ArtefactError, match="expected an object"):
        from_json(values)
