"""Multi-task classification: several classes per row, any of which may be unknown, with one network."""

from gnomon.core.task import TaskKind
from gnomon.parts.several_classes import SeveralClassesHead, SeveralClassesJudge
from gnomon.parts.tables import TableEncoder, TableReader

TASK = TaskKind(
    name="multi_task",
    title="multi-task classification",
    modality="table",
    target="several classes",
    reader=TableReader(
        forms=("several classes",),
        reads_as=None,
        sample=(("level", "target_level"), ("sold", "target_sold")),
        wrong_kind="number",
        refusal="predict only classes, or only numbers (task=tabular_regression).",
        splits=True,
    ),
    encoder=TableEncoder,
    head=SeveralClassesHead,
    judge=SeveralClassesJudge,
    model="dense",
)
