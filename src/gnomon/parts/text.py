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
from gnomon.core.knobs import RUNNING_TEXT, TEXT
from gnomon.core.parts import Batch, Claim, Encoder, Reader, View
from gnomon.core.seeds import generator
from gnomon.core.settings import DataSettings, RegulariseSettings, Settings
from gnomon.data.columns import Columns, gather
from gnomon.data.source import Source
from gnomon.data.text import reading
from gnomon.data.text.examples import Each, TextExamples
from gnomon.data.text.subwords import MOST_CHARACTERS, learned, pieces_of
from gnomon.data.text.tokens import END, SPECIAL, UNKNOWN, Numbering, normalised, smallest_type, vocabulary_of
from gnomon.runs.writer import write_bytes

LEAST_WORDS = 2  # times that a word occurs in train to be told apart: the others teach what an unknown word is
MOST_BYTES = {"character": 4, "word": 16, "subword": 8}  # of a piece, to find as many as are wanted before a window


@final
@dataclass(frozen=True)
class RunningText(Reader):
    """Plain text without labels: one running text, a list of lines, a folder of documents."""

    abilities: ClassVar[frozenset[str]] = frozenset({TEXT, RUNNING_TEXT})
    takes_texts: ClassVar[bool] = True

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        certainty, why = reading.looks_like_text(source)
        return Claim(certainty, why) if certainty > 0 else None

    def read(self, source: Source, settings: DataSettings) -> Reading:
        return reading.read_running_text(source, settings)

    def read_inputs(self, source: Source, settings: DataSettings, encoder: TextEncoder) -> Reading:
        return reading.read_texts_to_predict(source, encoder.each, encoder.level, encoder.window or encoder.length - 1)

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

    is_quick: ClassVar[bool] = True

    level: str  # "character", "word" or "subword"
    vocabulary: tuple[str, ...]  # of the training split, the most frequent first
    length: int  # ids of the longest training text, its end included: longer ones are cut
    each: Each  # what a text is; windows of a running text have no end
    subwords: str = ""  # the model that divides into them
    window: int = 0  # that a running text was cut by, where the number of its subwords varies
    context: int = 0  # most ids of the text before a window that a model reads before it is judged on the window
    normalise: tuple[str, ...] = ()  # what texts are changed by before they are read

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        texts, data = cast(TextExamples, train), settings.data
        level = data.level or "character"
        least = LEAST_WORDS if level == "word" else 1
        usual = reading.WINDOW if texts.each == "window" else reading.LONGEST
        subwords, window = "", data.window or usual[level]
        if level == "subword":
            every = max(1, -(-int(texts.sizes().sum()) // MOST_CHARACTERS))
            some = texts.take(np.arange(0, len(texts), every))
            subwords = learned([normalised(text, data.normalise) for text in some.texts()], data.vocabulary)
            vocabulary = pieces_of(subwords)
        else:
            plain = (normalised(text, data.normalise) for text in texts.texts())
            vocabulary = vocabulary_of(plain, level, data.vocabulary, least)
        numbering = Numbering(vocabulary, level, subwords, data.normalise)
        is_counted = texts.each == "window" and level != "subword"
        looked_at = [texts.text(0)] if is_counted else texts.texts()  # no such window is longer than the first
        longest = max(len(numbering.ids(text)) for text in looked_at)
        if texts.each != "window":
            return cls(level, vocabulary, min(longest, window) + 1, texts.each, subwords, normalise=data.normalise)
        length = longest if level == "subword" and texts.windows == 1 else min(longest, window)
        return cls(
            level, vocabulary, length + 1, texts.each, subwords, window * (level == "subword"), context=length,
            normalise=data.normalise,
        )  # fmt: skip

    @property
    def inputs(self) -> TextInputs:
        return TextInputs(SPECIAL + len(self.vocabulary), self.length)

    def numbering(self) -> Numbering:
        """From texts to ids."""
        return Numbering(self.vocabulary, self.level, self.subwords, self.normalise)

    def notes(self, train: Examples) -> tuple[str, ...]:
        others = "others are written as bytes" if self.subwords else "others are unknown"
        found = [f"{len(self.vocabulary):,} {self.level}s are told apart; {others}"]
        most, texts = self.length - 1, cast(TextExamples, train)
        cut = 0
        if self.each != "window":
            numbering = self.numbering()
            cut = sum(len(numbering.ids(text)) > most for text in texts.texts())
        if cut:
            found.append(f"{cut:,} training texts are cut after {most:,} {self.level}s (window=... to change that)")
        return tuple(found)

    def input_kinds(self) -> str:
        return f"text of up to {self.length - 1:,} {self.level}s"

    def encode(self, examples: Examples) -> Columns:
        """Of each text, as far as it is kept: `ids` (N, L), padded with 0; their number, `length` (N,).

        `bytes` (N,): of that part in UTF-8; `unknown` (N,): how many ids stand for no piece of the vocabulary. Of
        windows, `context` (N,): how many of the ids, the first ones, stand before what is judged, and `own` (N,): how
        many before what may be trained on, which differ where a text has several windows. These two count in `length`
        alone.
        """
        texts, numbering = cast(TextExamples, examples), self.numbering()
        most = self.context + self.length if texts.windows == 1 else self.context * texts.windows
        ids = np.zeros((len(texts), most), smallest_type(self.inputs.num_ids))
        counts = np.empty((5, len(texts)), np.int32)
        for row, text in enumerate(texts.texts()):
            own = numbering.ids(text)
            if self.each != "window":
                own = np.append(own, END)
            if texts.windows > 1:
                own = own[:most]
                before, judged = 0, max(0, len(own) - self.context)
                kept = text[len(numbering.beginning(text, judged)) :] if judged else text
            else:
                kept = text if len(own) <= self.length else numbering.beginning(text, self.length)
                context = self._before(texts, row, numbering)
                own = np.concatenate([context, own[: self.length]])
                before = judged = len(context)
            ids[row, : len(own)] = own
            counts[:, row] = len(own), len(kept.encode()), (own[judged:] == UNKNOWN).sum(), judged, before
        names = ("length", "bytes", "unknown", "context", "own")
        found = dict(zip(names if self.context else names[:3], torch.from_numpy(counts), strict=False))
        return {"ids": torch.from_numpy(ids), **found}

    def _before(self, texts: TextExamples, row: int, numbering: Numbering) -> np.ndarray:
        """(C,) ids of the text before a window, at most `context`."""
        if not self.context:
            return np.empty(0, np.int32)
        return numbering.ids(texts.before(row, self.context * MOST_BYTES[self.level]))[-self.context :]

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        """`ids` (B, T) int64, cut to the longest of the batch."""
        batch = gather(columns, indices)
        batch["ids"] = batch["ids"][:, : int(batch["length"].max())].long()
        return batch

    def augment(self, batch: Batch, settings: RegulariseSettings, generator: torch.Generator) -> Batch:
        """Training takes windows without what stands before them, which was paid for as a window of its own.

        Of a text with several windows it takes one from anywhere.
        """
        if "context" not in batch:
            return batch
        most = (batch["length"] - self.context).maximum(batch["own"])
        drawn = most - batch["own"]
        if drawn.any():
            share = torch.rand(len(drawn), generator=generator, device=drawn.device)
            drawn = (share * (drawn + 1)).long().minimum(drawn)
        starts = batch["own"] + drawn
        return _stretch(batch, starts, starts, self.context)

    def plain(self, batch: Batch) -> Batch:
        """What is judged, and of what stands before it at most `context` ids."""
        if "context" not in batch or batch["ids"].shape[1] <= self.context + self.length:
            return batch
        return _stretch(batch, (batch["context"] - self.context).clamp_min(0), batch["context"], 2 * self.context)

    def arguments(self, model: nn.Module, batch: Batch) -> tuple[Any, ...]:
        return batch["ids"], batch["length"]


def _stretch(batch: Batch, starts: Tensor, judged: Tensor, most: int) -> Batch:
    """The ids from `starts` (B,) on, at most so many of each, of which those from `judged` on are scored."""
    lengths = (batch["length"] - starts).clamp_max(most)
    places = torch.arange(int(lengths.max()), device=starts.device)
    ids = batch["ids"].gather(1, (starts[:, None] + places).clamp_max(batch["ids"].shape[1] - 1))
    own = {"length": lengths, "context": judged - starts, "weight": (lengths - (judged - starts)).float()}
    return {**batch, **own, "ids": ids * (places < lengths[:, None])}
