"""The ladder of runs or of a table of predictions, for a person or a program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gnomon.cli.answering import print_json

if TYPE_CHECKING:
    from gnomon.workflow.ensemble import Ensemble


def show_ladder(ensemble: Ensemble | None, as_json: bool, **given: Any) -> int:
    """The ladder of runs, or of a table of predictions; of several runs, or of crops, with gain and cost."""
    from gnomon.cli.show_diagnosis import diagnosis_as_json, print_diagnosis
    from gnomon.cli.show_gain import gain_as_json, print_gain
    from gnomon.cli.show_two_way import print_two_way, two_way_as_json
    from gnomon.workflow.judge.diagnose import diagnose as run_diagnose
    from gnomon.workflow.judge.diagnose import general_and_target
    from gnomon.workflow.judge.gain import gain_of

    diagnosis = run_diagnose(ensemble, **given)
    given.pop("real", None)
    table = general_and_target(ensemble, **given)
    gain = None if ensemble is None or ensemble.is_plain else gain_of(ensemble)
    if as_json:
        found = {**diagnosis_as_json(diagnosis), "two_way": two_way_as_json(table)}
        print_json(found if gain is None else {**found, "together": gain_as_json(gain)})
    else:
        print_diagnosis(diagnosis)
        print_two_way(table)
        print_gain(gain)
    return 0
