"""labels: the command, its findings on the screen, and as JSON."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console

from gnomon.cli.show_places import places_as_json, print_places, print_rows
from gnomon.cli.text import printable
from gnomon.core.evaluation import SHARE
from gnomon.strategy.wording import format_error
from gnomon.workflow.judge.place_labels import PlaceFindings

if TYPE_CHECKING:
    from gnomon.metrics.interval import Interval
    from gnomon.workflow.judge.label_review import Audit, Reviewed
    from gnomon.workflow.judge.labels import Findings

SHOWN, PLACES = 10, 5


def print_labels(found: Findings | PlaceFindings) -> None:
    if isinstance(found, PlaceFindings):
        print_places(found)
        return
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    audit, suspects = found.audit, found.audit.suspects
    total = len(audit.ids)
    console.print(f"  {_headline(audit)}", markup=False)
    if found.reviewed is None:
        shown = suspects.order[: min(SHOWN, int(suspects.is_suspect.sum()))].tolist()
        if shown:
            rows = [("id", "given", "suggested", "p given", "p suggested")]
            for place in shown:
                given, other = int(suspects.given[place]), int(suspects.suggested[place])
                chances = (f"{suspects.probabilities[place, one]:.3f}" for one in (given, other))
                names = (printable(suspects.class_names[one]) for one in (given, other))
                rows.append((printable(audit.ids[place])[-40:], *names, *chances))  # type: ignore[arg-type]
            console.print()
            print_rows(rows, console)
            console.print()
        most = format_error(suspects.wrong_share_at_most, SHARE)
        console.print(
            f"  by the model alone, at most about {most} of the labels are wrong; a review says how many", markup=False
        )
        console.print("  a suspect is the model's guess until a person has reviewed it", markup=False)
    else:
        for line in _reviewed_lines(found.reviewed, total):
            console.print(f"  {line}", markup=False)
    if found.out is not None:
        console.print(f"  saved  {found.written:,} rows to review to {printable(str(found.out))}", markup=False)
    if found.corrected is not None:
        place = printable(str(found.corrected))
        console.print(f"  saved  {found.num_corrected:,} corrections to {place}", markup=False)


def _headline(audit: Audit) -> str:
    suspects, total = audit.suspects, len(audit.ids)
    return (
        f"{audit.split.replace('_', '-')}: {int(suspects.is_suspect.sum()):,} of {total:,} labels are suspect "
        f"({audit.origin}; error {100 * audit.error:.1f} %)"
    )


def _reviewed_lines(reviewed: Reviewed, total: int) -> list[str]:
    verdicts = ", ".join(f"{count} {name}" for name, count in reviewed.verdicts.items())
    lines = [f"reviewed {reviewed.num_reviewed:,}: {verdicts}"]
    if reviewed.precision is not None:
        lines.append(f"of the top suspects, {_percent(reviewed.precision)} have a wrong label")
    lines.append(f"wrong labels overall: {_percent(reviewed.wrong)} of {total:,}, from the weighted sample")
    sure = [one for one in reviewed.concentrations if one.p_value < 0.05]
    if sure:
        lines += [
            f"they cluster: {printable(one.where)}: {one.count}, by chance {one.expected:.1f} (p = {one.p_value:.2g})"
            for one in sure[:PLACES]
        ]
        lines.append("systematic errors mislead more than the same number of random ones: correct these first")
    else:
        lines.append("they do not cluster in a class, a tag or a time: they look random")
    lines.append(reviewed.cleaning.text)
    if reviewed.cleaning.fix is not False:
        lines.append("correct dev and test by the same process, including examples the model gets right")
    return lines


def _percent(one: Interval) -> str:
    return f"{100 * one.value:.2f} % [{100 * one.low:.2f}, {100 * one.high:.2f}]"


def labels_as_json(found: Findings | PlaceFindings) -> dict[str, Any]:
    """split, examples, suspects [{id, given, suggested, ...}], review {wrong, precision, cleaning, places}."""
    if isinstance(found, PlaceFindings):
        return places_as_json(found)
    audit, suspects, reviewed = found.audit, found.audit.suspects, found.reviewed
    names = suspects.class_names
    plain: dict[str, Any] = {
        "split": audit.split,
        "examples": len(audit.ids),
        "error": audit.error,
        "origin": audit.origin,
        "wrong_share_at_most": suspects.wrong_share_at_most,
        "suspects": [
            {
                "id": audit.ids[place],
                "given": names[suspects.given[place]],
                "suggested": names[suspects.suggested[place]],
                "margin": float(suspects.margin[place]),
            }
            for place in suspects.order[: int(suspects.is_suspect.sum())].tolist()
        ],
        "out": None if found.out is None else str(found.out),
        "corrected": None if found.corrected is None else str(found.corrected),
        "corrections": found.num_corrected,
    }
    if reviewed is not None:
        plain["review"] = {
            "reviewed": reviewed.num_reviewed,
            "verdicts": reviewed.verdicts,
            "wrong": asdict(reviewed.wrong),
            "precision": None if reviewed.precision is None else asdict(reviewed.precision),
            "cleaning": asdict(reviewed.cleaning),
            "places": [asdict(one) for one in reviewed.concentrations],
        }
    return plain
