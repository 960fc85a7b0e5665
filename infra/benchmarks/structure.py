"""How the code is cut: modules, their sizes, headers, importers, comments; words of the README.

    python infra/benchmarks/structure.py            # this checkout
    python infra/benchmarks/structure.py OTHER      # another one, to compare

Nothing is imported: the files are parsed as text.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

LAYERS = ("flows", "tasks", "ldp_core")
SMALL = 60
"""A module of fewer lines with one importer is usually worth no file of its own."""


@dataclass(frozen=True)
class Module:
    """One source file. ``header`` counts the lines above its first statement that is no import."""

    name: str
    lines: int
    header: int
    comments: int
    functions: tuple[int, ...]
    imports: frozenset[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("root", type=Path, nargs="?", default=Path(__file__).resolve().parents[2])
    parser.add_argument("--list", action="store_true", help="name the small modules with one importer")
    options = parser.parse_args()
    modules = read_modules(options.root)
    alone = small_with_one_importer(modules)
    for name, value in measure(modules, alone, readme=options.root / "README.md").items():
        print(f"{name:52} {value}")
    if options.list:
        print("\n".join(alone))


def measure(modules: list[Module], alone: list[str], *, readme: Path) -> dict[str, str]:
    sizes, total = [m.lines for m in modules], sum(m.lines for m in modules)
    functions = [length for m in modules for length in m.functions]
    longest = max(modules, key=lambda m: m.lines)
    importers, of_module = count_importers(modules), "median and 90th percentile"
    comments = sum(m.comments for m in modules)
    return {
        "modules": str(len(modules)),
        "lines": str(total),
        f"lines of a module, {of_module}": spread_of(sizes),
        "longest module": f"{longest.lines} {longest.name}",
        "share of headers and imports": f"{sum(m.header for m in modules) / total:.1%}",
        "modules with one importer": str(sum(count == 1 for count in importers.values())),
        f"of them under {SMALL} lines and no seam": str(len(alone)),
        "comment lines": f"{comments} ({comments / total:.1%})",
        f"lines of a function, {of_module}": spread_of(functions),
        "words of README.md": str(len(readme.read_text().split())),
    }


def spread_of(lengths: list[int]) -> str:
    return f"{median(lengths):.0f}, {quantiles(lengths, n=10)[-1]:.0f}"


def read_modules(root: Path) -> list[Module]:
    paths = sorted(path for layer in LAYERS for path in (root / layer).rglob("*.py"))
    return [read_module(path, root) for path in paths]


def read_module(path: Path, root: Path) -> Module:
    text = path.read_text()
    tree = ast.parse(text)
    name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    lines = text.count("\n")
    return Module(
        name=name,
        lines=lines,
        header=next((node.lineno - 1 for node in tree.body if not is_header(node)), lines),
        comments=count_comments(text),
        functions=tuple(measure_functions(tree)),
        imports=frozenset(list_imports(tree, name)),
    )


def is_header(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    return isinstance(node, ast.Import | ast.ImportFrom)


def count_comments(text: str) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    marks = (token.string for token in tokens if token.type == tokenize.COMMENT)
    return sum(not re.match(r"#\s*(type: ignore|noqa|pragma)", mark) for mark in marks)


def measure_functions(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                yield (body[-1].end_lineno or 0) - body[0].lineno + 1


def list_imports(tree: ast.Module, importer: str) -> Iterator[str]:
    """Names of modules, and of what may be modules, that a file imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and is_dotted(node.value):
            yield node.value  # a registry names modules as text and imports them late


def is_dotted(text: str) -> bool:
    return re.fullmatch(rf"({'|'.join(LAYERS)})(\.\w+)+", text) is not None


def count_importers(modules: list[Module]) -> dict[str, int]:
    return {m.name: sum(m.name in other.imports for other in modules if other is not m) for m in modules}


def small_with_one_importer(modules: list[Module]) -> list[str]:
    """Small modules that one other module uses, those aside that are entries of a registry or packages."""
    importers, packages = count_importers(modules), {m.name.rpartition(".")[0] for m in modules}
    return [
        m.name
        for m in modules
        if m.lines < SMALL and importers[m.name] == 1 and m.name not in packages and not is_seam(m.name)
    ]


def is_seam(name: str) -> bool:
    """Where users plug in: one file and one line for each layout."""
    return name.startswith("ldp_core.catalogue.layouts.")


if __name__ == "__main__":
    main()
