"""Run the command, in this process or in one of its own, and programs to run it on."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lint_reduction.frontends.cli import main

ROOT = Path(__file__).parent.parent

#: A sum that SGD trains on: RED101 at 7:17, an error.
ERROR = """\
import torch
from torch import nn
from torch.utils.data import DataLoader


def train(model: nn.Module, dataset: torch.utils.data.Dataset) -> None:
    criterion = nn.MSELoss(reduction="sum")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in DataLoader(dataset, batch_size=32):
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
#: The same, with an optimizer that divides the factor out again: a note.
NOTE = ERROR.replace("optim.SGD", "optim.Adam")
#: The same, with an optimizer that is not in view: a warning.
WARNING = ERROR.replace("dataset: torch", "optimizer, dataset: torch").replace(
    "    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n", ""
)
CLEAN = ERROR.replace('"sum"', '"mean"')


@dataclass(frozen=True)
class Ran:
    """What came of a run."""

    code: int
    out: str
    err: str


def run(*arguments: str | Path, stdin: bytes = b"") -> Ran:
    """Run the command in this process."""
    out, err = _Stream(), _Stream()
    with _replaced(["lint-reduction", *map(str, arguments)], stdin, out, err):
        try:
            main()
            code = 0
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else 0
        finally:
            gc.enable()
    return Ran(code, out.text(), err.text())


def run_apart(
    *arguments: str | Path,
    cwd: Path = ROOT,
    stdin: bytes = b"",
    timeout: float = 60,
    environment: Mapping[str, str] | None = None,
    python: tuple[str, ...] = ("-m", "lint_reduction"),
) -> Ran:
    """Run the command in a process of its own."""
    ran = subprocess.run(
        [sys.executable, *python, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        input=stdin,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode())


class _Stream(io.TextIOWrapper):
    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", newline="", write_through=True)

    def text(self) -> str:
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode()


@contextlib.contextmanager
def _replaced(argv: list[str], stdin: bytes, out: _Stream, err: _Stream) -> Iterator[None]:
    before = sys.argv, sys.stdin, sys.stdout, sys.stderr
    sys.argv, sys.stdin, sys.stdout, sys.stderr = argv, io.TextIOWrapper(io.BytesIO(stdin)), out, err
    try:
        yield
    finally:
        sys.argv, sys.stdin, sys.stdout, sys.stderr = before
