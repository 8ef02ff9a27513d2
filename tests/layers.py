"""Which part may import which: the arrows of docs/architecture.md, as a table and its checker."""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layer:
    """A package and what its modules may import, besides itself and the standard library."""

    ours: frozenset[str]
    others: frozenset[str]


def _layer(ours: str = "", others: str = "") -> Layer:
    return Layer(frozenset(ours.split()), frozenset(others.split()))


# A module belongs to the longest name here that it begins with.
LAYERS = {
    "spec": _layer("", "numpy safetensors"),
    "hw": _layer("spec", "amaranth numpy"),
    # The package `sw` itself stays empty: whatever it imported, all three parts would import.
    "sw": _layer(),
    "sw.compress": _layer("spec", "numpy torch tqdm mlxtend safetensors matplotlib"),
    "sw.compile": _layer("spec", "numpy torch tqdm safetensors"),
    "sw.host": _layer("spec", "numpy serial tqdm"),
    "sim": _layer(
        "hw sw.host spec",
        "amaranth cocotb cocotb_tools cocotbext efficientnet_lite_pytorch find_libpython "
        "matplotlib numpy PIL tokenizers tqdm",
    ),
    "boards": _layer("hw sim sw.host spec", "amaranth amaranth_boards numpy serial tqdm"),
}

# Scripts that may import everything of ours and all that it may import, each with its reason.
WHOLE_FLOW = {
    "sw.compress.predict": "compiles what was compressed, to tell its cycles",
    "sim.demo": "shows the whole way: trains, compresses, compiles, emits, simulates",
    "sim.bench.targets": "times the whole way, each step by itself",
    "sim.bench.eie": "packs layers without a network, and predicts them",
    "sim.bench.layers": "draws layers as the compiler takes them",
    "sim.bench.patterns": "prunes layers to patterns, and packs them without a network",
    "sim.bench.useful": "compiles a layer that suits an array",
    "sim.bench.designs": "prunes and compiles networks for every design that is compared",
    "sim.bench.subject": "is a torch network and its samples",
    "sim.bench.subjects": "trains, draws or captures the networks to compare them on",
    "sim.bench.transformer": "prunes a torch network, and runs it on arrays",
    "sim.bench.real": "takes layers out of torch networks, and prunes them",
    "sim.bench.real_layers": "compiles them, predicts and simulates",
    "sim.bench.compress_seeds": "runs them on one thread of torch",
    "sim.bench.compress_training": "trains the networks",
    "sim.bench.compress_large": "prunes and shares a large layer",
    "sim.bench.compress_permutation": "permutes random matrices",
    "sim.bench.compress_lenet": "compresses networks, and stores them",
    "sim.bench.compress_fashion": "prunes networks in every way",
    "sim.bench.compress_minilm": "prunes a torch network",
    "sim.bench.reorder": "permutes its channels",
    "sim.bench.bert": "is a torch network",
    "sim.bench.minilm": "loads one",
    "sim.bench.real_nm": "prunes and compiles it, predicts and simulates",
}

EVERYTHING = Layer(
    frozenset(LAYERS), frozenset().union(*(layer.others for layer in LAYERS.values()))
)

UNKNOWN = "<unknown>"


def modules(root: Path) -> dict[str, Path]:
    """Every module of the packages in the table, by its dotted name."""
    tops = sorted({name.partition(".")[0] for name in LAYERS})
    files = [file for top in tops for file in sorted((root / top).rglob("*.py"))]
    return {_module_name(file.relative_to(root)): file for file in files}


def _module_name(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def violations(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """One sentence for each import that the table does not allow ``module``."""
    own = _layer_of(module)
    allowed = EVERYTHING if module in WHOLE_FLOW else LAYERS[own]
    package = module if is_package else module.rpartition(".")[0]
    complaints = []
    for line, target in imports(ast.parse(source), package):
        if target == UNKNOWN:
            complaints.append(f"{module}:{line} imports by a name that is not a literal")
        elif not _is_allowed(target, own, allowed):
            complaints.append(f"{module}:{line} may not import {target}")
    return complaints


def _is_allowed(target: str, own: str, allowed: Layer) -> bool:
    top = target.partition(".")[0]
    if top in LAYERS:
        return _layer_of(target) in allowed.ours | {own}
    if top == "tests":
        return False
    return top in sys.stdlib_module_names or top in allowed.others


def _layer_of(module: str) -> str:
    """The longest name in the table that ``module`` is or lies in."""
    fitting = [name for name in LAYERS if f"{module}.".startswith(f"{name}.")]
    return max(fitting, key=len)


def imports(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything imported, in functions and by ``importlib`` as well.

    ``from a import b`` is told as ``a.b``, which is right if ``b`` is a module and does no harm if
    it is not. Where a name is taken from a table (``import_module(PORTS[device])``), every text of
    the file that looks like a module of ours counts; where there is none, ``UNKNOWN`` is told.
    """
    aliases = {"__import__", "import_module"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = _absolute("." * node.level + (node.module or ""), package)
            yield from ((node.lineno, f"{start}.{name.name}") for name in node.names)
            aliases |= {
                name.asname or name.name for name in node.names if name.name == "import_module"
            }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node.func) in aliases:
            for target in _literal_targets(node, package) or _table(tree) or [UNKNOWN]:
                yield node.lineno, target


def _called(function: ast.expr) -> str | None:
    """The last part of the name of what is called."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def _literal_targets(call: ast.Call, package: str) -> list[str]:
    names = [*call.args[:1], *(word.value for word in call.keywords if word.arg == "name")]
    return [_absolute(text, package) for name in names if (text := _text(name))]


def _table(tree: ast.AST) -> list[str]:
    """Texts that look like a module of ours."""
    ours = "|".join({name.partition(".")[0] for name in LAYERS})
    texts = filter(None, map(_text, ast.walk(tree)))
    return sorted({text for text in texts if re.fullmatch(rf"({ours})(\.\w+)+", text)})


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _absolute(name: str, package: str) -> str:
    """Resolve the leading dots of a relative name: one is the package, each further its parent."""
    dots = len(name) - len(name.lstrip("."))
    if not dots:
        return name
    parents = package.split(".")
    base = parents[: len(parents) - (dots - 1)]
    return ".".join([*base, *filter(None, [name[dots:]])])
