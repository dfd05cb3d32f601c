"""What programs do to gradients, learning rates and losses around a step: the verifier measures what torch does.

Each program is run twice: by torch itself, with a small model and a batch of the same samples over and over, and by
the verifier, which sees the text alone. How the first update grows has to be the same.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from lint_reduction.analysis import Project, analyze
from lint_reduction.facts import Fate
from lint_reduction.libraries import load_libraries
from lint_reduction.verdict import Outcome, Verdict
from lint_reduction.verify.claims import as_finding
from lint_reduction.verify.session import Session

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(find_spec("torch") is None, reason="the programs are run with torch"),
]
SIZES = (4, 8, 16, 32)
PROGRAM = """\
import torch
import torch.nn.functional as F
from torch import nn


{definitions}


def train(model, loader, batch_size):
    criterion = nn.MSELoss(reduction="sum")
    {optimizer}
    {before}
    for x, y in loader:
        {first}
        model.zero_grad()
        loss = criterion(model(x), y)
        {backward}
        {edit}
        {step}
"""


@dataclass(frozen=True)
class Program:
    """A training program, by its parts."""

    edit: str = "pass"
    definitions: str = ""
    before: str = "pass"
    first: str = "pass"
    backward: str = "loss.backward()"
    step: str = "optimizer.step()"
    optimizer: str = "optimizer = torch.optim.SGD(model.parameters(), lr=0.01)"

    @property
    def text(self) -> str:
        inner = {"before": self.before, "first": self.first, "backward": self.backward, "edit": self.edit}
        indented = {
            name: textwrap.indent(text, " " * (4 if name == "before" else 8)).lstrip() for name, text in inner.items()
        }
        step = textwrap.indent(self.step, " " * 8).lstrip()
        return PROGRAM.format(definitions=self.definitions, step=step, optimizer=self.optimizer, **indented)


LOOP = "for p in model.parameters():\n    "
#: Programs whose update is followed.
FOLLOWED = {
    "nothing": Program(),
    "in_place": Program(LOOP + "p.grad.div_(len(x))"),
    "augmented": Program(LOOP + "p.grad /= x.size(0)"),
    "data": Program(LOOP + "p.grad.data.mul_(1 / x.size(0))"),
    "data_augmented": Program(LOOP + "p.grad.data /= x.size(0)"),
    "assigned": Program(LOOP + "p.grad = p.grad / len(x)"),
    "part_assigned": Program(LOOP + "p.grad[...] = p.grad / len(x)"),
    "alias": Program(LOOP + "g = p.grad\n    g /= len(x)"),
    "alias_of_data": Program(LOOP + "d = p.grad.data\n    d /= len(x)"),
    "copied": Program(LOOP + "p.grad.copy_(p.grad / len(x))"),
    "detached": Program(LOOP + "p.grad.detach().div_(len(x))"),
    "foreach": Program("torch._foreach_div_([p.grad for p in model.parameters()], len(x))"),
    "foreach_list": Program(
        "grads = [p.grad for p in model.parameters() if p.grad is not None]\ntorch._foreach_mul_(grads, 1.0 / len(x))"
    ),
    "named": Program("for name, p in model.named_parameters():\n    if p.grad is not None:\n        p.grad /= len(x)"),
    "dictionary": Program(
        "grads = {n: p.grad for n, p in model.named_parameters()}\nfor n in grads:\n    grads[n] /= len(x)"
    ),
    "comprehension": Program("[p.grad.div_(len(x)) for p in model.parameters()]"),
    "by_index": Program(
        "for i in range(len(params)):\n    params[i].grad = params[i].grad / len(x)",
        before="params = list(model.parameters())",
    ),
    "partial": Program(
        "scale = functools.partial(divide, len(x))\n" + LOOP + "scale(p)",
        "import functools\n\n\ndef divide(count, p):\n    p.grad.div_(count)",
    ),
    "in_caller": Program(
        definitions="def compute(net, x, y):\n    F.mse_loss(net(x), y, reduction='sum').backward()",
        backward="compute(model, x, y)",
        edit=LOOP + "p.grad.div_(len(x))",
    ),
    "before_backward": Program(
        definitions="def divide(net, n):\n    for p in net.parameters():\n        if p.grad is not None:\n"
        "            p.grad.div_(n)",
        first="divide(model, len(x))",
    ),
    "behind_step": Program(step="optimizer.step()\n" + LOOP + "p.grad.div_(len(x))"),
    "rate_behind_step": Program(
        step="optimizer.step()\nfor group in optimizer.param_groups:\n    group['lr'] = 0.01 / len(x)"
    ),
    "mapped": Program("list(map(lambda p: p.grad.div_(len(x)), model.parameters()))"),
    "groups": Program(
        "for group in optimizer.param_groups:\n    for p in group['params']:\n        p.grad.div_(len(x))"
    ),
    "by_name": Program(LOOP + "setattr(p, 'grad', getattr(p, 'grad') / len(x))"),
    "applied_lambda": Program("model.apply(lambda m: [p.grad.div_(len(x)) for p in m.parameters(recurse=False)])"),
    "applied_function": Program(
        "def rescale(m):\n    for p in m.parameters(recurse=False):\n        p.grad.mul_(1 / n)\nmodel.apply(rescale)",
        first="n = len(x)",
    ),
    "helper_of_model": Program(
        "average(model, len(x))",
        "def average(net, count):\n    for p in net.parameters():\n        p.grad /= count",
    ),
    "helper_of_optimizer": Program(
        "average(optimizer, len(x))",
        "def average(stepper, count):\n    for g in stepper.param_groups:\n        for p in g['params']:\n"
        "            p.grad.div_(count)",
    ),
    "helper_of_helper": Program(
        "after_backward(model, len(x))",
        "def average(params, count):\n    for p in params:\n        p.grad.div_(count)\n\n\n"
        "def after_backward(net, count):\n    average(net.parameters(), count)",
    ),
    "method_of_model": Program(
        "net.scale(len(x))",
        "class Net(nn.Module):\n    def __init__(self, inner):\n        super().__init__()\n"
        "        self.inner = inner\n\n"
        "    def forward(self, x):\n        return self.inner(x)\n\n"
        "    def scale(self, count):\n        for p in self.parameters():\n            p.grad.div_(count)",
        before="net = Net(model)",
    ),
    "helper_that_reads": Program(
        "log(model)", "def log(net):\n    return sum(p.grad.norm().item() for p in net.parameters())"
    ),
    "clipped": Program("nn.utils.clip_grad_norm_(model.parameters(), 0.001)"),
    "clipped_in_helper": Program(
        "clip(model)", "def clip(net):\n    nn.utils.clip_grad_norm_(net.parameters(), 0.001)"
    ),
    "rate_in_loop": Program(first="for group in optimizer.param_groups:\n    group['lr'] = 0.01 / len(x)"),
    "rate_times": Program(first="for group in optimizer.param_groups:\n    group['lr'] *= 1 / len(x)"),
    "rate_of_first": Program(first="optimizer.param_groups[0]['lr'] = 0.01 / x.size(0)"),
    "rate_updated": Program(first="for group in optimizer.param_groups:\n    group.update(lr=0.01 / len(x))"),
    "rate_numbered": Program(
        first="for i, group in enumerate(optimizer.param_groups):\n    group['lr'] = 0.01 / len(x)"
    ),
    "rate_in_helper": Program(
        definitions="def adjust(stepper, count):\n    for group in stepper.param_groups:\n"
        "        group['lr'] = 0.01 / count",
        first="adjust(optimizer, len(x))",
    ),
    "rate_by_epoch": Program(
        definitions="def adjust(stepper, epoch):\n    for group in stepper.param_groups:\n"
        "        group['lr'] = 0.01 * 0.1 ** (epoch // 30)",
        before="adjust(optimizer, 0)",
    ),
    "hook": Program(before=LOOP + "p.register_hook(lambda g: g / batch_size)"),
    "hook_that_reads": Program(before="norms = []\n" + LOOP + "p.register_hook(lambda g: norms.append(g.norm()))"),
    "hook_behind": Program(
        definitions="",
        before="def scale(p):\n    p.grad.div_(batch_size)\n" + LOOP + "p.register_post_accumulate_grad_hook(scale)",
    ),
    "given_gradient": Program(backward="loss.backward(gradient=torch.tensor(1.0 / len(x)))"),
    "scaler": Program(
        LOOP + "p.grad.div_(len(x))",
        before="scaler = torch.amp.GradScaler('cpu', enabled=False)",
        backward="scaler.scale(loss).backward()\nscaler.unscale_(optimizer)",
        step="scaler.step(optimizer)\nscaler.update()",
    ),
    "closure": Program(
        backward="def closure():\n    optimizer.zero_grad()\n    loss = criterion(model(x), y)\n"
        "    loss.backward()\n    return loss",
        step="optimizer.step(closure)",
    ),
    "closure_that_divides": Program(
        backward="def closure():\n    optimizer.zero_grad()\n    loss = criterion(model(x), y) / len(x)\n"
        "    loss.backward()\n    return loss",
        step="optimizer.step(closure)",
    ),
    "manual": Program(
        optimizer="pass", step="with torch.no_grad():\n    " + LOOP.replace("\n", "\n    ") + "p -= 0.01 * p.grad"
    ),
    "manual_divided": Program(
        optimizer="pass",
        step="with torch.no_grad():\n    " + LOOP.replace("\n", "\n    ") + "p -= 0.01 * p.grad / len(x)",
    ),
    "manual_helper": Program(
        definitions="@torch.no_grad()\ndef update(params, rate, count):\n    for p in params:\n"
        "        p.data.add_(p.grad.data, alpha=-rate / count)\n        p.grad = None",
        step="update(model.parameters(), 0.01, len(x))",
        optimizer="pass",
    ),
    "reduction_by_name": Program(before="setattr(criterion, 'reduction', 'mean')"),
    "reduction_by_unknown_name": Program(
        before="for key, value in {'reduction': 'mean'}.items():\n    setattr(criterion, key, value)"
    ),
    "reduction_in_helper": Program(
        definitions="def configure(loss, options):\n    loss.reduction = options['reduction']",
        before="configure(criterion, {'reduction': 'mean'})",
    ),
}
#: Programs that are not run, as what they do cannot be followed: silence, and no verdict on something else.
REFUSED = {
    "normalized": Program(
        "total = torch.sqrt(sum((p.grad ** 2).sum() for p in model.parameters()))\n" + LOOP + "p.grad.div_(total)"
    ),
    "manual_sign": Program(
        optimizer="pass",
        step="with torch.no_grad():\n    " + LOOP.replace("\n", "\n    ") + "p.add_(p.grad.sign(), alpha=-0.01)",
    ),
    "hook_of_output": Program(
        first="out = model(x)\nout.register_hook(lambda g: g / len(x))", backward="criterion(out, y).backward()"
    ),
    "hook_of_step": Program(
        definitions="def scale(stepper, args, kwargs):\n    for group in stepper.param_groups:\n"
        "        for p in group['params']:\n            p.grad.div_(4)",
        before="optimizer.register_step_pre_hook(scale)",
    ),
    "parameters_by_name": Program("model.weight.grad /= len(x)\nmodel.bias.grad /= len(x)"),
    "out": Program(LOOP + "torch.div(p.grad, len(x), out=p.grad)"),
    "dunder": Program(before="criterion.__dict__['reduction'] = 'mean'"),
}


def truth(text: str) -> float:
    """Return how the first update grows with the batch."""
    import torch

    norms = []
    for size in SIZES:
        torch.manual_seed(0)
        x, y, model = torch.randn(4, 3), torch.randn(4, 2), torch.nn.Linear(3, 2)
        before = [p.detach().clone() for p in model.parameters()]
        names: dict[str, object] = {}
        exec(compile(text, "program", "exec"), names)  # these programs are our own
        train = names["train"]
        assert callable(train)
        train(model, [(x.repeat(size // 4, 1), y.repeat(size // 4, 1))], size)
        moves = [(p.detach() - b).reshape(-1) for p, b in zip(model.parameters(), before, strict=True)]
        norms.append(float(torch.cat(moves).norm()))
    return math.log(norms[-1] / norms[0]) / math.log(SIZES[-1] / SIZES[0])


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Verdict]:
    libraries = load_libraries()
    folder = tmp_path_factory.mktemp("programs")
    found = {}
    for name, program in {**FOLLOWED, **REFUSED}.items():
        path = folder / f"{name}.py"
        path.write_text(program.text)
        facts = analyze(
            str(path), program.text, libraries, project=Project(libraries), absolute=str(path), complete=True
        )
        trained = [flow for flow in facts.flows if flow.fate is Fate.TRAINED]
        found[name] = (str(path), as_finding(trained[-1], str(path), "RED101"))
    made = Session(device="cpu", jobs=2).verdicts(list(found.values()))
    return {name: made[finding] for name, finding in found.items()}


@pytest.mark.parametrize("name", FOLLOWED)
def test_the_update_grows_as_it_does_with_torch(name: str, verdicts: dict[str, Verdict]) -> None:
    verdict = verdicts[name]
    measured = [curve.exponent for curve in verdict.curves if curve.what == "update"]
    assert len(measured) == 1, verdict
    assert measured[0] is not None
    assert abs(measured[0] - truth(FOLLOWED[name].text)) < 0.02, verdict


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_followed_is_not_run(name: str, verdicts: dict[str, Verdict]) -> None:
    assert verdicts[name].outcome is Outcome.NOT_RUN, verdicts[name]


def test_a_helper_that_is_not_in_view_is_assumed_to_change_nothing(tmp_path: Path) -> None:
    text = Program("rescale(model)\nprint(model)", "from elsewhere import rescale").text
    (tmp_path / "pyproject.toml").write_text("")
    path = tmp_path / "train.py"
    path.write_text(text.replace("batch_size", "size"))
    libraries = load_libraries()
    facts = analyze(
        str(path), path.read_text(), libraries, project=Project(libraries), absolute=str(path), complete=True
    )
    finding = as_finding(facts.flows[0], str(path), "RED101")
    verdict = Session(device="cpu").verdicts([(str(path), finding)])[str(path), finding]
    assert "`rescale(model)` changes no gradient" in verdict.assumptions
    assert not any("print" in assumption for assumption in verdict.assumptions)
