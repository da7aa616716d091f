"""Translation: any text to any text, such as languages, dates, spelling to sound, question to answer."""

from gnomon.core.task import TaskKind
from gnomon.parts.pairs import PairEncoder, TextPairs
from gnomon.parts.translation import TranslationHead, TranslationJudge, TranslationSettings
from gnomon.training.samplers import by_length

TASK = TaskKind(
    name="translation",
    title="translation",
    modality="text",
    target="a text",
    reader=TextPairs(),
    encoder=PairEncoder,
    head=TranslationHead,
    judge=TranslationJudge,
    model="transformer",
    settings=TranslationSettings,
    sampler=by_length("ids", "target"),
)
