"""studio on the screen: where it is, who it lets in, how to stop it."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

from gnomon.core.errors import UsageError

KNOWN = ("host", "port", "i_know", "browser")


def run_studio(words: list[str], values: dict[str, str], *, as_json: bool) -> int:
    """Serve until Ctrl-C."""
    unknown = [key for key in values if key not in KNOWN]
    if unknown:
        raise UsageError(f"studio takes {', '.join(KNOWN)}, got {unknown[0]}.", fix="leave it out.")
    from gnomon.studio.serve import LOCAL, open_studio

    places = [Path(word) for word in words] or [_runs_here()]
    gc.disable()  # imports make much that stays: looking for garbage among it costs a tenth of the start
    opened = open_studio(
        places, host=values.get("host", LOCAL), port=_port(values.get("port")), knows=_yes(values, "i_know")
    )
    gc.freeze()
    gc.enable()
    if as_json:
        sys.stdout.write(json.dumps({"link": opened.link, "port": opened.port}) + "\n")
    else:
        sys.stdout.write(
            f"  studio  {opened.link}\n"
            "          opens in one browser, once; on this machine only; Ctrl-C stops it\n"
        )  # fmt: skip
    sys.stdout.flush()
    if _yes(values, "browser"):
        import webbrowser

        webbrowser.open(opened.link)
    opened.serve()
    return 0


def _runs_here() -> Path:
    here = Path("runs")
    if not here.is_dir():
        raise UsageError("there is no folder runs here.", fix="make a run first: gnomon fit digits; or name a folder.")
    return here


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise UsageError(f"port={text} is no port.", fix="give a number from 1 to 65535, or leave it out.")
    return int(text)


def _yes(values: dict[str, str], key: str) -> bool:
    text = values.get(key, "no").lower()
    if text not in ("yes", "no"):
        raise UsageError(f"{key}={values[key]} is neither yes nor no.", fix=f"say {key}=yes, or leave it out.")
    return text == "yes"
