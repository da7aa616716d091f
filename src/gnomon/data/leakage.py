"""The same example on two sides of a split, exactly or nearly, and the same inputs with two targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np

from gnomon.core.evaluation import SPLITS
from gnomon.core.seeds import generator
from gnomon.data.coincidences import coincidences
from gnomon.data.near_texts import near_copies

if TYPE_CHECKING:
    import polars as pl

    from gnomon.core.example import Examples
    from gnomon.data.near_texts import WordPairs

# Chosen with 16 x 16 thumbnails. Pairs found across the published halves, and share of 300 planted copies found:
#                   found                               JPEG 50  darker  brighter  3/4 size  half size  1 pixel
#   CIFAR-10 (half) 38 of 5,000, by eye all are copies    100 %   100 %      89 %     100 %      100 %     95 %
#   Fashion-MNIST   29 of 10,000, by eye nearly all        95 %   100 %      87 %      88 %       83 %      9 %
#   MNIST           1 of 2,000, by eye not a copy         100 %   100 %      99 %      99 %       93 %     44 %
# A shift by a pixel in 28 changes a drawing more than another hand does; a larger limit finds it, and false ones.
NEIGHBOURS = 20  # candidates compared closely, and the neighbours among which a copy must stand out
STANDS_OUT = 0.12  # variance a copy may leave unexplained, as a share of what the typical neighbour leaves
COARSE_SIDE = 8  # pixels per side of the thumbnails in which candidates are searched
LEAST_SIDE = 12  # pixels per side; below, drawings by two hands are as close as copies: exact copies only
MOST_COMPARED = 2e9  # pairs of pictures in one call: about 10 seconds of one core
BLOCK = 256  # pictures compared with all others at a time: bounds the memory

Copies = tuple[np.ndarray, np.ndarray, np.ndarray]  # positions in one split, of their copies in another; similarity
PAIR_COLUMNS = ("kind", "split", "id", "other_split", "other_id", "same_target", "similarity")


@dataclass(frozen=True)
class Leaks:
    """The result.

    `pairs` has the columns kind ("exact" or "near"), split, id, other_split, other_id, same_target (null if the
    examples have no class) and similarity (1: the same). An example appears at most once for each other split;
    `other_split` is the one trained on first. Pairs within one split are listed only if their targets differ.
    `copies_in_train` (sorted int64) are the positions of all examples of train that have a copy elsewhere.
    """

    pairs: pl.DataFrame
    copies_in_train: np.ndarray
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()  # what looks like a copy and need not be one: for the report
    repeats: float = 0.0  # share of train that equals another example of train: what to expect across splits

    def count(self, split: str, other: str, kind: Literal["exact", "near"] | None = None) -> int:
        """How many examples of `split` have a copy in `other`."""
        pairs = self.pairs.filter(split=split, other_split=other)
        return len(pairs if kind is None else pairs.filter(kind=kind))


def find_leaks(splits: Mapping[str, Examples]) -> Leaks:
    """Look for examples that are in two splits.

    Exact copies have equal fingerprints; rows of a table that chance makes equal are not copies (`coincidences`). Near
    copies of texts share most pairs of words (near_texts.py). Others are searched for if thumbnails are square grey
    pictures, row by row: the nearest pictures by correlation at
    8 x 8 pixels are fitted to one another with brightness, contrast, a shift and a change of sharpness free (least
    squares); a copy leaves at most 12 % as much variance unexplained as the typical neighbour does. If that takes
    too long a sample of the smaller split is used, and `notes` says so.
    """
    import polars as pl

    names = [name for name in SPLITS if name in splits and len(splits[name])]
    frames = {name: _frame(splits[name]) for name in names}
    couples = list(combinations(names, 2))  # (trained on first, held out)
    judged, notes, remarks = {}, list[str](), list[str]()  # the rows of each couple's second split that may be copies
    for other, split in couples:
        by_chance = coincidences(splits[split], splits[other])
        judged[other, split] = frames[split].filter(pl.Series(~by_chance)) if by_chance.any() else frames[split]
        if by_chance.any():
            remarks.append(
                f"{_counted(int(by_chance.sum()))} of {split} may equal one of {other} by chance: rows with so few "
                f"values often do, even within {other}; not counted as copies."
            )
    pairs = [_exact(frames[other], judged[other, split], other, split) for other, split in couples]
    pairs += [_two_targets(name, frames[name]) for name in names]
    copied = [_copied(frames["train"], judged["train", name]) for name in names if ("train", name) in judged]
    thumbnails = {name: _pictures(splits[name]) for name in names}
    texts = {name: splits[name].word_pairs() for name in names} if len(names) > 1 else {}
    for i, (other, split) in enumerate(couples):
        found, note = _near_copies(thumbnails, texts, other, split, MOST_COMPARED / len(couples))
        notes += note
        if found is None:
            continue
        is_new = ~_as_text(frames[split][found[0]])["id"].is_in(pairs[i]["id"].implode()).to_numpy()
        position, partner, similarity = (part[is_new] for part in found)
        ours, theirs = _as_text(frames[split][position]), _as_text(frames[other][partner])
        pairs.append(_table("near", split, ours, other, theirs, similarity))
        if other == "train":
            copied.append(partner)
    table = pl.concat(pairs) if pairs else _nothing()
    everywhere = np.unique(np.concatenate([np.empty(0, np.int64), *copied]))
    repeats = 0.0
    if "train" in frames:
        repeats = int(frames["train"]["fingerprint"].is_duplicated().sum()) / len(frames["train"])
    return Leaks(table, everywhere, (*_sentences(table, couples, names), *notes), tuple(remarks), repeats)


def _near_copies(
    thumbnails: Mapping[str, np.ndarray | None], texts: Mapping[str, WordPairs | None], other: str, split: str,
    most: float,
) -> tuple[Copies | None, list[str]]:  # fmt: skip
    """The near copies that examples of `split` have in `other`, by pictures or words, and notes; or None."""
    written, known = texts.get(split), texts.get(other)
    if written is not None and known is not None:
        return near_copies(written, known), []
    there, here = thumbnails[other], thumbnails[split]
    if there is None or here is None or there.shape[1:] != here.shape[1:]:
        return None, []
    chosen, looked_in, note = _within_budget(len(here), len(there), most, split, other)
    near = _near(here[chosen], there[looked_in])
    return (chosen[near[0]], looked_in[near[1]], near[2]), note


def find_leaks_of_folds(splits: Mapping[str, Examples], parts: Sequence[np.ndarray]) -> Leaks:
    """As `find_leaks`, where each of `parts` (positions in train) is judged by a model trained on the rest of train."""
    import polars as pl

    pool = splits["train"]
    found = [find_leaks({name: part for name, part in splits.items() if name != "dev"})]
    for part in parts:
        rest = np.setdiff1d(np.arange(len(pool)), part)
        found.append(find_leaks({"train": pool.take(rest), "dev": pool.take(part)}))
    across = [one.pairs.filter(pl.col("other_split") == "train", pl.col("split") == "dev") for one in found[1:]]
    copies = sum(map(len, across))
    notes = (f"{_counted(copies)} judged by a fold {'is' if copies == 1 else 'are'} also in what it trained on.",)
    return Leaks(
        pl.concat([found[0].pairs, *across]),
        np.empty(0, np.int64),
        (*(notes if copies else ()), *found[0].notes),
        tuple(dict.fromkeys(remark for one in found for remark in one.remarks)),
        found[0].repeats,
    )


# --- exact --------------------------------------------------------------------------------------------------------
def _frame(examples: Examples) -> pl.DataFrame:
    """Id and target stay as they are: millions of rows become text only where they have copies."""
    import polars as pl

    index = examples.index
    target = index["label"]
    if target.null_count() == len(target):  # a number is compared by the tenth it falls into, anything else not at all
        is_number = index["stratum"].dtype.is_numeric()
        target = index["stratum"] if is_number else pl.Series([None] * len(index), dtype=pl.String)
    fingerprint = pl.Series("fingerprint", examples.fingerprints(), dtype=pl.UInt64)
    return index.select("id", target.alias("target"), fingerprint)


def _as_text(frame: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    return frame.with_columns(pl.col("id", "target").cast(pl.String))


def _exact(theirs: pl.DataFrame, ours: pl.DataFrame, other: str, split: str) -> pl.DataFrame:
    """Each example of `split` whose inputs `other` has too, with a partner of the same class if there is one."""
    import polars as pl

    shared = theirs.join(ours, on="fingerprint", how="semi", maintain_order="left")
    # one partner per class: a million equal rows on both sides must not make 10^12 pairs
    partners = _as_text(shared.unique(["fingerprint", "target"], keep="first", maintain_order=True))
    copies = _as_text(ours.join(partners, on="fingerprint", how="semi", maintain_order="left"))
    both = copies.with_row_index("row").join(partners, on="fingerprint", suffix="_other")
    both = both.with_columns(same=pl.col("target") == pl.col("target_other"))
    both = both.sort("row", "same", descending=[False, True], nulls_last=True, maintain_order=True)
    both = both.unique("row", keep="first", maintain_order=True)
    partner = both.select(id="id_other", target="target_other")
    return _table("exact", split, both, other, partner, np.ones(len(both), dtype=np.float32))


def _two_targets(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Examples of one split with the inputs of an earlier one and another class."""
    import polars as pl

    frame = _as_text(frame.filter(frame["fingerprint"].is_duplicated()))
    first = frame.unique("fingerprint", keep="first", maintain_order=True)
    both = frame.join(first, on="fingerprint", suffix="_other", maintain_order="left")
    both = both.filter(pl.col("target") != pl.col("target_other"))
    theirs = both.select(id="id_other", target="target_other")
    return _table("exact", name, both, name, theirs, np.ones(len(both), dtype=np.float32))


def _copied(train: pl.DataFrame, judged: pl.DataFrame) -> np.ndarray:
    """Positions in train of all exact copies."""
    rows = train.with_row_index("row").join(judged, on="fingerprint", how="semi")["row"]
    return rows.to_numpy().astype(np.int64)


def _table(
    kind: str, split: str, ours: pl.DataFrame, other: str, theirs: pl.DataFrame, similarity: np.ndarray
) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame({"id": ours["id"], "other_id": theirs["id"]}).select(
        kind=pl.lit(kind),
        split=pl.lit(split),
        id=pl.col("id"),
        other_split=pl.lit(other),
        other_id=pl.col("other_id"),
        same_target=ours["target"] == theirs["target"],
        similarity=pl.Series(similarity, dtype=pl.Float32),
    )


def _nothing() -> pl.DataFrame:
    import polars as pl

    kinds = (pl.String, pl.String, pl.String, pl.String, pl.String, pl.Boolean, pl.Float32)
    return pl.DataFrame(schema=dict(zip(PAIR_COLUMNS, kinds, strict=True)))


def _sentences(pairs: pl.DataFrame, couples: list[tuple[str, str]], names: list[str]) -> list[str]:
    sentences = []
    for other, split in couples:
        found = pairs.filter(split=split, other_split=other)
        if len(found):
            exact, moved = len(found.filter(kind="exact")), int((~found["same_target"]).sum())
            sentences.append(
                f"{_counted(len(found))} of {split} {'is' if len(found) == 1 else 'are'} also in {other} "
                f"({exact:,} exact, {len(found) - exact:,} nearly identical"
                + (f"; {moved:,} with another target)." if moved else ").")
            )
    for name in names:
        clashing = len(pairs.filter(split=name, other_split=name))
        if clashing:
            sentences.append(
                f"{_counted(clashing)} of {name} with the same inputs as another one but a different target."
            )
    return sentences


def _counted(number: int) -> str:
    return f"{number:,} example{'' if number == 1 else 's'}"


# --- near ---------------------------------------------------------------------------------------------------------
def _pictures(examples: Examples) -> np.ndarray | None:
    """(N, S, S) float32, or None if thumbnails are not square pictures, or too small to compare."""
    flat = examples.thumbnails()
    if flat is None or not len(flat):
        return None
    side = round(flat.shape[1] ** 0.5)
    return flat.reshape(len(flat), side, side) if side * side == flat.shape[1] and side >= LEAST_SIDE else None


def _within_budget(
    num_here: int, num_there: int, most: float, split: str, other: str
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Positions to compare on both sides: all of them, or a sample of the smaller side with a note."""
    here, there = np.arange(num_here), np.arange(num_there)
    if num_here * num_there <= most:
        return here, there, []
    smaller = min(num_here, num_there)
    number = max(1, int(most / max(num_here, num_there)))
    sample = np.sort(generator(0, "leaks", split, other).choice(smaller, number, replace=False))
    name = split if num_here <= num_there else other
    note = (
        f"Near-duplicates of {split} in {other}: a sample of {number:,} of {smaller:,} examples of {name} was compared."
    )
    return (sample, there, [note]) if num_here <= num_there else (here, sample, [note])


def _near(here: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(positions in `here`, their copies in `there`, similarity): at most one copy each."""
    if len(there) < NEIGHBOURS:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
    coarse_there = _coarse(there)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for start in range(0, len(here), BLOCK):
        block = here[start : start + BLOCK]
        candidates = _nearest(_coarse(block) @ coarse_there.T)  # (B, NEIGHBOURS)
        unexplained = _unexplained_by(block[:, None], there[candidates])
        best = np.argsort(unexplained, axis=1)[:, :3]
        close = np.take_along_axis(candidates, best, axis=1)
        # a blurred picture follows from the sharp one, but not vice versa: the second direction settles it
        either_way = np.minimum(
            np.take_along_axis(unexplained, best, axis=1), _unexplained_by(there[close], block[:, None])
        )
        copy = either_way.argmin(axis=1)
        rows = np.arange(len(block))
        left = either_way[rows, copy]
        is_copy = left <= STANDS_OUT * np.median(unexplained, axis=1)
        found.append((start + rows[is_copy], close[rows, copy][is_copy], 1 - left[is_copy]))
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))  # type: ignore[return-value]


def _coarse(pictures: np.ndarray) -> np.ndarray:
    """(N, 64): pictures reduced to 8 x 8 by averaging, each with mean 0 and length 1 (0 if it is one colour)."""
    edges = np.arange(COARSE_SIDE) * pictures.shape[1] // COARSE_SIDE
    sums = np.add.reduceat(np.add.reduceat(pictures, edges, axis=1), edges, axis=2)
    extent = np.diff(edges, append=pictures.shape[1]).astype(np.float32)
    flat = (sums / (extent[:, None] * extent)).reshape(len(pictures), -1)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    normal: np.ndarray = flat / np.where(length > 1e-6, length, np.inf)
    return normal


def _nearest(correlation: np.ndarray) -> np.ndarray:
    """(B, NEIGHBOURS) columns of the largest entries of each row, in no order."""
    rows, columns = correlation.shape
    width = 64
    if columns < 4 * NEIGHBOURS * width:
        return np.argpartition(-correlation, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
    # the largest 20 are in the 20 stretches with the largest maxima: partitioning only those is ten times faster
    whole = columns // width * width
    highest = correlation[:, :whole].reshape(rows, -1, width).max(axis=2)
    stretches = np.argpartition(-highest, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
    within = (stretches[:, :, None] * width + np.arange(width)).reshape(rows, -1)
    within = np.concatenate([within, np.broadcast_to(np.arange(whole, columns), (rows, columns - whole))], axis=1)
    best = np.argpartition(-np.take_along_axis(correlation, within, axis=1), NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
    return np.take_along_axis(within, best, axis=1)


def _unexplained_by(pictures: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(B, M): the share of the others' variance that a small shift, blur, brightness and contrast do not explain.

    One of (B, 1, S, S) and (B, M, S, S) is fitted to the other: a second-order Taylor series in the shift, whose
    second derivatives also represent a change of sharpness. A picture of one colour explains nothing.
    """
    basis = np.linalg.qr(_changes(pictures))[0]  # (B, 1 or M, S * S, 7)
    wanted = others.reshape(*others.shape[:2], -1)
    wanted = wanted - wanted.mean(axis=2, keepdims=True)
    length = np.linalg.norm(wanted, axis=2, keepdims=True)
    wanted = wanted / np.where(length > 1e-6, length, np.inf)
    explained = (np.swapaxes(basis, 2, 3) @ wanted[..., None])[..., 0]  # (B, M, 7)
    unexplained: np.ndarray = 1 - (explained**2).sum(axis=2)
    return unexplained.clip(0, 1)


def _changes(pictures: np.ndarray) -> np.ndarray:
    """(B, M, S * S, 7): a constant, the picture, its first and second derivatives."""
    wide = np.pad(pictures, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    middle, up, down = wide[..., 1:-1, 1:-1], wide[..., :-2, 1:-1], wide[..., 2:, 1:-1]
    left, right = wide[..., 1:-1, :-2], wide[..., 1:-1, 2:]
    corners = wide[..., 2:, 2:] + wide[..., :-2, :-2] - wide[..., 2:, :-2] - wide[..., :-2, 2:]
    columns = (
        np.ones_like(middle),
        middle,
        (right - left) / 2,
        (down - up) / 2,
        right + left - 2 * middle,
        down + up - 2 * middle,
        corners / 4,
    )
    return np.stack(columns, axis=-1).reshape(*pictures.shape[:2], -1, len(columns))
