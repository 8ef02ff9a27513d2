"""Weight decoder: turns a code into the weight that it stands for."""

from amaranth import Cat, Module, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import MemoryWrite
from hw.memory import Ram
from spec.eie.config import EieConfig


class WeightDecode(wiring.Component):
    """Looks a code up in the codebook of the running pass.

    Attributes
    ----------
    latency : int
        Cycles from ``code`` to ``weight``: 1.

    Members
    -------
    enable, code : In
        A code to look up, from matrix read.
    codebook : In
        Which codebook the pass uses.
    weight : Out
    write : codebook values from the host
    """

    latency = 1

    def __init__(self, config: EieConfig):
        self.config = config
        super().__init__(
            {
                "enable": In(1),
                "code": In(config.code_bits),
                "codebook": In(config.codebook_bits),
                "weight": Out(signed(config.weight_bits)),
                "write": In(
                    MemoryWrite(config.codebook_bits + config.code_bits, config.weight_bits)
                ),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        m.submodules.values = values = Ram(config.weight_bits, config.codebooks << config.code_bits)
        m.d.comb += [
            values.read_enable.eq(self.enable),
            values.read_address.eq(Cat(self.code, self.codebook)),
            self.weight.eq(values.read_data),
            values.write_enable.eq(self.write.enable),
            values.write_address.eq(self.write.address),
            values.write_data.eq(self.write.data),
        ]
        return m
