"""What every driver of the compiler returns."""

from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from sw.compile.steps import Step

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Result(Generic[Kind]):
    """What the compiler made.

    Attributes
    ----------
    program : a program of some engine
        For :func:`spec.image.write`.
    layers : list of dict
        A JSON-ready summary of each layer.
    steps : list of Step
        The batch after each step.
    notes : tuple of str
        What was assumed about the network.
    """

    program: Kind
    layers: list[dict[str, Any]]
    steps: list[Step]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        config: Any = getattr(self.program, "config", None)
        configured = {"config": config.to_json(), "config_digest": config.digest} if config else {}
        return {
            **configured,
            "layers": self.layers,
            "steps": [asdict(step) for step in self.steps],
            "notes": list(self.notes),
        }
