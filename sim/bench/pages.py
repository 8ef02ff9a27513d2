"""Pages and plots under ``docs/`` that are made from the files under ``results/``."""

import json
from collections.abc import Iterator
from pathlib import Path

from sim.bench import compare_page, compare_plot, compress_page, eie_page, nm_page, transformer_page
from spec.errors import UserError
from spec.files import read_file, write_file

NINE_LAYERS = "nine_layers.md"
COMPARE = "compare.md"
NM = "nm.md"
TRANSFORMER = "transformer.md"
COMPRESSION = "compress/results.md"


def write(results: Path, docs: Path) -> Iterator[Path]:
    """Write all of them; gives each file that was written."""
    for name, text in texts(results, docs).items():
        yield write_file(docs / name, text.encode())
    for name, draw, document in (
        (eie_page.PLOT, eie_page.plot, "eie_layers"),
        (compare_page.PLOT, compare_plot.plot, "nm_compare"),
    ):
        yield write_file(docs / name, draw(load(results, document)))


def texts(results: Path, docs: Path) -> dict[str, str]:
    """Every page, by its name under ``docs/``. Of those that are written by hand only a section is
    made here."""
    layers, agreement = load(results, "nm_layers"), load(results, "nm_agreement")
    written = {name: read_file(docs / name).decode() for name in (NM, TRANSFORMER)}
    return {
        NINE_LAYERS: eie_page.page(load(results, "eie_layers")),
        COMPARE: compare_page.page(load(results, "nm_compare")),
        NM: nm_page.put(written[NM], nm_page.measured(layers, agreement)),
        TRANSFORMER: nm_page.put(
            written[TRANSFORMER], transformer_page.measured(load(results, "nm_real"))
        ),
        COMPRESSION: compress_page.page(
            {name: load(results, name) for name in compress_page.SECTIONS}
        ),
    }


def load(results: Path, name: str) -> dict:
    """The contents of a result file."""
    file = results / f"{name}.json"
    command = COMMANDS[name]
    if not file.is_file():
        raise UserError(f"{file} is not there; write it with {command}")
    try:
        return json.loads(read_file(file))
    except ValueError:
        raise UserError(f"{file} is no JSON; write it with {command}") from None


COMMANDS = {
    "eie_layers": "python -m sim.bench eie",
    "nm_layers": "python -m sim.bench nm",
    "nm_agreement": "python -m sim.bench nm --on verilator",
    "nm_compare": "python -m sim.bench compare",
    "nm_real": "python -m sim.bench real-nm",
    "compress_lenet_300_100": "python -m sim.bench compress lenet-300-100",
    "compress_lenet_5": "python -m sim.bench compress lenet-5",
    "compress_fashion_nm": "python -m sim.bench compress fashion-nm",
    "compress_fashion_criteria": "python -m sim.bench compress fashion-criteria",
    "compress_minilm": "python -m sim.bench compress minilm",
    "compress_permutation": "python -m sim.bench compress permutation",
    "compress_large": "python -m sim.bench compress large",
}
