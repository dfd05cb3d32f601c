"""The productions for modules around a criterion of torch: those that hold one, and those that derive from one."""

from __future__ import annotations

from tests.oracle.program import Draft

WAYS = ["holds", "derives", "chooses"]


def write_criterion_class(draft: Draft, name: str, reduction: str) -> str:
    """Write a class around a criterion of torch; return the expression that builds it.

    Args:
        draft: the program.
        name: of the class of torch.
        reduction: the arguments that choose a reduction.
    """
    draft.use("import torch.nn as nn" if "from torch import nn" not in draft.imports else "from torch import nn")
    way = draft.pick("class around a criterion", WAYS)
    called = draft.pick("name of a class around a criterion", ["Criterion", "MyLoss", "Objective"])
    own = called + draft.name("")[1:].upper()
    if way == "derives":
        draft.define(
            f"class {own}(nn.{name}):\n"
            "    def forward(self, input, target):\n"
            "        return super().forward(input, target)"
        )
        return f"{own}({reduction})"
    if way == "holds":
        draft.define(
            f"class {own}(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            f"        self.base = nn.{name}({reduction})\n\n"
            "    def forward(self, pred, target):\n"
            "        return self.base(pred, target)"
        )
        return f"{own}()"
    draft.define(
        f"class {own}(nn.Module):\n"
        "    def __init__(self, weight=1.0, **options):\n"
        "        super().__init__()\n"
        "        self.weight = weight\n"
        f"        self.base = nn.{name}(**options)\n\n"
        "    def forward(self, pred, target):\n"
        "        return self.weight * self.base(pred, target)"
    )
    return f"{own}({', '.join(['0.5', reduction] if reduction else ['0.5'])})"
