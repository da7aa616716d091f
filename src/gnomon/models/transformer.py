"""Transformers: each place of a text looks at itself and those before it, or, of whole texts, at all of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, final

import torch
from torch import Tensor, nn

from gnomon.core.family import Family, PairInputs, TextInputs, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, DROPOUT, HIDDEN_LAYERS, Here, Knob, Search, Step
from gnomon.core.settings import OwnSettings, setting
from gnomon.models._defaults import is_small, pairs_recipe, text_recipe, whole_text_recipe
from gnomon.models._transformer_pairs import TransformerPairs
from gnomon.models._words import word_dropout_setting, word_recipe, words_of
from gnomon.nn.attention import Block, Norm, Past
from gnomon.nn.blocks import one_each
from gnomon.nn.pooling import mean_over_steps
from gnomon.nn.recurrent import real_steps

LARGER = "a larger net fits more"
MOST_WIDTH, MOST_LAYERS = 4096, 48
WIDTH, LAYERS = 128, 4  # of nets that read
PAIR_WIDTH, SMALL_PAIR_WIDTH, PAIR_LAYERS = 256, 128, 3  # of those that read one text and write another
EMBEDDED = 0.02  # standard deviation of embeddings at the start, as in GPT-2: what the blocks add soon outweighs them


class State(NamedTuple):
    """What is kept of the places so far, to go on from them."""

    ids: Tensor  # (B, S)
    past: list[Past]  # of each block


@final
class Transformer(nn.Module):
    """(B, T) ids -> (B, T, num_outputs) at each place, from that id and those before it.

    There are `length` positions: of a longer text, each place sees the half of `length` before it, or more.
    """

    def __init__(
        self, num_ids: int, num_outputs: int, *, length: int, width: int, layers: int, heads: int, dropout: float,
        norm: Norm = "before",
    ) -> None:  # fmt: skip
        super().__init__()
        self.length = length
        self.embedding = nn.Embedding(num_ids, width)
        self.positions = nn.Embedding(length, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(width, heads, dropout=dropout, is_causal=True, norm=norm) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width) if norm == "before" else nn.Identity()
        self.head = nn.Linear(width, num_outputs)

    def start(self, generator: torch.Generator) -> None:
        _start_small((self.embedding, self.positions), self.blocks)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Padding stands after a text, where nothing of it looks: `lengths` are not needed."""
        found, half = [self._read(ids[:, : self.length])], max(1, self.length // 2)
        for first in range(self.length, ids.shape[1], half):
            last = first + half
            found.append(self._read(ids[:, last - self.length : last])[:, self.length - half :])
        return found[0] if len(found) == 1 else torch.cat(found, dim=1)

    def _read(self, ids: Tensor) -> Tensor:
        x = self._placed(ids, 0)
        for block in self.blocks:
            x = block(x)
        outputs: Tensor = self.head(self.norm(x))
        return outputs

    def step(self, ids: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Going on from a state (None: the beginning): (B, at most T, num_outputs) of the last places, and the state.

        There are `length` positions: where more would be needed, the latter half of the text is read again, as a
        beginning.
        """
        seen = ids if state is None else torch.cat([state.ids, ids], dim=1)
        if seen.shape[1] > self.length:
            seen = ids = seen[:, -max(1, self.length // 2) :]
            state = None
        x = self._placed(ids, seen.shape[1] - ids.shape[1])
        kept = []
        for number, block in enumerate(self.blocks):
            x, past = block.step(x, None if state is None else state.past[number])  # type: ignore[operator]
            kept.append(past)
        outputs: Tensor = self.head(self.norm(x))
        return outputs, State(seen, kept)

    def _placed(self, ids: Tensor, first: int) -> Tensor:
        places = torch.arange(first, first + ids.shape[1], device=ids.device)
        placed: Tensor = self.dropout(self.embedding(ids) + self.positions(places))
        return placed


@final
class TransformerWhole(nn.Module):
    """(B, T) ids -> (B, num_outputs) of each whole text, or (B, T, num_outputs) at each place, from the whole text.

    With `num_characters`, ids (B, T, 1 + W) of words and their characters. Each place looks at all of its text; of a
    text, the mean over its places counts. T is at most `length`. Padding changes nothing.
    """

    def __init__(
        self, words: nn.Module, num_outputs: int, *, length: int, width: int, layers: int, heads: int, dropout: float,
        at_each_place: bool, norm: Norm = "before",
    ) -> None:  # fmt: skip
        super().__init__()
        self.at_each_place = at_each_place
        self.embedding = words
        self.positions = nn.Embedding(length, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(width, heads, dropout=dropout, is_causal=False, norm=norm) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width) if norm == "before" else nn.Identity()
        self.head = nn.Linear(width, num_outputs)

    def start(self, generator: torch.Generator) -> None:
        tables = [one for one in self.embedding.modules() if isinstance(one, nn.Embedding)]
        _start_small((*tables, self.positions), self.blocks)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        is_there = real_steps(lengths, ids.shape[1])
        x = self.dropout(self.embedding(ids) + self.positions.weight[: ids.shape[1]])
        for block in self.blocks:
            x = block(x, is_there)
        found = self.norm(x)
        if not self.at_each_place:
            found = mean_over_steps(found, lengths)
        outputs: Tensor = self.head(found)
        return outputs


@torch.no_grad()
def _start_small(tables: Iterable[nn.Embedding], blocks: nn.ModuleList) -> None:
    """Small embeddings, and what blocks add to them smaller the more there are. Source: Radford et al. 2019."""
    for table in tables:
        table.weight.mul_(EMBEDDED / max(float(table.weight.std()), EMBEDDED))
    for block in blocks:
        for layer in (block.attention.output, block.narrow):  # type: ignore[union-attr]  # they are Blocks
            layer.weight.div_(math.sqrt(2 * len(blocks)))  # type: ignore[union-attr,operator]


def _widths(width: int, here: Here) -> tuple[float, float] | None:
    """Powers of two, which the heads divide; none, where they cannot."""
    heads = int(here.settings.get("model.heads") or 1)
    if heads & (heads - 1):
        return None
    return max(heads, 16, width // 4), min(4 * width, MOST_WIDTH)


@final
class TransformerSettings(OwnSettings):
    """Of Transformers."""

    width: int | None = setting(
        None,
        "numbers at each place; heads must divide it (default: by the task)",
        Knob(
            ("fit-train",),
            steps=(
                Step("wider", "fit-train", lambda v, _: 2 * v if 2 * v <= MOST_WIDTH else None, LARGER, 0.08, cost=3.5),
            ),
            search=(Search("powers of two", 2, _widths),),
        ),
        ge=1,
        le=MOST_WIDTH,
    )
    layers: int | None = setting(
        None,
        "blocks of attention and feed-forward, from text to text of each side (default: by the task)",
        Knob(
            ("fit-train",),
            steps=(
                Step(
                    "deeper", "fit-train", lambda v, _: v + 2 if v + 2 <= MOST_LAYERS else None, LARGER, 0.04, cost=1.5
                ),
            ),
            search=(Search("whole", 3, lambda v, _: (1, min(2 * v, MOST_LAYERS))),),
        ),
        ge=1,
        le=MOST_LAYERS,
    )
    heads: int = setting(4, "of each block's attention", ge=1, le=MOST_WIDTH)
    norm: Literal["before", "after"] = setting(
        "before", "where a layer is normed: its inputs before, or, as published, their sum with what it gives after",
        Knob(("fit-train",)),
    )  # fmt: skip
    word_dropout: float | None = word_dropout_setting()


def build(wanted: Wanted) -> nn.Module:
    own, num_ids, num_outputs = wanted.own, wanted.inputs.num_ids, wanted.num_outputs or 1
    width, layers = _size(wanted.inputs)
    size: dict[str, Any] = {"width": own.width or width, "layers": own.layers or layers, "heads": own.heads}
    size |= {"dropout": one_each(wanted.dropout, 1)[0], "norm": own.norm}
    if isinstance(wanted.inputs, PairInputs):
        return TransformerPairs(wanted.inputs, **size)
    size["length"] = wanted.inputs.length
    if wanted.gives == "tokens":
        return Transformer(num_ids, num_outputs, **size)
    words, _ = words_of(wanted, size["width"], is_fixed=True)
    return TransformerWhole(words, num_outputs, **size, at_each_place=wanted.gives == "places")


def _size(inputs: TextInputs | PairInputs) -> tuple[int, int]:
    """Width and layers unless they are set."""
    if isinstance(inputs, PairInputs):
        return (SMALL_PAIR_WIDTH if is_small(inputs) else PAIR_WIDTH), PAIR_LAYERS
    return WIDTH, LAYERS


def defaults(name: str, inputs: TextInputs | PairInputs, num_train: int) -> dict[str, Any]:
    """Settings (full keys) for `num_train` texts, or pairs of them."""
    width, layers = _size(inputs)
    size = {"model.width": width, "model.layers": layers}
    if isinstance(inputs, PairInputs):
        return {
            **size,
            **pairs_recipe(inputs, num_train),
            "regularise.weight_decay": 0.01,
            "regularise.dropout": (0.1 if is_small(inputs) else 0.2,),
            "optimiser.learning_rate": 1e-3,
        }
    if inputs.are_whole and not inputs.num_characters:
        return {
            **size,
            **whole_text_recipe(num_train),
            **word_recipe(inputs),
            "regularise.weight_decay": 0.1,
            "regularise.dropout": (0.3,),
            "optimiser.learning_rate": 5e-4,
        }
    return {
        **size,
        **text_recipe(num_train, inputs.length),
        **word_recipe(inputs),
        "regularise.weight_decay": 0.1,
        "regularise.dropout": (0.1,),
        "optimiser.learning_rate": 1e-3,
    }


FAMILY = Family(
    names=("transformer",),
    title="Transformer",
    source="Vaswani et al. 2017; Radford et al. 2019",
    takes=("text", "pairs"),
    build=build,
    settings=TransformerSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS, DROPOUT}),
    defaults=defaults,
    gives=("tokens", "vector", "places", "sequence"),
)
