"""A small run with something in every section of the page, for the tests of the report."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gnomon.core.example import BadInput
from gnomon.core.layer_signals import LayerSignal, as_rows
from gnomon.core.parts import View
from gnomon.metrics.classification import Calibration, Confusion
from gnomon.metrics.interval import Interval
from gnomon.report.record import Command, DataCard, Layer, Mistake, ReportRecord, SettingLine, TagSheet
from gnomon.strategy.curve import CurvePoint, Forecast
from gnomon.strategy.diagnosis import Advice, Diagnosis, Gap, Rung, Verdict
from gnomon.strategy.error_analysis import TagShare
from gnomon.strategy.evidence import Patch, StageUnits, Unit
from gnomon.strategy.improve_diary import Entry
from gnomon.strategy.improve_probes import Pair, Probes
from gnomon.strategy.slices import Slice

HALF = Interval(0.05, 0.02, 0.11, "Wilson")


def diagnosis() -> Diagnosis:
    return Diagnosis(
        unit="share",
        error_name="error rate",
        rungs=(
            Rung("human", 0.01, 0.01, 0.01, 0, "given"),
            Rung("train", 0.02, 0.015, 0.025, 4000),
            Rung("dev", 0.1, 0.08, 0.13, 500),
        ),
        gaps=(
            Gap("avoidable bias", "human", "train", 0.01, 0.005, 0.015, True, 0.01),
            Gap("variance", "train", "dev", 0.08, 0.06, 0.11, True, 0.01),
        ),
        verdict=Verdict("variance", ("variance",), 0.97, "Variance is the largest gap."),
        advice=(Advice("get more data", "variance falls with data", "fit-dev", ("regularise.dropout",)),),
        notes=("dev was looked at 3 times",),
        test_openings=0,
    )


def probes() -> Probes:
    pair = Pair("more dropout", "dropout 0 -> 0.2", {"regularise.dropout": [0.2]}, "fit-dev", "", 0.1, 0.08, 0.01, 0.03,
                0.001, 2, 1.0)  # fmt: skip
    points = (CurvePoint(500, 0.2, 0, 0.01), CurvePoint(4000, 0.1, 0, 0.02))
    forecasts = (Forecast(2.0, 8000, 0.1, 0.09, 0.08, 0.1),)
    forms = {"power law": 1.0}
    return Probes("share", ("fit-dev",), "variance", points, forecasts, forms, (pair,), 1.0, ("short",), 9.0)


def diary() -> tuple[Entry, ...]:
    tried = {"label": "dropout 0 -> 0.2", "kept": True, "dev_before": [0.1], "dev_after": [0.08]}
    return (
        Entry("began", "4,000 train", 0.1),
        Entry("first", "dev 10 %", 2.0, {"dev_error": 0.1}),
        Entry("tried", "dropout helps", 9.0, tried),
    )


def record(**changes: Any) -> ReportRecord:
    """Every section filled, every list short."""
    whole = ReportRecord(
        title="pets",
        task_title="image classification",
        gnomon_version="0.1.0",
        run_path="runs/classify/1-pets",
        command_line="gnomon fit pets/ human=0.01",
        started="2026-11-21 10:15 UTC",
        seconds=75.0,
        diagnosis=diagnosis(),
        probes=probes(),
        diary=diary(),
        settings=(
            SettingLine("goal.human", "0.01", True, "human-level error"),
            SettingLine("stop.epochs", "20", False, "passes over train"),
        ),
        environment={"python": "3.11.2"},
        data=DataCard(
            origin="/data/pets",
            recognised="a folder a class",
            splits={"train": 4000, "dev": 500, "test": 500},
            classes={"cat": {"train": 2000, "dev": 250}, "dog": {"train": 2000, "dev": 250}},
            notes=("three pictures turned",),
            bad=(BadInput("cat/7.jpg", "truncated"),),
            leaks=("12 examples of dev are in train",),
        ),
        layers=(Layer("head", "linear", "2", 130, 128, 2), Layer("end", "softmax", "2", 0, None, None)),
        history=[
            {"epoch": 1, "train_loss": 0.9, "train_error": 0.2, "train_dev_error": None, "dev_error": 0.3,
             "dev_low": 0.25, "dev_high": 0.35, "learning_rate": 0.01, "best": True},
            {"epoch": 2, "train_loss": 0.4, "train_error": 0.02, "train_dev_error": None, "dev_error": 0.1,
             "dev_low": 0.08, "dev_high": 0.13, "learning_rate": 0.001, "best": True,
             "signals": as_rows([LayerSignal("stage1.conv", 0.3, 0.6, 0.05, 1e-3, dead=0.1),
                                 LayerSignal("head", 0.0, 2.0, 0.2, 2e-3)])},
        ],
        metrics={"train": {"accuracy": HALF}, "dev": {"accuracy": HALF, "log loss": HALF}},
        slices={
            "class": (Slice("target", "cat", HALF, 250, 0.5, 0.7), Slice("target", "dog", HALF, 250, 0.5, 0.3)),
            "tag.camera": (Slice("tag.camera", "phone", HALF, 500, 1.0, 1.0),),
        },
        confusion=Confusion(("cat", "dog"), np.array([[240, 10], [5, 245]])),
        calibration=Calibration(
            np.linspace(0, 1, 3), np.array([np.nan, 0.8]), np.array([np.nan, 0.75]), np.array([0, 500]), HALF
        ),
        mistakes=(
            Mistake("cat/1.jpg", View(image=np.full((8, 8), 7, dtype=np.uint8)), "cat", "dog", 1.0, 0.99, 4.2),
            Mistake("cat/2.txt", View(text="a line\nand another"), "dog", "cat", 1.0, 0.98, 4.0),
            Mistake("row 3", View(fields={"age": "37"}), "dog", "cat", 1.0, 0.97, 3.9),
        ),
        num_mistakes=50,
        tag_sheet=TagSheet(
            "dev", 0.1, 500, 50, 20,
            shares=(
                TagShare("behind a fence", "yours", "", 8, 20, 50, Interval(0.4, 0.25, 0.57, "Wilson"),
                         Interval(0.04, 0.025, 0.057, "Wilson"), Interval(0.06, 0.043, 0.075, "Wilson"), None),
                TagShare("cat predicted as dog", "confusion", "", 10, 50, 50, Interval(0.2, 0.2, 0.2, "all"),
                         Interval(0.02, 0.02, 0.02, "all"), Interval(0.08, 0.08, 0.08, "all"), None),
                TagShare("camera: phone", "slice", "", 25, 50, 50, Interval(0.5, 0.5, 0.5, "all"),
                         Interval(0.05, 0.05, 0.05, "all"), Interval(0.05, 0.05, 0.05, "all"), 0.5),
            ),
            as_of="2026-11-21 11:00 UTC", note="Nothing is left out.",
        ),
        example_views=(("a cat", View(image=np.zeros((4, 4, 3), dtype=np.uint8))),),
        reproduce=(Command("gnomon predict runs/1 FILES", "use the model"),),
        samples=("First Citizen:\nWe are accounted poor.",),
        units=(
            StageUnits("stage1", 32, 1, (4, 4), (3, 3), 0, 500, (
                Unit(7, (Patch(np.full((3, 3), 9, np.uint8), (0, 0), 2.5, "cat/1.jpg", "cat"),) * 9),
            )),
        ),
    )  # fmt: skip
    return dataclasses.replace(whole, **changes)


def bare_record() -> ReportRecord:
    """A run that knows next to nothing."""
    return ReportRecord(
        title="", task_title="", gnomon_version="", run_path="", command_line="", started="", seconds=0.0,
        diagnosis=Diagnosis(None, "", (), (), Verdict(None, (), 0.0, ""), ()), settings=(), environment={},
        data=DataCard("", "", {}),
    )  # fmt: skip


# names of gnomon's own that are no user's text: splits, gaps, units, columns and what settings are made of
_OWN = {"name@Rung", "name@Gap", "below@Gap", "above@Gap", "gap@Verdict", "contenders@Verdict", "cause@Verdict",
        "unit@Diagnosis",
        "column@Slice", "method@Interval", "judged_split@ReportRecord", "unit@Probes", "links@Probes", "forms@Probes",
        "name@Pair", "link@Pair", "changes@Pair", "caution@Pair", "failed@Pair", "event@Entry",
        "facts@Entry", "split@TagSheet", "kind@TagShare", "meaning@TagShare"}  # fmt: skip
_OWN_KEYS = {"history", "metrics", "splits"}


def planted(value: Any, text: Callable[[str], str], path: str = "record") -> Any:
    """The same record with `text(path)` in place of every text a user can choose, keys of mappings included."""
    if isinstance(value, str):
        return text(path)
    if isinstance(value, Confusion):  # its names are drawn, not written; tested with the figures
        return value
    if dataclasses.is_dataclass(value):
        kind = type(value).__name__
        changes = {
            field.name: planted(getattr(value, field.name), text, f"{path}.{field.name}")
            for field in dataclasses.fields(value)
            if f"{field.name}@{kind}" not in _OWN
        }
        return dataclasses.replace(value, **changes)
    if isinstance(value, Mapping):
        is_own = path.rpartition(".")[2] in _OWN_KEYS or "splits" in path or ".classes[" in path
        is_own = is_own or path.startswith("record.history")
        return {
            key if is_own else text(f"{path}.key[{place}]"): planted(item, text, f"{path}[{place}]")
            for place, (key, item) in enumerate(value.items())
        }
    if isinstance(value, tuple | list):
        return tuple(planted(item, text, f"{path}[{place}]") for place, item in enumerate(value))
    return value
