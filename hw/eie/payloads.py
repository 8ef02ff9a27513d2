"""What travels between the units: every payload and every bundle of the engine, with maker and
taker."""

from amaranth import signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.streams import fields_layout
from spec.config import IO_DATA_BITS, bits_for
from spec.eie.config import EieConfig
from spec.eie.descriptor import descriptor_fields, element_fields
from spec.eie.iomap import MEMORY_BITS


def values_layout(config: EieConfig) -> data.ArrayLayout:
    """One activation for each lane, the first lane's in the lowest bits."""
    return data.ArrayLayout(signed(config.act_bits), config.lanes)


def sums_layout(config: EieConfig) -> data.ArrayLayout:
    """One sum for each lane."""
    return data.ArrayLayout(signed(config.acc_bits), config.lanes)


def pointer_layout(config: EieConfig) -> data.StructLayout:
    """A pointer: an entry's line and its slot in it."""
    return data.StructLayout(
        {"slot": unsigned(config.slot_bits), "line": unsigned(bits_for(config.lines))}
    )


def column_layout(config: EieConfig) -> data.StructLayout:
    """A column to work on: the scan broadcasts it, activation queues keep it, pointer read takes
    it.

    ``pointer`` is the address of the column's pointer, ``values`` the activations that multiply the
    column.
    """
    return data.StructLayout(
        {"pointer": unsigned(config.pointer_address_bits), "values": values_layout(config)}
    )


def span_layout(config: EieConfig) -> data.StructLayout:
    """A column's entries in this PE: pointer read makes it, matrix read takes it. ``end`` is one
    behind."""
    return data.StructLayout(
        {
            "start": pointer_layout(config),
            "end": pointer_layout(config),
            "values": values_layout(config),
        }
    )


def entry_layout(config: EieConfig) -> data.StructLayout:
    """An entry, its run as wide as it may be in any pass."""
    return data.StructLayout(
        {"code": unsigned(config.code_bits), "run": unsigned(config.run_bits_most)}
    )


def work_layout(config: EieConfig) -> data.StructLayout:
    """An entry on its way: matrix read makes it, weight decode and row accumulate take it.

    ``first`` marks the first entry of a column, ``values`` are the column's activations. A pad that
    shares the entry's cycle skips ``jump`` rows, in front of the entry or, if ``behind``, after it.
    """
    return data.StructLayout(
        {
            "entry": entry_layout(config),
            "first": unsigned(1),
            "jump": unsigned(config.run_bits_most + 1),
            "behind": unsigned(1),
            "values": values_layout(config),
        }
    )


def update_layout(config: EieConfig) -> data.StructLayout:
    """A row to update: row accumulate makes it, the MACs take it together with the decoded
    weight."""
    return data.StructLayout({"row": unsigned(config.row_bits), "values": values_layout(config)})


def lane_update_layout(config: EieConfig) -> data.StructLayout:
    """A row to update in one lane."""
    return data.StructLayout({"row": unsigned(config.row_bits), "value": signed(config.act_bits)})


def settings_layout(config: EieConfig) -> data.StructLayout:
    """The descriptor of the running pass, as central control holds it for all units."""
    return fields_layout(descriptor_fields(config))


def element_settings_layout(config: EieConfig) -> data.StructLayout:
    """What a PE hears of these."""
    return fields_layout(element_fields(config))


class MemoryWrite(wiring.Signature):
    """A write port of a memory, as its user drives it."""

    def __init__(self, address_bits: int, data_shape):
        super().__init__({"enable": Out(1), "address": Out(address_bits), "data": Out(data_shape)})


class MemoryRead(wiring.Signature):
    """A synchronous read port of a memory, as its user drives it; ``data`` answers in the next
    cycle."""

    def __init__(self, address_bits: int, data_shape):
        super().__init__({"enable": Out(1), "address": Out(address_bits), "data": In(data_shape)})


class HostAccess(wiring.Signature):
    """The host's access to one PE or to central control: at most one word is written and one read
    in a cycle.

    ``answer`` is the word that was asked for, at the PE in the cycle before, and zero where nothing
    was.
    """

    def __init__(self, config: EieConfig, data_bits: int, answer_bits: int):
        super().__init__(
            {
                "write_enable": Out(1),
                "read_enable": Out(1),
                "memory": Out(MEMORY_BITS),
                "address": Out(config.io_address_bits),
                "data": Out(data_bits),
                "answer": In(answer_bits),
            }
        )


def control_access(config: EieConfig) -> HostAccess:
    """The host's access to central control: to words of the table, and to its counters."""
    return HostAccess(config, IO_DATA_BITS, IO_DATA_BITS)


def element_access(config: EieConfig) -> HostAccess:
    """The host's access to a PE, as wide as what is written and read there."""
    return HostAccess(config, config.element_word_bits, config.element_answer_bits)


class DrainOrder(wiring.Signature):
    """From central control to all PEs: which row to requantize now, and where to store an earlier
    one.

    ``clear`` without ``enable`` only sets the row's accumulator to zero. The bias is due when the
    sums of the clusters have been added up.
    """

    def __init__(self, config: EieConfig):
        super().__init__(
            {
                "enable": Out(1),
                "clear": Out(1),
                "row": Out(config.row_bits),
                "bias_enable": Out(1),
                "bias_address": Out(config.bias_address_bits),
                "store_enable": Out(1),
                "store_address": Out(config.act_row_bits + 1),
            }
        )


class Phase(wiring.Signature):
    """From central control to all counters: what the array is doing.

    ``scanning`` while columns are broadcast (to the PEs of one cluster), ``computing`` until all
    PEs have finished these;
    ``save`` in the cycle after a pass has ended. ``saved_pass`` is the number of the pass of the
    cycle before.
    """

    def __init__(self, config: EieConfig):
        super().__init__(
            {
                "scanning": Out(1),
                "computing": Out(1),
                "save": Out(1),
                "saved_pass": Out(config.layer_bits),
            }
        )
