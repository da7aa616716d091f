"""The files of a run that are saved whole: each has its size and SHA-256 in the run's manifest."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, final

from gnomon.core.errors import ArtefactError, UsageError
from gnomon.core.plain import read_as
from gnomon.runs import reader, writer
from gnomon.runs.seal import JSON_LIMIT, MANIFEST, RESTORE, decode_json, encode_json, encode_sealed

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")


@final
class SealedFiles:
    """Reading and writing them. `before_writing` is called before a write, `if_missing` for a file never saved.

    Loading raises ArtefactError naming a file that is missing, damaged, linked or too large, UsageError for one that
    was never saved; saving raises MachineError.
    """

    def __init__(self, path: Path, *, before_writing: Callable[[], None], if_missing: Callable[[], None]) -> None:
        self.path, self._before_writing, self._if_missing = path, before_writing, if_missing

    def __contains__(self, name: str) -> bool:
        return name in self.manifest()["files"]

    def save_json(self, name: str, value: Mapping[str, Any]) -> None:
        self.save(name, as_json(name, value))

    def load_record(self, name: str, kind: type[T]) -> T:
        """A JSON file as what it should hold: see `runs.records`."""
        where, root = str(self.path / name), name.partition(".")[0]
        return read_as(kind, self.load_json(name), where=where, root=root, fix=RESTORE)

    def load_json(self, name: str) -> dict[str, Any]:
        return decode_json(self.load(name, limit=JSON_LIMIT), str(self.path / name))

    def save(self, name: str, data: writer.Data) -> None:
        """Write a file and its entry in the manifest so that a crash in between leaves the old or the new one good.

        A new file exists from the moment its entry does. While a file is replaced, its entry allows both contents.
        """
        self._before_writing()
        path, manifest = reader.contained(self.path, name), self.manifest()
        new, old = writer.file_entry(data), self._entry_on_disk(name, manifest["files"].get(name))
        if new == old:
            return
        if old is not None:
            manifest["files"][name] = {**new, "before": old}
            self.write_manifest(manifest)
        writer.write_bytes(path, data)
        manifest["files"][name] = new
        self.write_manifest(manifest)

    def _entry_on_disk(self, name: str, entry: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """The entry that the file as it is now has, None if it is missing, new or damaged."""
        if entry is None:
            return None
        data, _ = reader.attempt(lambda: reader.verified(self.path, name, entry))
        if data is None:
            return None
        # What is read may still wait in memory for the disk (its writer was killed): it must not be lost after this.
        writer.sync_folder((self.path / name).parent)
        return writer.file_entry(data)

    def load(self, name: str, *, limit: int | None = None) -> bytes:
        entry = self.manifest()["files"].get(name)
        if entry is None:
            self._if_missing()
            raise UsageError(
                f"has no {name} yet.", where=str(self.path), fix=f"let the run finish: gnomon fit --resume {self.path}"
            )
        try:
            return reader.verified(self.path, name, entry, limit=limit)
        except ArtefactError:
            if self.manifest()["files"].get(name) == entry:
                raise
            return self.load(name, limit=limit)  # replaced by the process that holds the lock while it was read

    def manifest(self) -> dict[str, Any]:
        return reader.read_manifest(self.path)

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        writer.write_bytes(self.path / MANIFEST, encode_sealed(manifest))


def as_json(name: str, value: Mapping[str, Any]) -> bytes:
    data = encode_json(dict(value))
    if len(data) > JSON_LIMIT:
        raise ValueError(f"{name} would have {len(data):,} bytes; it may have {JSON_LIMIT:,}")
    return data


def as_parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()
