"""Image classification: one class per picture, from class folders, IDX files or arrays."""

from gnomon.core.task import TaskKind
from gnomon.parts.one_class import ClassHead, ClassJudge
from gnomon.parts.pictures import LabelledPictures, PictureEncoder

TASK = TaskKind(
    name="image_classification",
    title="image classification",
    modality="picture",
    target="a class",
    reader=LabelledPictures(),
    encoder=PictureEncoder,
    head=ClassHead,
    judge=ClassJudge,
    model="convnet",
)
