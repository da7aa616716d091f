"""Make it better: probe, improve, tune, retest, nudge.

The docstring of a command is its help.
"""

from __future__ import annotations

from gnomon.cli.answering import OWN_PROCESS, one, print_json, report


def probe(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Measure what more data and other settings would gain:  gnomon probe RUN [time=10m] [knobs=all]

    Short matched runs: a learning curve with its forecast, then one knob at a time, from the link at fault or from all.
    """
    path = one(words, "RUN", "probe", "runs/latest")
    from gnomon.cli.probe import print_probes, probes_as_json, run_probe

    found, diagnosis = run_probe(path, values, quiet=as_json)
    return report(as_json, probes_as_json, print_probes, found, diagnosis)


def improve(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Change one setting at a time, keep what a test on dev supports:  gnomon improve DATA|RUN time=30m [key=value ...]

    gnomon improve --resume RUN continues one that was stopped. test=yes opens the test split, once, at the end.
    """
    resume = values.pop("resume", None)
    thing = one(words, "DATA or RUN", "improve", "digits time=30m") if resume is None or words else None
    from gnomon.cli.improve import improvement_as_json, print_improvement, run_improve

    found = run_improve(thing, resume, values, preset=OWN_PROCESS, quiet=as_json)
    return report(as_json, improvement_as_json, print_improvement, found)


def tune(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Search for better settings, coarse to fine:  gnomon tune DATA [trials=40] [time=30m] [workers=2] [key=value]

    A range (learning_rate=1e-4..1e-1) or choices (schedule=cosine,constant) make a setting vary, one value fixes it.
    satisfy="latency_ms <= 10, size_mb <= 5" are conditions on the best; repeats=3 trains it and the defaults again with
    other seeds; sampler=zoom|random|grid|tpe; stop_early=no. gnomon tune --resume SEARCH continues one.
    """
    resume = values.pop("resume", None)
    source = one(words, "DATA", "tune", "digits") if resume is None or words else None
    from gnomon.cli.tune import run_tune

    found = run_tune(source, resume, values, OWN_PROCESS, as_json=as_json)
    if as_json:
        print_json(found.outcome)
    return 0


def retest(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Check whether an older search's settings are still the best:  gnomon retest SEARCH [DATA] [seeds=3]

    Its best trials=4 and the defaults are trained again with new seeds, on DATA if the data has moved.
    """
    from gnomon.cli.retest import print_retested, run_retest

    found = run_retest(words, values, quiet=as_json)
    if as_json:
        from gnomon.workflow.tune.retest import as_json as retested_as_json

        print_json(retested_as_json(found))
    else:
        print_retested(found)
    return 0


def nudge(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Change a setting of a run while it trains:  gnomon nudge RUN learning_rate=0.001

    weight_decay= and batch_size= can be changed too. The run applies the value at its next step and records it.
    """
    run = one(words, "RUN", "nudge", "runs/latest learning_rate=0.001")
    from gnomon.cli.nudge import nudged_as_json, print_nudged, run_nudge

    nudged = run_nudge(run, values)
    return report(as_json, nudged_as_json, print_nudged, nudged)
