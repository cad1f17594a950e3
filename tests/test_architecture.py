"""The walls of docs/design.md, kept by walking the syntax trees of the package."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import ot_distances

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ot_distances"
MODULES = sorted(PACKAGE.rglob("*.py"))
PUBLIC = "public names"

# What the front doors open onto.
DOOR = {"_arrays", "_device", "_resident", "_torch", "measures", "costs", "problem", "certificate", "solvers"}

# Who may import whom: a room, and the rooms it knows. A room that knows PUBLIC may import any public name.
WALLS: dict[str, set[str]] = {
    "_arrays": set(),
    "_show": set(),
    "_device": {"_arrays"},
    "_resident": {"_arrays", "_device"},
    "kernels": set(),
    "problem": {"_arrays", "_show"},
    "measures": {"_arrays", "problem"},
    "costs": {"_arrays", "problem", "kernels"},
    "certificate": {"_arrays", "costs", "problem", "kernels"},
    "solvers": {"_arrays", "_device", "certificate", "costs", "problem", "kernels"},
    "wasserstein": DOOR,
    "assignment": DOOR,
    "textbook": DOOR | {"wasserstein"},
    "verification": DOOR | {"wasserstein"},
    "sliced": DOOR | {"wasserstein"},
    "gaussian": {"_arrays", "_torch", "measures", "problem"},
    "_torch": {"_arrays", "problem"},
    "_terms": set(),
    "_laws": {"_arrays", "problem"},
    "distributions": {"_arrays", "_laws", "_terms", "problem"},
    "divergences": {"_arrays", "_laws", "_terms", "problem", "distributions"},
    "estimators": {"_arrays", "measures", "problem", PUBLIC},
    "pairwise": {"_arrays", "measures", "problem", PUBLIC},
    "inference": {"_arrays", "_show", "measures", "problem", PUBLIC},
    "theta_shift": {"_arrays", "_show", "problem", PUBLIC},
    "plotting": {"_arrays", "problem", PUBLIC},
    "losses": {"_arrays", "problem", PUBLIC},
    "datasets": {"_arrays", "problem"},
    "gan": {"_arrays", "_files", "datasets", "problem", "losses", "plotting", PUBLIC},
    "_files": {"_arrays", "problem"},
    "commands": {"_arrays", "_files", "_show", "gan", "plotting", "problem", PUBLIC},
    "__main__": {"commands", "problem"},
}
# Tables that the ring reads as it reads public names: a new row is a new choice everywhere.
TABLES = {("costs", "METRICS"), ("solvers", "SOLVERS"), ("solvers", "METHODS"), ("theta_shift", "FAMILIES")}
# Arrows against the stream, each inside one function: a result draws itself when asked to.
OUTWARD = {("problem", "plotting", "plot"), ("theta_shift", "plotting", "plot")}

# Imported inside the function that needs them, so that `import ot_distances` stays light; and who is excepted.
HEAVY = {
    "cupy": set(),
    "matplotlib": set(),
    "numba": {"kernels"},
    "ot": set(),
    "pyarrow": set(),
    "scipy.optimize": set(),
    "scipy.sparse": set(),
    "scipy.spatial": set(),
    "scipy.stats": set(),
    "sklearn": set(),
    "torch": {"_torch", "losses", "gan"},
}
LONGEST_FILE = 600
LONGEST_FUNCTION = 60

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    """solvers/line.py -> solvers.line"""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(path: Path) -> str:
    return name_of(path).partition(".")[0]


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def functions_around(tree: ast.AST, inside: str = "") -> Iterator[tuple[ast.AST, str]]:
    """Every node with the name of the innermost function that holds it ("" at module level)."""
    for node in ast.iter_child_nodes(tree):
        yield node, inside
        yield from functions_around(node, node.name if isinstance(node, Function) else inside)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports(path: Path) -> Iterator[tuple[str, list[str], str, bool]]:
    """(module in full, names taken, function around, for types only) of each import in a file."""
    tree = tree_of(path)
    typing_only = {id(node) for block in ast.walk(tree) if is_type_checking(block) for node in ast.walk(block)}
    package = ["ot_distances", *path.relative_to(PACKAGE).parts[:-1]]
    for node, inside in functions_around(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, [], inside, id(node) in typing_only
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module, [alias.name for alias in node.names], inside, id(node) in typing_only


def arrows(path: Path) -> Iterator[tuple[str, str | None, str]]:
    """(room, name taken or None for the room itself, function around) of each import of ours."""
    rooms = {room_of(module) for module in MODULES}
    for module, names, inside, _ in imports(path):
        top, _, rest = module.partition(".")
        if top != "ot_distances":
            continue
        if rest:
            for name in names or [None]:
                yield rest.partition(".")[0], name, inside
        else:  # from . import name: a room, or a public name
            for name in names:
                public = name in ot_distances.__all__ or name not in rooms
                yield ("", name, inside) if public else (name, None, inside)


def forbidden(path: Path) -> list[str]:
    here = room_of(path)
    allowed = WALLS[here]
    wrong = []
    for room, name, inside in arrows(path):
        if room == here or room in allowed or (here, room, inside) in OUTWARD:
            continue
        if PUBLIC in allowed and (name in ot_distances.__all__ or (room, name) in TABLES):
            continue
        wrong.append(f"{name_of(path)} takes {name or 'all'} of {room or 'the package'}")
    return wrong


def test_every_room_has_its_row() -> None:
    assert {room_of(path) for path in MODULES} - {""} <= set(WALLS)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_keep_the_walls(path: Path) -> None:
    if path != PACKAGE / "__init__.py":  # the names of every room meet there
        assert forbidden(path) == []


def test_walls_let_no_room_be_reached_from_within() -> None:
    """The table itself is a stream: no two rooms import each other, even through others."""
    seen: dict[str, set[str]] = {}

    def below(room: str, path: tuple[str, ...] = ()) -> set[str]:
        assert room not in path, f"a circle: {' -> '.join([*path, room])}"
        if room not in seen:
            direct = WALLS[room] - {PUBLIC}
            seen[room] = direct.union(*(below(other, (*path, room)) for other in direct))
        return seen[room]

    for room in WALLS:
        below(room)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_heavy_packages_are_imported_inside_functions(path: Path) -> None:
    for module, names, inside, typing_only in imports(path):
        for full in {module, *(f"{module}.{name}" for name in names)}:
            for heavy, excepted in HEAVY.items():
                if full == heavy or full.startswith(heavy + "."):
                    assert inside or typing_only or room_of(path) in excepted, f"{full} at module level"


@pytest.mark.parametrize("room", sorted({room for excepted in HEAVY.values() for room in excepted}))
def test_heavy_rooms_are_opened_inside_functions(room: str) -> None:
    """A room that imports numba or torch is as heavy as they are."""
    for path in MODULES:
        if room_of(path) in {room, "gan"} or name_of(path) == "commands.gan":  # torch through and through
            continue
        for module, names, inside, typing_only in imports(path):
            full = [module, *(f"{module}.{name}" for name in names)]
            if any(f"{name}.".startswith(f"ot_distances.{room}.") for name in full):
                assert inside or typing_only, f"{name_of(path)} imports {module} at module level"


def compilers(tree: ast.AST) -> Iterator[ast.expr]:
    """Every decorator that numba compiles with."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            for decorator in node.decorator_list:
                name = ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)
                if name.rpartition(".")[2] in {"njit", "jit", "vectorize", "guvectorize"}:
                    yield decorator


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_compiled_functions_are_cached_and_lazy(path: Path) -> None:
    for decorator in compilers(tree_of(path)):
        where = f"line {decorator.lineno}: {ast.unparse(decorator)}"
        assert room_of(path) == "kernels", f"{where} outside kernels/"
        assert isinstance(decorator, ast.Call), f"{where} without cache=True"
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in decorator.keywords}
        assert options.get("cache") == "True", f"{where} without cache=True"
        assert not decorator.args, f"{where} compiles at import"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_is_asserted(path: Path) -> None:
    """`python -O` drops assertions: a user's mistake is raised, our own is tested."""
    assert [node.lineno for node in ast.walk(tree_of(path)) if isinstance(node, ast.Assert)] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_and_functions_are_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_FILE
    if room_of(path) == "kernels":
        return
    for node in ast.walk(tree_of(path)):
        if isinstance(node, Function):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= LONGEST_FUNCTION, f"{node.name} has {lines} lines"


def map_of_the_house() -> set[str]:
    """Paths under ot_distances/ named by the map, the first code block of docs/design.md; two spaces a level."""
    block = re.search(r"```\n(.*?)```", (ROOT / "docs/design.md").read_text("utf-8"), re.DOTALL)
    paths: set[str] = set()
    above: list[str] = []
    for line in block.group(1).splitlines() if block else []:
        if not (found := re.match(r"( *)([\w./*]+)(?:  |$)", line)) or len(found[1]) % 2:
            continue
        above = [*above[: len(found[1]) // 2], found[2].rstrip("/")]
        if above[0] == "ot_distances" and found[2].endswith((".py", ".cu")):
            paths.add("/".join(above[1:]))
    return paths


def test_the_map_names_the_tree() -> None:
    tree = {str(path.relative_to(PACKAGE)) for pattern in ("*.py", "*.cu") for path in PACKAGE.rglob(pattern)}
    assert map_of_the_house() == tree
