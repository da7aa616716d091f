"""Checkpoints: folders that appear complete or not at all, are used only if their checksums match, and are rotated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gnomon.core.errors import ArtefactError
from gnomon.runs import reader, writer
from gnomon.runs.seal import MANIFEST

FOLDER = "checkpoints"

_NAME = re.compile(rf"(\d{{1,18}})({re.escape(writer.REPLACED)})?")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that verified. `notes` are sentences about newer ones that did not."""

    step: int
    files: Mapping[str, bytes]
    is_best: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    """A checkpoint folder whose manifest is good; its files have not been read yet."""

    name: str  # of the folder
    step: int
    sequence: int  # increases by one with every save of the run, also after a resume from an older step
    is_best: bool


def save(run: Path, step: int, files: Mapping[str, writer.Data], *, keep: int, is_best: bool) -> None:
    """Commit the checkpoint of `step`, then drop all but the newest `keep` and the newest best one."""
    if step < 0 or keep < 1:
        raise ValueError(f"step must be at least 0 and keep at least 1, got step {step}, keep {keep}")
    entries, _ = _entries(run)
    sequence = 1 + max((entry.sequence for entry in entries), default=0)
    folder = run / FOLDER
    final = reader.contained(run, f"{FOLDER}/{step:08d}")
    writer.commit_folder(final, files, {"step": step, "sequence": sequence, "best": is_best})
    entries, bad = _entries(run)
    newest_best = [entry for entry in entries if entry.is_best][:1]
    kept = {entry.name for entry in [*entries[:keep], *newest_best]}
    for name in [entry.name for entry in entries if entry.name not in kept] + list(bad):
        writer.remove(folder / name)


def settle(run: Path) -> None:
    """Finish or undo replacements that a crash interrupted. To be called under the run's lock."""
    folder = run / FOLDER
    for path in list(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []:
        match = _NAME.fullmatch(path.name)
        if match and match[2]:
            writer.settle_folder(folder / match[1])


def latest(run: Path) -> Checkpoint | None:
    """The newest checkpoint that verifies, None if there never was one. Raises ArtefactError if none verifies."""
    return _first_good(run, best=False)


def best(run: Path) -> Checkpoint | None:
    """Like `latest`, among those that were the best when they were saved."""
    return _first_good(run, best=True)


def _first_good(run: Path, *, best: bool) -> Checkpoint | None:
    entries, bad = _entries(run)
    errors: list[ArtefactError] = []
    for entry in entries:
        if best and not entry.is_best:
            continue
        try:
            files = reader.read_folder(run, f"{FOLDER}/{entry.name}").files
        except ArtefactError as error:
            errors.append(error)
        else:
            notes = tuple(
                f"ignored a damaged checkpoint: {each.where} {each.what}" for each in (*errors, *bad.values())
            )
            return Checkpoint(entry.step, files, entry.is_best, notes)
    faults = [*errors, *reversed(bad.values())]  # the newest first
    if faults:
        raise faults[0]
    return None


def names(run: Path) -> list[str]:
    """Names of all checkpoint folders, good or bad, oldest step first. One being replaced counts under either name."""
    folder = run / FOLDER
    found = {path.name for path in folder.iterdir() if _NAME.fullmatch(path.name)} if folder.is_dir() else set()
    return sorted(name for name in found if name.removesuffix(writer.REPLACED) not in found - {name})


def _entries(run: Path) -> tuple[list[_Entry], dict[str, ArtefactError]]:
    """Checkpoints with a good manifest, newest first, and what is wrong with the others, by name."""
    good, bad = [], {}
    for name in names(run):
        try:
            good.append(_entry(run, name))
        except ArtefactError as error:
            bad[name] = error
    return sorted(good, key=lambda entry: entry.sequence, reverse=True), bad


def _entry(run: Path, name: str) -> _Entry:
    path = f"{FOLDER}/{name}/{MANIFEST}"
    manifest = reader.read_manifest(run, path)
    step, sequence, is_best = (manifest.get(key) for key in ("step", "sequence", "best"))
    if type(step) is not int or type(sequence) is not int or type(is_best) is not bool:
        raise ArtefactError("has no step, sequence and best mark.", where=str(run / path), fix="remove that folder.")
    return _Entry(name, step, sequence, is_best)
