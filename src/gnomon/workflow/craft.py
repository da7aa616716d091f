"""Making: a craft's way from its material to a finished thing and its report. `fit` goes it where a craft fits best."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import nn

from gnomon import report
from gnomon.core import found
from gnomon.core.craft import Craft, Material
from gnomon.core.errors import DataError, UsageError
from gnomon.core.knobs import EXAMPLES, Here
from gnomon.core.parts import View
from gnomon.core.seeds import derive
from gnomon.core.settings import Settings, fill, flat, from_flat, knobs, refuse_idle, with_values
from gnomon.data.opening import open_source
from gnomon.data.source import Source
from gnomon.data.trees import FilesTree
from gnomon.report.record import Command, CraftRecord
from gnomon.runs.beginning import card_files
from gnomon.runs.checkpoints import FOLDER as CHECKPOINTS
from gnomon.runs.environment import describe_environment
from gnomon.runs.folder import RunFolder
from gnomon.runs.names import CRAFT
from gnomon.training.allocator import keep_freed_memory
from gnomon.training.making import MakingJob, MakingState, make
from gnomon.training.schedules import rate_table, warmup_of
from gnomon.training.threads import threads_for, using
from gnomon.workflow.made import Made
from gnomon.workflow.prepare import source_of
from gnomon.workflow.road.build import device_of
from gnomon.workflow.road.follow import Begun, Follower
from gnomon.workflow.road.recognise import Commission
from gnomon.workflow.road.report import setting_lines
from gnomon.workflow.road.train import deadline_of
from gnomon.workflow.signals import StopFlag, Stopped

DEFAULTS: Mapping[str, Any] = {  # what neither the user nor the craft sets
    "regularise.weight_decay": 0.0,
    "optimiser.name": "adam",
    "optimiser.learning_rate": 1e-2,
    "schedule.name": "constant",
    "stop.epochs": 20,
    "machine.allocator": "system",
}
EVERYWHERE = (  # what every craft's settings begin with; further ones are in Craft.acts
    "seed", "run_name", "runs_folder", "task.", "regularise.weight_decay", "regularise.l1", "regularise.l2",
    "optimiser.", "schedule.", "stop.epochs", "stop.max_time", "machine.",
)  # fmt: skip
WHERE_SAID = frozenset(  # they act only where a craft says so
    {"optimiser.batch_size", "machine.micro_batch", "machine.precision"}
)


@dataclass(frozen=True)
class Work:
    """Everything decided before the first step."""

    craft: Craft
    material: Material
    settings: Settings  # filled in
    given: frozenset[str]
    why: str
    model: nn.Module
    started: float


def start(commission: Commission, given: frozenset[str], follower: Follower, flag: StopFlag, started: float) -> Made:
    """Make what is wanted, in a new run folder. Raises what `fit` raises."""
    craft, opened = commission.craft, commission.opened
    material = craft.read(opened.source, opened.settings.data)
    work = _begun(craft, material, opened.settings, given, commission.why, started)
    settings, source = work.settings, opened.source
    card = _card(work, source, opened.reopen)
    name = settings.run_name or source.name
    folder = RunFolder.create(Path(settings.runs_folder), craft.name, name, card, kind=CRAFT)
    with folder.lock():
        return _made(folder, work, follower, flag)


def resume(folder: RunFolder, source: Any, follower: Follower, flag: StopFlag, started: float) -> Made:
    """Go on from the newest checkpoint of a craft's run, which is locked; one that is finished comes back as it is."""
    made = Made(folder)
    if made.outcome is not None and made.report.is_file() and not folder.check().bad:
        return made
    settings, given = folder.load_settings()
    card, craft = folder.load_craft(), found.craft(folder.task)
    follower.on_phase("reading")
    again = source_of(
        card, source,
        in_memory="pass it: gnomon.fit(data, resume=...).",
        moved=f"put it back, or say where it is now: gnomon fit DATA --resume {shlex.quote(str(folder.path))}",
    )  # fmt: skip
    opened = open_source(again)
    material = craft.read(opened, settings.data)
    if material.fingerprint != card["fingerprint"]:
        raise DataError(
            "the data is not what this run was made from.",
            where=opened.origin,
            fix="put the data back as it was, or start a new run.",
        )
    work = _begun(craft, material, settings, given, card["why"], started)
    return _made(folder, work, follower, flag, resumed=True)


def _begun(
    craft: Craft, material: Material, settings: Settings, given: frozenset[str], why: str, started: float
) -> Work:
    """The settings filled in, and the model before its first step."""
    given_values = with_values(settings, {"task.name": craft.name})
    filled = fill(given_values, {**DEFAULTS, **craft.defaults(material, given_values)})
    filled = fill(filled, {"schedule.warmup": warmup_of(filled.schedule)})
    if filled.schedule.name == "discrete":
        rate_table(filled.schedule)
    refuse_idle(given, here_of(craft, filled), craft.title)
    if filled.machine.allocator == "keep":
        keep_freed_memory()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(filled.seed, "model"))
        model = craft.begin(material, filled)
    threads = threads_for(craft.multiply_adds(model, material, filled), torch.get_num_threads())
    filled = fill(filled, {"machine.threads": threads})
    return Work(craft, material, filled, given, why, model.to(device_of(filled.machine.device)), started)


def filled_for_sample(craft: Craft, folder: Path) -> tuple[Here, Settings]:
    """The settings as they are filled in for the craft's own sample, which is written to `folder`; what acts there."""
    opened, settings = open_source(craft.write_sample(folder, seed=0)), from_flat({"task": craft.name})
    work = _begun(craft, craft.read(opened, settings.data), settings, frozenset(), "its sample", time.monotonic())
    return here_of(craft, work.settings), work.settings


def here_of(craft: Craft, settings: Settings) -> Here:
    """Where knobs stand: a setting that needs examples, or is not among those that the craft reads, does nothing."""

    def needs(key: str) -> str:
        acts = key in craft.acts or (key.startswith(EVERYWHERE) and key not in WHERE_SAID)
        return "" if acts else EXAMPLES

    return Here(flat(settings), frozenset(), tuple(replace(knob, needs=needs(knob.key)) for knob in knobs(settings)))


def _card(work: Work, source: Source, reopen: str | None) -> dict[str, bytes]:
    data = {
        "source": source.origin,
        "reopen": reopen or _paths(source),
        "name": source.name,
        "craft": work.craft.title,
        "why": work.why,
        "summary": work.material.summary,
        "fingerprint": work.material.fingerprint,
        "notes": [*source.notes, *work.material.notes],
        "measures": [asdict(measure) for measure in work.craft.measures],
    }
    return card_files(settings=work.settings, given=work.given, environment=describe_environment(), data=data)


def _paths(source: Source) -> list[str] | None:
    """Of files that were given by name; None for what was in memory."""
    return (
        [str(Path(file.name).absolute()) for file in source.tree.files] if isinstance(source.tree, FilesTree) else None
    )


def _made(folder: RunFolder, work: Work, follower: Follower, flag: StopFlag, *, resumed: bool = False) -> Made:
    """The loop from the newest checkpoint (or the start), then outputs, outcome and report."""
    flag.fix = f"continue with: gnomon fit --resume {shlex.quote(str(folder.path))}"
    craft, settings = work.craft, work.settings
    with using(settings.machine.threads), torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(settings.seed, "train"))
        state = MakingState.begin(craft, work.model, settings)
        checkpoint = folder.latest_checkpoint() if resumed else None
        if checkpoint is not None:
            state.load(checkpoint.files, f"{folder.path / CHECKPOINTS}/{checkpoint.step:08d}")
        folder.measured.keep_first(state.counters.looks)
        follower.on_begun(
            Begun(
                craft, work.material, settings, work.given, work.why, parameters_of(work.model), folder.path,
                (*(checkpoint.notes if checkpoint else ()), *folder.load_craft()["notes"]),
                None if checkpoint is None else checkpoint.step,
            )
        )  # fmt: skip
        job = MakingJob(
            craft, work.material, settings, follower,
            record=folder.measured.append,
            save=lambda state: folder.save_checkpoint(state.counters.step, state.files()),
            stop_asked=flag.asked,
            deadline=deadline_of(settings, work.started),
        )  # fmt: skip
        if not state.counters.finished:
            flag.patient = True
            make(job, state)
            if not state.counters.finished:
                flag.what = f"stopped at step {state.counters.step}; its state is saved."
                raise Stopped
            folder.save_checkpoint(state.counters.step, state.files())
        flag.what = "stopped after the last step, before everything was written."
        with flag.at_once():
            follower.on_phase("writing the report")
            return _written(folder, work, state)


def _written(folder: RunFolder, work: Work, state: MakingState) -> Made:
    """Outputs, outcome, report."""
    work.model.eval()
    with torch.no_grad():
        files = dict(work.craft.outputs(work.model, work.material))
        views = list(work.craft.show(work.model, work.material))
        figures = work.craft.figures(work.model, work.material)
    if not files:
        raise UsageError(f"the craft {work.craft.name} wrote no file.", fix="correct its method `outputs`.")
    folder.save_outputs(files)
    outcome = {
        "seconds": time.monotonic() - work.started,
        "steps": state.counters.step,
        "ended_because": state.counters.ended_because,
        "parameters": parameters_of(work.model),
        "outputs": [{"name": name, "bytes": len(content)} for name, content in sorted(files.items())],
    }
    folder.save_outcome(outcome)
    folder.save_report(report.build_craft(_page(folder, work, views, figures)))
    return Made(folder)


def _page(folder: RunFolder, work: Work, views: list[tuple[str, View]], figures: Mapping[str, Figure]) -> CraftRecord:
    """Everything the report shows."""
    environment, card, outcome = folder.load_environment(), folder.load_craft(), folder.load_craft_outcome()
    assert outcome is not None
    here = here_of(work.craft, work.settings)
    idle = {knob.key for knob in here.knobs if here.why_idle(knob)}
    return CraftRecord(
        title=folder.path.name,
        craft=work.craft.title,
        gnomon_version=version("gnomon"),
        run_path=str(folder.path),
        command_line=shlex.join(environment["command"]),
        started=f"{environment['time'][:16].replace('T', ' ')} UTC",
        seconds=outcome["seconds"],
        origin=card["source"],
        summary=card["summary"],
        why=card["why"],
        notes=card["notes"],
        measures=card["measures"],
        history=folder.measured.read(),
        outputs=[(one["name"], one["bytes"]) for one in outcome["outputs"]],
        views=views,
        figures=figures,
        settings=[line for line in setting_lines(work.settings, work.given) if line.key not in idle],
        environment=environment,
        reproduce=[
            Command(f"gnomon fit --resume {shlex.quote(str(folder.path))}", "continue it, if it was stopped"),
            Command(f"gnomon show {shlex.quote(str(folder.path))}", "measures and outputs in the terminal"),
        ],
    )


def parameters_of(model: nn.Module) -> int:
    """Numbers that the steps change."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
