"""Refresh the pages of docs/ from the code and from real runs: `python docs/make_pages.py [settings.md ladder.md ...]`.

`make pages` runs it for all of them: settings.md from the settings themselves, the table of nets in backbones.md from
the models, the table of expected numbers in tasks.md from five seeds per set, and on every page the output shown below
a command.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from typing import Any

import torch
from pages import ROOT, blocks, refresh

from gnomon.core import found, settings
from gnomon.core.family import FeatureMap, PictureInputs, Wanted
from gnomon.workflow.defaults import models_of

DOCS = ROOT / "docs"
SEEDS = range(5)
SETS = ("digits", "breast-cancer", "iris", "wine", "diabetes")
BEGIN, END = "<!-- expected: begin (docs/make_pages.py) -->\n", "<!-- expected: end -->\n"

NOT_SET = {
    "run_name",
    "data.target_data",
    "data.labels",
    "data.group",
    "data.time",
    "split.split_seed",
    "split.folds",
    "schedule.decay",
    "stop.max_time",
    "goal.human",
    "own.module",
    "own.loss",
    "own.augmentation",
}

ABOUT_SETTINGS = """# Settings

<!-- written by docs/make_pages.py from gnomon/core/settings.py -->

Every setting has one full name, and a short one if no other setting shares it: `epochs=5` is `stop.epochs=5`,
`model=dense` is `model.name=dense`. `key=value`, `--key value` and `--key=value` mean the same, here and in Python. An
unknown name is refused, with the nearest one that exists.

**by data** means chosen by the task and the size of the data, and shown filled in by `gnomon show RUN`, in the report
and in the run's `settings.toml`. `gnomon settings TASK` shows what a task chooses on its own small sample.

**Acts on** names the link of the chain that a setting changes: *fit-train* (fit the training examples better),
*fit-dev* (carry over better to unseen ones), *fit-test* (make dev representative), *real-world*. Two links mark a
setting that is not orthogonal: early stopping fits train less in order to fit dev better.
"""


def settings_page() -> str:
    parts, group = [ABOUT_SETTINGS], None
    for row in settings.rows():
        head, dot, _ = row.key.rpartition(".")
        head = head if dot else ""
        if head != group:
            group = head
            about = (
                (type(settings.Settings.model_fields[head].default).__doc__ or "").strip()
                if head
                else "The run as a whole."
            )
            parts.append(
                f"\n## {head or 'run'}\n\n{about}\n\n| setting | default | meaning | acts on |\n|---|---|---|---|\n"
            )
        text = row.description.replace("|", "\\|").replace("*", "\\*")
        parts.append(f"| `{row.key}` | {_default(row.key, row.default)} | {text} | {', '.join(row.links)} |\n")
    return "".join(parts)


NETS_BEGIN, NETS_END = "<!-- nets: begin (docs/make_pages.py) -->\n", "<!-- nets: end -->\n"


def backbones_page(page: str) -> str:
    """The page with its table of nets written anew: every model that gives feature maps, by family."""
    lines = [line for line in models_of() if "features" in line.family.gives and line.usual is not None]
    lines.sort(key=lambda line: (line.family.title, line.family.names.index(line.name)))
    rows = [
        "| `model=` | parameters | multiply-adds | pictures | outputs | strides of its maps | paper |",
        "|---|---:|---:|---|---:|---|---|",
    ]
    for line in lines:
        usual, strides = line.usual, ", ".join(str(one.stride) for one in _maps(line.name))
        size = f"{line.parameters:,} | {line.multiply_adds / 1e6:,.0f} M | {usual.side}x{usual.side}"
        rows.append(f"| `{line.name}` | {size} | {usual.num_outputs:,} | {strides} | {line.family.source} |")
    before, _, rest = page.partition(NETS_BEGIN)
    after = rest.partition(NETS_END)[2]
    return "".join([before, NETS_BEGIN, *(f"{row}\n" for row in rows), NETS_END, after])


def _maps(name: str) -> tuple[FeatureMap, ...]:
    family = found.family(name)
    side = family.usual[name].side
    inputs = PictureInputs(3, side, side, (0.5,) * 3, (0.25,) * 3)
    with torch.device("meta"):
        maps: tuple[FeatureMap, ...] = family.build(Wanted(name, inputs, family.settings())).maps
    return maps


def _default(key: str, value: Any) -> str:
    if value is None:
        return "not set" if key in NOT_SET else "by data"
    if isinstance(value, tuple):
        return f"`{','.join(map(str, value))}`" if any(value) else "empty cells" if value else "none"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def expected_table() -> str:
    """Median, minimum and maximum of five seeds, each with its own split and starting weights."""
    import gnomon

    lines = ["| set | task | dev error | test error | seconds |\n", "|---|---|---|---|---|\n"]
    for name in SETS:
        dev, test, seconds, unit = [], [], [], None
        for seed in SEEDS:
            with tempfile.TemporaryDirectory() as folder:
                run = gnomon.fit(name, seed=seed, runs_folder=folder)
                run.test()
                errors = {rung.name: rung.error for rung in run.diagnosis.rungs}
                unit, task = run.diagnosis.unit, run.task.name
                seconds.append(run.folder.load_outcome()["seconds"])
            dev.append(errors["dev"])
            test.append(errors["test"])
        shown = " | ".join(_range(values, is_share=unit == "share") for values in (dev, test))
        lines.append(f"| `{name}` | {task} | {shown} | {statistics.median(seconds):.0f} |\n")
        sys.stdout.write(lines[-1])
    return "".join(lines)


def _range(values: list[float], *, is_share: bool) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    if is_share:
        return f"{100 * middle:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def with_expected(page: str, table: str) -> str:
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}{table}{END}{rest.partition(END)[2]}"


def main(names: list[str]) -> None:
    wanted = [DOCS / name for name in names] or sorted(DOCS.glob("*.md"))
    for path in wanted:
        if path.name == "settings.md":
            path.write_text(settings_page(), encoding="utf-8")
            continue
        if path.name == "backbones.md":
            path.write_text(backbones_page(path.read_text(encoding="utf-8")), encoding="utf-8")
        if path.name == "tasks.md":
            path.write_text(with_expected(path.read_text(encoding="utf-8"), expected_table()), encoding="utf-8")
        if any("output" in block.words for block in blocks(path.read_text(encoding="utf-8"))):
            refresh(path)
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
