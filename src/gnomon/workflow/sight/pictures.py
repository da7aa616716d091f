"""One picture explained: the answer of the models, and the maps of what speaks for a class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, final

import numpy as np
import torch
from torch import Tensor

from gnomon.checks import attribution
from gnomon.checks.feature_maps import Stage, stages_in
from gnomon.core.errors import UsageError
from gnomon.core.family import PictureInputs
from gnomon.core.seeds import derive
from gnomon.strategy.evidence import ACTIVATION, OCCLUSION, SALIENCY, ClassEvidence, Explained, Hidden
from gnomon.training.evaluate import judging

if TYPE_CHECKING:
    from torch import nn

    from gnomon.core.example import Examples
    from gnomon.core.task import Task
    from gnomon.training.evaluate import Member

LEAST_FALL = 0.001  # of a probability that a hidden square must cause to be named


def is_of_pictures(task: Task) -> bool:
    """Whether its inputs are pictures: not sounds, say, that a net for pictures takes."""
    return task.kind.has_pictures and isinstance(task.encoder.inputs, PictureInputs)


def require_pictures(task: Task) -> None:
    """Raises UsageError for a task whose inputs are not pictures."""
    if not is_of_pictures(task):
        raise UsageError(
            f"explain shows what matters in pictures, and this run is {task.kind.title}, on {task.kind.modality} data.",
            fix="gnomon errors RUN shows what its mistakes have in common, gnomon show RUN its layers.",
        )


def require_classes(task: Task) -> None:
    """Raises UsageError for a task whose pictures do not have one class each."""
    require_pictures(task)
    if task.judge.num_classes is None:
        raise UsageError(
            f"explain says why a picture has one class and not another, and {task.kind.title} predicts "
            f"{task.kind.target}.",
            fix="gnomon explain RUN, without pictures, shows what its units see.",
        )


def as_shown(pixels: Tensor) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8, from (C, H, W) bytes or floats in [0, 1]."""
    picture = pixels if pixels.dtype == torch.uint8 else (255 * pixels).round().clamp(0, 255).to(torch.uint8)
    array = picture.cpu().numpy()
    return array[0] if len(array) == 1 else np.moveaxis(array, 0, 2)


def as_floats(pixels: Tensor) -> Tensor:
    """Floats in [0, 1], from bytes or from floats."""
    return pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels.float()


def device_of(model: nn.Module) -> torch.device:
    """Where it is: on the CPU, unless it has just been trained elsewhere."""
    return next(iter(model.state_dict().values()), torch.empty(0)).device


def outputs_for(task: Task, model: nn.Module) -> Callable[[Tensor], Tensor]:
    """What the model gives for pictures (B, C, H, W), floats in [0, 1]."""

    def outputs(pictures: Tensor) -> Tensor:
        return cast(Tensor, task.head.outputs(model, (pictures,), {"image": pictures}))

    return outputs


@final
@dataclass(frozen=True)
class Eye:
    """One model, ready to look at pictures of its size."""

    member: Member
    scores: attribution.Scores
    stage: Stage | None  # the last with more than one place
    rows: int  # pictures in a pass


def eye_of(member: Member, picture: Tensor) -> Eye:
    """For pictures like this one, (C, H, W), floats in [0, 1]."""
    task, model = member.task, member.model
    outputs = outputs_for(task, model)

    def scores(pictures: Tensor) -> Tensor:
        return cast(Tensor, task.judge.scores(outputs(pictures)))

    with judging(model):
        stages = stages_in(model, outputs, picture[None])
        rows = attribution.at_once(model, scores, picture)
    return Eye(member, scores, stages[-1] if stages else None, rows)


def explain_picture(members: Sequence[Member], inputs: Sequence[Examples], place: int, named: int | None) -> Explained:
    """Example `place` of what each member reads, for the predicted class and, if it is another, the class `named`.

    Of several members, the maps are the means of theirs.
    """
    first = members[0].task
    batches = [
        one.task.batch(one.task.encoder.encode(some.take(np.array([place]))), torch.tensor([0]))
        for one, some in zip(members, inputs, strict=True)
    ]
    pictures = [
        as_floats(batch["image"])[0].to(device_of(one.model)) for one, batch in zip(members, batches, strict=True)
    ]
    eyes = [eye_of(one, picture) for one, picture in zip(members, pictures, strict=True)]
    answers = []
    for eye, picture in zip(eyes, pictures, strict=True):
        with judging(eye.member.model):
            answers.append((eye.member.task.judge, outputs_for(eye.member.task, eye.member.model)(picture[None])))
    outputs = answers[0][1] if len(answers) == 1 else first.judge.averaged(answers)
    said = first.judge.predict(members[0].model, outputs, batches[0])
    predicted = int(said.values[0])
    wanted = [predicted] if named in (None, predicted) else [predicted, cast(int, named)]
    probabilities = cast(Tensor, first.judge.probabilities(outputs))[0].tolist()
    names = [str(name) for name in first.judge.describe(np.arange(len(probabilities))).to_list()]
    looked = [_look(eye, picture, wanted) for eye, picture in zip(eyes, pictures, strict=True)]
    classes = []
    for i, k in enumerate(wanted):
        maps = {name: np.mean([one.maps[name][i] for one in looked], axis=0) for name in looked[0].maps}
        hidden = _hidden(looked, k, probabilities[k])
        classes.append(ClassEvidence(names[k], probabilities[k], maps, hidden))
    return Explained(
        str(inputs[0].index["id"][place]), as_shown(batches[0]["image"][0]), names[predicted],
        probabilities[predicted], tuple(classes),
    )  # fmt: skip


@dataclass(frozen=True)
class _Looked:
    """What one model gives: maps (classes, H, W) by method, and the probabilities with each square hidden."""

    maps: dict[str, np.ndarray]
    windows: Tensor  # (W, 4)
    probabilities: Tensor  # (W, K)


def _look(eye: Eye, picture: Tensor, wanted: Sequence[int]) -> _Looked:
    size = picture.shape[1], picture.shape[2]
    task, model = eye.member.task, eye.member.model
    cover = picture.new_tensor(cast(PictureInputs, task.encoder.inputs).mean)
    generator = torch.Generator().manual_seed(derive(0, "explain"))
    with judging(model):
        maps = {SALIENCY: attribution.saliency(eye.scores, picture, wanted, rows=eye.rows, generator=generator)}
        squares = attribution.hidden_squares(eye.scores, picture, cover, rows=eye.rows)
        maps[OCCLUSION] = torch.stack([attribution.occlusion(squares, k, size) for k in wanted])
        if eye.stage is not None:
            places = attribution.class_activation(eye.scores, picture, wanted, eye.stage)
            maps[ACTIVATION] = torch.nn.functional.interpolate(places[None], size, mode="bilinear")[0]
    found = {name: one.cpu().numpy().astype(np.float32) for name, one in maps.items()}
    return _Looked(found, squares.windows, squares.scores.softmax(dim=1).cpu())


def _hidden(looked: Sequence[_Looked], k: int, before: float) -> Hidden | None:
    """The square without which the models, on average, are least sure of class k."""
    left = torch.stack([one.probabilities[:, k] for one in looked]).mean(dim=0)
    strongest = int(left.argmin())
    if before - float(left[strongest]) < LEAST_FALL:
        return None
    top, start, bottom, end = looked[0].windows[strongest].tolist()
    return Hidden(top, start, bottom, end, float(left[strongest]))
