"""all-MiniLM-L6-v2 as ``sim.bench compare`` compares designs on it: its Linear layers run on the
array one by one, everything between them in torch."""

from copy import deepcopy

import numpy as np
import torch
from torch import Tensor

from sim.bench.designs import NM, Design, OnNm
from sim.bench.layer_runs import Recorder
from sim.bench.minilm import batches, load_minilm, tokenize
from sim.bench.real_nm import embed, partners
from sim.bench.sentences import CALIBRATION, HELD_OUT
from sim.bench.subject import Measured, Subject
from sim.devices import open_device
from spec.errors import UserError
from sw.compile.nm.linears import compile_linears
from sw.compress.layers import density, weights
from sw.host.nm.report import summarize


class Transformer(Subject):
    """Sentence embeddings; one is right if the sentence that says the same is the nearest."""

    def __init__(self) -> None:
        self.name = "minilm"
        self.network = load_minilm()
        self.ids, self.mask = tokenize(HELD_OUT)
        self.positions = sum(weight.numel() for weight in weights(self.network).values())
        self.about = {
            "samples": len(self.ids),
            "tokens": self.ids.numel(),
            "weights": "all Linear layers of all-MiniLM-L6-v2, as published",
            "right": "a sentence is right if, of all others, the one that says the same is nearest",
        }

    def dense(self) -> np.ndarray:
        return self.network(self.ids, self.mask).numpy().astype(np.float64)

    def measure(self, design: Design) -> Measured:
        if not isinstance(design, OnNm):
            raise UserError("EIE's compiler takes chains of layers, which a transformer is not")
        pruned = deepcopy(self.network)
        with torch.no_grad():
            for weight in weights(pruned).values():
                weight.mul_(design.choose(weight))
        program = compile_linears(pruned, batches(CALIBRATION), NM, **design.form())
        recorder = Recorder(open_device("golden", NM), program)
        outputs = embed(pruned, recorder, self.ids, self.mask)
        counts = [call.counts for call in sorted(recorder.calls, key=lambda call: call.number)]
        report = summarize(program, self.ids.numel(), counts)
        return Measured(
            pruned(self.ids, self.mask).numpy().astype(np.float64),
            outputs.numpy().astype(np.float64),
            density(pruned),
            design.figures(program, report),
        )

    def right(self, outputs: np.ndarray) -> float:
        embeddings: Tensor = torch.from_numpy(outputs)
        return partners(embeddings) / len(embeddings)
