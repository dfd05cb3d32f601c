"""Runs generated programs with torch, in a process of its own: ``python -m tests.oracle.worker``.

Reads pickled programs and writes what they measure. The programs come from the grammar beside this file and nowhere
else. A batch grows by repeating its samples, never by drawing more of them, so that gradients are exact sums of powers.
A run ends at the first step of an optimizer, before and after which the weights are read; a program that updates its
weights by hand is run over one batch. Clipping is left out and the small constants that optimizers add (eps) are made
smaller still: neither is in the growth of a gradient.
"""

from __future__ import annotations

import io
import pickle
import re
import sys
import types
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from tests.oracle.layouts import Layout
from tests.oracle.measured import FACTORS, NOT_SCALAR, Curve, Measured
from tests.oracle.program import Program

ROWS, POSITIONS, FEATURES, CLASSES = 4, 2, 3, 3
WINDOW, BATCHES = 2, 4
_IMPORTS_MODEL = re.compile(r"from data import .*\bmodel\b")
KEYS = {"x": "input", "y": "target", "mask": "mask", "w": "weight"}


@dataclass(frozen=True, slots=True)
class Size:
    """How large something is in a run, as a multiple of its smallest size."""

    samples: int = 1
    elements: int = 1
    classes: int = 1
    micro_batches: int = WINDOW
    batches: int = BATCHES


class _Done(BaseException):
    """The first step has been taken; no ``except Exception`` of a program is to stop it."""


@cache
def _base(name: str, kind: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return inputs, targets and a mask of the smallest size."""
    draws = torch.Generator().manual_seed(len(name) + 7)
    shape = {"sequences": (POSITIONS, 4), "images": (2, POSITIONS, 2)}.get(name, (4,))
    shape = (POSITIONS, 4) if "token" in name or "time" in name else shape
    x = torch.randn((ROWS, *shape), generator=draws)
    out = {"numbers": (), "binary numbers": (), "images": (3, POSITIONS, 2)}.get(name, (*shape[:-1], 3))
    y = torch.randn((ROWS, *out), generator=draws)
    if kind == "binary":
        y = (y > 0).double()
    elif kind == "labels":
        y = torch.randint(CLASSES, (ROWS, *shape[:-1]), generator=draws)
        y.view(-1)[:3] = torch.arange(3)
        if "padded" in name:
            y.view(-1)[-1] = -100
    elif kind == "probabilities":
        y = y.softmax(-1)
    mask = torch.rand(y.shape, generator=draws) > 0.4
    mask[..., :1] = True
    if mask.ndim == 1:
        mask[:1], mask[-1:] = True, False
    return x, y, mask


def _batch(layout: Layout, size: Size) -> dict[str, Tensor]:
    """Return the fields of a batch, repeated."""
    x, y, mask = _base(layout.name, layout.kind)
    times = size.elements * size.classes
    if times > 1:
        x = x.repeat(1, times, *[1] * (x.ndim - 2)) if layout.positions else x
        y, mask = (t.repeat(1, times, *[1] * (t.ndim - 2)) for t in (y, mask))
    y = y / size.classes if layout.kind == "probabilities" else y
    w = torch.arange(1.0, ROWS + 1) / ROWS
    fields = {"x": x, "y": y, "mask": mask, "w": w}
    return {name: t.repeat(size.samples, *[1] * (t.ndim - 1)) for name, t in fields.items()}


class _Loader:
    """As much of a data loader as programs use."""

    def __init__(self, batches: list[Any], rows: int) -> None:
        self.batches, self.batch_size, self.dataset = batches, rows, range(rows * len(batches))

    def __iter__(self) -> Any:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class _Network(nn.Module):
    """The model that is handed in."""

    def __init__(self, layout: Layout, two_heads: bool, times: int) -> None:
        super().__init__()
        convolves = layout.model.startswith("nn.Conv")
        self.body: nn.Module = nn.Conv2d(2, 2, 1) if convolves else nn.Linear(4, 4)
        outs = 1 if layout.squeezed else FEATURES * times
        self.heads = nn.ModuleList(
            nn.Conv2d(2, outs, 1) if convolves else nn.Linear(4, outs) for _ in range(1 + two_heads)
        )

    def forward(self, x: Tensor) -> Any:
        h = torch.tanh(self.body(x))
        outs = tuple(head(h) for head in self.heads)
        return outs if len(outs) > 1 else outs[0]


@dataclass
class _State:
    """What is going on at the moment, for the functions of torch that are replaced below."""

    layers: list[Any]
    columns: int = 0
    gradient: Tensor | None = None
    update: Tensor | None = None
    steps: bool = False


STATE = _State([])


@cache
def _pattern(shape: tuple[int, ...], number: int, columns: int) -> Tensor:
    """Return weights: rows repeat where the outputs of the last layer are repeated."""
    rows = columns if columns and shape[0] % columns == 0 and shape[0] > columns else shape[0]
    values = torch.arange(rows * max(1, torch.Size(shape[1:]).numel()), dtype=torch.float64)
    base = 0.4 * torch.sin(1.0 + 1.7 * values + number).view(rows, *shape[1:])
    return base.repeat(shape[0] // rows, *[1] * (len(shape) - 1))


def _reset(layer: Any) -> None:
    with torch.no_grad():
        for number, p in enumerate((layer.weight, layer.bias)):
            p.copy_(_pattern(tuple(p.shape), 2 * len(STATE.layers) + number, STATE.columns))
    STATE.layers.append(layer)


def _weights() -> list[Tensor]:
    return [p for layer in STATE.layers for p in (layer.weight, layer.bias)]


def _pulled_back(values: list[Tensor]) -> Tensor:
    """Return a vector of what belongs to each weight; repeated rows share one."""
    parts = []
    for value in values:
        columns = STATE.columns
        if columns and value.shape[0] > columns and value.shape[0] % columns == 0:
            value = value.view(-1, columns, *value.shape[1:]).sum(0)
        parts.append(value.reshape(-1))
    return torch.cat(parts)


def _before_step(optimizer: Any, args: Any, kwargs: Any) -> None:
    closure = args[1] if len(args) > 1 else kwargs.get("closure")
    if closure is not None:
        with torch.enable_grad():
            closure()
    weights = _weights()
    STATE.gradient = _pulled_back([torch.zeros_like(p) if p.grad is None else p.grad for p in weights])
    if closure is not None:
        raise _Done
    for group in optimizer.param_groups:
        if "eps" in group:
            group["eps"] = 1e-40
    # from zero, where decay does nothing and no digit of the update is lost
    with torch.no_grad():
        for p in weights:
            p.zero_()
    STATE.steps = True


def _after_step(optimizer: Any, args: Any, kwargs: Any) -> None:
    if STATE.steps:
        STATE.update = _pulled_back([p.detach() for p in _weights()])
        raise _Done


def _namespace(program: Program, setting: dict[str, bool], size: Size) -> types.SimpleNamespace:
    """Return what a program is given from outside."""
    fields = _batch(program.layout, size)
    rows = ROWS * size.samples
    count = 1 if program.updates_by_hand else size.batches
    given = tuple(fields[name] for name in program.fields)
    by_key = {KEYS[name]: fields[name] for name in program.fields}
    supply = types.SimpleNamespace(
        loader=_Loader([given] * count, rows),
        dict_loader=_Loader([by_key] * count, rows),
        batch_size=rows,
        window=size.micro_batches,
        flags=setting,
        class_weights=torch.tensor([1.0, 2.0, 0.5]),
    )
    if "dataset" in program.text:
        supply.dataset = torch.utils.data.TensorDataset(*(t.repeat(count, *[1] * (t.ndim - 1)) for t in given))
    if "supply.model" in program.driver or _IMPORTS_MODEL.match(program.text):
        spread = size.elements * size.classes if program.layout.spreads else 1
        supply.model = _Network(program.layout, program.two_heads, spread)
    names = dict.fromkeys(("batch_size", "bsz", "num_samples"), rows) | dict.fromkeys(
        ("accumulation_steps", "accum_steps"), size.micro_batches
    )
    options = {**names, "lr": 0.1, "device": "cpu", "beta": 0.5, "alpha": 0.5, **setting}
    supply.args, supply.config = types.SimpleNamespace(**options), options
    return supply


def _arguments(text: str, options: dict[str, Any]) -> list[str]:
    """Return a command line for the options that a program declares."""
    line = ["train.py"]
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if f'"{option}"' in text:
            line += [option, str(value)] if not isinstance(value, bool) else [option] * value
    return line


def _run(
    program: Program, code: types.CodeType, text: str, setting: dict[str, bool], size: Size
) -> tuple[Tensor, Tensor | None] | str:
    """Run a program once; return the gradient and the update, or why there are none."""
    global STATE
    STATE = _State([], FEATURES if program.layout.spreads else 0)
    supply = _namespace(program, setting, size)
    module = types.ModuleType("data")
    vars(module).update({**vars(supply), **supply.config, **setting})
    sys.modules["data"] = module
    sys.argv = _arguments(text, supply.config)
    space: dict[str, Any] = {"__name__": "program", "supply": supply}
    start: list[Tensor] = []
    try:
        exec(code, space)
        if program.driver:
            exec(program.driver, space)
    except _Done:
        assert STATE.gradient is not None
        return STATE.gradient, STATE.update
    except RuntimeError as error:
        if "grad can be implicitly created only for scalar outputs" in str(error):
            return NOT_SCALAR
        raise
    if not program.updates_by_hand:
        raise RuntimeError("the program took no step")
    for number, p in enumerate(_weights()):
        start.append(_pattern(tuple(p.shape), number, STATE.columns))
    moved = _pulled_back([p.detach() - old for p, old in zip(_weights(), start, strict=True)])
    return moved, moved


def _measure(program: Program) -> Measured:
    texts = [program.text, *program.alone]
    codes = [compile(text, "program.py", "exec") for text in texts]
    curves: dict[tuple[int, int, str], Curve] = {}
    for index, setting in enumerate(program.settings):
        for which, (text, code) in enumerate(zip(texts, codes, strict=True)):
            for dial in ("samples", *program.dials) if which or not program.alone else ("samples",):
                points = []
                for factor in FACTORS:
                    base = getattr(Size(), dial) if dial != "micro_batches" else 1
                    points.append(_run(program, code, text, setting, Size(**{dial: base * factor})))
                curves[index, which, dial] = _curve([p if isinstance(p, str) else p[0] for p in points])
                if dial == "samples" and not which:
                    curves[index, 0, "update"] = _curve([p if isinstance(p, str) else p[1] for p in points])
    return Measured(curves)


def _curve(points: list[Tensor | str | None]) -> Curve:
    if any(isinstance(point, str) for point in points):
        return NOT_SCALAR if all(isinstance(point, str) for point in points) else "not the same at all sizes"
    return None if any(p is None for p in points) else tuple(tuple(p.tolist()) for p in points)  # type: ignore[union-attr]


def _install() -> None:
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    warnings.simplefilter("ignore")
    nn.Linear.reset_parameters = _reset  # type: ignore[method-assign, assignment]
    nn.Conv2d.reset_parameters = _reset  # type: ignore[method-assign, assignment]
    torch.nn.utils.clip_grad_norm_ = torch.nn.utils.clip_grad_value_ = lambda *args, **kwargs: None  # type: ignore[assignment]
    register_optimizer_step_pre_hook(_before_step)
    register_optimizer_step_post_hook(_after_step)


def _serve(source: BinaryIO, sink: BinaryIO) -> None:
    while True:
        try:
            program = pickle.load(source)
        except EOFError:
            return
        try:
            answer = _measure(program)
        except Exception as error:  # a program of the grammar that does not run: its author wants to know
            answer = Measured({}, f"{type(error).__name__}: {error}")
        pickle.dump(answer, sink)
        sink.flush()


if __name__ == "__main__":
    _install()
    # programs print
    answers, sys.stdout = sys.stdout.buffer, io.StringIO()
    _serve(sys.stdin.buffer, answers)
