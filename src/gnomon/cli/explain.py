"""explain on the screen and as JSON."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from gnomon.cli.screen import Screen
from gnomon.cli.text import printable
from gnomon.core.errors import UsageError
from gnomon.strategy.alignment import looked_at
from gnomon.strategy.evidence import MOSTLY, TOP, areas_text, hidden_text, whereabouts_text

if TYPE_CHECKING:
    from gnomon.strategy.alignment import Alignment
    from gnomon.strategy.evidence import Explained, StageUnits
    from gnomon.workflow.explain import Explanation

KNOWN = ("class", "out")
TITLES = {"saliency": "saliency", "activation": "class activation"}
BAD_SHOWN = 20
LONGEST = 24  # characters of a piece of a text


def run_explain(words: list[str], values: Mapping[str, str], *, quiet: bool) -> Explanation:
    """Raises UsageError for a missing run, or an option that there is not."""
    unknown = next((key for key in values if key not in KNOWN), None)
    if unknown is not None:
        raise UsageError(f"explain takes no setting but {', '.join(KNOWN)}, got {unknown}.", fix="leave it out.")
    if not words:
        raise UsageError("explain needs a run.", fix="gnomon explain runs/latest PICTURES..., for example.")
    from gnomon.workflow.explain import default_folder, explain_run
    from gnomon.workflow.run import load

    run, files = load(words[0]), words[1:]
    source: Any = None
    if files:
        several: list[Any] = files if run.task.reader.takes_texts else [Path(file) for file in files]
        source = files[0] if len(files) == 1 else several
    with Screen(quiet=quiet) as screen:
        return explain_run(
            run, source, values.get("class"), values.get("out") or default_folder(run),
            tell=lambda text: screen.moving(f"  {text} ..."),
        )  # fmt: skip


def print_explanation(found: Explanation) -> None:
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    for one in found.pictures:
        _print_picture(console, one)
    for each in found.alignments:
        _print_alignment(console, each)
    if found.pictures:
        height, width = found.pictures[0].picture.shape[:2]
        console.print(f"\n  {areas_text(height, width)}", markup=False)
    if found.stages:
        _print_stages(console, found.stages)
    for note in found.notes:
        console.print(f"  note: {printable(note)}", markup=False)
    for bad in found.bad[:BAD_SHOWN]:
        console.print(f"  not read: {printable(bad.where)}: {printable(bad.why)}", markup=False)
    for number, file in enumerate(found.files):
        console.print(f"  {'' if number else 'saved':<5}  {printable(str(file))}", markup=False)


def _print_picture(console: Console, one: Explained) -> None:
    answer = f"{printable(one.prediction)}  {100 * one.probability:.1f} %"
    console.print(f"  {printable(one.id)}: {answer}", markup=False, style="bold")
    for each in one.classes:
        if len(one.classes) > 1:
            console.print(f"    for {printable(each.class_name)}, {100 * each.probability:.1f} %", markup=False)
        height, width = one.picture.shape[:2]
        console.print(f"      {'occlusion':<17} {hidden_text(each.hidden, height, width)}", markup=False)
        for name, title in TITLES.items():
            if name in each.maps:
                console.print(f"      {title:<17} {whereabouts_text(each.whereabouts[name])}", markup=False)


def _print_alignment(console: Console, one: Alignment) -> None:
    """The answer, then a line for each of its pieces with what it looked at."""
    console.print(f"  {printable(one.source)}\n  => {printable(one.answer)}", markup=False, style="bold")
    rows = looked_at(one)
    width = min(LONGEST, max(len(printable(piece)) for piece, _ in rows))
    for piece, some in rows:
        shares = ", ".join(f"{printable(source)} {100 * share:.0f} %" for source, share in some)
        console.print(f"    {printable(piece):<{width}}  looked at  {shares}", markup=False)


def _print_stages(console: Console, stages: tuple[StageUnits, ...]) -> None:
    console.print(
        f"  {'stage':<16} {'units':>6} {'silent':>7} {'of one class':>13} {'places':>9}  each place sees",
        markup=False, style="bold",
    )  # fmt: skip
    for one in stages:
        sees = "the whole picture" if one.sees is None else f"{one.sees[1]}x{one.sees[0]} pixels"
        places = f"{one.places[1]}x{one.places[0]}"
        console.print(
            f"  {printable(one.name)[:16]:<16} {one.num_units:>6,} {one.num_silent:>7,} {one.num_of_one_class:>13,} "
            f"{places:>9}  {sees}",
            markup=False,
        )  # fmt: skip
    console.print(
        f"\n  of one class: {MOSTLY} of the {TOP} pictures that excite the unit most are; "
        f"{stages[0].num_pictures:,} dev pictures were looked at",
        markup=False,
    )  # fmt: skip


def explanation_as_json(found: Explanation) -> dict[str, Any]:
    files = [str(one) for one in found.files]
    return {
        "run": str(found.run),
        "pictures": [
            {**_picture_as_json(one), "file": file}
            for one, file in zip(found.pictures, files if found.pictures else [], strict=True)
        ],
        "stages": [
            {**_stage_as_json(one), "file": file}
            for one, file in zip(found.stages, files if found.stages else [], strict=True)
        ],
        "texts": [
            {**_alignment_as_json(one), "file": file}
            for one, file in zip(found.alignments, files if found.alignments else [], strict=True)
        ],
        "notes": list(found.notes),
        "bad": [asdict(one) for one in found.bad],
    }


def _alignment_as_json(one: Alignment) -> dict[str, Any]:
    return {
        "id": one.id, "source": one.source, "answer": one.answer, "source_pieces": list(one.source_pieces),
        "answer_pieces": list(one.answer_pieces), "weights": one.weights.round(4).tolist(),
    }  # fmt: skip


def _picture_as_json(one: Explained) -> dict[str, Any]:
    classes = [
        {
            "class": each.class_name,
            "probability": each.probability,
            "without": None if each.hidden is None else asdict(each.hidden),
            **{name: None if where is None else asdict(where) for name, where in each.whereabouts.items()},
        }
        for each in one.classes
    ]
    height, width = one.picture.shape[:2]
    return {
        "id": one.id, "prediction": one.prediction, "probability": one.probability, "height": height, "width": width,
        "classes": classes,
    }  # fmt: skip


def _stage_as_json(one: StageUnits) -> dict[str, Any]:
    units = [
        {
            "unit": unit.number,
            "patches": [{"id": each.id, "class": each.class_name, "value": each.value} for each in unit.patches],
        }
        for unit in one.units
    ]
    return {
        "name": one.name, "units": one.num_units, "silent": one.num_silent, "of_one_class": one.num_of_one_class,
        "places": one.places, "sees": one.sees, "pictures": one.num_pictures, "shown": units,
    }  # fmt: skip
