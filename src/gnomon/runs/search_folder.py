"""A search and its folder: its configuration, the ledger of its trials, its result.

runs/tune/<time>-<name>/          runs/latest does not move: a search is not a run
  manifest.json  settings.toml  environment.json  data.json  splits.parquet  leaks.parquet   as in a run
  search.json                     what varies, how many trials, by which rule
  ledger.jsonl                    one line per trial, on disk before the next one begins; written by one process
  best/settings.toml              the best settings, for `gnomon fit DATA settings=FILE`
  outcome.json  figures/  report.html
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, final

from gnomon.core.errors import ArtefactError, UsageError
from gnomon.core.plain import read_as
from gnomon.core.settings import Settings
from gnomon.runs import reader, settings_file, writer
from gnomon.runs.folder import RunFolder
from gnomon.runs.journal import Journal
from gnomon.runs.names import LEDGER, LEDGER_LIMIT, safe_name
from gnomon.runs.records import Search, SearchOutcome
from gnomon.runs.seal import JSON_LIMIT, MANIFEST, RESTORE, decode_json, encode_json

KIND = "tune"  # the folder among the runs', and what its manifest says instead of a task
SEARCH, BEST, OUTCOME = "search.json", "best", "outcome.json"
BEST_SETTINGS = "settings.toml"


@final
class SearchFolder:
    """One search on disk. Changes are made inside `with folder.lock():`."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run  # settings, data card, splits, figures and report are kept as in a run
        self.ledger: Journal[dict[str, Any]] = Journal(run.path, LEDGER, limit=LEDGER_LIMIT)  # see search.ledger

    @property
    def path(self) -> Path:
        return self.run.path

    def __fspath__(self) -> str:
        return str(self.path)

    @classmethod
    def create(
        cls, runs_folder: str | Path, name: str, card: Mapping[str, writer.Data], search: Mapping[str, Any]
    ) -> Self:
        """Make runs/tune/<time>-<name>/ with the files of `card` and search.json, all at once."""
        now = datetime.now(UTC)
        parent = Path(runs_folder).absolute() / KIND
        writer.make_folder(parent)
        stem = f"{now:%Y%m%d-%H%M%S}-{safe_name(name)}"
        tries = (parent / (stem if number == 1 else f"{stem}-{number}") for number in itertools.count(1))
        about = {"task": KIND, "name": name, "created": now.isoformat(timespec="seconds")}
        files = {**card, SEARCH: encode_json(dict(search))}
        path = next(path for path in tries if writer.commit_new_folder(path, files, about))
        return cls(RunFolder.open(path))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """The search at `path`. Raises UsageError if it is not a search, ArtefactError if it is damaged."""
        run = RunFolder.open(path)
        if run.task != KIND:
            fix = f"resume it with: gnomon fit --resume {run.path}"
            raise UsageError("is a run, not a search.", where=str(run.path), fix=fix)
        return cls(run)

    @classmethod
    def newest(cls, runs_folder: str | Path) -> Self:
        """The newest search in `runs_folder`, by name. Raises UsageError if there is none."""
        parent = Path(runs_folder) / KIND
        names = (
            sorted(child.name for child in parent.iterdir() if (child / MANIFEST).exists()) if parent.is_dir() else []
        )
        if not names:
            raise UsageError("has no searches yet.", where=str(runs_folder), fix="make one: gnomon tune DATA")
        return cls.open(parent / names[-1])

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the search against other processes. Raises BusyError naming the holder."""
        with self.run.lock():
            yield

    def load_search(self) -> Search:
        """The search's configuration. Raises ArtefactError naming the place."""
        where = str(self.path / SEARCH)
        entry = reader.read_manifest(self.path)["files"].get(SEARCH)
        if entry is None:
            raise ArtefactError(f"does not list {SEARCH}.", where=str(self.path / MANIFEST), fix=RESTORE)
        plain = decode_json(reader.verified(self.path, SEARCH, entry, limit=JSON_LIMIT), where)
        return read_as(Search, plain, where=where, root="search", fix=RESTORE)

    def save_best(self, settings: Settings, given: Collection[str]) -> Path:
        """Commit best/settings.toml; `given` are the keys set by the search or the user."""
        text = settings_file.to_toml(settings, given)
        writer.commit_folder(self.path / BEST, {BEST_SETTINGS: text.encode()})
        return self.path / BEST / BEST_SETTINGS

    def save_outcome(self, outcome: Mapping[str, Any]) -> None:
        self.run.save_outcome(outcome)

    def load_outcome(self) -> dict[str, Any] | None:
        """Its result; None for an unfinished search."""
        if not os.path.lexists(self.path / OUTCOME):
            return None
        return dict(self.run.load_record(OUTCOME, SearchOutcome))
