"""Subwords: the pieces of byte-pair encoding, learned by sentencepiece from the training split and kept with the run.

No text is changed on the way: nothing is normalised, spaces and newlines are pieces like others, and a character that
train does not have is written as its bytes, so that nothing is unknown. One character alone does not come back, U+2581,
which sentencepiece uses for spaces. Source: Sennrich et al. 2016, section 3.2; Kudo and Richardson 2018.
"""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Iterable
from typing import Any

from gnomon.core.errors import ArtefactError, MachineError, UsageError

FIXED = 3 + 1 + 256  # padding, unknown and end as in tokens.py, the newline, the bytes
EACH = 200  # characters of train for each merged piece: of about four each, so that a piece is seen some 50 times
MOST_CHARACTERS = 50_000_000  # that pieces are learned from: of larger sets, evenly spaced texts
LONGEST = 1_000  # characters of a line at a time: sentencepiece would leave out lines of more than 4,192 bytes


def learned(texts: list[str], most: int, each: int = EACH) -> str:
    """A sentencepiece model of at most `most` pieces, in base64: the same for the same texts.

    Fewer for little text: `each` characters of it for each merged piece.

    Raises UsageError where `most` does not hold all characters and bytes, MachineError without the extra.
    """
    trainer = _library().SentencePieceTrainer
    total = sum(map(len, texts))
    texts = texts[:: -(-total // MOST_CHARACTERS)] if total else texts
    needed = FIXED + len(set().union(*texts) - {"\n"})
    if most < needed:
        raise UsageError(
            f"vocabulary={most:,} is too few for subwords: the bytes and the characters of this text are {needed:,}.",
            fix=f"use vocabulary={2 * needed} or more, or level=character.",
        )
    found = io.BytesIO()
    trainer.train(
        sentence_iterator=_lines(texts), model_writer=found, model_type="bpe",
        vocab_size=min(most, needed + total // each), hard_vocab_limit=False, character_coverage=1.0,
        byte_fallback=True, normalization_rule_name="identity", add_dummy_prefix=False, remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True, user_defined_symbols=["\n"], pad_id=0, unk_id=1, eos_id=2, bos_id=-1,
        num_threads=1, minloglevel=2,
    )  # fmt: skip
    return base64.b64encode(found.getvalue()).decode()


def _lines(texts: Iterable[str]) -> Iterable[str]:
    for text in texts:
        for line in text.split("\n"):
            yield from (line[start : start + LONGEST] for start in range(0, len(line), LONGEST))


@functools.lru_cache(maxsize=4)
def model_of(learned_before: str) -> Any:
    """The sentencepiece model that `learned` gave. Raises ArtefactError for what is none, MachineError."""
    library = _library()
    try:
        return library.SentencePieceProcessor(model_proto=base64.b64decode(learned_before, validate=True))
    except (RuntimeError, ValueError) as error:
        raise ArtefactError(f"the subwords of this run are damaged: {error}.", fix="train it again.") from error


def pieces_of(learned_before: str) -> tuple[str, ...]:
    """The pieces from id 3 on, as sentencepiece writes them: spaces as U+2581, bytes as <0x0A>."""
    model = model_of(learned_before)
    return tuple(model.id_to_piece(number) for number in range(3, model.get_piece_size()))


def beginning(model: Any, text: str, count: int) -> str:
    """The part of a text that its first `count` pieces are in, whole characters alone."""
    pieces = model.encode(text, return_type="proto").pieces
    if len(pieces) <= count:
        return text
    return text.encode()[: max(piece.end for piece in pieces[:count])].decode(errors="ignore")


def _library() -> Any:
    try:
        import sentencepiece
    except ImportError as error:
        raise MachineError(
            "level=subword needs sentencepiece.", fix="pip install 'gnomon[text]', or use level=word."
        ) from error
    return sentencepiece
