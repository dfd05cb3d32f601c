"""The fixture ``growth`` and ``assert_growth`` in a real pytest, with the example of README.md."""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec

import pytest

from tests.command import ROOT
from tests.fixture_files import readme_example

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytest_plugins = ["pytester"]

PLUGIN = "lint_reduction.verify.pytest_plugin"
needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")

MODEL = """
import torch
from torch import nn

def step(batch):
    return criterion(model(batch), batch)

def make_batch(n):
    return torch.randn(n, 4)

model = nn.Linear(4, 4)
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Have the plugin loaded as an installation does, in a process of its own."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
    if not any(entry.value == PLUGIN for entry in entry_points(group="pytest11")):
        pytester.plugins = [PLUGIN]
    return pytester


def test_the_plugin_is_registered() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"lint-reduction": PLUGIN}


def test_neither_torch_nor_the_probe_is_imported_until_the_fixture_is_used(run: pytest.Pytester) -> None:
    run.makepyfile(
        """
        import sys

        def test_nothing(pytestconfig):
            assert "lint_reduction.verify.pytest_plugin" in sys.modules
            assert not {"torch", "libcst", "lint_reduction.verify.probe"} & set(sys.modules)
        """
    )
    run.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_fixture_is_listed_with_what_it_does(run: pytest.Pytester) -> None:
    run.runpytest_subprocess("--fixtures").stdout.fnmatch_lines(
        ["growth * -- *pytest_plugin.py:*", "*Measure how the gradient of a training step grows*"]
    )


def test_without_torch_a_test_is_skipped(run: pytest.Pytester) -> None:
    run.makepyfile(
        """
        import sys

        sys.modules["torch"] = None

        def test_loss(growth):
            raise AssertionError
        """
    )
    result = run.runpytest_subprocess("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*measuring a gradient needs torch*"])


@pytest.mark.torch
@needs_torch
def test_the_fixture_measures(run: pytest.Pytester) -> None:
    run.makepyfile(
        MODEL
        + """
criterion = nn.MSELoss()

def test_loss(growth):
    report = growth(step, make_batch)
    assert abs(report.exponent) < 1e-4
    assert report.kind.value == "mean"
"""
    )
    run.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.torch
@needs_torch
def test_the_example_of_the_readme_fails_as_it_is_printed_there(run: pytest.Pytester) -> None:
    program, command, expected = readme_example("probe")
    name = command.removeprefix("$ pytest ")
    (run.path / name).write_text(program)
    result = run.runpytest_subprocess("-p", "no:cacheprovider", name)
    result.assert_outcomes(failed=1)
    lines = [line.rstrip() for line in result.outlines]
    start = lines.index(expected[0])
    assert lines[start : start + len(expected)] == expected
