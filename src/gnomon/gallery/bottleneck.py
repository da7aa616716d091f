"""A bottleneck of 1x1 convolutions cuts the cost of a large filter to a fraction and leaves the error as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from gnomon.checks.shapes_and_cost import layer_table, totals
from gnomon.figures.style import new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._compared import HEAD, Compared, Plan, compare, conv, show_costs, show_errors
from gnomon.gallery._method import above, below, fact, over_seeds
from gnomon.gallery._small_pictures import Pictures, digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE, OUT, SIZE = 96, 32, 5  # channels into and out of the large filters, their pixels per side
NARROW = 12  # channels of the bottleneck: an eighth
CHOKED = 1  # channels of a bottleneck that goes too far
PLAN = Plan(train=600, dev=500, epochs=12, rates=(0.03, 0.1, 0.3))
NAMES = {"full": "full 5x5", "bottleneck": f"bottleneck of {NARROW}", "choked": f"of {CHOKED}"}
LESS = 0.2  # "a fraction": of the cost of the full filters
HARM = 1.0  # percentage points
# the course's example: 28x28 places, 192 channels in, 32 out, 5x5, behind 16
COURSE_FULL, COURSE_LESS = 28 * 28 * 32 * 5 * 5 * 192, 28 * 28 * 16 * 192 + 28 * 28 * 32 * 5 * 5 * 16


@dataclass(frozen=True)
class Measured:
    """For each of NAMES."""

    compared: Compared
    course: tuple[int, int]  # multiply-adds of the course's example: full, behind the bottleneck


def net(kind: str, pictures: Pictures) -> nn.Module:
    large = {
        "full": lambda: [conv(WIDE, OUT, SIZE)],
        "bottleneck": lambda: [conv(WIDE, NARROW, 1), conv(NARROW, OUT, SIZE)],
        "choked": lambda: [conv(WIDE, CHOKED, 1), conv(CHOKED, OUT, SIZE)],
    }[kind]()
    return nn.Sequential(
        conv(pictures.images.shape[1], WIDE), *large, nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(4 * OUT, pictures.num_classes),
    )  # fmt: skip


def measure(seeds: Sequence[int], progress: Progress, pictures: Pictures) -> Measured:
    nets = {kind: (lambda given, kind=kind: net(kind, given)) for kind in NAMES}
    compared = compare(nets, PLAN, seeds, progress, pictures)
    full = nn.Conv2d(192, 32, 5, padding=2)
    behind = nn.Sequential(nn.Conv2d(192, 16, 1), nn.Conv2d(16, 32, 5, padding=2))
    return Measured(compared, (_multiply_adds(full), _multiply_adds(behind)))


def _multiply_adds(layers: nn.Module) -> int:
    rows = layer_table(layers, lambda layers: layers(torch.zeros(1, 192, 28, 28)), batch_size=1)
    return totals(rows).multiply_adds


def judge(measured: Measured) -> tuple[Part, ...]:
    found, (full, behind) = measured.compared, measured.course
    ratio = found.multiply_adds["bottleneck"] / found.multiply_adds["full"]
    harm, choked = (over_seeds(found.more_errors(kind, "full")) for kind in ("bottleneck", "choked"))
    return (
        fact("the course's example costs 120.4 million multiply-adds, 12.4 million behind the bottleneck",
             (full, behind) == (COURSE_FULL, COURSE_LESS), f"{full:,} and {behind:,}"),
        fact(f"the whole net costs less than {LESS:.0%} of the one with full filters", ratio < LESS, f"{ratio:.1%}"),
        below(f"the dev error rises by less than {HARM:g} point", harm, HARM, "points"),
        above(f"a bottleneck of {CHOKED} channel goes too far: the dev error rises", choked, 0, "points"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    return Table(HEAD, tuple(measured.compared.row(kind, label) for kind, label in NAMES.items()))


@styled
def draw(measured: Measured) -> Figure:
    found = measured.compared
    figure = new_figure(2.9)
    left, right = figure.subplots(1, 2)
    show_costs(left, found, NAMES)
    show_errors(right, found, NAMES)
    return figure


CLAIM = Claim(
    claimed="Shrinking the channels by 1x1 convolutions before a large filter cuts the computational cost by a "
    "factor of ten. As long as it is done within reason, it does not seem to hurt the performance.",
    source="Szegedy et al. 2015, section 4; Ng, Convolutional Neural Networks, week 2.",
    experiment=f"Digits of 8x8 pixels. A convolution 3x3 to {WIDE} channels, then {OUT} filters of {SIZE}x{SIZE}, "
    f"over all {WIDE} channels, over {NARROW} that 1x1 convolutions make of them, or over {CHOKED}; a pool, a dense "
    f"layer. Batch norm and ReLU after each convolution. {PLAN.says}",
    rule="By the layer table: the course's example has exactly its numbers, and the net with the bottleneck costs "
    f"less than {LESS:.0%}. Over seeds, each with the whole 95 % interval: with {NARROW} channels the dev error rises "
    f"by less than {HARM:g} point, with {CHOKED} by more than 0.",
    seeds=12,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
    pictures=digits,
)
