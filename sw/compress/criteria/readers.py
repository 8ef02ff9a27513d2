"""Layers behind a layer: which inputs of theirs are its outputs, and what losing them costs."""

from dataclasses import dataclass

import torch
from torch import Tensor

from spec.errors import UserError
from sw.compress.criteria.base import Context
from sw.compress.criteria.capture import Stage
from sw.compress.criteria.reconstruct import Rows, refit
from sw.compress.flow import Flow
from sw.compress.layers import WEIGHTED


@dataclass(frozen=True)
class Reader:
    """A layer that reads another one's outputs.

    Attributes
    ----------
    stage : Stage
        Itself, and how often it is called.
    outputs : Tensor
        For each of its inputs (a convolution's channels) the number of the output that it is; -1 if
        it is none.
    """

    stage: Stage
    outputs: Tensor

    @property
    def name(self) -> str:
        return self.stage.layers[0]

    def columns(self, inputs: int, count: int) -> Tensor:
        """Where each output stands in the layer's matrix of so many inputs; shape (outputs, ...).

        A convolution's matrix has all channels for each place of the kernel.
        """
        owner = self.outputs.repeat(inputs // len(self.outputs))
        found = [(owner == output).nonzero().flatten() for output in range(count)]
        if len({len(one) for one in found}) > 1:
            raise UserError(f"layer {self.name} does not read all outputs of a layer as often")
        return torch.stack(found)


def readers_of(context: Context, flow: Flow, order: list[Stage], name: str) -> list[Reader]:
    """The layers that read a layer's outputs.

    Raises
    ------
    UserError
        If outputs cannot go, or a layer behind is not among those of the context.
    """
    writes = flow.roots(flow.places[name].writes)
    own = set(writes.tolist())
    for channel, why in (flow.fixed | flow.counted).items():
        if flow.root(channel) in own:
            raise UserError(
                f"layer {name}: its outputs cannot go, as one {why}; give the layer a density of 1"
            )
    number = {channel: at for at, channel in enumerate(writes.tolist())}
    calls = {one: stage.calls for stage in order for one in stage.layers}
    found = []
    for other, place in flow.places.items():
        if other == name or not isinstance(place.layer, WEIGHTED):
            continue
        if own & set(flow.roots(place.writes).tolist()):
            raise UserError(
                f"layer {name}: its outputs go together with those of {other}, which the criterion "
                "least-squares does not do"
            )
        outputs = torch.tensor([number.get(one, -1) for one in flow.roots(place.reads).tolist()])
        if (outputs < 0).all():
            continue
        if other not in context.weights:
            raise UserError(
                f"layer {name}: the criterion least-squares refits the layers behind, so name "
                f"{other} as well, if only with a density of 1"
            )
        found.append(Reader(Stage([other], calls[other]), outputs))
    if not found:
        raise UserError(f"layer {name}: no layer reads its outputs, so none can be refitted")
    return found


def removal_costs(readers: list[Reader], rows: list[Rows], count: int) -> Tensor:
    """By how much the readers' errors have risen when an output goes, in the best order to go.

    Outputs go one by one, always the one that costs least; each time the others make up for it.

    Returns
    -------
    shape (count,), never falling in the order in which outputs go
    """
    left = [
        _Left(one.best.clone(), one.inverse.clone(), reader.columns(len(one.gram), count))
        for reader, one in zip(readers, rows, strict=True)
    ]
    found, risen = torch.zeros(count, dtype=torch.double), 0.0
    there = torch.ones(count, dtype=torch.bool)
    for _ in range(count):
        costs = torch.stack([one.costs() for one in left]).sum(0).clamp(min=0)
        gone = int(torch.where(there, costs, torch.inf).argmin())
        risen += float(costs[gone])
        found[gone] = risen
        there[gone] = False
        for one in left:
            one.remove(gone)
    return found


@dataclass
class _Left:
    """A reader's best weights, and the inverse of its inputs' second moments, of what is left."""

    weight: Tensor
    inverse: Tensor
    columns: Tensor

    def costs(self) -> Tensor:
        """What the removal of each output costs."""
        inverse = self.inverse[self.columns[:, :, None], self.columns[:, None]]
        weight = self.weight[:, self.columns].transpose(0, 1)
        forces = torch.linalg.solve(inverse, weight, left=False)
        return (forces * weight).sum((1, 2))

    def remove(self, output: int) -> None:
        """Let an output go, and the others make up for it, in place."""
        own = self.columns[output]
        step = torch.linalg.solve(self.inverse[own][:, own], self.inverse[own])
        self.weight -= self.weight[:, own] @ step
        self.inverse -= self.inverse[:, own] @ step
        self.weight[:, own] = self.inverse[own] = self.inverse[:, own] = 0.0
        # Costs nothing, and can be inverted.
        self.inverse[own, own] = 1.0


def refit_reader(rows: Rows, inputs: Tensor, like: Tensor) -> Tensor:
    """The best weight of a reader that reads only some of its inputs; shape of ``like``."""
    last = like.movedim(1, -1)
    mask = inputs.repeat(rows.weight.shape[1] // len(inputs)).expand(rows.weight.shape)
    return refit(rows, mask).reshape(last.shape).movedim(-1, 1).to(like.dtype)
