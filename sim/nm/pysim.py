"""The N:M array in Amaranth's simulator."""

from typing import Any

import numpy as np

from sim.executor import Answer
from sim.limbs import split
from sim.nm.bus import NmBus
from sim.pysim import PysimExecutor
from sw.host.port import StillBusyError


class PysimPort(NmBus, PysimExecutor):
    """The N:M array in Amaranth's simulator; parameters are those of
    :class:`sim.pysim.PysimExecutor`."""

    async def _compute(self, context: Any, max_cycles: int, payloads: list[int]) -> Answer:
        """Serve both streams until the run ends."""
        array = self._array
        loads = self._offers(context, array.i, payloads)
        results = self._takes(context, array.o)
        tick = context.tick().sample(loads.ready, results.valid, results.payload)
        await self._start(context)
        cycles = 0
        while context.get(array.busy) and cycles < max_cycles:
            loads.offer()
            results.accept()
            _, _, ready, valid, payload = await tick
            loads.note(ready)
            results.note(valid, payload)
            cycles += 1
        loads.stop()
        results.stop()
        if context.get(array.busy):
            raise StillBusyError(cycles)
        taken = np.array([loads.done], np.uint64)
        limbs = split(results.payloads, self.config.result_limbs).ravel()
        return Answer(cycles, context.get(array.error), np.concatenate([taken, limbs]))
