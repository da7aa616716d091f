"""Saliency, occlusion and class activation maps against closed forms, plain loops and planted patches."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from gnomon.checks import attribution
from gnomon.checks.attribution import at_once, class_activation, hidden_squares, log_odds, occlusion, saliency
from gnomon.checks.feature_maps import stages_in

SIDE, PATCH = 16, 4


def small_net(seed=0, pool=nn.AdaptiveAvgPool2d):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(),
        pool(1), nn.Flatten(), nn.Linear(16, 2),
    ).eval()  # fmt: skip


def stage_of(model, side=SIDE):
    return stages_in(model, model, torch.zeros(1, 3, side, side))[-1]


def noise(seed=0):
    return torch.Generator().manual_seed(seed)


# --- equations --------------------------------------------------------------------------------------------------------
def test_class_activation_is_the_map_of_zhou_where_an_average_and_a_linear_layer_follow():
    model, picture = small_net(), torch.rand(3, SIDE, SIDE)
    found = class_activation(model, picture, [0, 1], stage_of(model))
    with torch.no_grad():
        features, weights = model[:5](picture[None])[0], model[7].weight
        closed = torch.einsum("kc,chw->khw", weights, features).relu()  # Zhou et al. 2016, equation 2
    torch.testing.assert_close(found * features.shape[1] * features.shape[2], closed)
    assert closed.sum() > 0


def test_the_saliency_of_a_linear_net_is_its_squared_weights():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 6 * 6, 4))
    found = saliency(model, torch.rand(3, 6, 6), [2, 0], rows=5, generator=noise())
    wanted = model[1].weight[[2, 0]].detach().view(2, 3, 6, 6).square().sum(dim=1)
    torch.testing.assert_close(found, wanted)


def test_saliency_does_not_depend_on_how_many_copies_a_pass_takes():
    model, picture = small_net(), torch.rand(3, SIDE, SIDE)
    one, all_ = (saliency(model, picture, [1], rows=rows, generator=noise()) for rows in (1, 64))
    torch.testing.assert_close(one, all_)


@pytest.mark.parametrize(("height", "width"), [(12, 12), (7, 23)])
def test_occlusion_is_that_of_a_plain_loop(height, width):
    model, picture, cover = small_net(), torch.rand(3, height, width), torch.tensor([0.2, 0.4, 0.6])
    squares = hidden_squares(model, picture, cover, rows=7)
    step = -(-max(height, width) // attribution.STEPS)
    total, count = np.zeros((height, width)), np.zeros((height, width))
    with torch.no_grad():
        before = model(picture[None]).softmax(dim=1)[0, 1].logit().item()
        for top in range(-step, height, step):
            for left in range(-step, width, step):
                hidden = picture.clone()
                rows, columns = slice(max(top, 0), top + 2 * step), slice(max(left, 0), left + 2 * step)
                for channel in range(3):
                    hidden[channel, rows, columns] = cover[channel]
                total[rows, columns] += before - model(hidden[None]).softmax(dim=1)[0, 1].logit().item()
                count[rows, columns] += 1
    np.testing.assert_allclose(occlusion(squares, 1, (height, width)).numpy(), total / count, atol=1e-5)
    assert (count == 4).all()


def test_log_odds_are_those_of_the_probabilities():
    scores = torch.randn(5, 4, dtype=torch.float64)
    for k in range(4):
        torch.testing.assert_close(log_odds(scores, k), scores.softmax(dim=1).logit()[:, k])
    sure = log_odds(torch.tensor([[80.0, 0.0, 0.0]]), 0)  # the probability is 1 in float32, and its odds infinite
    assert sure.item() == pytest.approx(80 - np.log(2))


# --- sanity: a small patch decides the class --------------------------------------------------------------------------
def rendered(count, seed):
    """Noise with a bright line somewhere, and a patch of stripes, lying or standing, which is the class."""
    rng = np.random.default_rng(seed)
    pictures = rng.random((count, 3, SIDE, SIDE)).astype(np.float32) * 0.5
    classes, at = rng.integers(0, 2, count), rng.integers(0, SIDE - PATCH + 1, (count, 2))
    stripes = np.zeros((PATCH, PATCH), np.float32)
    stripes[::2] = 1
    for picture, kind, (top, left) in zip(pictures, classes, at, strict=True):
        picture[:, rng.integers(0, SIDE)] += 0.4
        picture[:, top : top + PATCH, left : left + PATCH] = stripes if kind else stripes.T
    return torch.from_numpy(pictures), torch.from_numpy(classes), at


@functools.cache
def trained_net():
    model = small_net(pool=nn.AdaptiveMaxPool2d)
    pictures, classes, _ = rendered(1000, seed=1)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    shuffled = torch.Generator().manual_seed(0)
    for _ in range(12):
        for some in torch.randperm(len(pictures), generator=shuffled).split(100):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(pictures[some]), classes[some]).backward()
            optimiser.step()
    return model


def maps_of(model, picture, k):
    size = (SIDE, SIDE)
    cover = torch.full((3,), 0.3)
    places = class_activation(model, picture, [k], stage_of(model))
    return {
        "saliency": saliency(model, picture, [k], rows=64, generator=noise())[0],
        "occlusion": occlusion(hidden_squares(model, picture, cover, rows=64), k, size).clamp(min=0),
        "activation": nn.functional.interpolate(places[None], size, mode="bilinear")[0, 0],
    }


def test_every_map_points_at_the_patch_that_decides_the_class():
    model = trained_net()
    pictures, classes, at = rendered(20, seed=2)
    assert (model(pictures).argmax(dim=1) == classes).float().mean() > 0.9
    area = PATCH**2 / SIDE**2  # 6 % of the picture
    shares = {"saliency": [], "occlusion": [], "activation": []}
    for picture, k, (top, left) in zip(pictures, classes.tolist(), at, strict=True):
        for name, one in maps_of(model, picture, k).items():
            patch = one[top : top + PATCH, left : left + PATCH]
            shares[name].append(float(patch.sum() / one.sum()) if one.sum() > 0 else 0.0)
    for name, found in shares.items():
        assert np.mean(found) > 4 * area, name
        assert min(found) > area, name


def test_every_map_changes_when_the_weights_are_drawn_again():
    # Adebayo et al. 2018: the rank correlation with the map of a net of random weights must be low
    pictures, classes, _ = rendered(12, seed=3)
    untrained = small_net(seed=9, pool=nn.AdaptiveMaxPool2d)
    agreement = {"saliency": [], "occlusion": [], "activation": []}
    for picture, k in zip(pictures, classes.tolist(), strict=True):
        learned, drawn = maps_of(trained_net(), picture, k), maps_of(untrained, picture, k)
        for name in agreement:
            flat = learned[name].flatten().numpy(), drawn[name].flatten().numpy()
            if all(np.ptp(one) > 0 for one in flat):
                agreement[name].append(float(spearmanr(*flat).statistic))
    for name, found in agreement.items():
        assert np.mean(found) < 0.55, name
    itself = []
    for picture, k in zip(pictures, classes.tolist(), strict=True):
        one, other = (saliency(trained_net(), picture, [k], rows=64, generator=noise(seed))[0] for seed in (1, 2))
        itself.append(spearmanr(one.flatten(), other.flatten()).statistic)
    assert np.mean(itself) > 0.85  # of the same net with other noise


# --- cost -------------------------------------------------------------------------------------------------------------
def test_a_pass_stays_within_the_bytes_that_are_allowed(monkeypatch):
    model, picture = small_net(), torch.rand(3, SIDE, SIDE)
    each = sum(one[0].nelement() * 4 for one in outputs_of(model, picture[None]))
    monkeypatch.setattr(attribution, "MOST_BYTES", 5 * each + each // 2)
    rows = at_once(model, model, picture)
    assert rows == 5
    largest = []
    handle = model[0].register_forward_hook(lambda _m, _i, output: largest.append(len(output)))
    saliency(model, picture, [0], rows=rows, generator=noise())
    hidden_squares(model, picture, torch.zeros(3), rows=rows)
    handle.remove()
    assert max(largest) == 5
    monkeypatch.setattr(attribution, "MOST_BYTES", 1)
    assert at_once(model, model, picture) == 1


def outputs_of(model, x):
    for layer in model:
        x = layer(x)
        yield x


def test_parameters_get_no_gradient_and_frozen_ones_are_no_obstacle():
    model, picture = small_net().requires_grad_(False), torch.rand(3, SIDE, SIDE)
    assert saliency(model, picture, [0], rows=8, generator=noise()).sum() > 0
    class_activation(model, picture, [0], stage_of(model))
    model.requires_grad_(True)
    saliency(model, picture, [0], rows=8, generator=noise())
    class_activation(model, picture, [0], stage_of(model))
    assert all(one.grad is None for one in model.parameters())
