"""One class per signal, in arrays."""

from gnomon.core.task import TaskKind
from gnomon.parts.grids import GridEncoder, LabelledSignals
from gnomon.parts.one_class import ClassHead, ClassJudge

TASK = TaskKind(
    name="signal_classification",
    title="signal classification",
    modality="signal",
    target="a class",
    reader=LabelledSignals(),
    encoder=GridEncoder,
    head=ClassHead,
    judge=ClassJudge,
    model="resnet1d",
)
