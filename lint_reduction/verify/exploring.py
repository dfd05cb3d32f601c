"""Trace a program until it is known what is a tensor, what a structure and what a list of samples."""

from __future__ import annotations

from dataclasses import dataclass, field

from lint_reduction.verify.abstract import NO_PATHS, Findings
from lint_reduction.verify.interpreter import Interpreter
from lint_reduction.verify.machine import Program
from lint_reduction.verify.trace import Trace
from lint_reduction.verify.values import BlockedError, UserError

#: How often a program is traced, without and with lists of samples.
_ROUNDS, _MORE_ROUNDS = 3, 5


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known before a trace."""

    tensors: frozenset[str] = NO_PATHS
    structures: frozenset[str] = NO_PATHS
    lists: frozenset[str] = NO_PATHS
    takes_rows: bool = False


@dataclass(frozen=True, slots=True)
class _Traced:
    """What a trace has found, the data of a batch that loops go through, and why it ended early."""

    found: Findings
    apart: frozenset[str]
    failure: BlockedError | None


@dataclass(frozen=True, eq=False, slots=True)
class Traces:
    """The traces of a program, each made once."""

    program: Program
    _made: dict[_Known, _Traced] = field(default_factory=dict)

    def of(self, known: _Known) -> _Traced:
        """Return the trace of what is known."""
        if known not in self._made:
            self._made[known] = self._trace(known)
        return self._made[known]

    def _trace(self, known: _Known) -> _Traced:
        world = Trace(known.tensors, known.structures, known.lists, takes_rows=known.takes_rows)
        machine = Interpreter(self.program, world)
        failure = None
        try:
            machine.begin()
        except BlockedError as error:
            failure = error
        except UserError as error:
            failure = BlockedError(f"it raises {error}")
        return _Traced(world.found, frozenset(machine.apart), failure)


def explore(traces: Traces, apart: set[str], *, takes_rows: bool, takes_lists: bool = False) -> Findings:
    """Trace a program, again when the trace has shown what is a tensor and what a structure.

    Args:
        traces: of the program.
        apart: gets the data of a batch that loops go through.
        takes_rows: whether these loops go through its samples.
        takes_lists: whether what is iterated over is a list of samples, where only parts of its entries are used.

    Raises:
        BlockedError: it cannot be traced.
    """
    known = _Known(takes_rows=takes_rows)
    if takes_lists:
        iterated = frozenset(traces.of(known).found.iterated)
        if not iterated:
            return traces.of(known).found
        known = _Known(lists=iterated, takes_rows=takes_rows)
    for _ in range(_MORE_ROUNDS if takes_lists else _ROUNDS):
        traced = traces.of(known)
        apart |= traced.apart
        traced.found.apart = apart
        better = _better(known, traced.found)
        if better == known:
            break
        known = better
    if traced.failure is not None:
        raise traced.failure
    return traced.found


def _better(known: _Known, found: Findings) -> _Known:
    """Return what is known after a trace."""
    lists = _lists(found)
    if lists != known.lists:
        # what is no list has other parts
        return _Known(lists=lists, takes_rows=known.takes_rows)
    leads = found.structures
    indexed = {path for path in leads if found.uses[path] & {"tensor", "arithmetic"} or path in found.roles}
    indexed = {path for path in indexed if not _has_named_parts(path, found)}
    tensors = frozenset(indexed) | known.tensors
    if indexed <= known.tensors and known.structures >= leads - indexed:
        return known
    return _Known(tensors, frozenset(leads - tensors) | known.structures, lists, known.takes_rows)


def _lists(found: Findings) -> frozenset[str]:
    """Return what is a list of samples: only parts of its entries are used, and none of them is a tensor."""
    of_samples = [path for path in found.uses if "[*]" in path]
    named = {path for path in found.lists if any(other.startswith(f"{path}[*]") for other in of_samples)}
    found_parts = named or found.lists
    lists = {path for path in found_parts if of_samples and not found.uses.get(f"{path}[*]")}
    # a list has no attributes and no keys
    return frozenset(p for p in lists if not any(other.startswith((f"{p}.", f"{p}['")) for other in found.uses))


def _has_named_parts(path: str, found: Findings) -> bool:
    """Whether parts of a path are taken by a name, or it is called: then it is no tensor."""
    starts = (f"{path}.", f"{path}(", f"{path}['")
    return any(other.startswith(starts) for other in found.uses)
