"""The files that a run has from the start."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from gnomon.core.settings import Settings
from gnomon.runs import settings_file
from gnomon.runs.names import DATA, ENVIRONMENT, LEAKS_TABLE, SETTINGS, SPLITS_TABLE
from gnomon.runs.sealed_files import as_json, as_parquet

if TYPE_CHECKING:
    import polars as pl


def card_files(
    *,
    settings: Settings,
    given: Collection[str],
    environment: Mapping[str, Any],
    data: Mapping[str, Any],
    splits: pl.DataFrame | None = None,
    leaks: pl.DataFrame | None = None,
) -> dict[str, bytes]:
    """The files that a run has from the start, for `RunFolder.create`; the arguments are those of its save methods.

    A craft divides nothing and has no tables of splits and leaks.
    """
    tables = {SPLITS_TABLE: splits, LEAKS_TABLE: leaks}
    return {
        SETTINGS: settings_file.to_toml(settings, given).encode(),
        ENVIRONMENT: as_json(ENVIRONMENT, environment),
        DATA: as_json(DATA, data),
        **{name: as_parquet(table) for name, table in tables.items() if table is not None},
    }
