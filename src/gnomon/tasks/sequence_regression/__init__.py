"""One number per series of steps."""

from gnomon.core.task import TaskKind
from gnomon.parts.numbers import NumberHead, NumberJudge
from gnomon.parts.series import SeriesEncoder, SeriesReader
from gnomon.training.samplers import by_length

TASK = TaskKind(
    name="sequence_regression",
    title="sequence regression",
    modality="series",
    target="a number",
    reader=SeriesReader("regression", "series"),
    encoder=SeriesEncoder,
    head=NumberHead,
    judge=NumberJudge,
    model="resnet1d",
    sampler=by_length("length"),
)
