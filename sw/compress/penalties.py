"""What training may add to its loss so that weights, or whole channels, go towards zero."""

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from spec.errors import UserError
from sw.compress.criteria.scaling_factor import scaling_penalty
from sw.compress.schedule.parse import NUMBER

Penalty = Callable[[nn.Module, Mapping[str, Tensor]], Tensor]
"""From a network and its weights by layer to a scalar."""


def l1(strength: float) -> Penalty:
    """``strength`` times the sum of absolute weights."""
    return lambda _, weights: (
        strength * torch.stack([w.abs().sum() for w in weights.values()]).sum()
    )


def l2(strength: float) -> Penalty:
    """``strength`` / 2 times the sum of squared weights."""
    return lambda _, weights: (
        strength / 2 * torch.stack([w.square().sum() for w in weights.values()]).sum()
    )


def scaling(strength: float) -> Penalty:
    """``strength`` times the sum of absolute scaling factors, BatchNorm's gamma.

    Liu et al., "Network Slimming", 2017: gives the criterion ``scaling-factor`` a choice.
    """
    return lambda model, _: strength * scaling_penalty(model)


FORMS = {"l1": l1, "l2": l2, "scaling": scaling}


def parse(text: str | Penalty | None) -> Penalty | None:
    """A penalty as text, such as ``l1:1e-5``; a function is given back as it is."""
    if text is None or callable(text):
        return text
    found = re.fullmatch(rf"(\w+):({NUMBER})", text.strip()) if isinstance(text, str) else None
    if not found or found[1] not in FORMS:
        forms = ", ".join(f"{name}:STRENGTH" for name in FORMS)
        raise UserError(f"the penalty {text!r} was given; there are {forms}")
    return FORMS[found[1]](float(found[2]))
