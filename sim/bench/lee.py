"""Short news documents, and how similar people found each two of them.

Lee, Pincombe and Welsh, "An Empirical Evaluation of Models of Text Document Similarity", 2005: 50
documents, each pair rated by several people, and a background of 300 more from the same source.
They come inside a package that ``make venv`` installs.
"""

from pathlib import Path

import numpy as np

from sim.tools import require


def documents() -> list[str]:
    """The 50 that were rated."""
    return _lines("lee.cor")


def background() -> list[str]:
    """The 300 that were not; none of the 50 is among them."""
    return _lines("lee_background.cor")


def ratings() -> np.ndarray:
    """Mean rating of each pair, 0...1; shape (1225,), in the order of :func:`pairs`."""
    return np.loadtxt(_folder() / "similarities0-1.txt")[pairs()]


def pairs() -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the first and of the second document of each pair."""
    return np.triu_indices(50, 1)


def _lines(name: str) -> list[str]:
    return (_folder() / name).read_text("latin-1").splitlines()


def _folder() -> Path:
    return Path(require("gensim").path) / "test" / "test_data"
