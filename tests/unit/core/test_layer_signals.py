"""What is said about a net from the numbers of its layers. Numbers are made up as a healthy or a sick net has them."""

import dataclasses

import pytest

from gnomon.core.layer_signals import LayerSignal, as_rows, findings, findings_of, from_rows


def net(num_layers=6, **changes):
    """A healthy net of that many layers; `changes` are functions of the layer's number, from 0."""
    healthy = LayerSignal("", mean=0.1, std=0.7, gradient=0.05, update_ratio=1e-3)
    return [
        dataclasses.replace(healthy, layer=f"dense{i + 1}", **{key: value(i) for key, value in changes.items()})
        for i in range(num_layers)
    ]


def troubles(signals, **more):
    return {finding.trouble: finding.layers for finding in findings(signals, **more)}


def test_nothing_is_said_of_a_healthy_net():
    assert findings(net()) == ()
    assert findings(net(dead=lambda i: 0.3, saturated=lambda i: 0.3)) == ()
    assert findings(()) == ()


def test_activations_that_fade_are_vanishing_in_the_layers_where_they_have_faded():
    found = troubles(net(std=lambda i: 0.1**i))
    # 1, 0.1, 0.01, 0.001, 1e-4 and the last layer, which has a scale of its own
    assert found == {"vanishing": ("dense5",)}


def test_activations_that_grow_are_exploding():
    assert troubles(net(std=lambda i: 20.0**i)) == {"exploding": ("dense4", "dense5")}


def test_gradients_that_fade_towards_the_input_are_vanishing_there():
    assert troubles(net(gradient=lambda i: 10.0**i))["vanishing"] == ("dense1", "dense2")


def test_gradients_that_grow_towards_the_input_are_exploding_there():
    assert troubles(net(gradient=lambda i: 10.0**-i))["exploding"] == ("dense1", "dense2")


def composed(backbone):
    """The layers of a backbone, then two branches of which the second is about objects that are rarely there."""
    inner = [dataclasses.replace(one, layer=f"backbone.{one.layer}") for one in backbone]
    return inner + net(2) + net(4, gradient=lambda i: 1e-5)


def test_branches_beside_one_another_are_not_taken_for_layers_that_follow_one_another():
    assert troubles(composed(net())) == {}
    assert troubles(composed(net(gradient=lambda i: 10.0**-i))) == {"exploding": ("backbone.dense1", "backbone.dense2")}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gradient_that_is_no_number_is_exploding(value):
    assert troubles(net(gradient=lambda i: value if i == 2 else 1.0)) == {"exploding": ("dense3",)}


def test_no_gradient_anywhere_is_vanishing():
    assert troubles(net(gradient=lambda i: 0.0))["vanishing"] == tuple(f"dense{i}" for i in range(1, 7))


def test_layers_of_dead_or_saturated_units_are_named_with_their_share():
    (dead,) = findings(net(dead=lambda i: 0.9 if i == 1 else 0.1))
    assert (dead.trouble, dead.layers) == ("dead", ("dense2",))
    assert "90 % of the units of dense2" in dead.text
    (saturated,) = findings(net(saturated=lambda i: 0.8 if i in (3, 4) else 0.0))
    assert (saturated.trouble, saturated.layers) == ("saturated", ("dense4", "dense5"))


def test_a_rate_is_too_high_or_too_low_by_its_steps_in_most_layers():
    assert troubles(net(update_ratio=lambda i: 0.9)) == {"rate too high": ()}
    assert troubles(net(update_ratio=lambda i: 1e-8)) == {"rate too low": ()}
    assert troubles(net(update_ratio=lambda i: 0.9 if i < 2 else 1e-3)) == {}


def test_the_loss_has_a_say_in_whether_a_rate_is_right():
    large, small = net(update_ratio=lambda i: 0.1), net(update_ratio=lambda i: 5e-6)
    assert troubles(large) == troubles(large, loss_left=0.1) == {}
    assert troubles(large, loss_left=0.8) == {"rate too high": ()}
    assert troubles(small) == troubles(small, loss_left=0.5) == {}
    assert troubles(small, loss_left=0.99) == {"rate too low": ()}
    assert troubles(net(update_ratio=lambda i: 1e-8), loss_left=0.01) == {}  # it has learnt everything there is


def test_a_schedule_that_has_lowered_the_rate_is_not_a_rate_too_low():
    # 2e-7 of the weights at a hundredth of the rate is 2e-5 at the rate itself
    assert troubles(net(update_ratio=lambda i: 2e-7), rate_share=0.01) == {}
    assert troubles(net(update_ratio=lambda i: 2e-7), rate_share=1.0) == {"rate too low": ()}


def test_the_latest_look_of_a_history_is_what_counts():
    sick, healthy = as_rows(net(dead=lambda i: 1.0)), as_rows(net())
    rows = [{"signals": sick, "learning_rate": 0.1, "train_loss": 1.0}, {"learning_rate": 0.1, "train_loss": 0.9}]
    assert [finding.trouble for finding in findings_of(rows, highest_rate=0.1)] == ["dead"]
    assert findings_of([*rows, {"signals": healthy, "learning_rate": 0.1, "train_loss": 0.8}], highest_rate=0.1) == ()
    assert findings_of([{"learning_rate": 0.1}], highest_rate=0.1) == ()


def test_signals_keep_four_digits_on_their_way_through_a_row():
    (signal,) = from_rows(as_rows([LayerSignal("a", 0.123456, 1.0, 2.0, 3.0, dead=None, saturated=0.25)]))
    assert signal == LayerSignal("a", 0.1235, 1.0, 2.0, 3.0, dead=None, saturated=0.25)


def test_the_first_steps_of_a_single_layer_are_all_of_its_size():
    """It is drawn near zero, as the last layer of every net; later, or among others, such a step is too large."""
    large = net(1, update_ratio=lambda i: 0.9)
    assert troubles(large) == {}
    assert troubles(large, loss_left=0.9) == {"rate too high": ()}
