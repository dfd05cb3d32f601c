"""The productions for one term of an objective: where the loss comes from, and how it becomes a number."""

from __future__ import annotations

from dataclasses import dataclass

from tests.oracle.criteria import write_criterion_class
from tests.oracle.program import Draft
from tests.oracle.scales import divided, masked_or_weighted, reduced

#: By the kind of the targets: class and function, as people write them.
CALLS = {
    "real": ["MSELoss mse_loss", "L1Loss l1_loss", "SmoothL1Loss smooth_l1_loss", "HuberLoss huber_loss"],
    "binary": [
        "BCEWithLogitsLoss binary_cross_entropy_with_logits",
        "BCELoss binary_cross_entropy",
        "MSELoss mse_loss",
    ],
    "labels": ["CrossEntropyLoss cross_entropy", "NLLLoss nll_loss"],
    "probabilities": ["KLDivLoss kl_div"],
}
REDUCTIONS = {
    "default": "",
    "mean": 'reduction="mean"',
    "sum": 'reduction="sum"',
    "none": 'reduction="none"',
    "size_average=False": "size_average=False",
    "size_average=True": "size_average=True",
    "reduce=False": "reduce=False",
    "size_average=False, reduce=True": "size_average=False, reduce=True",
    "legacy overrides": 'size_average=False, reduction="mean"',
    "batchmean": 'reduction="batchmean"',
    "flag": "",
}
UNREDUCED = ("none", "reduce=False")
ELEMENTWISE = {
    "real": [
        "({o} - {y}) ** 2", "({o} - {y}).pow(2)", "torch.abs({o} - {y})", "({o} - {y}).abs()",
        "torch.square({y} - {o})", "torch.pow({o} - {y}, 2)", "0.5 * ({o} - {y}) ** 2",
        "torch.log(1 + ({o} - {y}) ** 2)", "({o} - {y}) * ({o} - {y})", "torch.sqrt(({o} - {y}) ** 2 + 1e-3)",
        "({o} - {y}).square()",
    ],
    "binary": [
        "F.softplus({o}) - {y} * {o}", "(torch.sigmoid({o}) - {y}) ** 2",
        "-({y} * F.logsigmoid({o}) + (1 - {y}) * F.logsigmoid(-{o}))", "torch.clamp(1 - (2 * {y} - 1) * {o}, min=0)",
        "F.relu(1 - (2 * {y} - 1) * {o})",
    ],
    "labels": [
        "-F.log_softmax({o}, dim=-1).gather(-1, {y}.unsqueeze(-1)).squeeze(-1)",
        "-F.log_softmax({o}, -1)[torch.arange(len({y})), {y}]",
        "torch.logsumexp({o}, dim=-1) - {o}.gather(-1, {y}.unsqueeze(-1)).squeeze(-1)",
    ],
    "probabilities": [
        "{y} * ({y}.log() - F.log_softmax({o}, dim=-1))", "-{y} * F.log_softmax({o}, dim=-1)",
        "-({y} * F.log_softmax({o}, dim=-1)).sum(-1)",
    ],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Loss:
    """An expression for a loss, and how many axes it has; 0 for a number."""

    text: str
    rank: int


def write_term(draft: Draft, out: str) -> str:
    """Write the statements of one term; return its name."""
    sources = ["function", "criterion", "arithmetic", "loss class", "helper function", "loop over samples"]
    if draft.layout.kind == "labels":
        sources.append("focal")
    if draft.layout.kind == "real" and draft.layout.rank == 2:
        sources += ["distance", "sum of two"]
    source = draft.pick("source of a loss", sources, [5, 6, 4, 2, 2, 1, 2, 2][: len(sources)])
    loss = _SOURCES[source](draft, out)
    name = draft.name(draft.pick("name of a loss", ["loss", "cost", "objective"], [6, 1, 1]))
    if loss.rank == 0:
        draft.add(f"{name} = {loss.text}")
        if draft.chance("a mean of a number", 5):
            draft.add(f"{name} = {name}.mean()")
    else:
        elements = draft.name(draft.pick("name of elements", ["losses", "per_sample", "error"]))
        draft.add(f"{elements} = {loss.text}")
        if draft.terms == 1 and draft.chance("left unreduced", 4):
            return elements
        loss = masked_or_weighted(draft, Loss(elements, loss.rank))
        draft.add(f"{name} = {loss.text if loss.rank == 0 else reduced(draft, loss.text, loss.rank)}")
    divided(draft, name, out)
    return name


def _inputs(draft: Draft, out: str, call: str) -> tuple[str, str, int]:
    """Return the arguments of a loss call, as it wants them, and the axes of the unreduced loss."""
    draft.use("import torch.nn.functional as F")
    layout, target = draft.layout, draft.y
    rank = layout.rank
    if layout.is_flat:
        way = draft.pick("positions of labels", ["view", "transpose", "flatten", "permute", "reshape"])
        flat = way in ("view", "flatten", "reshape")
        target = {
            "view": f"{target}.view(-1)",
            "flatten": f"{target}.flatten()",
            "reshape": f"{target}.reshape(-1)",
        }.get(way, target)
        out = {
            "view": f"{out}.view(-1, {out}.size(-1))",
            "flatten": f"{out}.flatten(0, 1)",
            "reshape": f"{out}.reshape(-1, 3)",
            "transpose": f"{out}.transpose(1, 2)",
            "permute": f"{out}.permute(0, 2, 1)",
        }[way]
        rank = 1 if flat else 2
        axis = 1
    else:
        axis = -1
    if call.endswith(("NLLLoss nll_loss", "kl_div")):
        form = draft.pick(
            "log probabilities",
            ["F.log_softmax({o}, dim={a})", "{o}.log_softmax({a})", "torch.log_softmax({o}, dim={a})"],
        )
        out = form.format(o=out, a=axis)
    elif call.endswith(" binary_cross_entropy"):
        out = draft.pick("probabilities", ["torch.sigmoid({o})", "{o}.sigmoid()"]).format(o=out)
    return out, target, rank


def _reduction(draft: Draft, call: str) -> tuple[str, bool]:
    """Return the arguments that choose a reduction, and whether the result is unreduced."""
    allowed = [r for r in REDUCTIONS if r != "batchmean" or "kl_div" in call]
    if "Huber" in call:
        allowed = [r for r in allowed if "size_average" not in r and "reduce" not in r and r != "legacy overrides"]
    weights = [
        {"default": 4, "mean": 2, "sum": 6, "none": 6, "size_average=False": 2, "batchmean": 4, "flag": 2}.get(r, 1)
        for r in allowed
    ]
    name = draft.pick("reduction", allowed, weights)
    if name == "flag":
        flag = draft.flag(draft.name("use_sum"))
        one, other = ('"sum"', '"mean"') if draft.chance("sum if a flag is set", 70) else ('"mean"', '"sum"')
        return f"reduction={one} if {flag} else {other}", False
    return REDUCTIONS[name], name in UNREDUCED


def _call(draft: Draft) -> str:
    return draft.pick("loss", CALLS[draft.layout.kind])


def _options(draft: Draft, call: str, *extra: str) -> str:
    options = [option for option in extra if option]
    if call.startswith(("Huber", "SmoothL1")) and draft.chance("an option of a loss", 20):
        options.append("delta=0.5" if call.startswith("Huber") else "beta=0.5")
    if call.startswith(("CrossEntropy", "NLL")) and draft.chance("class weights", 15):
        options.insert(0, f"weight={draft.argument('class_weights', inside=True)}")
    if call.startswith("CrossEntropy") and draft.chance("label smoothing", 10):
        options.append("label_smoothing=0.1")
    return ", ".join(options)


def _function(draft: Draft, out: str) -> Loss:
    call = _call(draft)
    prediction, target, rank = _inputs(draft, out, call)
    reduction, unreduced = _reduction(draft, call)
    options = _of_object(draft, _options(draft, call, reduction))
    module = "F"
    if draft.chance("the whole name of a function", 10):
        module = "torch.nn.functional"
    text = f"{module}.{call.split()[1]}({prediction}, {target}{', ' if options else ''}{options})"
    return Loss(text, rank if unreduced else 0)


WAYS = [
    "named", "inline", "attribute set later", "in a dictionary", "chosen by name", "partial", "a class",
    "positional flag",
]  # fmt: skip
#: Losses whose first parameter is ``size_average``.
FLAGGED = ("MSELoss", "L1Loss", "SmoothL1Loss")


def _criterion(draft: Draft, out: str) -> Loss:
    call = _call(draft)
    prediction, target, rank = _inputs(draft, out, call)
    name, function = call.split()
    reduction, unreduced = _reduction(draft, call)
    ways = WAYS[:2] if "_sum" in reduction else WAYS if name in FLAGGED else WAYS[:-1]
    way = draft.pick("way of a criterion", ways, [8, 2, 1, 1, 1, 1, 2, 1][: len(ways)])
    known = "import torch.nn as nn" in draft.imports
    draft.use("import torch.nn as nn" if known or draft.chance("import of nn", 50) else "from torch import nn")
    label = draft.name(draft.pick("name of a criterion", ["criterion", "loss_fn", "crit", "loss_function"]))
    options = _options(draft, call, reduction)
    built = f"nn.{name}({options})"
    match way:
        case "inline":
            reference = _of_object(draft, built)
        case "positional flag":
            reference, unreduced = _bound(draft, label, f"nn.{name}({draft.pick('flag', ['True', 'False'])})"), False
        case "a class":
            reference = _bound(draft, label, write_criterion_class(draft, name, reduction))
        case "in a dictionary":
            table = draft.bind(draft.name("criteria"), f'{{"main": {built}, "other": nn.L1Loss()}}')
            reference = f'{table}["main"]'
        case "chosen by name":
            table = draft.bind(draft.name("LOSSES"), f'{{"main": nn.{name}, "other": nn.L1Loss}}')
            reference = _local(draft, label, f'{table}["main"]({options})')
        case "partial":
            draft.use("from functools import partial")
            reference = _bound(draft, label, f"partial({', '.join(filter(None, [f'F.{function}', options]))})")
        case "attribute set later":
            reference = _local(draft, label, f"nn.{name}()")
            value = draft.pick("reduction set later", ["sum", "none", "mean"])
            draft.prelude += draft.own(f'{reference}.reduction = "{value}"')
            unreduced = value == "none"
        case _:
            reference = _bound(draft, label, built)
    return Loss(f"{reference}({prediction}, {target})", rank if unreduced else 0)


def _of_object(draft: Draft, expression: str) -> str:
    """Return an expression as it is written outside of the constructor."""
    if draft.frame != "class":
        return expression
    return expression.replace("weight=class_weights", "weight=self.class_weights")


def _bound(draft: Draft, name: str, expression: str) -> str:
    """Bind a criterion; what the constructor has as a parameter is an attribute elsewhere."""
    if draft.frame == "class" and ("class_weights" in expression or "self." in expression):
        draft.init += draft.own(f"self.{name} = {expression}")
        return f"self.{name}"
    return draft.bind(name, expression)


def _local(draft: Draft, name: str, expression: str) -> str:
    draft.prelude += draft.own(f"{name} = {_of_object(draft, expression)}")
    return name


def _elements(draft: Draft, out: str, target: str) -> Loss:
    """Return the elements of a loss written as arithmetic."""
    forms = ELEMENTWISE[draft.layout.kind]
    if draft.layout.is_flat or draft.layout.ignores:
        forms = [forms[0], forms[2]]
        if draft.layout.ignores:
            target = f"{target}.clamp(min=0)"
    form = draft.pick(f"elementwise {draft.layout.kind}", forms)
    if "F." in form:
        draft.use("import torch.nn.functional as F")
    return Loss(form.format(o=out, y=target), draft.layout.rank - form.endswith(".sum(-1)"))


def _arithmetic(draft: Draft, out: str) -> Loss:
    loss = _elements(draft, out, draft.y)
    if draft.chance("arithmetic in one expression", 40):
        reduced_text = reduced(draft, f"({loss.text})", loss.rank)
        return Loss(reduced_text, 0)
    return Loss(loss.text, loss.rank)


def _loss_class(draft: Draft, out: str) -> Loss:
    """A module of its own, with a reduction as its argument."""
    draft.use("import torch.nn as nn" if "from torch import nn" not in draft.imports else "from torch import nn")
    draft.use("import torch.nn.functional as F")
    loss = _elements(draft, "pred", "target")
    default = draft.pick("default of a loss class", ["mean", "sum", "none"])
    given = draft.pick("reduction of a loss class", ["not given", "mean", "sum", "none"])
    name = (
        f"{draft.pick('name of a loss class', ['RobustLoss', 'WeightedLoss', 'ReconLoss'])}{draft.name('')[1:].upper()}"
    )
    draft.define(
        f"class {name}(nn.Module):\n"
        f'    def __init__(self, reduction="{default}"):\n'
        "        super().__init__()\n"
        "        self.reduction = reduction\n\n"
        "    def forward(self, pred, target):\n"
        f"        values = {loss.text}\n" + _branches(draft, "self.reduction")
    )
    keyword = "" if given == "not given" else draft.pick("reduction given", ["reduction=", ""])
    argument = "" if given == "not given" else f'{keyword}"{given}"'
    built = f"{name}({argument})"
    effective = default if given == "not given" else given
    reference = draft.bind(draft.name("criterion"), built)
    return Loss(f"{reference}({out}, {draft.y})", loss.rank if effective == "none" else 0)


def _branches(draft: Draft, reduction: str) -> str:
    forms = {
        "if": 'if {r} == "mean":\n    return values.mean()\nif {r} == "sum":\n    return values.sum()\nreturn values',
        "elif": 'if {r} == "mean":\n    values = values.mean()\nelif {r} == "sum":\n'
        "    values = values.sum()\nreturn values",
        "expression": 'return values.mean() if {r} == "mean" else values.sum() if {r} == "sum" else values',
    }
    form = forms[draft.pick("branches of a reduction", list(forms))].format(r=reduction)
    return "\n".join("        " + line for line in form.splitlines())


def _helper(draft: Draft, out: str) -> Loss:
    """A function of the module that computes the loss."""
    draft.use("import torch.nn.functional as F")
    loss = _elements(draft, "pred", "target")
    name = draft.name(draft.pick("name of a helper", ["loss_function", "compute_error", "reconstruction"]))
    if draft.chance("a helper with a reduction", 50):
        default = draft.pick("default of a loss class", ["mean", "sum", "none"])
        given = draft.pick("reduction of a loss class", ["not given", "mean", "sum", "none"])
        body = _branches(draft, "reduction").replace("\n    ", "\n")[4:]
        draft.define(f'def {name}(pred, target, reduction="{default}"):\n    values = {loss.text}\n{body}')
        more = "" if given == "not given" else f', reduction="{given}"'
        effective = default if given == "not given" else given
        return Loss(f"{name}({out}, {draft.y}{more})", loss.rank if effective == "none" else 0)
    text = reduced(draft, "values", loss.rank)
    draft.define(f"def {name}(pred, target):\n    values = {loss.text}\n    return {text}")
    return Loss(f"{name}({out}, {draft.y})", 0)


def _over_samples(draft: Draft, out: str) -> Loss:
    """A loop over the samples of a batch."""
    call = _call(draft)
    draft.use("import torch.nn.functional as F")
    function, prediction = f"F.{call.split()[1]}", "o"
    if call.endswith(("nll_loss", "kl_div")):
        prediction = "F.log_softmax(o, dim=-1)"
    elif call.endswith(" binary_cross_entropy"):
        prediction = "torch.sigmoid(o)"
    option = draft.pick("reduction over a sample", ["", ', reduction="sum"'])
    one = f"{function}({prediction}, t{option})"
    pairs = f"for o, t in zip({out}, {draft.y})"
    form = draft.pick("loop over samples", ["sum", "statement", "stack", "list"])
    if form == "sum":
        return Loss(f"sum({one} {pairs})", 0)
    if form == "stack":
        return Loss(f"torch.stack([{one} {pairs}])", 1)
    total = draft.name("total")
    if form == "statement":
        draft.add(f"{total} = 0.0\n{pairs}:\n    {total} = {total} + {one}")
        return Loss(total, 0)
    draft.add(f"{total} = []\n{pairs}:\n    {total}.append({one})")
    return (
        Loss(f"sum({total}) / len({total})", 0)
        if draft.chance("list divided by its length", 50)
        else Loss(f"torch.stack({total})", 1)
    )


def _focal(draft: Draft, out: str) -> Loss:
    """A loss that weighs its own elements."""
    draft.use("import torch.nn.functional as F")
    prediction, target, rank = _inputs(draft, out, "CrossEntropyLoss cross_entropy")
    ce, pt = draft.name("ce"), draft.name("pt")
    draft.add(f'{ce} = F.cross_entropy({prediction}, {target}, reduction="none")\n{pt} = torch.exp(-{ce})')
    return Loss(f"(1 - {pt}) ** 2 * {ce}", rank)


def _distance(draft: Draft, out: str) -> Loss:
    """A norm of the differences."""
    forms = {
        "torch.norm({o} - {y})": 0,
        "({o} - {y}).norm(dim=1)": 1,
        "torch.linalg.vector_norm({o} - {y}, dim=-1)": 1,
        "torch.sqrt((({o} - {y}) ** 2).mean())": 0,
        "1 - F.cosine_similarity({o}, {y})": 1,
        "F.pairwise_distance({o}, {y})": 1,
    }
    form = draft.pick("distance", list(forms))
    draft.use("import torch.nn.functional as F")
    return Loss(form.format(o=out, y=draft.y), forms[form])


def _of_two(draft: Draft, out: str) -> Loss:
    """The divergence of a variational autoencoder, a sum of several terms before it is reduced."""
    form = draft.pick(
        "divergence",
        [
            "-0.5 * torch.sum(1 + {o} - {y}.pow(2) - {o}.exp())",
            "-0.5 * torch.mean(1 + {o} - {y}.pow(2) - {o}.exp())",
            "-0.5 * (1 + {o} - {y} ** 2 - {o}.exp()).sum(dim=1).mean()",
            "torch.mean(-0.5 * torch.sum(1 + {o} - {y} ** 2 - {o}.exp(), dim=1), dim=0)",
        ],
    )
    return Loss(form.format(o=out, y=draft.y), 0)


_SOURCES = {
    "function": _function,
    "criterion": _criterion,
    "arithmetic": _arithmetic,
    "loss class": _loss_class,
    "helper function": _helper,
    "loop over samples": _over_samples,
    "focal": _focal,
    "distance": _distance,
    "sum of two": _of_two,
}
