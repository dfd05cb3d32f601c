"""The productions for what stands beside the training: evaluations, lines that log, schedules of the learning rate."""

from __future__ import annotations

from tests.oracle.program import Draft, shifted

#: Evaluations in functions of their own.
FUNCTIONS = {
    "an evaluation": """\
@torch.no_grad()
def evaluate(model, loader):
    total = 0.0
    for x, y in loader:
        total += F.mse_loss(model(x), y, reduction="sum").item()
    return total / len(loader.dataset)""",
    "a validation": """\
def validate(net, batches, criterion=nn.MSELoss(reduction="sum")):
    net.eval()
    losses = []
    with torch.no_grad():
        for x, y in batches:
            losses.append(criterion(net(x), y))
    return torch.stack(losses).sum() / len(batches)""",
    "a metric": """\
def squared_error(out, y):
    return F.mse_loss(out.detach(), y, reduction="sum").item()""",
}
#: Evaluations behind the training loop, in the same function.
LOOPS = {
    "under no_grad": """\
val_loss = 0.0
with torch.no_grad():
    for x_val, y_val in {l}:
        val_loss += F.mse_loss({m}(x_val), y_val, reduction="sum").item()
print(val_loss / len({l}))""",
    "of numbers": """\
{m}.eval()
val_loss = 0.0
for x_val, y_val in {l}:
    val = F.l1_loss({m}(x_val), y_val, reduction="sum")
    val_loss = val_loss + val.item()
print(val_loss)""",
    "in inference mode": """\
with torch.inference_mode():
    for x_val, y_val in {l}:
        val = F.smooth_l1_loss({m}(x_val), y_val, reduction="none")
        print(val.sum().item())""",
}


def write_evaluation(draft: Draft) -> list[str]:
    """Write an evaluation, perhaps; return the statements behind the training loop."""
    # a run that updates by hand has no step to end at, and would go on to the loop
    kinds = ["nothing", *FUNCTIONS, *(() if draft.updates_by_hand else LOOPS)]
    kind = draft.pick("something else in the module", kinds, [16, 2, 1, 1, 1, 1, 1][: len(kinds)])
    if kind == "nothing":
        return []
    draft.use("import torch.nn.functional as F")
    if kind in FUNCTIONS:
        if "nn." in FUNCTIONS[kind]:
            draft.use(
                "import torch.nn as nn" if "from torch import nn" not in draft.imports else "from torch import nn"
            )
        draft.define(FUNCTIONS[kind])
        return []
    model = "self.model" if draft.frame == "class" else draft.model
    return LOOPS[kind].format(l=draft.loader, m=model).splitlines()


def write_log(draft: Draft, loss: str) -> list[str]:
    """Return a line that tells people of the loss, perhaps."""
    lines = {
        "nothing": [],
        "a running total": [f"running_loss += {loss}.detach().sum().item()"],
        "a print": [f"print({loss}.detach().sum())"],
        "under a condition": ["if running_loss > 1e9:", *shifted([f"print({loss}.detach().sum().item())"])],
    }
    kind = draft.pick("log", list(lines), [8, 2, 1, 1])
    if "running_loss" in "".join(lines[kind]):
        draft.prelude.append("running_loss = 0.0")
    return lines[kind]


def write_schedule(draft: Draft, optimizer: str) -> list[str]:
    """Write a schedule of the learning rate, perhaps; return its step."""
    if not draft.chance("a schedule", 6):
        return []
    name = draft.pick("name of a schedule", ["scheduler", "lr_scheduler"])
    draft.prelude.append(f"{name} = torch.optim.lr_scheduler.StepLR({optimizer}, 10)")
    return [f"{name}.step()"]
