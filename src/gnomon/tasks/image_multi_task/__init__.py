"""Multi-task image classification: several classes per picture, any of which may be unknown, with one network."""

from gnomon.core.task import TaskKind
from gnomon.parts.pictures import ListedPictures, PictureEncoder
from gnomon.parts.several_classes import SeveralClassesHead, SeveralClassesJudge

TASK = TaskKind(
    name="image_multi_task",
    title="multi-task image classification",
    modality="picture",
    target="several classes",
    reader=ListedPictures(),
    encoder=PictureEncoder,
    head=SeveralClassesHead,
    judge=SeveralClassesJudge,
    model="convnet",
)
