"""Pairs of texts: how they are read, and how sources become ids; the vocabularies of both sides."""

from __future__ import annotations

import importlib.util
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, cast, final

import numpy as np
import torch
from torch import Tensor, nn

from gnomon.core.example import Example, Examples, Reading
from gnomon.core.family import PairInputs
from gnomon.core.knobs import COLUMNS, GROUPS, PAIRS, TEXT
from gnomon.core.parts import Batch, Claim, Encoder, Reader, View
from gnomon.core.seeds import generator
from gnomon.core.settings import DataSettings, RegulariseSettings, Settings
from gnomon.data.columns import Columns, Ragged, gather
from gnomon.data.source import Source
from gnomon.data.text.pairs import PairExamples
from gnomon.data.text.pairs_reading import looks_like_pairs, read_pairs, read_to_translate
from gnomon.data.text.subwords import learned, pieces_of
from gnomon.data.text.tokens import END, PADDING, SPECIAL, UNKNOWN, Numbering, normalised, smallest_type, vocabulary_of
from gnomon.runs.writer import write_bytes

LONGEST = {"character": 512, "word": 256, "subword": 256}  # pieces of a text that are kept, by default
LEAST_WORDS = 2  # times that a word occurs in train to be told apart: the others teach what an unknown word is
MERGED = 4  # times the root of the characters of train: subwords. 2,000 for 2,000 pairs of sentences, 8,000 for 29,000
ENOUGH = 200_000  # characters of train from which on subwords are learned; fewer are words
SHORT = 24  # characters of nearly all targets that are no sentences: dates, numbers, sounds
NEARLY_ALL = 0.95
SHARED = 0.8  # of the letters of each side, which the other has as well, for one vocabulary
LOOKED_AT = 2_000  # texts whose letters are compared
NO_BYTE = 0xFF  # which UTF-8 never has: it divides texts and stands behind them


@final
@dataclass(frozen=True)
class TextPairs(Reader):
    """Line-aligned files, columns of tables, JSON lines: texts, and what each is to become."""

    abilities: ClassVar[frozenset[str]] = frozenset({TEXT, PAIRS, COLUMNS, GROUPS})
    takes_texts: ClassVar[bool] = True

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        certainty, why = looks_like_pairs(source, settings)
        return Claim(certainty, why) if certainty > 0 else None

    def read(self, source: Source, settings: DataSettings) -> Reading:
        return read_pairs(source, settings)

    def read_inputs(self, source: Source, settings: DataSettings, encoder: PairEncoder) -> Reading:
        return read_to_translate(source, settings, encoder.source_name)

    def write_sample(self, folder: Path, seed: int) -> Path:
        """Eighty dates in sample.csv, in columns named source and target: "5 March 2016" and "2016-03-05"."""
        rng = generator(seed, "sample")
        months = ("January", "March", "May", "July", "August", "October")
        rows = ["source,target"]
        for _ in range(80):
            place, day, year = int(rng.integers(0, 6)), int(rng.integers(1, 29)), int(rng.integers(2010, 2020))
            month = f"{year}-{(1, 3, 5, 7, 8, 10)[place]:02}-{day:02}"
            rows.append(f"{day} {months[place]} {year},{month}")
        write_bytes(folder / "sample.csv", ("\n".join(rows) + "\n").encode())
        return folder / "sample.csv"

    def view(self, example: Example) -> View:
        fields = {"target": " / ".join(example.target)} if example.target else {}
        return View(text=example.inputs, fields=fields)


@final
@dataclass(frozen=True)
class PairEncoder(Encoder):
    """Sources as the places of their pieces in a vocabulary, and an end; what the pieces of targets are."""

    abilities: ClassVar[frozenset[str]] = frozenset()

    level: str  # of sources: "character", "word" or "subword"
    target_level: str
    vocabulary: tuple[str, ...]  # of train's sources, the most frequent first; of both sides, where it is joint
    target_vocabulary: tuple[str, ...]
    length: int  # ids of the longest source in training, its end included
    target_length: int
    most: int  # pieces of a source that are kept: longer ones are cut
    target_most: int
    ratio: float  # pieces of targets for each piece of their sources, in train
    subwords: str = ""  # the model that divides sources into them
    target_subwords: str = ""
    is_joint: bool = False
    normalise: tuple[str, ...] = ()  # what sources are changed by before they are read; targets stay as they are
    source_name: str = ""  # of the column, or the ending of files
    is_several: bool = False  # whether some source of train has several references
    is_short: bool = False  # whether targets are judged as right or wrong

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        pairs, data = cast(PairExamples, train), settings.data
        sources = [normalised(text, data.normalise) for text in pairs.sources.texts()]
        targets = [text for some in pairs.all_references() for text in some]
        is_short = are_short(targets)
        level = data.level or ("character" if is_short else _level_of_sentences(sources, targets))
        by = settings.task.own.get("judged_by")
        is_short = is_short if by is None else by == "exact"
        target_level = data.target_level or level
        is_joint = data.joint == "yes" if data.joint else level == "subword" and share_letters(sources, targets)
        is_joint = is_joint and level == target_level
        if is_joint:
            vocabulary, subwords = _pieces(sources + targets, level, data.vocabulary)
            target_vocabulary, target_subwords = vocabulary, subwords
        else:
            vocabulary, subwords = _pieces(sources, level, data.vocabulary)
            target_vocabulary, target_subwords = _pieces(targets, target_level, data.vocabulary)
        sizes = _sizes(sources, Numbering(vocabulary, level, subwords))
        target_sizes = _sizes(targets, Numbering(target_vocabulary, target_level, target_subwords))
        ratio = sum(target_sizes) * len(sizes) / (len(target_sizes) * max(sum(sizes), 1))
        most, target_most = (data.window or LONGEST[one] for one in (level, target_level))
        return cls(
            level, target_level, vocabulary, target_vocabulary,
            min(max(sizes), most) + 1, min(max(target_sizes), target_most) + 1, most, target_most,
            ratio, subwords, target_subwords, is_joint, data.normalise, pairs.source_name,
            bool((pairs.count > 1).any()), is_short,
        )  # fmt: skip

    @property
    def inputs(self) -> PairInputs:
        return PairInputs(
            SPECIAL + len(self.vocabulary), self.length, SPECIAL + len(self.target_vocabulary), self.target_length,
            self.is_joint,
        )  # fmt: skip

    def numbering(self) -> Numbering:
        """From sources to ids."""
        return Numbering(self.vocabulary, self.level, self.subwords, self.normalise)

    def notes(self, train: Examples) -> tuple[str, ...]:
        pairs = cast(PairExamples, train)
        found = [_told_apart(self.vocabulary, self.level, self.subwords, "both sides" if self.is_joint else "sources")]
        if not self.is_joint:
            found.append(
                _told_apart(self.target_vocabulary, self.target_level, self.target_subwords, "targets")
            )  # fmt: skip
        if "subword" not in (self.level, self.target_level) and not _has_subwords():
            found.append("pip install 'gnomon[text]' for level=subword, which is usual for sentences")
        target = Numbering(self.target_vocabulary, self.target_level, self.target_subwords)
        sides = (
            ("sources", pairs.sources.texts(), self.numbering(), self.most, self.level),
            ("targets", pairs.targets.texts(), target, self.target_most, self.target_level),
        )
        for what, texts, numbering, most, level in sides:
            cut = sum(len(numbering.ids(text)) > most for text in texts)
            if cut:
                found.append(f"{cut:,} training {what} are cut after {most:,} {level}s (window=... to change that)")
        return tuple(found)

    def input_kinds(self) -> str:
        return f"texts of up to {self.length - 1:,} {self.level}s"

    def encode(self, examples: Examples) -> Columns:
        """`ids` with their end, and `text` in UTF-8, ragged; `length`, `unknown` (N,): ids, and those that say nothing.

        `uncut` (N,): the ids that there would be, were long sources not cut.
        """
        pairs, numbering = cast(PairExamples, examples), self.numbering()
        kind = smallest_type(self.inputs.num_ids)
        ids, texts, uncut = [], [], []
        for text in pairs.sources.texts():
            own = numbering.ids(text)
            ids.append(np.append(own[: self.most], END).astype(kind))
            texts.append(np.frombuffer(text.encode(), np.uint8))
            uncut.append(len(own) + 1)
        return {
            "length": torch.tensor([len(own) for own in ids]),
            "unknown": torch.tensor([int((own == UNKNOWN).sum()) for own in ids]),
            "uncut": torch.tensor(uncut),
            "ids": ragged(ids),
            "text": ragged(texts),
        }

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        """`ids` (B, S) int64; `text` (B, bytes)."""
        ids, text = (cast(Ragged, columns[name]) for name in ("ids", "text"))
        return {
            **gather(columns, indices),
            "ids": ids.pad(indices, PADDING).long(),
            "text": text.pad(indices, NO_BYTE),
        }

    def augment(self, batch: Batch, settings: RegulariseSettings, generator: torch.Generator) -> Batch:
        """Of a source with several references, training draws one."""
        if "choices" not in batch:
            return batch
        counts = (batch["choices"] == END).sum(dim=1)
        drawn = torch.rand(len(counts), generator=generator, device=counts.device)
        target = one_of(batch["choices"], (drawn * counts).long().minimum(counts - 1))
        return {**batch, "target": target, "weight": weight_of(target, is_short=self.is_short)}

    def arguments(self, model: nn.Module, batch: Batch) -> tuple[Any, ...]:
        return batch["ids"], batch["length"]

    def has_unknown(self, examples: Examples) -> np.ndarray | None:
        if self.level == "subword":
            return None
        numbering = self.numbering()
        texts = cast(PairExamples, examples).sources.texts()
        return np.array([bool((numbering.ids(text) == UNKNOWN).any()) for text in texts])


def one_of(choices: Tensor, number: Tensor) -> Tensor:
    """(B, T) int64: of references end to end (B, L), each with its END, the one of that `number` (B,)."""
    is_end = choices == END
    which = is_end.cumsum(dim=1) - is_end.long()
    is_own = (which == number[:, None]) & (choices != PADDING)
    lengths, starts = is_own.sum(dim=1), is_own.long().argmax(dim=1)
    places = torch.arange(int(lengths.max()), device=choices.device)
    found = choices.gather(1, (starts[:, None] + places).clamp_max(choices.shape[1] - 1))
    return (found * (places < lengths[:, None])).long()


def weight_of(target: Tensor, *, is_short: bool) -> Tensor:
    """(B,) what counts of each pair: its pieces, or the pair as a whole where targets are short."""
    return torch.ones(len(target), device=target.device) if is_short else (target != PADDING).sum(dim=1).float()


def ragged(rows: Sequence[np.ndarray]) -> Ragged:
    """From at least one array of at least one dim."""
    lengths = torch.tensor([0, *(len(row) for row in rows)])
    return Ragged(torch.from_numpy(np.concatenate(rows)), lengths.cumsum(0))


def texts_of(column: Tensor | Ragged) -> list[str]:
    """The texts of a column `text`, or of a batch of them, (B, bytes)."""
    return [parts[0] for parts in parts_of(column)]


def parts_of(column: Tensor | Ragged) -> list[list[str]]:
    """The texts in each row, divided by NO_BYTE: references."""
    if isinstance(column, Ragged):
        rows = [column.row(row).numpy().tobytes() for row in range(len(column))]
    else:
        rows = [row.tobytes() for row in column.cpu().numpy()]
    divider = bytes([NO_BYTE])
    return [[part.decode() for part in row.rstrip(divider).split(divider)] for row in rows]


def are_short(targets: Sequence[str]) -> bool:
    """Whether nearly all are so short that a wrong character makes them wrong: dates, numbers, sounds."""
    sizes = np.array([len(text) for text in targets])
    return bool((sizes <= SHORT).mean() >= NEARLY_ALL)


def share_letters(sources: Iterable[str], targets: Iterable[str]) -> bool:
    """Whether most letters of each side are letters of the other: the sides of two languages with one script."""
    counts = [
        Counter(one for text in list(texts)[:LOOKED_AT] for one in text if one.isalpha())
        for texts in (sources, targets)
    ]  # fmt: skip
    if not all(counts):
        return False
    shares = [
        sum(count for letter, count in own.items() if letter in other) / own.total()
        for own, other in (counts, counts[::-1])
    ]
    return min(shares) >= SHARED


def _level_of_sentences(sources: Sequence[str], targets: Sequence[str]) -> str:
    """Subwords, or words where there is too little text to learn them from."""
    total = sum(map(len, sources)) + sum(map(len, targets))
    return "subword" if total >= ENOUGH and _has_subwords() else "word"


def _has_subwords() -> bool:
    return importlib.util.find_spec("sentencepiece") is not None


def _pieces(texts: list[str], level: str, most: int) -> tuple[tuple[str, ...], str]:
    """The vocabulary, and of subwords the model that divides into them."""
    if level == "subword":
        model = learned(texts, most, max(1, math.isqrt(sum(map(len, texts))) // MERGED))
        return pieces_of(model), model
    return vocabulary_of(texts, level, most, LEAST_WORDS if level == "word" else 1), ""


def _sizes(texts: Sequence[str], numbering: Numbering) -> list[int]:
    return [len(numbering.ids(text)) for text in texts]


def _told_apart(vocabulary: Sequence[str], level: str, subwords: str, side: str) -> str:
    others = "others are written as bytes" if subwords else "others are unknown"
    return f"{len(vocabulary):,} {level}s of {side} are told apart; {others}"
