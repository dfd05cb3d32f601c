"""One made-up report with everything that a format has to show."""

from __future__ import annotations

from dataclasses import replace

from lint_reduction.facts import Span
from lint_reduction.finding import Applicability, Confidence, Edit, Finding, Fix, Related
from lint_reduction.growth import ELEMENTS, SAMPLES, Count
from lint_reduction.impact import Severity
from lint_reduction.run.report import FileResult, Report, collect
from lint_reduction.verdict import Curve, Outcome, Verdict

TRAIN = """\
import torch
criterion = torch.nn.MSELoss(reduction="sum")
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in loader:
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
"""
#: Tabs, wide and combining characters, a call of several lines, a line too long to be shown, control characters.
ODD = (
    "\tназвание, 数 = 1, torch.nn.KLDivLoss(\r\n"
    "\t\treduction='mean',\r\n"
    "\t)\r\n"
    f"x = [{'0, ' * 200}]; e\u0301 = nn.L1Loss(True); y = [{'1, ' * 200}]\r\n"
    "z = '\x1b[31m'; w = 1\r\n"
)


def finding(
    code: str, name: str, span: Span, message: str, severity: Severity, related: tuple[Related, ...] = ()
) -> Finding:
    growth = SAMPLES * ELEMENTS if code == "RED101" else None
    advice = "" if code == "RED000" else "Divide by the size of the batch."
    return Finding(span, message, severity, Confidence.HIGH, advice, growth, related, code, name)


def on(line: int, column: int, length: int) -> Span:
    return Span(line, column, line, column + length)


def report() -> Report:
    """Return a report with everything that a format has to show."""
    path = (
        Related("optimizer", on(3, 13, 43)),
        Related("learning rate", on(3, 49, 6)),
        Related("loss", on(5, 12, 21)),
        Related("backward", on(6, 5, 15)),
    )
    train = finding(
        "RED101", "unscaled-sum", on(2, 13, 33), "gradient grows as samples * elements", Severity.ERROR, path
    )
    sizes = (4, 8, 16, 32)
    curves = (
        Curve(Count.SAMPLES, "gradient", sizes, (1.0, 2.0, 4.0, 8.0), 1.0),
        Curve(Count.SAMPLES, "update", sizes, (0.1, 0.2, 0.4, 0.8), 1.0),
    )
    layers = (("rlimits", "on"), ("landlock", "not there"))
    confirmed = Verdict(
        Outcome.CONFIRMED,
        "gradient ~ samples^1.00 (4 → 32: ×8.00), update ~ samples^1.00 with SGD(lr=0.1)",
        curves,
        "SGD(lr=0.1)",
        ("model(x) is samples x elements",),
        "cpu",
        "float64",
        layers,
    )
    train = replace(train, verdict=confirmed)
    where = ODD.splitlines()[3].index("nn.L1Loss") + 1
    insertion = Edit(Span(4, where + 10, 4, where + 10), "reduction=")
    safe = Fix("Name it", (insertion, Edit(on(4, where + 10, 4), '"mean"')), Applicability.SAFE)
    unsafe = Fix('Write "batchmean"', (Edit(Span(2, 3, 2, 19), 'reduction="batchmean"'),), Applicability.UNSAFE)
    odd = (
        replace(
            finding("RED201", "kl-div-mean", Span(1, 18, 3, 3), "divides by classes, too", Severity.WARNING),
            fix=unsafe,
            verdict=Verdict(Outcome.NOT_RUN, "`criterion` is not known\x1b[31m"),
        ),
        replace(
            finding("RED302", "legacy-positional", on(4, where, 15), "True is size_average", Severity.NOTE), fix=safe
        ),
        finding("RED001", "unused-suppression", on(5, 17, 5), "RED101 is not found here", Severity.NOTE),
        finding("RED303", "invalid-reduction", on(99, 1, 4), 'no such line, "quoted" & <tagged>', Severity.ERROR),
    )
    broken = finding("RED000", "unreadable-file", on(1, 5, 1), "'(' was never closed", Severity.ERROR)
    gone = finding("RED000", "unreadable-file", on(1, 1, 1), "no such file or directory", Severity.ERROR)
    return collect([
        FileResult("src/train.py", "/project/src/train.py", (train,), TRAIN, analyzed=True, suppressed=2),
        FileResult("dir with space/ö.py", "/project/dir with space/ö.py", odd, ODD, analyzed=True),
        FileResult("broken.py", "/project/broken.py", (broken,), "x = (\n", unparsed=True),
        FileResult("gone.py", "/project/gone.py", (gone,), unparsed=True),
        FileResult("clean.py", "/project/clean.py", analyzed=True),
        FileResult("filtered.py", "/project/filtered.py"),
    ])  # fmt: skip
