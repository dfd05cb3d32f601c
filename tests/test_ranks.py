"""What the verifier simulates of several processes is what two of them measure that really average their gradients."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lint_reduction.analysis import analyze
from lint_reduction.facts import Fate, LossFlow
from lint_reduction.growth import Count
from lint_reduction.libraries import load_libraries
from lint_reduction.verify.claims import as_finding
from lint_reduction.verify.replies import measurement_of
from lint_reduction.verify.slicing import experiment_of

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(
        not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
        reason="this torch has no gloo",
    ),
]
PATH = "/program.py"
WORLD = 2
SECONDS = 90
PROGRAM = """\
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel


def train(model, loader):
    net = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for x, y in loader:
        out = net(x)
        {loss}
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
_COUNT = "count = torch.tensor(float(y.size(0)))\n        dist.all_reduce(count)\n        "
#: How the loss is computed, and what its averaged gradient grows with when processes are added.
LOSSES = {
    "mean": ("loss = F.cross_entropy(out, y)", 0),
    "sum": ('loss = F.cross_entropy(out, y, reduction="sum")', 0),
    "sum over the local batch": ('loss = F.cross_entropy(out, y, reduction="sum") / y.size(0)', 0),
    "mean times the world size": ("loss = F.cross_entropy(out, y) * dist.get_world_size()", 1),
    "sum over the global batch": (f'{_COUNT}loss = F.cross_entropy(out, y, reduction="sum") / count', -1),
    "sum times the world size over the global batch": (
        f'{_COUNT}loss = F.cross_entropy(out, y, reduction="sum") * dist.get_world_size() / count',
        0,
    ),
}
TEXTS = {name: PROGRAM.format(loss=loss) for name, (loss, _) in LOSSES.items()}


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Return the exponent over processes of each program, as two of them measure it."""
    folder = tmp_path_factory.mktemp("ranks")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if sys.platform == "linux":
        environment["GLOO_SOCKET_IFNAME"] = "lo"
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.ranks_worker", str(rank), str(WORLD), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
            env=environment,
        )
        for rank in range(WORLD)
    ]
    try:
        for process in started:
            assert process.stdin is not None
            process.stdin.write(json.dumps(list(TEXTS.values())))
            process.stdin.close()
            process.stdin = None
        answers = [process.communicate(timeout=SECONDS) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    failed = [error for process, (_, error) in zip(started, answers, strict=True) if process.returncode]
    assert failed == []
    first, second = (json.loads(output) for output, _ in answers)
    # they have averaged: each has the gradient of both
    assert first == second
    return {
        name: math.log(together / alone, WORLD)
        for name, alone, together in zip(TEXTS, first["alone"], first["together"], strict=True)
    }


def flow_of(text: str) -> LossFlow:
    facts = analyze(PATH, text, load_libraries(), absolute=PATH, complete=True)
    (flow,) = [flow for flow in facts.flows if flow.fate is Fate.TRAINED]
    return flow


def simulated(text: str) -> list[float | None]:
    """Return the exponents over processes that the verifier measures, in all ways that it runs a program."""
    from lint_reduction.verify import laboratory

    finding = as_finding(flow_of(text), PATH, "RED405")
    experiment = experiment_of(finding, PATH, {PATH: text}.get)
    assert experiment.dials == (Count.RANKS.value,)
    answer = laboratory.run(json.loads(experiment.to_json()), torch.device("cpu"), torch.float64)
    measurement = measurement_of(answer)
    assert measurement.trials, measurement.reason
    return [
        series.exponent
        for trial in measurement.trials
        for series in trial.series
        if (series.count, series.what) == (Count.RANKS.value, "gradient")
    ]


@pytest.mark.parametrize("name", LOSSES)
def test_two_processes_measure_what_is_simulated(name: str, processes: dict[str, float]) -> None:
    found = simulated(TEXTS[name])
    assert found
    assert processes[name] == pytest.approx(LOSSES[name][1], abs=1e-9)
    assert found == [pytest.approx(processes[name], abs=1e-9)] * len(found)


@pytest.mark.parametrize("name", LOSSES)
def test_the_flow_is_known_to_be_averaged(name: str) -> None:
    assert flow_of(TEXTS[name]).averages_ranks


def test_a_mean_times_the_world_size_is_claimed_to_grow() -> None:
    flow = flow_of(TEXTS["mean times the world size"])
    growth = flow.growth(flow.terms[0])
    assert growth is not None
    assert growth.exponent(Count.RANKS) == 1
