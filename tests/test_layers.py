"""Who may import whom: the contracts of pyproject.toml, and what import-linter cannot say."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from tests.command import ROOT

PACKAGE = ROOT / "lint_reduction"
MODULES = sorted(PACKAGE.rglob("*.py"))
VOCABULARY = {"growth", "facts", "verdict", "finding", "impact", "errors"}
#: Where each foreign package may be imported.
FOREIGN: dict[str, str | tuple[str, ...]] = {
    "libcst": "analysis/",
    "click": tuple(f"frontends/{name}.py" for name in ("cli", "commands", "linting", "options", "streams", "watch")),
    "torch": "verify/",
    "pygls": "frontends/lsp.py",
    "lsprotocol": "frontends/lsp.py",
    "watchfiles": "frontends/watch.py",
    "pytest": "verify/pytest_plugin.py",
    "rich": ("frontends/commands.py", "frontends/progress.py"),
    "unidiff": "run/changed_lines.py",
    "pathspec": ("source/discover.py", "run/pipeline.py"),
    "yaml": "source/yaml_file.py",
    "tomli": ("config.py", "libraries/__init__.py"),
}


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Yield every name that a module imports, wherever it does so, and on which line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: imports are absolute"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def own(path: Path) -> set[str]:
    """Return the parts of the package that a module imports, without the package's name."""
    return {name.split(".", 1)[1] for name, _ in imports(path) if name.startswith("lint_reduction.")}


def test_the_contracts_of_pyproject_hold(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    code = lint_imports(no_cache=True)
    printed = capsys.readouterr().out
    assert code == 0, printed
    match = re.search(r"Contracts: (\d+) kept, 0 broken", printed)
    assert match is not None
    assert int(match[1]) == (ROOT / "pyproject.toml").read_text().count("[[tool.importlinter.contracts]]")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_foreign_packages_are_contained(path: Path) -> None:
    for name, line in imports(path):
        package = name.partition(".")[0]
        if package == "lint_reduction" or package in sys.stdlib_module_names:
            continue
        assert package in FOREIGN, f"{name_of(path)}:{line}: {name}"
        assert name_of(path).startswith(FOREIGN[package]), f"{name_of(path)}:{line}: {name}"


def test_what_is_slow_to_import_is_imported_nowhere() -> None:
    for path in MODULES:
        for name, line in imports(path):
            assert not name.startswith(("libcst.matchers", "libcst.metadata", "libcst.codemod", "libcst.tool")), (
                f"{name_of(path)}:{line}: {name}"
            )
            assert name not in ("libcst.CSTVisitor", "libcst.CSTTransformer"), f"{name_of(path)}:{line}: {name}"


@pytest.mark.parametrize("name", ["cli", "commands", "linting", "options", "progress", "streams"])
def test_what_the_command_line_imports_at_once_is_little(name: str) -> None:
    tree = ast.parse((PACKAGE / "frontends" / f"{name}.py").read_text())
    eager = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert {module for module in eager if module and module.startswith("lint_reduction")} <= {
        "lint_reduction",
        "lint_reduction.errors",
        "lint_reduction.frontends",
        "lint_reduction.frontends.linting",
        "lint_reduction.frontends.options",
        "lint_reduction.frontends.streams",
    }


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("rules/[!_]*.py")), ids=name_of)
def test_a_rule_imports_the_vocabulary_and_nothing_else(path: Path) -> None:
    used = {name.partition(".")[0] for name in own(path)}
    assert used <= {*VOCABULARY, "rules"}
    assert {name for name in own(path) if name.startswith("rules")} == {"rules.rule"}


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("formats/[!_]*.py")), ids=name_of)
def test_a_format_imports_no_other_format(path: Path) -> None:
    others = {other.stem for other in PACKAGE.glob("formats/[!_]*.py")}
    assert not {name for name in own(path) if name.startswith("formats.") and name.split(".")[1] in others}


def test_nobody_imports_the_ways_in() -> None:
    users = {name_of(path) for path in MODULES for name in own(path) if name.startswith("frontends")}
    assert {user for user in users if not user.startswith("frontends/")} <= {"__main__.py"}


def test_facts_know_no_syntax() -> None:
    for name in ("growth.py", "facts.py", "finding.py", "impact.py"):
        assert not {module for module, _ in imports(PACKAGE / name)} & {"ast", "libcst", "tokenize"}
        assert {part.partition(".")[0] for part in own(PACKAGE / name)} <= VOCABULARY


def test_the_limit_of_recursion_is_set_in_one_place() -> None:
    users = {name_of(path) for path in MODULES if "setrecursionlimit" in path.read_text()}
    assert users == {"run/pipeline.py"}


def test_there_is_no_drawer_for_everything() -> None:
    stems = {part for path in MODULES for part in path.relative_to(PACKAGE).with_suffix("").parts}
    assert not stems & {"utils", "util", "helpers", "helper", "common", "misc", "tools", "base"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    document = ast.get_docstring(ast.parse(path.read_text()))
    assert document
    assert document.splitlines()[0].rstrip("`").endswith((".", "``python -m lint_reduction"))
