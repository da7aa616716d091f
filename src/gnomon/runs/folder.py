"""A run and its folder: made once, never overwritten; every file of it is checked when it is read back.

runs/<task>/<time>-<name>/        runs/latest points at the newest
  manifest.json                   what the run is, size and SHA-256 of every file below that is saved whole
  settings.toml  environment.json  data.json  outcome.json  diagnosis.json
  splits.parquet  leaks.parquet  predictions/<split>.parquet
  floor.json                      what no effort and cheap references give on dev, where the task has any
  probes.json                     what changes to it would give, where that was measured
  history.jsonl  openings.jsonl  diary.jsonl  nudges.jsonl   records that only grow (of a search: ledger.jsonl)
  checkpoints/STEP/  model/       committed folders with a manifest each; outputs/ in the run of a craft
  folds/NUMBER/                   of a run with folds: each one's training, with its checkpoints, history and model
  figures/  report.html           for people; may be deleted
  lock                            who is at work here
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, final

from gnomon.core.errors import ArtefactError, UsageError
from gnomon.core.evaluation import SPLITS
from gnomon.core.settings import Settings
from gnomon.runs import checkpoints, reader, settings_file, writer
from gnomon.runs.checkpoints import Checkpoint
from gnomon.runs.journal import Journal
from gnomon.runs.lock import RunLock
from gnomon.runs.names import (
    CRAFT,
    DATA,
    DIAGNOSIS,
    DIARY,
    ENVIRONMENT,
    FIGURES,
    FLOOR,
    FOLDS,
    HISTORY,
    JOURNALS,
    LATEST,
    LEAKS_TABLE,
    LEDGER_LIMIT,
    LOCK,
    MODEL,
    OPENED,
    OPENINGS,
    OUTCOME,
    OUTPUTS,
    PREDICTIONS,
    PROBES,
    REPORT,
    SETTINGS,
    SPLITS_TABLE,
    place_of,
    predictions_name,
    safe_name,
)
from gnomon.runs.records import (
    CraftCard,
    CraftOutcome,
    DataCard,
    Environment,
    HistoryRow,
    MeasuredRow,
    Opening,
    Outcome,
)
from gnomon.runs.seal import MANIFEST, RESTORE
from gnomon.runs.sealed_files import SealedFiles, as_parquet
from gnomon.strategy import saved

if TYPE_CHECKING:
    import polars as pl

    from gnomon.strategy.diagnosis import Diagnosis
    from gnomon.strategy.floor import Floor
    from gnomon.strategy.improve_diary import Entry
    from gnomon.strategy.improve_probes import Probes

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file of a run that is not as it was saved, and why."""

    name: str  # relative to the run
    why: str


@dataclass(frozen=True, slots=True)
class Check:
    """What `RunFolder.check` found; names are relative to the run."""

    good: tuple[str, ...]
    bad: tuple[BadFile, ...]


@final
class RunFolder:
    """One run on disk. Reading needs nothing; whatever changes the run happens inside `with run.lock():`.

    Loading raises ArtefactError naming the file that is missing, damaged, linked or too large; saving MachineError.
    """

    def __init__(self, path: Path, *, task: str, name: str, created: str, kind: str = "") -> None:
        self.path, self.task, self.name, self.created = path, task, name, created
        self.is_craft = kind == CRAFT
        self._is_locked = False
        locked = self._require_lock
        self._history: Journal[HistoryRow] = Journal(path, HISTORY, HistoryRow, before_writing=locked)
        self.measured: Journal[MeasuredRow] = Journal(path, HISTORY, MeasuredRow, before_writing=locked)
        self._files = SealedFiles(path, before_writing=locked, if_missing=self.require_ladder)
        self.openings: Journal[Opening] = Journal(path, OPENINGS, Opening, before_writing=locked)
        self.diary: Journal[dict[str, Any]] = Journal(path, DIARY, before_writing=locked)  # see `load_diary`

    def __fspath__(self) -> str:
        return str(self.path)

    # --- making and finding -------------------------------------------------------------------------------------------
    @classmethod
    def create(
        cls,
        runs_folder: str | Path,
        task: str,
        run_name: str,
        files: Mapping[str, writer.Data] | None = None,
        now: datetime | None = None,
        *,
        kind: str = "",
    ) -> Self:
        """Make runs/<task>/<time>-<name>/, with -2, -3 ... behind it where that exists, and point `latest` at it.

        It appears together with `files` (see `card_files`): no crash leaves a run that lacks some of them.
        """
        now = (now or datetime.now(UTC)).astimezone(UTC)
        runs = Path(runs_folder).absolute()
        parent = runs / safe_name(task)
        writer.make_folder(parent)
        stem = f"{now:%Y%m%d-%H%M%S}-{safe_name(run_name)}"
        tries = (parent / (stem if number == 1 else f"{stem}-{number}") for number in itertools.count(1))
        about = {"task": task, "name": run_name, "created": now.isoformat(timespec="seconds")}
        about |= {"kind": kind} if kind else {}
        path = next(path for path in tries if writer.commit_new_folder(path, files or {}, about))
        run = cls(path, **about)
        run.make_latest()
        return run

    def part(self, number: int) -> Self:
        """The folder in which the fold of that number, from 1, is trained; made where it is missing."""
        self._require_lock()
        writer.make_folder(self.path / FOLDS)
        path = self.path / FOLDS / str(number)
        about = {"task": self.task, "name": f"{self.name}, fold {number}", "created": self.created}
        writer.commit_new_folder(path, {}, about)
        return self.open(path)

    def make_latest(self) -> None:
        """Point `latest` at this run."""
        runs = self.path.parent.parent
        writer.point(runs / LATEST, str(self.path.relative_to(runs)))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """The run at `path`. Raises UsageError if it is none, ArtefactError if its manifest is damaged."""
        path = place_of(path)
        real = Path(os.path.realpath(path))
        if not real.is_dir():
            what = "is a file, not a run folder." if real.exists() else "does not exist."
            raise UsageError(what, where=str(path), fix=f"give a run folder, such as runs/{LATEST}.")
        if not os.path.lexists(real / MANIFEST):
            raise UsageError(
                f"is not a run folder: it has no {MANIFEST}.",
                where=str(path),
                fix=f"give a run folder, such as runs/{LATEST}.",
            )
        manifest = reader.read_manifest(real)
        about = {key: manifest.get(key) for key in ("task", "name", "created")}
        if not all(isinstance(value, str) for value in about.values()):
            raise ArtefactError("does not say task, name and time.", where=str(real / MANIFEST), fix=RESTORE)
        return cls(real, **about, kind=str(manifest.get("kind", "")))  # type: ignore[arg-type]  # strings, as just checked

    def require_ladder(self) -> None:
        """Raises UsageError for the run of a craft, which has measures where other runs have a ladder."""
        if self.is_craft:
            raise UsageError(
                f"was made by the craft {self.task}, which has measures instead of errors: there is no ladder.",
                where=str(self.path),
                fix=f"gnomon show {self.path} has its measures and outputs.",
            )

    # --- one at a time ------------------------------------------------------------------------------------------------
    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run against other processes and clear what an interrupted one left. May be nested.

        Raises BusyError naming the holder.
        """
        if self._is_locked:
            yield
            return
        with RunLock(self.path / LOCK):
            self._is_locked = True
            try:
                self._clear_leftovers()
                yield
            finally:
                self._is_locked = False

    def _require_lock(self) -> None:
        if not self._is_locked:
            raise RuntimeError("a run is changed only inside `with run.lock():`")

    def _clear_leftovers(self) -> None:
        for folder in (self.path, *(self.path / name for name in (PREDICTIONS, FIGURES, FOLDS, checkpoints.FOLDER))):
            if folder.is_dir() and not folder.is_symlink():
                for child in [child for child in folder.iterdir() if writer.is_leftover(child.name)]:
                    writer.remove(child)
        writer.settle_folder(self.path / MODEL)
        writer.settle_folder(self.path / OUTPUTS)
        checkpoints.settle(self.path)

    @property
    def history(self) -> Journal[HistoryRow]:
        """A row per epoch. Raises UsageError for the run of a craft, whose rows are those of `measured`."""
        self.require_ladder()
        return self._history

    # --- settings, environment, data, diagnosis -----------------------------------------------------------------------
    def save_settings(self, settings: Settings, given: Collection[str] = ()) -> None:
        """`given`: the full keys that the user chose."""
        self._files.save(SETTINGS, settings_file.to_toml(settings, given).encode())

    def load_settings(self, *, as_saved: bool = False) -> tuple[Settings, frozenset[str]]:
        """The settings, and the full keys that the user chose. `as_saved`: as in `core.settings.from_flat`."""
        return settings_file.from_toml(
            self._files.load(SETTINGS, limit=settings_file.LIMIT), str(self.path / SETTINGS), as_saved=as_saved
        )

    def save_environment(self, environment: Mapping[str, Any]) -> None:
        self._files.save_json(ENVIRONMENT, environment)

    def load_environment(self) -> Environment:
        return self.load_record(ENVIRONMENT, Environment)

    def save_data(self, card: Mapping[str, Any]) -> None:
        """What was read: source, counts, split ids and hashes, as plain JSON values."""
        self._files.save_json(DATA, card)

    def load_data(self) -> DataCard:
        self.require_ladder()
        return self.load_record(DATA, DataCard)

    def load_craft(self) -> CraftCard:
        """data.json of a craft's run."""
        return self.load_record(DATA, CraftCard)

    def save_outcome(self, outcome: Mapping[str, Any]) -> None:
        """How training went: steps, best epoch, seconds, layers."""
        self._files.save_json(OUTCOME, outcome)

    @property
    def is_trained(self) -> bool:
        """Whether how its training went is recorded, which is done once its model is saved."""
        return OUTCOME in self._files

    def load_outcome(self) -> Outcome:
        self.require_ladder()
        return self.load_record(OUTCOME, Outcome)

    def load_craft_outcome(self) -> CraftOutcome | None:
        """None while it is being made."""
        return self.load_record(OUTCOME, CraftOutcome) if OUTCOME in self._files else None

    def save_diagnosis(self, diagnosis: Diagnosis) -> None:
        self._files.save_json(DIAGNOSIS, saved.to_json(diagnosis))

    def load_diagnosis(self) -> Diagnosis:
        return saved.from_json(self._files.load_json(DIAGNOSIS), str(self.path / DIAGNOSIS))

    def save_floor(self, floor: Floor) -> None:
        """What cheap references make of the same split."""
        self._files.save_json(FLOOR, saved.plain(asdict(floor)))

    def load_floor(self) -> Floor | None:
        """None where nothing was measured."""
        if FLOOR not in self._files:
            return None
        from gnomon.strategy import floor

        return floor.from_json(self._files.load_json(FLOOR), str(self.path / FLOOR))

    def save_probes(self, probes: Probes) -> None:
        """What changes to this system would give, as measured."""
        from gnomon.strategy import improve_probes  # NumPy comes with it

        self._files.save_json(PROBES, improve_probes.to_json(probes))

    def load_probes(self) -> Probes | None:
        """None where nothing was probed."""
        if PROBES not in self._files:
            return None
        from gnomon.strategy import improve_probes

        return improve_probes.from_json(self._files.load_json(PROBES), str(self.path / PROBES))

    def load_diary(self) -> list[Entry]:
        """The steps of the improvement that made this run; none if no improvement did."""
        from gnomon.strategy.improve_diary import Entry  # NumPy comes with it

        where = str(self.path / DIARY)
        return [Entry.from_json(line, where, number) for number, line in enumerate(self.diary.read(), start=1)]

    # --- openings of the test split -----------------------------------------------------------------------------------
    def add_opening(self) -> None:
        """Write down that the test split is opened, before it is looked at: in a line, and as a count in the manifest.

        Whoever deletes the one still has the other.
        """
        self.openings.append({"opened": datetime.now(UTC).isoformat(timespec="seconds")})
        manifest = self._files.manifest()
        self._files.write_manifest({**manifest, OPENED: max(len(self.openings.read()), _opened(manifest) + 1)})

    @property
    def num_openings(self) -> int:
        """How often the test split was opened."""
        return max(len(self.openings.read()), _opened(self._files.manifest()))

    # --- checkpoints and model ----------------------------------------------------------------------------------------
    def save_checkpoint(
        self, step: int, files: Mapping[str, writer.Data], *, keep: int = 2, is_best: bool = False
    ) -> None:
        """Commit what is needed to go on from `step`; then drop all but the newest `keep` and the newest best one.

        A second save of the same step replaces the first.
        """
        self._require_lock()
        checkpoints.save(self.path, step, files, keep=keep, is_best=is_best)

    def latest_checkpoint(self) -> Checkpoint | None:
        """The newest that verifies, with notes on newer ones that do not; None if there never was one.

        Raises ArtefactError if there are some and none verifies.
        """
        return checkpoints.latest(self.path)

    def best_checkpoint(self) -> Checkpoint | None:
        """As `latest_checkpoint`, among those saved with `is_best`."""
        return checkpoints.best(self.path)

    def save_model(self, files: Mapping[str, writer.Data]) -> None:
        """Commit what is needed to predict, in place of an earlier model."""
        self._require_lock()
        writer.commit_folder(self.path / MODEL, files)

    @property
    def has_model(self) -> bool:
        """Whether a model was ever saved, damaged or not."""
        return (self.path / self._model_folder()).exists() or OUTCOME in self._files

    def load_model(self) -> Mapping[str, bytes]:
        return reader.read_folder(self.path, self._model_folder()).files

    def _model_folder(self) -> str:
        return self._whole(MODEL)

    def _whole(self, name: str) -> str:
        """The committed folder of that name; where it lies if a crash came while it was replaced."""
        moved = name + writer.REPLACED
        return moved if not (self.path / name).exists() and (self.path / moved).exists() else name

    def save_outputs(self, files: Mapping[str, writer.Data]) -> None:
        """Commit what a craft made, in place of what it made before."""
        self._require_lock()
        writer.commit_folder(self.path / OUTPUTS, files)

    def load_outputs(self) -> Mapping[str, bytes]:
        """What a craft made, by file name."""
        return reader.read_folder(self.path, self._whole(OUTPUTS)).files

    # --- predictions --------------------------------------------------------------------------------------------------
    def save_predictions(self, split: str, table: pl.DataFrame) -> None:
        """The table of an Evaluation, as Parquet."""
        self._save_table(predictions_name(split), table)

    def load_predictions(self, split: str) -> pl.DataFrame:
        from gnomon.runs import tables  # polars comes with it

        name = predictions_name(split)
        return tables.read_predictions(self._files.load(name), str(self.path / name))

    def save_splits(self, table: pl.DataFrame) -> None:
        """Who is in which split: the columns split, id, fingerprint."""
        self._save_table(SPLITS_TABLE, table)

    def load_splits(self) -> pl.DataFrame:
        from gnomon.runs import tables

        return tables.read_splits(self._files.load(SPLITS_TABLE), str(self.path / SPLITS_TABLE))

    def save_leaks(self, pairs: pl.DataFrame) -> None:
        """Which examples are in two splits, as `data.leakage.Leaks.pairs`."""
        self._save_table(LEAKS_TABLE, pairs)

    def load_leaks(self) -> pl.DataFrame:
        from gnomon.runs import tables

        return tables.read_leaks(self._files.load(LEAKS_TABLE), str(self.path / LEAKS_TABLE))

    def _save_table(self, name: str, table: pl.DataFrame) -> None:
        self._files.save(name, as_parquet(table))

    def saved_predictions(self) -> tuple[str, ...]:
        """The splits whose predictions are here, in the order of the ladder."""
        files = self._files
        return tuple(split for split in SPLITS if predictions_name(split) in files)

    # --- for people ---------------------------------------------------------------------------------------------------
    def save_report(self, html: str) -> Path:
        self._require_lock()
        path = reader.contained(self.path, REPORT)
        writer.write_text(path, html)
        return path

    def save_figure(self, name: str, data: writer.Data) -> Path:
        """`name` with its ending: "ladder.svg". Characters that trouble file systems are replaced."""
        self._require_lock()
        path = reader.contained(self.path, f"{FIGURES}/{safe_name(name)}")
        writer.write_bytes(path, data)
        return path

    # --- checking -----------------------------------------------------------------------------------------------------
    def check(self) -> Check:
        """Read every file that a checksum guards and say which are good."""
        good: list[str] = []
        bad: list[BadFile] = []
        for name, fault in self._faults():
            if fault is None:
                good.append(name)
            else:
                bad.append(BadFile(name, fault.what))
        return Check(tuple(good), tuple(bad))

    def _faults(self) -> Iterator[tuple[str, ArtefactError | None]]:
        """Every guarded file with its fault, None where it is good."""
        manifest, fault = reader.attempt(self._files.manifest)
        yield MANIFEST, fault
        for name, entry in (manifest["files"] if manifest else {}).items():
            yield name, reader.fault(self.path, name, entry)
        for name in JOURNALS:
            if os.path.lexists(self.path / name):
                journal: Journal[Any] = Journal(self.path, name, limit=LEDGER_LIMIT)
                torn, fault = reader.attempt(journal.torn)
                yield name, ArtefactError(f"{torn}.", fix=RESTORE) if torn else fault
        for folder in (
            *(f"{checkpoints.FOLDER}/{name}" for name in checkpoints.names(self.path)),
            self._model_folder(),
            self._whole(OUTPUTS),
        ):
            if os.path.lexists(self.path / folder):
                yield from reader.faults(self.path, folder)

    def load_record(self, name: str, kind: type[T]) -> T:
        """A JSON file as what it should hold: see `runs.records`."""
        return self._files.load_record(name, kind)


def _opened(manifest: Mapping[str, Any]) -> int:
    count = manifest.get(OPENED, 0)
    return count if type(count) is int and count > 0 else 0


def find(path: str | os.PathLike[str], runs_folder: str | Path) -> RunFolder:
    """The run at `path`; the newest one in `runs_folder` for "latest". Raises as `RunFolder.open` does."""
    if place_of(path) != LATEST:
        return RunFolder.open(path)
    runs = Path(os.path.realpath(runs_folder))
    pointer = runs / LATEST
    if not os.path.lexists(pointer):
        raise UsageError("has no runs yet.", where=str(runs_folder), fix="make one: gnomon fit DATA")
    link = pointer.readlink() if pointer.is_symlink() else reader.read_file(runs, LATEST, limit=4096).decode().strip()
    run = Path(os.path.realpath(runs / link))
    if os.path.commonpath([runs, run]) != str(runs):
        raise ArtefactError("points to a place outside of its folder.", where=str(pointer), fix="remove it.")
    if not run.is_dir():
        raise UsageError(f"points to {run.name}, which is gone.", where=str(pointer), fix="name the run folder itself.")
    return RunFolder.open(run)
