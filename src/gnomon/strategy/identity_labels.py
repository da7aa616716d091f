"""Pictures that lie under the wrong identity, from the distances of pairs: no model needs to be trained for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gnomon.metrics.identity_table import IdentityTable

FEWEST = 3  # other pictures of its identity that a picture is compared with before it can be suspect
STEEP = 2.0  # spreads of the distances that take the sureness from a half to 0.88


@dataclass(frozen=True)
class Suspect:
    """A picture that lies nearer to somebody else, or to nobody it is filed with."""

    name: str
    given: str
    suggested: str  # "" if nobody it was compared with is nearer than the threshold
    sureness: float  # 0 to 1


def find_suspects(table: IdentityTable) -> tuple[Suspect, ...]:
    """Pictures whose median distance to their own identity is beyond the threshold and beyond that to another one.

    An identity that is not compared with its pictures' true one (it is in another fold) still shows by the first half.
    """
    median = _medians(table)
    spread = float(np.median(np.abs(table.apart - np.median(table.apart)))) or 1.0
    found = []
    for picture, row in enumerate(median):
        own = table.person_of[picture]
        count = int(((table.pairs == picture).any(axis=1) & table.is_same).sum())
        others = np.where(np.arange(len(row)) == own, np.inf, np.nan_to_num(row, nan=np.inf))
        if count < FEWEST or np.isnan(row[own]):
            continue
        nearest = int(others.argmin())
        beyond = row[own] - min(0.0, float(others[nearest]))
        if row[own] <= 0 or beyond <= 0 or row[own] <= others[nearest] <= 0:
            continue
        name = table.people[nearest] if others[nearest] < 0 else ""
        sureness = 1 / (1 + np.exp(-STEEP * beyond / spread))
        found.append(Suspect(table.names[picture], table.people[own], name, float(sureness)))
    return tuple(sorted(found, key=lambda one: -one.sureness))


def _medians(table: IdentityTable) -> np.ndarray:
    """(M, K): of each picture's distances to each identity; NaN where they were not compared."""
    sides = np.concatenate([table.pairs, table.pairs[:, ::-1]])
    picture, person, apart = sides[:, 0], table.person_of[sides[:, 1]], np.tile(table.apart, 2)
    found = np.full((len(table.names), len(table.people)), np.nan)
    cell = picture * len(table.people) + person
    order = np.lexsort((apart, cell))
    for rows in np.split(order, np.flatnonzero(np.diff(cell[order])) + 1):
        found[picture[rows[0]], person[rows[0]]] = np.median(apart[rows])
    return found
