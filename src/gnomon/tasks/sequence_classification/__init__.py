"""One class per series of steps: rows of sensors, strokes of a pen."""

from gnomon.core.task import TaskKind
from gnomon.parts.one_class import ClassHead, ClassJudge
from gnomon.parts.series import SeriesEncoder, SeriesReader
from gnomon.training.samplers import by_length

TASK = TaskKind(
    name="sequence_classification",
    title="sequence classification",
    modality="series",
    target="a class",
    reader=SeriesReader("classification", "series"),
    encoder=SeriesEncoder,
    head=ClassHead,
    judge=ClassJudge,
    model="resnet1d",
    sampler=by_length("length"),
)
