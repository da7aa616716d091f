"""Advice rests on what was measured where something was, and says so; the rest is called a rule of thumb."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from standing import standing

from gnomon.core.errors import ArtefactError
from gnomon.core.evaluation import SHARE
from gnomon.strategy.commands import Commands
from gnomon.strategy.curve import CurvePoint, Forecast
from gnomon.strategy.improve_probes import (
    Pair,
    Probes,
    apply_probes,
    from_json,
    more_data_is_useless,
    pair_text,
    ranked,
    significant_gains,
    to_json,
)
from gnomon.strategy.ladder import diagnose_rates

SIZES = (100, 200, 400, 800)


def points(errors, train):
    return tuple(CurvePoint(size, error, 0, train) for size, error in zip(SIZES, errors, strict=True))


def pair(name, gain, p_value, *, cost=1.0, key="regularise.dropout", failed=""):
    half = 0.01
    return Pair(name, f"{name} 1 -> 2", {key: 2}, "fit-dev", "", 0.1, 0.1 - gain, gain - half, gain + half, p_value, 2,
                cost, failed)  # fmt: skip


def probes(pairs=(), *, forecasts=(), curve=(), share=1.0):
    return Probes(SHARE, ("fit-dev",), "variance", tuple(curve), tuple(forecasts), {}, ranked(pairs), share, (), 60.0)


STEEP = probes(
    forecasts=(Forecast(2.0, 1600, 0.041, 0.033, 0.029, 0.038), Forecast(4.0, 3200, 0.041, 0.027, 0.02, 0.035)),
    curve=points((0.08, 0.065, 0.052, 0.041), 0.002),
)
FLAT = probes(
    forecasts=(Forecast(2.0, 1600, 0.1, 0.0995, 0.095, 0.102),), curve=points((0.102, 0.101, 0.1, 0.1), 0.095)
)


def variance_diagnosis():
    return diagnose_rates({"human": 0.005, "train": (0.01, 10_000), "dev": (0.06, 10_000)})


def test_more_data_is_advised_with_its_forecast():
    first = apply_probes(variance_diagnosis(), STEEP).advice[0]
    assert first.basis == "measured"
    assert "twice the data: 4.1 % -> 3.3 % [2.9, 3.8]" in first.why


def test_a_flat_curve_with_a_high_train_error_says_first_that_data_will_not_help():
    assert more_data_is_useless(FLAT)
    for diagnosis in (
        variance_diagnosis(),
        diagnose_rates({"human": 0.01, "train": (0.095, 10_000), "dev": (0.1, 10_000)}),
    ):
        advice = apply_probes(diagnosis, FLAT).advice
        assert advice[0].action.startswith("do not collect more data")
        assert not any(one.action.startswith("get more training data") for one in advice)


def test_a_flat_curve_with_a_low_train_error_only_adds_a_note():
    learnt = replace(FLAT, points=points((0.102, 0.101, 0.1, 0.1), 0.0))
    assert not more_data_is_useless(learnt)
    found = apply_probes(variance_diagnosis(), learnt)
    assert not any("data" in one.action for one in found.advice)
    assert any(note.startswith("more data gains little") for note in found.notes)


def test_measured_gains_come_before_rules_of_thumb_best_by_cost_first():
    found = apply_probes(
        variance_diagnosis(),
        probes(
            [
                pair("wide", 0.02, 1e-4, cost=4.0, key="model.hidden"),
                pair("drop", 0.01, 1e-4),
                pair("nothing", 0.001, 0.4, key="regularise.ema"),
            ]
        ),
    )
    assert [one.action for one in found.advice if one.basis == "measured"] == ["drop 1 -> 2", "wide 1 -> 2"]
    assert found.advice[2].why.endswith("(rule of thumb, not measured)")
    assert "nothing 1 -> 2 (-0.1 points [-1.1, 0.9])" in found.notes[-1]


def test_a_measured_gain_has_a_command_to_paste():
    wide = probes([pair("wide", 0.02, 1e-4, key="regularise.ema")])
    commands = Commands("runs/a", "my data.csv", {"model.name": "dense"})
    found = apply_probes(variance_diagnosis(), wide, commands)
    assert found.advice[0].command == commands.fit(wide.pairs[0].changes)
    assert found.advice[0].command.startswith("gnomon fit 'my data.csv' model=dense ema=")


def test_a_rule_of_thumb_measured_to_gain_nothing_is_no_longer_advised():
    here = standing(dropout=0.0, augment="none", model="dense")
    from gnomon.strategy.advice import advise
    from gnomon.strategy.verdict import Known

    plain = variance_diagnosis()
    advice = advise(plain.verdict, plain.gaps, plain.rungs, unit=SHARE, known=Known(here=here, num_train=800))
    assert any("regularise.dropout" in one.settings for one in advice)
    found = apply_probes(replace(plain, advice=advice), probes([pair("drop", -0.002, 0.7)]))
    assert not any("regularise.dropout" in one.settings for one in found.advice)


def test_the_number_of_pairs_is_corrected_for():
    alone = [pair("drop", 0.01, 0.03)]
    assert significant_gains(alone)
    assert not significant_gains([*alone, *(pair(f"other{i}", 0.0, 0.5) for i in range(4))])


def test_failures_come_last_with_their_reason():
    failed = pair("deep", 0.0, 1.0, failed="it diverged")
    assert ranked([failed, pair("drop", -0.01, 0.9)])[-1] is failed
    assert pair_text(failed, SHARE) == "not measured: it diverged"


def test_a_pair_is_shown_with_interval_seeds_and_cost():
    assert pair_text(pair("drop", 0.02, 0.001, cost=3.04), SHARE) == (
        "10.0 % -> 8.0 %: gain 2.0 points [1.0, 3.0], 2 seeds, 3.0 times the compute"
    )
    assert ": loss 2.0 points [1.0, 3.0]" in pair_text(pair("drop", -0.02, 0.9), SHARE)


def test_without_probes_nothing_changes():
    assert apply_probes(variance_diagnosis(), None) == variance_diagnosis()


def test_probes_survive_their_file():
    full = replace(STEEP, pairs=(pair("drop", 0.01, 0.01),), notes=("short",))
    assert from_json(json.loads(json.dumps(to_json(full)))) == full
    with pytest.raises(ArtefactError, match=r"probes\.json: probes\.\w+: the key is missing"):
        from_json({"unit": SHARE})
