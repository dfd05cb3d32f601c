"""A safe fix changes no result: programs are run before and after it, values and gradients are the same."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import pytest

from lint_reduction.libraries import load_libraries
from lint_reduction.run.fixes import fix_bytes
from lint_reduction.run.pipeline import Overrides

if not find_spec("torch"):
    pytest.skip("needs torch", allow_module_level=True)

import torch

from tests.loss_inputs import PROBLEMS, Problem, parameter

pytestmark = pytest.mark.torch

LOSSES = {
    name: (model, is_class)
    for name, (model, is_class) in load_libraries().losses.items()
    if name.startswith("torch.nn.") and hasattr(torch.nn if is_class else torch.nn.functional, name.split(".")[-1])
}
LEGACY = sorted(name for name, (model, _) in LOSSES.items() if model.legacy)
FLAGS = (
    "size_average=False",
    "size_average=True",
    "reduce=False",
    "size_average=0, reduce=1",
    "reduce=True, size_average=False",
    "size_average=True, reduce=False",
    'size_average=False, reduction="sum"',
    'reduction="none", size_average=True, reduce=False',
    'reduction="mean", reduce=True',
)
#: What may stand before the flags by position.
BEFORE = {"weight": "None", "margin": "1.0", "p": "1", "eps": "1e-6", "swap": "False", "log_input": "True"}
BEFORE |= {"full": "False"}


def problem_of(name: str) -> Problem:
    last = name.rpartition(".")[2]
    return PROBLEMS[last] if last in PROBLEMS else PROBLEMS[LOSSES[name][0].function.rpartition(".")[2]]


def call_of(name: str, arguments: str) -> str:
    """Return the call of a loss on the inputs of its problem, with further arguments."""
    inputs = [f"inputs[{index}]" for index in range(len(problem_of(name).inputs))]
    if LOSSES[name][1]:
        return f"{name}({arguments})({', '.join(inputs)})"
    return f"{name}({', '.join([*inputs, arguments] if arguments else inputs)})"


def fixed(call: str, code: str, method: str = "") -> tuple[str, str]:
    """Return a program that computes a loss, and the same with the safe fixes of a rule."""
    text = f"import torch\nimport torch.nn.functional as F\n\n\ndef compute(inputs):\n    return {call}{method}\n"
    came = fix_bytes(text.encode(), "/nowhere/x.py", Overrides((code,), isolated=True))
    assert not came.withdrawn
    after = came.content.decode()
    assert after != text, f"not fixed: {call}"
    return text, after


def computed(text: str, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a program and return the loss and the gradient of the shared parameter."""
    names: dict[str, object] = {}
    exec(compile(text, "program", "exec"), names)
    theta = parameter()
    tensors, _ = problem_of(name).arguments(theta, {})
    compute = names["compute"]
    assert callable(compute)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        loss = compute(tensors)
    weights = torch.linspace(1, 2, loss.numel(), dtype=loss.dtype).view_as(loss)
    return loss.detach(), torch.autograd.grad((loss * weights).sum(), theta)[0]


def assert_same(name: str, before: str, after: str) -> None:
    torch.testing.assert_close(computed(after, name), computed(before, name), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("name", LEGACY)
def test_flags_by_name(name: str, flags: str) -> None:
    assert_same(name, *fixed(call_of(name, flags), "RED301"))
    if "reduction" in flags:
        assert_same(name, *fixed(call_of(name, flags), "RED304"))


@pytest.mark.parametrize("flag", ["True", "False", "0", "1", "'sum'", "'none'", "0.5"])
@pytest.mark.parametrize("name", LEGACY)
def test_flags_by_position(name: str, flag: str) -> None:
    model, is_class = LOSSES[name]
    parameters = list(model.positional if is_class else model.function_positional)
    if not is_class:
        parameters = parameters[len(problem_of(name).inputs) :]
    before = [BEFORE[parameter] for parameter in parameters[: parameters.index("size_average")]]
    assert_same(name, *fixed(call_of(name, ", ".join([*before, flag])), "RED302"))


@pytest.mark.parametrize("value", ["elementwise_mean", "Mean", "SUM", "None "])
@pytest.mark.parametrize("name", sorted(name for name, (model, _) in LOSSES.items() if model.legacy))
def test_other_spellings(name: str, value: str) -> None:
    before, after = fixed(call_of(name, f"reduction={value!r}"), "RED303")
    if value == "elementwise_mean" and value in LOSSES[name][0].accepts:
        assert_same(name, before, after)
        return
    with pytest.raises((ValueError, TypeError)):
        computed(before, name)
    computed(after, name)


@pytest.mark.parametrize("method", [".mean()", ".sum()"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", LEGACY)
def test_a_second_reduction(name: str, reduction: str, method: str) -> None:
    assert_same(name, *fixed(call_of(name, f'reduction="{reduction}"'), "RED207", method))
