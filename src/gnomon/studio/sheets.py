"""An error sheet that several people tag at once: kept in memory, updated with new events."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
import polars as pl

from gnomon.runs.tags import TagEvent
from gnomon.strategy.cell_wording import in_words, views_of_spans
from gnomon.strategy.error_analysis import (
    LABEL_WRONG,
    Tag,
    TagShare,
    chosen_by_hand,
    in_order_of_gain,
    share_of_errors,
    shares_of_errors,
    union,
)
from gnomon.workflow.sheet import Marks

if TYPE_CHECKING:
    from gnomon.core.parts import View
    from gnomon.runs.tags import TagStore
    from gnomon.workflow.sheet import Sheet

PAGE = 48  # examples on a page of the sheet
ORDERS = ("random", "sure", "unsure", "error", "id")
SHOWS = ("errors", "right", "all")
SEEN = ("any", "reviewed", "new")
KEYS = "1234567890abdefhilmopqrstvyz"  # of tags, in order of creation: keys without another function


@dataclass(frozen=True)
class Filter:
    """Which examples, in which order. Invalid values are ignored."""

    show: str = "errors"
    order: str = "random"
    seen: str = "any"
    target: str | None = None
    prediction: str | None = None
    tags: tuple[str, ...] = ()  # all of them
    low: float | None = None  # of the confidence, in [0, 1]
    high: float | None = None
    text: str = ""  # in the id
    versus: str | None = None  # id of another run
    change: str | None = None  # "fixed", "broken", "still"
    page: int = 0

    @classmethod
    def of(cls, values: Mapping[str, Sequence[str]]) -> Self:
        """From a query string's parameters."""
        first = {key: entries[0] for key, entries in values.items() if entries}
        return cls(
            show=first.get("show", "errors") if first.get("show") in SHOWS else "errors",
            order=first.get("order", "random") if first.get("order") in ORDERS else "random",
            seen=first.get("seen", "any") if first.get("seen") in SEEN else "any",
            target=first.get("target") if first.get("target") else None,
            prediction=first.get("prediction") if first.get("prediction") else None,
            tags=tuple(tag for tag in values.get("tag", ()) if tag),
            low=_share(first.get("low")),
            high=_share(first.get("high")),
            text=first.get("text", "")[:200],
            versus=first.get("versus") or None,
            change=first.get("change") if first.get("change") in ("fixed", "broken", "still") else None,
            page=int(first["page"][:9]) if first.get("page", "").isascii() and first.get("page", "").isdigit() else 0,
        )

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The query string parameters for the same filter, without the page."""
        plain = Filter()
        pairs = [
            (key, str(getattr(self, key)))
            for key in ("show", "order", "seen", "target", "prediction", "text", "versus", "change")
            if getattr(self, key) != getattr(plain, key)
        ]
        pairs += [(key, f"{100 * value:g}") for key in ("low", "high") if (value := getattr(self, key)) is not None]
        return [*pairs, *(("tag", tag) for tag in self.tags)]

    @property
    def is_sample(self) -> bool:
        """Whether the examples are a fair sample of the errors."""
        return replace(self, page=0, seen="any") == Filter()


def _share(text: str | None) -> float | None:
    """Percent from 0 to 100 as a fraction."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value / 100 if 0 <= value <= 100 else None


@dataclass(frozen=True)
class Row:
    """One example of the sheet."""

    position: int
    id: str
    target: Any
    prediction: Any
    error: float
    confidence: float | None
    machine: tuple[str, ...]  # automatic tags
    mine: tuple[str, ...]
    is_reviewed: bool
    comment: str
    spans: tuple[View, View] | None  # a text with the spans of its label, and with those of its prediction


@dataclass(frozen=True)
class Counts:
    """The current numbers for the tags."""

    mine: tuple[TagShare, ...]
    not_yet: tuple[str, ...]  # tags for which no error was reviewed since they began
    together: TagShare | None  # the union of your tags
    machine: tuple[TagShare, ...]
    first: tuple[tuple[TagShare, TagShare], ...]  # what to work on, each with the union of it and the previous ones
    reviewed: int
    errors: int
    by_hand: int  # of those reviewed, how many were not picked at random
    keys: Mapping[str, str] = field(default_factory=dict)  # tag -> the key that sets it
    costs: Mapping[str, float] = field(default_factory=dict)  # of fixing a tag, where somebody said so


@final
class LiveSheet:
    """A sheet, and the events of people on it."""

    def __init__(self, sheet: Sheet, store: TagStore) -> None:
        self.store = store
        self._lock = threading.RLock()
        self.sheet = sheet
        self.seq = 0
        self._marks = Marks(sheet)
        self._began: dict[str, int] = {}
        self._costs: dict[str, float] = {}
        self._machine: tuple[tuple[TagShare, ...], tuple[tuple[TagShare, TagShare], ...]] | None = None
        self.refresh()

    def replace_sheet(self, sheet: Sheet) -> None:
        """The same rows with more automatic tags."""
        with self._lock:
            self.sheet, self._machine = sheet, None

    def refresh(self) -> None:
        """Apply new events of everybody."""
        with self._lock:
            newest, changed = self.store.since(self.seq)
            if newest == self.seq:
                return
            here = [example for split, example in changed if split == self.sheet.split]
            if self.seq == 0:
                self._marks = Marks(self.sheet, self.store.current(self.sheet.split))
            else:
                self._marks.take(self.store.current(self.sheet.split, here), instead_of=here)
            self._began = self.store.tags()
            costs = self.store.costs()
            if costs != self._costs:
                self._costs, self._machine = costs, None
            self.seq = newest

    def changed_since(self, seq: int) -> list[int]:
        """Positions with events after `seq`."""
        _, changed = self.store.since(seq)
        return [
            self.sheet.position_of[example]
            for split, example in changed
            if split == self.sheet.split and example in self.sheet.position_of
        ]

    @property
    def tag_names(self) -> tuple[str, ...]:
        """Yours, in the order of their keys; "label wrong" last."""
        return (*self._began, LABEL_WRONG)

    @property
    def keys(self) -> dict[str, str]:
        return {LABEL_WRONG: "w"} | dict(zip(self._began, KEYS, strict=False))

    def record(self, events: Sequence[TagEvent], who: str) -> None:
        self.store.record(events, who)
        self.refresh()

    def undo(self, who: str) -> list[int]:
        """Positions whose last event was undone."""
        undone = self.store.undo(who)
        self.refresh()
        found = (self.sheet.position_of.get(one.example) for one in undone if one.split == self.sheet.split)
        return [position for position in found if position is not None]

    # --- rows ---------------------------------------------------------------------------------------------------------
    def positions(self, wanted: Filter, others: np.ndarray | None = None) -> np.ndarray:
        """The matching examples, in order. `others` (N,) bool: those selected by a comparison with another run."""
        with self._lock:
            sheet, table = self.sheet, self.sheet.table
            keep = np.ones(len(table), dtype=bool)
            if wanted.show != "all" and wanted.change is None:
                keep &= sheet.errors.is_error == (wanted.show == "errors")
            for name in ("target", "prediction"):
                value = getattr(wanted, name)
                if value is not None:
                    keep &= (table[name].cast(pl.String) == value).fill_null(value=False).to_numpy()
            if (wanted.low is not None or wanted.high is not None) and "confidence" in table.columns:
                sure = table["confidence"].fill_null(-1.0).to_numpy()
                keep &= (sure >= (wanted.low or 0.0)) & (sure <= (1.0 if wanted.high is None else wanted.high))
            if wanted.text:
                keep &= table["id"].cast(pl.String).str.contains(wanted.text, literal=True).to_numpy()
            if wanted.seen != "any":
                keep &= self._marks.reviewed == (wanted.seen == "reviewed")
            for name in wanted.tags:
                keep &= self._tagged(name)
            if others is not None:
                keep &= others
            return self._ordered(wanted.order)[keep[self._ordered(wanted.order)]]

    def _ordered(self, order: str) -> np.ndarray:
        sheet = self.sheet
        if order == "random":
            return sheet.order
        if order == "id":
            return np.arange(len(sheet.table))
        if order == "error":
            return np.argsort(-sheet.table["error"].to_numpy(), kind="stable")
        sure = sheet.table["confidence"].fill_null(0.5).to_numpy()
        return np.argsort(-sure if order == "sure" else sure, kind="stable")

    def _tagged(self, name: str) -> np.ndarray:
        found = next((tag for tag in (*self._mine(), *self.sheet.tags) if tag.name == name), None)
        return np.zeros(len(self.sheet.table), dtype=bool) if found is None else found.tagged

    def _mine(self) -> list[Tag]:
        return self._marks.tags(self._began)

    def rows(self, positions: Sequence[int] | np.ndarray) -> list[Row]:
        with self._lock:
            mine, machine, reviewed = self._mine(), self.sheet.tags, self._marks.reviewed
            found = []
            for position in map(int, positions):
                row = self.sheet.table.row(position, named=True)
                found.append(
                    Row(
                        position, str(row["id"]), in_words(row, "target"), in_words(row, "prediction"), row["error"],
                        row.get("confidence"),
                        machine=tuple(tag.name for tag in machine if tag.tagged[position]),
                        mine=tuple(tag.name for tag in mine if tag.tagged[position]),
                        is_reviewed=bool(reviewed[position]), comment=self._marks.comments.get(position, ""),
                        spans=views_of_spans(row),
                    )
                )  # fmt: skip
            return found

    def _by_gain_per_cost(self, shares: list[TagShare]) -> tuple[TagShare, ...]:
        """Worth most for what they cost first; in the order of their keys as long as nobody gave a cost."""
        found = [replace(one, cost=self._costs.get(one.name, 1.0)) for one in shares]
        return tuple(sorted(found, key=lambda one: -one.gain_per_cost) if self._costs else found)

    # --- counts -------------------------------------------------------------------------------------------------------
    def counts(self) -> Counts:
        with self._lock:
            errors, mine = self.sheet.errors, self._mine()
            if self._machine is None:
                shares = shares_of_errors(errors, self.sheet.tags, self._costs)
                specific = {one.name for one in shares if one.is_specific}
                self._machine = (
                    shares, in_order_of_gain(
                        errors, [tag for tag in self.sheet.tags if tag.name in specific], 3, self._costs
                    )
                )  # fmt: skip
            is_known = [bool((tag.reviewed & errors.is_error).any()) for tag in mine]
            known = [tag for tag, has in zip(mine, is_known, strict=True) if has]
            both = union(known, "all of your tags") if len(known) > 2 else None
            wrong = errors.count
            return Counts(
                mine=self._by_gain_per_cost([share_of_errors(errors, tag) for tag in known]),
                not_yet=tuple(tag.name for tag, has in zip(mine, is_known, strict=True) if not has),
                together=share_of_errors(errors, both) if both and (both.reviewed & errors.is_error).any() else None,
                machine=tuple(sorted(self._machine[0], key=lambda one: not one.is_specific)),
                first=self._machine[1],
                reviewed=int((self._marks.reviewed & errors.is_error).sum()),
                errors=wrong,
                by_hand=chosen_by_hand(self.sheet.order[:wrong], self._marks.reviewed),
                keys=self.keys,
                costs=self._costs,
            )
