"""The productions for what is done to a loss: reductions, masks, weights, divisions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.oracle.program import Draft

if TYPE_CHECKING:
    from tests.oracle.losses import Loss

REDUCTIONS = [
    "{l}.mean()", "{l}.sum()", "torch.mean({l})", "torch.sum({l})", "{l}.mean(0).sum()", "{l}.sum(0).mean()",
    "{l}.sum(dim=0).sum()", "{l}.flatten().sum()", "{l}.view(-1).mean()", "{l}.sum() / {n}", "{l}.sum().div({n})",
]  # fmt: skip
OVER_POSITIONS = [
    "{l}.sum(1).mean()", "{l}.mean(1).sum()", "{l}.sum(-1).mean()", "{l}.flatten(1).sum(1).mean()",
    "{l}.flatten(start_dim=1).mean(dim=1).sum()", "{l}.view({l}.size(0), -1).sum(1).mean()",
    "{l}.reshape({l}.shape[0], -1).mean(1).mean()", "torch.mean(torch.sum({l}, dim=1))",
    "torch.sum({l}, dim=-1).mean()", "{l}.sum(dim=list(range(1, {l}.dim()))).mean()",
    "torch.sum(torch.mean({l}, dim=1))", "{l}.sum(axis=1).sum()",
    "{l}.mean(dim=tuple(range(1, {l}.ndim))).sum()", "{l}.sum(1).sum() / {n}",
]  # fmt: skip
OF_VECTORS = [
    "{l}.sum(dim=1).mean(dim=0)",
    "torch.mean(torch.sum({l}, dim=1), dim=0)",
    "{l}.sum(1, keepdim=True).mean()",
]
OF_NUMBERS = ["sum({l})", "sum({l}) / len({l})", "{l}.sum() / len({l})", "{l}.dot(torch.ones_like({l}))"]
MASKS = [
    "({l} * {m}).sum() / {m}.sum()", "({l} * {m}).mean()", "{l}[{m}].mean()", "{l}[{m}].sum()",
    "torch.masked_select({l}, {m}).mean()", "{l}.masked_fill(~{m}, 0.0).sum()", "({l} * {m}).sum()",
    "({l} * {m}.float()).sum() / {m}.float().sum().clamp(min=1)", "{l}[{m}].sum() / {n}",
    "torch.where({m}, {l}, torch.zeros_like({l})).sum() / {m}.sum()", "({l} * {m}).sum() / max(1, {m}.sum())",
    "({l} * {m}).sum() / {n}", "torch.masked_select({l}, {m}).sum() / {m}.sum()", "torch.mean({l} * {m}.float())",
    "({l} * {m}).mean() * {m}.numel() / {m}.sum()", "torch.mean({l}[{m}])", "{l}.masked_fill(~{m}, 0).mean()",
]  # fmt: skip
ROW_MASKS = ["(({l} * {m}).sum(1) / {m}.sum(1)).mean()", "({l} * {m}).sum(1).mean()", "({l} * {m}).sum(dim=-1).sum()"]
WEIGHTS = [
    "({l} * {w}).mean()", "({l} * {w}).sum() / {w}.sum()", "({w} * {l}).sum()", "torch.sum({w} * {l}) / {n}",
    "({l} * {w}).sum() / len({w})", "torch.mean({w} * {l})",
]  # fmt: skip


SIZES = [
    "{x}.size(0)", "len({x})", "{x}.shape[0]", "{y}.size(0)", "len({y})", "{o}.shape[0]", "{x}.size()[0]",
    "float(len({x}))", "max(1, len({y}))", "{y}.numel()", "{o}.numel()", "torch.numel({y})", "{y}.view(-1).size(0)",
    "{o}.nelement()", "len({o})", "torch.tensor(float(len({x})))",
]  # fmt: skip
SIZES_OF_SAMPLES = ["({y}.shape[0] * {y}.shape[1])", "{y}[0].numel()", "{y}.size(1)", "({y}.size(0) * {y}[0].numel())"]


ROWS = [
    "{x}.size(0)",
    "len({x})",
    "{x}.shape[0]",
    "{y}.size(0)",
    "len({y})",
    "{o}.shape[0]",
    "{x}.size()[0]",
    "len({o})",
]


def _rows(draft: Draft, out: str) -> list[str]:
    """Return the sizes that are that of the batch."""
    return [form.format(x=draft.x, y=draft.y, o=out) for form in ROWS]


def size(draft: Draft, out: str) -> str:
    """Return something to divide by or to multiply with."""
    kind = draft.pick("divisor", ["size", "constant", "name", "loader", "root"], [10, 3, 4, 2, 1])
    if kind == "size":
        forms = SIZES + (SIZES_OF_SAMPLES if draft.layout.rank > 1 else [])
        return draft.pick("size", forms).format(x=draft.x, y=draft.y, o=out)
    if kind == "constant":
        return draft.pick("constant", ["2", "4.0", "100.0", "1e3"])
    if kind == "name":
        return draft.argument(
            draft.pick("name of a size", ["batch_size", "bsz", "num_samples"], [6, 1, 1]), "supply.batch_size"
        )
    if kind == "root":
        draft.use("import math")
        return draft.pick("root", ["math.sqrt(len({x}))", "{x}.size(0) ** 0.5"]).format(x=draft.x)
    draft.dials.add("batches")
    form = draft.pick("size of a loader", ["len({l})", "len({l}.dataset)", "{l}.batch_size"], [2, 1, 1])
    return form.format(l=draft.loader)


def reduced(draft: Draft, text: str, rank: int) -> str:
    """Return the reduction of a loss to a number."""
    forms = REDUCTIONS + (OVER_POSITIONS if rank > 1 else OF_NUMBERS) + (OF_VECTORS if rank == 2 else [])
    form = draft.pick("reduction of elements", forms)
    count = f"{text}.size(0)" if "{n}" in form else ""
    if count and draft.chance("divided by the size of something else", 60):
        count = draft.pick("size in a reduction", ["{l}.shape[0]", "len({l})", "{l}.numel()"]).format(l=text)
    return form.format(l=text, n=count)


def masked_or_weighted(draft: Draft, loss: Loss) -> Loss:
    """Return a loss with a mask or weights, perhaps."""
    kinds = ["nothing", "mask", "weights"]
    what = draft.pick("mask or weights", kinds, [6, 3, 2])
    full = loss.rank == draft.layout.rank
    if what == "nothing" or (what == "mask" and not full):
        return loss
    if what == "mask":
        mask = _mask(draft)
        forms = MASKS + (ROW_MASKS if loss.rank == 2 else [])
        form = draft.pick("masked", forms)
        return replace(loss, text=form.format(l=loss.text, m=mask, n=f"{loss.text}.size(0)"), rank=0)
    if "w" not in draft.fields:
        draft.fields.append("w")
    weight = (
        draft.pick("shape of weights", ["({l} * w)", "w[:, None] * {l}", "{l}.flatten(1).mean(1) * w"])
        if loss.rank > 1
        else ""
    )
    if loss.rank == 1 and loss.rank == draft.layout.rank:
        form = draft.pick("weighted", WEIGHTS)
        return replace(loss, text=form.format(l=loss.text, w="w", n=f"len({loss.text})"), rank=0)
    if loss.rank == 2 and full and weight.startswith("w["):
        return replace(loss, text=f"({weight.format(l=loss.text)})")
    if loss.rank > 1 and weight.endswith("* w"):
        return replace(loss, text=f"({weight.format(l=loss.text)})", rank=1)
    return loss


def _mask(draft: Draft) -> str:
    forms = {
        "real": ["{y} > 0"],
        "binary": ["{y} > 0.5"],
        "labels": ["{y} > 0", "{y} != 2"],
        "probabilities": ["{y} > {y}.mean()"],
    }
    made = forms[draft.layout.kind]
    if draft.layout.ignores:
        made = ["{y} != -100", "{y}.ne(-100)", "{y} >= 0"]
    way = draft.pick("mask", ["of the batch", "computed"])
    if way == "of the batch":
        if "mask" not in draft.fields:
            draft.fields.append("mask")
        return "mask"
    name = draft.name(draft.pick("name of a mask", ["valid", "keep", "mask"], [2, 1, 1]))
    if name in draft.fields:
        return name
    draft.add(f"{name} = {draft.pick('condition of a mask', made).format(y=draft.y)}")
    return name


def divided(draft: Draft, name: str, out: str) -> None:
    """Divide or multiply a loss by something, perhaps, perhaps only if a flag is set."""
    forms = [
        "nothing", "{l} = {l} / {n}", "{l} = {l} * {n}", "{l} /= {n}", "{l} = {l}.div({n})",
        "{l} = torch.div({l}, {n})", "{l} = {l}.mul({n})", "{l} *= {n}", "{l} = 1.0 / {n} * {l}",
        "{l} = {l} * (1 / {n})",
    ]  # fmt: skip
    form = draft.pick("division", forms, [14, 4, 2, 2, 1, 1, 1, 1, 1, 1])
    if form == "nothing":
        return
    count = size(draft, out)
    if draft.chance("a name for a size", 20):
        # people call the size of a batch so, and nothing else
        names = ["n", "num"] + (["batch", "b"] if count in _rows(draft, out) else [])
        given = draft.name(draft.pick("name for a size", names))
        draft.add(f"{given} = {count}")
        count = given
    if any("norm" in line or "sqrt" in line for line in draft.loss):
        # the result of a root is kept for its gradient
        form = form.replace("{l} *=", "{l} = {l} *").replace("{l} /=", "{l} = {l} /")
    if count.startswith("torch.tensor") and "{l} *=" in form:
        form = "{l} = {l} * {n}"
    statement = form.format(l=name, n=count)
    if draft.chance("division under a flag", 12):
        flag = draft.flag(draft.name("normalize"))
        if draft.chance("two divisions", 30):
            draft.add(f"if {flag}:\n    {statement}\nelse:\n    {name} = {name} / 10")
        else:
            draft.add(f"if {flag}:\n    {statement}")
    else:
        draft.add(statement)
