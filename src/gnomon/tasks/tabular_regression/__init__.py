"""Tabular regression: one number per row, or several of which some may be missing."""

from gnomon.core.task import TaskKind
from gnomon.parts.numbers import NumberHead, NumberJudge
from gnomon.parts.tables import TableEncoder, TableReader

TASK = TaskKind(
    name="tabular_regression",
    title="tabular regression",
    modality="table",
    target="a number, or several",
    reader=TableReader(
        forms=("regression", "several numbers"),
        reads_as="regression",
        sample=(("price", "target"),),
        wrong_kind="classes",
        refusal="predict only numbers, or only classes (task=multi_task).",
    ),
    encoder=TableEncoder,
    head=NumberHead,
    judge=NumberJudge,
    model="dense",
)
