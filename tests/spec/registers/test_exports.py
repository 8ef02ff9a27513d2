"""What is made from the table, read by those that it is made for: a C compiler, a SystemRDL
compiler, an SVD parser, a JSON parser."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cmsis_svd.model import SVDAccessType, SVDField, SVDPeripheral, SVDRegister
from cmsis_svd.parser import SVDParser
from systemrdl.compiler import RDLCompiler
from systemrdl.node import AddrmapNode, RegNode

from spec.eie.config import preset as eie_preset
from spec.nm.config import preset as nm_preset
from spec.registers.c_access import c_access
from spec.registers.c_header import c_header
from spec.registers.document import markdown, to_json
from spec.registers.svd import svd
from spec.registers.systemrdl import fields_of, systemrdl
from spec.registers.table import BITS, BYTES, Access, Register, registers

pytestmark = pytest.mark.unit

HALVES = ("LOW", "HIGH")

TABLES = {
    "eie": registers([eie_preset("default")]),
    "nm": registers([nm_preset("default")]),
    "both": registers([eie_preset("isca16"), nm_preset("ecp5")]),
}


@pytest.fixture(params=TABLES)
def table(request: pytest.FixtureRequest) -> tuple[Register, ...]:
    return TABLES[request.param]


def told(
    table: tuple[Register, ...], name: Callable[[str], str] = str
) -> dict[str, tuple[int, Access, dict]]:
    """What a reader should find: of each register its address, access and fields; of a field its
    lowest bit, width, reset value and values."""
    return {
        name(one.name): (
            one.address,
            one.access,
            {
                name(bits.name): (
                    bits.low,
                    bits.width,
                    (one.value & bits.mask) >> bits.low,
                    {name(value): number for value, (number, _) in bits.values.items()},
                )
                for bits in fields_of(one)
            },
        )
        for one in table
    }


def test_systemrdl_compiler_reads_every_register(table, tmp_path):
    file = tmp_path / "skipstone.rdl"
    file.write_text(systemrdl(table))
    compiler = RDLCompiler()
    compiler.compile_file(str(file))
    top = compiler.elaborate().top
    assert isinstance(top, AddrmapNode)
    found = {}
    for one in top.children():
        assert isinstance(one, RegNode)
        fields = {
            bits.inst_name: (
                bits.low,
                bits.width,
                bits.get_property("reset"),
                {value.name: value.value for value in bits.get_property("encode") or ()},
            )
            for bits in one.fields()
        }
        software = {bits.get_property("sw").name for bits in one.fields()}
        access = {"r": Access.READ, "rw": Access.READ_WRITE, "w": Access.WRITE}[software.pop()]
        found[one.inst_name] = (one.absolute_address, access, fields)
    assert found == told(table, str.lower)


def test_an_svd_parser_reads_every_register(table, tmp_path):
    file = tmp_path / "skipstone.svd"
    file.write_text(svd(table, "1.2.3"))
    device = SVDParser.for_xml_file(str(file)).get_device(xml_validation=False)
    (peripheral,) = device.peripherals
    assert isinstance(peripheral, SVDPeripheral)
    assert peripheral.registers is not None
    accesses = {
        SVDAccessType.READ_ONLY: Access.READ,
        SVDAccessType.READ_WRITE: Access.READ_WRITE,
        SVDAccessType.WRITE_ONLY: Access.WRITE,
    }
    found = {}
    for one in peripheral.registers:
        assert isinstance(one, SVDRegister)
        assert one.access is not None
        assert one.reset_value is not None
        fields = dict(svd_field(bits, one.reset_value) for bits in one.fields)
        found[one.name] = (one.address_offset, accesses[one.access], fields)
    assert found == told(table)
    assert device.version == "1.2.3"


def svd_field(bits: object, reset: int) -> tuple[str | None, tuple[int, int, int, dict]]:
    """Name of a field, and what :func:`told` says of it."""
    assert isinstance(bits, SVDField)
    assert bits.bit_offset is not None
    assert bits.bit_width is not None
    values = {
        value.name: value.value
        for group in bits.enumerated_values or ()
        for value in group.enumerated_values
    }
    value = (reset >> bits.bit_offset) & ((1 << bits.bit_width) - 1)
    return bits.name, (bits.bit_offset, bits.bit_width, value, values)


def test_a_c_compiler_reads_every_macro(table, tmp_path):
    lines = [f'P("{one.name}", SKIPSTONE_{one.name});' for one in table]
    expected = {one.name: one.address for one in table}
    for one in table:
        if one.constant:
            lines.append(f'P("{one.name} value", SKIPSTONE_{one.name}_VALUE);')
            expected[f"{one.name} value"] = one.value
        for bits in one.fields:
            name = f"{one.name}_{bits.name}"
            own = {"SHIFT": bits.low, "MASK": bits.mask}
            own |= {value: number for value, (number, _) in bits.values.items()}
            for ending, number in own.items():
                lines.append(f'P("{name} {ending}", SKIPSTONE_{name}_{ending});')
                expected[f"{name} {ending}"] = number
    assert run_c(c_header(table), lines, tmp_path) == expected


def test_every_access_in_c_reaches_its_register(table, tmp_path, rng):
    """On a register file in memory, which is filled with random words."""
    memory = {one.address: int(rng.integers(1 << BITS)) for one in table}
    lines = [
        "static uint32_t words[1024];",
        "uintptr_t base = (uintptr_t)words;",
        *(f"words[{at} / 4] = UINT32_C({word});" for at, word in memory.items()),
    ]
    expected = {}
    for one in table:
        name = one.name.lower()
        if one.access is not Access.WRITE:
            lines.append(f'P("{name}", skipstone_read_{name}(base));')
            expected[name] = memory[one.address]
        if name.endswith("_low"):
            stem = name.removesuffix("_low")
            lines.append(f'P("{stem}", skipstone_read_{stem}(base));')
            expected[stem] = memory[one.address] | memory[one.address + BYTES] << BITS
    for one in table:
        name, index = one.name.lower(), one.address // BYTES
        if one.access is not Access.READ:
            word = int(rng.integers(1 << BITS))
            lines.append(f"skipstone_write_{name}(base, UINT32_C({word}));")
            lines.append(f'P("written {name}", words[{index}]);')
            expected[f"written {name}"] = word
        if one.access is Access.WRITE:
            for bits in one.fields:
                lines.append(f"skipstone_{bits.name.lower()}(base);")
                lines.append(f'P("done {bits.name}", words[{index}]);')
                expected[f"done {bits.name}"] = bits.mask
    assert run_c(c_header(table), lines, tmp_path, c_access(table, "registers.h")) == expected


def test_c_code_finds_out_what_is_there(table, tmp_path):
    """The right device, none, an older table of registers, a newer one, another configuration."""
    constants = {one.name: one for one in table if one.constant}
    status = next(one for one in table if one.name == "STATUS")
    engines = [name[:-11].lower() for name in constants if name.endswith("_DIGEST_LOW")]
    lines = ["static uint32_t words[1024];", "uintptr_t base = (uintptr_t)words;"]
    lines += [
        f"words[{one.address // BYTES}] = UINT32_C({one.value});" for one in constants.values()
    ]
    asks = ["is_there", *(f"is_{engine}" for engine in engines)]
    expected = {}
    changes = {"nothing": [], "IDENTITY": ["is_there"], "VERSION": ["is_there"]}
    changes |= {f"{one.upper()}_DIGEST_{half}": [f"is_{one}"] for one in engines for half in HALVES}
    for name, wrong in changes.items():
        at = "words[1023]" if name == "nothing" else f"words[{constants[name].address // BYTES}]"
        lines.append(f"{at}--;")
        for ask in asks:
            lines.append(f'P("{name} {ask}", skipstone_{ask}(base));')
            expected[f"{name} {ask}"] = int(ask not in wrong)
        lines.append(f"{at}++;")
    version = constants["VERSION"].address // BYTES
    for name, step, found in (("minor", 1, 1), ("major", 1 << 16, 0)):
        lines.append(f"words[{version}] += {step};")
        lines.append(f'P("newer {name}", skipstone_is_there(base));')
        expected[f"newer {name}"] = found
    # Waiting gives up while a bit is set, and does not care for other bits.
    lines.append(f"words[{status.address // BYTES}] = 2;")
    for mask, found in ((2, 0), (3, 0), (1, 1)):
        lines.append(f'P("wait {mask}", skipstone_wait(base, {mask}, 5));')
        expected[f"wait {mask}"] = found
    assert run_c(c_header(table), lines, tmp_path, c_access(table, "registers.h")) == expected


def run_c(header: str, lines: list[str], folder: Path, access: str = "") -> dict[str, int]:
    """Compile strictly, run, and give what was printed."""
    (folder / "registers.h").write_text(header)
    (folder / "access.h").write_text(access)
    (folder / "main.c").write_text(
        "#include <stdio.h>\n"
        '#include "registers.h"\n#include "registers.h"\n'
        '#include "access.h"\n#include "access.h"\n'
        '#define P(name, value) printf("%s=%lu\\n", name, (unsigned long)(value))\n'
        "int main(void) {\n" + "\n".join(lines) + "\nreturn 0;\n}\n"
    )
    strict = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"]
    subprocess.run(["cc", *strict, "main.c", "-o", "main"], cwd=folder, check=True)
    said = subprocess.run(["./main"], cwd=folder, check=True, capture_output=True, text=True)
    pairs = (line.split("=") for line in said.stdout.splitlines())
    return {name: int(number) for name, number in pairs}


def test_json_has_everything(table):
    found = {
        one["name"]: (
            one["address"],
            Access(one["access"]),
            {
                bits["name"]: (
                    bits["low"],
                    bits["width"],
                    (one["reset"] >> bits["low"]) & ((1 << bits["width"]) - 1),
                    {value["name"]: value["value"] for value in bits["values"]},
                )
                for bits in one["fields"]
            },
        )
        for one in json.loads(json.dumps(to_json(table)))
    }
    expected = told(table)
    for one in table:
        if not one.fields:  # a number has no field here
            address, access, _ = expected[one.name]
            expected[one.name] = (address, access, {})
    assert found == expected


def test_the_table_for_people_has_a_line_for_each_register_and_field(table):
    lines = markdown(table).splitlines()
    assert len(lines) == 2 + len(table) + sum(len(one.fields) for one in table)
    assert all(line.count("|") == 6 for line in lines)
    for one in table:
        assert any(f"`0x{one.address:03X}` | `{one.name}` | {one.access.value}" in x for x in lines)
