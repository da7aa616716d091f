"""Tags of pairs that are wrong: whose they are, who looks like whom, which picture is in many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnomon.strategy.error_analysis import Tag
from gnomon.strategy.identity_labels import find_suspects

if TYPE_CHECKING:
    from gnomon.metrics.identity_table import IdentityTable

MOST_PEOPLE, MOST_COUPLES = 6, 4  # identities, and pairs of them, that become tags
FEWEST = 2  # errors without which they do not


def from_identities(table: IdentityTable) -> list[Tag]:
    """The identities with most errors, look-alikes, refused pairs far beyond the threshold, suspect pictures."""
    wrong, people = table.is_wrong, table.person_of[table.pairs]
    every = np.ones(len(wrong), dtype=bool)
    tags = []
    counts = np.bincount(people[wrong].ravel(), minlength=len(table.people))
    for person in np.argsort(-counts, kind="stable")[:MOST_PEOPLE]:
        if counts[person] >= FEWEST:
            has = (people == person).any(axis=1)
            tags.append(
                Tag(f"a picture of {table.people[person]}", "identity", has, every, "One side shows this identity.")
            )
    accepted = wrong & ~table.is_same
    couples, number = np.unique(np.sort(people[accepted], axis=1), axis=0, return_counts=True)
    for row in np.argsort(-number, kind="stable")[:MOST_COUPLES]:
        if number[row] >= FEWEST:
            first, second = couples[row]
            has = (np.sort(people, axis=1) == couples[row]).all(axis=1)
            name = f"look-alikes {table.people[first]} and {table.people[second]}"
            tags.append(Tag(name, "identity", has, every, "Two identities that are taken for one."))
    usual = float(np.median(np.abs(table.apart)))
    far = table.is_same & (table.apart > usual)
    if (far & wrong).any():
        meaning = "Both pictures show one identity, and they lie as far apart as an average pair of two."
        tags.append(Tag("far apart", "distance", far, every, meaning))
    suspects = {one.name for one in find_suspects(table)}
    if suspects:
        is_suspect = np.array([name in suspects for name in table.names])
        has = is_suspect[table.pairs].any(axis=1)
        meaning = "A picture in it lies nearer to another identity than to its own: gnomon labels lists them."
        tags.append(Tag("suspect identity", "label", has, every, meaning))
    return tags
