"""Which criterion goes with which pattern, and why the others do not."""

from typing import NamedTuple

from spec.errors import UserError
from sw.compress.criteria.base import Criterion
from sw.compress.patterns import Pattern, parse


class Rule(NamedTuple):
    """What a criterion can choose.

    Attributes
    ----------
    judges : str
        What it goes by.
    whole_outputs, parts : bool
        Whether it can choose whole outputs (rows, channels), and what is smaller than those.
    refusal : str
        Why it cannot choose the other; empty if it can.
    """

    judges: str
    whole_outputs: bool = True
    parts: bool = True
    refusal: str = ""


TABLE = {
    "magnitude": Rule("the absolute value of a weight, the norm of a group"),
    "second-order": Rule("what the loss rises by when a weight goes"),
    "regression": Rule(
        "what a layer's own outputs change by",
        whole_outputs=False,
        refusal="it makes up for lost weights by others of the same output, so it can choose "
        "weights, blocks and tiles, not whole outputs; least-squares can",
    ),
    "least-squares": Rule(
        "what the outputs of the layers behind change by",
        parts=False,
        refusal="it says which outputs the layers behind can do without, so it can choose rows "
        "and channels, not parts of them; regression can",
    ),
    "scaling-factor": Rule(
        "what BatchNorm multiplies an output with",
        parts=False,
        refusal="it says which outputs BatchNorm makes small, so it can choose rows and channels, "
        "not parts of them",
    ),
    "activation": Rule(
        "how often an output is not zero",
        parts=False,
        refusal="it says which outputs are seldom used, so it can choose rows and channels, not "
        "parts of them",
    ),
}
"""What each criterion can do, by its name."""

EXAMPLES = (
    "unstructured",
    "2:4",
    "balanced:64",
    "block:16x8",
    "tile:16",
    "tile-vector:16:2:4",
    "row",
    "channel",
)
"""A pattern of each kind."""


def goes_with(pattern: Pattern | str, criterion: Criterion | str) -> bool:
    """Whether a criterion can choose by a pattern. One that is not in the table can."""
    rule = TABLE.get(_name(criterion))
    return rule is None or (rule.whole_outputs if parse(pattern).whole_outputs else rule.parts)


def check(pattern: Pattern | str, criterion: Criterion | str, layer: str = "") -> None:
    """Refuse a pattern that has no meaning with a criterion, in a sentence that says why.

    Parameters
    ----------
    layer : str
        Whose pattern it is, for the sentence.
    """
    if not goes_with(pattern, criterion):
        name, where = _name(criterion), f"layer {layer}: " if layer else ""
        raise UserError(
            f"{where}the criterion {name} does not go with the pattern {pattern}: "
            f"{TABLE[name].refusal}"
        )


def markdown() -> str:
    """The table for the docs."""
    head = ["criterion", "judges by", *(f"`{one}`" for one in EXAMPLES)]
    rows = [
        [
            f"`{name}`",
            rule.judges,
            *("yes" if goes_with(one, name) else "–" for one in EXAMPLES),
        ]
        for name, rule in TABLE.items()
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _name(criterion: Criterion | str) -> str:
    text = criterion if isinstance(criterion, str) else criterion.name
    return text.partition(":")[0]
