"""The fixtures: programs with what they expect written beside the line it stands on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
FIXTURES = ROOT / "fixtures"
#: How the name of a fixed program ends.
FIXED = ".fixed.py"

_EXPECT = re.compile(r"#\s*expect:\s*(?P<items>.+)$")
_ITEM = re.compile(r'(?P<name>[a-z-]+)(?:\s+"(?P<growth>[^"]*)")?')
_VERIFY = re.compile(r"^Verify: (?P<claim>.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Expected:
    """A finding that a fixture expects; ``growth`` only where it says one."""

    line: int
    name: str
    growth: str | None


def expected(path: Path) -> list[Expected]:
    """Return what the comments of a fixture expect, in order."""
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = _EXPECT.search(line)
        if match is None:
            continue
        for item in match["items"].split(","):
            part = _ITEM.fullmatch(item.strip())
            assert part is not None, f"{path}:{number}: cannot read {item!r}"
            found.append(Expected(number, part["name"], part["growth"]))
    return found


def claim(path: Path) -> str:
    """Return the ``Verify:`` line of a fixture, empty if it has none."""
    match = _VERIFY.search(path.read_text())
    return match["claim"] if match else ""


def rule_folders() -> list[Path]:
    """Return the folders of the rules."""
    return sorted(p for p in FIXTURES.iterdir() if p.is_dir() and (p / "bad.py").exists())


def programs() -> list[Path]:
    """Return every fixture program with expectations: those of the rules and the reference ones."""
    files = [path for folder in rule_folders() for path in folder.glob("*.py") if not path.name.endswith(FIXED)]
    return sorted([*files, *(FIXTURES / "reference").glob("*.py")])


def readme_example(name: str) -> tuple[str, str, list[str]]:
    """Return a program of README.md, the command that runs it, and the lines that are printed."""
    text = (ROOT / "README.md").read_text()
    block = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", text, re.DOTALL)
    assert block is not None
    program = re.search(r"```python\n(.*?)```", block[1], re.DOTALL)
    console = re.search(r"```console\n(.*?)```", block[1], re.DOTALL)
    assert program is not None
    assert console is not None
    command, *printed = console[1].splitlines()
    return program[1], command, printed
