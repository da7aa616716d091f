"""HTML pages from results: every value passes through one escape function, and templates contain all the words."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from gnomon.core import settings as all_settings
from gnomon.core.errors import GnomonError
from gnomon.core.evaluation import SHARE, Evaluation, is_structured
from gnomon.core.layer_signals import findings_of
from gnomon.figures import text as words
from gnomon.metrics.classification import calibration, confusion
from gnomon.strategy.curve import forecast_text
from gnomon.strategy.error_analysis import LABEL_WRONG
from gnomon.strategy.evidence import OCCLUSION, areas_text, hidden_text, whereabouts_text
from gnomon.strategy.improve_probes import pair_text, significant_gains
from gnomon.strategy.wording import ladder_rows
from gnomon.studio import curves
from gnomon.studio.markup import as_text, render, short
from gnomon.studio.review import KEYS
from gnomon.studio.sheets import ORDERS, PAGE, SEEN, SHOWS, Filter
from gnomon.workflow.nudge import KEYS as NUDGE_KEYS
from gnomon.workflow.nudge import in_words, read_diary

if TYPE_CHECKING:
    from gnomon.core.settings import Settings
    from gnomon.strategy.evidence import Explained
    from gnomon.studio.compare import Comparison
    from gnomon.studio.library import OpenExamples, OpenRun, RunCard
    from gnomon.studio.review import Review
    from gnomon.studio.sheets import LiveSheet
    from gnomon.workflow.judge.compare import Comparison as Choosing

MAX_MATRIX = 30  # classes up to which the confusion matrix is drawn as a matrix
MAX_PAIRS = 40
MOST_RUNS = 500  # on one page
SORTS = ("newest", "error", "name", "task", "time")
LAYERS_DRAWN = 4  # of the signals: first, last and between
NOT_GIVEN = " was not set"
MOST_CHOICES = 300  # classes in a list to choose from

_LINES = {"train_error": "train", "train_dev_error": "train-dev", "dev_error": "dev"}


@dataclass(frozen=True)
class ShownSheet:
    """The data of a sheet's page."""

    run: OpenRun
    split: str
    live: LiveSheet
    examples: OpenExamples

    @property
    def place(self) -> str:
        return f"/runs/{self.run.id}/errors/{self.split}"


@dataclass
class Asked:
    """Which of several runs is best: the metric, the conditions, and the result."""

    metric: str
    where: str
    found: Choosing | None = None
    fault: str = ""

    @property
    def place(self) -> dict[str, int]:
        """The number of a system among the runs on the page."""
        return {} if self.found is None else {system.name: place for place, system in enumerate(self.found.systems)}


# --- pages ------------------------------------------------------------------------------------------------------------
def login(*, was_used: bool = False) -> str:
    return render("login.html", was_used=was_used)


def entered() -> str:
    return render("entered.html")


def failure(what: str, *, title: str = "This cannot be shown") -> str:
    return render("failure.html", what=what, title=title)


def runs(
    cards: Sequence[RunCard], unread: int, *, query: str, sort: str, group: str, part: bool, was: str = ""
) -> str:  # fmt: skip
    """The list; `part`: the table alone, "" if it is unchanged since `was`. `unread`: how many more runs there are."""
    parts = query.lower().split()
    kept = [card for card in cards if all(part in _searched(card) for part in parts)]
    kept = sorted(kept, key=_sort_key(sort)) if sort in SORTS else kept
    groups: dict[str, list[RunCard]] = {}
    for card in kept[:MOST_RUNS]:
        groups.setdefault(_group_of(card, group), []).append(card)
    keys = sorted({key for card in cards for key in card.settings})
    tops: dict[str | None, float] = {}
    for card in kept:
        if card.error is not None and math.isfinite(card.error.high):
            tops[card.unit] = max(tops.get(card.unit, 0.0), card.error.high)
    table = render(
        "runs_table.html",
        groups=dict(sorted(groups.items(), key=lambda item: (item[0].endswith(NOT_GIVEN), item[0]))),
        count=len(kept), total=len(cards), unread=unread, tops=tops, most=MOST_RUNS,
    )  # fmt: skip
    mark = hashlib.sha256(table.encode()).hexdigest()[:16]
    if part and was == mark:
        return ""
    return render(
        "runs_list.html" if part else "runs.html",
        table=Markup(table), was=mark, total=len(cards), unread=unread, query=query, sorts=SORTS,  # noqa: S704  ours
        sort=sort if sort in SORTS else "newest", group=group, choices=["task", "state", *keys],
        is_live=any(card.state == "running" for card in cards),
    )  # fmt: skip


def run(found: OpenRun, card: RunCard, *, smooth: float, log: bool) -> str:
    """One run, as far as it exists yet."""
    diagnosis = found.diagnosis if card.state == "finished" else None
    settings, given = found.folder.load_settings()
    lines = [(row.key, as_text(all_settings.value_of(settings, row.key)), row.key in given, row.description)
             for row in all_settings.rows()]  # fmt: skip
    return render(
        "run.html",
        run=found, card=card, diagnosis=diagnosis,
        ladder=list(zip_longest(ladder_rows(diagnosis), diagnosis.rungs)) if diagnosis else [],
        top=_top(diagnosis.rungs) if diagnosis else 0.0,
        settings=lines, environment=found.folder.load_environment(), data=found.folder.load_data(),
        history=found.folder.history.read(), matrix=_matrix(found) if diagnosis else None,
        sureness=_sureness(found) if diagnosis else None, splits=_splits(found),
        smooth=smooth, log=log, **_nudges(found), **_drawn([(card, found)], smooth, log), **_tried(found, settings),
    )  # fmt: skip


def made(found: OpenRun, card: RunCard, *, smooth: float, log: bool) -> str:
    """The run of a craft: what it measured, what it made."""
    about, outcome, history = found.folder.load_craft(), found.folder.load_craft_outcome(), found.folder.measured.read()
    settings, given = found.folder.load_settings()
    epochs = [float(row["epoch"]) for row in history]
    rows = []
    for measure in about["measures"]:
        values = [curves.finite(row["measures"].get(measure["name"])) for row in history]
        unit = measure["unit"] or None
        write: Callable[[float], str] = partial(words.error_text, unit=unit)
        line = [curves.Curve("measured", "train", epochs, values)] if history else []
        drawn = curves.draw(line, title=f"{measure['name']} by epoch", write=write, log=log, beta=smooth)
        rows.append({**measure, "first": values[0] if values else None, "last": values[-1] if values else None,
                     "unit": unit, "curve": drawn})  # fmt: skip
    lines = [(row.key, as_text(all_settings.value_of(settings, row.key)), row.description)
             for row in all_settings.rows(settings) if row.key in given]  # fmt: skip
    return render(
        "made.html", run=found, card=card, about=about, outcome=outcome, rows=rows, settings=lines, smooth=smooth,
        log=log, environment=found.folder.load_environment(),
    )  # fmt: skip


def live(found: OpenRun, card: RunCard, *, smooth: float, log: bool) -> str:
    """The part of a run's page that changes while it trains."""
    return render("live.html", run=found, card=card, history=found.folder.history.read(), smooth=smooth, log=log,
                   **_nudges(found), **_drawn([(card, found)], smooth, log))  # fmt: skip


def sheet(shown: ShownSheet, wanted: Filter, positions: np.ndarray, *, look: str, part: str) -> str:
    """The error sheet; `part`: "grid" for the examples alone, "opening" while they are being opened, "machine"."""
    num_pages = max(1, math.ceil(len(positions) / PAGE))
    page = min(wanted.page, num_pages - 1)
    here = positions[page * PAGE : (page + 1) * PAGE]
    table = shown.live.sheet.table
    return render(
        {"grid": "grid.html", "opening": "grid.html", "machine": "machine.html"}.get(part, "sheet.html"),
        shown=shown, wanted=replace(wanted, page=page), rows=_with_views(shown, here), total=len(positions),
        num_pages=num_pages, look="list" if look == "list" else "grid", orders=ORDERS, shows=SHOWS, seens=SEEN,
        counts=shown.live.counts() if part not in ("grid", "opening") else None, unit=shown.live.sheet.diagnosis.unit,
        names=_names(table), splits=_splits(shown.run), diagnosis=shown.live.sheet.diagnosis,
        has_confidence=table["confidence"].null_count() < len(table), label_wrong=LABEL_WRONG,
    )  # fmt: skip


def counts(shown: ShownSheet) -> str:
    """The tags with their shares and ceilings."""
    return render("counts.html", counts=shown.live.counts(), shown=shown, unit=shown.live.sheet.diagnosis.unit)


def cards(shown: ShownSheet, positions: Sequence[int]) -> dict[int, str]:
    """The cards of these examples."""
    unit = shown.live.sheet.diagnosis.unit
    return {row.position: render("card.html", row=row, view=view, shown=shown, unit=unit)
            for row, view in _with_views(shown, positions)}  # fmt: skip


def example(shown: ShownSheet, position: int, history: Sequence[Mapping[str, Any]]) -> str:
    """One example, large, with its whole history."""
    [(row, view)] = _with_views(shown, [position])
    values = shown.live.sheet.table.row(position, named=True)
    probabilities = sorted(
        ((name[2:], value) for name, value in values.items() if name.startswith("p.") and value is not None),
        key=lambda pair: -pair[1],
    )[:8]
    return render("example.html", row=row, view=view, shown=shown, history=history, probabilities=probabilities,
                   unit=shown.live.sheet.diagnosis.unit)  # fmt: skip


def maps(shown: ShownSheet, position: int, found: Explained) -> str:
    """What in an example speaks for its prediction and for its label: the figure, and the same in words."""
    height, width = found.picture.shape[:2]
    lines = [
        (one.class_name, one.probability, hidden_text(one.hidden, height, width),
         [(name, whereabouts_text(where)) for name, where in one.whereabouts.items() if name != OCCLUSION])
        for one in found.classes
    ]  # fmt: skip
    return render("maps.html", shown=shown, position=position, lines=lines, even=areas_text(height, width))


def labels(shown: ShownSheet, review: Review, place: int | None, *, part: str) -> str:
    """The review at one place; `part`: "question" for the part that changes between examples."""
    question = None if place is None else review.question(place)
    return render(
        "question.html" if part == "question" else "labels.html", shown=shown, review=review, question=question,
        view=None if question is None else shown.examples.view(question.position), so_far=review.so_far(), keys=KEYS,
    )  # fmt: skip


def compare(
    found: Sequence[OpenRun], cards: Sequence[RunCard], comparison: Comparison | None, fault: str,
    asked: Asked, *, smooth: float, log: bool,
) -> str:  # fmt: skip
    """Several runs: settings that differ, curves; for two runs, what changed."""
    settings = [one.folder.load_settings()[0] for one in found]
    differing = []
    for row in all_settings.rows():
        values = [as_text(all_settings.value_of(each, row.key)) for each in settings]
        if len(set(values)) > 1:
            differing.append((row.key, values))
    examples = {}
    if comparison is not None:
        for change in ("fixed", "broken", "still"):
            live = found[1].sheet("dev")
            shown = ShownSheet(found[1], "dev", live, found[1].examples("dev"))
            picked = np.flatnonzero(comparison.picked(change))
            examples[change] = (_with_views(shown, picked[:8]), shown)
    return render(
        "compare.html", runs=found, cards=cards, comparison=comparison, fault=fault, asked=asked, differing=differing,
        examples=examples, smooth=smooth, log=log, unit=comparison.unit if comparison else None,
        **_drawn(list(zip(cards, found, strict=True)), smooth, log),
    )  # fmt: skip


# --- what pages show --------------------------------------------------------------------------------------------------
def _drawn(shown: Sequence[tuple[RunCard, OpenRun]], smooth: float, log: bool) -> dict[str, Markup]:
    """Curves of the error, the loss and the rate; of several runs, the dev error and the loss of each."""
    unit = next((card.unit for card, _ in shown if card.unit is not None), None)
    error, loss, rate = [], [], []
    for number, (_, found) in enumerate(shown, start=1):
        history = found.folder.history.read()
        if len(shown) == 1:
            error += curves.of_history(history, _LINES)
            rate += curves.of_history(history, {"learning_rate": "rate"})
        else:
            error += [replace(one, name=f"run {number}", look=f"run{number}")
                      for one in curves.of_history(history, {"dev_error": "dev"})]  # fmt: skip
        name = "train" if len(shown) == 1 else f"run {number}"
        look = "train" if len(shown) == 1 else f"run{number}"
        loss += [replace(one, name=name, look=look) for one in curves.of_history(history, {"train_loss": "train"})]
    as_error: Callable[[float], str] = lambda value: words.error_text(value, unit if unit == SHARE else None)  # noqa: E731
    return {
        "error_curves": curves.draw(error, title="error by epoch", write=as_error, log=log, beta=smooth),
        "loss_curves": curves.draw(loss, title="training loss by epoch", write=words.number, log=log, beta=smooth),
        "rate_curves": curves.draw(rate, title="learning rate by epoch", write=words.number, log=log),
    }


def _nudges(found: OpenRun) -> dict[str, Any]:
    """What was changed while it trained, and what can be changed."""
    return {"nudged": in_words(read_diary(found.folder)), "nudge_keys": NUDGE_KEYS}


def _tried(found: OpenRun, settings: Settings) -> dict[str, Any]:
    """Problems in the signals of its layers, results of probes, the diary of an improvement; empty if none."""
    history = found.folder.history.read()
    probes = found.folder.load_probes()
    pairs = probes.pairs if probes else ()
    significant = significant_gains(pairs)
    return {
        **_signals(history),
        "signals": [one.text for one in findings_of(history, highest_rate=settings.optimiser.learning_rate or 0.0)],
        "forecasts": [forecast_text(one, probes.unit) for one in probes.forecasts] if probes else [],
        "pairs": [(one.label, pair_text(one, probes.unit), one.label in significant) for one in probes.pairs]
        if probes
        else [],
        "diary": found.folder.load_diary(),
    }


def _signals(history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The latest signals of the layers, and curves of some of them; empty if none were recorded."""
    measured = [row for row in history if row.get("signals")]
    if not measured:
        return {"layers": [], "layers_epoch": 0, "activations": "", "gradients": ""}
    names = [layer["layer"] for layer in measured[-1]["signals"]]
    chosen = sorted({round(place) for place in np.linspace(0, len(names) - 1, LAYERS_DRAWN)})
    epochs = [float(row["epoch"]) for row in measured]

    def drawn(key: str, title: str) -> Markup:
        lines = [
            curves.Curve(words.label(names[place], 12), f"run{number}", epochs,
                         [curves.finite(row["signals"][place][key]) for row in measured])
            for number, place in enumerate(chosen, start=1)
        ]  # fmt: skip
        return curves.draw(lines, title=title, write=words.number, log=True)

    return {
        "layers": measured[-1]["signals"], "layers_epoch": measured[-1]["epoch"],
        "activations": drawn("std", "spread of activations by epoch"),
        "gradients": drawn("gradient", "gradient by epoch"),
    }  # fmt: skip


@dataclass(frozen=True)
class Matrix:
    """The confusion matrix of dev, or its most frequent pairs if it would be too large."""

    names: tuple[str, ...]
    rows: list[list[tuple[int, float]]]  # count, and its share of the row
    pairs: list[tuple[str, str, int]]


def _matrix(found: OpenRun) -> Matrix | None:
    try:
        sheet = found.sheet("dev").sheet
    except GnomonError:
        return None
    table = sheet.table
    if sheet.diagnosis.unit != SHARE or table["target"].dtype.is_float() or table["target"].n_unique() > 1000:
        return None
    if is_structured(table):
        return None
    if not table["error"].is_in([0.0, 1.0]).all():
        return None
    counted = confusion(table)
    counts = counted.counts
    pairs = [(counted.class_names[i], counted.class_names[j], int(counts[i, j]))
             for i, j in zip(*np.nonzero(counts), strict=True) if i != j]  # fmt: skip
    pairs.sort(key=lambda pair: (-pair[2], pair[0], pair[1]))
    small = len(counted.class_names) <= MAX_MATRIX
    sums = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows = [[(int(count), float(share)) for count, share in zip(line, shares, strict=True)]
            for line, shares in zip(counts, counts / sums, strict=True)]  # fmt: skip
    return Matrix(counted.class_names, rows if small else [], pairs[:MAX_PAIRS])


def _sureness(found: OpenRun) -> list[tuple[float, float, float, float, int]] | None:
    """Calibration: (low, high, mean confidence, share right, examples) per bin."""
    try:
        sheet = found.sheet("dev").sheet
    except GnomonError:
        return None
    table = sheet.table
    if not table["error"].is_in([0.0, 1.0]).all():
        return None
    measured = calibration(Evaluation("dev", sheet.diagnosis.unit, table))
    if measured is None:
        return None
    return [
        (float(low), float(high), float(sure), float(right), int(count))
        for low, high, sure, right, count in zip(
            measured.edges[:-1], measured.edges[1:], measured.confidence, measured.accuracy, measured.counts,
            strict=True,
        )
        if count
    ]  # fmt: skip


def _with_views(shown: ShownSheet, positions: Sequence[int] | np.ndarray) -> list[tuple[Any, Any]]:
    return [(row, shown.examples.view(row.position)) for row in shown.live.rows(positions)]


def _names(table: Any) -> list[str]:
    """The classes to choose from; none if targets are numbers or there are too many."""
    if table["target"].dtype.is_float() or is_structured(table) or table["target"].n_unique() > MOST_CHOICES:
        return []
    found = set(table["target"].cast(str).to_list()) | set(table["prediction"].cast(str).to_list())
    return sorted(name for name in found if name is not None)


def _splits(found: OpenRun) -> list[str]:
    return [split for split in ("dev", "train_dev", "train") if split in found.folder.saved_predictions()]


def _searched(card: RunCard) -> str:
    chosen = " ".join(f"{key}={as_text(value)} {short(key)}={as_text(value)}" for key, value in card.settings.items())
    return f"{card.name} {card.task} {card.state} {card.verdict} {card.created} {chosen}".lower()


def _sort_key(sort: str) -> Callable[[RunCard], Any]:
    nothing = math.inf
    keys: dict[str, Callable[[RunCard], Any]] = {
        "newest": lambda card: [-ord(mark) for mark in card.created],  # the latest first
        "error": lambda card: card.error.error if card.error else nothing,
        "name": lambda card: card.name.lower(),
        "task": lambda card: (card.task, card.error.error if card.error else nothing),
        "time": lambda card: card.seconds if card.seconds is not None else nothing,
    }
    return keys[sort]


def _group_of(card: RunCard, group: str) -> str:
    if group in ("task", "state"):
        return str(getattr(card, group)).replace("_", " ")
    if not group:
        return ""
    return f"{group} = {as_text(card.settings[group])}" if group in card.settings else f"{group}{NOT_GIVEN}"


def _top(rungs: Sequence[Any]) -> float:
    ends = [end for rung in rungs for end in (rung.error, rung.high) if math.isfinite(end)]
    return max(ends, default=0.0)
