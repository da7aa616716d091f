"""Python objects as data: each is read as what it plainly is, or refused with one clear error."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import gnomon
from gnomon.core.errors import GnomonError
from gnomon.data.opening import open_source

RNG = np.random.default_rng(0)
Y = np.repeat([0, 1], 30)
X = np.round(RNG.normal(size=(60, 3)) + 2 * Y[:, None], 3)


class Items(Dataset):
    def __init__(self, make):
        self.make = make

    def __len__(self):
        return 60

    def __getitem__(self, i):
        return self.make(i)


class Stream(IterableDataset):
    def __iter__(self):
        return zip(X, Y, strict=True)


class StreamWithLength(Stream):
    def __len__(self):
        return 60


LARGE = Y.astype(np.uint64) + np.uint64(2**63)

READ = {
    "arrays": (X, Y),
    "lists": (X.tolist(), Y.tolist()),
    "tuples": (tuple(map(tuple, X)), tuple(Y)),
    "lists of arrays": (list(X), list(Y)),
    "lists of tensors": (list(torch.from_numpy(X)), list(torch.from_numpy(Y))),
    "an object array of numbers": (X.astype(object), Y.astype(object)),
    "decimals": ([[Decimal(str(one)) for one in row] for row in X], Y),
    "a SciPy matrix": (scipy.sparse.csr_matrix(X), Y),
    "a SciPy array": (scipy.sparse.coo_array(X), Y),
    "a sparse tensor": (torch.from_numpy(X).to_sparse(), Y),
    "a tensor with a gradient": (torch.tensor(X, requires_grad=True), torch.from_numpy(Y)),
    "a list of pairs": [(row, int(label)) for row, label in zip(X, Y, strict=True)],
    "a data set": Items(lambda i: (X[i], int(Y[i]))),
    "a data set of dicts": Items(lambda i: {"input": torch.from_numpy(X[i]), "label": int(Y[i])}),
    "a frame and a series": (pl.DataFrame(X), pl.Series(Y)),
    "a dict of columns and targets": ({f"x{i}": X[:, i] for i in range(3)}, Y),
}


@pytest.mark.parametrize("thing", READ.values(), ids=READ)
def test_numbers_are_the_same_in_whatever_they_come(thing):
    arrays = open_source(thing).arrays
    np.testing.assert_array_equal(arrays.inputs, X)
    np.testing.assert_array_equal(arrays.targets.reshape(-1), Y)


ALONE = {
    "rows": X.tolist(),
    "arrays": list(X),
    "tensors": list(torch.from_numpy(X)),
    "two rows": X[:2].tolist(),
    "two arrays": list(X[:2]),
    "one row": X[:1].tolist(),
    "a data set of inputs": TensorDataset(torch.from_numpy(X)),
}


@pytest.mark.parametrize("thing", ALONE.values(), ids=ALONE)
def test_a_list_of_rows_is_inputs_without_targets(thing):
    arrays = open_source(thing).arrays
    np.testing.assert_array_equal(arrays.inputs, X[: len(thing)])
    assert arrays.targets is None


def test_two_arrays_in_a_list_are_not_guessed_to_be_inputs_and_targets():
    with pytest.raises(GnomonError, match=r"two arrays of shape 60x3 may be inputs with targets, or two inputs"):
        open_source([X, X])
    np.testing.assert_array_equal(open_source((X, X)).arrays.targets, X)
    np.testing.assert_array_equal(open_source([X, Y]).arrays.targets, Y)


RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def palette(transparent=None):
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([*BLUE, *RED])
    picture.putpixel((0, 0), 0)
    if transparent is not None:
        picture.info["transparency"] = transparent
    return picture


# name -> (picture, its first pixel, its last one)
PICTURES = {
    "gray": (Image.new("L", (4, 4), 7), 7, 7),
    "black and white": (Image.new("1", (4, 4), 1), 255, 255),
    "16 bits": (Image.fromarray(np.full((4, 4), 40_000, np.uint16)), 40_000, 40_000),
    "colour": (Image.new("RGB", (4, 4), RED), RED, RED),
    "palette": (palette(), BLUE, RED),
    "palette with a transparent colour": (palette(transparent=0), WHITE, RED),
    "transparent": (Image.new("RGBA", (4, 4), (*RED, 0)), WHITE, WHITE),
    "transparent gray": (Image.new("LA", (4, 4), (0, 0)), WHITE, WHITE),
    "inks": (Image.new("CMYK", (4, 4), (0, 255, 255, 0)), RED, RED),
}


@pytest.mark.parametrize(("picture", "first", "last"), PICTURES.values(), ids=PICTURES)
def test_pictures_of_pillow_are_brightness_or_colour_on_white(picture, first, last):
    for thing in (([picture] * 60, Y), Items(lambda i: (picture, int(Y[i])))):
        pixels = open_source(thing).arrays.inputs.reshape(60, 4, 4, -1)
        assert pixels[3, 0, 0].tolist() == np.atleast_1d(first).tolist()
        assert pixels[3, 3, 3].tolist() == np.atleast_1d(last).tolist()


def test_a_dict_of_columns_is_a_frame():
    source = open_source({"age": X[:, 0], "city": ["Rome", "Oslo"] * 30, "sold": pd.Series(Y == 1)})
    assert source.frame.schema == {"age": pl.Float64, "city": pl.String, "sold": pl.Boolean}


@pytest.mark.parametrize(
    "targets",
    [Y, Y.tolist(), pl.Series("sold", Y), pd.Series(Y, name="sold"), pd.DataFrame({"sold": Y})],
    ids=["array", "list", "polars series", "pandas series", "pandas frame"],
)
def test_a_frame_of_mixed_columns_takes_its_targets_beside_it(targets):
    frame = pd.DataFrame({"age": X[:, 0], "city": pd.Categorical(["Rome", "Oslo"] * 30), "since": "2024-05-01"})
    frame.loc[3, "since"] = "2024-05-02"
    prepared = gnomon.peek(frame, targets).prepared
    assert prepared.task.name == "tabular_classification"
    assert sum(map(len, prepared.splits.values())) == 60
    example = prepared.splits["train"][0]
    assert set(example.inputs) == {"age", "city", "since"}
    assert example.target in (0, 1, "0", "1")


def test_whole_numbers_beyond_63_bits_stay_apart_as_inputs_and_as_classes():
    assert open_source((LARGE[:, None].repeat(2, 1), Y)).arrays.inputs.dtype == np.uint64
    found = open_source((X, LARGE)).arrays.targets
    assert set(found) == {"9223372036854775808", "9223372036854775809"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        # data sets
        (lambda: Stream(), r"cannot read a Stream\. Fix: .*give list\(\.\.\.\)"),
        (lambda: StreamWithLength(), r"items of a StreamWithLength cannot be accessed by number\. Fix: give list"),
        (lambda: (pair for pair in zip(X, Y, strict=True)), r"cannot read a generator\. Fix: .*give list\(\.\.\.\)"),
        (lambda: DataLoader(Items(lambda i: X[i])), r"cannot read a DataLoader\. Fix: .*loader\.dataset"),
        (lambda: Items(lambda i: (X[i], Y[i], 1)), r"item 0 is a tuple of 3\. Fix: make items \(input, target\)"),
        (lambda: Items(lambda i: {"a": 1, "b": 2, "c": 3}), r"item 0 is a dict of a, b, c\. Fix: make items"),
        (lambda: Items(lambda i: {"a": 1, "b": 2}), r"item 0 is a dict of a, b\. Fix: make items"),
        (lambda: Items(lambda i: ("a text", 1)), r"item 0 is a single value of type <U6, not numbers"),
        (lambda: Items(lambda i: None), r"item 0 is a single value of type object, not"),
        (lambda: Items(lambda i: (X[i][: 2 + (i == 7)], 1)), r"item 7 is 3 of type float64, the first one 2"),
        # tensors and sparse arrays
        (lambda: (torch.empty(60, 3, device="meta"), Y), r"the tensor cannot be read: .*meta.* Fix: give a dense"),
        (lambda: (torch.nested.nested_tensor([torch.rand(3), torch.rand(2)]), Y), r"the tensor cannot be read"),
        (lambda: (scipy.sparse.coo_array((60, 10_000_000)), Y), r"60x10000000 takes 4\.8 GB with its zeros"),
        (lambda: (torch.sparse_coo_tensor(size=(60, 10_000_000)), Y), r"60x10000000 takes 2\.4 GB with its zeros"),
        (lambda: Items(lambda i: (Image.new("La", (4, 4)), 1)), r"conversion from La to L not supported"),
        # inputs
        (lambda: (X + 0j, Y), r"complex numbers are not supported\. Fix: .*real and imaginary parts"),
        (lambda: (torch.from_numpy(X + 0j), Y), r"complex numbers are not supported"),
        (lambda: np.array(3.0), r"3\.0 is a single value, not examples"),
        (lambda: (3.0, Y), r"cannot read a tuple"),
        (lambda: ([], []), r"the array is empty"),
        (lambda: ([[1, 2], [3]], [0, 1]), r"is not an array: .*\. Fix: give all rows the same length"),
        (lambda: (X[:, 0], Y), r"one-dimensional inputs \(60 values\)"),
        (lambda: (X.astype(str), Y), r"inputs of type <U\d+ are not numbers"),
        (lambda: (X.astype("datetime64[s]"), Y), r"inputs of type datetime64\[s\] are not numbers"),
        (lambda: (np.array([[1, "a"]] * 60, dtype=object), Y), r"inputs of type object are not numbers"),
        (lambda: {"a": [1, 2, 3], "b": [1, 2]}, r"the columns differ in length: a 3, b 2"),
        # targets
        (lambda: (X, [0, "a"] * 30), r"of several types: '0' \(int\) for example 0, 'a' \(str\) for example 1"),
        (lambda: (X, np.array([0, "a"] * 30, dtype=object)), r"of several types"),
        (lambda: (X, [None] * 60), r"all targets are missing"),
        (lambda: (X, [datetime] * 60), r"a type that cannot be a class"),
        (lambda: (X, Y + 1j), r"targets of type complex128 are neither classes nor numbers"),
        (lambda: (X, 3), r"the targets have shape a single value"),
        (lambda: (X, Y[:10]), r"60 inputs but 10 targets"),
        (lambda: (X, Y[:, None, None]), r"the targets have shape 60x1x1"),
        (lambda: (pd.DataFrame({"target": ["a"] * 60}), Y), r"a column called 'target', and so have the targets"),
        # what is no data
        (lambda: {1, 2, 3}, r"cannot read a set"),
        (lambda: b"abc", r"cannot read a bytes"),
        (dict, r"cannot read a dict"),
        (lambda: print, r"cannot read a builtin_function_or_method"),
        (lambda: torch.nn.Linear(3, 2), r"cannot read a Linear"),
        (lambda: 7, r"cannot read a int"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors", "ignore:Sparse", "ignore:.*nested")
def test_what_cannot_be_read_is_one_clear_error(make, message):
    with pytest.raises(GnomonError, match=message):
        open_source(make())


def test_an_error_of_the_data_set_itself_is_not_dressed_up():
    with pytest.raises(ZeroDivisionError):
        open_source(Items(lambda i: 1 / 0))
