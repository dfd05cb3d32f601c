"""One of several processes that train together: ``python -m tests.ranks_worker RANK PROCESSES FOLDER``.

Reads programs as JSON and writes the norm of the gradient of each, with all processes and with this one alone. Each
process has the same samples, so that another process is a repetition of them.
"""

from __future__ import annotations

import json
import math
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

SECONDS = 60


def gradients(programs: list[str], rank: int, world: int, meeting: Path) -> list[float]:
    """Run programs in a group of processes; return the norm of the gradient that each leaves behind."""
    dist.init_process_group(
        "gloo", init_method=meeting.as_uri(), rank=rank, world_size=world, timeout=timedelta(seconds=SECONDS)
    )
    try:
        return [_gradient(program) for program in programs]
    finally:
        dist.destroy_process_group()


def _gradient(program: str) -> float:
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    loader = [(torch.randn(8, 4), torch.randint(3, (8,)))]
    space: dict[str, Any] = {}
    exec(compile(program, "program.py", "exec"), space)
    space["train"](model, loader)
    return math.sqrt(sum(float(p.grad.pow(2).sum()) for p in model.parameters() if p.grad is not None))


def main(rank: int, world: int, folder: Path) -> None:
    """Run the programs on standard input together, and then alone."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    programs = json.load(sys.stdin)
    together = gradients(programs, rank, world, folder / "together")
    alone = gradients(programs, 0, 1, folder / f"alone{rank}")
    json.dump({"alone": alone, "together": together}, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
