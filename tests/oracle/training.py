"""The productions around a loss: models, objectives, optimizers, and how the gradient becomes an update."""

from __future__ import annotations

from tests.oracle.program import Draft, mark

OPTIMIZERS = {
    "SGD": "", "Adam": "", "AdamW": "", "RMSprop": "", "Adagrad": "", "Adadelta": "", "Adamax": "", "NAdam": "",
    "RAdam": "", "ASGD": "", "Rprop": "", "SGD with momentum": "momentum=0.9",
    "SGD with nesterov": "momentum=0.9, nesterov=True", "SGD with decay": "weight_decay=0.01",
    "Adam with decay": "weight_decay=0.01", "LBFGS": "",
}  # fmt: skip
COEFFICIENTS = {
    "sum": "{a} + {b}", "weighted": "{a} + 0.5 * {b}", "named": "{a} + {c} * {b}", "half": "({a} + {b}) / 2",
    "complement": "{c} * {a} + (1 - {c}) * {b}", "stack": "torch.stack([{a}, {b}]).sum()", "list": "sum([{a}, {b}])",
}  # fmt: skip


def write_model(draft: Draft) -> str:
    """Write the model; return the driver's expression for it, empty where the program builds it."""
    layer = draft.layout.model
    ways = ["handed in", "a class", "a layer"] + ([] if draft.two_heads else ["a sequence"])
    if draft.two_heads:
        ways = ["handed in", "a class"]
    way = draft.pick("model", ways)
    if way == "handed in":
        return "supply.model"
    draft.use("import torch.nn as nn" if "from torch import nn" not in draft.imports else "from torch import nn")
    if way == "a class":
        built = _network(draft, layer)
    elif way == "a layer":
        built = layer
    else:
        activation = draft.pick("activation", ["nn.ReLU()", "nn.Tanh()", "nn.GELU()"])
        first = "nn.Linear(4, 4)" if "Linear" in layer else "nn.Conv2d(2, 2, 1)"
        built = f"nn.Sequential({first}, {activation}, {layer})"
    if draft.frame == "class":
        return built if draft.chance("a model built outside", 70) else _own_model(draft, built)
    if draft.frame == "function" and draft.chance("a model built outside", 60):
        return built
    draft.prelude.append(f"{draft.model} = {built}")
    return ""


def _own_model(draft: Draft, built: str) -> str:
    draft.init.append(f"self.model = {built}")
    return ""


def _network(draft: Draft, layer: str) -> str:
    first = "nn.Linear(4, 4)" if "Linear" in layer else "nn.Conv2d(2, 2, 1)"
    heads, result = f"        self.head = {layer}\n", "self.head(h)"
    if draft.two_heads:
        heads, result = heads + f"        self.aux = {layer}\n", "self.head(h), self.aux(h)"
    draft.define(
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        f"        self.body = {first}\n{heads}\n"
        "    def forward(self, x):\n"
        f"        h = torch.tanh(self.body(x))\n        return {result}"
    )
    return "Net()"


def write_forward(draft: Draft) -> list[str]:
    """Write the call of the model; return the names of the outputs."""
    outs = [draft.out, "aux"] if draft.two_heads else [draft.out]
    model = "self.model" if draft.frame == "class" else draft.model
    squeeze = ""
    if draft.layout.squeezed:
        squeeze = draft.pick("squeeze", [".squeeze(-1)", ".squeeze(1)", "[:, 0]", ".flatten()", ".view(-1)"])
    if draft.two_heads:
        draft.forward.append(f"{', '.join(outs)} = {model}({draft.x})")
        if squeeze:
            draft.forward += [f"{name} = {name}{squeeze}" for name in outs]
    else:
        draft.forward.append(f"{draft.out} = {model}({draft.x}){squeeze}")
    return outs


def write_objective(draft: Draft, names: list[str]) -> str:
    """Add up the terms; return the name of the objective."""
    if len(names) == 1:
        return names[0]
    draft.term = None
    total = draft.pick("name of an objective", ["loss", "total_loss", "objective"])
    way = draft.pick(
        "objective",
        [*COEFFICIENTS, "added in place", "dictionary", "keys", "weighted items"]
        + ([] if draft.two_heads else ["under a flag"]),
    )
    a, b = (mark(term, name) for term, name in enumerate(names))
    if way == "added in place":
        draft.add(f"{total} = {a} * 1.0\n{total} += {b}")
    elif way == "dictionary":
        draft.add(f'terms = {{"main": {a}, "extra": {b}}}\n{total} = sum(terms.values())')
    elif way == "keys":
        draft.add(f'terms = {{"main": {a}, "extra": {b}}}\n{total} = terms["main"] + 0.1 * terms["extra"]')
    elif way == "weighted items":
        draft.add(f'terms = {{"main": {a}, "extra": {b}}}\nweights = {{"main": 1.0, "extra": 0.5}}')
        draft.add(f"{total} = sum(weights[key] * value for key, value in terms.items())")
    elif way == "under a flag":
        flag = draft.flag("use_extra")
        draft.add(f"{total} = {a}\nif {flag}:\n    {total} = {total} + {b}")
    else:
        weight = (
            draft.argument(draft.pick("coefficient", ["beta", "alpha"]), "0.5") if "{c}" in COEFFICIENTS[way] else ""
        )
        draft.add(f"{total} = {COEFFICIENTS[way].format(a=a, b=b, c=weight)}")
    return total


def write_penalty(draft: Draft, name: str) -> None:
    """Add a penalty on the weights, perhaps."""
    if draft.terms > 1 or not draft.chance("a penalty on the weights", 6):
        return
    model = "self.model" if draft.frame == "class" else draft.model
    draft.penalized = True
    draft.add(f"{name} = {name} + 0.01 * sum(p.pow(2).sum() for p in {model}.parameters())")


def learning_rate(draft: Draft) -> str:
    """Return a learning rate."""
    kinds = ["constant", "name", "scaled up", "scaled down", "linear rule", "square root rule"]
    kind = draft.pick("learning rate", kinds, [10, 4, 1, 1, 1, 1])
    if kind == "constant":
        return draft.pick("constant learning rate", ["0.01", "1e-3", "0.1"])
    inside = draft.frame == "class"
    rate = (
        draft.argument("lr", "0.1", inside=inside)
        if draft.chance("named learning rate", 50) or kind == "name"
        else "0.1"
    )
    if kind == "name":
        return rate
    batch = draft.argument("batch_size", inside=inside)
    if kind == "square root rule":
        draft.use("import math")
    forms = {
        "scaled up": "{r} * {b}",
        "scaled down": "{r} / {b}",
        "linear rule": "{r} * {b} / 256",
        "square root rule": "{r} * math.sqrt({b})",
    }
    return forms[kind].format(r=rate, b=batch)


def write_optimizer(draft: Draft) -> str:
    """Write the optimizer; return how to refer to it."""
    inside = draft.frame == "class"
    kind = draft.pick("optimizer", list(OPTIMIZERS), [8, 6, 4] + [1] * (len(OPTIMIZERS) - 3))
    own = draft.frame == "script" or "model" not in draft.parameters
    if not own and kind == "SGD" and draft.chance("an optimizer handed in", 30):
        return draft.argument("optimizer", "torch.optim.SGD(model.parameters(), lr=0.1)")
    model = draft.model if not inside else "self.model"
    rate = learning_rate(draft)
    options = OPTIMIZERS[kind]
    name = kind.split()[0]
    module = draft.pick("module of an optimizer", ["torch.optim", "optim", "imported"])
    if module == "optim":
        draft.use("import torch.optim as optim" if draft.chance("import of optim", 50) else "from torch import optim")
    if module == "imported":
        draft.use(f"from torch.optim import {name}")
    parameters = draft.pick("parameters of an optimizer", ["all", "group"], [9, 1])
    given = f"{model}.parameters()"
    if parameters == "group" and name != "LBFGS":
        given = f'[{{"params": {model}.parameters(), "lr": {rate}}}]'
    first = "{r}" if draft.chance("learning rate by position", 15) else "lr={r}"
    prefix = "" if module == "imported" else f"{module}."
    arguments = [given, first.format(r=rate), *([options] if options else [])]
    built = f"{prefix}{name}({', '.join(arguments)})"
    if inside:
        draft.init.append(f"self.optimizer = {built}")
        return "self.optimizer"
    draft.prelude.append(f"optimizer = {built}")
    return "optimizer"


def write_rate_change(draft: Draft, optimizer: str) -> None:
    """Change the learning rate of an optimizer before the loop, perhaps."""
    if not draft.chance("learning rate changed later", 5):
        return
    batch = draft.argument("batch_size")
    form = draft.pick("way of a change", ["scaled up", "scaled down", "set", "set by the batch"])
    change = {
        "scaled up": f"*= {batch}",
        "scaled down": f"/= {batch}",
        "set": "= 0.05",
        "set by the batch": f"= 0.01 * {batch}",
    }[form]
    if draft.chance("the first group", 30):
        draft.prelude.append(f'{optimizer}.param_groups[0]["lr"] {change}')
    else:
        draft.prelude += [f"for group in {optimizer}.param_groups:", f'    group["lr"] {change}']


def backward(draft: Draft, loss: str) -> list[str]:
    """Return the call that computes the gradient."""
    way = draft.pick("backward", ["method", "function", "retained", "gradient of ones"], [12, 1, 1, 1])
    if way == "function":
        return [f"torch.autograd.backward({loss})"]
    if way == "gradient of ones":
        form = draft.pick("ones", ["torch.ones_like({l})", "gradient=torch.ones_like({l})"])
        return [f"{loss}.backward({form.format(l=loss)})"]
    return [f"{loss}.backward({'retain_graph=True' if way == 'retained' else ''})"]


def write_scaler(draft: Draft, loss: str, optimizer: str) -> tuple[list[str], list[str]] | None:
    """Write a scaler of losses, perhaps; return the call that computes the gradient, and the step."""
    if not draft.chance("a scaler", 8):
        return None
    name = draft.bind("scaler", "torch.cuda.amp.GradScaler()")
    unscale = [f"{name}.unscale_({optimizer})"] if draft.chance("unscaled by hand", 40) else []
    return [f"{name}.scale({loss}).backward()"], [*unscale, f"{name}.step({optimizer})", f"{name}.update()"]


def after_backward(draft: Draft, optimizer: str) -> list[str]:
    """Return what is done to the gradient before the step."""
    model = "self.model" if draft.frame == "class" else draft.model
    what = draft.pick("between backward and step", ["nothing", "clip", "clip by value", "division"], [14, 2, 1, 2])
    if what == "clip":
        return [
            f"torch.nn.utils.clip_grad_norm_({model}.parameters(), {draft.pick('threshold', ['1.0', 'max_norm=5.0'])})"
        ]
    if what == "clip by value":
        return [f"torch.nn.utils.clip_grad_value_({model}.parameters(), 0.5)"]
    if what == "division":
        form = draft.pick(
            "division of a gradient",
            ["p.grad /= {n}", "p.grad.div_({n})", "p.grad.mul_(1.0 / {n})", "p.grad = p.grad / {n}", "p.grad *= 0.5"],
        )
        count = draft.pick("size for a gradient", ["len({x})", "{x}.size(0)", "{y}.shape[0]", "{x}.size(0) * 2"])
        line = form.format(
            n=f"({count.format(x=draft.x, y=draft.y)})" if "*" in count else count.format(x=draft.x, y=draft.y)
        )
        loop = draft.pick("loop over gradients", ["parameters", "with a test", "groups"], [4, 1, 1])
        if loop == "with a test":
            return [f"for p in {model}.parameters():", "    if p.grad is not None:", f"        {line}"]
        if loop == "groups":
            return [f"for group in {optimizer}.param_groups:", '    for p in group["params"]:', f"        {line}"]
        return [f"for p in {model}.parameters():", f"    {line}"]
    return []


def update_by_hand(draft: Draft, loss: str) -> list[str]:
    """Return the statements of a step without an optimizer."""
    model = "self.model" if draft.frame == "class" else draft.model
    way = draft.pick("update by hand", ["no_grad", "data", "autograd.grad"])
    divisor = draft.pick("division in an update", ["", " / len({x})", " / {x}.size(0)"]).format(x=draft.x)
    rate = draft.argument("lr", "0.1") if draft.chance("named learning rate", 50) else "0.1"
    if way == "autograd.grad":
        return [
            f"grads = torch.autograd.grad({loss}, list({model}.parameters()))",
            "with torch.no_grad():",
            f"    for p, g in zip({model}.parameters(), grads):",
            f"        p -= {rate} * g{divisor}",
        ]
    if way == "data":
        return [
            *backward(draft, loss),
            f"for p in {model}.parameters():",
            f"    p.data -= {rate} * p.grad{divisor}",
            "    p.grad = None",
        ]
    return [
        *backward(draft, loss),
        "with torch.no_grad():",
        f"    for p in {model}.parameters():",
        f"        p -= {rate} * p.grad{divisor}",
        "        p.grad.zero_()",
    ]
