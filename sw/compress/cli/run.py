"""``python -m sw.compress MODEL``: prune, share and quantize a network."""

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from spec.eie.config import preset as eie_preset
from spec.errors import UserError
from spec.nm.config import preset as nm_preset
from sw.compress import patterns, penalties, schedule
from sw.compress.choice import losing_channels
from sw.compress.cli import given
from sw.compress.cli.arguments import named
from sw.compress.criteria import parse as criteria
from sw.compress.data import Dataset
from sw.compress.layers import weights
from sw.compress.lifecycle import prepare
from sw.compress.patterns import Pattern
from sw.compress.patterns.groups import Channel
from sw.compress.prune import kept_count
from sw.compress.quantize.base import rounded
from sw.compress.quantize.fixed16 import fixed_weights
from sw.compress.quantize.int8 import int8_weights
from sw.compress.report import Report, report
from sw.compress.scan import propose, read
from sw.compress.share import Codebook, SharedWeights, check_bits, share
from sw.compress.train import Keep, Training, accuracy, fit

CYCLE_SAMPLES = 32
"""Pictures that cycles are predicted on."""


@dataclass(eq=False)
class Outcome:
    """What a command did.

    Attributes
    ----------
    report : Report
    accuracies : dict of stage to float
        On the pictures to test with; empty without data.
    output : path or None
    seconds : float
    """

    report: Report
    accuracies: dict[str, float]
    output: Path | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return {
            "accuracy": self.accuracies,
            "report": self.report.to_json(),
            "output": None if self.output is None else str(self.output),
            "seconds": self.seconds,
        }

    def table(self) -> str:
        """The report, and accuracies."""
        parts = [self.report.table()]
        if self.accuracies:
            told = [f"{stage} {value:.2%}" for stage, value in self.accuracies.items()]
            parts.append(f"accuracy: {', '.join(told)}")
        if self.output is not None:
            parts.append(f"{self.output}: {self.output.stat().st_size} bytes")
        return "\n\n".join(parts) + f"; {self.seconds:.1f} s"


@dataclass(eq=False)
class _Work:
    """A network on its way, and what is measured of it."""

    arguments: argparse.Namespace
    data: Dataset | None
    accuracies: dict[str, float] = field(default_factory=dict)

    def note(self, stage: str, model: nn.Module) -> None:
        if self.data is not None:
            test = self.data.test_images, self.data.test_labels
            self.accuracies[stage] = accuracy(model, *test)

    def train(self, model: nn.Module, option: str, keep: Keep | None, title: str) -> None:
        """As many steps as an option says."""
        steps = getattr(self.arguments, option)
        if steps == 0:
            return
        if self.data is None:
            raise UserError(f"--{option.replace('_', '-')} {steps}: training takes --data")
        training = Training(steps, self.arguments.rate, batch=self.arguments.batch)
        images, labels = self.data.train_images, self.data.train_labels
        fit(model, images, labels, training, seed=self.arguments.seed, keep=keep, title=title)

    @property
    def layers(self) -> list[str] | None:
        given_layers = self.arguments.layers
        return None if given_layers is None else given_layers.split(",")


def run(arguments: argparse.Namespace) -> Outcome:
    """Do what the command line says."""
    began = time.monotonic()
    given.check_output(arguments.output)
    if not (_prunes(arguments) or arguments.share or arguments.quantize or arguments.train):
        raise UserError("there is nothing to do: give --pattern, --density, --share or --quantize")
    _check(arguments)
    own = given.network(arguments)
    work = _Work(arguments, given.pictures(arguments, own))
    model = own.model
    work.note("given", model)
    if arguments.train:
        work.train(model, "train", None, "train")
        work.note("trained", model)
    if _prunes(arguments):
        model = _prune(work, model)
        work.note("pruned", model)
    model, books = _values(work, model)
    found = _report(work, model, books)
    if arguments.output is not None:
        own.save(model, arguments.output, work.data)
    return Outcome(found, work.accuracies, arguments.output, time.monotonic() - began)


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what is wrong in itself, before anything is trained."""
    every, some = named("density", arguments.density, float)
    for layer, part in {"all layers": every, **some}.items():
        if part is not None:
            kept_count(1, part, layer)
    named("pattern", arguments.pattern, patterns.parse)
    criteria.parse(arguments.criterion)
    schedule.parse(arguments.schedule)
    penalties.parse(arguments.penalty)
    bits, some_bits = named("share", arguments.share, int)
    for one in (bits, *some_bits.values()):
        if one is not None:
            check_bits(one)
    eie_preset(arguments.eie)
    nm_preset(arguments.nm)


def _prunes(arguments: argparse.Namespace) -> bool:
    return bool(arguments.pattern or arguments.density or arguments.from_scan)


def _prune(work: _Work, model: nn.Module) -> nn.Module:
    arguments = work.arguments
    plan = schedule.parse(arguments.schedule)
    if plan != schedule.OneShot() and arguments.steps == 0:
        raise UserError(f"--schedule {plan} prunes while the network is trained: give --steps")
    kinds, densities = _choice(work, model)
    compression = prepare(
        model,
        kinds,
        density=densities,  # type: ignore[arg-type] -- None of layers whose pattern has its own
        scope=arguments.scope,
        criterion=arguments.criterion,
        schedule=plan,
        penalty=arguments.penalty,
        batches=given.calibration(arguments, work.data),
    )
    work.train(compression.model, "steps", compression, "prune")
    return compression.finalize().model


def _choice(
    work: _Work, model: nn.Module
) -> tuple[dict[str, str | Pattern], dict[str, float | None] | float]:
    """A pattern for each layer that is pruned; and their densities, or that of all together."""
    arguments = work.arguments
    every, some = named("density", arguments.density, float)
    if arguments.from_scan is not None:
        if some or arguments.pattern or work.layers:
            raise UserError("--from-scan says itself which layers are pruned, and how")
        found = propose(read(arguments.from_scan), density=every, loss=arguments.loss)
        weights(model, found.densities)
        return {**found.patterns}, {**found.densities}
    if arguments.loss is not None:
        raise UserError("--loss is a budget for --from-scan")
    kind, kinds = named("pattern", arguments.pattern, patterns.parse)
    layers = list(weights(model, work.layers))
    for option, names in (("pattern", kinds), ("density", some)):
        for name in names:
            if name not in layers:
                raise UserError(f"--{option} {name}=...: no such layer; {', '.join(layers)}")
    if every is None and kind is None:
        # Nothing is said of all layers, so only those are pruned that are named.
        layers = [name for name in layers if name in kinds or name in some]
    elif work.layers is None and isinstance(kind, Channel):
        # As for ``prepare``: all that can lose some, and what is named.
        batches = given.calibration(arguments, work.data)
        free = losing_channels(model, layers, batches)
        layers = [name for name in layers if name in kinds or name in some or name in free]
    chosen = {name: kinds.get(name, kind or patterns.parse("unstructured")) for name in layers}
    if arguments.scope == "global":
        if some or every is None:
            raise UserError("with --scope global, one --density for all layers is needed")
        return {**chosen}, every
    fixed = [kind.fixed_density is not None for kind in chosen.values()]
    # What is said of all layers is not meant for N:M, if there are others.
    densities = {
        name: some.get(name, every if all(fixed) or not has_own else None)
        for (name, has_own) in zip(chosen, fixed, strict=True)
    }
    return {**chosen}, densities


def _values(work: _Work, model: nn.Module) -> tuple[nn.Module, Mapping[str, Codebook]]:
    """Share and quantize; the codebooks that still hold."""
    arguments = work.arguments
    books: Mapping[str, Codebook] = {}
    if arguments.share:
        every, some = named("share", arguments.share, int)
        bits = some if every is None else dict.fromkeys(weights(model, work.layers), every) | some
        shared = SharedWeights(share(model, bits, start=arguments.share_start, seed=arguments.seed))
        work.train(model, "share_steps", shared, "share")
        shared.apply(model)
        books = shared.codebooks
        work.note("shared", model)
    elif arguments.share_steps:
        raise UserError("--share-steps trains shared values: give --share, too")
    if arguments.quantize is None:
        return model, books
    kind, _, per = arguments.quantize.partition(":")
    if kind == "fixed16":
        integers = fixed_weights(model, layers=work.layers)
    else:
        integers = int8_weights(model, "tensor" if per else "row", work.layers)
    model = rounded(model, integers)
    work.note("quantized", model)
    return model, {}


def _report(work: _Work, model: nn.Module, books: Mapping[str, Codebook]) -> Report:
    engine = work.arguments.cycles
    presets = {"eie": work.arguments.eie, "nm": work.arguments.nm}
    if engine is None:
        return report(model, books, **presets)
    if work.data is None:
        raise UserError(f"--cycles {engine}: cycles are predicted on pictures: give --data")
    samples = work.data.test_images[:CYCLE_SAMPLES]
    return report(model, books, samples=samples, engine=engine, **presets)
