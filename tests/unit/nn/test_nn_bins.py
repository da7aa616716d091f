"""Numbers in quantile bins: where a number lies, whatever its size."""

import numpy as np
import torch

from gnomon.nn.bins import BIN_SCALE, QuantileBins


def test_inside_the_data_each_bin_says_how_far_a_number_is_through_it():
    edges = np.array([-2.0, -0.5, 0.0, 1.5])
    x = np.linspace(-2, 1.5, 29)
    bins = QuantileBins([edges.tolist(), ()])  # the second column has none
    found = bins(torch.from_numpy(np.stack([x, x], axis=1)).float()).numpy()
    assert found.shape == (29, 2 + 3)
    shares = np.stack([np.interp(x, edges[i : i + 2], [0, 1]) for i in range(3)], axis=1)  # NumPy's own
    np.testing.assert_allclose(found[:, 2:] / BIN_SCALE + 0.5, shares, atol=1e-6)


def test_an_outlier_is_near_and_nothing_overflows():
    bins = QuantileBins([(-1.0, 0.0, 1.0)])
    far = bins(torch.tensor([[50.0], [1e30], [-3.4e38]]))
    assert torch.isfinite(far).all()
    assert far[:, 0].abs().max() <= 3  # drawn: x / sqrt(1 + (x/3)^2) -> 3
    torch.testing.assert_close(far[:2, 2], torch.full((2,), BIN_SCALE * 3.5))  # three widths beyond the last bin
    torch.testing.assert_close(far[2, 1:], BIN_SCALE * torch.tensor([-3.5, -0.5]))


def test_ordinary_numbers_stay_nearly_as_they_are_and_in_order():
    x = torch.linspace(-8, 8, 101)[:, None]
    squashed = QuantileBins([(-1.0, 0.0, 1.0)])(x)[:, 0]
    assert (squashed.diff() > 0).all()
    assert abs(float(squashed[50 + 6]) - float(x[50 + 6])) < 0.06  # drawn: 0.96 / sqrt(1 + 0.32^2) = 0.914


def test_the_inputs_are_not_changed():
    x = torch.tensor([[5.0]])
    QuantileBins([(-1.0, 0.0, 1.0)])(x)
    assert x.item() == 5.0


def test_bins_of_many_columns_are_smaller_beside_their_numbers():
    few, many = (QuantileBins([(-1.0, 0.0, 1.0)] * number + [()]) for number in (8, 9))
    found = [bins(torch.full((1, columns + 1), 0.5))[0, -1] for bins, columns in ((few, 8), (many, 9))]
    torch.testing.assert_close(found, [torch.tensor(0.3 * 0.0), torch.tensor(0.1 * 0.0)])  # half of the bin: 0
    ends = [bins(torch.ones(1, columns + 1))[0, -1] for bins, columns in ((few, 8), (many, 9))]
    torch.testing.assert_close(ends, [torch.tensor(0.3 * 0.5), torch.tensor(0.1 * 0.5)])
