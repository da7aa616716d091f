"""Count planted faults and intervals for planted-faults.md: `python docs/make_planted.py [faults|intervals] [PART]`.

Every count is appended to a file of lines as soon as it is there (planted-counts.jsonl, in the folder it is called
from), so that it can be stopped and resumed; the tables are written from that file. PART is part of a row's name.
"""

from __future__ import annotations

import importlib.util
import json
import random
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from gnomon.metrics.intervals import wilson

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / "planted-faults.md"
LINES = Path("planted-counts.jsonl")
SEEDS = range(1000, 1100)


def load(name: str) -> ModuleType:
    """A file of tests/planted, which is not a package."""
    spec = importlib.util.spec_from_file_location(name, DOCS.parent / "tests" / "planted" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def lines(kind: str) -> list[dict[str, Any]]:
    if not LINES.is_file():
        return []
    return [line for line in map(json.loads, LINES.read_text().splitlines()) if line["kind"] == kind]


def keep(**line: Any) -> None:
    with LINES.open("a") as file:
        file.write(json.dumps(line) + "\n")


def count_faults(part: str) -> None:
    """All kinds for one seed after the other; several of these processes at once do not repeat work."""
    kinds = [kind for kind in load("fault_kinds").KINDS if part in kind.fault]
    for seed in random.sample(SEEDS, len(SEEDS)):
        for kind in kinds:
            if (kind.fault, seed) not in {(line["fault"], line["seed"]) for line in lines("fault")}:
                with tempfile.TemporaryDirectory() as folder:
                    right, alarm = sys.modules["fault_kinds"].tried(kind, seed, Path(folder))
                keep(kind="fault", fault=kind.fault, seed=seed, right=right, alarm=alarm)


def count_intervals(part: str) -> None:
    cases = load("interval_cases")
    done = {line["name"] for line in lines("interval")}
    for case in cases.CASES:
        if part in case.name and case.name not in done:
            held, repeats, method = cases.coverage(case, case.repeats)
            keep(kind="interval", name=case.name, held=held, repeats=repeats, method=method)


def fault_table() -> str:
    rows = [
        "| fault | planted | what must come first | seeds | detected | false alarms, clean |\n",
        "|---|---|---|---|---|---|\n",
    ]
    for kind in load("fault_kinds").KINDS:
        found = list({line["seed"]: line for line in lines("fault") if line["fault"] == kind.fault}.values())
        if found:
            shown = []
            for key in ("right", "alarm"):
                share = wilson(sum(line[key] for line in found), len(found))
                shown.append(f"{sum(line[key] for line in found)} [{100 * share.low:.0f}, {100 * share.high:.0f}]")
            rows.append(f"| {kind.fault} | {kind.planted} | {kind.advice} | {len(found)} | {shown[0]} | {shown[1]} |\n")
    return "".join(rows)


def interval_table() -> str:
    rows = ["| interval | drawn at | method | covers | of |\n", "|---|---|---|---|---|\n"]
    found = {line["name"]: line for line in lines("interval")}
    for case in load("interval_cases").CASES:
        if case.name in found:
            line = found[case.name]
            share = 100 * line["held"] / line["repeats"]
            why = f" ({case.why})" if case.why else ""
            rows.append(
                f"| {case.interval} | {case.corner} | {line['method']} | {share:.1f} %{why} | {line['repeats']:,} |\n"
            )
    return "".join(rows)


def write() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, table in (("faults", fault_table()), ("intervals", interval_table())):
        begin, end = f"<!-- {name}: begin (docs/make_planted.py) -->\n", f"<!-- {name}: end -->\n"
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}{table}{end}{rest.partition(end)[2]}"
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    what, part = (*sys.argv[1:], "", "")[:2]
    if what in ("", "faults"):
        count_faults(part)
    if what in ("", "intervals"):
        count_intervals(part)
    if PAGE.is_file():
        write()
