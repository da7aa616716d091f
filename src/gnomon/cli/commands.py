"""The commands, one function each: (words, settings, as_json) in, exit code out; the docstring is its help."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnomon.core.errors import UsageError

if TYPE_CHECKING:
    from gnomon.workflow.ensemble import Ensemble

OWN_PROCESS = {"machine.allocator": "keep"}  # the command line owns its process, so it may keep freed memory

NEEDED = {
    "DATA": "data: a folder, an archive, a table or a bundled set",
    "RUN": "a run: a folder below runs/, or latest",
    "DATA or RUN": "data (a folder, an archive, a table or a bundled set) or a run (a folder below runs/, or latest)",
    "TASK": "a task",
    "PICTURE": "a picture file",
    "TABLE": "a table (CSV or Parquet) of its answers: target, prediction and one or two columns per stage",
}

Command = Callable[[list[str], dict[str, str], bool], int]


def _print_json(value: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False, default=str) + "\n")


def _report(
    as_json: bool, as_object: Callable[..., Mapping[str, Any]], as_text: Callable[..., None], *found: Any
) -> int:
    """Report the result to a program or to a person; returns the exit code."""
    if as_json:
        _print_json(as_object(*found))
    else:
        as_text(*found)
    return 0


@contextmanager
def imported_quickly() -> Iterator[None]:
    """Without the garbage collector, which would walk through all there is again and again while torch comes in."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # modules and their classes stay: it need not look at them later either
        gc.enable()


def _one(words: list[str], what: str, command: str, example: str) -> str:
    if not words:
        raise UsageError(f"{command} needs {NEEDED[what]}.", fix=f"gnomon {command} {example}, for example.")
    if len(words) > 1:
        raise UsageError(
            f"{command} takes one {what}, got {len(words)}: {' '.join(words[:3])}.",
            fix="give settings as key=value, and put a path with spaces in quotes.",
        )
    return words[0]


def fit(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Train on DATA and diagnose the result:  gnomon fit DATA [key=value ...]   or   gnomon fit --resume RUN

    DATA is a folder, zip or tar of class folders, IDX files, a CSV, TSV or Parquet table, or a bundled set (digits).
    settings=FILE uses the settings chosen in a settings.toml, of another run or of a search.
    """
    resume = values.pop("resume", None)
    source = _one(words, "DATA", "fit", "digits") if resume is None or words else None
    with imported_quickly():
        from gnomon.cli.screen import Screen
        from gnomon.cli.settings_from_file import with_settings_file
        from gnomon.cli.show_craft import made_as_json, print_made
        from gnomon.cli.show_fit import Terminal, fit_as_json, print_result
        from gnomon.workflow.fit import fit as run_fit
        from gnomon.workflow.made import Made

    with Screen(quiet=as_json) as screen:
        follower = Terminal(screen)
        run = run_fit(source, resume=resume, follower=follower, preset=OWN_PROCESS, **with_settings_file(values))
    if as_json:
        _print_json(made_as_json(run) if isinstance(run, Made) else fit_as_json(run))
    elif isinstance(run, Made):
        print_made(run, was_finished=not follower.has_begun)
    else:
        print_result(run, was_finished=not follower.has_begun)
    return 0


def predict(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Predict new inputs with a run's model:  gnomon predict RUN FILES... [out=answers.csv] [crops=10]

    RUN,RUN,RUN is an ensemble: the mean of their probabilities, or of their numbers. crops= averages views of each
    picture: 2 (it and its mirror image), 5 (four corners and the centre) or 10 (and their mirror images).
    """
    out, crops = values.pop("out", None), values.pop("crops", 1)
    _no_settings(values, "predict", "out and crops")
    if len(words) < 2:
        raise UsageError("predict needs a run and at least one file.", fix="gnomon predict runs/latest FILES...")
    from gnomon.cli.show_predict import print_answers
    from gnomon.workflow.ensemble import predict as run_predict

    source = words[1] if len(words) == 2 else [Path(word) for word in words[1:]]
    answers = run_predict(words[0], source, out=out, crops=crops)
    if as_json:
        bad = [{"where": bad.where, "why": bad.why} for bad in answers.bad]
        _print_json(
            {
                "predictions": answers.table.to_dicts(),
                "bad": bad,
                "notes": list(answers.notes),
                "warnings": list(answers.alarms),
            }
        )
    else:
        print_answers(answers, out)
    return 0


def explain(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Show where in a picture its answer comes from, or what a net's units see:  gnomon explain RUN [FILES...]

    For each picture: saliency, occlusion and a class activation map, for the predicted class and for class=NAME.
    Without pictures: the parts of dev pictures that excite units of each stage most. The figures go to out=FOLDER
    (default: explain/ beside the runs); nothing is overwritten.
    """
    from gnomon.cli.explain import explanation_as_json, print_explanation, run_explain

    found = run_explain(words, values, quiet=as_json)
    return _report(as_json, explanation_as_json, print_explanation, found)


def diagnose(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Show the ladder of a run, with verdict and advice:  gnomon diagnose RUN [human=0.01]   or   --predictions TABLE

    RUN,RUN,RUN judges runs together, crops=10 the mean of ten views of each picture: with gain and cost, on dev.
    TABLE (Parquet or CSV, from any source) has the columns split, target, prediction and one row per example.
    human=PEOPLE.csv measures people from their answers: an id column and one column per person.
    real=FILE adds the rung after test, from answers in use: target and prediction, or which system users preferred.
    """
    predictions, human, real = (values.pop(name, None) for name in ("predictions", "human", "real"))
    crops = values.pop("crops", None)
    _no_settings(values, "diagnose", "human, predictions, real and crops")
    if predictions is not None and crops is not None:
        raise UsageError("a table of predictions has no pictures to crop.", fix="leave crops out, or give a run.")
    if predictions is not None and words:
        raise UsageError(
            f"diagnose takes a run or a table of predictions, got both: {words[0]} and {predictions}.",
            fix="leave one of them out.",
        )
    run = None if predictions is not None else _one(words, "RUN", "diagnose", "runs/latest")
    if predictions is None:
        from gnomon.workflow.ensemble import ensemble_of

        return _show_ladder(ensemble_of(run or "", crops or 1), as_json, human=human, real=real)
    return _show_ladder(None, as_json, predictions=predictions, human=human, real=real)


def _show_ladder(ensemble: Ensemble | None, as_json: bool, **given: Any) -> int:
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
        _print_json(found if gain is None else {**found, "together": gain_as_json(gain)})
    else:
        print_diagnosis(diagnosis)
        print_two_way(table)
        print_gain(gain)
    return 0


def test(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Open the sealed test split of a run; each opening is counted:  gnomon test RUN

    RUN,RUN,RUN judges runs together and crops=10 ten views of each picture, as diagnose does: counted in every run.
    """
    crops = values.pop("crops", 1)
    _no_settings(values, "test", "crops")
    from gnomon.cli.show_diagnosis import diagnosis_as_json, print_diagnosis
    from gnomon.workflow.ensemble import ensemble_of

    ensemble = ensemble_of(_one(words, "RUN", "test", "runs/latest"), crops)
    ensemble.test()
    run = ensemble.runs[0]
    if not ensemble.is_plain:
        return _show_ladder(ensemble, as_json)
    if as_json:
        _print_json({**diagnosis_as_json(run.diagnosis), "run": str(run.path), "openings": run.folder.num_openings})
    else:
        print_diagnosis(run.diagnosis, report=run.report)
    return 0


def errors(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Show what the errors have in common, and what fixing each kind could gain:  gnomon errors RUN [split=dev]

    out=errors.csv writes the errors (rows=right or rows=all: other examples) with one column per tag; tags=errors.csv
    imports the tags you filled in. cost="NAME=3; NAME=1" says what fixing a kind costs: the order is by gain per cost.
    report=yes rewrites the run's report.html with the current tags.
    """
    run = _one(words, "RUN", "errors", "runs/latest")
    from gnomon.cli.errors import KNOWN, errors_as_json, print_errors
    from gnomon.workflow.judge.errors import errors as run_errors

    _no_settings({key: value for key, value in values.items() if key not in KNOWN}, "errors", ", ".join(KNOWN))
    return _report(as_json, errors_as_json, print_errors, run_errors(run, **values))


def compare(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Choose the best of several runs by one metric, under conditions:  gnomon compare RUN RUN ...

    gnomon compare RUN RUN "latency_ms <= 100" "size_mb <= 5" metric=accuracy weight.CLASS=10
    A table of predictions (CSV or Parquet, with a dev split) can take the place of a run, and so can runs that answer
    together (RUN,RUN,RUN). crops=1,10 judges each with one and with ten views of every picture.
    """
    from gnomon.cli.compare import comparison_as_json, print_comparison, run_compare

    found = run_compare(words, values)
    return _report(as_json, comparison_as_json, print_comparison, found)


def plan(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """How many dev and test examples you need:  gnomon plan error=0.1 [other=0.09 | within=0.01 | below=0.12]

    other= compares two errors, within= measures one that precisely, below= shows it to be under a bound, examples=
    says what that many can detect. alpha=0.05 is the false alarm rate, power=0.8 the chance of detecting a difference,
    disagree= how often exactly one of two models errs.
    """
    from gnomon.cli.plan import plan_as_json, print_plan, run_plan

    found = run_plan(words, values)
    return _report(as_json, plan_as_json, print_plan, found)


def convert(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Write weights or annotated pictures in another format:  gnomon convert IN OUT [to=coco]

    gnomon convert resnet18.pth resnet18.safetensors: weights, read as tensors only, so no code in a file runs.
    gnomon convert DATA out/ to=coco (or voc, yolo, masks): pictures with boxes, outlines, points or masks, with a list
    of what the format cannot hold. max_bad=0.05 is the share of unusable pictures or objects that may be left out.
    """
    from gnomon.cli.convert import converted_as_json, print_converted, run_convert

    return _report(as_json, converted_as_json, print_converted, run_convert(words, values))


def filter_(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Slide an edge filter over a picture:  gnomon filter photo.jpg [kind=sobel] [out=edges.png]

    kind=sobel, scharr, vertical, horizontal, laplace, canny, or the angle of the edges in degrees: 0 is horizontal, 90
    vertical. padding=valid leaves out the border; low=0.1 and high=0.2 are the strengths that canny keeps. Shows the
    numbers of the filter and writes the result to the current directory; nothing is overwritten.
    """
    from gnomon.cli.filter import KNOWN, filtered_as_json, print_filtered
    from gnomon.workflow.filter import filter as run_filter

    _no_settings({key: value for key, value in values.items() if key not in KNOWN}, "filter", ", ".join(KNOWN))
    found = run_filter(_one(words, "PICTURE", "filter", "photo.jpg kind=sobel"), **values)
    return _report(as_json, filtered_as_json, print_filtered, found)


def lr(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Find a learning rate by a range test:  gnomon lr DATA [key=value ...]"""
    source = _one(words, "DATA", "lr", "digits")
    from gnomon.cli.rate import found_as_json, print_found
    from gnomon.workflow.rate import lr as run_lr

    found = run_lr(source, **values)
    return _report(as_json, found_as_json, print_found, found)


def nudge(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Change a setting of a run while it trains:  gnomon nudge RUN learning_rate=0.001

    weight_decay= and batch_size= can be changed too. The run applies the value at its next step and records it.
    """
    run = _one(words, "RUN", "nudge", "runs/latest learning_rate=0.001")
    from gnomon.cli.nudge import nudged_as_json, print_nudged, run_nudge

    nudged = run_nudge(run, values)
    return _report(as_json, nudged_as_json, print_nudged, nudged)


def labels(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Find likely wrong labels, and estimate how many there are:  gnomon labels RUN|DATA [out=review.csv]
    or, of probabilities made elsewhere:  gnomon labels --predictions TABLE

    out= writes a sheet with top=100 suspects and random=100 others from split=dev (or train, with folds=5 models);
    review=review.csv reads it back, corrected=labels.csv writes the corrections. TABLE is as for diagnose, with a
    column p.CLASS for each class, from models that were not trained on these rows.
    """
    thing = None if "predictions" in values and not words else _one(words, "DATA or RUN", "labels", "latest")
    from gnomon.cli.labels import labels_as_json, print_labels
    from gnomon.workflow.judge.labels import labels as run_labels

    found = run_labels(thing, **values)
    return _report(as_json, labels_as_json, print_labels, found)


def studio(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Browse runs, ladders and errors in a local web page:  gnomon studio [RUNS] [port=8765] [browser=yes]

    RUNS are folders of runs (default: runs/). Only this machine can reach the page, by the link that is printed.
    """
    from gnomon.cli.studio import run_studio

    return run_studio(words, values, as_json=as_json)


def mismatch(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Show how training and dev examples differ, and whether it hurts; also dev and test:  gnomon mismatch RUN"""
    _no_settings(values, "mismatch", "none")
    run = _one(words, "RUN", "mismatch", "runs/latest")
    from gnomon.cli.mismatch import mismatch_as_json, print_mismatch
    from gnomon.workflow.judge.mismatch import mismatch as run_mismatch

    found = run_mismatch(run)
    return _report(as_json, mismatch_as_json, print_mismatch, found)


def probe(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Measure what more data and other settings would gain:  gnomon probe RUN [time=10m] [knobs=all]

    Short matched runs: a learning curve with its forecast, then one knob at a time, from the link at fault or from all.
    """
    path = _one(words, "RUN", "probe", "runs/latest")
    from gnomon.cli.probe import print_probes, probes_as_json, run_probe

    found, diagnosis = run_probe(path, values, quiet=as_json)
    return _report(as_json, probes_as_json, print_probes, found, diagnosis)


def improve(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Change one setting at a time, keep what a test on dev supports:  gnomon improve DATA|RUN time=30m [key=value ...]

    gnomon improve --resume RUN continues one that was stopped. test=yes opens the test split, once, at the end.
    """
    resume = values.pop("resume", None)
    thing = _one(words, "DATA or RUN", "improve", "digits time=30m") if resume is None or words else None
    from gnomon.cli.improve import improvement_as_json, print_improvement, run_improve

    found = run_improve(thing, resume, values, preset=OWN_PROCESS, quiet=as_json)
    return _report(as_json, improvement_as_json, print_improvement, found)


def pipeline(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Find the stage of a pipeline to work on, from a table of its answers:  gnomon pipeline TABLE

    TABLE (Parquet or CSV) has target, prediction and, in the order of the stages, either prediction.STAGE (the final
    answer if every stage up to STAGE is replaced by the truth) or STAGE and STAGE.truth.
    """
    _no_settings(values, "pipeline", "none")
    table = _one(words, "TABLE", "pipeline", "answers.csv")
    from gnomon.cli.pipeline import pipeline_as_json, print_pipeline
    from gnomon.workflow.judge.pipeline import pipeline as run_pipeline

    found = run_pipeline(table)
    return _report(as_json, pipeline_as_json, print_pipeline, found)


def tune(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Search for better settings, coarse to fine:  gnomon tune DATA [trials=40] [time=30m] [workers=2] [key=value]

    A range (learning_rate=1e-4..1e-1) or choices (schedule=cosine,constant) make a setting vary, one value fixes it.
    satisfy="latency_ms <= 10, size_mb <= 5" are conditions on the best; repeats=3 trains it and the defaults again with
    other seeds; sampler=zoom|random|grid|tpe; stop_early=no. gnomon tune --resume SEARCH continues one.
    """
    resume = values.pop("resume", None)
    source = _one(words, "DATA", "tune", "digits") if resume is None or words else None
    from gnomon.cli.tune import run_tune

    found = run_tune(source, resume, values, OWN_PROCESS, as_json=as_json)
    if as_json:
        _print_json(found.outcome)
    return 0


def retest(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Check whether an older search's settings are still the best:  gnomon retest SEARCH [DATA] [seeds=3]

    Its best trials=4 and the defaults are trained again with new seeds, on DATA if the data has moved.
    """
    from gnomon.cli.retest import print_retested, run_retest

    found = run_retest(words, values, quiet=as_json)
    if as_json:
        from gnomon.workflow.tune.retest import as_json as retested_as_json

        _print_json(retested_as_json(found))
    else:
        print_retested(found)
    return 0


def peek(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Show how DATA is read and split, and draw examples, augmented ones too:  gnomon peek DATA [augment=auto]"""
    source = _one(words, "DATA", "peek", "digits")
    from gnomon.cli.show_data import peek_as_json, print_peek
    from gnomon.workflow.peek import peek as run_peek

    found = run_peek(source, **values)
    return _report(as_json, peek_as_json, print_peek, found)


def check(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Test in seconds whether anything can be learned from DATA:  gnomon check DATA"""
    source = _one(words, "DATA", "check", "digits")
    from gnomon.cli.show_data import print_checked
    from gnomon.workflow.check import check as run_check

    checked = run_check(source, **values)
    if as_json:
        findings = [{"name": each.name, "passed": each.passed, "text": each.text} for each in checked.findings]
        _print_json({"passed": checked.passed, "findings": findings})
    else:
        print_checked(checked)
    return 0 if checked.passed else 1


def show(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Show the layers and settings of a run, or what a craft made and measured:  gnomon show RUN"""
    _no_settings(values, "show", "none")
    from gnomon.cli.show_craft import made_as_json, print_made
    from gnomon.cli.show_data import print_shown, shown_as_json
    from gnomon.workflow.made import Made
    from gnomon.workflow.show import show as run_show

    shown = run_show(_one(words, "RUN", "show", "runs/latest"))
    if isinstance(shown, Made):
        return _report(as_json, made_as_json, print_made, shown)
    return _report(as_json, shown_as_json, print_shown, shown)


def gallery(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Test well-known claims of the field on this machine:  gnomon gallery [NAME | all] [seeds=N] [data=PICTURES]

    Without a NAME it lists the claims. With one it runs the experiment, shows what was measured and whether the
    claim holds here, and writes page, figure and numbers to gallery/NAME/ (an existing folder is kept). Claims about
    convnets take data=: pictures of your own, with a class each.
    """
    from gnomon.cli.gallery import run_gallery

    return run_gallery(words, values, as_json=as_json)


def settings(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """List all settings with their values and effects:  gnomon settings [TASK] [model=NAME]

    With TASK: the values that it fills in, and which settings have no effect there. model=NAME adds those of the model.
    """
    model = values.pop("model", None)
    _no_settings(values, "settings", "model")
    from gnomon.cli.show_data import print_settings, settings_as_json
    from gnomon.workflow.defaults import settings as settings_of

    task = _one(words, "TASK", "settings", "tabular_regression") if words else None
    return _report(as_json, settings_as_json, print_settings, settings_of(task, model), task)


def models(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """List the models to choose from:  gnomon models [TASK]

    Nets for pictures with parameters and multiply-adds for the pictures they were published for.
    With TASK: the models for its inputs; others than those with their size for its sample data.
    """
    _no_settings(values, "models", "none")
    from gnomon.cli.show_data import models_as_json, print_models
    from gnomon.workflow.defaults import models_of

    task = _one(words, "TASK", "models", "image_classification") if words else None
    return _report(as_json, models_as_json, print_models, models_of(task), task)


def _no_settings(values: Mapping[str, str], command: str, known: str) -> None:
    if values:
        raise UsageError(
            f"{command} takes {'no settings' if known == 'none' else f'no setting but {known}'}, "
            f"got {next(iter(values))}.",
            fix="leave it out.",
        )


GROUPS: Mapping[str, Mapping[str, Command]] = {  # as `gnomon --help` shows them: in the order of the work
    "train and use": {"fit": fit, "predict": predict, "explain": explain, "test": test},
    "look before you train": {
        "peek": peek,
        "check": check,
        "lr": lr,
        "plan": plan,
        "convert": convert,
        "filter": filter_,
    },
    "what holds it back": {
        "diagnose": diagnose,
        "errors": errors,
        "labels": labels,
        "mismatch": mismatch,
        "compare": compare,
        "pipeline": pipeline,
    },
    "make it better": {"probe": probe, "improve": improve, "tune": tune, "retest": retest, "nudge": nudge},
    "explore": {"show": show, "studio": studio, "models": models, "settings": settings, "gallery": gallery},
}
COMMANDS: Mapping[str, Command] = {name: command for group in GROUPS.values() for name, command in group.items()}


def help_text(command: str | None = None) -> str:
    """What `gnomon --help` or `gnomon COMMAND --help` prints."""
    if command is not None:
        lines = (COMMANDS[command].__doc__ or "").strip().splitlines()
        return "\n".join(line.strip() for line in lines) + f"\n\n{EVERY_COMMAND}\n"
    firsts = {name: (function.__doc__ or "").strip().splitlines()[0] for name, function in COMMANDS.items()}
    width = max(map(len, firsts))
    about = "\n\n".join(
        "\n".join([f"{title}:", *(f"  {name:<{width}}  {firsts[name].partition(':  ')[0]}" for name in group)])
        for title, group in GROUPS.items()
    )
    return (
        "Train a deep-learning system on your own data and measure what holds it back.\n\n"
        f"  gnomon fit DATA [key=value ...]\n\n{about}\n\n{EVERY_COMMAND}\n"
    )


EVERY_COMMAND = (
    "Settings are given as key=value or --key value (`gnomon settings` lists them).\n"
    "Every command takes --help, --json (one JSON object on stdout) and --debug (a traceback with errors)."
)
