"""check: does this data, with this model, train at all? A few checks, answered in seconds, before a long run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from gnomon.checks.sanity import Finding, sanity_checks
from gnomon.core.seeds import generator
from gnomon.core.settings import refuse_idle
from gnomon.training.evaluate import encode_whole
from gnomon.training.threads import using
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.build import fresh_part
from gnomon.workflow.road.open import settings_for, with_target
from gnomon.workflow.session import here_of, open_session
from gnomon.workflow.words import DataWords, spelled_out

# The settings that do something here: the checks train a little in their own way.
ACTING = ("data.", "split.", "task.", "model.", "init.", "transfer.", "seed", "machine.", "regularise.dropout")
MOST_EXAMPLES = 2_000  # of train, and of dev, that the checks use


@dataclass(frozen=True)
class Checked:
    """The findings, each passed or not."""

    findings: list[Finding]

    @property
    def passed(self) -> bool:
        return all(finding.passed for finding in self.findings)


@spelled_out(DataWords)
def check(source: Any, /, target: Any = None, **settings: Unpack[DataWords]) -> Checked:
    """Initial loss, memorising a small batch, gradients, real against shuffled labels, swapped inputs.

    Takes the data that `gnomon.fit` takes. Raises UsageError, DataError, ArtefactError.
    """
    source, values = with_target(source, target, settings)
    opened, given = settings_for(values, verb="check", acting=ACTING)
    session = open_session(prepare(source, opened), opened, given)
    refuse_idle(given, here_of(session), session.task.kind.title)
    columns = {}
    for name in ("train", "dev"):
        examples = session.prepared.splits[name]
        if name == "dev":
            examples = session.task.judge.judged(examples, opened.seed)
        some = generator(opened.seed, "check").permutation(len(examples))[:MOST_EXAMPLES]
        columns[name] = encode_whole(session.task, examples.take(np.sort(some)))
    with using(session.settings.machine.threads):
        findings = sanity_checks(
            session.task,
            lambda: fresh_part(session),
            columns["train"],
            columns["dev"],
            seed=opened.seed,
        )
    return Checked(findings)
