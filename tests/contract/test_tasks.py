"""What every task owes: each check runs on every task there is, on its own sample data; planted bugs must be caught."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import gnomon
from gnomon import tasks
from gnomon.core.knobs import CLASSES
from gnomon.core.seeds import derive
from gnomon.core.task import Task, TaskKind
from gnomon.data.columns import Ragged, length
from gnomon.training.evaluate import encode_whole, evaluate, predict
from gnomon.training.loop import mean_loss
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.build import Session, fresh_model
from gnomon.workflow.road.open import open_data
from gnomon.workflow.road.recognise import recognise
from gnomon.workflow.session import open_session

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Made:
    """A task fitted on its own sample."""

    kind: TaskKind
    source: Path
    session: Session

    @property
    def task(self) -> Task:
        return self.session.task

    def batch(self, split: str = "train", most: int = 8) -> tuple[Mapping, torch.Tensor, dict[str, torch.Tensor]]:
        examples = self.session.prepared.splits[split]
        if split != "train":
            examples = self.task.judge.judged(examples, 0)
        columns = encode_whole(self.task, examples.take(np.arange(min(most, len(examples)))))
        indices = torch.arange(length(columns))
        return columns, indices, self.task.collate(columns, indices)

    def model(self) -> torch.nn.Module:
        return fresh_model(self.task, self.session.settings)


def make(kind: TaskKind, folder: Path) -> Made:
    source = kind.reader.write_sample(folder / "sample", seed=1)
    opened = gnomon.core.settings.from_flat({"task": kind.name})
    return Made(kind, source, open_session(prepare(source, opened, kind), opened))


@pytest.fixture(params=tasks.names(), scope="module")
def made(request, tmp_path_factory) -> Made:
    return make(tasks.load(request.param), tmp_path_factory.mktemp(request.param))


# --- the checks -----------------------------------------------------------------------------------------------------
def check_claims_its_own_sample(made: Made) -> None:
    is_asked_for = getattr(made.kind.reader, "is_asked_for", False)  # its data is another task's by default
    opened = gnomon.core.settings.from_flat({"task": made.kind.name} if is_asked_for else {})
    found = recognise(open_data(made.source, opened))
    assert found.task.name == made.kind.name
    assert found.why


def check_sample_is_the_same_for_the_same_seed(made: Made) -> None:
    other = made.source.parent.parent / f"again-{made.kind.name}"
    again = made.kind.reader.write_sample(other, seed=1)
    one, two = ({p.relative_to(root): p.read_bytes() for p in _files(root)} for root in (made.source, again))
    assert [*one.values()] == [*two.values()]


def check_facts_survive_json(made: Made) -> None:
    facts = json.loads(json.dumps(made.task.facts()))
    assert made.kind.from_facts(facts) == made.task
    with pytest.raises(gnomon.GnomonError, match="unknown or missing field"):
        made.kind.from_facts({**facts, "surprise": 1})


def check_is_frozen(made: Made) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(made.task, fields(made.task)[0].name, None)


def check_losses_one_a_row_and_finite(made: Made) -> None:
    for split in ("train", "dev"):
        _, indices, batch = made.batch(split)
        losses = _losses(made.task, made.model().eval(), batch)
        assert losses.shape == (len(indices),)
        assert torch.isfinite(losses).all()


def check_loss_alone_equals_loss_in_company(made: Made) -> None:
    columns, indices, batch = made.batch("dev")
    model = made.model().eval()
    together = _losses(made.task, model, batch)
    alone = torch.cat([_losses(made.task, model, made.task.collate(columns, i)) for i in indices.split(1)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def check_order_of_a_batch_does_not_matter(made: Made) -> None:
    columns, indices, batch = made.batch("dev")
    model = made.model().eval()
    back = indices.flip(0)
    torch.testing.assert_close(
        _losses(made.task, model, batch).flip(0), _losses(made.task, model, made.task.collate(columns, back)),
        atol=1e-5, rtol=1e-4,
    )  # fmt: skip


def check_every_parameter_gets_a_gradient(made: Made) -> None:
    _, _, batch = made.batch("train", most=64)
    model = made.model().train()
    mean_loss(made.task.losses(made.task.outputs(model, batch), batch), batch).backward()
    without = [name for name, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert not without


def check_micro_batches_give_the_same_gradient(made: Made) -> None:
    columns, indices, batch = made.batch("train")
    model = made.model().eval()  # no dropout, no batch statistics
    mean_loss(made.task.losses(made.task.outputs(model, batch), batch), batch).backward()
    whole = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    weights = float(batch["weight"].sum()) if "weight" in batch else len(indices)
    for part in indices.split(3):
        small = made.task.collate(columns, part)
        losses = made.task.losses(made.task.outputs(model, small), small)
        ((losses * small.get("weight", torch.ones_like(losses))).sum() / weights).backward()
    parts = [p.grad for p in model.parameters() if p.grad is not None]
    torch.testing.assert_close(whole, parts, atol=1e-5, rtol=1e-3)


def check_overfits_four_examples(made: Made) -> None:
    columns, _, _ = made.batch("train", most=4)
    batch = made.task.collate(columns, torch.arange(length(columns)))
    assert any(_is_memorised(made, batch, rate) for rate in (1e-2, 3e-3))  # at the first, deep Transformers jump about


def _is_memorised(made: Made, batch: Mapping[str, torch.Tensor], rate: float) -> bool:
    model = made.model().eval()
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    first = None
    for _ in range(300):
        optimiser.zero_grad()
        loss = mean_loss(made.task.losses(made.task.outputs(model, batch), batch), batch)
        loss.backward()
        optimiser.step()
        now = float(loss.detach())
        first = now if first is None else first
        if 0 <= now < 0.1 * first:
            return True
    return False


def check_same_seed_same_weights(made: Made) -> None:
    one, two = made.model().state_dict(), made.model().state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


def check_another_seed_other_weights(made: Made) -> None:
    other = gnomon.core.settings.with_values(made.session.settings, {"seed": 12345})
    one, two = made.model().state_dict(), fresh_model(made.task, other).state_dict()
    assert any(not torch.equal(one[name], two[name]) for name in one)


def check_encoding_is_deterministic(made: Made) -> None:
    for one, two in zip(made.batch()[0].values(), made.batch()[0].values(), strict=True):
        for left, right in zip(_tensors(one), _tensors(two), strict=True):
            assert torch.equal(left, right)


def check_augment_keeps_names_and_rows(made: Made) -> None:
    _, indices, batch = made.batch("train")
    again = dict(batch)
    changed = made.task.augment(again, made.session.settings.regularise, torch.Generator().manual_seed(0))
    assert changed.keys() == batch.keys()
    assert all(len(value) == len(indices) for value in changed.values())


def check_truth_has_no_error(made: Made) -> None:
    _, _, batch = made.batch("dev", most=64)
    errors = made.task.judge.errors(made.task.judge.targets(batch), batch)
    assert errors.dtype == np.float64
    np.testing.assert_array_equal(errors, np.zeros(len(errors)))


def check_predicts_without_targets(made: Made) -> None:
    examples = made.task.judge.judged(made.session.prepared.splits["dev"], 0)
    table = predict(made.task, made.model(), examples, device=CPU)
    assert len(table) == len(examples)
    assert table.columns[:3] == ["id", "prediction", "confidence"]


def check_evaluation_has_its_columns(made: Made) -> None:
    examples = made.task.judge.judged(made.session.prepared.splits["dev"], 0)
    evaluation = evaluate(made.task, made.model(), examples, split="dev", source="sample", device=CPU)
    table = evaluation.table
    assert table.columns[:9] == [
        "id", "source", "target", "prediction", "error", "weight", "loss", "confidence", "group",
    ]  # fmt: skip
    assert len(table) == len(examples)
    assert table["target"].dtype == table["prediction"].dtype
    assert (table["error"] >= 0).all()
    confidence = table["confidence"].drop_nulls()
    assert confidence.is_between(0, 1).all()
    again = evaluate(
        made.task, made.model(), examples, split="dev", source="sample", device=CPU,
        columns=encode_whole(made.task, examples),
    )  # fmt: skip
    assert again.table.equals(table)


def check_takes_and_joins_like_a_sequence(made: Made) -> None:
    whole = made.session.prepared.splits["train"]
    few = whole.take(np.array([2, 0, 2]))
    assert few.index["id"].to_list() == [whole.index["id"][i] for i in (2, 0, 2)]
    assert [few[i].id for i in range(3)] == [whole[i].id for i in (2, 0, 2)]
    both = few.join(whole.take(np.array([1])))
    assert both.index["id"].cast(pl.String).to_list() == [*few.index["id"].cast(pl.String), str(whole.index["id"][1])]
    assert len(both.fingerprints()) == 4
    assert both.fingerprints()[0] == both.fingerprints()[2]


def check_classes_can_be_corrected_and_sources_told_apart(made: Made) -> None:
    train = made.session.prepared.splits["train"]
    labels = train.index["label"].cast(pl.String)
    if CLASSES in made.kind.head.abilities:
        other = train.with_labels(labels.reverse())
        assert other.index["label"].cast(pl.String).to_list() == labels.reverse().to_list()
        assert [other[i].target for i in range(len(train))] == labels.reverse().to_list()
        assert train.index["label"].cast(pl.String).equals(labels)
        np.testing.assert_array_equal(other.fingerprints(), train.fingerprints())
    else:
        with pytest.raises(gnomon.GnomonError):
            train.with_labels(labels)
    first, second = train.with_source("lab"), train.take(np.array([0])).with_source("street")
    sources = first.join(second).index.to_dict(as_series=False).get("source")
    assert sources in (None, ["lab"] * len(first) + ["street"])


def check_shows_an_example(made: Made) -> None:
    view = made.task.reader.view(made.session.prepared.splits["train"][0])
    assert view.image is not None or view.text or view.fields


CHECKS = [value for name, value in list(globals().items()) if name.startswith("check_")]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_every_task_keeps_the_contract(check: Callable[[Made], None], made: Made) -> None:
    check(made)


# --- planted bugs ---------------------------------------------------------------------------------------------------
IMAGES = tasks.load("image_classification")


def _shuffled(self, columns, indices):
    """Inputs of one order with targets of another."""
    batch = IMAGES.encoder.collate(self, columns, indices)
    batch["target"] = batch["target"].flip(0)
    return batch


def _leaky(self, outputs, batch):
    """The loss of each example leans on the others."""
    return IMAGES.head.losses(self, outputs - outputs.mean(dim=0, keepdim=True), batch)


def _averaged(self, outputs, batch):
    return IMAGES.head.losses(self, outputs, batch).mean()


def _wrong_sign(self, outputs, batch):
    return -IMAGES.head.losses(self, outputs, batch)


def _detached(self, model, arguments, batch):
    return IMAGES.head.outputs(self, model, arguments, batch).detach().requires_grad_()


def _off_by_one(self, values, batch):
    return 1.0 - IMAGES.judge.errors(self, values, batch)


def _needs_target(self, model, outputs, batch):
    assert "target" in batch
    return IMAGES.judge.predict(self, model, outputs, batch)


def _drops_a_row(self, batch, settings, generator):
    return {name: value[1:] for name, value in batch.items()}


def _random_pixels(self, examples):
    columns = IMAGES.encoder.encode(self, examples)
    return {"image": columns["image"] + torch.randint(0, 2, columns["image"].shape, dtype=torch.uint8)}


@dataclass(frozen=True)
class ForgetfulJudge(IMAGES.judge):
    """A fact that JSON gives back as something else."""

    pair: Any = (1, 2)


PLANTED = {
    "targets of other examples": ("encoder", {"collate": _shuffled}, check_loss_alone_equals_loss_in_company),
    "loss leans on the batch": ("head", {"losses": _leaky}, check_loss_alone_equals_loss_in_company),
    "loss averaged too early": ("head", {"losses": _averaged}, check_losses_one_a_row_and_finite),
    "loss with the wrong sign": ("head", {"losses": _wrong_sign}, check_overfits_four_examples),
    "outputs detached": ("head", {"outputs": _detached}, check_every_parameter_gets_a_gradient),
    "error upside down": ("judge", {"errors": _off_by_one}, check_truth_has_no_error),
    "prediction looks at the target": ("judge", {"predict": _needs_target}, check_predicts_without_targets),
    "augmentation drops a row": ("encoder", {"augment": _drops_a_row}, check_augment_keeps_names_and_rows),
    "encoding by chance": ("encoder", {"encode": _random_pixels}, check_encoding_is_deterministic),
}
CAUGHT = (AssertionError, pytest.fail.Exception, RuntimeError, IndexError)


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_caught(bug: str, tmp_path: Path) -> None:
    part, methods, check = PLANTED[bug]
    broken = replace(IMAGES, **{part: type("Broken", (getattr(IMAGES, part),), methods)})
    with pytest.raises(CAUGHT):
        check(make(broken, tmp_path))


def test_a_fact_that_json_changes_is_caught(tmp_path: Path) -> None:
    with pytest.raises(CAUGHT):
        check_facts_survive_json(make(replace(IMAGES, judge=ForgetfulJudge), tmp_path))


def test_facts_taken_on_trust_are_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(IMAGES, tmp_path)
    monkeypatch.setattr("gnomon.core.task.checked_keys", lambda _facts, _wanted: None)
    with pytest.raises(CAUGHT):
        check_facts_survive_json(made)


def test_seeds_differ_by_name() -> None:
    assert derive(0, "a") != derive(0, "b") != derive(1, "b")


def _losses(task: Task, model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        return task.losses(task.outputs(model, batch), batch)


def _tensors(column: torch.Tensor | Ragged) -> list[torch.Tensor]:
    return [column.values, column.offsets] if isinstance(column, Ragged) else [column]


def _files(root: Path) -> list[Path]:
    return [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
