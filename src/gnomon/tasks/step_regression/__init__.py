"""One number at every step of a series."""

from gnomon.core.task import TaskKind
from gnomon.parts.series import SeriesEncoder, SeriesReader
from gnomon.parts.steps import StepNumberHead, StepNumberJudge
from gnomon.training.samplers import by_length

TASK = TaskKind(
    name="step_regression",
    title="a number at every step",
    modality="series",
    target="a number at every step",
    reader=SeriesReader("regression", "step"),
    encoder=SeriesEncoder,
    head=StepNumberHead,
    judge=StepNumberJudge,
    model="lstm",
    sampler=by_length("length"),
)
