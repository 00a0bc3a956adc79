"""The project's modules, the floor that each stands on, and what each imports, read from the source."""

import ast
from pathlib import Path

from resources.settings import REPOSITORY

FLOORS = ("workloads", "resources", "mlops_assets", "jobs", "sensors", "faces")
FACES = (
    "mlops_assets/assembly.py",
    "mlops_assets/definitions.py",
    "mlops_assets/cli.py",
    "mlops_assets/commands/",
    "mlops_assets/playground/",
)


def path_of(file: Path) -> str:
    return file.relative_to(REPOSITORY).as_posix()


def files() -> list[Path]:
    return [file for room in FLOORS[:-1] for file in sorted((REPOSITORY / room).rglob("*.py"))]


def floor_of(path: str) -> int:
    return FLOORS.index("faces") if path.startswith(FACES) else FLOORS.index(path.split("/")[0])


def module_of(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def import_graph() -> dict[str, set[str]]:
    """Paths of the project's files, each with those that it imports anywhere, inside of functions too.

    An import under `TYPE_CHECKING` never runs, and does not count. A name imported from a package counts for the module
    of that name if there is one, else for the package's `__init__.py`.
    """
    modules = {module_of(path_of(file)): path_of(file) for file in files()}
    return {path_of(file): _imports(file, modules) - {path_of(file)} for file in files()}


def _imports(file: Path, modules: dict[str, str]) -> set[str]:
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(file.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting.extend(node.orelse)
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {modules.get(name) or modules.get(node.module, "") for name in names}
        elif isinstance(node, ast.Import):
            found |= {modules.get(alias.name, "") for alias in node.names}
        waiting.extend(ast.iter_child_nodes(node))
    return found - {""}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of files that reach each other by imports (Tarjan, 1972), each sorted."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(one: str) -> None:
        number[one] = low[one] = len(number)
        stack.append(one)
        for other in graph[one]:
            if other not in number:
                visit(other)
                low[one] = min(low[one], low[other])
            elif other in stack:
                low[one] = min(low[one], number[other])
        if low[one] == number[one]:
            at = stack.index(one)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for one in graph:
        if one not in number:
            visit(one)
    return found
