"""The compiler's report as text."""

from spec.eie.config import EieConfig
from sw.compile.eie.driver import Result
from sw.compile.steps import table as steps_table


def table(result: Result) -> str:
    """Steps, then layers."""
    config = result.program.config
    lines = [f"note: {note}" for note in result.notes]
    lines += steps_table(result.steps)
    lines += [
        "",
        f"{'layer':<16}{'size':>12}{'density':>9}{'entries':>10}{'pads':>9}{'lone':>8}{'runs':>6}"
        f"{'clusters':>10}{'passes':>8}{'bits':>7}{'pointers':>10}",
    ]
    lines += [_storage(layer) for layer in result.layers]
    lines += [
        "",
        f"{'layer':<16}{'values':>8}{'w bits':>8}{'sum bits':>10}{'multiplier':>12}{'shift':>7}"
        f"{'work':>10}{'balanced':>10}",
    ]
    lines += [_numbers(layer, config) for layer in result.layers]
    lines += [_scales(layer) for layer in result.layers]
    return "\n".join(lines)


def _storage(layer: dict) -> str:
    """What a layer takes; bits are those per weight, of entries and of pointers."""
    size = f"{layer['inputs']}x{layer['outputs']}"
    runs, clusters = (",".join(map(str, layer[name])) for name in ("run_bits", "clusters"))
    return (
        f"{layer['name']:<16}{size:>12}{layer['density']:>9.3f}{layer['entries']:>10}"
        f"{layer['pads']:>9}{layer['lone_pads']:>8}{runs:>6}{clusters:>10}{layer['passes']:>8}"
        f"{layer['entry_bits_per_weight']:>7.1f}{layer['pointer_bits_per_weight']:>10.1f}"
    )


def _numbers(layer: dict, config: EieConfig) -> str:
    """Its integers, and the work of the fullest PE as a multiple of the mean."""
    sums = f"{layer['sum_bits']}/{config.acc_bits}"
    return (
        f"{layer['name']:<16}{layer['distinct']:>8}{layer['weight_bits']:>8}{sums:>10}"
        f"{layer['multiplier']:>12}{layer['shift']:>7}"
        f"{layer['work_before']:>10.3f}{layer['work_after']:>10.3f}"
    )


def _scales(layer: dict) -> str:
    return (
        f"{layer['name']}: scales of input {layer['input_scale']:.4g}, weight "
        f"{layer['weight_scale']:.4g}, output {layer['output_scale']:.4g};\n"
        f"  sums stay within {layer['lowest_sum']}...{layer['highest_sum']}"
    )
