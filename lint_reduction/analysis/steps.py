"""Methods that a trainer calls, in a class that may be one: found by names, before anything is interpreted."""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.analysis.handing import definer
from lint_reduction.analysis.outline import Definition, Outline, top_of
from lint_reduction.analysis.project import Project
from lint_reduction.analysis.relevance import bases_of
from lint_reduction.source.imports import Found

#: A class of any base in another package may be trained by this one.
_OF_ANY = "training_step"


def taken_steps(outline: Outline, project: Project, path: str) -> frozenset[str]:
    """Return those methods that trainers call of which a module has one in a class that may be a trainer.

    Args:
        outline: of the module.
        project: the modules around.
        path: absolute path of the module.
    """
    returns = project.libraries.returns
    steps = [d for d in outline.definitions if d.name in returns]
    return frozenset(d.name for d in steps if d.name == _OF_ANY or _may_be_called(d, outline, project, path))


def _may_be_called(step: Definition, outline: Outline, project: Project, path: str) -> bool:
    """Say whether a base of the class of a step is a trainer, is called like one, or trains on something."""
    if step.parent is None or not step.parent.is_class:
        return True
    trainers = tuple(base.rpartition(".")[2] for model in project.libraries.returns[step.name] for base in model.bases)
    row, seen = [(Found(path, step.parent.qualname), outline)], set[Found]()
    while row:
        found, lines = row.pop()
        seen.add(found)
        for written, base in _bases(found, lines, project):
            if written.endswith(trainers):
                return True
            if base is None or base in seen:
                continue
            inner = outline if base.path == path else project.outline(base.path)
            if inner is None or base.name.endswith(trainers) or (base.path != path and project.trains(base.path)):
                return True
            row.append((base, inner))
    return False


def _bases(found: Found, lines: Outline, project: Project) -> Iterator[tuple[str, Found | None]]:
    """Yield the bases of a class as they are called where they come from, and where that is if in the project."""
    top = top_of(lines)
    for definition in lines.definitions:
        for base in bases_of(definition) if definition.qualname == found.name else ():
            first, _, rest = base.partition(".")
            dotted = ".".join(filter(None, (top.imports.get(first, first), rest)))
            yield dotted, definer(project, Found(found.path, base))
