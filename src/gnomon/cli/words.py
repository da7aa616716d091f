"""`key=value`, `--key value` and `--key=value`, in any mix, as a mapping of settings."""

from __future__ import annotations

from collections.abc import Sequence

from gnomon.core.errors import UsageError

FLAGS = {"--json", "--debug", "--help", "-h", "--version"}
OWN = {"resume", "out", "predictions", "crops", "engine"}  # options of commands that are not settings


def parse(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Plain words, and settings. Raises UsageError for an option without a value or a setting given twice.

    A word is a setting if it starts with `--`, or has a `=` after what looks like a setting's name; a path with a
    `=` in it, or a `-` before it, can be given as ./path.
    """
    plain: list[str] = []
    settings: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("--"):
            key, equals, value = word[2:].partition("=")
            if equals and f"--{key}" in FLAGS:
                raise UsageError(f"--{key} takes no value.", fix=f"write --{key} alone.")
            if not equals:
                if not rest or rest[0].startswith("--"):
                    raise _without_value(word, key)
                value = rest.pop(0)
        elif "=" in word and word.partition("=")[0].replace(".", "").replace("_", "").replace("-", "").isalnum():
            key, _, value = word.partition("=")
        elif word.startswith("-"):
            raise UsageError(
                f"unknown option {word}.",
                fix=f"settings are given as key=value or --key value; a file of that name as ./{word}.",
            )
        else:
            plain.append(word)
            continue
        key = key.replace("-", "_")
        if key in settings:
            raise UsageError(f"{key} is given twice.", fix="give it once.")
        settings[key] = value
    return plain, settings


def _without_value(word: str, key: str) -> UsageError:
    from gnomon.core.settings import full_key

    if key.replace("-", "_") not in OWN:
        full_key(key)  # an unknown option needs no value
    return UsageError(f"{word} needs a value.", fix=f"write {word} VALUE or {key}=VALUE.")
