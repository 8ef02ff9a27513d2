"""All Linear and Conv2d layers of a network of any form, for an array that computes each by itself.

The network need not be a chain: the rest of it (attention, normalization, branches) stays in torch,
and each layer takes and gives real numbers (:mod:`sw.compile.nm.attach`). So no layer's scales are
tied to those of another (:mod:`sw.compile.nm.migrate`).
"""

from collections.abc import Iterable
from dataclasses import replace

from torch import nn

from spec.errors import UserError
from spec.nm.config import NmConfig
from spec.nm.program import Program
from sw.compile.calibrate import HEADROOM
from sw.compile.nm.attach import on_device
from sw.compile.nm.forms import Gather, best_form, check_gather
from sw.compile.nm.lower import lower
from sw.compile.nm.migrate import MIGRATION, check_migration, quantize_alone
from sw.compile.nm.observe import Samples, observe
from sw.compile.nm.pack import pack_chain
from sw.compile.nm.patterns import AUTO, Pattern, patterns_of
from sw.compile.nm.quantize import Scales, check_scales

__all__ = ["compile_linears", "on_device"]


def compile_linears(
    module: nn.Module,
    samples: Samples,
    config: NmConfig,
    *,
    pattern: Pattern = AUTO,
    names: Iterable[str] | None = None,
    gather: Gather = "auto",
    scales: Scales = "row",
    migration: float | None = MIGRATION,
    headroom: float = HEADROOM,
    rescale: bool = True,
) -> Program:
    """Compile a network's layers, each by itself.

    Parameters
    ----------
    module : nn.Module
        Is not changed. What is zero in its weights is what a pattern finds; nothing is pruned here.
    samples : tensor, tuple or dict of arguments, or a list of those
        What the network is called with to see how far values reach; a list is several calls. Each
        layer's form is the one of the fewest cycles for as many tokens as a call brings.
    pattern : str or mapping
        What the zeros of each layer follow, see :data:`sw.compile.nm.patterns.Pattern`.
    names : names of layers, optional
        Only these. Default is every Linear and Conv2d.
    gather : "auto", "on" or "off"
        Whether strips drop inputs that they have no weight for.
    scales : "row" or "tensor"
        What has scales of its own: each output (for its weights and its results), or each layer.
    migration : float or None
        0...1; None gives all inputs of a layer one scale.
    headroom : float
        Part by which values may exceed what the samples showed.
    rescale : bool
        Give a row's weights fewer bits rather than refuse it when its sums could overflow.

    Returns
    -------
    Program
        Not chained: for :func:`sw.compile.nm.attach.on_device`.

    Raises
    ------
    UserError
        If the samples or an option cannot be taken; for a layer, by its name, that the samples
        never reach, that breaks its pattern (row and group), or that the array cannot compute.
    """
    check_scales(scales)
    check_gather(gather, config)
    check_migration(migration)
    if not 0 <= headroom <= 100:
        raise UserError(f"headroom {headroom!r}, must be from 0 to 100")
    observed = observe(module, samples, names)
    modes = patterns_of(pattern, list(observed), config)
    layers, forms = [], []
    for name, one in observed.items():
        layer = lower(name, one.layer, one.image)
        form = best_form(
            config,
            name,
            layer.weight != 0,
            tokens=one.tokens,
            windows=layer.windows,
            pattern=modes[name],
            gather=gather,
        )
        forms.append(form)
        layers.append(quantize_alone(layer, one, config, scales, migration, 1 + headroom, rescale))
    return replace(pack_chain(layers, forms, config), chained=False)
