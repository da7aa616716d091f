"""Files of word vectors: every format, and what is wrong with one."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gnomon.core.errors import DataError, UsageError
from gnomon.data.text import vectors
from gnomon.data.text.vectors import Vectors, binary_of, read_vectors, text_of

# written by gensim 4.4.0: KeyedVectors(3).save_word2vec_format, of the words and numbers below
GENSIM_TEXT = b"3 3\na 1.0 2.0 3.0\nb 0.5 0.33333334 -2.0\nna\xc3\xafve 1e-08 10000000000.0 0.0\n"
GENSIM_BINARY = (
    b"3 3\na \x00\x00\x80?\x00\x00\x00@\x00\x00@@b \x00\x00\x00?\xab\xaa\xaa>\x00\x00\x00\xc0"
    b"na\xc3\xafve w\xcc+2\xf9\x02\x15P\x00\x00\x00\x00"
)
GENSIM_WORDS = ("a", "b", "naïve")
GENSIM_VALUES = np.array([[1, 2, 3], [0.5, 1 / 3, -2], [1e-8, 1e10, 0]], np.float32)


def read(folder: Path, name: str, content: bytes, wanted: set[str] | None = None) -> Vectors:
    (folder / name).write_bytes(content)
    return read_vectors(folder / name, wanted)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", GENSIM_TEXT),
        ("a.bin", GENSIM_BINARY),
        ("no-suffix", GENSIM_BINARY),
        ("text.bin", GENSIM_TEXT),
        ("glove.txt", GENSIM_TEXT.partition(b"\n")[2]),
        ("fasttext.vec", GENSIM_TEXT.replace(b"\n", b" \n").replace(b"3 3 \n", b"3 3\n")),
        ("windows.vec", GENSIM_TEXT.replace(b"\n", b"\r\n")),
        ("a.txt.gz", gzip.compress(GENSIM_TEXT, mtime=0)),
        ("a.bin.gz", gzip.compress(GENSIM_BINARY, mtime=0)),
        ("original.bin", GENSIM_BINARY.replace(b"b ", b"\nb ").replace(b"na", b"\nna") + b"\n"),
    ],
)
def test_what_gensim_and_others_write_is_read(tmp_path, name, content):
    found = read(tmp_path, name, content)
    assert found.words == GENSIM_WORDS
    assert found.values.dtype == np.float32
    assert np.array_equal(found.values, GENSIM_VALUES)
    assert found.remarks == ()


def test_an_array_beside_its_words_is_read(tmp_path):
    np.save(tmp_path / "emb.npy", GENSIM_VALUES)
    pl.DataFrame({"index": GENSIM_WORDS}).write_parquet(tmp_path / "words.parquet")
    assert np.array_equal(read_vectors(tmp_path).values, GENSIM_VALUES)
    only = read_vectors(tmp_path, {"b", "unheard"})
    assert only.words == ("b",)
    assert np.array_equal(only.values, GENSIM_VALUES[1:2])


def test_only_wanted_words_are_kept_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "BLOCK", 3)
    monkeypatch.setattr(vectors, "PART", 16)
    values = np.arange(40, dtype=np.float32).reshape(20, 2)
    whole = Vectors(tuple(f"w{i}" for i in range(20)), values)
    wanted = {f"w{i}" for i in range(0, 20, 2)} | {"unheard"}
    for content in (text_of(whole), text_of(whole, header=False), binary_of(whole)):
        found = read(tmp_path, "v", content, wanted)
        assert found.words == whole.words[::2]
        assert np.array_equal(found.values, values[::2])
        assert np.array_equal(read(tmp_path, "v", content).values, values)


def test_words_with_spaces_are_read_as_glove_writes_them(tmp_path):
    found = read(tmp_path, "g.txt", b"the 1 2\n. . . 3 4\n\xc2\xa0 5 6\n")
    assert found.words == ("the", ". . .", "\u00a0")
    assert found.values.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_the_first_of_a_repeated_word_counts_and_damaged_letters_are_counted(tmp_path):
    found = read(tmp_path, "v", b"4 1\na 1\na 2\n\xff 3\n\xef\xbf\xbdb 4\n")
    assert found.values.ravel().tolist() == [1, 3, 4]
    assert found.remarks == (
        "1 word given again: the first vector counts",
        "1 word not in UTF-8: damaged letters read as \ufffd",
    )


ONE = b"\0\0\x80?"  # 1.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"2 0\na\nb\n", "line 1: the header says 2 words of 0 numbers"),
        (b"2 2\na 1 2\n", "line 2: the header says 2 words, and the file has 1.*write 1 2 in line 1"),
        (b"1 2\na 1 2\nb 1 2\n", "line 3: the header says 1 word, and the file has 2"),
        (b"2 3\na 1 2 3\nb 1 2\n", "line 3: 2 numbers after the word, and the header says 3"),
        (b"2 1\na 1 2\nb 1 2\n", "line 2: 2 numbers after the word, and the header says 1"),
        (b"2 2\na 1 2\nb 1 zwei\n", "line 3: a number that cannot be read"),
        (b"a 1 2\nb 1 2\nc 1 2 3\n", "line 3: 3 numbers after the word, and other lines have 2"),
        (b"a 1 2\nb nan 2\n", "line 2: a number that cannot be read, is not finite"),
        (b"a 1 2\nb 1 1e39\n", "line 2: .*too large for 32 bits"),
        (b"a 1 2\n 1 2\n", "line 2: a vector without a word"),
        (b"just prose\nwithout any numbers\n", "line 1: a number that cannot be read|numbers after the word"),
        (b"word\n", "line 1: lines have 0 numbers"),
        (b"2 1\na " + ONE, "word 2: the header says 2 words of 1 number, and the file ends after 1"),
        (b"1 1\na " + ONE + b"b " + ONE, "word 2: more follows after the 1 word of 1 number"),
        (b"1 1\na \0\0\x80\x7f", "word 1: a number that cannot be read, is not finite"),
        (b"PK\x03\x04", "a zip archive: unpack it first"),
        (b"\x80\x05\x95", "a pickle"),
        (b"\xba\x16\x4f\x2f\x0c\0", "a whole model of fastText"),
        (gzip.compress(GENSIM_TEXT, mtime=0)[:-12], "a damaged gzip file"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, "v", content)


def test_a_file_without_line_ends_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "LONGEST_LINE", 1000)
    with pytest.raises(DataError, match="line 1: a line without an end"):
        read(tmp_path, "v", b"a " * 5000)
    with pytest.raises(DataError, match="word 1: the header says 1 word of 300 numbers"):
        read(tmp_path, "v.bin", b"1 300\n" + b"\1" * 5000)


def test_a_folder_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        read_vectors(tmp_path / "nowhere")
    with pytest.raises(DataError, match="this one has 0 and 0"):
        read_vectors(tmp_path)
    np.save(tmp_path / "emb.npy", GENSIM_VALUES[:2])
    pl.DataFrame({"index": GENSIM_WORDS}).write_parquet(tmp_path / "words.parquet")
    with pytest.raises(DataError, match=r"emb.npy has 2 vectors, words.parquet 3 words"):
        read_vectors(tmp_path)
    np.save(tmp_path / "emb.npy", np.array([{}] * 3, object), allow_pickle=True)
    with pytest.raises(DataError, match="not an array of numbers"):
        read_vectors(tmp_path)


def test_words_that_would_not_come_back_are_not_written():
    values = np.ones((1, 1), np.float32)
    assert text_of(Vectors(("a b",), values)) == b"1 1\na b 1.0\n"
    with pytest.raises(UsageError, match="spaces and newlines would end it"):
        binary_of(Vectors(("a b",), values))
    with pytest.raises(UsageError, match="newlines would end it"):
        text_of(Vectors(("a\nb",), values))
