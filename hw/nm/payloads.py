"""What travels between the units: every payload and every bundle of the engine, with maker and
taker."""

from amaranth import signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out

from hw.streams import fields_layout, host_streams
from spec.config import bits_for
from spec.nm.config import NmConfig
from spec.nm.descriptor import descriptor_fields
from spec.nm.iomap import read_fields, write_fields
from spec.nm.strips import sections

# Operands -----------------------------------------------------------------------------------------


def weights_layout(config: NmConfig) -> data.ArrayLayout:
    """The weights of a MAC unit, one for each multiplier."""
    return data.ArrayLayout(signed(config.weight_bits), config.multipliers)


def places_layout(config: NmConfig) -> data.ArrayLayout:
    """The places of a MAC unit; without bits if the array is for dense matrices only."""
    return data.ArrayLayout(unsigned(config.place_bits), config.multipliers)


def window_layout(config: NmConfig) -> data.ArrayLayout:
    """The activations that one multiplier may pick from."""
    return data.ArrayLayout(signed(config.act_bits), config.m)


def windows_layout(config: NmConfig) -> data.ArrayLayout:
    """A window for each multiplier: distribute makes them, all MAC units of a column take them."""
    return data.ArrayLayout(window_layout(config), config.multipliers)


def column_layout(config: NmConfig) -> data.ArrayLayout:
    """A line's activations of one column, input by input."""
    return data.ArrayLayout(signed(config.act_bits), config.line_inputs)


def sums_layout(config: NmConfig) -> data.ArrayLayout:
    """A row's sums of all columns: the array gives them, drain takes them."""
    return data.ArrayLayout(signed(config.acc_bits), config.columns)


# Steps --------------------------------------------------------------------------------------------


def line_shape(config: NmConfig):
    """Number of a line in a bank of the activation buffer."""
    return unsigned(config.offset_bits)


def step_layout(config: NmConfig) -> data.StructLayout:
    """A step: the sequencer issues it, every stage of the pipeline does its part of it.

    ``number`` is that of the strip's weights. Its inputs begin at place ``at`` of line ``line`` of
    the tile, which begins at line ``base`` of the activation bank. ``last`` marks a tile's last
    step, with which its sums are complete; ``ends_strip`` the last one of a weight bank, which of a
    part that others follow is no tile's last; ``ends_run`` the last of all.
    """
    return data.StructLayout(
        {
            "number": unsigned(bits_for(config.weight_steps - 1)),
            "at": unsigned(bits_for(config.line_inputs - 1)),
            "line": line_shape(config),
            "base": line_shape(config),
            "weight_bank": 1,
            "act_bank": 1,
            "first": 1,
            "last": 1,
            "ends_strip": 1,
            "ends_run": 1,
        }
    )


def addresses_layout(config: NmConfig) -> data.ArrayLayout:
    """A line for each input of a line: gather makes them, the activation buffer takes them."""
    return data.ArrayLayout(line_shape(config), config.line_inputs)


def offsets_layout(config: NmConfig) -> data.ArrayLayout:
    """Offsets of a line, in their slots: the strip buffer keeps them, gather adds them."""
    return data.ArrayLayout(unsigned(config.offset_slot_bits), config.line_inputs)


class Causes(wiring.Signature):
    """What became of a cycle, exactly one of them: from the sequencer to the counters."""

    def __init__(self):
        names = ("busy", "weight_wait", "act_wait", "drain_wait", "tail")
        super().__init__({name: Out(1) for name in names})


# Requantization -----------------------------------------------------------------------------------


def parameters_layout(config: NmConfig) -> data.StructLayout:
    """A row's parameters, lowest bits first, as a strip holds them."""
    return data.StructLayout(
        {
            "bias": signed(config.acc_bits),
            "multiplier": unsigned(config.multiplier_bits),
            "shift": unsigned(config.shift_bits),
        }
    )


# Banks --------------------------------------------------------------------------------------------


def index_bits(config: NmConfig) -> int:
    """Width of a word's number in any section of a strip."""
    longest = max(
        max(sections(config, mode, config.gather_lines > 0, config.weight_steps).values())
        for mode in config.modes
    )
    return bits_for(longest - 1)


class StripWrite(wiring.Signature):
    """A word of a strip, from the loader to the strip buffer: into which section (at most one is
    enabled), and its number there."""

    def __init__(self, config: NmConfig):
        members = {
            "parameters": Out(1),
            "values": Out(1),
            "bank": Out(1),
            "index": Out(index_bits(config)),
            "data": Out(config.load_bits),
        }
        if config.place_bits:
            members["planes"] = Out(config.place_bits)
        if config.gather_lines:
            members["offsets"] = Out(1)
        super().__init__(members)


class LineWrite(wiring.Signature):
    """A word of a line, from the loader to the activation buffer."""

    def __init__(self, config: NmConfig):
        super().__init__(
            {
                "enable": Out(1),
                "bank": Out(1),
                "line": Out(line_shape(config)),
                "word": Out(bits_for(config.line_bits // config.load_bits - 1)),
                "data": Out(config.load_bits),
            }
        )


class Loaded(wiring.Signature):
    """What the sequencer may use, from the loader, by bank: whether a whole strip is there, the
    number of its last step, and how many tiles."""

    def __init__(self, config: NmConfig):
        super().__init__(
            {
                "full": Out(1).array(2),
                "last_step": Out(bits_for(config.weight_steps - 1)).array(2),
                "tiles": Out(bits_for(config.act_lines)).array(2),
            }
        )


class Done(wiring.Signature):
    """What is done with a bank in this cycle: its last step is issued or read, or its last row has
    entered requantization."""

    def __init__(self):
        super().__init__({"enable": Out(1), "bank": Out(1)})


class ItemRead(wiring.Signature):
    """A read port of a :class:`hw.nm.word_buffer.WordBuffer`, as its user drives it; ``data``
    answers in the next cycle."""

    def __init__(self, items: int, item_shape):
        super().__init__(
            {
                "enable": Out(1),
                "bank": Out(1),
                "item": Out(bits_for(items - 1)),
                "data": wiring.In(item_shape),
            }
        )


# Host ---------------------------------------------------------------------------------------------


def settings_layout(config: NmConfig) -> data.StructLayout:
    """The descriptor, as control holds it for all units."""
    return fields_layout(descriptor_fields(config))


def host_signature(config: NmConfig) -> dict[str, wiring.Member]:
    """The host's three streams, as the array has them."""
    return host_streams(write_fields(config), read_fields(config))
