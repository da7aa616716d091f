"""What the report of a run shows, collected from its folder and its predictions."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from gnomon.core import settings as all_settings
from gnomon.core.evaluation import Evaluation, is_structured
from gnomon.core.example import BadInput, Example, Examples
from gnomon.core.layer_signals import findings_of
from gnomon.core.parts import View
from gnomon.core.settings import Settings
from gnomon.data.source import counted
from gnomon.metrics.classification import calibration, confusion
from gnomon.metrics.spans import Span
from gnomon.report.record import Command, DataCard, Layer, Mistake, ReportRecord, SettingLine
from gnomon.runs.tags import TagStore
from gnomon.strategy.cell_wording import in_words, views_of_spans
from gnomon.strategy.slices import by_class, by_tag
from gnomon.strategy.two_way import two_way
from gnomon.workflow.road.people import human_level, people_cell
from gnomon.workflow.sheet import sheet_of, tag_sheet

if TYPE_CHECKING:
    from gnomon.strategy.diagnosis import Diagnosis
    from gnomon.strategy.evidence import StageUnits
    from gnomon.strategy.slices import Slice
    from gnomon.workflow.run import Run

MISTAKES_SHOWN = 24
EXAMPLES_SHOWN = 9
DRAWN_SIDE = 480  # pixels of a mistake with its label and answer drawn on it
UNITS_SHOWN = 4  # of each stage
UNITS_WORK = 5e9  # multiply-adds spent on looking for what excites them: about half a second
MOST_PICTURES, FEWEST_PICTURES = 1_000, 50  # of dev; where fewer could be afforded, nothing is shown


def report_record(
    run: Run, evaluations: Mapping[str, Evaluation], diagnosis: Diagnosis, examples: Mapping[str, Examples]
) -> ReportRecord:
    """Everything the page shows."""
    settings, given = run.folder.load_settings()
    card, outcome, environment = run.folder.load_data(), run.folder.load_outcome(), run.folder.load_environment()
    shown = "test" if "test" in evaluations else "dev"
    table = evaluations[shown].table
    classes = _is_classes(evaluations[shown])
    history = run.history
    wrong = mistakes(table)
    return ReportRecord(
        title=run.path.name,
        task_title=run.task.kind.title,
        gnomon_version=version("gnomon"),
        run_path=str(run.path),
        command_line=shlex.join(environment["command"]),
        started=f"{environment['time'][:16].replace('T', ' ')} UTC",
        seconds=outcome["seconds"],
        diagnosis=diagnosis,
        settings=setting_lines(settings, given),
        environment=environment,
        data=_data_card(card),
        layers=[Layer(**row) for row in outcome["layers"]],
        history=history,
        signals=[
            finding.text for finding in findings_of(history, highest_rate=run.settings.optimiser.learning_rate or 0.0)
        ],
        metrics={split: run.task.judge.metrics(evaluation) for split, evaluation in evaluations.items()},
        slices=_slices(evaluations[shown], classes=classes),
        confusion=confusion(table) if classes else None,
        calibration=calibration(evaluations[shown]) if classes else None,
        mistakes=_views(
            run, wrong.head(MISTAKES_SHOWN), examples.get(shown), are_sorted_by_error=_is_partly_right(table)
        ),
        num_mistakes=len(wrong),
        tag_sheet=tag_sheet(sheet_of(run.folder, "dev", evaluations["dev"].table, diagnosis), TagStore(run.path)),
        judged_split=shown,
        figures=run.task.judge.figures(evaluations[shown]),
        example_views=_examples_shown(run, examples.get("train")),
        test_openings=run.folder.num_openings,
        two_way=two_way(
            evaluations,
            human_target=people_cell(human_level(run.settings, run.task, evaluations)),
            seed=run.settings.seed,
        ),
        samples=_samples(run),
        units=_units(run, examples.get("dev"), outcome["layers"]),
        probes=run.folder.load_probes(),
        diary=run.folder.load_diary(),
        reproduce=[
            Command(f"gnomon fit --resume {run.path}", "continue it, if it was stopped"),
            Command(f"gnomon predict {run.path} FILES", "use the model on new files"),
            Command(f"gnomon test {run.path}", "open the test split, once the work is done"),
            Command(f"gnomon show {run.path}", "layers and settings in the terminal"),
        ],
    )


def setting_lines(settings: Settings, given: Collection[str]) -> list[SettingLine]:
    """Every setting as the page shows it."""
    return [
        SettingLine(row.key, _shown(all_settings.value_of(settings, row.key)), row.key in given, row.description)
        for row in all_settings.rows(settings)
    ]


def mistakes(table: pl.DataFrame) -> pl.DataFrame:
    """Rows with an error, most confident first; largest first without confidence, and where answers are partly right.

    These are boxes, masks, points and translations.
    """
    wrong = table.with_row_index("position").filter(pl.col("error") > 0)
    order = "error" if table["confidence"].null_count() or _is_partly_right(table) else "confidence"
    return wrong.sort(order, "id", descending=[True, False], nulls_last=True)


def _is_partly_right(table: pl.DataFrame) -> bool:
    is_translated = "references" in table.columns and not table["error"].is_in([0.0, 1.0]).all()
    return is_structured(table) or is_translated


def _samples(run: Run) -> tuple[str, ...]:
    from gnomon.workflow.sample import samples_of  # torch comes with it

    return samples_of(run)


def _views(
    run: Run, rows: pl.DataFrame, examples: Examples | None, *, are_sorted_by_error: bool
) -> list[Mistake]:  # fmt: skip
    if examples is None:
        return []
    from gnomon.workflow.drawn import compared_with  # matplotlib comes with it, and the list of runs waits for none

    found = []
    for row in rows.iter_rows(named=True):
        example = examples[row["position"]]
        drawn = compared_with(run.task, run.task.reader.view(example), row, most=DRAWN_SIDE)
        spans = views_of_spans(row)
        found.append(
            Mistake(
                id=str(row["id"]),
                view=spans[0] if spans else _plain_view(run, example, row) if drawn is None else View(image=drawn[0]),
                target=in_words(row, "target"),
                prediction=in_words(row, "prediction"),
                error=row["error"],
                confidence=None if drawn is not None or are_sorted_by_error else row["confidence"],
                loss=row["loss"],
                legend=None if drawn is None else drawn[1],
                answer=spans[1] if spans else None,
            )
        )
    return found


def _plain_view(run: Run, example: Example, row: Mapping[str, Any]) -> View:
    """As the task shows it; of a translation the source alone, because its references are beside it."""
    return View(text=row["text"]) if "references" in row else run.task.view(example)


def _examples_shown(run: Run, examples: Examples | None) -> list[tuple[str, Any]]:
    if examples is None or not len(examples):
        return []
    chosen = np.unique(np.linspace(0, len(examples) - 1, EXAMPLES_SHOWN).astype(np.int64))
    found = [examples[int(i)] for i in chosen]
    return [(_caption(example.target), run.task.view(example)) for example in found]


def _units(run: Run, dev: Examples | None, layers: Sequence[Mapping[str, Any]]) -> Sequence[StageUnits]:
    """What units of a net for pictures see, on as many dev pictures as UNITS_WORK allows; nothing for folds."""
    from gnomon.workflow.sight.pictures import is_of_pictures
    from gnomon.workflow.sight.units import units_of

    work = sum(row["multiply_adds"] or 0 for row in layers)
    affordable = int(UNITS_WORK // max(work, 1))
    if dev is None or run.folds or not is_of_pictures(run.task) or affordable < FEWEST_PICTURES:
        return ()
    return units_of(run.members[0], dev, most=min(affordable, MOST_PICTURES), shown=UNITS_SHOWN)


def _caption(target: Any) -> str:
    if isinstance(target, list) and target and isinstance(target[0], Span):
        return counted(len(target), "span")
    if isinstance(target, tuple) and all(isinstance(one, str) for one in target):
        return " / ".join(target)
    if isinstance(target, list | np.ndarray):  # objects or a mask, which are drawn
        return counted(len(target), "object") if isinstance(target, list) else ""
    return f"{target:.6g}" if isinstance(target, float) else str(target)


def _slices(evaluation: Evaluation, *, classes: bool) -> dict[str, Sequence[Slice]]:
    found: dict[str, Sequence[Slice]] = dict(by_tag(evaluation))
    return {"class": by_class(evaluation), **found} if classes else found


def _is_classes(evaluation: Evaluation) -> bool:
    return evaluation.has_classes and evaluation.table["target"].n_unique() <= 1000


def _data_card(card: Mapping[str, Any]) -> DataCard:
    classes: dict[str, dict[str, int]] = {}
    for split, counts in card["classes"].items():
        for name, count in counts.items():
            classes.setdefault(name, {})[split] = count
    return DataCard(
        origin=card["source"],
        recognised=card["why"],
        splits=card["splits"],
        classes=classes,
        notes=[note for note in card["notes"] if note not in card["leaks"]],
        bad=[BadInput(where, why) for where, why in card["bad"]],
        leaks=card["leaks"],
    )


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
