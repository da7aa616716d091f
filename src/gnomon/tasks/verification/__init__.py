"""Verification: are two pictures of one identity? Trained on some people, judged on pairs of others."""

from collections.abc import Mapping
from typing import Any

from gnomon.core.task import Task, TaskKind
from gnomon.data.columns import Columns
from gnomon.parts.identities import IdentityHead, PicturesOfPeople, VerificationSettings
from gnomon.parts.pictures import PictureEncoder
from gnomon.parts.same_or_different import PairJudge
from gnomon.tasks.verification.glyphs import sample
from gnomon.training.samplers import Epoch, by_identity

EACH = 4  # pictures of an identity in a batch; fewer in batches below eight


def sampler(columns: Columns, seed: int, epoch: int, batch_size: int) -> Epoch:
    """Batches of identities, with some pictures of each: every picture has one of its own identity beside it."""
    return by_identity("identity", min(EACH, max(2, batch_size // 2)))(columns, seed, epoch, batch_size)


def defaults(_task: Task, _num_train: int) -> Mapping[str, Any]:
    return {}


TASK = TaskKind(
    name="verification",
    title="verification",
    modality="picture",
    target="whether two are of one identity",
    reader=PicturesOfPeople(sample),
    encoder=PictureEncoder,
    head=IdentityHead,
    judge=PairJudge,
    model="convnet",
    settings=VerificationSettings,
    defaults=defaults,
    sampler=sampler,
)
