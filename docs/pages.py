"""Run the code blocks of a page and show their real output: used to refresh the pages, and by the tests.

A block whose fence says `bash run` or `python run` is executed, in order, in one empty folder per page. Words after
that: `slow` (left out of the quick tests), `exit=3` (the required exit code). A `text output` block right after it
contains what it printed; `lines=6,20` keeps the first 6 and the last 20 lines.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 120  # columns that output is wrapped at, as a terminal does
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = set("|<>;&$`*")  # a line with one of these is run by bash


@dataclass(frozen=True)
class Block:
    """One fenced block and the words of its fence."""

    language: str
    words: tuple[str, ...]
    text: str
    start: int  # of the text, in the page
    end: int

    @property
    def runs(self) -> bool:
        return "run" in self.words

    @property
    def is_slow(self) -> bool:
        return "slow" in self.words

    def number(self, key: str) -> list[int]:
        """`lines=6,20` -> [6, 20]; empty if the fence does not say."""
        found = next((word for word in self.words if word.startswith(f"{key}=")), "")
        return [int(part) for part in found.partition("=")[2].split(",") if part]


def blocks(page: str) -> list[Block]:
    found = []
    for match in FENCE.finditer(page):
        language, *words = match["info"].split() or [""]
        found.append(Block(language, tuple(words), match["text"], match.start("text"), match.end("text")))
    return found


class Session:
    """The blocks of one page, run one after the other in `folder`."""

    def __init__(self, folder: Path, *, quick: bool = False) -> None:
        self.folder = folder
        self.quick = quick  # fits without epochs= take two
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def run(self, block: Block) -> str:
        """What the block printed. Raises AssertionError if its exit code is not the expected one."""
        printed = io.StringIO()
        wanted = (block.number("exit") or [0])[0]
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            code = self._python(block.text) if block.language == "python" else self._commands(block.text, printed)
        shown = printed.getvalue().replace(f"{self.folder}{os.sep}", "")
        if code != wanted:
            raise AssertionError(f"exited with {code}, not {wanted}:\n{block.text}\n{shown}")
        return shown

    def _python(self, text: str) -> int:
        exec(compile(text, "<page>", "exec"), self.names)  # noqa: S102  the page's own code
        return 0

    def _commands(self, text: str, printed: io.StringIO) -> int:
        code = 0
        for written in text.replace("\\\n", " ").splitlines():
            line = re.sub(r"(^|\s+)#.*", "", written)
            if not line.strip():
                continue
            code = (
                self._gnomon(line)
                if line.startswith("gnomon ") and not SHELL & set(line)
                else self._bash(line, printed)
            )
            if code:
                break
        return code

    def _gnomon(self, line: str) -> int:
        from gnomon.cli import main

        words = shlex.split(line, comments=True)[1:]
        if self.quick and words[0] == "fit" and "--resume" not in words and not any("epochs=" in w for w in words):
            words.append("epochs=2")
        return main(words)

    def _bash(self, line: str, printed: io.StringIO) -> int:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(  # noqa: S603
            ["/bin/bash", "-euo", "pipefail", "-c", line], capture_output=True, text=True, check=False,
            env={**os.environ, "PATH": path},
        )  # fmt: skip
        printed.write(done.stdout + done.stderr)
        return done.returncode


def with_output(page: str, folder: Path) -> str:
    """The page with every `text output` block filled from a fresh run."""
    session, found = Session(folder), blocks(page)
    parts, at = [], 0
    for block, following in zip(found, [*found[1:], None], strict=True):
        if not block.runs:
            continue
        shown = session.run(block)
        if following is not None and "output" in following.words:
            parts += [page[at : following.start], shortened(shown, following.number("lines"))]
            at = following.end
    return "".join([*parts, page[at:]])


def shortened(shown: str, lines: list[int]) -> str:
    """Wrapped as in a terminal; with `lines` [first, last], the middle is left out."""
    kept = [line.rstrip() for line in shown.strip("\n").splitlines()]
    if lines and len(kept) > sum(lines):
        kept = [*kept[: lines[0]], "        ...", *kept[len(kept) - lines[1] :]]
    return "".join(f"{part}\n" for line in kept for part in _wrapped(line))


def _wrapped(line: str) -> Iterator[str]:
    indent = " " * (len(line) - len(line.lstrip()))
    yield from textwrap.wrap(line, WIDTH, subsequent_indent=indent, drop_whitespace=True, replace_whitespace=False,
                             break_long_words=False, break_on_hyphens=False) or [""]  # fmt: skip


def refresh(path: Path) -> None:
    """Run the page's blocks and rewrite it with their current output."""
    page = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        fresh = with_output(page, Path(folder).resolve())
    path.write_text(fresh, encoding="utf-8")
