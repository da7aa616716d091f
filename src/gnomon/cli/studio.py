"""studio on the screen: where it is, who can open it, how to stop it."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

from gnomon.core.errors import UsageError
from gnomon.core.options import is_yes, whole

KNOWN = ("host", "port", "i_know", "browser")


def run_studio(words: list[str], values: dict[str, str], *, as_json: bool) -> int:
    """Serve until Ctrl-C."""
    unknown = [key for key in values if key not in KNOWN]
    if unknown:
        raise UsageError(f"unknown option {unknown[0]!r}: studio takes {', '.join(KNOWN)}.", fix="leave it out.")
    from gnomon.studio.serve import LOCAL, open_studio

    port = whole("port", values["port"], 1, 65_535) if "port" in values else None
    places = [Path(word) for word in words] or [_runs_here()]
    gc.disable()  # most of what imports allocate stays: collecting garbage there costs a tenth of the start
    opened = open_studio(
        places, host=values.get("host", LOCAL), port=port, knows=is_yes("i_know", values.get("i_know", "no"))
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
    if is_yes("browser", values.get("browser", "no")):
        import webbrowser

        webbrowser.open(opened.link)
    opened.serve()
    return 0


def _runs_here() -> Path:
    here = Path("runs")
    if not here.is_dir():
        raise UsageError("there is no runs folder here.", fix="make a run first: gnomon fit digits; or name a folder.")
    return here
