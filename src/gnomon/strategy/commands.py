"""The commands that advice gives to paste."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from gnomon.core.settings import short_key

LEFT_OUT = ("data.labels", "runs_folder", "run_name", "stop.max_time")  # of what a run was given, in another one


@dataclass(frozen=True)
class Commands:
    """What a run was made from, and where it is, as words of a command line."""

    run: str  # its folder
    data: str  # what `gnomon fit` read; "DATA" for data that was in memory
    given: Mapping[str, Any]  # full key -> value: the settings that the user gave
    pool: int | None = None  # examples that dev was drawn from by its share; None: dev is the user's own, or unknown

    @staticmethod
    def of(
        run: str, data: str | None, flat: Mapping[str, Any], given: Collection[str], *, pool: int | None = None
    ) -> Commands:  # fmt: skip
        """`flat` has all settings of the run, `given` the full keys of those that the user set."""
        kept = {key: flat[key] for key in sorted(given) if key in flat and key not in LEFT_OUT}
        return Commands(run, data or "DATA", kept, pool)

    def fit(self, changes: Mapping[str, Any]) -> str:
        """The same training with these settings (full keys) changed."""
        lost = {key for key in self.given if "model.name" in changes and key.startswith(("model.", "regularise."))}
        values = {key: value for key, value in self.given.items() if key not in lost} | dict(changes)
        words = [f"{short_key(key)}={_value(value)}" for key, value in values.items() if value is not None]
        return shlex.join(["gnomon", "fit", self.data, *words])

    def verb(self, name: str, *more: str) -> str:
        """`gnomon NAME RUN ...`; "" where it takes no run with folds."""
        if "split.folds" in self.given and name in ("probe", "mismatch"):
            return ""
        return shlex.join(["gnomon", name, self.run, *more])

    def resume(self, *more: str) -> str:
        """Go on with the run itself."""
        return shlex.join(["gnomon", "fit", "--resume", self.run, *more])


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_value, value)) or "0"
    if isinstance(value, Mapping):
        return ",".join(f"{key}:{_value(one)}" for key, one in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
