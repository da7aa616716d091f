"""Reading a run that somebody else made: links, pipes, ways out, lies about sizes and deep nesting are all refused."""

from __future__ import annotations

import hashlib
import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core.errors import ArtefactError, MachineError
from gnomon.runs import reader, seal, writer
from gnomon.runs.seal import MANIFEST, decode_json, decode_sealed, encode_sealed


@pytest.fixture
def root(tmp_path):
    """A folder with one committed folder `c`, and a secret beside it."""
    (tmp_path / "secret").write_bytes(b"secret")
    root = tmp_path / "root"
    writer.commit_folder(root / "c", {"a.bin": b"content", "b.bin": b"more"})
    return root


def refused(root, name="c/a.bin", match=""):
    with pytest.raises(ArtefactError, match=match) as told:
        reader.read_file(root, name)
    return told.value


def test_a_plain_file_is_read(root):
    assert reader.read_file(root, "c/a.bin") == b"content"
    assert reader.read_file(root, "c/a.bin", limit=7) == b"content"


def test_a_symbolic_link_is_refused(root):
    (root / "c" / "a.bin").unlink()
    (root / "c" / "a.bin").symlink_to("b.bin")
    assert refused(root, match="through a link").where == str(root / "c" / "a.bin")
    (root / "c" / "a.bin").unlink()
    (root / "c" / "a.bin").symlink_to("../../secret")
    refused(root, match="through a link or is outside")


def test_a_linked_folder_on_the_way_is_refused(root, tmp_path):
    (root / "c").rename(tmp_path / "elsewhere")
    (root / "c").symlink_to(tmp_path / "elsewhere")
    refused(root, match="through a link or is outside")


def test_a_hard_link_is_refused(root, tmp_path):
    os.link(tmp_path / "secret", root / "c" / "hard")
    refused(root, "c/hard", match="hard link")


@pytest.mark.parametrize(
    "name", ["../secret", "c/../../secret", "/etc/passwd", "c/../c/a.bin", "c/./../../root-other/x"]
)
def test_paths_out_of_the_run_are_refused(root, name):
    refused(root, name, match="outside its run")


def test_a_name_with_nul_is_refused(root):
    refused(root, "a\0b", match="not the name of a file")


def test_a_missing_file_is_named(root):
    assert refused(root, "c/none", match="is missing").where == str(root / "c" / "none")


def test_a_folder_pipe_or_socket_is_refused_and_does_not_block(root):
    os.mkfifo(root / "pipe")
    refused(root, "pipe", match="not a regular file")
    refused(root, "c", match="not a regular file")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "s"))
        refused(root, "s", match="not a regular file")


def test_a_larger_file_than_expected_is_not_read(root):
    with pytest.raises(ArtefactError, match="has 7 bytes, more than the 6 expected"):
        reader.read_file(root, "c/a.bin", limit=6)


def test_a_file_swapped_while_it_is_opened_is_refused(root, monkeypatch):
    real = os.open

    def exchange(path, flags, *more):
        if str(path).endswith("a.bin"):
            os.replace(root / "c" / "b.bin", root / "c" / "a.bin")
        return real(path, flags, *more)

    monkeypatch.setattr(os, "open", exchange)
    refused(root, match="replaced while it was being opened")


def test_a_link_put_there_after_the_check_is_refused(root, monkeypatch):
    (root / "c" / "a.bin").unlink()
    (root / "c" / "a.bin").symlink_to("b.bin")
    monkeypatch.setattr(reader, "contained", lambda root, name: root / name)
    refused(root, match="symbolic link")


@pytest.mark.parametrize(("error", "kind", "match"), [
    (PermissionError(13, "denied"), MachineError, "permission denied"),
    (OSError(24, "too many open files"), MachineError, "ulimit -n"),
    (OSError(5, "Input/output error"), ArtefactError, "Input/output error"),
])  # fmt: skip
def test_errors_of_the_system_are_passed_on(root, monkeypatch, error, kind, match):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(kind, match=match):
        reader.read_file(root, "c/a.bin")


# --- manifests --------------------------------------------------------------------------------------------------------
def with_manifest(root, **changes):
    manifest = reader.read_manifest(root, f"c/{MANIFEST}")
    manifest.pop("seal", None)
    (root / "c" / MANIFEST).write_bytes(encode_sealed({**manifest, **changes}))


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "..", "", ".a", "a/b"])
def test_a_manifest_that_names_a_file_elsewhere_is_refused(root, name):
    with_manifest(root, files={name: {"size": 6, "sha256": hashlib.sha256(b"secret").hexdigest()}})
    with pytest.raises(ArtefactError):
        reader.read_folder(root, "c")
    faults = dict(reader.faults(root, "c"))
    assert [fault for fault in faults.values() if fault] != []


@pytest.mark.parametrize("entry", [
    None, 3, [], {}, {"size": 1}, {"size": "1", "sha256": "0" * 64}, {"size": True, "sha256": "0" * 64},
    {"size": 1, "sha256": "x" * 64}, {"size": 1, "sha256": "0" * 63}, {"size": 1, "sha256": 5},
    {"size": 1, "sha256": "0" * 64, "before": {}},
])  # fmt: skip
def test_a_manifest_with_an_odd_entry_is_refused(root, entry):
    with_manifest(root, files={"a.bin": entry})
    with pytest.raises(ArtefactError, match="does not list its files") as told:
        reader.read_folder(root, "c")
    assert told.value.where == str(root / "c" / MANIFEST)


@pytest.mark.parametrize("files", [None, [], "a"])
def test_a_manifest_without_files_is_refused(root, files):
    with_manifest(root, files=files)
    with pytest.raises(ArtefactError, match="does not list its files"):
        reader.read_folder(root, "c")


def test_a_later_format_is_reported_as_such(root):
    with_manifest(root, format=2)
    with pytest.raises(
        ArtefactError, match=r"has format 2; this gnomon reads format 1\. Fix: use the gnomon that wrote it"
    ):
        reader.read_folder(root, "c")


def test_a_nested_before_is_accepted_only_one_level_deep(root):
    good = reader.read_manifest(root, f"c/{MANIFEST}")["files"]["a.bin"]
    other = {"size": 1, "sha256": "0" * 64}
    assert reader.verified(root, "c/a.bin", {**other, "before": good}) == b"content"
    with pytest.raises(ArtefactError):
        reader.verified(root, "c/a.bin", other)
    with pytest.raises(ArtefactError, match="more than the 3 expected"):
        reader.verified(root, "c/a.bin", good, limit=3)


# --- JSON -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("data", [
    b"", b"[1]", b"3", b"null", b"{", b"\xff", b'{"a": 1} x', b"[" * 1_000_000, b'{"a":' * 100_000, b"9" * 10_000,
    b'{"a": ' + b"9" * 10_000 + b"}",
], ids=lambda data: repr(data[:8]))  # fmt: skip
def test_odd_json_is_refused_by_name(data):
    with pytest.raises(ArtefactError) as told:
        decode_json(data, "the file")
    assert told.value.where == "the file"


def test_json_over_the_limit_is_not_parsed(monkeypatch):
    monkeypatch.setattr(seal, "JSON_LIMIT", 10)
    with pytest.raises(ArtefactError, match="has 12 bytes, more than the 10 allowed"):
        decode_json(b'{"a": 12345}', "x")


values = st.dictionaries(
    st.text().filter(lambda key: key != "seal"), st.integers() | st.text() | st.floats() | st.none()
)


@given(values, st.data())
def test_a_sealed_value_comes_back_and_any_flipped_bit_is_found(value, data):
    sealed = encode_sealed(value)
    assert repr(decode_sealed(sealed, "x")) == repr(value)
    place = data.draw(st.integers(0, len(sealed) * 8 - 1))
    flipped = bytearray(sealed)
    flipped[place // 8] ^= 1 << place % 8
    with pytest.raises(ArtefactError):
        decode_sealed(bytes(flipped), "x")


def test_damage_that_json_parsing_misses_is_found():
    sealed = encode_sealed({"name": "é"})
    assert b"\\u00e9" in sealed
    with pytest.raises(ArtefactError, match="damaged"):
        decode_sealed(sealed.replace(b"\\u00e9", b"\\u00E9"), "x")
    with pytest.raises(ArtefactError, match="no checksum"):
        decode_sealed(b"{}", "x")
