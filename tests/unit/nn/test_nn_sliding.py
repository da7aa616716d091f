"""A net run over a larger picture in one pass against the same net on every window cut out."""

import pytest
import torch
from torch import nn

from gnomon.core.errors import UsageError
from gnomon.core.family import PictureInputs, Wanted
from gnomon.models._backbone import Backbone, Stage
from gnomon.models.convnet import convnet
from gnomon.models.course_nets import smile
from gnomon.models.lenet5 import lenet5
from gnomon.models.resnet import FAMILY as RESNETS
from gnomon.nn.sliding import sliding

MEAN, STD = (0.3, 0.4, 0.5), (0.2, 0.3, 0.25)


def course_net() -> nn.Sequential:
    """Course 4, week 3: 14x14x3, convolution 5x5 to 16, max pool 2, dense 400, dense 400, 4 classes."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 400), nn.ReLU(), nn.Linear(400, 400), nn.ReLU(), nn.Linear(400, 4),
    )  # fmt: skip


def lenet(**given) -> nn.Sequential:
    return lenet5(3, 10, image_size=(32, 32), mean=MEAN, std=STD, **given)


def pooled() -> Backbone:
    """A backbone without padding whose head takes the mean over its map."""
    stages = [
        Stage(1, 4, {"conv1": nn.Conv2d(3, 4, 3), "relu1": nn.ReLU()}),
        Stage(3, 6, {"pool1": nn.MaxPool2d(3, 3), "conv2": nn.Conv2d(4, 6, (2, 3)), "norm": nn.BatchNorm2d(6)}),
    ]
    then = {"avgpool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    return Backbone(PictureInputs(3, 17, 20, MEAN, STD), stages, then, num_features=6, num_outputs=5)


def with_statistics(net: nn.Module, size: tuple[int, int]) -> nn.Module:
    """The net after a few batches, so that its norms do not have the mean 0 and the variance 1 they start with."""
    net.train()
    with torch.no_grad():
        for _ in range(3):
            net(torch.rand(8, 3, *size))
    return net


def every_window(net: nn.Module, pictures: torch.Tensor, size: tuple[int, int], stride: tuple[int, int]):
    net.eval()
    height, width = pictures.shape[-2:]
    rows = []
    with torch.no_grad():
        for top in range(0, height - size[0] + 1, stride[0]):
            cut = [pictures[..., top : top + size[0], left : left + size[1]]
                   for left in range(0, width - size[1] + 1, stride[1])]  # fmt: skip
            rows.append(torch.stack([net(window) for window in cut], dim=-1))
    return torch.stack(rows, dim=-2)


@pytest.mark.parametrize(
    ("make", "size", "stride", "larger"),
    [
        (course_net, (14, 14), (2, 2), (28, 21)),
        (lenet, (32, 32), (4, 4), (45, 52)),
        (lambda: lenet(normalisation="batch", dropout=(0.3, 0.2), activation="tanh"), (32, 32), (4, 4), (40, 36)),
        (pooled, (17, 20), (3, 3), (30, 27)),
        (lambda: nn.Sequential(nn.Conv2d(3, 2, (2, 4), stride=(1, 3)), nn.Flatten(), nn.Linear(24, 3, bias=False)),
         (5, 11), (1, 3), (9, 20)),
    ],
    ids=["course", "lenet5", "lenet5 with norm", "pooled", "uneven"],
)  # fmt: skip
def test_one_pass_gives_the_answer_of_every_window(make, size, stride, larger):
    torch.manual_seed(0)
    net = with_statistics(make(), size)
    pictures = torch.rand(2, 3, *larger)
    whole = sliding(net, size, 3)
    assert whole.stride == stride
    with torch.no_grad():
        answers = whole(pictures)
        alone = every_window(net, pictures, size, stride)
    assert answers.shape == alone.shape
    assert answers.shape[2] * answers.shape[3] > 1
    torch.testing.assert_close(answers, alone, rtol=1e-5, atol=1e-5)
    assert answers.std(dim=(2, 3)).min() > 1e-3  # windows that differ, so that a shift would be seen


def test_in_float64_the_answers_differ_by_rounding_alone():
    torch.manual_seed(0)
    net, pictures = lenet().double(), torch.rand(1, 3, 48, 40, dtype=torch.float64)
    with torch.no_grad():
        answers = sliding(net, (32, 32), 3)(pictures)
    torch.testing.assert_close(answers, every_window(net, pictures, (32, 32), (4, 4)), rtol=1e-12, atol=1e-12)


def test_the_maps_of_the_course_have_its_sizes():
    # course 4, week 3: 14x14 -> 1x1, 16x16 -> 2x2, 28x28 -> 8x8 answers of 4 classes
    net = sliding(course_net(), (14, 14), 3)
    for side, places in ((14, 1), (16, 2), (28, 8)):
        assert net(torch.zeros(1, 3, side, side)).shape == (1, 4, places, places)


def test_the_net_itself_is_left_alone():
    net = lenet(normalisation="batch").train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    copy = sliding(net, (32, 32), 3)
    assert net.training
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.zero_()
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_a_net_that_looks_beyond_its_window_is_refused_or_run_as_it_is():
    net = convnet(3, 4, image_size=(16, 16), channels=(8, 8), hidden=(), mean=MEAN, std=STD)
    with pytest.raises(UsageError, match=r"gets another answer than alone: Conv2d pads the border"):
        sliding(net, (16, 16), 3)
    assert sliding(net, (16, 16), 3, exact=False)(torch.zeros(1, 3, 24, 32)).shape == (1, 4, 3, 5)
    with pytest.raises(UsageError, match="ZeroPad2d pads the border"):
        sliding(smile(PictureInputs(3, 16, 16, MEAN, STD), 1), (16, 16), 3)
    pools_up = nn.Sequential(nn.MaxPool2d(2, ceil_mode=True), nn.Conv2d(3, 2, 1), nn.Flatten(), nn.Linear(18, 2))
    with pytest.raises(UsageError, match="MaxPool2d has a smaller last pool"):
        sliding(pools_up, (5, 5), 3)
    normed = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(1, 4), nn.Flatten(), nn.Linear(36, 2))
    with pytest.raises(UsageError, match="GroupNorm is over the whole picture"):
        sliding(normed, (5, 5), 3)


def test_a_residual_net_slides_where_exactness_is_not_asked_for():
    inputs = PictureInputs(3, 32, 32, MEAN, STD)
    net = RESNETS.build(Wanted("resnet20", inputs, RESNETS.settings(), (), 10))
    with_statistics(net, (32, 32))
    whole = sliding(net, (32, 32), 3, exact=False)
    picture = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(whole(picture)[..., 0, 0], net.eval()(picture), rtol=1e-5, atol=1e-5)
        assert whole(torch.rand(1, 3, 64, 48)).shape == (1, 10, 9, 5)
    assert whole.stride == (4, 4)


@pytest.mark.parametrize(
    ("net", "said"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), "no dense layers over a map"),
        (nn.Sequential(nn.Flatten(), nn.LayerNorm(75), nn.Linear(75, 2)), "LayerNorm among"),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 2)), "cannot slide"),
    ],
)  # fmt: skip
def test_a_net_that_cannot_slide_is_refused(net, said):
    with pytest.raises(UsageError, match=said):
        sliding(net, (5, 5), 3)


def test_a_module_of_ones_own_and_a_backbone_without_a_head_are_refused():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(3, 2)

    with pytest.raises(UsageError, match="Own is no stack of layers"):
        sliding(Own(), (5, 5), 3)
    with pytest.raises(UsageError, match="has no head"):
        sliding(smile(PictureInputs(3, 16, 16, MEAN, STD), None), (16, 16), 3)


def test_pictures_smaller_than_the_window_are_refused():
    with pytest.raises(UsageError, match=r"10x40 pixels are smaller than the window of 14x14"):
        sliding(course_net(), (14, 14), 3)(torch.zeros(1, 3, 10, 40))
