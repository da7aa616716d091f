"""The commands by group, as the help shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gnomon.cli.verbs import better, explore, hold_back, look, people, use

Command = Callable[[list[str], dict[str, str], bool], int]

GROUPS: Mapping[str, Mapping[str, Command]] = {  # as `gnomon --help` shows them: in the order of the work
    "train and use": {
        "fit": use.fit,
        "predict": use.predict,
        "sample": use.sample,
        "vectors": use.vectors,
        "style": use.style,
        "enrol": people.enrol,
        "identify": people.identify,
        "verify": people.verify,
        "explain": use.explain,
        "test": use.test,
    },
    "look before you train": {
        "peek": look.peek,
        "check": look.check,
        "lr": look.lr,
        "plan": look.plan,
        "convert": look.convert,
        "filter": look.filter_,
    },
    "what holds it back": {
        "diagnose": hold_back.diagnose,
        "errors": hold_back.errors,
        "labels": hold_back.labels,
        "mismatch": hold_back.mismatch,
        "compare": hold_back.compare,
        "pipeline": hold_back.pipeline,
    },
    "make it better": {
        "probe": better.probe,
        "improve": better.improve,
        "tune": better.tune,
        "retest": better.retest,
        "nudge": better.nudge,
    },
    "explore": {
        "show": explore.show,
        "studio": explore.studio,
        "models": explore.models,
        "settings": explore.settings,
        "gallery": explore.gallery,
    },
}
COMMANDS: Mapping[str, Command] = {name: command for group in GROUPS.values() for name, command in group.items()}


def help_text(command: str | None = None) -> str:
    """What `gnomon --help` or `gnomon COMMAND --help` prints."""
    if command is not None:
        lines = (COMMANDS[command].__doc__ or "").strip().splitlines()
        return "\n".join(line.strip() for line in lines) + f"\n\n{EVERY_COMMAND}\n"
    firsts = {name: (function.__doc__ or "").strip().splitlines()[0] for name, function in COMMANDS.items()}
    width = max(map(len, firsts))
    about = "\n\n".join(
        "\n".join([f"{title}:", *(f"  {name:<{width}}  {firsts[name].partition(':  ')[0]}" for name in group)])
        for title, group in GROUPS.items()
    )
    return (
        "Train a deep-learning system on your own data and measure what holds it back.\n\n"
        f"  gnomon fit DATA [key=value ...]\n\n{about}\n\n{EVERY_COMMAND}\n"
    )


EVERY_COMMAND = (
    "Settings are given as key=value or --key value (`gnomon settings` lists them).\n"
    "Every command takes --help, --json (one JSON object on stdout) and --debug (a traceback with errors)."
)
