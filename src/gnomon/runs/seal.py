"""JSON that notices damage to itself, and the rules for names inside a committed folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from gnomon.core.errors import ArtefactError
from gnomon.core.plain import parse_json

MANIFEST = "manifest.json"
JSON_LIMIT = 64 << 20  # bytes; no JSON file of a run is nearly as large
MANIFEST_LIMIT = 1 << 20  # bytes; a run with a hundred figures has 20,000

RESTORE = "restore the file from a copy, or repeat the run."


def encode_json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode("ascii") + b"\n"


def decode_json(data: bytes, where: str) -> dict[str, Any]:
    """The object in `data`. ArtefactError unless it is one JSON object of reasonable size, depth and numbers."""
    if len(data) > JSON_LIMIT:
        raise ArtefactError(f"has {len(data):,} bytes, more than the {JSON_LIMIT:,} allowed.", where=where, fix=RESTORE)
    try:
        value = parse_json(data)
    except ValueError as error:
        raise ArtefactError(f"{error}.", where=where, fix=RESTORE) from None
    if not isinstance(value, dict):
        raise ArtefactError(f"has a {type(value).__name__} instead of an object.", where=where, fix=RESTORE)
    return value


def encode_sealed(value: Mapping[str, Any]) -> bytes:
    """`value` as JSON with the SHA-256 of itself under the key "seal"."""
    seal = hashlib.sha256(encode_json(dict(value))).hexdigest()
    return encode_json({**value, "seal": seal})


def decode_sealed(data: bytes, where: str) -> dict[str, Any]:
    """What `encode_sealed` was given. Raises ArtefactError if a single bit differs."""
    value = decode_json(data, where)
    seal = value.pop("seal", None)
    # Comparing the bytes themselves also catches damage that JSON parsing misses, such as \u00E9 for \u00e9.
    if encode_sealed(value) != data:
        what = "does not match its own checksum: it is damaged." if seal else "has no checksum of its own."
        raise ArtefactError(what, where=where, fix=RESTORE)
    return value


def check_name(name: str) -> str:
    """`name` if it is a plain file name: one part, nothing hidden. Raises ArtefactError."""
    if (
        not name
        or name.startswith(".")
        or any(mark in name for mark in "/\\\0")
        or len(name.encode("utf-8", "replace")) > 255
    ):
        raise ArtefactError(f"{name!r} is not a plain file name.", where=name or None, fix=RESTORE)
    return name
