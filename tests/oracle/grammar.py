"""A program from choices: the frame, the loop over batches, and the order of it all."""

from __future__ import annotations

import re

from tests.oracle.beside import write_evaluation, write_log, write_schedule
from tests.oracle.choices import Choices
from tests.oracle.layouts import LAYOUTS
from tests.oracle.losses import write_term
from tests.oracle.program import Draft, Program, free_names, rendered, shifted
from tests.oracle.scales import divided
from tests.oracle.training import (
    after_backward,
    backward,
    update_by_hand,
    write_forward,
    write_model,
    write_objective,
    write_optimizer,
    write_penalty,
    write_rate_change,
    write_scaler,
)

STEPS = ["plain", "window divided", "window", "total over the loader", "closure", "by hand"]
KEYS = {"x": "input", "y": "target", "mask": "mask", "w": "weight"}


def generate(choices: Choices) -> Program:
    """Write the program that some choices stand for."""
    draft = _draft(choices)
    model = write_model(draft)
    if draft.frame == "class" and model:
        draft.parameters["model"] = "model"
    elif model:
        draft.parameters[draft.model] = "model"
    _loader(draft)
    outs = write_forward(draft)
    names = []
    for term in range(draft.terms):
        draft.term = term
        names.append(write_term(draft, outs[term % len(outs)]))
    loss = write_objective(draft, names)
    draft.term = None if draft.terms > 1 else 0
    write_penalty(draft, loss)
    if draft.terms > 1:
        divided(draft, loss, draft.out)
    body, after = _steps(draft, loss)
    lines = _assembled(draft, body, after)
    return _finished(draft, lines, model or "None")


def _draft(choices: Choices) -> Draft:
    layout = LAYOUTS[choices.pick("layout", list(LAYOUTS))]
    frame = choices.pick("frame", ["function", "class", "script"], [4, 2, 2])
    x = choices.pick("name of inputs", ["x", "inputs", "data", "images"], [4, 1, 1, 1])
    y = choices.pick("name of targets", ["y", "target", "targets", "labels"], [4, 1, 1, 1])
    out = choices.pick("name of outputs", ["out", "output", "pred", "logits"], [4, 1, 1, 1])
    loader = choices.pick("name of a loader", ["loader", "train_loader", "dataloader"], [3, 1, 1])
    model = choices.pick("name of a model", ["model", "net"], [3, 1])
    draft = Draft(choices, layout, frame, x, y, out, loader, model, ["x", "y"])
    draft.terms = 2 if draft.chance("two terms", 25) else 1
    draft.two_heads = draft.terms > 1 and draft.chance("two heads", 50)
    return draft


def _loader(draft: Draft) -> None:
    """Take a loader from outside, or build it."""
    if draft.frame == "class" or not draft.chance("a loader built here", 20):
        draft.parameters[draft.loader] = "supply.loader"
        return
    draft.use("from torch.utils.data import DataLoader")
    draft.parameters["dataset"] = "supply.dataset"
    size = draft.argument("batch_size")
    draft.prelude.append(f"{draft.loader} = DataLoader(dataset, batch_size={size})")


# --- the loop


def _unpacked(draft: Draft, *, built: bool) -> tuple[str, list[str]]:
    """Return the target of the loop, and the statements that take a batch apart."""
    names = {"x": draft.x, "y": draft.y, "mask": "mask", "w": "w"}
    own = [names[field] for field in draft.fields]
    ways = ["in the loop", "in a statement", "by index"] + ([] if built else ["by key"])
    way = draft.pick("batch", ways, [6, 1, 1, 1][: len(ways)])
    device = []
    if draft.chance("moved to a device", 20):
        where = draft.argument("device", '"cpu"')
        device = [f"{draft.x}, {draft.y} = {draft.x}.to({where}), {draft.y}.to({where})"]
    if way == "in the loop":
        return ", ".join(own), device
    if way == "in a statement":
        return "batch", [f"{', '.join(own)} = batch", *device]
    if way == "by index":
        return "batch", [*(f"{name} = batch[{i}]" for i, name in enumerate(own)), *device]
    draft.parameters[draft.loader] = "supply.dict_loader"
    return "batch", [*(f'{names[f]} = batch["{KEYS[f]}"]' for f in draft.fields), *device]


def _steps(draft: Draft, loss: str) -> tuple[list[str], list[str]]:
    """Return the loop over batches, and what comes after it."""
    way = draft.pick("step", STEPS, [12, 2, 1, 2, 1, 2])
    if way == "by hand":
        draft.updates_by_hand = True
        target, unpack = _unpacked(draft, built="dataset" in draft.parameters)
        lines = _computed(draft, loss) + update_by_hand(draft, loss)
        return _loop(draft, target, unpack, lines), []
    optimizer = write_optimizer(draft)
    write_rate_change(draft, optimizer)
    target, unpack = _unpacked(draft, built="dataset" in draft.parameters)
    compute = _computed(draft, loss)
    scaled = write_scaler(draft, loss, optimizer) if way == "plain" else None
    edits = after_backward(draft, optimizer)
    step = [*edits, f"{optimizer}.step()"] if scaled is None else [*scaled[1][:-2], *edits, *scaled[1][-2:]]
    step += write_schedule(draft, optimizer)
    call = backward(draft, loss) if scaled is None else scaled[0]
    zero = f"{optimizer}.zero_grad()"
    if way == "closure":
        inner = ["def closure():", *shifted([zero, *compute, *backward(draft, loss), f"return {loss}"])]
        return _loop(draft, target, unpack, [*inner, f"{optimizer}.step(closure)"]), []
    if "LBFGS" in "".join(draft.prelude + draft.init):
        # its step wants a closure, whatever was computed before
        inner = ["def closure():", *shifted([zero, *compute, f"{loss}.backward()", f"return {loss}"])]
        return _loop(draft, target, unpack, [*inner, f"{optimizer}.step(closure)"]), []
    if way == "plain":
        order = draft.pick("order of zero_grad", ["before", "just before backward", "after"])
        lines = {
            "before": [zero, *compute, *call, *step],
            "just before backward": [*compute, zero, *call, *step],
            "after": [*compute, *call, *step, zero],
        }[order]
        if draft.chance("a function for a step", 12):
            lines = _in_function(draft, draft.pick("name of a step", ["train_step", "train_batch", "optimize"]), lines)
        else:
            lines += write_log(draft, loss)
        return _loop(draft, target, unpack, lines), []
    if way.startswith("window"):
        return _window(draft, loss, (target, unpack, compute), (zero, step), divides="divided" in way), []
    return _total(draft, loss, (target, unpack, compute), (zero, step))


def _window(
    draft: Draft, loss: str, computed: tuple[str, list[str], list[str]], ends: tuple[str, list[str]], *, divides: bool
) -> list[str]:
    target, unpack, compute = computed
    zero, step = ends
    count = draft.argument(draft.pick("name of a window", ["accumulation_steps", "accum_steps"]), "supply.window")
    draft.dials.add("micro_batches")
    draft.needs_index = True
    if divides:
        if draft.chance("divided in a statement", 60):
            compute = [*compute, f"{loss} = {loss} / {count}"]
            call = backward(draft, loss)
        else:
            call = [f"({loss} / {count}).backward()"]
    else:
        call = backward(draft, loss)
    lines = [*compute, *call, f"if (i + 1) % {count} == 0:", *shifted([*step, zero])]
    return _loop(draft, target, unpack, lines)


def _total(
    draft: Draft, loss: str, computed: tuple[str, list[str], list[str]], ends: tuple[str, list[str]]
) -> tuple[list[str], list[str]]:
    target, unpack, compute = computed
    zero, step = ends
    draft.dials.add("batches")
    way = draft.pick("total over the loader", ["added", "added in place", "list"])
    form = {"added": "epoch = epoch + {l}", "added in place": "epoch += {l}", "list": "epoch.append({l})"}[way]
    draft.prelude.append("epoch = []" if way == "list" else "epoch = 0.0")
    after = []
    if way == "list":
        after = [f"epoch = torch.stack(epoch).{draft.pick('reduction of a list', ['mean()', 'sum()'])}"]
    elif draft.chance("a total divided by the loader", 50):
        after = [f"epoch = epoch / len({draft.loader})"]
    after += [zero, *backward(draft, "epoch"), *step]
    return _loop(draft, target, unpack, [*compute, form.format(l=loss)]), after


def _loop(draft: Draft, target: str, unpack: list[str], lines: list[str]) -> list[str]:
    source = draft.loader
    if draft.needs_index or draft.chance("enumerate", 15):
        head = f"for i, {f'({target})' if ',' in target else target} in enumerate({source}):"
    else:
        head = f"for {target} in {source}:"
    loop = [head, *shifted([*unpack, *lines])]
    if not draft.updates_by_hand and not draft.dials & {"batches"} and draft.chance("a loop over epochs", 30):
        return ["for epoch in range(2):", *shifted(loop)]
    return loop


# --- functions and methods


def _in_function(draft: Draft, name: str, lines: list[str], result: str = "") -> list[str]:
    """Return the call of a function, or a method, that is made of some statements."""
    taken = [given for given in free_names(lines, draft.imports + draft.head) if given != "self"]
    draft.define_late(name, taken, [*lines, *([f"return {result}"] if result else [])])
    call = f"{'self.' if draft.frame == 'class' else ''}{name}({', '.join(taken)})"
    return [f"{result} = {call}" if result else call]


def _computed(draft: Draft, loss: str) -> list[str]:
    """Return the statements that compute the objective, or the call of a function made of them."""
    lines = draft.forward + draft.loss
    if not draft.chance("a function for the objective", 20):
        return lines
    name = draft.pick("name of the function for the objective", ["compute_loss", "step", "forward_loss", "get_loss"])
    return _in_function(draft, name, lines, loss)


def _assembled(draft: Draft, body: list[str], after: list[str]) -> list[str]:
    everything = [*draft.prelude, *body, *after, *write_evaluation(draft)]
    train = "model.train()" if draft.frame != "class" and draft.model == "model" else ""
    if train and draft.chance("train mode", 30):
        everything.insert(len(draft.prelude), train)
    if draft.frame == "function":
        return _function(draft, everything)
    return _class(draft, everything) if draft.frame == "class" else _script(draft, everything)


def _header(draft: Draft) -> list[str]:
    return [*draft.imports, "", "", *draft.head]


def _function(draft: Draft, body: list[str]) -> list[str]:
    arguments = ", ".join(draft.parameters)
    late = [line for lines in draft.late for line in (*lines, "")]
    return [*_header(draft), *late, f"def train({arguments}):", *shifted(body)]


def _class(draft: Draft, body: list[str]) -> list[str]:
    given = [name for name in draft.parameters if name != draft.loader]
    stored = [f"self.{name} = {name}" for name in given]
    late = [line for lines in draft.late for line in ("", *shifted(lines))]
    return [
        *_header(draft),
        "class Trainer:",
        f"    def __init__({', '.join(['self', *given])}):",
        *shifted([*stored, *draft.init] or ["pass"], 2),
        *late,
        "",
        f"    def fit(self, {draft.loader}):",
        *shifted(body, 2),
    ]


def _script(draft: Draft, body: list[str]) -> list[str]:
    late = [line for lines in draft.late for line in (*lines, "")]
    lines = [*_header(draft), *late]
    names = dict(draft.parameters)
    if "args" in names and draft.chance("argparse", 60):
        del names["args"]
        draft.use("import argparse")
        lines = [*_header(draft), *late, *_options("\n".join(body + draft.loss))]
    wanted = []
    for name, supply in names.items():
        source = (
            _SUPPLIED.sub("", supply).strip('"[]')
            if supply.startswith("supply")
            else supply
            if supply == "model"
            else name
        )
        wanted.append(name if source == name else f"{source} as {name}")
    return [f"from data import {', '.join(wanted)}", *lines, *body] if wanted else [*lines, *body]


_SUPPLIED = re.compile(r"supply\.(flags\[)?")


def _options(text: str) -> list[str]:
    """Return the parser of the options that a text reads."""
    lines = ["parser = argparse.ArgumentParser()"]
    for name in dict.fromkeys(re.findall(r"args\.(\w+)", text)):
        option = "--" + name.replace("_", "-")
        if name in ("use_sum", "normalize", "use_extra") or name[:-2] in ("use_sum", "normalize"):
            lines.append(f'parser.add_argument("{option}", action="store_true")')
        elif name in ("lr", "beta", "alpha"):
            lines.append(f'parser.add_argument("{option}", type=float, default=0.1)')
        elif name == "device":
            lines.append(f'parser.add_argument("{option}", default="cpu")')
        else:
            lines.append(f'parser.add_argument("{option}", type=int, default=4)')
    return [*lines, "args = parser.parse_args()"]


def _finished(draft: Draft, lines: list[str], model: str) -> Program:
    text, owners = rendered(lines, None)
    alone = () if draft.terms == 1 else tuple(rendered(lines, term)[0] for term in range(draft.terms))
    given = dict(draft.parameters)
    if draft.frame == "script":
        driver = ""
    elif draft.frame == "class":
        built = ", ".join(f"{name}={supply}" for name, supply in given.items() if name != draft.loader)
        driver = f"model = {model}\nTrainer({built}).fit({given[draft.loader]})"
    else:
        driver = f"model = {model}\ntrain({', '.join(f'{name}={supply}' for name, supply in given.items())})"
    settings: list[dict[str, bool]] = [{}]
    for flag in draft.flags:
        settings = [{**setting, flag: value} for setting in settings for value in (False, True)]
    compile(text, "<program>", "exec", dont_inherit=True)
    return Program(
        text=text,
        alone=alone,
        owners=owners,
        driver=driver,
        layout=draft.layout,
        fields=tuple(draft.fields),
        settings=tuple(settings),
        dials=tuple(sorted(_dials(draft, model))),
        two_heads=draft.two_heads,
        updates_by_hand=draft.updates_by_hand,
        choices=tuple(draft.choices.taken),
    )


def _dials(draft: Draft, model: str) -> set[str]:
    dials = set(draft.dials)
    if draft.updates_by_hand:
        dials.clear()
    # a penalty on repeated weights grows with them
    spreads = draft.layout.spreads and model == "supply.model" and not draft.penalized
    if draft.layout.positions or spreads:
        dials.add("classes" if spreads and draft.layout.kind == "probabilities" else "elements")
    return dials
