"""How mistakes of a user are told: one sentence, never a stack trace."""

import sys
from collections.abc import Callable, Sequence


class UserError(ValueError):
    """Something that the user gave cannot be taken.

    The message says what was given, what is allowed, and where.
    """


def cli(main: Callable[[Sequence[str] | None], int | None]) -> None:
    """Run a command-line ``main(argv)``; turn mistakes into one line on stderr and exit code 2.

    ``main`` returns an exit code, or ``None`` for success. An interrupt exits with 130 as shells
    do.
    """
    try:
        code = main(None)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # The reader (``head``, a pager) went away: what it wanted, it has.
        sys.stderr.close()
        code = 0
    sys.exit(code or 0)
