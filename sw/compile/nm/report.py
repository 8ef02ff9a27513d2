"""The compiler's report as text."""

from sw.compile.nm.driver import Result
from sw.compile.steps import table as steps_table


def table(result: Result) -> str:
    """Steps, then layers."""
    lines = [f"note: {note}" for note in result.notes]
    lines += steps_table(result.steps)
    return "\n".join([*lines, "", *layers_table(result.layers)])


def layers_table(layers: list[dict]) -> list[str]:
    """How layers are stored, and their integers."""
    lines = [
        f"{'layer':<16}{'size':>12}{'pattern':>9}{'along':>10}{'inputs':>10}{'density':>9}"
        f"{'stored':>10}{'cycles':>12}{'of dense':>10}",
    ]
    lines += [_storage(layer) for layer in layers]
    lines += [
        "",
        f"{'layer':<16}{'w bits':>8}{'zeroed':>8}{'sum bits':>10}{'input scale':>24}"
        f"{'output scale':>24}",
    ]
    return lines + [_numbers(layer) for layer in layers]


def _storage(layer: dict) -> str:
    """What a layer takes, as a part of its dense matrix's bits; its cycles per image, and what part
    of the dense layer's these are."""
    size = f"{layer['inputs']}x{layer['outputs']}"
    along = "channels" if layer["channels_last"] else "window"
    dense = layer["dense_cycles"]
    ratio = "-" if dense is None else f"{layer['cycles'] / dense:.3f}"
    return (
        f"{layer['name']:<16}{size:>12}{layer['mode']:>9}"
        f"{along if layer['kind'] == 'convolution' else '-':>10}"
        f"{'gathered' if layer['gather'] else 'all':>10}{layer['density']:>9.3f}"
        f"{layer['stored']:>10.1%}{layer['cycles']:>12.1f}"
        f"{ratio:>10}"
    )


def _numbers(layer: dict) -> str:
    return (
        f"{layer['name']:<16}{layer['weight_bits']:>8}{layer['vanished']:>8}"
        f"{layer['sum_bits']:>10}{_range(layer['input_scale']):>24}"
        f"{_range(layer['output_scale']):>24}"
    )


def _range(scales: list[float]) -> str:
    low, high = (f"{scale:.4g}" for scale in scales)
    return low if low == high else f"{low}...{high}"
