"""Word vectors: words in the same company get vectors that are close. Skip-gram, CBOW and GloVe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
import torch
from torch import Tensor, nn

from gnomon.core.craft import Craft, Material, Measure
from gnomon.core.errors import DataError, UsageError
from gnomon.core.parts import Claim, View
from gnomon.core.seeds import generator
from gnomon.core.settings import DataSettings, OwnSettings, Settings, setting
from gnomon.crafts.word_vectors.batches import BLOCK, Batches, batches_of
from gnomon.crafts.word_vectors.glove import GLOVE_BATCH, PairBatches, pairs_of
from gnomon.data.source import Source, counted
from gnomon.data.text.corpus import Corpus, corpus_of, frequent
from gnomon.data.text.files import all_texts, text_files
from gnomon.data.text.vectors import OUTPUT, Vectors, binary_of
from gnomon.figures.word_map import draw_word_map
from gnomon.nn.word_vectors import Blocks, Ways, descend, glove_losses, loss
from gnomon.strategy.word_vectors import Analogies, Space, evaluate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUESTIONS = ("questions", "analog", "wordsim", "simlex", "similarit")  # how files of a folder are named that score it
LOOKED_AT = 16  # batches that the loss is measured on, evenly spread over the text, each time the same
ON_MAP = 100  # words
SHOWN = 12  # words with their neighbours in the report
TOO_COMMON = 100  # the most frequent words, which say little, are not shown
DEFAULTS = {  # learning rate, epochs, window
    "skipgram": (0.025, 5, 5),
    "cbow": (0.05, 5, 5),
    "glove": (0.02, 25, 10),
}


@final
class WordSettings(OwnSettings):
    """Of word vectors."""

    model: Literal["skipgram", "cbow", "glove"] = setting(
        "skipgram",
        "skipgram: a word predicts each word near it; cbow: their mean predicts it; glove: products of vectors are the "
        "logarithms of how often words stand together",
    )
    dims: int = setting(100, "numbers in a vector", ge=1, le=2000)
    min_count: int = setting(5, "words that occur less often get no vector", ge=1)
    negatives: int = setting(
        5, "words drawn against each pair; 0: a Huffman tree in their place (skipgram, cbow)", ge=0, le=100
    )
    subsample: float = setting(
        1e-3, "words more frequent than this share are left out at random (0: none; skipgram, cbow)", ge=0, lt=1
    )
    lower: bool = setting(False, "read words in lower case")


@dataclass(frozen=True)
class Words:
    """What was read."""

    corpus: Corpus
    lower: Corpus | None
    questions: tuple[tuple[str, str], ...]  # (name, content) of files that score vectors
