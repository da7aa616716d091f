"""What nets that read whole texts have in common."""

from __future__ import annotations

from typing import Any

from torch import nn

from gnomon.core.family import TextInputs, Wanted
from gnomon.core.knobs import WHOLE_TEXTS, Here, Knob, Search, Step
from gnomon.core.settings import setting
from gnomon.nn.spelling import SpelledWords
from gnomon.nn.words import WordVectors

USUAL = 0.3  # of the words of a text that is classified are left out
MOST = 0.6  # of the words of a text left out: of short ones, little is left


def _more(value: float, _here: Here) -> float | None:
    return round(value + 0.1, 2) if value + 0.1 <= MOST else None


def word_dropout_setting() -> Any:
    """The setting `word_dropout` of a family."""
    return setting(
        None,
        "probability that a word is read as an unknown one, in training, of texts that are classified or tagged "
        "(default: by the task)",
        Knob(
            ("fit-dev",),
            needs=WHOLE_TEXTS,
            steps=(Step("more words left out", "fit-dev", _more, "no answer then hangs on one word", 0.03),),
            search=(Search("linear", 3, lambda _v, _: (0.0, 0.5)),),
        ),
        ge=0,
        lt=1,
    )


def word_recipe(inputs: TextInputs) -> dict[str, Any]:
    """Settings (full keys) of words: to leave out one that is to be tagged itself takes more than it teaches."""
    return {"model.word_dropout": 0.0 if inputs.num_characters else USUAL} if inputs.are_whole else {}


def words_of(wanted: Wanted, width: int, *, is_fixed: bool = False) -> tuple[nn.Module, int]:
    """What makes vectors of the words (and their characters) of a family, and how many numbers each vector has.

    Of words alone `width`, or what vectors from elsewhere have. `is_fixed`: `width` in any case, by a linear layer.
    """
    inputs: TextInputs = wanted.inputs
    own = inputs.vectors or width
    left_out = USUAL if wanted.own.word_dropout is None else wanted.own.word_dropout
    words = WordVectors(
        inputs.num_ids, own, dropout=left_out, num_fixed=inputs.num_fixed, keeps_scale=inputs.num_characters > 0
    )  # beside features of characters, which are ten times as large, small vectors would count for little
    found: nn.Module = words
    if inputs.num_characters:
        found = SpelledWords(words, own, inputs.num_characters)
        own = found.width
    elif not is_fixed or own == width:
        return found, own
    return (nn.Sequential(found, nn.Linear(own, width)), width) if is_fixed else (found, own)
