"""An executor whose array lives in another process, behind a socket."""

import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from sim.executor import Answer, Executor
from sim.protocol import ANSWER, REQUEST, WORD_BYTES, Request, Status
from sw.host.port import PortError, StillBusyError

SLOWEST_CYCLES_PER_SECOND = 200
"""No simulator is slower; a request that takes longer than this allows is given up."""
GRACE_SECONDS = 60.0
TAIL_BYTES = 2000

NO_PAYLOADS = np.zeros(0, np.uint64)


class ProcessExecutor(Executor):
    """Speaks :mod:`sim.protocol` to a process that it starts.

    Whatever becomes of the process, calls return or raise: the process bounds each of its waits,
    and this side bounds the time that it waits for the process.

    Parameters
    ----------
    config
        The array's configuration.
    tools : dict
        Name and version of the tools that take part.
    command : sequence of str
        Program and arguments; ``{socket}`` stands for the number of the socket's file descriptor.
    environment : dict
        Environment of the process; ``{socket}`` is replaced in its values as well.
    paced : bool
        The process's traffic has no gaps.
    """

    def __init__(
        self,
        config: Any,
        tools: dict[str, str],
        command: Sequence[str],
        environment: dict[str, str] | None = None,
        *,
        paced: bool = True,
    ) -> None:
        self.config = config
        self.tools = tools
        self.paced = paced
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- closed in close()
        self._socket, theirs = socket.socketpair()
        with theirs:
            number = str(theirs.fileno())
            environment = dict(os.environ) if environment is None else environment
            self._process = subprocess.Popen(
                [part.replace("{socket}", number) for part in command],
                env={name: text.replace("{socket}", number) for name, text in environment.items()},
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                pass_fds=[theirs.fileno()],
                # An interrupt from the keyboard is for us; the process ends with its socket.
                start_new_session=True,
            )
        try:
            self.reset()
        except BaseException:
            self.close()
            raise

    def reset(self) -> None:
        """Reset the array, and wait until it is not busy."""
        self._request(Request.RESET)

    def close(self) -> None:
        """End the process, by force if it does not end by itself."""
        if self._process.poll() is None:
            try:
                self._socket.sendall(REQUEST.pack(Request.QUIT, 0, 0))
                self._process.wait(timeout=GRACE_SECONDS / 6)
            except (OSError, subprocess.TimeoutExpired):
                self._kill()
        self._socket.close()
        self._log.close()

    def _send(self, payloads: np.ndarray) -> None:
        self._request(Request.WRITE, payloads)

    def _ask(self, payloads: np.ndarray) -> np.ndarray:
        return self._request(Request.READ, payloads).words

    def _run(self, max_cycles: int, payloads: np.ndarray) -> Answer:
        return self._request(Request.RUN, payloads, limit=max_cycles)

    # The socket ---------------------------------------------------------------------------------

    def _request(
        self, kind: Request, payloads: np.ndarray = NO_PAYLOADS, *, limit: int = 0
    ) -> Answer:
        """Send a request and take its answer."""
        if self._socket.fileno() < 0:
            raise PortError("the port is closed")
        count = len(payloads)
        self._socket.settimeout(GRACE_SECONDS + (count + limit) / SLOWEST_CYCLES_PER_SECOND)
        try:
            self._socket.sendall(REQUEST.pack(kind, limit, payloads.size))
            if count:
                self._socket.sendall(np.ascontiguousarray(payloads, np.uint64).data)
        except OSError as error:
            raise self._failure(error) from None
        status, value, code, words = ANSWER.unpack(self._receive(ANSWER.size))
        if status == Status.STILL_BUSY:
            raise StillBusyError(value)
        if status == Status.NOT_READY:
            done = f" after {value} of {count} words" if count else ""
            raise PortError(f"{kind.name.lower()}: the array is not ready{done}")
        return Answer(value, code, np.frombuffer(self._receive(words * WORD_BYTES), np.uint64))

    def _receive(self, count: int) -> bytearray:
        data = bytearray(count)
        at = memoryview(data)
        while at:
            try:
                got = self._socket.recv_into(at)
            except OSError as error:
                raise self._failure(error) from None
            if not got:
                raise self._failure(None)
            at = at[got:]
        return data

    def _failure(self, error: OSError | None) -> PortError:
        """Say what became of the process, with the end of what it printed. It is not used again."""
        if isinstance(error, TimeoutError):
            self._kill()
            what = "did not answer in time and was ended"
        else:
            # The socket closes a moment before the process is gone.
            try:
                what = _describe(self._process.wait(timeout=GRACE_SECONDS / 6))
            except subprocess.TimeoutExpired:
                self._kill()
                what = "closed its socket"
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - TAIL_BYTES))
        tail = self._log.read().decode(errors="replace").strip()
        self._socket.close()
        return PortError(f"the simulator process {what}" + (f":\n{tail}" if tail else ""))

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()


def _describe(code: int) -> str:
    if code < 0:
        return f"was ended by signal {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
