"""The cocotb test that serves a port of the N:M array."""

from typing import Any

import cocotb
import numpy as np

from sim.cocotb_server import NO_WORDS, Outcome, Server
from sim.limbs import limbs_for, split
from sim.protocol import Status


class NmServer(Server):
    """The ports of the N:M array."""

    inputs = (*Server.inputs, "i__valid", "o__ready")

    async def run(self, limit: int, words: np.ndarray) -> Outcome:
        """Serve both streams until the run ends."""
        loads, results = self.offers("i", words), self.takes("o")
        await self.start()
        tasks = [cocotb.start_soon(loads.send()), cocotb.start_soon(results.take_all())]
        cycles = await self.count(limit)
        for task in tasks:
            task.cancel()
        loads.stop()
        results.stop()
        if cycles is None:
            return Status.STILL_BUSY, limit, NO_WORDS
        limbs = limbs_for(len(self.dut.o__payload))
        found = split(results.payloads, limbs).ravel()
        return Status.OK, cycles, np.concatenate([np.array([loads.done], np.uint64), found])


@cocotb.test()
async def serve(dut: Any) -> None:
    """Serve the port at the other end of the socket."""
    await NmServer.serve(dut)
