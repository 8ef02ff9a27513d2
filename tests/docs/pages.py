"""Executable blocks of a Markdown page.

- A ``pycon`` block is always run, as a doctest.
- A ``python`` or a ``console`` block is run if the line before it is ``<!-- run -->``. In a console
  block ``$`` starts a command, and what stands below it is what it prints.

All blocks of a page run in order, in one name space and one empty folder. ``...`` stands for any
text and white space need not match exactly. A page that holds ``<!-- tier: NAME -->`` belongs to
that tier, others to ``flow``.
"""

import doctest
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
RUN = "<!-- run -->"
DEFAULT_TIER = "flow"
COMMAND_SECONDS = 600


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the page's line number of its first line."""

    language: str
    text: str
    line: int


class PageError(AssertionError):
    """A block printed something else than its page says."""


def executable_blocks(text: str) -> list[Block]:
    """The blocks of a page that are run, in order."""
    blocks: list[Block] = []
    fence, start, language = "", 0, ""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        opening = re.match(r"(`{3,}|~{3,})\s*(\w*)", line)
        if not fence and opening:
            fence, language, start = opening.group(1), opening.group(2), number + 1
        elif fence and line.rstrip() == fence:
            marked = start >= 2 and lines[start - 2].strip() == RUN
            if language == "pycon" or (marked and language in ("python", "console")):
                blocks.append(Block(language, "\n".join(lines[start:number]) + "\n", start + 1))
            elif marked:
                raise PageError(f"line {start}: a block of {language or 'no language'} cannot run")
            fence = ""
    if fence:
        raise PageError(f"line {start}: the block that begins here has no end")
    return blocks


def page_tier(text: str) -> str:
    """The tier that a page names, or ``flow``."""
    named = re.search(r"<!-- tier: (\w+) -->", text)
    return named.group(1) if named else DEFAULT_TIER


def run_page(page: Path, folder: Path, root: Path) -> None:
    """Run the blocks of a page in ``folder``, which has to be the current one."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in executable_blocks(page.read_text(encoding="utf-8")):
        place = f"{page.name}:{block.line}"
        if block.language == "pycon":
            _run_doctest(block, names, place)
        elif block.language == "python":
            padding = "\n" * (block.line - 1)
            exec(compile(padding + block.text, str(page), "exec"), names)
        else:
            _run_console(block, folder, root, place)


def _run_doctest(block: Block, names: dict[str, Any], place: str) -> None:
    # A doctest runs in a copy of its globals: what it defines is handed back for the next block.
    test = doctest.DocTestParser().get_doctest(
        block.text, names, place, place.rpartition(":")[0], block.line - 1
    )
    complaints: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=OPTIONS)
    runner.run(test, out=complaints.append, clear_globs=False)
    names.update(test.globs)
    if complaints:
        raise PageError(f"{place}\n{''.join(complaints)}")


def _run_console(block: Block, folder: Path, root: Path, place: str) -> None:
    for command, expected in _commands(block.text):
        words = shlex.split(command)
        if words[0] != "python":
            raise PageError(f"{place}: only `python` commands are run; got {command!r}")
        done = subprocess.run(
            [sys.executable, *words[1:]],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )
        # A command that fails says why on standard error: a page may show that, too.
        printed = done.stdout if done.returncode == 0 else done.stdout + done.stderr
        if not doctest.OutputChecker().check_output(expected, printed, OPTIONS):
            raise PageError(
                f"{place}\n$ {command}\nexpected:\n{expected}\nprinted:\n{printed}"
                f"\nstandard error:\n{done.stderr}"
            )


def _commands(text: str) -> list[tuple[str, str]]:
    """Pairs of a command and what it is to print; a backslash continues a command."""
    joined = re.sub(r"\\\n\s*", "", text)
    parts = re.split(r"^\$ ", joined, flags=re.MULTILINE)
    if parts[0].strip():
        raise PageError(f"a console block starts with `$ `; got {parts[0]!r}")
    pairs = (part.partition("\n") for part in parts[1:])
    return [(command, expected) for command, _, expected in pairs]
