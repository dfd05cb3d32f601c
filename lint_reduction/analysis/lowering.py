"""Source text to ``ModuleCode``: parse what concerns a loss, lower it, drop the tree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import libcst as cst

from lint_reduction.analysis.code import ModuleCode, last_name
from lint_reduction.analysis.outline import Outline
from lint_reduction.analysis.parse import Parsed, parse
from lint_reduction.analysis.positions import NOWHERE, locate
from lint_reduction.analysis.relevance import Relevant
from lint_reduction.analysis.statements import StatementLowering
from lint_reduction.facts import Span


@dataclass(frozen=True, slots=True, eq=False)
class Lowered:
    """A lowered module, and the tree for as long as places are wanted."""

    module: ModuleCode
    parsed: Parsed
    marked: Sequence[cst.CSTNode | None]
    first_mark: int

    def locate(self, marks: Iterable[int]) -> dict[int, Span]:
        """Return the spans in the file of some marks; mark 0 has a span that points nowhere."""
        wanted = sorted(set(marks) - {0})
        nodes = [self.marked[mark - self.first_mark] for mark in wanted]
        spans = locate(self.parsed.tree, nodes, self.parsed.starts)
        return {0: NOWHERE, **dict(zip(wanted, map(self.parsed.in_file, spans), strict=True))}


def lower_module(path: str, text: str, outline: Outline | None, relevant: Relevant, first_mark: int = 0) -> Lowered:
    """Parse and lower what of a module can concern a loss.

    Args:
        path: for messages; kept in the result.
        text: the decoded source.
        outline: made from the same text; None when this interpreter could not parse it.
        relevant: what is worth parsing.
        first_mark: what the marks of the module begin at.

    Raises:
        SourceError: the text cannot be parsed.
    """
    parsed = parse(text, outline, relevant.functions)
    lowering = StatementLowering(relevant.loss_words, relevant.window_words, relevant.functions, first_mark)
    module = ModuleCode(
        path,
        lowering.block(parsed.tree.body),
        tuple(lowering.functions),
        frozenset(lowering.batch_sizes),
        frozenset(lowering.windows),
        lowering.full_batches,
        frozenset(window.rpartition(".")[2] for window in lowering.windows if isinstance(window, str)),
        lowering.window_tests,
        frozenset(lowering.names),
        frozenset(last_name(size) for counter, size in lowering.counted if counter in lowering.summed),
    )
    return Lowered(module, parsed, lowering.marked, first_mark)
