"""mismatch on the screen, and as JSON."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console

from gnomon.cli.text import printable

if TYPE_CHECKING:
    from gnomon.metrics.interval import Interval
    from gnomon.strategy.mismatch import ColumnShift, TagShift
    from gnomon.workflow.judge.mismatch import Mismatch

SHOWN, EXAMPLES = 8, 4


def print_mismatch(found: Mismatch) -> None:
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    for line in mismatch_lines(found):
        console.print(f"  {line}" if line else "", markup=False)


def mismatch_lines(found: Mismatch) -> list[str]:
    auc = found.shift.auc
    says = "train and dev look different" if found.shift.is_there else "train and dev look alike"
    lines = [
        f"{says}: AUC {_ends(auc)}, 0.5 is guessing ({found.num_train:,} training and {found.num_dev:,} dev examples)"
    ]
    lines += _differences(found.columns, found.tags, "train", "dev")
    if found.shift.is_there:
        lines += [
            "",
            "training examples most like dev:   " + _names(found.most_dev_like),
            "training examples least like dev:  " + _names(found.least_dev_like),
        ]
    lines += ["", found.effect.text]
    beyond = found.beyond_dev
    if beyond is not None:
        says = "dev and test look different" if beyond.shift.is_there else "dev and test look alike"
        lines += ["", f"{says}: AUC {_ends(beyond.shift.auc)} ({beyond.num_test:,} test examples; inputs alone)"]
        lines += [*_differences(beyond.columns, beyond.tags, "dev", "test"), "", beyond.text]
    return lines


def _differences(
    columns: tuple[ColumnShift, ...], tags: tuple[TagShift, ...], first: str, second: str
) -> list[str]:  # fmt: skip
    lines = []
    if columns:
        rows = [("differs", first, second, f"larger in {second}")]
        rows += [
            (printable(one.name)[:40], f"{one.train:.3g}", f"{one.dev:.3g}", f"{100 * one.auc.value:.0f} %")
            for one in columns[:SHOWN]
        ]
        lines += ["", *_aligned(rows)]
        if len(columns) > SHOWN:
            lines.append(f"... {len(columns) - SHOWN} more; --json has them all")
    if tags:
        rows = [("tag", f"of {first}", f"of {second}", "")]
        rows += [
            (printable(f"{one.tag} = {one.value}")[:40], f"{100 * one.train:.1f} %", f"{100 * one.dev:.1f} %", "")
            for one in tags[:SHOWN]
        ]
        lines += ["", *_aligned(rows)]
    return lines


def _names(examples: tuple[tuple[str, float], ...]) -> str:
    return ", ".join(printable(one) for one, _ in examples[:EXAMPLES])


def _aligned(rows: list[tuple[str, str, str, str]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(4)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _ends(one: Interval) -> str:
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


def mismatch_as_json(found: Mismatch) -> dict[str, Any]:
    """auc, is_there, columns, tags, most and least dev-like training examples, effect; dev and test."""
    beyond = found.beyond_dev
    return {
        "auc": asdict(found.shift.auc),
        "is_there": found.shift.is_there,
        "columns": [asdict(one) for one in found.columns],
        "tags": [asdict(one) for one in found.tags],
        "most_dev_like": [{"id": one, "score": score} for one, score in found.most_dev_like],
        "least_dev_like": [{"id": one, "score": score} for one, score in found.least_dev_like],
        "effect": asdict(found.effect),
        "train": found.num_train,
        "dev": found.num_dev,
        "beyond_dev": None if beyond is None else {
            "auc": asdict(beyond.shift.auc),
            "is_there": beyond.shift.is_there,
            "columns": [_renamed(asdict(one)) for one in beyond.columns],
            "tags": [_renamed(asdict(one)) for one in beyond.tags],
            "test": beyond.num_test,
            "text": beyond.text,
        },
    }  # fmt: skip


def _renamed(record: dict[str, Any]) -> dict[str, Any]:
    """Of a comparison of dev and test, under their names."""
    names = {"train": "dev", "dev": "test"}
    return {names.get(key, key): value for key, value in record.items()}
