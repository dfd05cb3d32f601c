"""Run a program on the simulated accelerator, in a process of its own: it has to be there before the first backward."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

from tests.command import ROOT

_BEFORE = """
import json
from lint_reduction.verify.testing import simdev
if not simdev.available():
    print(json.dumps("this torch cannot simulate an accelerator"))
    raise SystemExit(3)
simdev.install()
import torch
from lint_reduction.verify import device as devices
devices.numeric_policy()
with simdev.SimulatedAccelerator():
    device = devices.choose("auto")
    assert device is not None and device.final.type == simdev.NAME
"""

#: Left at once: the threads that autograd has for the device may abort an orderly exit.
_AFTER = """
print(json.dumps(result), flush=True)
import os
os._exit(0)
"""


def on_simulated_accelerator(program: str, timeout: float = 120) -> object:
    """Return the last value of a program that runs there, or skip where this torch cannot do it.

    Args:
        program: sets ``result``, which has to be JSON. It knows ``device``, a ``Device`` whose final device is the
            simulated one, ``devices``, ``simdev`` and ``torch``; the whole of it runs within the simulation.
    """
    pytest.importorskip("torch")
    body = textwrap.indent(textwrap.dedent(program).strip(), "    ")
    ran = subprocess.run(
        [sys.executable, "-c", f"{_BEFORE}{body}\n{_AFTER}"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if ran.returncode == 3:
        pytest.skip(json.loads(ran.stdout))
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout.splitlines()[-1])
