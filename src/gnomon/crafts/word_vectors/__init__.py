"""Word vectors: words in the same company get vectors that are close. Skip-gram, CBOW and GloVe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from gnomon.core.craft import Craft, Material, Measure
from gnomon.core.errors import DataError, UsageError
from gnomon.core.parts import Claim, View
from gnomon.core.seeds import generator
from gnomon.core.settings import DataSettings, OwnSettings, Settings, setting
from gnomon.crafts.word_vectors.batches import Batches, batch_size_for, batches_of
from gnomon.crafts.word_vectors.glove import GLOVE_BATCH, PairBatches, pairs_of
from gnomon.data.source import Source, counted
from gnomon.data.text.corpus import Corpus, corpus_of, frequent, lowered
from gnomon.data.text.files import all_texts, text_files
from gnomon.data.text.vectors import OUTPUT, Vectors, binary_of
from gnomon.data.text.word_space import Analogies, Similarities, Space, evaluate
from gnomon.figures.word_map import draw_word_map
from gnomon.nn.word_vectors import descend, glove_losses, loss
from gnomon.runs.writer import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUESTIONS = ("questions", "analog", "wordsim", "simlex", "similarit")  # how files of a folder are named that score it
LOOKED_AT = 16  # batches that the loss is measured on, evenly spread over the text, each time the same
ON_MAP = 100  # words
SHOWN = 12  # words with their neighbours in the report
TOO_COMMON = 100  # the most frequent words, which say little, are not shown
DEFAULTS = {  # learning rate, epochs, window
    "skipgram": (0.035, 5, 5),
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


@dataclass(frozen=True, eq=False)
class Read:
    """What was read."""

    corpus: Corpus
    questions: tuple[tuple[str, str], ...]  # (name, content) of files beside it that score vectors


class Tables(nn.Module):
    """What is learned, what is learned from, and how many steps were made."""

    steps: Tensor

    def __init__(self, words: tuple[str, ...], batches: Batches | PairBatches, dims: int) -> None:
        super().__init__()
        self.words, self.batches = words, batches
        is_tree = isinstance(batches, Batches) and batches.tree is not None
        half = 0.5 / dims
        self.inputs = nn.Parameter(torch.empty(len(words), dims).uniform_(-half, half))
        self.outputs = nn.Parameter(torch.zeros(len(words) - is_tree, dims))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        if isinstance(batches, PairBatches):
            nn.init.uniform_(self.outputs, -half, half)
            self.biases = nn.Parameter(torch.zeros(2, len(words)))

    @property
    def step(self) -> int:
        """The batch that is next."""
        return int(self.steps) % len(self.batches)

    def vectors(self) -> Vectors:
        """GloVe's are the sums of a word's two. Source: Pennington et al. 2014, section 4.2."""
        both = self.inputs + self.outputs if isinstance(self.batches, PairBatches) else self.inputs
        return Vectors(self.words, both.detach().cpu().numpy())


@final
class WordVectors(Craft):
    """A vector for each word of a text."""

    name = "word_vectors"
    title = "word vectors"
    measures = (Measure("loss per pair", "", "less"), Measure("length of a vector"))
    settings = WordSettings
    acts = frozenset({"data.window", "optimiser.batch_size"})

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        if source.tree is None:
            return None
        texts, questions = _files(source)
        if texts and questions:
            return Claim(0.9, f"{counted(len(texts), 'text')} beside questions about words ({questions[0]})")
        return Claim(0.1, "a text") if texts else None

    def read(self, source: Source, settings: DataSettings) -> Material:
        if source.tree is None:
            raise DataError("this is a table or an array, not text.", where=source.origin, fix="give a .txt file.")
        names, questions = _files(source)
        files = [file for file in source.tree.files if file.name in names] or source.tree.files
        texts, bad = all_texts(source.tree, files)
        corpus = corpus_of(texts)
        if len(corpus.words) < 2:
            raise DataError("it has fewer than two different words.", where=source.origin, fix="give a longer text.")
        notes = [f"not read: {one.where} ({one.why})" for one in bad]
        notes += [f"{text.name}: {remark}" for text in texts for remark in text.remarks]
        asked = tuple((name, source.tree.read(name).decode(errors="replace")) for name in questions)
        summary = f"a text of {len(corpus.ids):,} words, {len(corpus.words):,} different ones"
        return Material(Read(corpus, asked), summary, corpus.fingerprint, tuple(notes))

    def write_sample(self, folder: Path, seed: int) -> Path:
        rng, lines = generator(seed, "sample"), []
        for _ in range(120):
            who, does, what = (("cat", "dog", "cow"), ("eats", "finds", "wants"), ("fish", "bread", "grass"))
            lines.append(" ".join(str(rng.choice(one)) for one in (who, does, what)))
        write_text(folder / "corpus.txt", ".\n".join(lines))
        write_text(folder / "similarities.tsv", "cat\tdog\t9\neats\tfinds\t8\ncat\teats\t1\nfish\twants\t2\n")
        return folder

    def defaults(self, material: Material, settings: Settings) -> Mapping[str, Any]:
        own = settings.task.own
        rate, epochs, window = DEFAULTS[own["model"]]
        shared = {"optimiser.learning_rate": rate, "stop.epochs": epochs, "data.window": window,
                  "schedule.name": "cosine", "schedule.warmup": 0.0}  # fmt: skip
        if own["model"] == "glove":
            return {**shared, "optimiser.name": "adam", "optimiser.batch_size": GLOVE_BATCH}
        corpus = _cased(material.content, own["lower"])
        size = batch_size_for(corpus, own["min_count"], own["subsample"], is_tree=not own["negatives"])
        return {**shared, "optimiser.name": "sgd", "optimiser.batch_size": size}

    def begin(self, material: Material, settings: Settings) -> nn.Module:
        corpus, batches = _prepared(material, settings)
        words = corpus.words[: frequent(corpus, settings.task.own["min_count"])]
        return Tables(words, batches, settings.task.own["dims"])

    def steps_per_epoch(self, material: Material, settings: Settings) -> int:
        return len(_prepared(material, settings)[1])

    def loss(
        self, model: nn.Module, player: str, material: Material, settings: Settings, chance: torch.Generator
    ) -> Tensor:
        tables = _tables(model)
        return _losses(tables, settings, tables.step, chance)[0]

    def descend(
        self, model: nn.Module, material: Material, settings: Settings, rate: float, chance: torch.Generator
    ) -> Tensor | None:
        optimiser, regularise = settings.optimiser, settings.regularise
        is_plain = optimiser.name == "sgd" and not (optimiser.clip_norm or optimiser.clip_value)
        is_plain &= not (regularise.weight_decay or regularise.l1 or regularise.l2)
        tables = _tables(model)
        if not is_plain or isinstance(tables.batches, PairBatches) or tables.inputs.device.type != "cpu":
            return None
        batch = tables.batches.draw(tables.step, chance)
        with torch.no_grad():
            return descend(settings.task.own["model"], tables.inputs, tables.outputs, batch, rate)

    def advance(self, model: nn.Module) -> None:
        _tables(model).steps += 1

    def measure(self, model: nn.Module, material: Material, settings: Settings) -> Mapping[str, float]:
        tables, chance, total, pairs = _tables(model), torch.Generator().manual_seed(0), 0.0, 0.0
        for step in np.unique(np.linspace(0, len(tables.batches) - 1, LOOKED_AT).astype(int)).tolist():
            found, count = _losses(tables, settings, step, chance)
            total, pairs = total + float(found), pairs + count
        length = torch.from_numpy(tables.vectors().values).norm(dim=1).mean()
        return {"loss per pair": total / max(pairs, 1), "length of a vector": float(length)}

    def outputs(self, model: nn.Module, material: Material) -> Mapping[str, bytes]:
        return {OUTPUT: binary_of(_tables(model).vectors())}

    def show(self, model: nn.Module, material: Material) -> Sequence[tuple[str, View]]:
        space = Space(_tables(model).vectors())
        scores = []
        for name, content in material.content.questions:
            try:
                scores.append((name, View(text=score_line(evaluate(space, content, name)))))
            except DataError as error:
                scores.append((name, View(text=error.what)))
        chosen = _telling(len(space.words), SHOWN)
        near = [(space.words[place], space.nearest(space.words[place], 8)) for place in chosen]
        return [
            *scores,
            *((f"nearest to {word}", View(text=", ".join(one.word for one in found))) for word, found in near),
        ]

    def figures(self, model: nn.Module, material: Material) -> Mapping[str, Figure]:
        space = Space(_tables(model).vectors())
        places = _telling(len(space.words), ON_MAP)
        title = f"{len(places)} words on a map: near each other where their vectors are (t-SNE)"
        return {title: draw_word_map([space.words[place] for place in places], space.map(places))}


def _tables(model: nn.Module) -> Tables:
    assert isinstance(model, Tables)
    return model


def score_line(found: Analogies | Similarities) -> str:
    """`analogies: 12.3 % right (1,131 of 9,192 asked, of 19,544)`."""
    if isinstance(found, Analogies):
        every = found.all
        return (
            f"analogies: {100 * every.share:.1f} % right ({every.right:,} of {every.asked:,} with vectors for all four "
            f"words; {found.questions:,} in the file)"
        )
    return (
        f"similarities: Spearman's correlation {found.spearman:.3f}, Pearson's {found.pearson:.3f} ({found.used:,} of "
        f"{found.pairs:,} pairs with vectors for both words)"
    )


def _telling(num_words: int, count: int) -> list[int]:
    """Places of frequent words, without the most frequent ones, where there are enough."""
    first = TOO_COMMON if num_words >= TOO_COMMON + count else 0
    return list(range(first, min(num_words, first + count)))


def _files(source: Source) -> tuple[list[str], list[str]]:
    """Names of texts, and of files with questions about words."""
    assert source.tree is not None
    names = [file.name for file in source.tree.files]
    questions = [name for name in names if any(one in name.rpartition("/")[2].lower() for one in QUESTIONS)]
    texts = [file.name for file in text_files(source.tree) if file.name not in questions]
    return (texts, questions) if texts else ([file.name for file in text_files(source.tree)], [])


@lru_cache(maxsize=1)
def _lowered(read: Read) -> Corpus:
    return lowered(read.corpus)


def _cased(read: Read, lower: bool) -> Corpus:
    return _lowered(read) if lower else read.corpus


def _prepared(material: Material, settings: Settings) -> tuple[Corpus, Batches | PairBatches]:
    own = settings.task.own
    values = tuple(own[name] for name in ("model", "min_count", "negatives", "subsample", "lower"))
    return _batches(material.content, *values, settings.data.window, settings.optimiser.batch_size, settings.seed)


@lru_cache(maxsize=1)  # asked for by every step; kept beside the material that it is made of
def _batches(
    read: Read, model: str, min_count: int, negatives: int, subsample: float, lower: bool,
    window: int, batch_size: int, seed: int,
) -> tuple[Corpus, Batches | PairBatches]:  # fmt: skip
    """Raises UsageError where too few words are left."""
    corpus = _cased(read, lower)
    if frequent(corpus, min_count) < 2:
        raise UsageError(
            f"min_count={min_count}: fewer than two words occur so often.", fix="use min_count=1, or a longer text."
        )
    if model == "glove":
        pairs = pairs_of(corpus, min_count=min_count, window=window, batch_size=batch_size, seed=seed)
        if not len(pairs.order):
            raise UsageError("no two words stand in one line.", fix="give lines of several words, or use min_count=1.")
        return corpus, pairs
    return corpus, batches_of(
        corpus, min_count=min_count, threshold=subsample, window=window, negatives=negatives, batch_size=batch_size
    )


def _losses(model: Tables, settings: Settings, step: int, chance: torch.Generator) -> tuple[Tensor, float]:
    """The loss of a batch, summed over its pairs, and how many these are (CBOW: positions)."""
    device = model.inputs.device
    if isinstance(model.batches, PairBatches):
        own, other, seen = (one.to(device) for one in model.batches.take(step))
        found = glove_losses(
            embedding(own, model.inputs), embedding(other, model.outputs), model.biases[0][own], model.biases[1][other],
            seen,
        )  # fmt: skip
        return found.sum(), float(len(seen))
    batch, method = model.batches.draw(step, chance).to(device), settings.task.own["model"]
    count = batch.near.sum() if method == "skipgram" else (batch.near.sum(2) > 0).sum()
    return loss(method, model.inputs, model.outputs, batch), float(count)


CRAFT = WordVectors()
