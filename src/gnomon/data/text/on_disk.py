"""A large file of text that stays on disk: what is asked for is read, and nothing is kept."""

from __future__ import annotations

import os
import weakref
from typing import final, overload

from gnomon.core.errors import DataError
from gnomon.data.source import display_name, reason_of


@final
class OnDisk:
    """The bytes of a file from its beginning, as far as it reached when it was opened; sliced as bytes are."""

    def __init__(self, path: str, size: int) -> None:
        """Raises DataError if it cannot be opened, or does not have this many bytes any more."""
        self.path, self.size = path, size
        try:
            self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise DataError(
                f"it cannot be opened: {reason_of(error)}.", where=display_name(path), fix="check its permissions."
            ) from None
        weakref.finalize(self, os.close, self._handle)
        if os.fstat(self._handle).st_size != size:
            raise self._changed()

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> bytes: ...
    def __getitem__(self, at: int | slice) -> int | bytes:
        """A byte, or the bytes of a slice without steps. Raises DataError if the file has become shorter."""
        if not isinstance(at, slice):
            return self._read(int(at), 1)[0]
        first, last, _ = at.indices(self.size)
        return self._read(first, max(0, last - first))

    def _read(self, first: int, size: int) -> bytes:
        parts = []
        while size > 0:
            part = os.pread(self._handle, size, first)  # of more than 2 GB, the system gives a part
            if not part:
                raise self._changed()
            parts.append(part)
            first, size = first + len(part), size - len(part)
        return b"".join(parts)

    def _changed(self) -> DataError:
        return DataError(
            "it has changed since it was opened.", where=display_name(self.path),
            fix="start again, and leave the data alone meanwhile.",
        )  # fmt: skip


Content = bytes | OnDisk
