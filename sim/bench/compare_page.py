"""The page of what patterns cost and lose, made from ``results/nm_compare.json``."""

from collections.abc import Sequence

from sim.bench.compare import RIVALS, causes
from sim.bench.markdown import percent, table
from sim.bench.subjects import NONZERO

PLOT = "compare.svg"
SHOWN = "bert-3072x768"
"""The layer of the plot."""

_HEAD = """\
# Patterns compared

**Promise.** Pruned, and nothing is faster? One command says how many cycles a layer or a network
takes in every pattern, on arrays of {multipliers} multipliers each, how many bits it stores, and
what it loses:

    python -m sim.bench compare bert-3072x768
    python -m sim.bench compare 512x512x64 --json
    python -m sim.bench compare net.pt2 --calibrate x.npy --input test.npy --labels classes.npy

2:4, 1:4, tile-wise, TVW (tile-wise with 2:4 inside) and block-sparse matrices run on the
[N:M array](nm.md), unstructured ones on [EIE](eie.md), with a processing element per multiplier
(256 PEs x 1) and with eight images at once (32 PEs x 8).

This page is made by `python -m sim.bench page` from `results/nm_compare.json`, which
`python -m sim.bench compare` writes. Cycles are those of the cycle models, which the RTL is held
to; outputs are the golden models', bit for bit.

![Speed of each pattern, and its error against its storage]({plot})

Read with this in mind:

- **Layers are random**: normally distributed weights and activations. Their cycles are those of any
  layer of these sizes and densities, their errors are not: trained networks stand below.
- **Nothing is trained again after pruning.** *Error* is the L2 norm of the outputs' difference to
  those of the dense layer in floating point, as a part of theirs; pruning, quantization and weight
  sharing are in it. It ranks patterns; training on with the zeros
  ([compression](compress/index.md)) wins back most of what is lost.
- **Activations**: {relu} of them not zero, as behind a ReLU, and all of them not zero, as in a
  transformer; columns that name neither are of the latter. The N:M array does not skip zero
  activations, EIE does.
- **Loading.** The N:M array streams weights and activations in 256-bit words, and all of that is
  in its cycles. EIE keeps weights in memories of its own, and the activations between two layers:
  its cycles are of computing alone. *Loaded* adds what the host writes into it if the layer or
  network runs only once, in 64-bit words, where that is not hidden: the weights, and each image's
  inputs, one in a word. With weights in place the inputs remain.
- *% used* is of all multiplier slots. On the N:M array each weight that the pattern keeps counts,
  for each token, whatever the activation; on EIE only products of two numbers that are not zero.
- **Multipliers are as many, not as large**: 8 × 8 bits in the N:M array, 16 × 16 in EIE.
- *Bits* are all stored words (N:M: weights, places, offsets, parameters; EIE: entries and
  pointers), per weight of the dense matrix, which has 8.
"""

_TVW = """
## TVW at 75 % against the others

How many times as fast TVW is, with as many zeros (but for the dense matrix). The paper's figures
({source}) stand beside: they are of a GPU's time, ours of an array's cycles.

"""

_DENSE = """
**Against dense.** {ours} times as fast on BERT's layers, where four would be all that 75 % of zeros
can give, and at least {target} was aimed at: gathering takes no cycles, and 2:4 inside the tiles
keeps every multiplier at work. What is lost is the first tiles' loading. With few tokens
({small}) the load stream is the bound, and the gain is that of the stored bits.
"""

_BLOCKS = """
**Against block-sparse.** {ours} times: here blocks are no slower. The gather stage takes any set of
inputs per strip, so blocks of a strip by a line cost what tile-wise sparsity costs. What TVW buys
on this machine is not time but accuracy: its error on {layer} is {tvw}, that of blocks {blocks}.
"""

_ONE_OF_FOUR = """
**Against 1:4**, which GPUs do not have: 1:4 takes as long ({ours} times), needs no offsets
({one} instead of {tvw} bits) and loses less ({one_error} instead of {tvw_error} on {layer}). On
this array TVW is for more zeros than that: at 87.5 % it is {more} times as fast as dense.
"""

_FREE = """
**Against unstructured**, without EIE's loading: {full} (256 PEs x 1) and {full_lanes} (32 PEs x 8)
times with all activations at work, {relu} and {relu_lanes} with {density} of them. EIE was built
for such matrices, and skips zero activations besides, so with a multiplier per PE it is the faster
one where many are zero, and unstructured pruning loses least ({free} on {layer}). Eight images at
once share their weights, and a zero of one is seldom a zero of all. On a single token ({few}:
{vector} and {vector_lanes}, {density} not zero) EIE is far ahead, as long as its weights are in
place: the N:M array streams them, and has nothing to do for all but one of its columns. A GPU has
no such machine: there unstructured zeros are the slow ones. On the N:M array they would run as a
dense matrix, and TVW gains what it gains over dense.
"""


def page(document: dict) -> str:
    """The page as Markdown; equal documents give equal pages."""
    relu = percent(NONZERO["relu"])
    head = _HEAD.format(plot=PLOT, multipliers=document["multipliers"], relu=relu)
    parts = [head, _tvw(document)]
    layers = {}
    for subject in document["subjects"]:
        if "acts" in subject:
            layers.setdefault(subject["name"], {})[subject["acts"]] = subject
    parts += [_layer(own) for own in layers.values()]
    parts += [_network(one) for one in document["subjects"] if "acts" not in one]
    return "".join(parts)


def _tvw(document: dict) -> str:
    """TVW and its rivals, figures and what they say."""
    rows, published = [], document["published"]
    for row in document["tvw"]["rows"]:
        rows.append(
            [row["name"], density_of(row["acts"]), *(_times(row["times"][r]) for r in RIVALS)]
        )
    for kind, means in document["tvw"]["bert_geomean"].items():
        rows.append(["BERT, geometric mean", density_of(kind), *(_times(means[r]) for r in RIVALS)])
    paper = [published.get(rival.partition("-75/")[0], published.get(rival)) for rival in RIVALS]
    rows.append(["paper, GPU", "", *map(_times, paper)])
    head = ["layer", "activations not zero", *titles(document["subjects"][0], RIVALS)]
    text = _TVW.format(source=published["source"].partition(",")[0])
    return f"{text}{table(head, rows)}{_said(document)}"


def _said(document: dict) -> str:
    """A paragraph on each rival."""
    means = document["tvw"]["bert_geomean"]
    shown = find(document, SHOWN, "full")["designs"]
    few = min((one for one in document["subjects"] if "acts" in one), key=lambda one: one["tokens"])
    times = {
        row["acts"]: row["times"] for row in document["tvw"]["rows"] if row["name"] == few["name"]
    }
    one_each, lanes = (rival for rival in RIVALS if rival.startswith("unstructured"))
    return (
        _DENSE.format(
            ours=_times(means["full"]["dense"]),
            target=document["target"],
            small=f"{few['name']}, {_tokens(few)}: {_times(times['full']['dense'])}",
        )
        + _BLOCKS.format(
            ours=_times(means["full"]["block-75"]),
            layer=SHOWN,
            tvw=_error(shown["tvw-75"]),
            blocks=_error(shown["block-75"]),
        )
        + _ONE_OF_FOUR.format(
            ours=_times(shown["1:4"]["cycles"] / shown["tvw-75"]["cycles"]),
            one=f"{shown['1:4']['bits_per_position']:.2f}",
            tvw=f"{shown['tvw-75']['bits_per_position']:.2f}",
            one_error=_error(shown["1:4"]),
            tvw_error=_error(shown["tvw-75"]),
            more=_times(shown["tvw-87.5"]["speedup"]),
            layer=SHOWN,
        )
        + _FREE.format(
            full=_times(means["full"][one_each]),
            full_lanes=_times(means["full"][lanes]),
            relu=_times(means["relu"][one_each]),
            relu_lanes=_times(means["relu"][lanes]),
            density=density_of("relu"),
            free=_error(shown[one_each]),
            layer=SHOWN,
            few=few["name"],
            vector=_times(times["relu"][one_each]),
            vector_lanes=_times(times["relu"][lanes]),
        )
    )


def _tokens(subject: dict) -> str:
    return f"{subject['tokens']} token{'s'[: subject['tokens'] > 1]}"


def _layer(own: dict[str, dict]) -> str:
    """A layer with both kinds of activations, which are alike but on EIE."""
    relu, full = own["relu"], own["full"]
    rows = []
    for key, one in full["designs"].items():
        both = relu["designs"][key], one
        rows.append(
            [
                one["title"],
                one["machine"],
                *(each["cycles"] for each in both),
                *(_times(each["speedup"]) for each in both),
                _times(one["loaded_speedup"]),
                *(f"{100 * each['utilization']:.1f}" for each in both),
                f"{one['bits_per_position']:.2f}",
                f"{one['bits'] / 8 / 1024:.0f}",
                _error(one),
                causes(one["lost"]),
            ]
        )
    kinds = [density_of(kind) for kind in own]
    head = ["pattern", "machine", *(f"cycles, {kind}" for kind in kinds)]
    head += [f"speed, {kind}" for kind in kinds] + ["loaded"]
    head += [f"% used, {kind}" for kind in kinds] + ["bits", "KB", "error", "lost to"]
    text = f"{full['outputs']} outputs, {full['inputs']} inputs, {_tokens(full)}; a random layer."
    return f"\n## {full['name']}\n\n{text}\n\n{table(head, rows)}"


def _network(subject: dict) -> str:
    """A trained network; what an engine refuses is told below the table."""
    rows, refused = [], {}
    for one in subject["designs"].values():
        if "refused" in one:
            refused[one["refused"]] = one["machine"].partition(",")[0]
            continue
        rows.append(
            [
                one["title"],
                one["machine"],
                one["cycles"],
                _times(one["speedup"]),
                _times(one["loaded_speedup"]),
                f"{100 * one['utilization']:.1f}",
                f"{one['bits_per_position']:.2f}",
                f"{one['bits'] / 8 / 1024:.0f}",
                _error(one),
                "" if one["right"] is None else percent(one["right"]),
                causes(one["lost"]),
            ]
        )
    head = ["pattern", "machine", "cycles", "speed", "loaded", "% used", "bits", "KB", "error"]
    text = f"{subject['weights']}; {subject['samples']} samples at once."
    if subject["right_in_float"] is not None:
        right = percent(subject["right_in_float"])
        text += f" In floating point {right} are right:\n{subject['right']}."
    text += "\nEvery layer is pruned alike, and none trained again."
    text = text[0].upper() + text[1:]
    parts = [f"\n## {subject['name']}\n\n{text}\n\n", table([*head, "right", "lost to"], rows)]
    parts += [f"\nNot run on {machine}: {why}.\n" for why, machine in refused.items()]
    return "".join(parts)


def find(document: dict, name: str, acts: str) -> dict:
    """A layer with a kind of activations."""
    return next(
        one for one in document["subjects"] if (one["name"], one.get("acts")) == (name, acts)
    )


def titles(subject: dict, keys: Sequence[str]) -> list[str]:
    """Designs by name; those that are not on the N:M array with their machine."""
    named = [subject["designs"][key] for key in keys]
    return [
        one["title"] if one["machine"] == "N:M array" else f"{one['title']}, {one['machine']}"
        for one in named
    ]


def density_of(kind: str | None) -> str:
    """Of a kind of activations, for people."""
    return f"{100 * NONZERO[kind]:g} %" if kind else ""


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _error(one: dict) -> str:
    return f"{one['error']:.2f}"
