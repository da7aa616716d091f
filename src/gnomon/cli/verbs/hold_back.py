"""What holds it back: diagnose, errors, labels, mismatch, compare, pipeline.

The docstring of a command is its help.
"""

from __future__ import annotations

from gnomon.cli.answering import no_settings, one, report
from gnomon.cli.show_ladder import show_ladder
from gnomon.core.errors import UsageError


def diagnose(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Show the ladder of a run, with verdict and advice:  gnomon diagnose RUN [human=0.01]   or   --predictions TABLE

    RUN,RUN,RUN judges runs together, crops=10 the mean of ten views of each picture: with gain and cost, on dev.
    TABLE (Parquet or CSV, from any source) has the columns split, target, prediction and one row per example.
    human=PEOPLE.csv measures people from their answers: an id column and one column per person.
    real=FILE adds the rung after test, from answers in use: target and prediction, or which system users preferred.
    """
    predictions, human, real = (values.pop(name, None) for name in ("predictions", "human", "real"))
    crops = values.pop("crops", None)
    no_settings(values, "diagnose", "human, predictions, real and crops")
    if predictions is not None and crops is not None:
        raise UsageError("a table of predictions has no pictures to crop.", fix="leave crops out, or give a run.")
    if predictions is not None and words:
        raise UsageError(
            f"diagnose takes a run or a table of predictions, got both: {words[0]} and {predictions}.",
            fix="leave one of them out.",
        )
    run = None if predictions is not None else one(words, "RUN", "diagnose", "runs/latest")
    if predictions is None:
        from gnomon.workflow.ensemble import ensemble_of

        return show_ladder(ensemble_of(run or "", crops or 1), as_json, human=human, real=real)
    return show_ladder(None, as_json, predictions=predictions, human=human, real=real)


def errors(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Show what the errors have in common, and what fixing each kind could gain:  gnomon errors RUN [split=dev]

    out=errors.csv writes the errors (rows=right or rows=all: other examples) with one column per tag; tags=errors.csv
    imports the tags you filled in. cost="NAME=3; NAME=1" says what fixing a kind costs: the order is by gain per cost.
    report=yes rewrites the run's report.html with the current tags.
    """
    run = one(words, "RUN", "errors", "runs/latest")
    from gnomon.cli.errors import KNOWN, errors_as_json, print_errors
    from gnomon.workflow.judge.errors import errors as run_errors

    no_settings({key: value for key, value in values.items() if key not in KNOWN}, "errors", ", ".join(KNOWN))
    return report(as_json, errors_as_json, print_errors, run_errors(run, **values))


def labels(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Find likely wrong labels, and estimate how many there are:  gnomon labels RUN|DATA [out=review.csv]
    or, of probabilities made elsewhere:  gnomon labels --predictions TABLE

    out= writes a sheet with top=100 suspects and random=100 others from split=dev (or train, with folds=5 models);
    review=review.csv reads it back, corrected=labels.csv writes the corrections. TABLE is as for diagnose, with a
    column p.CLASS for each class, from models that were not trained on these rows.
    """
    thing = None if "predictions" in values and not words else one(words, "DATA or RUN", "labels", "latest")
    from gnomon.cli.labels import labels_as_json, print_labels
    from gnomon.workflow.judge.labels import labels as run_labels

    found = run_labels(thing, **values)
    return report(as_json, labels_as_json, print_labels, found)


def mismatch(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Show how training and dev examples differ, and whether it hurts; also dev and test:  gnomon mismatch RUN"""
    no_settings(values, "mismatch", "none")
    run = one(words, "RUN", "mismatch", "runs/latest")
    from gnomon.cli.mismatch import mismatch_as_json, print_mismatch
    from gnomon.workflow.judge.mismatch import mismatch as run_mismatch

    found = run_mismatch(run)
    return report(as_json, mismatch_as_json, print_mismatch, found)


def compare(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Choose the best of several runs by one metric, under conditions:  gnomon compare RUN RUN ...

    gnomon compare RUN RUN "latency_ms <= 100" "size_mb <= 5" metric=accuracy weight.CLASS=10
    A table of predictions (CSV or Parquet, with a dev split) can take the place of a run, and so can runs that answer
    together (RUN,RUN,RUN). crops=1,10 judges each with one and with ten views of every picture.
    """
    from gnomon.cli.compare import comparison_as_json, print_comparison, run_compare

    found = run_compare(words, values)
    return report(as_json, comparison_as_json, print_comparison, found)


def pipeline(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Find the stage of a pipeline to work on, from a table of its answers:  gnomon pipeline TABLE

    TABLE (Parquet or CSV) has target, prediction and, in the order of the stages, either prediction.STAGE (the final
    answer if every stage up to STAGE is replaced by the truth) or STAGE and STAGE.truth.
    """
    no_settings(values, "pipeline", "none")
    table = one(words, "TABLE", "pipeline", "answers.csv")
    from gnomon.cli.pipeline import pipeline_as_json, print_pipeline
    from gnomon.workflow.judge.pipeline import pipeline as run_pipeline

    found = run_pipeline(table)
    return report(as_json, pipeline_as_json, print_pipeline, found)
