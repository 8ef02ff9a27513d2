"""The compiler's report as text."""

from spec.eie.config import EieConfig
from sw.compile.check import Step
from sw.compile.driver import Result


def table(result: Result) -> str:
    """Steps, then layers."""
    config = result.program.config
    lines = [f"note: {note}" for note in result.notes]
    lines += [
        f"{'step':<20}{'samples':>8}{'change':>11}{'relative':>11}{'in all':>11}{'same top-1':>12}"
    ]
    for step in result.steps:
        lines.append(_step(step))
        lines += [f"  {note}" for note in step.notes]
    lines += [
        "",
        f"{'layer':<16}{'size':>12}{'density':>9}{'values':>8}{'entries':>9}{'pads':>8}{'passes':>8}"
        f"{'w bits':>8}{'sum bits':>10}{'multiplier':>12}{'shift':>7}",
    ]
    lines += [_layer(layer, config) for layer in result.layers]
    lines += [_scales(layer) for layer in result.layers]
    return "\n".join(lines)


def _step(step: Step) -> str:
    return (
        f"{step.name:<20}{step.samples:>8}{step.change:>11.3g}{step.relative:>11.2g}"
        f"{step.total:>11.2g}{step.agreement:>12.1%}"
    )


def _layer(layer: dict, config: EieConfig) -> str:
    size = f"{layer['inputs']}x{layer['outputs']}"
    sums = f"{layer['sum_bits']}/{config.acc_bits}"
    return (
        f"{layer['name']:<16}{size:>12}{layer['density']:>9.3f}{layer['distinct']:>8}"
        f"{layer['entries']:>9}{layer['pads']:>8}{layer['passes']:>8}{layer['weight_bits']:>8}"
        f"{sums:>10}{layer['multiplier']:>12}{layer['shift']:>7}"
    )


def _scales(layer: dict) -> str:
    return (
        f"{layer['name']}: scales of input {layer['input_scale']:.4g}, weight "
        f"{layer['weight_scale']:.4g}, output {layer['output_scale']:.4g}; "
        f"sums stay within {layer['lowest_sum']}...{layer['highest_sum']}"
    )
