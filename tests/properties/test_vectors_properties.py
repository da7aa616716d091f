"""What must hold for all word vectors: every format gives back words and numbers as they were."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gnomon.data.text.vectors import Vectors, binary_of, read_vectors, text_of

WORDS = st.text(st.characters(codec="utf-8", exclude_characters=" \n"), min_size=1, max_size=6)
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def vectors(draw) -> Vectors:
    words = draw(st.lists(WORDS, min_size=1, max_size=12, unique=True))
    shape = (len(words), draw(st.integers(1, 5)))
    return Vectors(tuple(words), draw(arrays(np.float32, shape, elements=NUMBERS)))


@given(vectors(), st.sampled_from(["text", "bare", "binary"]))
@settings(max_examples=60, deadline=None)
def test_what_was_written_comes_back_bit_for_bit(whole, kind):
    content = {"text": text_of, "bare": lambda v: text_of(v, header=False), "binary": binary_of}[kind](whole)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("vectors.bin" if kind == "binary" else "vectors.txt")
        path.write_bytes(content)
        found = read_vectors(path)
        some = set(whole.words[::2])
        only = read_vectors(path, some)
    assert found.words == whole.words
    assert np.array_equal(found.values.view(np.int32), whole.values.view(np.int32))
    assert only.words == whole.words[::2]
    assert np.array_equal(only.values, whole.values[::2])
