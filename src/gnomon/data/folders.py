"""What the names of folders say: which are above everything, which are the splits of a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gnomon.core.errors import DataError
from gnomon.data.trees import common_folder

SPLITS = {
    "train": "train", "training": "train", "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev",
    "test": "test", "testing": "test",
}  # fmt: skip


def above_all(names: Sequence[str]) -> str:
    """The folders above all of these files, excluding one that directly contains them: that one is a class."""
    top = common_folder(names)
    if top and all("/" not in name[len(top) :] for name in names):
        top = top.removesuffix("/").rpartition("/")[0]
        top = f"{top}/" if top else ""
    return top


def split_folders(top_folders: set[str], origin: str) -> Mapping[str, str]:
    """{folder: split} when every folder at the top is a split's, else {}: `train` beside `bus` and `car` is a class."""
    splits = {folder: SPLITS[folder.lower()] for folder in top_folders if folder.lower() in SPLITS}
    if len(splits) < len(top_folders) or len(splits) < 2:
        return {}
    alike = [folder for folder in sorted(splits) if [*splits.values()].count(splits[folder]) > 1]
    if alike:
        raise DataError(
            f"the folders {' and '.join(alike)} are the same split.",
            where=origin,
            fix="put their examples into one folder: train, dev or test.",
        )
    return splits
