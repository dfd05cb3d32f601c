"""What the speed is measured on and against: corpora by hash, and other linters, each in an environment of its own."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpus import fetch

_TABLE = Path(__file__).parent / "speed_corpora.tsv"
#: Scripts that show how to train: those in folders called so, and those called so that train; no more than these bytes.
_EXAMPLE_NAMES = ("train", "main", "run", "example")
_MAX_EXAMPLE = 40_000

SMALL = ("examples", "pytorch_lightning", "speechbrain")


@dataclass(frozen=True, slots=True)
class Peer:
    """Another linter.

    Attributes:
        name: as it is installed.
        requirements: what to install, pinned.
        arguments: the command, with ``PATH`` where the corpus stands.
        ok: exit statuses that are fine.
        corpora: where it is run by default; elsewhere it takes too long.
        once: whether one run must do by default.
    """

    name: str
    requirements: tuple[str, ...]
    arguments: tuple[str, ...]
    ok: tuple[int, ...] = (0,)
    corpora: tuple[str, ...] = SMALL
    once: bool = False


_ONE_RULE = ("--quiet", "--rules", "fixit.rules:NoRedundantListComprehension")
_PREFLIGHT = ("torch-preflight==0.5.0", "libcst==1.9.0")
PEERS = (
    # it needs an older libcst than ours
    Peer("torchfix", ("torchfix==0.7.0", "libcst==1.5.1"), ("torchfix", "PATH"), (0, 1), once=True),
    Peer("torch-preflight", _PREFLIGHT, ("torch-preflight", "check", "PATH"), (0, 1), once=True),
    Peer("fixit", ("fixit==2.2.1", "libcst==1.9.0"), ("fixit", *_ONE_RULE, "lint", "PATH"), (0, 1), SMALL[:2], True),
    Peer("flake8", ("flake8==7.5.0",), ("flake8", "--isolated", "--exit-zero", "-j", "2", "PATH")),
    Peer("pylint", ("pylint==4.1.4",), ("pylint", "--exit-zero", "--recursive=y", "PATH"), (0,), SMALL[:1], True),
)
RUFF = Peer("ruff", ("ruff==0.17.6",), ("ruff", "check", "--isolated", "--select", "F401", "--exit-zero", "PATH"))


@dataclass(frozen=True, slots=True)
class Workshop:
    """The directory in which all is kept.

    Attributes:
        root: the directory.
    """

    root: Path

    @property
    def corpora(self) -> Path:
        """Where the corpora are, and nothing else."""
        return self.root / "corpora"

    def fetch(self, wanted: Sequence[str]) -> dict[str, Path]:
        """Download corpora, and return where each is.

        Raises:
            SystemExit: one cannot be had.
        """
        packages = self.root / "packages"
        for folder in (packages, self.corpora, self.root / "work"):
            folder.mkdir(parents=True, exist_ok=True)
        found: dict[str, Path] = {}
        for row in _rows():
            if row["corpus"] not in wanted:
                continue
            is_example = row["corpus"] == "examples"
            problem = fetch(row, packages if is_example else self.corpora)
            if problem:
                raise SystemExit(problem)
            found.setdefault(row["corpus"], self.corpora / ("examples" if is_example else _folder(row)))
        if "examples" in found:
            _copy_examples(
                [packages / _folder(row) for row in _rows() if row["corpus"] == "examples"], found["examples"]
            )
        return found

    def executable(self, peer: Peer) -> str:
        """Return the program of a linter, after it was installed if it was not.

        Raises:
            SystemExit: it cannot be installed.
        """
        folder = self.root / "venvs" / "-".join(requirement.replace("==", "-") for requirement in peer.requirements)
        program = folder / "bin" / peer.name
        if not program.exists():
            shutil.rmtree(folder, ignore_errors=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
            for command in ([sys.executable, "-m", "venv", str(folder)], [*pip, *peer.requirements]):
                ran = subprocess.run(command, capture_output=True, text=True, check=False)
                if ran.returncode:
                    raise SystemExit(f"{peer.name} cannot be installed: {ran.stderr.strip()[-300:]}")
        return str(program)


def names() -> list[str]:
    """Return the names of all corpora."""
    return list(dict.fromkeys(row["corpus"] for row in _rows()))


def _rows() -> list[dict[str, str]]:
    with _TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def _folder(row: dict[str, str]) -> str:
    return f"{row['package']}=={row['version']}"


def _copy_examples(packages: Iterable[Path], to: Path) -> None:
    shutil.rmtree(to, ignore_errors=True)
    for package in packages:
        for path in sorted(package.rglob("*.py")):
            inside = path.relative_to(package)
            shows = any(part.startswith("example") for part in inside.parts[:-1])
            data = path.read_bytes()
            trains = path.name.startswith(_EXAMPLE_NAMES) and b".backward(" in data
            if (shows or trains) and len(data) <= _MAX_EXAMPLE:
                link(path, to / package.name / inside)


def link(path: Path, to: Path) -> None:
    """Have a file in another place as well."""
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, to)
    except OSError:
        shutil.copyfile(path, to)


def python_files(root: Path) -> list[Path]:
    """Return the Python files below a directory."""
    return sorted(path for path in root.rglob("*.py") if path.is_file())
