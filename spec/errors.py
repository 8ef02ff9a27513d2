"""How failures are told: one sentence, never a stack trace; and what error codes mean."""

import os
import sys
from collections.abc import Callable, Sequence
from enum import IntEnum


class UserError(ValueError):
    """Something that the user gave cannot be taken.

    The message says what was given, what is allowed, and where.
    """


class Failure(RuntimeError):  # noqa: N818 -- the base of errors, not one of them
    """Something failed that the user did not cause: a tool, a device, a simulator."""


class ErrorCode(IntEnum):
    """A code of an array's ``error`` port, and what it means. Derive from it, and state both."""

    meaning: str

    def __new__(cls, code: int, meaning: str):
        error = int.__new__(cls, code)
        error._value_ = code
        error.meaning = meaning
        return error


def cli(main: Callable[[Sequence[str] | None], int | None]) -> None:
    """Run a command-line ``main(argv)`` and exit; tell mistakes and failures in one line on stderr.

    Exit codes: what ``main`` returns (``None`` is 0), 1 for a :class:`Failure`, 2 for a
    :class:`UserError` or when what was printed cannot be written, and 130 for an interrupt. A
    reader of the output that goes away (``head``, a pager) has what it wanted: 0.
    """
    try:
        code = main(None) or 0
        sys.stdout.flush()
    except UserError as error:
        code = _tell(f"error: {error}", 2)
    except Failure as error:
        code = _tell(f"failed: {error}", 1)
    except KeyboardInterrupt:
        code = _tell("interrupted", 130)
    except BrokenPipeError:
        code = _let_go_of_stdout(0)
    except OSError as error:
        if error.filename is not None:  # not of standard output: a bug of ours
            raise
        code = _let_go_of_stdout(_tell(f"error: cannot print: {error.strerror}", 2))
    sys.exit(code)


def _tell(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


def _let_go_of_stdout(code: int) -> int:
    """What is still buffered for it would fail again when Python ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return code
