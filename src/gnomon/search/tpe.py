"""Proposals by TPE, with Optuna only as a sampler: our ledger is the memory, its storage is not used."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from gnomon.core.errors import MachineError
from gnomon.core.seeds import derive
from gnomon.search.results import Result
from gnomon.search.space import Space

FIRST_RANDOM = 10  # trials before TPE has data to work with (Optuna's own default)


def ask(space: Space, results: Iterable[Result], number: int, seed: int) -> dict[str, Any]:
    """What trial `number` should try, given `results`. A new study each time: the same question, the same answer.

    TPE sees positions in [0, 1] on each dimension's own scale. Raises MachineError without Optuna.
    Source: Bergstra et al. 2011, "Algorithms for hyper-parameter optimization"; Optuna (MIT).
    """
    try:
        import optuna
    except ImportError:
        raise MachineError(
            "sampler=tpe needs Optuna.", fix="pip install 'gnomon[search]', or leave sampler out."
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(
        n_startup_trials=FIRST_RANDOM, multivariate=False, seed=derive(seed, "search", "tpe", number) % 2**32
    )
    study = optuna.create_study(sampler=sampler)
    ranges: dict[str, Any] = {
        one.name: optuna.distributions.CategoricalDistribution(list(range(len(one.choices))))
        if one.is_choice
        else optuna.distributions.FloatDistribution(0.0, 1.0)
        for one in space
    }
    known = sorted(results, key=lambda one: one.number)
    finite = [one.error for one in known if math.isfinite(one.error)]
    worst = max(finite, default=1.0)
    for one in known:
        places = {
            each.name: each.choices.index(one.point[each.name]) if each.is_choice else each.place(one.point[each.name])
            for each in space
        }
        value = one.error if math.isfinite(one.error) and not one.unmet else 2 * worst
        study.add_trial(optuna.trial.create_trial(params=places, distributions=ranges, value=value))
    asked = study.ask(ranges).params
    return {one.name: one.choices[asked[one.name]] if one.is_choice else one.at(asked[one.name]) for one in space}
