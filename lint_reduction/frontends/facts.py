"""``lint-reduction facts FILE``: what the analysis proved, and why the rest is not known."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from lint_reduction.analysis import analyze
from lint_reduction.errors import ConfigError, SourceError
from lint_reduction.facts import Certainty, Fate, LossFlow, LossSite, Span, Term
from lint_reduction.finding import Finding
from lint_reduction.growth import Count
from lint_reduction.run.pipeline import Contexts, Overrides, with_large_stack
from lint_reduction.source.file import check_size, decode, read_bytes
from lint_reduction.source.notebook import Cells, is_notebook, read_notebook
from lint_reduction.verdict import Verdict

#: Returns what was measured of some findings, each with the path of its file.
Measure = Callable[[Sequence[tuple[str, Finding]], str], Mapping[tuple[str, Finding], Verdict]]


def describe_file(path: Path, measure: Measure | None = None) -> str:
    """Return what is known of the losses in a file.

    Args:
        path: the file.
        measure: runs what is trained and measures how it grows; is given the text of the file as well.

    Raises:
        ConfigError: the file cannot be read or parsed, or nothing can be measured here.
    """
    context = Contexts(Overrides()).of(path.absolute().parent)
    cells = None
    try:
        data = read_bytes(path)
    except SourceError as error:
        raise ConfigError(f"{path}: {error.reason}") from None
    try:
        text, cells = _decoded(path, data)
        project, absolute = context.surroundings(), str(path.absolute())
        facts = with_large_stack(
            lambda: analyze(str(path), text, context.libraries, project=project, absolute=absolute, complete=True)
        )
    except SourceError as error:
        raise ConfigError(f"{path}:{_place(error.line, error.column, cells)}: {error.reason}") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply to be analyzed") from None
    measured = {} if measure is None else _measured(facts.flows, absolute, text, measure)
    lines = [f"{path}: {len(facts.sites)} loss calls, {len(facts.flows)} flows"]
    for site in facts.sites:
        lines.append("")
        lines.extend(_site(site, cells))
        for flow in facts.flows:
            if any(term.site == site for term in flow.terms):
                lines.extend(_flow(flow, site, cells))
                lines.extend(measured.get(id(flow), ()))
    arithmetic = [flow for flow in facts.flows if all(term.site is None for term in flow.terms)]
    if arithmetic:
        lines += ["", "losses written as arithmetic"]
    for flow in arithmetic:
        lines.extend(_flow(flow, None, cells))
        lines.extend(measured.get(id(flow), ()))
    return "\n".join(lines) + "\n"


def _measured(flows: Sequence[LossFlow], path: str, text: str, measure: Measure) -> dict[int, list[str]]:
    """Return what was measured of each flow that is trained, by the identity of the flow."""
    from lint_reduction.verify.claims import as_finding

    trained = {id(flow): as_finding(flow, path) for flow in flows if flow.fate is Fate.TRAINED}
    verdicts = measure([(path, finding) for finding in trained.values()], text)
    return {flow: list(_result(verdicts[path, finding])) for flow, finding in trained.items()}


def _result(verdict: Verdict) -> Iterator[str]:
    if not verdict.curves:
        yield f"    not measured: {verdict.reason}"
    for curve in verdict.curves:
        if curve.count is Count.SAMPLES and curve.exponent is not None:
            factor = curve.norms[-1] / curve.norms[0]
            sizes = f"{curve.sizes[0]} → {curve.sizes[-1]}: ×{factor:.2f}"
            by = f" with {verdict.optimizer}" if curve.what == "update" else ""
            yield f"    measured {curve.what} ~ samples^{curve.exponent:.2f} ({sizes}){by}".replace("^-0.00", "^0.00")


def _decoded(path: Path, data: bytes) -> tuple[str, Cells | None]:
    """Return the code in a file, and where the cells of a notebook stand in it."""
    if not is_notebook(str(path)):
        check_size(data)
        return decode(data), None
    notebook = read_notebook(data)
    if notebook is None:
        raise SourceError("not a notebook in Python")
    check_size(notebook.text.encode())
    return notebook.text, notebook.cells


def _place(line: int, column: int, cells: Cells | None) -> str:
    if cells is None or not cells.numbers:
        return f"{line}:{column}"
    cell, line = cells.place(line)
    return f"cell {cell}:{line}:{column}"


def _line(span: Span, cells: Cells | None) -> str:
    if span.path:
        return f"line {span.line} of {os.path.relpath(span.path)}"
    if cells is None:
        return f"line {span.line}"
    cell, line = cells.place(span.line)
    return f"cell {cell}, line {line}"


def _site(site: LossSite, cells: Cells | None) -> Iterator[str]:
    reduction = site.reduction or "not known"
    where = f" in {site.function}()" if site.function else ""
    path = f"{os.path.relpath(site.span.path)}:" if site.span.path else ""
    at = f"{path}{_place(site.span.line, site.span.column, None if path else cells)}"
    inside = f", inside {_line(site.inside, cells)}" if site.inside is not None else ""
    yield f"{at} {site.callee}{where}: reduction {reduction} ({site.decided_by.value}){inside}"


def _flow(flow: LossFlow, site: LossSite | None, cells: Cells | None) -> Iterator[str]:
    how = "" if flow.certainty is Certainty.ALWAYS else f", {flow.certainty.value}"
    note = f" ({flow.note})" if flow.note else ""
    yield f"  {flow.fate.value} at {_line(flow.end.span, cells)}{how}{note}"
    if flow.axes:
        yield f"    not reduced over {', '.join(count.value for count in flow.axes)}"
    for term in flow.terms:
        if site is None or term.site == site:
            yield f"    growth {_growth(flow, term)}: {' -> '.join(_steps(term, cells)) or 'data'}"
    others = [term for term in flow.terms if site is not None and term.site != site]
    if others:
        yield f"    with {len(others)} other term{'s' * (len(others) > 1)}"
    if flow.optimizer is not None:
        behavior = "of unknown behavior" if flow.optimizer.behavior is None else flow.optimizer.behavior.value
        rate = "not known" if flow.optimizer.learning_rate is None else str(flow.optimizer.learning_rate)
        yield f"    stepped on by {flow.optimizer.name} ({behavior}), growth of the learning rate {rate}"
    for companion in sorted(c.value for c in flow.companions):
        yield f"    beside {companion}"


def _growth(flow: LossFlow, term: Term) -> str:
    growth = flow.growth(term)
    if growth is None:
        return f"not known, {term.reason or 'the gradients are divided by something not known'}"
    data = term.batch.name.lower()
    open_counts = ", ".join(sorted(count.value for count in term.undetermined))
    return f"{growth} (data: {data}{f'; nothing said about {open_counts}' if open_counts else ''})"


def _steps(term: Term, cells: Cells | None) -> Iterator[str]:
    for step in term.steps:
        factor = f" * {step.growth}" if step.growth.powers else ""
        yield f"{step.kind.value} at {_line(step.span, cells)}{factor}"
