"""One class per volume, in arrays."""

from gnomon.core.task import TaskKind
from gnomon.parts.grids import GridEncoder, LabelledVolumes
from gnomon.parts.one_class import ClassHead, ClassJudge

TASK = TaskKind(
    name="volume_classification",
    title="volume classification",
    modality="volume",
    target="a class",
    reader=LabelledVolumes(),
    encoder=GridEncoder,
    head=ClassHead,
    judge=ClassJudge,
    model="resnet3d8",
)
