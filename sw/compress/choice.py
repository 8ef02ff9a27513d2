"""What is pruned, and how much of it: the layers of a call of ``prepare``, and its densities."""

from collections.abc import Iterable, Mapping

from torch import nn

from spec.errors import UserError
from sw.compress import patterns
from sw.compress.channels import removable
from sw.compress.criteria.base import Batches
from sw.compress.layers import weights
from sw.compress.patterns import Pattern
from sw.compress.patterns.groups import Channel
from sw.compress.prune import kept_count
from sw.compress.schedule.base import Density

SCOPES = ("layer", "global")


def chosen_layers(
    model: nn.Module,
    layers: Iterable[str] | None,
    pattern: str | Pattern | Mapping[str, str | Pattern],
    density: float | Mapping[str, float] | None,
    batches: Batches | None,
) -> list[str]:
    """Names of the layers to prune; without any names, all that can be pruned so."""
    if not isinstance(model, nn.Module):
        raise UserError(f"a {type(model).__name__} was given, must be a torch.nn.Module")
    if layers is not None:
        return _untied(model, [layers] if isinstance(layers, str) else list(layers))
    for named in (pattern, density):
        if isinstance(named, Mapping):
            return _untied(model, list(named))
    first = {id(weight): name for name, weight in reversed(weights(model).items())}
    found = list(reversed(first.values()))
    if not isinstance(pattern, Mapping) and isinstance(patterns.parse(pattern), Channel):
        return losing_channels(model, found, batches)
    return found


def losing_channels(
    model: nn.Module, names: Iterable[str], batches: Batches | None = None
) -> list[str]:
    """Of these layers those that have outputs which can be removed; refuses if there is none."""
    free = removable(model, batches[0][0] if batches else None)
    found = [name for name in names if name in free and bool(free[name].any())]
    if not found:
        raise UserError("no layer has outputs that can be removed: take the pattern row")
    return found


def _untied(model: nn.Module, names: list[str]) -> list[str]:
    """The names, if there are some, and no two of them are of the same weight."""
    if not names:
        raise UserError("no layer to prune is named; leave the names out for all of them")
    seen: dict[int, str] = {}
    for name, weight in weights(model, names).items():
        other = seen.setdefault(id(weight), name)
        if other != name:
            raise UserError(
                f"layers {other} and {name} share one weight: name one of them, the other follows"
            )
    return names


def chosen_patterns(
    found: Mapping[str, nn.Parameter], pattern: str | Pattern | Mapping[str, str | Pattern]
) -> dict[str, Pattern]:
    """The pattern of each layer."""
    if not isinstance(pattern, Mapping):
        return dict.fromkeys(found, patterns.parse(pattern))
    missing = [name for name in found if name not in pattern]
    if missing:
        raise UserError(f"layer {missing[0]} is to be pruned, but the patterns do not name it")
    return {name: patterns.parse(pattern[name]) for name in found}


def densities(
    kinds: Mapping[str, Pattern], density: float | Mapping[str, float] | None, scope: str
) -> Density:
    """The density of each layer, or of all together."""
    if scope not in SCOPES:
        raise UserError(f"the scope {scope!r} was given; there are {', '.join(SCOPES)}")
    if scope == "global":
        if density is None or isinstance(density, Mapping):
            raise UserError("with the scope global, one density for all layers is needed, 0...1")
        kept_count(1, density, "all layers")
        return float(density)
    shares = density if isinstance(density, Mapping) else dict.fromkeys(kinds, density)
    missing = [name for name in kinds if name not in shares]
    if missing:
        raise UserError(f"layer {missing[0]} is to be pruned, but the densities do not name it")
    for name, share in shares.items():
        if share is not None:
            kept_count(1, share, f"layer {name}")
    return {name: kind.allowed(shares[name]) for name, kind in kinds.items()}
