"""Progress on stderr, with elapsed time, for whatever takes longer than a second or two."""

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from sw.host.device import Tick

PATIENCE_SECONDS = 1.5
"""Nothing is shown before."""

REFRESH_SECONDS = 1.0
"""Between two looks at the time, on a terminal."""

LINE_SECONDS = 10.0
"""Between two lines, where there is no terminal."""


@contextmanager
def progress(label: str, total: int | None = None, unit: str = "image") -> Iterator[Tick]:
    """Show a bar while the block runs; it yields the function to call with the steps done.

    The elapsed time moves on even when no step is done for long (a simulator being built, one long
    image). Where stderr is no terminal, a line is printed every ten seconds instead.
    """
    terminal = sys.stderr.isatty()
    bar = tqdm(
        total=total,
        desc=label,
        unit=unit,
        file=sys.stderr if terminal else io.StringIO(),
        delay=PATIENCE_SECONDS,
        mininterval=0.2,
        leave=False,
        bar_format=None if total else "{desc}: {elapsed}",
    )
    done = threading.Event()

    def keep_moving() -> None:
        wait = PATIENCE_SECONDS
        while not done.wait(wait):
            if terminal:
                bar.refresh()
            else:
                print(bar, file=sys.stderr, flush=True)
            wait = REFRESH_SECONDS if terminal else LINE_SECONDS

    thread = threading.Thread(target=keep_moving, daemon=True)
    thread.start()
    try:
        yield bar.update
    finally:
        done.set()
        thread.join()
        bar.close()
