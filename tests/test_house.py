"""The house keeps its own rules: layers, sizes, names, and what a room may touch."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "src/parley"
# The rule is 300 lines and 50; the rest is air, so that a last comment doesn't force a split.
MOST_LINES = 300
# Tests are a list of laws that are read one at a time.
MOST_TEST_LINES = 450
MOST_FUNCTION_LINES = 50
FOREIGN = {"node_modules", "__pycache__"}
PIPECAT_ROOMS = {"transports", "session", "engines", "testing"}
VAGUE_NAMES = re.compile(
    r"^_?(util|utils|helper|helpers|manager|common|misc)$|_(utils?|helpers?|manager)$"
)
TASK_STARTERS = {"create_task", "ensure_future"}
# Put together from names, so that this file doesn't break the rule it checks.
MACHINE_PATHS = re.compile("|".join(rf"(?<![\w.~-])/{name}/" for name in ("root", "work", "Users")))


@dataclass(frozen=True, eq=False)
class Module:
    """One of our files, read and parsed once."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    def at(self, node: ast.expr | ast.stmt) -> str:
        return f"{self.name}:{node.lineno}"

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        return tuple(ast.walk(self.tree))


def modules(*folders: str) -> tuple[Module, ...]:
    """Every Python file below these folders of the checkout."""
    return tuple(module for folder in folders for module in _modules_below(folder))


@cache
def _modules_below(folder: str) -> tuple[Module, ...]:
    found: list[Module] = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        if not FOREIGN.isdisjoint(path.parts):
            continue
        text = path.read_text(encoding="utf-8")
        found.append(Module(path, text, ast.parse(text)))
    return tuple(found)


def everything() -> tuple[Module, ...]:
    return modules("src", "scripts", "bench", "tests")


def dotted(node: ast.expr) -> str:
    """``os.environ`` for the expression of that name, "" for anything that isn't a plain name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (left := dotted(node.value)):
        return f"{left}.{node.attr}"
    return ""


def imports_of(module: Module) -> Iterator[tuple[ast.stmt, str]]:
    """Each import of a module as the full dotted names that it binds."""
    for node in module.nodes:
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def told(broken: list[str], rule: str) -> str:
    return f"{rule}\n  " + "\n  ".join(broken)


# ── who may import whom ──────────────────────────────────────────────────────────────────────


def test_imports_point_down_the_layers() -> None:
    linter = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run(
        [linter, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_pipecat_stays_in_its_four_rooms() -> None:
    broken = [
        f"{module.at(node)} imports {name}"
        for module in modules("src")
        for node, name in imports_of(module)
        if name.partition(".")[0] == "pipecat"
        and module.path.relative_to(SOURCES).parts[0] not in PIPECAT_ROOMS
    ]

    assert not broken, told(broken, f"Only {sorted(PIPECAT_ROOMS)} may import Pipecat.")


def test_only_settings_read_the_environment() -> None:
    names = {"os.environ", "os.environb", "os.getenv"}
    broken = [
        f"{module.at(node)} reads {dotted(node)}"
        for module in modules("src")
        # The package itself sets a switch of a library before anything can import that library.
        if module.path.relative_to(SOURCES).parts[0] not in ("settings", "__init__.py")
        for node in module.nodes
        if isinstance(node, ast.Attribute) and dotted(node) in names
    ]
    broken += [
        f"{module.at(node)} imports {name}"
        for module in modules("src")
        for node, name in imports_of(module)
        if name in names
    ]

    assert not broken, told(broken, "Make it a setting and take it as an argument.")


# ── shape ────────────────────────────────────────────────────────────────────────────────────


def test_a_file_is_read_at_one_sitting() -> None:
    broken = [
        f"{module.name} has {lines} lines"
        for module in everything()
        if (lines := module.text.count("\n"))
        > (MOST_TEST_LINES if module.name.startswith("tests/") else MOST_LINES)
    ]

    assert not broken, told(broken, "Files stay under about 300 lines: split by what they are for.")


def test_a_function_is_seen_on_one_screen() -> None:
    broken = [
        f"{module.at(node)} {node.name} has {lines} lines"
        for module in everything()
        for node in module.nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > MOST_FUNCTION_LINES
    ]

    assert not broken, told(broken, "Functions stay under about 50 lines: name the steps.")


def test_every_module_says_in_its_first_line_what_it_is_for() -> None:
    broken = [
        module.name
        for module in everything()
        if not (module.name.startswith("tests/") and not module.text)
        and not (ast.get_docstring(module.tree) and module.text.startswith(('"""', "#")))
    ]

    assert not broken, told(broken, "Begin the file with a docstring of one sentence.")


def test_modules_are_named_for_what_they_hold() -> None:
    broken = [
        module.name
        for module in modules("src", "scripts", "bench")
        if any(VAGUE_NAMES.search(part) for part in (module.path.stem, module.path.parent.name))
    ]

    assert not broken, told(broken, "Name it with a noun of telephony or audio.")


# ── conduct ──────────────────────────────────────────────────────────────────────────────────


def test_who_starts_a_task_keeps_it() -> None:
    broken = [
        f"{module.at(node)} drops the task"
        for module in modules("src", "bench")
        for node in module.nodes
        if (call := _dropped_call(node)) is not None and _starts_a_lone_task(call)
    ]

    assert not broken, told(broken, "Use a TaskGroup, or keep the task and end it in a finally.")


def _dropped_call(node: ast.AST) -> ast.Call | None:
    """The call whose result a statement throws away, or gives to ``_``."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return node.value
    if (
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and all(isinstance(target, ast.Name) and target.id == "_" for target in node.targets)
    ):
        return node.value
    return None


def _starts_a_lone_task(call: ast.Call) -> bool:
    """A task group keeps its tasks; by our naming its variable says that it is one."""
    owner, _, name = dotted(call.func).rpartition(".")
    return name in TASK_STARTERS and not re.search(r"(^|_)(group|tasks)$", owner.rpartition(".")[2])


def test_who_catches_everything_says_why() -> None:
    broken = [
        f"{module.name}:{node.lineno}"
        for module in modules("src", "scripts", "bench")
        for node in module.nodes
        if isinstance(node, ast.ExceptHandler)
        and _catches_everything(node)
        and not _is_passed_on(node)
        and not _has_reason(node, module.text.splitlines())
    ]

    assert not broken, told(broken, "Name the errors, or say in a comment why any will do.")


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or dotted(kind) in ("Exception", "BaseException") for kind in kinds)


def _is_passed_on(handler: ast.ExceptHandler) -> bool:
    """Whether it only tidies up: the same error goes on, whatever it is."""
    return any(isinstance(node, ast.Raise) and node.exc is None for node in ast.walk(handler))


def _has_reason(handler: ast.ExceptHandler, lines: list[str]) -> bool:
    return any("#" in line for line in lines[handler.lineno - 1 : handler.body[0].lineno - 1])


def test_no_source_waits_by_sleeping_a_thread() -> None:
    broken = [
        module.at(node)
        for module in modules("src")
        for node in module.nodes
        if isinstance(node, ast.Call) and dotted(node.func) == "time.sleep"
    ]
    broken += [
        module.at(node)
        for module in modules("src")
        for node, name in imports_of(module)
        if name == "time.sleep"
    ]

    assert not broken, told(broken, "Wait for the fact itself: an event, a queue, a condition.")


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    kinds = {".py", ".ts", ".md", ".yaml", ".yml", ".toml", ".sh", ""}
    folders = ("src", "scripts", "bench", "tests", "docs", "agents", "web/src", ".ci")
    files = [f for folder in folders for f in (ROOT / folder).rglob("*") if f.suffix in kinds]
    broken = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in sorted(files)
        if file.is_file() and FOREIGN.isdisjoint(file.parts)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if MACHINE_PATHS.search(line)
    ]

    assert not broken, told(broken, "Take the path as a setting, or relative to the checkout.")
