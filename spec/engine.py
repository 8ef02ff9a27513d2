"""What the engines have in common: the functions that their programs go through."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A kind of program, and what can be done with one.

    Attributes
    ----------
    name : str
        As image files call it.
    program : type
        Has ``inputs``, ``outputs``, ``act_bits``, ``per_step``, ``input_scale`` and
        ``output_scale``: numbers, or arrays along the last axis, of ``real = integer * scale``.
    to_document : callable
        Metadata (JSON-ready) and tensors of an image file.
    from_document : callable
        The inverse; :class:`spec.errors.UserError` if anything is amiss.
    check_fits : callable
        Refuses a program that no array of its configuration could run.
    check_batch : callable
        A batch of integers as int64; refuses one that is not for the program.
    unpack : callable
        Dense integer weights of every layer by name, (outputs, inputs), in the network's order.
    inspect : callable
        A summary (JSON-ready).
    table : callable
        A summary for people.
    """

    name: str
    program: type
    to_document: Callable[[Any], tuple[dict, Tensors]]
    from_document: Callable[[dict, Tensors], Any]
    check_fits: Callable[[Any], None]
    check_batch: Callable[[Any, np.ndarray], np.ndarray]
    unpack: Callable[[Any], Tensors]
    inspect: Callable[[Any], dict]
    table: Callable[[dict], str]
