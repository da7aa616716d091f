"""Text classification: one class per text, from class folders, columns of tables, or lines that begin with a label."""

from gnomon.core.task import TaskKind
from gnomon.parts.labelled_text import LabelledTextEncoder, LabelledTexts
from gnomon.parts.one_class import ClassHead, ClassJudge
from gnomon.training.samplers import by_length

TASK = TaskKind(
    name="text_classification",
    title="text classification",
    modality="text",
    target="a class",
    reader=LabelledTexts(),
    encoder=LabelledTextEncoder,
    head=ClassHead,
    judge=ClassJudge,
    model="gru",
    sampler=by_length("length"),
)
