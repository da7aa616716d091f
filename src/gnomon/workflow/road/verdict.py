"""From a run's predictions to its diagnosis and report, written into its folder. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from gnomon import report
from gnomon.core.evaluation import Evaluation
from gnomon.core.example import Examples
from gnomon.core.settings import flat
from gnomon.metrics import pair_table
from gnomon.metrics.intervals import groups_of
from gnomon.strategy.commands import Commands
from gnomon.strategy.course import Course
from gnomon.strategy.improve_diary import apply_diary
from gnomon.strategy.improve_probes import apply_probes
from gnomon.strategy.ladder import diagnose
from gnomon.strategy.search_fault import apply_fault, fault_of
from gnomon.strategy.slices import missed_classes
from gnomon.workflow.looks import looks_at_dev
from gnomon.workflow.nudge import in_words, read_diary
from gnomon.workflow.road.people import human_level
from gnomon.workflow.road.report import report_record

if TYPE_CHECKING:
    from gnomon.metrics.intervals import Measured
    from gnomon.runs.records import Outcome
    from gnomon.strategy.diagnosis import Diagnosis
    from gnomon.workflow.run import Run


def judge_run(run: Run, evaluations: Mapping[str, Evaluation], *, examples: Mapping[str, Examples]) -> Diagnosis:
    """Diagnose the run from `evaluations` and write diagnosis.json and report.html.

    `examples` are the evaluated examples of the splits, for the pictures; a missing split is shown without pictures.
    """
    diagnosis = diagnosis_of(run, evaluations, human=human_level(run.settings, run.task, evaluations))
    run.folder.save_diagnosis(diagnosis)
    run.folder.save_report(report.build(report_record(run, evaluations, diagnosis, examples)))
    return diagnosis


def diagnosis_of(
    run: Run, evaluations: Mapping[str, Evaluation], *, human: Sequence[float] | Measured | None
) -> Diagnosis:
    """The ladder of these evaluations against `human`, with what the run knows about leaks, looks and settings."""
    card, outcome = run.folder.load_data(), run.folder.load_outcome()
    found = diagnose(
        evaluations,
        human=human,
        error_name=run.task.judge.error_name,
        leaked=leaked_ids(run, evaluations),
        repeats=card.get("repeats"),
        dev_looks=looks_at_dev(run.folder),
        test_openings=run.folder.num_openings if "test" in card["splits"] else None,
        here=run.task.here(run.settings, card["splits"]["train"]),
        num_train=card["splits"]["train"],
        floor=run.folder.load_floor(),
        course=_course(run, outcome),
        commands=commands_of(run),
        seed=run.settings.seed,
    )
    missed = missed_classes(evaluations["dev"]) if run.task.judge.num_classes and "dev" in evaluations else ""
    if missed and found.verdict.cause != "unfinished":
        found = replace(found, notes=(missed, *found.notes))
    if run.folds:
        each = f"{run.folds} folds: dev judges each example by the model that did not train on it"
        found = replace(found, notes=(*found.notes, f"{each}; test and predict take the mean of all {run.folds}"))
    found = _with_fault(run, evaluations, found)
    found = apply_diary(found, run.folder.load_diary())
    found = apply_probes(found, run.folder.load_probes(), commands_of(run))
    turned = read_diary(run.folder)
    if turned:
        found = replace(found, notes=(*found.notes, f"changed during training: {in_words(turned)}"))
    if outcome["ended_because"] != "max_time" or found.verdict.cause == "unfinished":
        return found
    stop = run.settings.stop
    cut = f"max_time={stop.max_time:g} cut training short at step {outcome['steps']:,} of {stop.epochs} epochs"
    return replace(found, notes=(cut, *found.notes))


def _with_fault(run: Run, evaluations: Mapping[str, Evaluation], found: Diagnosis) -> Diagnosis:
    """Of answers that are searched for: whether the search or the model is at fault on dev."""
    table = evaluations["dev"].table if "dev" in evaluations else None
    beam = run.settings.task.own.get("beam")
    if table is None or beam is None or not pair_table.is_pairs(table):
        return found
    fault = fault_of(pair_table.read(table), groups=groups_of(table, np.ones(len(table), bool)))
    commands = commands_of(run)
    return apply_fault(found, fault, beam, lambda wider: commands.verb("predict", "FILE", f"beam={wider}"))


def _course(run: Run, outcome: Outcome) -> Course:
    """How the training went, from its history."""
    settings, num_train = run.settings, run.folder.load_data()["splits"]["train"]
    if run.folds:  # each trains on all but its own
        num_train = round(num_train * (1 - 1 / run.folds))
    steps_an_epoch = max(1, math.ceil(num_train / (settings.optimiser.batch_size or num_train)))
    is_cut = outcome["ended_because"] == "max_time"
    seconds = outcome.get("training_seconds", 0.0)
    done = outcome["steps"] / steps_an_epoch
    return Course.of(run.history, settings.stop.epochs or 1, done, is_cut=is_cut, seconds=seconds)


def commands_of(run: Run) -> Commands:
    """The commands that advice about this run gives to paste."""
    settings, given = run.folder.load_settings()
    card = run.folder.load_data()
    return Commands.of(str(run.path), card["reopen"], flat(settings), given, pool=card.get("dev_drawn_from"))


def leaked_ids(run: Run, evaluations: Mapping[str, Evaluation]) -> dict[str, list[Any]]:
    """Ids of evaluated examples that train contains too, by split, in the type that split's table has."""
    pairs = run.folder.load_leaks().filter(pl.col("other_split") == "train")
    return {
        split: pairs.filter(pl.col("split") == split)["id"].cast(evaluation.table["id"].dtype, strict=False).to_list()
        for split, evaluation in evaluations.items()
        if split != "train"
    }
