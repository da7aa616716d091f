"""`settings=FILE`: the settings chosen in another settings.toml, for this run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gnomon.core.errors import UsageError
from gnomon.core.given import read_given
from gnomon.core.settings import full_key, value_of
from gnomon.runs import settings_file

OF_THE_RUN = ("run_name", "runs_folder")  # where that run was stored


def with_settings_file(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` without `settings`, plus what that file chose; `values` override it.

    Only settings under `given` are used: the others were chosen for that task and data size, and are chosen again.
    Raises UsageError for a missing file, ArtefactError for one that is not a settings file.
    """
    own = {key: value for key, value in values.items() if key != "settings"}
    if "settings" not in values:
        return own
    path = Path(values["settings"])
    missing = UsageError("does not exist.", where=str(path), fix="give a settings.toml of a run or a search.")
    data = read_given(path, missing=missing, limit=settings_file.LIMIT)
    settings, given = settings_file.from_toml(data, str(path))
    overruled = {full_key(key) for key in own if key != "model"} | ({"model.name"} if "model" in own else set())
    return {**{key: value_of(settings, key) for key in given - overruled - set(OF_THE_RUN)}, **own}
