"""The EIE array in Amaranth's simulator."""

from typing import Any

import numpy as np

from sim.eie.bus import EieBus
from sim.executor import Answer
from sim.pysim import PysimExecutor
from sw.host.port import StillBusyError


class PysimPort(EieBus, PysimExecutor):
    """The EIE array in Amaranth's simulator; parameters are those of
    :class:`sim.pysim.PysimExecutor`."""

    async def _compute(self, context: Any, max_cycles: int, payloads: list[int]) -> Answer:
        """Send writes during the run, and the rest of them behind it."""
        array = self._array
        writes = self._offers(context, array.write, payloads)
        idle, tick = context.tick(), context.tick().sample(writes.ready)
        await self._start(context)
        cycles = 0
        while context.get(array.busy):
            if cycles == max_cycles:
                writes.stop()
                raise StillBusyError(cycles)
            if writes.offer():
                _, _, ready = await tick
                writes.note(ready)
            else:
                await idle
            cycles += 1
        await self._finish(context, "run", writes)
        return Answer(cycles, context.get(array.error), np.zeros(0, np.uint64))
