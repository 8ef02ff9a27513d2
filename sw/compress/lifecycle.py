"""One life cycle for every way to prune: prepare, step, finalize.

:func:`prepare` copies a network and chooses; :meth:`Compression.step` follows each step of the
user's own optimizer; :meth:`Compression.finalize` leaves plain tensors with zeros. An example that
is run stands in ``docs/compress/index.md``.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spec.errors import UserError
from sw.compress import penalties
from sw.compress import schedule as schedules
from sw.compress.choice import chosen_layers, chosen_patterns, densities
from sw.compress.coupling import removed, together
from sw.compress.criteria.base import Batches, Context, Criterion, Loss, lasting
from sw.compress.criteria.parse import parse as parse_criterion
from sw.compress.criteria.table import check
from sw.compress.layers import weights
from sw.compress.patterns import Pattern
from sw.compress.penalties import Penalty
from sw.compress.prune import Masks
from sw.compress.schedule import Schedule
from sw.compress.schedule.base import Pruning


@dataclass(frozen=True, eq=False)
class Finished:
    """A pruned network.

    Attributes
    ----------
    model : nn.Module
        Plain dense tensors with zeros; with the pattern ``channel`` smaller ones, without.
    masks : Masks
        What stayed, in the shapes before anything was removed.
    """

    model: nn.Module
    masks: Masks


class Compression:
    """A network on its way to zeros; :func:`prepare` makes it.

    Attributes
    ----------
    model : nn.Module
        To be trained. A schedule may have put masks in front of its weights until
        :meth:`finalize`.
    """

    def __init__(self, pruning: Pruning, plan: Schedule, penalty: Penalty | None):
        self.model = pruning.context.model
        self._pruning = pruning
        self._plan = plan
        self._penalty = penalty
        self._owed = self._finished = False
        self._course = plan.begin(pruning)

    @property
    def masks(self) -> Masks:
        """What stays, as of the latest pruning; empty before the first."""
        return self._pruning.masks

    def penalty(self) -> Tensor:
        """What the schedule and the regularization add to the loss: a scalar, often 0."""
        parts = [self._course.penalty()]
        if self._penalty is not None:
            parts.append(self._penalty(self.model, self._pruning.weights))
        self._owed = False
        return torch.stack([part for part in [*parts, torch.zeros(())] if part is not None]).sum()

    def step(self) -> None:
        """To be called after each step of the optimizer: zeros are restored, more is pruned.

        Raises
        ------
        UserError
            If a gradient is NaN or infinite, or a penalty was not asked for.
        """
        self._refuse_finished()
        if self._owed:
            raise UserError(
                "this compression trains with a penalty: add compression.penalty() to each loss"
            )
        self._pruning.refuse_broken_gradients()
        self._course.step()
        self._owed = self._penalty is not None or self._course.penalizes

    def finalize(self) -> Finished:
        """Leave a plain network, pruned as far as asked for, however long it was trained."""
        self._refuse_finished()
        self._finished = True
        self._course.finish()
        self._pruning.refuse_broken()
        return Finished(removed(self._pruning), self.masks)

    def parameters(self, model: nn.Module) -> list[nn.Parameter]:
        """What an optimizer is to change: everything."""
        return list(model.parameters())

    @contextmanager
    def keep(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Within this context each step of the optimizer is a :meth:`step`, as
        :func:`sw.compress.train.fit` wants it."""
        self._refuse_finished()
        if model is not self.model:
            raise UserError("train compression.model: it is a copy of the network that was given")
        handle = optimizer.register_step_post_hook(lambda *_: self.step())
        try:
            yield
        finally:
            handle.remove()

    def _refuse_finished(self) -> None:
        if self._finished:
            raise UserError("this compression is finalized: prepare another one")


def prepare(
    model: nn.Module,
    pattern: str | Pattern | Mapping[str, str | Pattern] = "unstructured",
    *,
    density: float | Mapping[str, float] | None = None,
    scope: str = "layer",
    criterion: str | Criterion = "magnitude",
    schedule: str | Schedule = "one-shot",
    penalty: str | Penalty | None = None,
    layers: Iterable[str] | None = None,
    batches: Batches | None = None,
    loss: Loss = nn.functional.cross_entropy,
    inplace: bool = False,
) -> Compression:
    """Begin to prune a network.

    Parameters
    ----------
    model : nn.Module
        Not changed, but if ``inplace``.
    pattern : text, Pattern, or mapping of layer name to one
        Where zeros may stand: :func:`sw.compress.patterns.parse`.
    density : float or mapping of layer name to float
        Share of the weights that stay, 0...1. N:M has its own.
    scope : str
        ``layer``: each layer keeps the density. ``global``: all layers together do.
    criterion : text or Criterion
        Which weights matter: :mod:`sw.compress.criteria`.
    schedule : text or Schedule
        When to prune how much: :mod:`sw.compress.schedule`.
    penalty : text or function, optional
        Regularization: :mod:`sw.compress.penalties`.
    layers : names, optional
        Only these; default is those that ``pattern`` or ``density`` name, or else all (with the
        pattern ``channel``, all that can be removed).
    batches, loss
        Calibration data, for criteria that run the network: :class:`Context`. A ``DataLoader`` is
        read through once, and its batches are kept.
    inplace : bool
        Prune ``model`` itself instead of a copy.

    Raises
    ------
    UserError
        For what does not exist, is out of range, or has no meaning. The network is as it was then.
    """
    batches = lasting(batches)
    chosen = chosen_layers(model, layers, pattern, density, batches)
    own = model if inplace else _copied(model)
    judge, plan = parse_criterion(criterion), schedules.parse(schedule)
    found = weights(own, chosen)
    kinds = chosen_patterns(found, pattern)
    for name, kind in kinds.items():
        check(kind, judge, layer=name)
    goals = densities(kinds, density, scope)
    context = Context(own, found, batches, loss)
    pruned = {n: k for n, k in kinds.items() if not isinstance(goals, Mapping) or goals[n] < 1}
    judge = together(judge, own, pruned, context.example)
    pruning = Pruning(context, kinds, judge, goals)
    return Compression(pruning, plan, penalties.parse(penalty))


def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except RuntimeError as error:  # tensors that others were computed from
        raise UserError(
            "the network cannot be copied, as it holds computed tensors (of torch.nn.utils.prune "
            "or weight_norm): make it plain first (sw.compress.interop.plain)"
        ) from error
