"""The registers in CMSIS-SVD, for debuggers and for those who make crates and headers of them."""

from collections.abc import Iterable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from spec.registers.systemrdl import fields_of
from spec.registers.table import ADDRESS_BITS, BITS, Access, Bits, Register

_ACCESS = {
    Access.READ: "read-only",
    Access.READ_WRITE: "read-write",
    Access.WRITE: "write-only",
}


def svd(registers: Iterable[Register], version: str, base: int = 0) -> str:
    """A device with one peripheral, at the address ``base``."""
    device = Element("device", schemaVersion="1.3")
    _texts(
        device,
        vendor="Skipstone",
        name="SKIPSTONE",
        version=version,
        description="Sparse neural network accelerator",
        addressUnitBits=8,
        width=BITS,
    )
    peripheral = SubElement(SubElement(device, "peripherals"), "peripheral")
    _texts(peripheral, name="SKIPSTONE", description="Its registers", baseAddress=f"0x{base:X}")
    block = SubElement(peripheral, "addressBlock")
    _texts(block, offset="0x0", size=f"0x{1 << ADDRESS_BITS:X}", usage="registers")
    within = SubElement(peripheral, "registers")
    for one in registers:
        _register(within, one)
    ElementTree.indent(device)
    text = ElementTree.tostring(device, "unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _register(within: Element, one: Register) -> None:
    register = SubElement(within, "register")
    _texts(
        register,
        name=one.name,
        description=one.text,
        addressOffset=f"0x{one.address:03X}",
        size=BITS,
        access=_ACCESS[one.access],
        resetValue=f"0x{one.value:08X}",
        resetMask=f"0x{one.mask:08X}",
    )
    fields = SubElement(register, "fields")
    for bits in fields_of(one):
        _field(fields, bits)


def _field(within: Element, bits: Bits) -> None:
    found = SubElement(within, "field")
    _texts(found, name=bits.name, description=bits.text, bitOffset=bits.low, bitWidth=bits.width)
    if bits.values:
        values = SubElement(found, "enumeratedValues")
        for name, (number, text) in bits.values.items():
            _texts(SubElement(values, "enumeratedValue"), name=name, description=text, value=number)


def _texts(within: Element, **texts: object) -> None:
    """A child for each, in order."""
    for name, text in texts.items():
        SubElement(within, name).text = str(text)
