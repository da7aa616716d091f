"""Pictures of identities: a folder for each person, signature or product; and lists of pairs to judge by."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.example import Examples, Reading
from gnomon.core.settings import DataSettings
from gnomon.data.images.class_folders import (
    Placed,
    check_bad,
    columns_of,
    ignored,
    layout_of,
    remarks,
    require_folders,
    scan_placed,
)
from gnomon.data.images.examples import ImageExamples, index_of
from gnomon.data.pairs import Pairs
from gnomon.data.source import File, Tree, counted, display_name, first_names, listed

FEWEST = 6  # identities with two pictures: two each for train, dev and test
LIST_NAME = re.compile(r"(^|/)pairs[^/]*\.(txt|csv)$", re.IGNORECASE)  # LFW's pairs.txt, pairsDevTest.txt
LAST_NUMBER = re.compile(r"(\d+)$")


def read_people(tree: Tree, settings: DataSettings) -> Reading:
    """Every picture with its identity as its group, so that no identity is on two sides of a split.

    A list of pairs (LFW's form) makes the test split: those pairs, whose people are not trained on. Raises DataError
    for too few identities, and for one in two splits of the source.
    """
    layout = layout_of(tree)
    require_folders(tree, layout)
    found, kept = scan_placed(tree, layout, settings)
    check_bad(found.bad, len(layout.placed), tree.origin, settings)
    ids, people, folders = columns_of(kept)
    index = index_of(ids, None, folders).with_columns(group=pl.Series(people, dtype=pl.String))
    whole = ImageExamples.of(found.store, found.readable, index)
    notes = [*tree.notes, *layout.notes, *_without_lists(ignored(layout)), *remarks(found)]
    rows = _without_copies(whole, notes)
    split_of = np.array([placed.split for placed in kept])
    lists = [file for file in tree.files if LIST_NAME.search(file.name)]
    splits: dict[str, Examples] = {}
    if lists:
        pairs = _listed(tree, lists, kept, whole, notes)
        named = set(np.array(people)[np.unique([pairs.left, pairs.right])].tolist())
        rows = np.array([row for row in rows if people[row] not in named], np.int64)
        split_of = np.where(split_of == "test", "all", split_of)
        splits["test"] = pairs
        if not len(rows):
            raise DataError(
                f"the list of pairs names all {len(named):,} people, and nobody is left to train on.",
                where=tree.origin,
                fix="add folders of other people: those that are judged must be new to the system.",
            )
    names = [name for name in ("all", "train", "dev", "test") if name not in splits]
    parts = {name: whole.take(rows[split_of[rows] == name]) for name in names if (split_of[rows] == name).any()}
    if lists and set(parts) == {"all"}:
        parts = {"train": parts["all"]}
    _check(parts, tree.origin, notes)
    return Reading({**parts, **splits}, tuple(notes), found.bad)


def _without_lists(notes: Sequence[str]) -> list[str]:
    return [note for note in notes if not LIST_NAME.search(note)]


def _without_copies(whole: ImageExamples, notes: list[str]) -> np.ndarray:
    """The rows of all pictures but those that lie under two names: one of the names is wrong, nobody knows which."""
    table = pl.DataFrame({"id": whole.index["id"], "group": whole.index["group"], "print": whole.fingerprints()})
    table = table.with_columns((pl.col("group").n_unique().over("print") > 1).alias("torn"))
    torn = table.filter("torn")
    if len(torn):
        shown = "; ".join(" = ".join(ids[:2]) for ids in torn.group_by("print", maintain_order=True)
                          .agg("id")["id"].head(3).to_list())  # fmt: skip
        notes.append(
            f"the same picture under two names, left out: {counted(torn['print'].n_unique(), 'picture')} ({shown}); "
            "delete the wrong copy"
        )
    found: np.ndarray = np.flatnonzero(~table["torn"].to_numpy())
    return found


def _check(parts: Mapping[str, ImageExamples], origin: str, notes: list[str]) -> None:
    """Raises DataError where nothing can be learned or judged, and where an identity is in two splits."""
    of_split: dict[str, Counter[str]] = {name: Counter(part.index["group"].to_list()) for name, part in parts.items()}
    for name, counts in of_split.items():
        able, fewest = sum(count > 1 for count in counts.values()), FEWEST if name == "all" else 2
        if able < fewest:
            raise DataError(
                f"{able} of {counted(len(counts), 'identity', 'identities')}"
                f"{'' if name == 'all' else f' in {name}'} have two pictures or more; {fewest} are needed.",
                where=origin,
                fix="give a folder for each person with at least two pictures"
                + (": two people each for train, dev and test." if name == "all" else f" in {name}."),
            )
    for first in of_split:
        for second in of_split:
            shared = sorted(set(of_split[first]) & set(of_split[second]))
            if first < second and shared:
                raise DataError(
                    f"{counted(len(shared), 'identity', 'identities')} in {first} and in {second}: "
                    f"{first_names(shared)}. The system is judged on identities that are new to it.",
                    where=origin,
                    fix="keep all pictures of one identity in one split.",
                )
    alone = sorted(name for counts in of_split.values() for name, count in counts.items() if count == 1)
    if alone:
        notes.append(listed("identities with one picture, which only show who is somebody else", alone))
    total = sum(map(len, of_split.values()))
    notes.append(f"{counted(total, 'identity', 'identities')}: all pictures of one are in one split")


def _listed(tree: Tree, lists: Sequence[File], kept: Sequence[Placed], whole: ImageExamples, notes: list[str]) -> Pairs:
    """The pairs of the lists: NAME N N of one person, NAME N NAME N of two. N is the number that ends a file's name."""
    place = {}
    for row, placed in enumerate(kept):
        stem = placed.file.name.rpartition("/")[2].rpartition(".")[0]
        last = LAST_NUMBER.search(stem)
        if last:
            place[placed.class_name, int(last[1])] = row
    found: list[tuple[int, int]] = []
    for file in lists:
        for number, line in enumerate(tree.read(file.name).decode("utf-8", "replace").splitlines(), start=1):
            cells = [cell for cell in re.split(r"[\t,]|\s+", line.strip()) if cell]
            if not cells or (len(cells) <= 2 and all(cell.isdigit() for cell in cells)) or cells[0] == "name":
                continue  # the head of the list: how many folds, and pairs in each
            second = cells[2:] if len(cells) == 4 else [cells[0], *cells[2:]]
            wanted = [tuple(cells[:2]), tuple(second)]
            where = f"{display_name(file.name)}, line {number}"
            rows = [_row(one, place, where) for one in wanted if len(one) == 2 and one[1].isdigit()]
            if len(cells) not in (3, 4) or len(rows) != 2:
                raise DataError(
                    f"{line.strip()[:60]!r} is not a pair.", where=where,
                    fix="write NAME N N for one person, NAME N NAME N for two.",
                )  # fmt: skip
            found.append((rows[0], rows[1]))
    left, right = np.array(found, np.int64).reshape(-1, 2).T
    pairs = Pairs(whole, left, right)
    same = int(pairs.same.sum()) if found else 0
    if not 0 < same < len(found):
        raise DataError(
            f"the list has {same:,} pairs of one person and {len(found) - same:,} of two.",
            where=display_name(lists[0].name), fix="give a list with both.",
        )  # fmt: skip
    notes.append(
        f"test: the {len(found):,} pairs of {first_names([file.name for file in lists])}, {same:,} of them of one "
        "person; their people are not trained on"
    )
    return pairs


def _row(wanted: tuple[str, ...], place: Mapping[tuple[str, int], int], where: str) -> int:
    key = wanted[0], int(wanted[1])
    if key not in place:
        raise DataError(
            f"there is no picture {wanted[1]} of {wanted[0]}.", where=where,
            fix=f"add it as {wanted[0]}/{wanted[0]}_{int(wanted[1]):04d}.jpg, or take the pair out of the list.",
        )  # fmt: skip
    return place[key]
