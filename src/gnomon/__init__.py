"""gnomon trains the classic deep-learning systems on your own data and measures what holds each one back."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gnomon.core.craft import Craft
    from gnomon.core.errors import GnomonError
    from gnomon.core.evaluation import Evaluation
    from gnomon.core.example import Example, Examples
    from gnomon.core.settings import Settings
    from gnomon.core.task import Task
    from gnomon.strategy.diagnosis import Diagnosis
    from gnomon.workflow.check import check
    from gnomon.workflow.convert import convert
    from gnomon.workflow.defaults import settings
    from gnomon.workflow.ensemble import Ensemble, predict, test
    from gnomon.workflow.filter import filter  # noqa: A004  the name of the command
    from gnomon.workflow.fit import fit
    from gnomon.workflow.improve.improve import improve
    from gnomon.workflow.improve.probe import probe
    from gnomon.workflow.judge.compare import compare
    from gnomon.workflow.judge.diagnose import diagnose
    from gnomon.workflow.judge.errors import errors
    from gnomon.workflow.judge.labels import labels
    from gnomon.workflow.judge.mismatch import mismatch
    from gnomon.workflow.judge.pipeline import pipeline
    from gnomon.workflow.judge.plan import plan
    from gnomon.workflow.made import Made
    from gnomon.workflow.nudge import nudge
    from gnomon.workflow.peek import peek
    from gnomon.workflow.people import enrol, identify, verify
    from gnomon.workflow.rate import lr
    from gnomon.workflow.run import Run, explain, load, sample
    from gnomon.workflow.show import show
    from gnomon.workflow.style import style
    from gnomon.workflow.tune.retest import retest
    from gnomon.workflow.tune.tune import tune
    from gnomon.workflow.vectors import vectors

    __version__: str

_HOMES = {
    "Craft": "gnomon.core.craft",
    "Diagnosis": "gnomon.strategy.diagnosis",
    "Ensemble": "gnomon.workflow.ensemble",
    "Evaluation": "gnomon.core.evaluation",
    "Example": "gnomon.core.example",
    "Examples": "gnomon.core.example",
    "GnomonError": "gnomon.core.errors",
    "Made": "gnomon.workflow.made",
    "Run": "gnomon.workflow.run",
    "Settings": "gnomon.core.settings",
    "Task": "gnomon.core.task",
    "check": "gnomon.workflow.check",
    "compare": "gnomon.workflow.judge.compare",
    "convert": "gnomon.workflow.convert",
    "diagnose": "gnomon.workflow.judge.diagnose",
    "enrol": "gnomon.workflow.people",
    "errors": "gnomon.workflow.judge.errors",
    "explain": "gnomon.workflow.run",
    "filter": "gnomon.workflow.filter",
    "fit": "gnomon.workflow.fit",
    "identify": "gnomon.workflow.people",
    "improve": "gnomon.workflow.improve.improve",
    "labels": "gnomon.workflow.judge.labels",
    "load": "gnomon.workflow.run",
    "lr": "gnomon.workflow.rate",
    "mismatch": "gnomon.workflow.judge.mismatch",
    "nudge": "gnomon.workflow.nudge",
    "peek": "gnomon.workflow.peek",
    "pipeline": "gnomon.workflow.judge.pipeline",
    "plan": "gnomon.workflow.judge.plan",
    "predict": "gnomon.workflow.ensemble",
    "probe": "gnomon.workflow.improve.probe",
    "retest": "gnomon.workflow.tune.retest",
    "sample": "gnomon.workflow.run",
    "settings": "gnomon.workflow.defaults",
    "show": "gnomon.workflow.show",
    "style": "gnomon.workflow.style",
    "test": "gnomon.workflow.ensemble",
    "tune": "gnomon.workflow.tune.tune",
    "vectors": "gnomon.workflow.vectors",
    "verify": "gnomon.workflow.people",
}

__all__ = [
    "Craft",
    "Diagnosis",
    "Ensemble",
    "Evaluation",
    "Example",
    "Examples",
    "GnomonError",
    "Made",
    "Run",
    "Settings",
    "Task",
    "__version__",
    "check",
    "compare",
    "convert",
    "diagnose",
    "enrol",
    "errors",
    "explain",
    "filter",
    "fit",
    "identify",
    "improve",
    "labels",
    "load",
    "lr",
    "mismatch",
    "nudge",
    "peek",
    "pipeline",
    "plan",
    "predict",
    "probe",
    "retest",
    "sample",
    "settings",
    "show",
    "style",
    "test",
    "tune",
    "vectors",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import gnomon` itself costs nothing."""
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("gnomon")
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'gnomon' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
