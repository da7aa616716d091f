"""Tabular classification: one class per row, from CSV, TSV, Parquet, frames or arrays."""

from gnomon.core.task import TaskKind
from gnomon.parts.one_class import ClassHead, ClassJudge
from gnomon.parts.tables import TableEncoder, TableReader

TASK = TaskKind(
    name="tabular_classification",
    title="tabular classification",
    modality="table",
    target="a class",
    reader=TableReader(forms=("classification",), reads_as="classification", sample=(("level", "target"),)),
    encoder=TableEncoder,
    head=ClassHead,
    judge=ClassJudge,
    model="dense",
)
