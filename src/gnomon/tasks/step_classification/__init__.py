"""One class at every step of a series."""

from gnomon.core.task import TaskKind
from gnomon.parts.series import SeriesEncoder, SeriesReader
from gnomon.parts.steps import StepClassHead, StepClassJudge
from gnomon.training.samplers import by_length

TASK = TaskKind(
    name="step_classification",
    title="classification of every step",
    modality="series",
    target="a class at every step",
    reader=SeriesReader("classification", "step"),
    encoder=SeriesEncoder,
    head=StepClassHead,
    judge=StepClassJudge,
    model="lstm",
    sampler=by_length("length"),
)
