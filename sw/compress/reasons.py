"""Why a pruned network is not smaller, or not faster: what the figures of a report mean, in words.

Each function looks for one cause, and gives a sentence for each layer or network that has it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sw.compress.stages import FLOAT_BITS

if TYPE_CHECKING:
    from sw.compress.report import LayerReport, Report

# From where on a cause is worth a sentence.
MANY_PADS = 0.1
MUCH_IMBALANCE = 1.15
MANY_ZEROS = 0.2
MANY_OTHERS = 0.1
SLOW = 0.7


def of(report: "Report") -> list[str]:
    """All sentences, those on size first."""
    found = list(_files(report))
    for layer in report.layers:
        found += [f"{layer.name}: {sentence}" for sentence in _of_layer(layer)]
    return [*found, *_other_parameters(report), *_cycles(report)]


def _files(report: "Report") -> Iterator[str]:
    if report.density == 1:
        yield "no weight is zero: nothing is pruned"
        return
    yield (
        f"a saved state dict stays at {report.bytes('dense'):.0f} bytes, because torch writes "
        f"zeros like any other value; sw.compress.stored writes {report.file_bytes} bytes"
    )


def _of_layer(layer: "LayerReport") -> Iterator[str]:
    if layer.nonzeros == layer.weights:
        yield "it has no zeros"
        yield from _sharing(layer)
    elif layer.nonzeros == 0:
        yield "all of its weights are zero: it could be left out"
    else:
        yield from _sharing(layer)
        yield from _index(layer)
        yield from _on_eie(layer)
        yield from _on_nm(layer)


def _sharing(layer: "LayerReport") -> Iterator[str]:
    values = layer.stages.values
    if values is None:
        yield (
            f"its weights are not shared, so each that is left takes {FLOAT_BITS} bits, and an EIE "
            "array does not take it (sw.compress.share)"
        )
    elif layer.eie and values > layer.eie.most_values:
        yield (
            f"it has {values} values besides zero, an EIE array's codebooks hold "
            f"{layer.eie.most_values}"
        )


def _index(layer: "LayerReport") -> Iterator[str]:
    own = layer.stages
    entries = layer.nonzeros + own.pads
    index = own.run_bits * entries / layer.bits("indexed")
    yield (
        f"to say where its weights are takes {own.run_bits} bits for each, {index:.0%} of its bits "
        "before Huffman coding"
    )
    if own.pads > MANY_PADS * entries:
        yield f"{own.pads} of its {entries} entries are pads, which only bridge long runs of zeros"


def _on_eie(layer: "LayerReport") -> Iterator[str]:
    form = layer.eie
    if form is None:
        yield "an EIE array does not take convolutions"
        return
    if form.bytes > layer.int8_bytes:
        entry = form.entry_bits / form.entries
        yield (
            f"on EIE it takes more bytes than dense int8, {form.bytes:.0f} instead of "
            f"{layer.int8_bytes}: an entry takes {entry:.0f} bits, and "
            f"{form.pointer_bits / 8:.0f} bytes are pointers"
        )
    elif form.pointer_bits > form.entry_bits:
        yield (
            f"on EIE its pointers, one per column and PE, take {form.pointer_bits / 8:.0f} bytes, "
            f"more than its entries with {form.entry_bits / 8:.0f}; fewer PEs have fewer pointers"
        )
    if form.pads > MANY_PADS * form.entries:
        yield f"{form.pads} of its {form.entries} entries on an EIE array are pads"
    if layer.shape[0] < form.pes:
        yield f"it has {layer.shape[0]} outputs for {form.pes} PEs, so some of these have no work"
    elif form.imbalance > MUCH_IMBALANCE:
        yield (
            f"plainly interleaved, one PE has {form.imbalance:.2f} times the mean work, and all "
            "others wait for it (the compiler balances rows; prune with the pattern balanced)"
        )


def _on_nm(layer: "LayerReport") -> Iterator[str]:
    form = layer.nm
    if form.is_dense and form.wanted:
        yield (
            f"{form.broken} of its {form.groups} groups have more weights than {form.wanted} "
            "allows, so an N:M array computes all of them, zeros too, unless whole inputs can be "
            f"left out (prune it to {form.wanted})"
        )
    elif not form.is_dense and form.zeros > MANY_ZEROS * (form.zeros + layer.nonzeros):
        slots = form.zeros + layer.nonzeros
        yield (
            f"as {form.pattern}, {form.zeros} of the {slots} weights that an N:M array keeps are "
            "zeros: its time depends on the pattern, not on how many are zero"
        )


def _other_parameters(report: "Report") -> Iterator[str]:
    weights = sum(layer.bits("stored") for layer in report.layers) / 8
    rest = report.file_bytes - weights
    if rest > MANY_OTHERS * report.file_bytes:
        yield (
            f"{rest:.0f} of the file's {report.file_bytes} bytes are no weights of layers: "
            f"{report.others} biases and other parameters, buffers, names and sizes"
        )


def _cycles(report: "Report") -> Iterator[str]:
    if report.refusal:
        yield f"no cycles are predicted: {report.refusal}"
    if report.prediction is None or report.prediction.ratio is None:
        return
    ratio, whole = report.prediction.ratio, 1 / report.density if report.density else 1.0
    if ratio < SLOW * whole:
        yield (
            f"{report.density:.1%} of the weights are left, but it is {ratio:.2f} times faster "
            f"than dense, not {whole:.1f}: patterns keep more, PEs wait for each other, and "
            "loading, control and draining take their time whatever is zero"
        )
