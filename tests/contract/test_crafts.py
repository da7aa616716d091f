"""What every craft owes: each check runs on every craft there is, on its own sample data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

import gnomon
from gnomon import crafts
from gnomon.core.craft import Craft, Material
from gnomon.core.settings import Settings, from_flat, rows
from gnomon.data.opening import open_source
from gnomon.runs import seal
from gnomon.training.making import measured
from gnomon.workflow.craft import filled_for_sample, here_of
from gnomon.workflow.made import Made
from gnomon.workflow.road.open import open_data
from gnomon.workflow.road.recognise import Commission, recognise_work


@dataclass(frozen=True)
class Begun:
    """A craft with its own sample, before the first step."""

    craft: Craft
    source: Path
    material: Material
    settings: Settings

    def model(self, seed: int = 0) -> torch.nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.craft.begin(self.material, self.settings)

    def loss(self, model: torch.nn.Module, player: str, seed: int = 0) -> torch.Tensor:
        chance = torch.Generator().manual_seed(seed)
        return self.craft.loss(model, player, self.material, self.settings, chance)


def begun_with(craft: Craft, folder: Path) -> Begun:
    source = craft.write_sample(folder / "sample", seed=1)
    settings = filled_for_sample(craft, folder / "for settings")[1]
    return Begun(craft, source, craft.read(open_source(source), settings.data), settings)


@pytest.fixture(params=crafts.names(), scope="module")
def begun(request, tmp_path_factory) -> Begun:
    return begun_with(crafts.load(request.param), tmp_path_factory.mktemp(request.param))


# --- the checks -----------------------------------------------------------------------------------------------------
def check_claims_its_own_sample_before_every_task(begun: Begun) -> None:
    found = recognise_work(open_data(begun.source, from_flat({})))
    assert isinstance(found, Commission)
    assert found.craft is begun.craft
    assert found.why


def check_the_same_material_has_the_same_fingerprint_and_other_material_another(begun: Begun) -> None:
    craft, data = begun.craft, begun.settings.data
    again = craft.write_sample(begun.source.parent / "again", seed=1)
    other = craft.write_sample(begun.source.parent / "other", seed=2)
    assert craft.read(open_source(again), data).fingerprint == begun.material.fingerprint
    assert craft.read(open_source(other), data).fingerprint != begun.material.fingerprint
    assert begun.material.summary


def check_every_declared_setting_exists_and_acts(begun: Begun) -> None:
    keys = {row.key for row in rows(begun.settings)}
    own = {f"task.{name}" for name in begun.craft.settings.model_fields}
    assert begun.craft.acts | own <= keys
    here = here_of(begun.craft, begun.settings)
    idle = {knob.key for knob in here.knobs if here.why_idle(knob)}
    assert not idle & (begun.craft.acts | own)
    assert {"split.dev", "goal.human"} <= idle  # there is nothing to divide or to judge
    assert ("model.name" in idle) == ("model.name" not in begun.craft.acts)


def check_players_share_no_parameter_and_leave_none_out(begun: Begun) -> None:
    model = begun.model()
    parts = [parameter for part in begun.craft.players(model).values() for parameter in part.parameters()]
    assert len({id(one) for one in parts}) == len(parts)
    assert {id(one) for one in parts} == {id(one) for one in model.parameters() if one.requires_grad}


def check_a_loss_is_a_scalar_that_moves_its_player(begun: Begun) -> None:
    model = begun.model().train()
    for name, part in begun.craft.players(model).items():
        model.zero_grad()
        loss = begun.loss(model, name)
        assert loss.shape == ()
        assert math.isfinite(loss.item())
        loss.backward()
        assert any(one.grad is not None and one.grad.any() for one in part.parameters()), name


def check_chance_comes_from_its_argument_alone(begun: Begun) -> None:
    model = begun.model().train()
    for name in begun.craft.players(model):
        torch.manual_seed(1)
        first = begun.loss(model, name, seed=5)
        torch.manual_seed(2)
        assert torch.equal(first, begun.loss(model, name, seed=5))


def check_same_seed_same_start_another_seed_another(begun: Begun) -> None:
    one, two, other = (begun.model(seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def check_measures_are_the_declared_ones_finite_and_repeatable(begun: Begun) -> None:
    model = begun.model().eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        found = begun.craft.measure(model, begun.material, begun.settings)
    assert set(found) == {measure.name for measure in begun.craft.measures}
    assert begun.craft.measures
    assert all(math.isfinite(value) for value in found.values())
    assert measured(begun.craft, model, begun.material, begun.settings) == found
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def check_outputs_are_files_with_safe_names_and_equal_bytes(begun: Begun) -> None:
    one, two = (begun.craft.outputs(begun.model().eval(), begun.material) for _ in range(2))
    assert one == two
    assert one
    for name, content in one.items():
        assert seal.check_name(name) == name
        assert isinstance(content, bytes)
        assert content


def check_shows_something(begun: Begun) -> None:
    for caption, view in begun.craft.show(begun.model().eval(), begun.material):
        assert caption
        assert view.image is not None or view.text or view.fields


CHECKS = [value for name, value in list(globals().items()) if name.startswith("check_")]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_every_craft_keeps_the_contract(check: Callable[[Begun], None], begun: Begun) -> None:
    check(begun)


def test_every_craft_goes_the_whole_way(begun: Begun, tmp_path: Path) -> None:
    made = gnomon.fit(begun.source, runs_folder=str(tmp_path / "runs"), epochs=2)
    assert isinstance(made, Made)
    assert list(made.measures) == [measure.name for measure in begun.craft.measures]
    assert [row["epoch"] for row in made.history] == [1, 2]
    assert {path.name for path in (made.path / "outputs").iterdir()} - {"manifest.json"} == set(made.outputs)
    assert not made.folder.check().bad
    page = made.report.read_text()
    assert begun.craft.title in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    for name in made.outputs:
        assert name in page


# --- planted bugs ---------------------------------------------------------------------------------------------------
FORGERS = crafts.load("forgers")


def _own_chance(self, model, player, material, settings, chance):
    return FORGERS.loss(model, player, material, settings, torch.default_generator)


def _detached(self, model, player, material, settings, chance):
    return FORGERS.loss(model, player, material, settings, chance).detach().requires_grad_()


def _one_player(self, model):
    return {"critic": model["critic"]}


def _another_measure(self, model, material, settings):
    return {"error": 0.0}


def _by_the_clock(self, model, material):
    import time

    return {"made.txt": str(time.perf_counter_ns()).encode()}


def _same_fingerprint(self, source, settings):
    material = FORGERS.read(source, settings)
    return Material(material.content, material.summary, "always")


PLANTED = {
    "draws from the global generator": ({"loss": _own_chance}, check_chance_comes_from_its_argument_alone),
    "loss detached": ({"loss": _detached}, check_a_loss_is_a_scalar_that_moves_its_player),
    "half of the model forgotten": ({"players": _one_player}, check_players_share_no_parameter_and_leave_none_out),
    "measures not declared": (
        {"measure": _another_measure},
        check_measures_are_the_declared_ones_finite_and_repeatable,
    ),
    "outputs by the clock": ({"outputs": _by_the_clock}, check_outputs_are_files_with_safe_names_and_equal_bytes),
    "fingerprint of nothing": (
        {"read": _same_fingerprint},
        check_the_same_material_has_the_same_fingerprint_and_other_material_another,
    ),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_caught(bug: str, tmp_path: Path) -> None:
    methods, check = PLANTED[bug]
    broken = type("Broken", (type(FORGERS),), methods)()
    with pytest.raises((AssertionError, RuntimeError, KeyError)):
        check(begun_with(broken, tmp_path))
