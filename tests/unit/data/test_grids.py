"""Signals and volumes: what is read, what missing and huge values become, and the pictures that people see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import gnomon
from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings, Settings
from gnomon.data.grids import GridExamples, line_picture, slices_picture
from gnomon.data.opening import open_source
from gnomon.parts.grids import FARTHEST, GridEncoder, LabelledSignals, LabelledVolumes

Y = np.array([3, 9, 3, 9, 9, 3])
NCT = DataSettings(layout="NCT")


def read(inputs, targets=Y, layout="NCT"):
    return LabelledSignals().read(open_source((inputs, targets)), DataSettings(layout=layout))


def signals(dtype=np.float64):
    return (np.random.default_rng(0).normal(0, 100, (6, 2, 10))).astype(dtype)


def encoded(inputs):
    examples = read(inputs).splits["all"]
    encoder = GridEncoder.fit(examples, Settings())
    return encoder, encoder.encode(examples)["values"]


@pytest.mark.parametrize("dtype", ["int16", "int64", "uint8", "float16", "float32", "float64", ">f4"])
def test_each_channel_has_mean_0_and_deviation_1_whatever_its_type(dtype):
    given = np.abs(signals()).astype(dtype)
    encoder, values = encoded(given)
    exact = given.astype(np.float64)
    wanted = (exact - exact.mean((0, 2), keepdims=True)) / exact.std((0, 2), keepdims=True)
    assert values.dtype == torch.float32
    np.testing.assert_allclose(values.numpy(), wanted, atol=1e-5)
    np.testing.assert_allclose(encoder.mean, exact.mean((0, 2)))


def test_a_small_signal_on_a_large_offset_keeps_its_digits():
    small = signals()
    _, values = encoded(small * 1e-6 + 101_325.0)
    wanted = (small - small.mean((0, 2), keepdims=True)) / small.std((0, 2), keepdims=True)
    np.testing.assert_allclose(values.numpy(), wanted, atol=1e-3)  # steps of 0.008 in float32: 78 deviations


def test_missing_values_count_as_the_mean_and_are_said():
    given = signals()
    given[2, 1, 3:5] = np.nan
    reading = read(given)
    assert reading.notes == ("missing values (NaN): 2 in 1 signal; each counts as the mean of its channel in train",)
    encoder, values = encoded(given)
    assert values[2, 1, 3:5].tolist() == [0, 0]
    assert encoder.mean[1] == pytest.approx(np.nanmean(given[:, 1]))
    assert torch.isfinite(values).all()
    given[:, 0] = np.nan  # a channel without any value
    assert encoded(given)[1][:, 0].abs().max() == 0


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e200])
def test_infinite_and_absurd_values_are_refused_with_their_signal(value):
    given = signals()
    given[4, 0, 7] = value
    with pytest.raises(DataError, match="signal 4 has the value"):
        read(given)


def test_values_far_from_training_are_cut_off_where_float32_stays_finite():
    encoder, _ = encoded(signals())
    far = read(signals() * 1e90).splits["all"]
    assert encoder.encode(far)["values"].abs().max() == FARTHEST


def test_a_constant_channel_is_only_centred():
    given = signals()
    given[:, 1] = 0.1
    assert encoded(given)[1][:, 1].abs().max() < 1e-6


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (np.zeros(6, int), "only one class"), (np.arange(6), "classes have only one signal"),
        (Y + 0.5, "fractions"), (np.where(Y > 5, np.nan, 1.0), "missing targets: 3, the first of signal 1"),
    ],
)  # fmt: skip
def test_targets_that_are_not_classes_are_refused(targets, words):
    with pytest.raises(DataError, match=words):
        read(signals(), targets)


def test_inputs_alone_are_no_training_data_and_files_no_arrays(tmp_path):
    with pytest.raises(DataError, match="no targets"):
        LabelledSignals().read(open_source(signals()), NCT)
    (tmp_path / "a.txt").write_text("1")
    with pytest.raises(DataError, match="is not an array, and volumes are read from arrays"):
        LabelledVolumes().read(open_source(tmp_path), NCT)


def test_classes_come_back_as_they_were_given():
    examples = read(signals(), Y).splits["all"]
    assert examples.label_type == "integer"
    assert examples.index["label"].to_list() == [str(y) for y in Y]
    assert examples.index["id"].to_list()[:2] == ["signal 0", "signal 1"]
    assert read(signals(), np.where(Y > 5, "up", "down")).splits["all"].label_type == "text"


def test_equal_values_of_other_types_are_copies_and_others_are_not():
    whole = np.round(signals())
    one, two = (read(whole.astype(dtype)).splits["all"].fingerprints() for dtype in ("int16", "float64"))
    np.testing.assert_array_equal(one, two)
    whole[0, 0, 0] += 1
    assert (read(whole).splits["all"].fingerprints() != one).tolist() == [True] + [False] * 5


def test_examples_of_two_shapes_cannot_be_joined():
    one, other = read(signals()).splits["all"], read(signals()[:, :, :9]).splits["all"]
    with pytest.raises(DataError, match="2x10 and 2x9"):
        one.join(other)


def test_prediction_takes_the_layout_of_training_and_refuses_another_shape():
    given = signals()
    encoder = GridEncoder.fit(read(np.moveaxis(given, 1, 2), layout="NTC").splits["all"], Settings())
    assert encoder.layout == "NTC"
    again = LabelledSignals().read_inputs(open_source(np.moveaxis(given, 1, 2)), DataSettings(), encoder)
    np.testing.assert_array_equal(again.splits["all"][3].inputs, given[3])
    with pytest.raises(DataError, match="10 channels of 2 steps, and the model takes 2 channels of 10 steps"):
        LabelledSignals().read_inputs(open_source(given), DataSettings(), encoder)


def test_references_see_averages_where_there_are_many_values():
    examples = GridExamples(np.ones((2, 1, 8, 32, 32)), np.arange(2), read(signals()).splits["all"].index[:2], "NCDHW")
    encoder = replace(GridEncoder.fit(examples, Settings()), mean=(0.0,))
    found = encoder.plain_inputs(encoder.encode(examples)).numbers
    assert found.shape[1] <= 1_024
    np.testing.assert_allclose(found, 1.0, atol=1e-6)


def test_a_rising_line_rises_and_missing_steps_are_left_out():
    ramp = np.linspace(0, 5, 50)
    picture = line_picture(ramp[None])
    inked = [np.flatnonzero(column < 255).mean() for column in picture.T]
    assert np.all(np.diff(inked) <= 0)  # rows are counted from the top
    assert (inked[0], inked[-1]) == (len(picture) - 1, 0)
    ramp[20:30] = np.nan
    blank = [(column == 255).all() for column in line_picture(ramp[None]).T]
    assert blank[256 // 2]
    assert not blank[10]
    assert not blank[-10]
    assert (line_picture(np.full((2, 3), np.nan)) == 255).all()
    assert line_picture(np.zeros((9, 1))).shape[1] == 256


def test_the_middle_slices_of_a_volume_show_what_is_there():
    volume = np.zeros((1, 4, 6, 8))
    volume[0, 2, 3, 4] = 7
    picture = slices_picture(volume)
    assert (picture == 255).sum() > 3
    assert slices_picture(np.full((1, 1, 1, 1), np.nan)).max() <= 255
    assert max(slices_picture(np.random.default_rng(0).random((1, 3, 700, 600))).shape) <= 2 * 256 + 256


def test_fit_and_predict_from_arrays_and_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3 * 5  # 0, 5, 10
    x = rng.normal(0, 0.3, (60, 3, 20)) + np.eye(3)[y // 5][:, :, None]
    run = gnomon.fit((x, y), layout="NCT", model="linear", epochs=20)
    assert run.task.name == "signal_classification"
    np.save(tmp_path / "new.npy", x.astype(np.float32))
    np.savez(tmp_path / "new.npz", x=x)
    tables = [run.predict(source) for source in (x, str(tmp_path / "new.npy"), str(tmp_path / "new.npz"))]
    assert (tables[0]["prediction"].to_numpy() == y).mean() > 0.9
    assert tables[2].equals(tables[0])
    assert tables[1]["prediction"].equals(tables[0]["prediction"])
