"""What was measured as a page for people: the machine, the tables, and each goal with what was reached."""

from __future__ import annotations

import datetime
import math
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from measuring import Samples
from speed_session import ALL, COPIED, COPIES, HELP, NOTHING, ONE_FILE, Session
from speed_setup import PEERS, RUFF

from lint_reduction import __version__

_COLD, _WARM = "ours, cold", "ours, warm"
_HEAD = """# Benchmarks

Written by `{command}` on {date}, in {minutes:.0f} minutes.

lint-reduction {version} and libcst {libcst} on Python {python}; {cores} cores ({processor}), {system}.
{peers}

CPU seconds are user and system, of a whole process and the children it waited for; where there were several runs, what
stands here is the median. Peaks are the largest resident memory of one process. What is compared was run in turn. A
shared machine differs from itself by a tenth, and more where it is busy: a ratio is worth more than a time. No two of
these tools find the same; what is compared is what it costs to have one in a hook before each commit.
"""


@dataclass(frozen=True, slots=True)
class Goal:
    """A line to be on the right side of.

    Attributes:
        text: what is asked.
        bar: the line.
        value: where we are; None if that was not measured.
        at_least: whether more is better.
        unit: behind both.
    """

    text: str
    bar: float
    value: float | None
    at_least: bool = False
    unit: str = "x"

    @property
    def met(self) -> bool:
        """Whether it is reached."""
        return self.value is not None and (self.value >= self.bar if self.at_least else self.value <= self.bar)


def report(session: Session, seconds: float, command: str) -> str:
    """Return the page.

    Args:
        session: what was measured.
        seconds: how long that took.
        command: what was called.
    """
    peers = ", ".join(" with ".join(peer.requirements) for peer in (*PEERS, RUFF)).replace("==", " ")
    head = _HEAD.format(
        command=command,
        date=datetime.datetime.now(tz=datetime.timezone.utc).date(),
        minutes=seconds / 60,
        version=__version__,
        libcst=version("libcst"),
        python=platform.python_version(),
        cores=os.cpu_count(),
        processor=_processor(),
        system=f"{platform.system()} {platform.machine()}",
        peers=f"Against {peers}.",
    )
    parts = [head, *_goals(session), *_corpora(session), *_cold(session), *_peers(session), *_warm(session)]
    parts += [*_nothing(session), *_growth(session)]
    if session.notes:
        parts += ["## What failed\n", *(f"```\n{note}\n```\n" for note in session.notes)]
    return "\n".join(parts)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *(["--:"] * (len(head) - 1))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def goals(session: Session) -> Iterator[Goal]:
    """Yield all goals."""
    samples = session.samples
    names = [corpus.name for corpus in session.corpora if corpus.name != ALL]

    def ratios(what: str, to: str, on: Sequence[str]) -> list[float]:
        return [samples.ratio(what, to, name) for name in on if samples.has(what, name) and samples.has(to, name)]

    for peer, bars in {"torchfix": (40, 100, 100), "torch-preflight": (30, 100, 100)}.items():
        for name, bar in zip(("examples", "pytorch_lightning", "speechbrain"), bars, strict=True):
            value = min(ratios(peer, _COLD, [name]), default=None)
            yield Goal(f"cold, faster than {peer} on {name}", bar, value, at_least=True)
    yield Goal(
        "cold, faster than fixit with one rule", 10, min(ratios("fixit", _COLD, names), default=None), at_least=True
    )
    yield Goal("cold, faster than flake8", 3, min(ratios("flake8", _COLD, names), default=None), at_least=True)
    yield Goal("cold, of the floor, on every corpus", 1.2, max(ratios(_COLD, "floor", names), default=None))
    for name in ("transformers", "diffusers"):
        yield Goal(f"cold, of the floor, on {name}", 0.65, max(ratios(_COLD, "floor", [name]), default=None))
    libraries = [name for name in names if name != "examples"]
    value = max(ratios(_COLD, "ruff, cold", libraries), default=None)
    yield Goal("cold, slower than ruff F401 without a cache, on every library", 8, value)
    yield Goal("warm, of a bare walk, on all files", 2, max(ratios(_WARM, "walk", [ALL]), default=None))
    warm = samples.cpu(_WARM, ALL) if samples.has(_WARM, ALL) else None
    yield Goal("warm, CPU on all files", 0.25, warm, unit=" s")
    yield Goal("warm, of the warm run of ruff, on all files", 1, max(ratios(_WARM, "ruff, warm", [ALL]), default=None))
    nothing = samples.cpu(_COLD, NOTHING) if samples.has(_COLD, NOTHING) else None
    yield Goal("cold, CPU where no file has to be parsed", 0.7, nothing, unit=" s")
    for what in (HELP, NOTHING, "warm"):
        loaded = [m for m in ("libcst", "torch", "rich") if m in session.imported.get(what, "").split()]
        yield Goal(
            f"libcst, torch, rich imported: {what}", 0, len(loaded) if what in session.imported else None, unit=""
        )
    peaks = [samples.peak(_COLD, name) for name in names if name != "torch" and samples.has(_COLD, name)]
    yield Goal("peak memory, on every corpus but torch", 200, max(peaks, default=None), unit=" MiB")
    time, memory = exponents(session)
    yield Goal("exponent of time in files and bytes", 1.05, time, unit="")
    yield Goal("exponent of memory in files", 0.1, memory, unit="")


def _goals(session: Session) -> Iterator[str]:
    yield "## Goals\n"
    rows = []
    for goal in goals(session):
        sign = ">=" if goal.at_least else "<="
        reached = "not measured" if goal.value is None else f"{_figure(goal.value)}{goal.unit}"
        met = "-" if goal.value is None else "met" if goal.met else "**not met**"
        rows.append([goal.text, f"{sign} {_figure(goal.bar)}{goal.unit}", reached, met])
    yield _table(["goal", "bar", "measured", ""], rows)


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 20 or value == int(value) else f"{value:.2f}"


def exponents(session: Session) -> tuple[float | None, float | None]:
    """Return the powers of the number of copies that time, beyond that of one file, and peak memory follow."""
    samples = session.samples
    keys = [f"{count} copies" for count in COPIES]
    if not all(samples.has(_COLD, key) for key in [*keys, ONE_FILE]):
        return None, None
    least = samples.cpu(_COLD, ONE_FILE)
    times = [samples.cpu(_COLD, key) - least for key in keys]
    return _slope(times), _slope([samples.peak(_COLD, key) for key in keys])


def _slope(values: Sequence[float]) -> float | None:
    """Return the slope of the line through the logarithms, by least squares."""
    if min(values) <= 0:
        return None
    x, y = [math.log(count) for count in COPIES], [math.log(value) for value in values]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)


def _corpora(session: Session) -> Iterator[str]:
    yield "## Corpora\n"
    yield (
        "The Python files of packages, downloaded by the hashes of `benchmarks/speed_corpora.tsv`. `examples` are the\n"
        "scripts of 21 packages of the labeled corpus that show how to train: those in folders called `example...`,\n"
        "and those called `train...`, `main...` or `run...` that call `backward`. Survivors are the files that name a\n"
        "loss, which have to be parsed.\n"
    )
    rows = [
        [c.name, str(c.files), f"{c.size / 1e6:.2f}", str(len(c.survivors)), f"{c.survivors_size / 1e6:.2f}"]
        for c in session.corpora
    ]
    yield _table(["corpus", "files", "MB", "survivors", "MB"], rows)


def _cold(session: Session) -> Iterator[str]:
    samples = session.samples
    yield "## Cold, beside what it cannot do without\n"
    yield (
        "The floor is a process that imports libcst and parses the survivors as a whole, with the collector off. Less\n"
        "than that is possible since functions that concern no loss are not parsed.\n"
    )
    rows = []
    for name in (corpus.name for corpus in session.corpora):
        if samples.has(_COLD, name) and samples.has("floor", name):
            ours = [
                f"{samples.cpu(_COLD, name):.2f}",
                f"{samples.wall(_COLD, name):.2f}",
                f"{samples.peak(_COLD, name):.0f}",
            ]
            floor = [f"{samples.cpu('floor', name):.2f}", f"{samples.peak('floor', name):.0f}"]
            ratio = f"{samples.ratio(_COLD, 'floor', name):.2f}"
            ruff = ["-", "-"]
            if samples.has("ruff, cold", name):
                ruff = [f"{samples.cpu('ruff, cold', name):.2f}", f"{samples.ratio(_COLD, 'ruff, cold', name):.1f}x"]
            rows.append([name, *ours, *floor, ratio, *ruff, str(samples.count(_COLD, name))])
    head = [
        "corpus",
        "CPU s",
        "wall s",
        "MiB",
        "floor CPU s",
        "floor MiB",
        "of the floor",
        "ruff F401 CPU s",
        "of ruff",
        "runs",
    ]
    yield _table(head, rows)


def _peers(session: Session) -> Iterator[str]:
    samples = session.samples
    rows = []
    for peer in PEERS:
        for name in (corpus.name for corpus in session.corpora):
            if samples.has(peer.name, name) and samples.has(_COLD, name):
                took = [f"{samples.cpu(peer.name, name):.1f}", f"{samples.wall(peer.name, name):.1f}"]
                rest = [f"{samples.peak(peer.name, name):.0f}", str(samples.lines(peer.name, name))]
                ratio = f"**{samples.ratio(peer.name, _COLD, name):.0f}x**"
                runs = str(samples.count(peer.name, name))
                rows.append([peer.name, name, *took, *rest, f"{samples.cpu(_COLD, name):.2f}", ratio, runs])
    if rows:
        yield "## Other linters, cold\n"
        head = ["linter", "corpus", "CPU s", "wall s", "MiB", "lines printed", "ours CPU s", "of ours", "runs"]
        yield _table(head, rows)


def _warm(session: Session) -> Iterator[str]:
    samples = session.samples
    yield "## Nothing changed, and one file changed\n"
    yield (
        "A warm run finds a cache of a run before. The walk is a process of Python that lists the files and asks for\n"
        "their times and sizes, which no cache can do without. The file that is changed is one that has to be parsed.\n"
    )
    rows = []
    for name in (corpus.name for corpus in session.corpora):
        if not samples.has(_WARM, name):
            continue
        row = [
            name,
            f"{samples.cpu(_WARM, name):.3f}",
            f"{samples.wall(_WARM, name):.3f}",
            f"{samples.peak(_WARM, name):.0f}",
        ]
        row += [f"{samples.cpu('walk', name):.3f}", f"{samples.ratio(_WARM, 'walk', name):.2f}"]
        row += [f"{samples.cpu('ruff, warm', name):.3f}" if samples.has("ruff, warm", name) else "-"]
        row += [_cpu(samples, what, name) for what in ("one file changed", "ours, filling")]
        rows.append(row)
    head = [
        "corpus",
        "CPU s",
        "wall s",
        "MiB",
        "walk CPU s",
        "of the walk",
        "ruff warm CPU s",
        "one changed CPU s",
        "filling CPU s",
    ]
    yield _table(head, rows)


def _nothing(session: Session) -> Iterator[str]:
    samples = session.samples
    yield "## Nothing to parse\n"
    size = sum(c.size - c.survivors_size for c in session.corpora if c.name != ALL) / 1e6
    files = sum(c.files - len(c.survivors) for c in session.corpora if c.name != ALL)
    rows = []
    names = {
        ("python", HELP): "an interpreter that does nothing",
        ("ours", HELP): "`check --help`",
        (_COLD, NOTHING): f"cold, {files} files without survivors, {size:.0f} MB",
        (_COLD, ONE_FILE): "cold, one file of six lines with a loss",
    }
    for key, text in names.items():
        if samples.has(*key):
            rows.append([text, f"{samples.cpu(*key):.3f}", f"{samples.wall(*key):.3f}", f"{samples.peak(*key):.0f}"])
    yield _table(["run", "CPU s", "wall s", "MiB"], rows)
    listed = "; ".join(f"{what}: {modules or 'none'}" for what, modules in session.imported.items())
    yield f"Imported, of libcst, torch, rich, click, yaml, pathspec and ast: {listed}.\n"


def _growth(session: Session) -> Iterator[str]:
    samples = session.samples
    time, memory = exponents(session)
    if time is None or memory is None:
        return
    yield "## Growth\n"
    yield (
        f"Copies of {COPIED} beside one another. Time beyond that of one file grows with the power {time:.2f} of\n"
        f"their number, peak memory with the power {memory:.2f}.\n"
    )
    origin = next(corpus for corpus in session.corpora if corpus.name == COPIED)
    rows = []
    for count in COPIES:
        key = f"{count} copies"
        row = [
            str(count),
            str(count * origin.files),
            f"{count * origin.size / 1e6:.1f}",
            f"{samples.cpu(_COLD, key):.2f}",
        ]
        row += [f"{samples.wall(_COLD, key):.2f}", f"{samples.peak(_COLD, key):.0f}"]
        rows.append([*row, f"{samples.cpu(_WARM, key):.3f}" if samples.has(_WARM, key) else "-"])
    yield _table(["copies", "files", "MB", "cold CPU s", "cold wall s", "MiB", "warm CPU s"], rows)


def _cpu(samples: Samples, what: str, on: str) -> str:
    return f"{samples.cpu(what, on):.2f}" if samples.has(what, on) else "-"
