"""The cocotb test that serves a port of the EIE array."""

from typing import Any

import cocotb
import numpy as np

from sim.cocotb_server import NO_WORDS, Outcome, Server
from sim.protocol import Status


class EieServer(Server):
    """The ports of the EIE array."""

    async def run(self, limit: int, words: np.ndarray) -> Outcome:
        """Send writes during the run, and the rest of them behind it."""
        await self.start()
        writes = self.offers("write", words)
        sender = cocotb.start_soon(writes.send())
        cycles = await self.count(limit)
        if cycles is None:
            sender.cancel()
            writes.stop()
            return Status.STILL_BUSY, limit, NO_WORDS
        await self.finish(writes, sender)
        return Status.OK, cycles, NO_WORDS


@cocotb.test()
async def serve(dut: Any) -> None:
    """Serve the port at the other end of the socket."""
    await EieServer.serve(dut)
