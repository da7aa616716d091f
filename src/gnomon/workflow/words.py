"""The short names of settings as keyword arguments of the verbs, so that editors complete and check them.

A setting that only a task or a family of your own declares is passed in its group: model={"name": "mine", "depth": 3}.
A verb that has a parameter of its own by one of these names (`time`, `split` ...) takes the setting by its full one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypedDict, TypeVar, cast, final

Verb = TypeVar("Verb", bound=Callable[..., Any])


@final
class _Default:
    """What stands for a setting's own default where a signature is shown."""

    def __repr__(self) -> str:
        return "..."


def spelled_out(words: Any) -> Callable[[Verb], Verb]:
    """Show the words among the keyword parameters of a verb: editors read `Unpack`, notebooks look at signatures."""
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_Default()) for name in words.__annotations__
    ]

    def shown(verb: Verb) -> Verb:
        signature = inspect.signature(verb)
        *given, rest = signature.parameters.values()
        taken = {one.name for one in given}  # `source` is both: what is read, and by position alone
        others = [one for one in more if one.name not in taken]
        cast("Any", verb).__signature__ = signature.replace(parameters=[*given, *others, rest])
        return verb

    return shown


class SettingWords(TypedDict, total=False):
    """Settings that every verb on data takes, in the order of the page of settings."""

    seed: Any
    run_name: Any
    runs_folder: Any
    data: Any  # the group as a dict, as for the other groups below
    target_data: Any
    group: Any
    id: Any
    order: Any
    ignore: Any
    delimiter: Any
    encoding: Any
    decimal: Any
    missing: Any
    image_size: Any
    layout: Any
    level: Any
    target_level: Any
    each: Any
    window: Any
    vocabulary: Any
    scheme: Any
    tag_column: Any
    text: Any
    source: Any
    classes: Any
    joint: Any
    normalise: Any
    embeddings: Any
    embeddings_learn: Any
    max_bad: Any
    max_pixels: Any
    dev: Any
    split_seed: Any
    in_order: Any
    train_dev: Any
    duplicates: Any
    hidden: Any
    channels: Any
    activation: Any
    normalisation: Any
    bins: Any
    width: Any
    zero_gamma: Any
    padding: Any
    stochastic_depth: Any
    backbone: Any
    pyramid_width: Any
    tower_depth: Any
    anchors: Any
    proposals: Any
    stride: Any
    upsampling: Any
    units: Any
    layers: Any
    heads: Any
    norm: Any
    cell: Any
    embedding: Any
    directions: Any
    word_dropout: Any
    bigrams: Any
    init: Any
    scale: Any
    transfer: Any
    pretrained: Any
    weights: Any
    freeze: Any
    backbone_rate: Any
    regularise: Any
    weight_decay: Any
    l2: Any
    l1: Any
    dropout: Any
    label_smoothing: Any
    augment: Any
    crop: Any
    shift: Any
    rotate: Any
    shear: Any
    warp: Any
    mirror: Any
    updown: Any
    colour: Any
    pca: Any
    cutout: Any
    mixup: Any
    cutmix: Any
    ema: Any
    optimiser: Any
    learning_rate: Any
    batch_size: Any
    momentum: Any
    beta2: Any
    epsilon: Any
    clip_norm: Any
    clip_value: Any
    schedule: Any
    warmup: Any
    decay: Any
    every: Any
    table: Any
    stop: Any
    epochs: Any
    max_time: Any
    patience: Any
    machine: Any
    device: Any
    threads: Any
    allocator: Any
    precision: Any
    micro_batch: Any
    save_every: Any
    goal: Any
    metric: Any
    positive: Any
    costs: Any
    class_weights: Any
    human: Any


class FitWords(SettingWords, total=False):
    labels: Any
    time: Any
    split: Any
    test: Any
    folds: Any


class DataWords(FitWords, total=False):
    """Of peek, check and lr."""

    task: Any
    model: Any


class TuneWords(SettingWords, total=False):
    labels: Any
    split: Any
    test: Any
    task: Any
    model: Any


class ImproveWords(SettingWords, total=False):
    labels: Any
    split: Any
    task: Any
    model: Any


class LabelsWords(SettingWords, total=False):
    labels: Any
    time: Any
    test: Any
    task: Any
    model: Any


class NudgeWords(TypedDict, total=False):
    learning_rate: Any
    weight_decay: Any
    batch_size: Any
