"""One report on a compressed network: what it takes at each stage, on each engine, and how long.

It answers "why is my pruned network not smaller or faster?": :attr:`Report.reasons` says so in
sentences, :meth:`Report.table` shows the figures, :meth:`Report.to_json` has them all.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from spec.eie.config import EieConfig
from spec.eie.config import preset as eie_preset
from spec.errors import UserError
from spec.nm.config import NmConfig
from spec.nm.config import preset as nm_preset
from sw.compress import reasons, stored
from sw.compress.forms import EieForm, NmForm, eie_form, nm_form
from sw.compress.layers import weights
from sw.compress.report_table import table
from sw.compress.share import Codebook
from sw.compress.stages import FLOAT_BITS, STAGES, Stages, stages

if TYPE_CHECKING:
    from sw.compress.predict import Prediction


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """One layer.

    Attributes
    ----------
    name : str
    shape : tuple of int
    weights, nonzeros : int
        All of them; those that are left.
    stages : Stages
        Bits at each stage.
    eie : EieForm or None
        None of a convolution, which an EIE array does not take.
    nm : NmForm
    """

    name: str
    shape: tuple[int, ...]
    weights: int
    nonzeros: int
    stages: Stages
    eie: EieForm | None
    nm: NmForm

    @property
    def density(self) -> float:
        return self.nonzeros / self.weights

    @property
    def int8_bytes(self) -> int:
        """Dense, a byte each."""
        return self.weights

    def bits(self, stage: str) -> int:
        """Bits at a stage; of one that the layer does not have, those of the stage before."""
        found = self.stages.bits
        return found[stage] if stage in found else found["pruned"]

    def bits_per_weight(self, stage: str) -> float:
        """Of all weights, zeros too."""
        return self.bits(stage) / self.weights

    def to_json(self) -> dict[str, Any]:
        eie = self.eie and asdict(self.eie) | {"bytes": self.eie.bytes}
        per_weight = {stage: self.bits_per_weight(stage) for stage in self.stages.bits}
        return asdict(self) | {
            "shape": list(self.shape),
            "density": self.density,
            "bits_per_weight": per_weight,
            "eie": eie,
            "nm": asdict(self.nm) | {"bytes": self.nm.bytes},
            "int8_bytes": self.int8_bytes,
        }


@dataclass(frozen=True, kw_only=True)
class Report:
    """A network.

    Attributes
    ----------
    layers : tuple of LayerReport
    others : int
        Parameters that are no layer's weight: biases, normalizations. 32 bits each.
    file_bytes : int
        The whole network as a file of :mod:`sw.compress.stored`, all of its tensors and names.
    eie, nm : str
        Digests of the configurations that the stored forms are for.
    prediction : Prediction or None
        Cycles, if samples were given and an array takes the network.
    refusal : str
        Why no array takes it.
    """

    layers: tuple[LayerReport, ...]
    others: int
    file_bytes: int
    eie: str
    nm: str
    prediction: "Prediction | None" = None
    refusal: str = ""

    @property
    def parameters(self) -> int:
        return self.weights + self.others

    @property
    def weights(self) -> int:
        return sum(layer.weights for layer in self.layers)

    @property
    def nonzeros(self) -> int:
        return sum(layer.nonzeros for layer in self.layers)

    @property
    def density(self) -> float:
        """Share of the layers' weights that are left."""
        return self.nonzeros / self.weights

    def bytes(self, stage: str) -> float:
        """Of the whole network; the last stage is the file as it is."""
        if stage == "stored":
            return self.file_bytes
        return (sum(layer.bits(stage) for layer in self.layers) + FLOAT_BITS * self.others) / 8

    def ratio(self, stage: str) -> float:
        """How many times smaller than dense, other parameters counted."""
        return self.bytes("dense") / self.bytes(stage)

    @property
    def reasons(self) -> list[str]:
        """Why it is not smaller, and not faster: a sentence for each cause that there is."""
        return reasons.of(self)

    def to_json(self) -> dict[str, Any]:
        totals = {stage: self.bytes(stage) for stage in STAGES}
        return {
            "parameters": self.parameters,
            "others": self.others,
            "weights": self.weights,
            "nonzeros": self.nonzeros,
            "density": self.density,
            "bytes": totals,
            "ratio": {stage: self.ratio(stage) for stage in STAGES},
            "layers": [layer.to_json() for layer in self.layers],
            "configurations": {"eie": self.eie, "nm": self.nm},
            "prediction": self.prediction and self.prediction.to_json(),
            "refusal": self.refusal,
            "reasons": self.reasons,
        }

    def table(self) -> str:
        """The figures for people, and the reasons."""
        return table(self)


def report(
    model: nn.Module,
    codebooks: Mapping[str, Codebook] | None = None,
    *,
    eie: str | EieConfig = "default",
    nm: str | NmConfig = "default",
    samples: np.ndarray | Tensor | None = None,
    engine: str = "auto",
) -> Report:
    """Report on a network with zeros. It is not changed.

    Parameters
    ----------
    codebooks : mapping of layer name to Codebook, optional
        Those whose values the layers have. Else few distinct weights count as shared ones.
    eie, nm : name of a preset, or a configuration
        Arrays that stored forms and cycles are for.
    samples : floats or uint8, shape (samples, ...), optional
        To predict cycles with, by :func:`sw.compress.predict.predict_cycles`, which needs
        :mod:`sw.compile`.
    engine : "eie", "nm" or "auto"
        That cycles are predicted for.

    Raises
    ------
    UserError
        The network has no layer to report on, a codebook is of other weights, or a preset or
        engine does not exist.
    """
    found, books = weights(model), dict(codebooks or {})
    unknown = sorted(set(books) - set(found))
    if unknown:
        raise UserError(f"a codebook is given for {unknown[0]!r}; there are {', '.join(found)}")
    configs = (
        eie_preset(eie) if isinstance(eie, str) else eie,
        nm_preset(nm) if isinstance(nm, str) else nm,
    )
    parts, names = stored.parts(model), {id(p): name for name, p in model.named_parameters()}
    own = {id(weight) for weight in found.values()}
    layers = tuple(
        _layer(name, weight, books.get(name), parts[names[id(weight)]], *configs)
        for name, weight in found.items()
    )
    prediction, refusal = _predict(model, samples, engine, *configs)
    return Report(
        layers=layers,
        others=sum(p.numel() for p in model.parameters() if id(p) not in own),
        file_bytes=len(stored.to_bytes(parts)),
        eie=configs[0].digest,
        nm=configs[1].digest,
        prediction=prediction,
        refusal=refusal,
    )


def _layer(
    name: str,
    weight: Tensor,
    codebook: Codebook | None,
    part: stored.Part,
    eie: EieConfig,
    nm: NmConfig,
) -> LayerReport:
    return LayerReport(
        name=name,
        shape=tuple(weight.shape),
        weights=weight.numel(),
        nonzeros=int(weight.count_nonzero()),
        stages=stages(name, weight, codebook, part),
        eie=eie_form(weight, eie) if weight.ndim == 2 else None,
        nm=nm_form(weight, nm),
    )


def _predict(
    model: nn.Module,
    samples: np.ndarray | Tensor | None,
    engine: str,
    eie: EieConfig,
    nm: NmConfig,
) -> tuple["Prediction | None", str]:
    """Cycles; or why there are none."""
    if samples is None:
        return None, ""
    # Only here the compiler is needed.
    from sw.compress.predict import ENGINES, predict_cycles

    presets = {"eie": eie, "nm": nm, "auto": (eie, nm)}
    if engine not in ENGINES:
        raise UserError(f"engine {engine!r} is unknown, there are {', '.join(ENGINES)}")
    try:
        return predict_cycles(model, samples, engine, presets[engine]), ""
    except UserError as error:
        return None, str(error)
