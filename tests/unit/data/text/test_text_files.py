"""Text files: what is text, what is not, and where lines and windows begin."""

from __future__ import annotations

import gzip
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core.example import BadInput
from gnomon.core.settings import from_flat
from gnomon.data.opening import open_source
from gnomon.data.text import files, reading
from gnomon.data.text.files import Text, fault_of, is_list, lines_of, read_text, windows_of
from tests.samples.annotated import Files

WORDS = "the quick brown fox jumps over the lazy dog\n"


def read(name: str, content: bytes) -> Text | BadInput:
    tree = Files({name: content})
    return read_text(tree, tree.files[0])


def test_a_compressed_file_is_the_same_text():
    plain = "Fußgänger – 漢字\n".encode() * 50
    packed = read("a.txt.gz", gzip.compress(plain))
    assert isinstance(packed, Text)
    assert packed.content == plain
    twice = read("a.txt.gz", gzip.compress(plain) + gzip.compress(plain))
    assert isinstance(twice, Text)
    assert twice.content == plain + plain


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"abc\n\xff\xfe\n", "not UTF-8: byte 0xff in line 2"),
        ("text".encode("utf-16"), "UTF-16"),
        (b"GIF89a\0\0\0", "not text"),
        (gzip.compress(WORDS.encode() * 500, mtime=0)[:-12], "cut off"),
        (b"\x1f\x8b" + b"nonsense", "damaged gzip"),
    ],
)
def test_what_is_no_text_is_named_with_its_reason(content, why):
    found = read("a.txt", content)
    assert isinstance(found, BadInput)
    assert why in found.why


def test_marks_and_line_ends_of_other_systems_are_removed_and_said():
    found = read("a.txt", b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    assert isinstance(found, Text)
    assert found.content == b"one\ntwo\nthree\n"
    assert len(found.remarks) == 2


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=200), st.integers(1, 7))
def test_windows_of_characters_are_the_text_cut_every_so_many(text, size):
    content = text.encode()
    edges = windows_of(content, "character", size)
    pieces = [content[a:b].decode() for a, b in itertools.pairwise(edges)]
    assert pieces == [text[i : i + size] for i in range(0, len(text), size)]


@given(st.text(alphabet="ab \n\t", max_size=200), st.integers(1, 5))
def test_windows_of_words_hold_so_many_words_and_lose_nothing(text, size):
    content = text.encode()
    edges = windows_of(content, "word", size)
    pieces = [content[a:b].decode() for a, b in itertools.pairwise(edges)]
    words = text.split()
    if words:
        assert "".join(pieces) == text
    assert [piece.split() for piece in pieces] == [words[i : i + size] for i in range(0, len(words), size)]


@given(
    st.text(alphabet="aß漢 \n", max_size=60),
    st.integers(1, 5),
    st.integers(1, 9),
    st.sampled_from(["character", "word"]),
)
def test_windows_do_not_depend_on_the_parts_that_a_text_is_read_in(text, size, part, level):
    whole = windows_of(text.encode(), level, size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "PART", part)
        assert windows_of(text.encode(), level, size).tolist() == whole.tolist()


@given(st.text(alphabet="ab \n\t", max_size=200))
def test_lines_that_are_not_blank_are_found_with_their_numbers(text):
    content = text.encode()
    starts, ends, numbers = lines_of(content)
    found = [content[a:b].decode() for a, b in zip(starts, ends, strict=True)]
    expected = [(i, line) for i, line in enumerate(text.split("\n"), start=1) if line.strip(" \t")]
    assert list(zip(numbers.tolist(), found, strict=True)) == expected


def test_a_fault_is_found_beyond_the_first_part_and_no_character_is_cut():
    good = ("é" * 100_001).encode()
    assert fault_of(good) == ""
    assert fault_of(b"x" + good) == ""
    assert "not UTF-8" in fault_of(good + b"\xc3")


def test_names_are_a_list_and_a_play_is_one_text():
    names = "\n".join(["anna", "bo", "christine"] * 20).encode()
    assert is_list(names)[0]
    play = b"First:\nSpeak, and be heard by all who are here.\n\nSecond:\nI will.\n\n" * 30
    assert not is_list(play)[0]
    wrapped = "\n".join(["x" * int(n) for n in np.random.default_rng(0).integers(60, 72, 200)]).encode()
    assert not is_list(wrapped)[0]


def test_a_list_too_long_to_keep_is_read_as_a_running_text_unless_lines_are_asked_for(tmp_path, monkeypatch):
    content = "".join(f"name {'x' * (number % 7)}\n" for number in range(30))
    (tmp_path / "names.txt").write_text(content, encoding="utf-8")

    def read(**values):
        return reading.read_running_text(open_source(tmp_path / "names.txt"), from_flat(values).data)

    assert len(read().splits["all"]) == 30
    monkeypatch.setattr(reading, "LARGE", len(content))
    found = read()
    assert found.splits["all"].each == "window"
    assert "".join(found.splits["all"].texts()) == content
    assert any("too long a list" in note for note in found.notes)
    assert len(read(**{"data.each": "line"}).splits["all"]) == 30
