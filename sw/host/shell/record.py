"""Sessions with a shell: written to a file, and played back from it without a device.

A file has a JSON object in each line. The first one says what it is and who took part; each of the
others is a call and what came of it. They are written as they happen, so that a session that breaks
off leaves all of it but its last call.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spec.config import Config
from spec.errors import UserError
from sw.host.port import PortError
from sw.host.shell.link import AccessError, Link

FORMAT = "skipstone session"
VERSION = 1

ERRORS = {"access": AccessError, "port": PortError}
"""What a call may end with, by its name in the file."""


class RecordingLink:
    """As :class:`sw.host.shell.link.Link`: another one, whose calls and answers are written down.

    Parameters
    ----------
    link : Link
        It is closed with this one.
    file : path
        Is replaced if it is there.
    configs : sequence of EieConfig and NmConfig
        What the session is with.

    Raises
    ------
    UserError
        The file cannot be written.
    """

    def __init__(self, link: Link, file: Path | str, configs: Sequence[Config] = ()) -> None:
        self.tools = link.tools
        self._link = link
        try:
            self._file = Path(file).open("w", encoding="utf-8", newline="\n")  # noqa: SIM115
        except OSError as error:
            raise UserError(f"cannot write the session to {file}: {error.strerror}") from None
        digests = {config.engine: config.digest for config in configs}
        self._write({"format": FORMAT, "version": VERSION, "digests": digests, "tools": link.tools})

    def read32(self, address: int) -> int:
        return self._do("read32", address=address)

    def write32(self, address: int, word: int) -> None:
        self._do("write32", address=address, word=word)

    def send(self, words: np.ndarray) -> None:
        self._do("send", words=words)

    def receive(self, count: int) -> np.ndarray:
        return self._do("receive", count=count)

    def drop(self) -> None:
        self._do("drop")

    def close(self) -> None:
        try:
            self._link.close()
        finally:
            self._file.close()

    def _do(self, call: str, **given: Any) -> Any:
        """A call, and a line about it."""
        line = {"call": call} | {name: _plain(value) for name, value in given.items()}
        try:
            answer = getattr(self._link, call)(**given)
        except PortError as error:
            kind = "access" if isinstance(error, AccessError) else "port"
            self._write(line | {"error": kind, "message": str(error)})
            raise
        self._write(line if answer is None else line | {"answer": _plain(answer)})
        return answer

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


class ReplayLink:
    """As :class:`sw.host.shell.link.Link`: answers as a device did, to the same calls.

    Parameters
    ----------
    file : path

    Attributes
    ----------
    digests : dict
        Of the configurations that the session was with, by engine.

    Raises
    ------
    UserError
        The file cannot be read, or holds no session.
    """

    def __init__(self, file: Path | str) -> None:
        self._file, self._at = file, 1
        try:
            lines = Path(file).read_text(encoding="utf-8").splitlines(keepends=True)
        except OSError as error:
            raise UserError(f"cannot read the session {file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise UserError(f"{file} is no session: it is no text") from None
        if lines and not lines[-1].endswith("\n"):
            lines.pop()  # it broke off while this one was written
        self._lines = [self._parse(at, line) for at, line in enumerate(lines, 1)]
        head = self._lines[0] if self._lines else {}
        if head.get("format") != FORMAT or head.get("version") != VERSION:
            raise UserError(f"{file} is no session: its first line must be that of {FORMAT!r} 1")
        if not all(isinstance(head.get(name), dict) for name in ("tools", "digests")):
            raise UserError(f"{file} is no session: its first line lacks tools or digests")
        self.tools: dict[str, str] = head["tools"]
        self.digests: dict[str, str] = head["digests"]

    def read32(self, address: int) -> int:
        return self._play("read32", address=address)

    def write32(self, address: int, word: int) -> None:
        self._play("write32", address=address, word=word)

    def send(self, words: np.ndarray) -> None:
        self._play("send", words=words)

    def receive(self, count: int) -> np.ndarray:
        return np.frombuffer(bytes.fromhex(self._play("receive", count=count)), "<u4")

    def drop(self) -> None:
        self._play("drop")

    def close(self) -> None:
        """Nothing to let go of."""

    def _parse(self, at: int, line: str) -> dict[str, Any]:
        try:
            found = json.loads(line)
        except json.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            raise UserError(f"{self._file} is no session: line {at} is no JSON object")
        return found

    def _play(self, call: str, **given: Any) -> Any:
        """The answer in the next line, which must be about this very call."""
        if self._at == len(self._lines):
            raise PortError(f"{self._file}: the session ends after line {self._at}, before {call}")
        line = self._lines[self._at]
        self._at += 1
        expected = {"call": call} | {name: _plain(value) for name, value in given.items()}
        there = {name: line.get(name) for name in expected}
        if there != expected:
            raise PortError(
                f"{self._file}, line {self._at}: {_told(there)} was called then, "
                f"{_told(expected)} is now"
            )
        if "error" in line:
            error = ERRORS.get(line["error"], PortError)
            raise error(str(line.get("message", "a call failed then")))
        return line.get("answer")


def _plain(value: Any) -> Any:
    """As JSON has it: words are eight hexadecimal digits each, the lowest byte first."""
    if isinstance(value, np.ndarray):
        return value.astype("<u4").tobytes().hex()
    return int(value)


def _told(call: dict[str, Any]) -> str:
    """A call in a few words."""
    given = ", ".join(f"{name} {value}" for name, value in call.items() if name != "call")
    short = given if len(given) <= 60 else f"{given[:60]}..."
    return f"{call['call']}({short})"
