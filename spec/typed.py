"""Objects of JSON values whose types are checked: what a file's metadata holds is not to be
trusted."""

from dataclasses import fields
from typing import Any, TypeVar, get_args

Item = TypeVar("Item")


def build(kind: type[Item], values: dict[str, Any]) -> Item:
    """A dataclass's object; a :class:`TypeError` names a field of another type, or one that the
    class has not."""
    for field in fields(kind):  # type: ignore[arg-type]
        check_type(kind.__name__, field.name, values[field.name], field.type)
    return kind(**values)


def flag(values: dict[str, Any], name: str) -> bool:
    """A truth value among others."""
    check_type("", name, values[name], bool)
    return values[name]


def count(values: dict[str, Any], name: str) -> int:
    """A whole number among others."""
    check_type("", name, values[name], int)
    return values[name]


def check_type(owner: str, name: str, value: object, wanted: Any) -> None:
    kinds = (*get_args(wanted), wanted)
    if type(value) not in kinds and not (wanted is float and type(value) is int):
        raise TypeError(f"{owner}.{name} is {value!r}".lstrip("."))
