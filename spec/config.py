"""What the configurations of all engines have in common: checks, identity, presets.

No component does width arithmetic of its own: it asks the configuration.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import Field, asdict, fields
from functools import cached_property
from typing import Any, ClassVar, Self, TypeVar

from spec.errors import UserError

IO_DATA_BITS = 64
"""Width of a data word of the host's streams; every word of a memory that it reaches fits in
one."""

PRODUCT_BITS = 62
"""Most bits of a sum and a multiplier together: what requantization makes of them fits in 64."""


def bits_for(largest: int) -> int:
    """Bits of an unsigned field that holds 0...``largest`` (at least one bit)."""
    return max(1, largest.bit_length())


class Config(ABC):
    """The configuration of an engine: a frozen dataclass of whole numbers and truth values.

    Attributes
    ----------
    engine : str
        As image files and command lines call it.
    title : str
        What messages call such a configuration.
    ranges : mapping
        Least and largest value of every field that is a number.
    added : mapping
        Fields that were added, with what had been so before: a configuration of which that is true
        keeps its name, and files without the field are still read.
    """

    engine: ClassVar[str]
    title: ClassVar[str]
    ranges: ClassVar[Mapping[str, tuple[int, int]]]
    added: ClassVar[Mapping[str, int | bool]] = {}

    # What every engine has, and what makes a dataclass; declared here, defined there.
    act_bits: int
    weight_bits: int
    acc_bits: int
    multiplier_bits: int
    shift_bits: int
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __post_init__(self) -> None:
        for name, (low, high) in self.ranges.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                self.refuse(f"{name} = {value!r}, must be an integer from {low} to {high}")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is bool and not isinstance(value, bool):
                self.refuse(f"{field.name} = {value!r}, must be true or false")
        self._check_numbers()
        self.check_together()

    @abstractmethod
    def check_together(self) -> None:
        """Refuse fields that do not go together."""

    def _check_numbers(self) -> None:
        """The accumulator must hold a product, and 64 bits what drain makes of a sum."""
        if self.acc_bits + self.multiplier_bits > PRODUCT_BITS:
            self.refuse(
                f"acc_bits + multiplier_bits = {self.acc_bits} + {self.multiplier_bits}, "
                f"must be at most {PRODUCT_BITS} so that a requantization product fits in 64 bits"
            )
        if self.acc_bits < self.act_bits + self.weight_bits:
            self.refuse(
                f"acc_bits = {self.acc_bits}, must hold one product of "
                f"{self.act_bits} + {self.weight_bits} bits"
            )

    def refuse(self, complaint: str) -> None:
        """Say what is wrong with this configuration."""
        raise UserError(f"{self.title}: {complaint}")

    @property
    def shift_max(self) -> int:
        """The largest shift of a requantization."""
        return (1 << self.shift_bits) - 1

    # Identity

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict) -> Self:
        """Rebuild a configuration; unknown or missing fields raise :class:`UserError`, but for
        those that were added."""
        values = {**cls.added, **values}
        odd = sorted(set(values) ^ cls.names())
        if odd:
            raise UserError(f"{cls.title}: unknown or missing fields {', '.join(odd)}")
        return cls(**values)

    @classmethod
    def names(cls) -> set[str]:
        """Names of all fields."""
        return {field.name for field in fields(cls)}

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits that name this configuration; images and bitstreams carry it. Without
        the fields that were added, as long as they say what was before."""
        named = dict(self.to_json().items() - self.added.items())
        text = json.dumps([self.engine, named], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


AnyConfig = TypeVar("AnyConfig", bound=Config)


def find_preset(
    presets: Mapping[str, AnyConfig], name: str, changes: Mapping[str, object]
) -> AnyConfig:
    """The preset ``name``, of which the fields ``changes`` are to be changed; names that there are
    not raise :class:`UserError`."""
    if name not in presets:
        raise UserError(f"preset {name!r} does not exist; there are {', '.join(presets)}")
    known = presets[name].names()
    for field in changes:
        if field not in known:
            raise UserError(
                f"{presets[name].title} has no field {field!r}; there are "
                f"{', '.join(sorted(known))}"
            )
    return presets[name]
