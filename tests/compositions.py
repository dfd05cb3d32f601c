"""Training loops as people write them, and what their gradients grow with: measured in tests/test_laboratory.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import indent

HEAD = """\
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
"""
CE = "out = model(x)\n"
SGD = "optim.SGD(model.parameters(), lr=0.1)"
CE_SUM = CE + "loss = F.cross_entropy(out, y, reduction='sum')"
WINDOW = "if (i + 1) % accum_steps == 0:\n    optimizer.step()\n    optimizer.zero_grad()"
TOKENS = (
    "logits = model(x)\nloss = F.cross_entropy(logits.view(-1, logits.size(-1)), y.view(-1), {}ignore_index=-100){}"
)
MASKED = "out = model(x)\nl = F.mse_loss(out, y, reduction='none')\nloss = "
VAE = "recon, mu, logvar = model(x)\nbce = F.binary_cross_entropy(recon, x{})\nkld = {}\nloss = bce + kld"
FOCAL = """\
class Focal(nn.Module):
    def __init__(self, gamma=2.0):
        super().__init__()
        self.gamma = gamma

    def forward(self, inp, tgt):
        ce = F.cross_entropy(inp, tgt, reduction='none')
        pt = torch.exp(-ce)
        return ((1 - pt) ** self.gamma * ce).sum()

crit = Focal()
"""


@dataclass(frozen=True)
class Composition:
    """A training loop.

    Attributes:
        name: what it is.
        body: the statements of a round, up to the call of backward.
        samples: the exponent of the gradient in the number of samples, one for each layout that may be told apart; None
            where backward raises.
        update: that of the first update.
        others: exponents in other counts: elements, valid, micro_batches.
        optimizer: how the optimizer is built.
        top: statements of the module.
        behind: statements between backward and the step.
        step: what steps.
        backward: what calls backward.
        clipped: whether the gradient is clipped.
    """

    name: str
    body: str
    samples: tuple[float, ...] | None
    update: float | None = None
    others: dict[str, float] = field(default_factory=dict)
    optimizer: str = SGD
    top: str = ""
    behind: str = ""
    step: str = "optimizer.step()"
    backward: str = "loss.backward()"
    clipped: bool = False

    @property
    def source(self) -> str:
        """The program."""
        rounds = "\n".join(part for part in (self.body, self.backward, self.behind, self.step) if part)
        return (
            f"{HEAD}{self.top}\ndef train(model, loader):\n    optimizer = {self.optimizer}\n"
            f"    for i, (x, y) in enumerate(loader):\n{indent(rounds, ' ' * 8)}\n"
        )


ZERO, ONE = {"elements": 0.0}, {"elements": 1.0}
KLD = "-0.5 * torch.{}(1 + logvar - mu.pow(2) - logvar.exp())"

COMPOSITIONS = (
    Composition("mean", CE + "loss = F.cross_entropy(out, y)", (0,), 0, {"elements": 0, "valid": 0}),
    Composition("sum", CE_SUM, (1,), 1, {"elements": 1, "valid": 1}),
    Composition("sum by a legacy flag", CE + "loss = F.cross_entropy(out, y, size_average=False)", (1,), 1),
    Composition("sum / x.size(0)", CE_SUM + " / x.size(0)", (0,), 0),
    Composition("sum / len(x)", CE_SUM + " / len(x)", (0,), 0),
    Composition("sum / batch_size", CE_SUM + " / batch_size", (0,), 0),
    Composition("sum / args.batch_size", CE_SUM + " / args.batch_size", (0,), 0),
    Composition("sum / 128", CE_SUM + " / 128", (1,), 1),
    Composition("sum / n", CE_SUM + " / n", (0, 1)),
    Composition("sum / len(loader)", CE_SUM + " / len(loader)", (1,), 1),
    Composition(
        "sum, lr / batch_size", CE_SUM, (1,), 0, optimizer="optim.SGD(model.parameters(), lr=0.1 / batch_size)"
    ),
    Composition(
        "mean, lr * batch_size",
        CE + "loss = F.cross_entropy(out, y)",
        (0,),
        1,
        optimizer="optim.SGD(model.parameters(), lr=0.1 * batch_size / 256)",
    ),
    Composition("sum, Adam", CE_SUM, (1,), 0, optimizer="optim.Adam(model.parameters(), lr=1e-3)"),
    Composition("sum, AdamW", CE_SUM, (1,), 0, optimizer="optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)"),
    Composition(
        "sum, weight decay", CE_SUM, (1,), 1, optimizer="optim.SGD(model.parameters(), lr=0.1, weight_decay=0.5)"
    ),
    Composition("sum, RMSprop", CE_SUM, (1,), 0, optimizer="optim.RMSprop(model.parameters(), lr=1e-3)"),
    Composition(
        "sum, clipped",
        CE_SUM,
        (1,),
        0,
        behind="torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)",
        clipped=True,
    ),
    Composition(
        "sum, p.grad / batch_size", CE_SUM, (0,), 0, behind="for p in model.parameters():\n    p.grad /= batch_size"
    ),
    Composition("none", CE + "loss = F.cross_entropy(out, y, reduction='none')", None),
    Composition("none.mean()", CE + "loss = F.cross_entropy(out, y, reduction='none').mean()", (0,), 0, {"valid": 1}),
    Composition("none.sum()", CE + "loss = F.cross_entropy(out, y, reduction='none').sum()", (1,), 1, ONE),
    Composition(
        "none, ones",
        CE + "loss = F.cross_entropy(out, y, reduction='none')",
        (1,),
        1,
        backward="loss.backward(torch.ones_like(loss))",
    ),
    Composition("mean / x.size(0)", CE + "loss = F.cross_entropy(out, y) / x.size(0)", (-1,), -1),
    Composition("mean * x.size(0)", CE + "loss = F.cross_entropy(out, y) * x.size(0)", (1,), 1),
    Composition("weighted mean", CE + "loss = F.cross_entropy(out, y, weight=class_weights)", (0,), 0),
    Composition(
        "weighted sum / weights",
        CE + "loss = F.cross_entropy(out, y, weight=class_weights, reduction='sum') / class_weights[y].sum()",
        (0,),
        0,
    ),
    Composition("tokens, sum", TOKENS.format("reduction='sum', ", ""), (1,), 1, {"elements": 1, "valid": 1}),
    Composition("tokens, sum / batch", TOKENS.format("reduction='sum', ", " / y.size(0)"), (0,), 0, ONE),
    Composition(
        "tokens, sum / batch, time first",
        TOKENS.format("reduction='sum', ", " / y.size(0)"),
        (0, 1),
        None,
        top="rnn = nn.LSTM(4, 4)\n",
    ),
    Composition(
        "tokens, sum / numel", TOKENS.format("reduction='sum', ", " / y.numel()"), (0,), 0, {"elements": 0, "valid": 1}
    ),
    Composition(
        "tokens, sum / valid",
        TOKENS.format("reduction='sum', ", " / (y != -100).sum()"),
        (0,),
        0,
        {"elements": 0, "valid": 0},
    ),
    Composition("tokens, mean", TOKENS.format("", ""), (0,), 0, {"elements": 0, "valid": 0}),
    Composition("masked sum", MASKED + "(l * mask).sum()", (1,), 1, {"elements": 1, "valid": 1}),
    Composition("masked mean", MASKED + "(l * mask).mean()", (0,), 0, {"elements": 0, "valid": 1}),
    Composition("masked sum / mask", MASKED + "(l * mask).sum() / mask.sum()", (0,), 0, {"elements": 0, "valid": 0}),
    Composition("VAE: sum + sum", VAE.format(", reduction='sum'", KLD.format("sum")), (1,), 1),
    Composition("VAE: mean + sum", VAE.format("", KLD.format("sum")), (1,)),
    Composition(
        "VAE: sum / B + sum(1).mean()",
        VAE.format(
            ", reduction='sum') / (x.shape[0]",
            "(-0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1)).mean()",
        ),
        (0,),
        0,
    ),
    Composition("VAE: sum + mean", VAE.format(", reduction='sum'", KLD.format("mean")), (0.94, 1)),
    Composition("kl mean", "loss = F.kl_div(F.log_softmax(model(x), 1), teacher(x))", (0,), 0, ZERO),
    Composition(
        "kl batchmean", "loss = F.kl_div(F.log_softmax(model(x), 1), teacher(x), reduction='batchmean')", (0,), 0, ONE
    ),
    Composition("kl sum", "loss = F.kl_div(F.log_softmax(model(x), 1), teacher(x), reduction='sum')", (1,), 1, ONE),
    Composition("sqrt(sum)", CE + "loss = torch.sqrt(F.mse_loss(out, y, reduction='sum'))", (0.5,), 0.5),
    Composition("sqrt(mean)", CE + "loss = torch.sqrt(F.mse_loss(out, y))", (0,), 0),
    Composition("accumulated", CE + "loss = F.cross_entropy(out, y)", (0,), 0, {"micro_batches": 1}, step=WINDOW),
    Composition(
        "accumulated, divided",
        CE + "loss = F.cross_entropy(out, y) / accum_steps",
        (0,),
        0,
        {"micro_batches": 0},
        step=WINDOW,
    ),
    Composition(
        "sum over time",
        "outs = model(x)\nloss = 0\nfor t in range(outs.size(1)):\n    loss += F.mse_loss(outs[:, t], y[:, t])",
        (0,),
        0,
        ONE,
    ),
    Composition(
        "sum over samples",
        "out = model(x)\nlosses = []\nfor i in range(out.size(0)):\n    losses.append(F.mse_loss(out[i], y[i]))\n"
        "loss = torch.stack(losses).sum()",
        (1,),
        1,
    ),
    Composition(
        "InfoNCE, mean",
        "a, b = model(x)\nlogits = a @ b.t()\nloss = F.cross_entropy(logits, torch.arange(a.size(0)))",
        (0,),
        0,
    ),
    Composition(
        "InfoNCE, sum",
        "a, b = model(x)\nlogits = a @ b.t()\nloss = F.cross_entropy(logits, torch.arange(a.size(0)), reduction='sum')",
        (1,),
        1,
    ),
    Composition("huber sum / numel", CE + "loss = F.huber_loss(out, y, reduction='sum') / out.numel()", (0,), 0, ZERO),
    Composition("REINFORCE, sum", "logp = torch.log_softmax(model(x), -1)\nloss = -(logp * advantage).sum()", (1,), 1),
    Composition(
        "divergence of distributions",
        "mu, std = model(x)\np = torch.distributions.Normal(mu, torch.exp(std))\n"
        "q = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(std))\n"
        "loss = torch.distributions.kl_divergence(p, q).sum(1).mean()",
        (0,),
        0,
    ),
    Composition("focal, sum", "loss = crit(model(x), y)", (1,), 1, {"valid": 1}, top=FOCAL),
)
