"""style: one picture or sound in the manner of another, by the craft for it; what was made, where you want it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnomon.core.errors import UsageError
from gnomon.core.options import new_file
from gnomon.data.sounds import SUFFIX
from gnomon.runs.writer import write_bytes
from gnomon.workflow.fit import fit
from gnomon.workflow.made import Made

KINDS = {"style_transfer": ("picture.png", ".png"), "sound_style": ("sound.wav", SUFFIX)}  # craft: its output, ending


@dataclass(frozen=True)
class Styled:
    """The run, and the file: `out`, or the output in the run."""

    made: Made
    file: Path


def style(content: str | Path, style: str | Path, *, out: str | Path | None = None, **settings: Any) -> Styled:
    """Make what has the content of one file and the style of the other: two pictures, or two WAV files.

    Settings are those of `fit`; `size` is image_size, the pixels of the longer side. The result is in the run, and
    copied to `out` (.png, .wav), which must not exist. Raises what `fit` raises.
    """
    are_sounds = {str(place).lower().endswith(SUFFIX) for place in (content, style)}
    if len(are_sounds) == 2:
        raise UsageError("one of them is a sound.", fix="give two pictures, or two WAV files.")
    craft = "sound_style" if are_sounds == {True} else "style_transfer"
    name, ending = KINDS[craft]
    target = None if out is None else new_file(out, (ending,), f"out=mine{ending}")
    if "size" in settings:
        settings["image_size"] = settings.pop("size")
    made = fit([str(content), str(style)], task=craft, **settings)
    assert isinstance(made, Made)
    if target is None:
        return Styled(made, made.path / "outputs" / name)
    write_bytes(target, made.outputs[name])
    return Styled(made, target)
