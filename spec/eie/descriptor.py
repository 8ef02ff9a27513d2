"""A pass: what central control reads from its table before it works through one layer or tile."""

from dataclasses import dataclass

from spec.config import bits_for
from spec.eie.config import EieConfig
from spec.fields import pack, unpack, words_for

KNOWN_TO_ELEMENTS = {"widen", "rows", "codebook", "multiplier", "shift", "relu"}
"""Fields that matter in a PE: the others are for the scan, for drain and for central control."""


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """One pass of the array over a matrix in its memories.

    Attributes
    ----------
    pointer_base : int
        Address of the first column's pointer, the same in every PE.
    split : int
        The array is halved so often: it works as ``2**split`` clusters.
    widen : int
        Bits by which runs are wider than the configuration's ``run_bits``.
    columns : int
        Columns of the matrix: activations of the source half, from ``input_base * pes`` on.
    input_rows : int
        Rows of activations to scan, ``ceil(columns / pes)``.
    input_base : int
        First row of activations in the source half.
    rows : int
        Accumulators in use, ``ceil(outputs / pes)`` for each cluster: drain turns ``2**split`` of
        them into one row of activations.
    output_base : int
        First row that drain writes in the destination half.
    bias_base : int
        Address of the bias of that row.
    codebook : int
        Which codebook decodes this matrix.
    multiplier, shift : int
        Requantization, see :mod:`spec.numbers`.
    relu, drain, swap : bool
        Clip negative outputs; requantize and store at the end (otherwise the sums stay for the next
        pass); let source and destination change places afterwards.
    """

    pointer_base: int
    split: int
    widen: int
    columns: int
    input_rows: int
    input_base: int
    rows: int
    output_base: int
    bias_base: int
    codebook: int
    multiplier: int
    shift: int
    relu: bool
    drain: bool
    swap: bool

    def pack(self, config: EieConfig) -> list[int]:
        """The descriptor as words of the host's streams."""
        return pack(descriptor_fields(config), self)

    @staticmethod
    def unpack(words: list[int], config: EieConfig) -> "Descriptor":
        """The inverse of :meth:`pack`."""
        return unpack(Descriptor, descriptor_fields(config), words)


def descriptor_fields(config: EieConfig) -> dict[str, int]:
    """Name and width in bits of each field, lowest bits first; the hardware's layout is made from
    this."""
    return {
        "pointer_base": config.pointer_address_bits,
        "split": bits_for(config.splits),
        "widen": bits_for(config.run_bits_most - config.run_bits),
        "columns": bits_for(config.acts),
        "input_rows": bits_for(config.act_rows),
        "input_base": config.act_row_bits,
        "rows": bits_for(config.rows),
        "output_base": config.act_row_bits,
        "bias_base": config.bias_address_bits,
        "codebook": config.codebook_bits,
        "multiplier": config.multiplier_bits,
        "shift": config.shift_bits,
        "relu": 1,
        "drain": 1,
        "swap": 1,
    }


def element_fields(config: EieConfig) -> dict[str, int]:
    """Those of :func:`descriptor_fields` that a PE has to know, in the same order."""
    fields = descriptor_fields(config)
    return {name: width for name, width in fields.items() if name in KNOWN_TO_ELEMENTS}


def cluster_columns(config: EieConfig, columns: int, split: int) -> int:
    """Columns that the fullest cluster of a pass has, of ``columns`` in all.

    Cluster g has those of the activations in its own PEs, in order; the first cluster is fullest.
    """
    pes = config.cluster_pes(split)
    return columns // config.pes * pes + min(columns % config.pes, pes)


def descriptor_words(config: EieConfig) -> int:
    """I/O words that one descriptor takes (at most four)."""
    return words_for(descriptor_fields(config))
