"""Text: how it is read, and how it becomes ids."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, cast, final

import numpy as np
import torch
from torch import Tensor, nn

from gnomon.core.example import Example, Examples, Reading
from gnomon.core.family import TextInputs
from gnomon.core.knobs import TEXT
from gnomon.core.parts import Batch, Claim, Encoder, Reader, View
from gnomon.core.seeds import generator
from gnomon.core.settings import DataSettings, Settings
from gnomon.data.columns import Columns, gather
from gnomon.data.source import Source
from gnomon.data.text import reading
from gnomon.data.text.examples import TextExamples
from gnomon.data.text.tokens import END, SPECIAL, Numbering, smallest_type, vocabulary_of
from gnomon.runs.writer import write_bytes

LEAST_WORDS = 2  # times that a word occurs in train to be told apart: the others teach what an unknown word is


@final
@dataclass(frozen=True)
class RunningText(Reader):
    """Plain text without labels: one running text, a list of lines, a folder of documents."""

    abilities: ClassVar[frozenset[str]] = frozenset({TEXT})

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        certainty, why = reading.looks_like_text(source)
        return Claim(certainty, why) if certainty > 0 else None

    def read(self, source: Source, settings: DataSettings) -> Reading:
        return reading.read_running_text(source, settings)

    def read_inputs(self, source: Source, settings: DataSettings, encoder: TextEncoder) -> Reading:
        return reading.read_texts_to_predict(source, settings, encoder.level, encoder.length - 1)

    def write_sample(self, folder: Path, seed: int) -> Path:
        """Sixty made-up words of syllables in words.txt, one a line."""
        rng = generator(seed, "sample")
        syllables = ["ba", "no", "ri", "tu", "le", "so"]
        words = ["".join(rng.choice(syllables, int(rng.integers(2, 5)))) for _ in range(60)]
        write_bytes(folder / "words.txt", ("\n".join(words) + "\n").encode())
        return folder / "words.txt"

    def view(self, example: Example) -> View:
        return View(text=example.inputs)


@final
@dataclass(frozen=True)
class TextEncoder(Encoder):
    """Texts as the places of their characters or words in a vocabulary, and an end where a text ends."""

    level: str  # "character" or "word"
    vocabulary: tuple[str, ...]  # of the training split, the most frequent first
    length: int  # ids of the longest training text, its end included: longer ones are cut

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        texts, data = cast(TextExamples, train), settings.data
        level = data.level or "character"
        least = LEAST_WORDS if level == "word" else 1
        vocabulary = vocabulary_of(texts.texts(), level, data.vocabulary, least)
        numbering = Numbering(vocabulary, level)
        longest = max(len(numbering.ids(text)) for text in texts.texts())
        window = data.window or reading.WINDOW[level]
        return cls(level, vocabulary, min(longest, window) + 1)

    @property
    def inputs(self) -> TextInputs:
        return TextInputs(SPECIAL + len(self.vocabulary), self.length)

    def notes(self, train: Examples) -> tuple[str, ...]:
        return (f"{len(self.vocabulary):,} {self.level}s are told apart; others are unknown",)

    def input_kinds(self) -> str:
        return f"text of up to {self.length - 1:,} {self.level}s"

    def encode(self, examples: Examples) -> Columns:
        """`ids` (N, L), padded with 0; `length` (N,): how many ids each has; `bytes` (N,) of the text in UTF-8."""
        texts, numbering = cast(TextExamples, examples), Numbering(self.vocabulary, self.level)
        ids = np.zeros((len(texts), self.length), smallest_type(self.inputs.num_ids))
        lengths, sizes = np.empty(len(texts), np.int32), np.empty(len(texts), np.int32)
        for row, text in enumerate(texts.texts()):
            own = numbering.ids(text)
            if texts.are_whole:
                own = np.append(own, END)
            own = own[: self.length]
            ids[row, : len(own)], lengths[row] = own, len(own)
            sizes[row] = len(text.encode())
        return {"ids": torch.from_numpy(ids), "length": torch.from_numpy(lengths), "bytes": torch.from_numpy(sizes)}

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        """`ids` (B, T) int64, cut to the longest of the batch."""
        batch = gather(columns, indices)
        batch["ids"] = batch["ids"][:, : int(batch["length"].max())].long()
        return batch

    def arguments(self, model: nn.Module, batch: Batch) -> tuple[Any, ...]:
        return batch["ids"], batch["length"]
