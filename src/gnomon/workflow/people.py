"""enrol, identify, verify: people by pictures of them, with a run of verification and no training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import polars as pl

from gnomon.core.errors import UsageError
from gnomon.core.example import BadInput
from gnomon.core.options import one_of
from gnomon.data.pairs import SAME
from gnomon.metrics.verification import Nobody, threshold_among
from gnomon.nn.nearest import Nearest
from gnomon.runs.names import Place
from gnomon.runs.people import Encodings, Enrolled, PeopleFolder, check_names
from gnomon.training.approximate import ApproximateNearest
from gnomon.workflow.picture_vectors import Encoder
from gnomon.workflow.run import load

NOBODY = "nobody"
FPIR = 0.01  # of people who are not enrolled, how many may be taken for somebody who is
Index = Literal["exact", "approximate"]


@dataclass(frozen=True)
class Change:
    """What `enrol` did."""

    path: Path
    enrolled: Enrolled
    removed: str | None
    bad: tuple[BadInput, ...]  # pictures that could not be read


@dataclass(frozen=True)
class Identified:
    """`table`: a row for each picture with id, person (or "nobody"), sure (0 to 1), distance, nearest and picture."""

    table: pl.DataFrame
    pictures: int  # enrolled
    people: int
    fpir: float  # that was asked for
    nobody: Nobody
    bad: tuple[BadInput, ...]


@dataclass(frozen=True)
class Verified:
    """Whether two pictures are of one identity."""

    same: bool
    sure: float  # 0 to 1, in the answer that was given; on dev, where as many pairs are of one identity as of two
    distance: float  # squared, 0 to 4
    threshold: float
    is_one_file: bool  # both pictures have the same bytes


def enrol(
    run: Place, people: str | Path, source: Any = None, *, name: str | None = None, remove: str | None = None
) -> Change:
    """Add pictures of people to the folder `people`, or remove somebody from it. Nothing is trained.

    `source`: pictures (a file, a list, a folder, an array) of one person `name`; or without a name a folder with a
    folder for each person. All of them are added or, after an error, none. Raises UsageError, DataError.
    """
    encoder = Encoder(load(run))
    if remove is not None:
        if source is not None or name is not None:
            raise UsageError("remove= takes no pictures and no name=.", fix=f"leave them out: remove={remove}")
        folder = _folder(people, encoder)
        return Change(folder.path, folder.remove(remove), remove, ())
    if source is None:
        raise UsageError(
            "enrol needs pictures, or remove=NAME.", fix="gnomon enrol RUN people/ anna.jpg name=anna, for example."
        )
    folder = _folder(people, encoder)
    if name is not None:
        check_names(pl.Series([name]))
    found, digests = encoder.read(source)
    names = [name or _person_of(one) for one in found.ids]
    new = Encodings.of(names, list(found.ids), digests, found.vectors)
    return Change(folder.path, folder.add(new), None, found.bad)


def identify(run: Place, people: str | Path, source: Any, *, fpir: float | str = FPIR) -> Identified:
    """Who of the people in the folder is in each picture of `source`, how sure that is, or nobody.

    `fpir`: of strangers, the share that may be taken for one of them; the threshold for that comes from the run's dev
    pairs. Raises UsageError, DataError.
    """
    return Recogniser(run, people, fpir=fpir).identify(source)


def verify(run: Place, first: Any, second: Any) -> Verified:
    """Whether two pictures are of one identity, by the run's threshold. Raises UsageError, DataError."""
    encoder = Encoder(load(run))
    vectors, digests = [], []
    for picture in (first, second):
        found, own = encoder.read(picture)
        if len(found.ids) != 1:
            raise UsageError(f"verify compares two pictures, got {len(found.ids)} in one place.", fix="give two files.")
        vectors.append(found.vectors[0].astype(np.float64))
        digests += own
    apart = float(np.square(vectors[0] - vectors[1]).sum())
    same, belief = apart < encoder.threshold, encoder.belief(apart)
    return Verified(same, belief if same else 1 - belief, apart, encoder.threshold, digests[0] == digests[1])


@final
class Recogniser:
    """The people of a folder as they are now, to be asked again and again. `index`: "exact" or "approximate".

    Raises UsageError for a folder with nobody in it, of another run or of something else.
    """

    def __init__(self, run: Place, people: str | Path, *, fpir: float | str = FPIR, index: Index = "exact") -> None:
        self._run = load(run)
        self.encoder = Encoder(self._run)
        self._fpir = _share(fpir)
        one_of("index", index, ["exact", "approximate"])
        folder = _folder(people, self.encoder)
        self.people = folder.load()
        if not len(self.people):
            raise UsageError(
                "nobody is enrolled there.", where=str(folder.path),
                fix=f"gnomon enrol RUN {folder.path} anna.jpg name=anna",
            )  # fmt: skip
        self._nearest = (Nearest if index == "exact" else ApproximateNearest).of(self.people.vectors)

    @cached_property
    def nobody(self) -> Nobody:
        """The threshold beyond which a picture is of nobody here."""
        table = self._run.evaluation("dev").table
        strangers = table.filter(pl.col("target") != SAME)["distance"].to_numpy()
        relatives = table.filter(pl.col("target") == SAME)["distance"].to_numpy()
        return threshold_among(strangers, relatives, len(self.people), self._fpir, self.encoder.threshold)

    def identify(self, source: Any) -> Identified:
        """As `gnomon.identify`."""
        found, _ = self.encoder.read(source)
        apart, rows = (column[:, 0] for column in self._nearest.search(found.vectors))
        nearest = self.people.table[rows]
        is_known = apart < self.nobody.threshold
        belief = np.array([self.encoder.belief(one, self.people.num_people) for one in apart])
        table = pl.DataFrame(
            {
                "id": list(found.ids),
                "person": [name if known else NOBODY for name, known in zip(nearest["name"], is_known, strict=True)],
                "sure": np.where(is_known, belief, 1 - belief),
                "distance": apart,
                "nearest": nearest["name"],
                "picture": nearest["picture"],
            }
        )
        return Identified(table, len(self.people), self.people.num_people, self._fpir, self.nobody, found.bad)


def as_plain(found: Change | Identified | Verified) -> dict[str, Any]:
    """As JSON has it."""
    if isinstance(found, Verified):
        return dict(vars(found))
    bad = [{"where": one.where, "why": one.why} for one in found.bad]
    if isinstance(found, Change):
        done = found.enrolled
        changed = {"added": done.added.to_dicts(), "known": done.known.to_dicts(), "removed": done.removed}
        return {"path": str(found.path), **changed, "pictures": done.pictures, "people": done.people, "bad": bad}
    known = {"pictures": found.pictures, "people": found.people, "fpir": found.fpir, "nobody": dict(vars(found.nobody))}
    return {"answers": found.table.to_dicts(), **known, "bad": bad}


def _folder(people: str | Path, encoder: Encoder) -> PeopleFolder:
    return PeopleFolder(Path(people).expanduser(), encoder.fingerprint, encoder.size)


def _person_of(picture: str) -> str:
    """The folder that a picture is in. Raises UsageError for one that is in none."""
    folder = picture.rpartition("/")[0].rpartition("/")[2]
    if not folder:
        raise UsageError(
            f"whose picture is {picture}?", fix="add name=anna, or give a folder with a folder for each person."
        )
    return folder


def _share(fpir: float | str) -> float:
    try:
        found = float(fpir)
    except ValueError:
        found = math.nan
    if not 0 < found < 1:
        raise UsageError(f"fpir is a share between 0 and 1, got {fpir}.", fix="use fpir=0.01, which is the default.")
    return found
