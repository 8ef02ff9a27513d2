"""How a layer can be stored, and the form of it with the fewest predicted cycles.

Forms differ in their mode, in whether strips drop inputs (gather), and of a convolution in whether
neighbours are places of the kernel or channels. Only where weights are matters, not what they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from spec.errors import UserError
from spec.nm.config import DENSE, Mode, NmConfig
from spec.nm.cycles import count_run
from spec.nm.descriptor import plan
from spec.nm.groups import check_pattern
from spec.nm.parts import Block, count_parts, cut
from spec.nm.strips import strip_words
from spec.nm.tiles import keep, kept_by
from spec.nm.unfold import Unfold
from sw.compile.nm.kept import follows, recover, whole_groups

Gather = Literal["auto", "on", "off"]

GATHER: tuple[Gather, ...] = ("auto", "on", "off")
"""Whether strips drop inputs: where that is predicted to be faster, always, never."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Form:
    """A way to store a layer.

    Attributes
    ----------
    mode : Mode
    kept : bool, shape (strips, inputs), or None
        Inputs that each strip keeps, in the form's order of inputs.
    channels_last : bool
        Of a convolution: its inputs stand place by place, all channels together.
    cycles : int
        Of one run with the tokens asked for.
    words : int
        Of the load stream, of all strips.
    """

    mode: Mode
    kept: np.ndarray | None
    channels_last: bool
    cycles: int
    words: int

    @property
    def rank(self) -> tuple[int, int, bool, bool, Mode]:
        """What makes a form better than another; lower is better."""
        gathered = self.kept is not None
        return self.cycles, self.words, gathered, self.channels_last, self.mode


def check_gather(gather: str, config: NmConfig) -> None:
    """Refuse an unknown choice, or to gather on an array that cannot."""
    if gather not in GATHER:
        raise UserError(f"gather {gather!r} is unknown, there are {', '.join(GATHER)}")
    if gather == "on" and not config.gather_lines:
        raise UserError(
            "gather is on, but the array has no gather stage; build it with gather_lines"
        )


def best_form(
    config: NmConfig,
    name: str,
    mask: np.ndarray,
    *,
    tokens: int,
    windows: Unfold | None = None,
    pattern: Mode | None = None,
    gather: Gather = "auto",
) -> Form:
    """The form with the fewest predicted cycles.

    A declared pattern is one of the layer as it is given, along its windows or along channels; with
    ``gather="on"`` also one of the inputs that are left when each strip drops those without a
    weight.

    Parameters
    ----------
    mask : bool, shape (outputs, inputs)
        Where weights are; a convolution's inputs are those of a window, channel by channel.
    tokens : int
        Of a run.
    pattern : Mode, optional
        Else whatever mode of the array the layer follows.

    Raises
    ------
    UserError
        Nothing fits; names the layer, and the row and group that break its pattern.
    """
    modes = config.modes if pattern is None else (pattern,)
    anyhow = gather == "on" or (gather == "auto" and pattern is None)
    forms, reasons = [], []
    for channels_last in _orders(windows):
        arranged = arrange(mask, windows, channels_last)
        for mode in modes:
            try:
                for kept in _kept(config, arranged, mode, gather, anyhow):
                    cycles, words = predict(config, arranged, mode, kept, tokens)
                    form = Form(
                        mode=mode,
                        kept=kept,
                        channels_last=channels_last,
                        cycles=cycles,
                        words=words,
                    )
                    forms.append(form)
            except UserError as error:
                reasons.append(str(error))
    if not forms:
        reason = reasons[0] if reasons else _breach(config, mask, modes[0], windows)
        raise UserError(f"layer {name}: {reason}")
    return min(forms, key=lambda form: form.rank)


def arrange(matrix: np.ndarray, windows: Unfold | None, channels_last: bool) -> np.ndarray:
    """A matrix (outputs, inputs) with its inputs in a form's order."""
    if windows is None or not channels_last:
        return matrix
    kernels = matrix.reshape(len(matrix), windows.channels, *windows.kernel)
    return replace(windows, channels_last=True).arrange(kernels)


def _orders(windows: Unfold | None) -> tuple[bool, ...]:
    """Whether channels may be neighbours; where there is one channel, or one place, that is the
    same."""
    if windows is None or windows.channels == 1 or windows.kernel == (1, 1):
        return (False,)
    return (False, True)


def _kept(
    config: NmConfig, mask: np.ndarray, mode: Mode, gather: Gather, anyhow: bool
) -> Iterator[np.ndarray | None]:
    """Ways to keep inputs in which a matrix follows a mode; None is to keep them all."""
    plain = follows(mask, mode)
    if plain and gather != "on":
        yield None
    if gather == "off" or not config.gather_lines:
        return
    needed = kept_by(config, mask)
    found = _recovered(config, mask, needed, mode) if anyhow else None
    if found is None and plain:
        found = whole_groups(needed, mode)
    if found is not None and (gather == "on" or not found.all()):
        yield found


def _recovered(
    config: NmConfig, mask: np.ndarray, needed: np.ndarray, mode: Mode
) -> np.ndarray | None:
    """Inputs that strips keep so that they follow the mode; None if one cannot."""
    kept = np.empty_like(needed)
    for strip, own in enumerate(needed):
        rows = mask[strip * config.rows : (strip + 1) * config.rows]
        found = recover(config, rows, own, mode)
        if found is None:
            return None
        kept[strip] = found
    return kept


def predict(
    config: NmConfig, mask: np.ndarray, mode: Mode, kept: np.ndarray | None, tokens: int
) -> tuple[int, int]:
    """Cycles of a run, and words of all strips, without packing anything."""
    outputs, inputs = mask.shape
    gathered = kept is not None
    if kept is None:
        steps = [-(-inputs // config.step_inputs(mode))] * -(-outputs // config.rows)
    else:
        steps = [keep(config, own).steps(config, mode) for own in kept]
    parts = count_parts(config, mode, gathered, max(steps))
    each = [part for one in steps for part in _part_steps(config, mode, gathered, one, parts)]
    descriptor = plan(
        config,
        mode=config.mode_number(mode),
        gather=gathered,
        relu=False,
        outputs=outputs,
        inputs=inputs,
        tokens=tokens,
        parts=parts,
    )
    words = sum(strip_words(config, mode, gathered, one) for one in each)
    return count_run(config, descriptor, each).of("cycles"), words


def _part_steps(config: NmConfig, mode: Mode, gathered: bool, steps: int, parts: int) -> list[int]:
    """Steps of each part of a strip."""
    lines = -(-steps // config.phases(mode)) if gathered else 0
    nothing = np.zeros((steps, 0, 0), np.int64)
    block = Block(nothing, nothing, np.zeros((lines, 0), np.int64))
    return [part.steps for part in cut(config, mode, block, parts)]


def _breach(config: NmConfig, mask: np.ndarray, mode: Mode, windows: Unfold | None) -> str:
    """Where a layer breaks the pattern that it is declared to follow, and what would work."""
    whole = np.pad(mask, ((0, 0), (0, -mask.shape[1] % mode.m)))
    also = ", nor does it hold along the channels" if len(_orders(windows)) > 1 else ""
    others = [one for one in config.modes if follows(mask, one)]
    text = ", ".join("dense" if one == DENSE else str(one) for one in others)
    try:
        check_pattern(whole, mode)
    except UserError as error:
        return (
            f"{error}{also}; prune it to {mode} (sw.compress.patterns, or PyTorch's "
            f"WeightNormSparsifier), or declare another pattern: its zeros follow {text}"
        )
    raise RuntimeError(f"internal error: a layer that follows {mode} has no form")
