"""`key=value`, `--key value` and `--key=value`, in any mix, as a mapping of settings."""

from __future__ import annotations

from collections.abc import Sequence

from gnomon.core.errors import UsageError


def parse(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Plain words, and settings. Raises UsageError for an option without a value or a setting given twice.

    A word is a setting when it starts with `--`, or has a `=` after what looks like a setting's name; a path with a
    `=` in it can be given as ./path.
    """
    plain: list[str] = []
    settings: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("--"):
            key, equals, value = word[2:].partition("=")
            if not equals:
                if not rest or rest[0].startswith("--"):
                    raise UsageError(f"{word} needs a value.", fix=f"say {word} VALUE or {key}=VALUE.")
                value = rest.pop(0)
        elif "=" in word and word.partition("=")[0].replace(".", "").replace("_", "").replace("-", "").isalnum():
            key, _, value = word.partition("=")
        else:
            plain.append(word)
            continue
        key = key.replace("-", "_")
        if key in settings:
            raise UsageError(f"{key} is given twice.", fix="give it once.")
        settings[key] = value
    return plain, settings
