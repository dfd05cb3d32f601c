"""``check --fix`` and ``check --diff``: deliver what was fixed, to the files or to people."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator

from lint_reduction.errors import SourceError
from lint_reduction.run.fixes import Fixed, FixedFile, write_file
from lint_reduction.source.file import decode

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


def apply(fixed: Fixed, *, diff: bool, reads_stdin: bool, verb: str = "Fixed") -> bool:
    """Write the fixed files, or print them or how they differ; say on stderr what was not done.

    Args:
        fixed: the files.
        diff: whether to print how they differ.
        reads_stdin: whether the code came from standard input.
        verb: what was done to findings.

    Returns:
        whether all could be written.
    """
    for line in fixed.withdrawn:
        print(line, file=sys.stderr)
    if diff:
        for diagnostic in fixed.report.diagnostics:
            if diagnostic.finding.code == "RED000":
                print(f"{diagnostic.path}: {diagnostic.finding.message}", file=sys.stderr)
        _write("".join(part for file in fixed.files for part in difference(file)).encode("utf-8", errors="replace"))
        return True
    if reads_stdin:
        _write(fixed.content)
        return True
    return _write_files(fixed, verb)


def _write_files(fixed: Fixed, verb: str) -> bool:
    written = []
    for file in fixed.files:
        try:
            write_file(file)
        except SourceError as error:
            print(f"lint-reduction: {file.path}: not {verb.lower()}: {error.reason}", file=sys.stderr)
        else:
            written.append(file)
    if written:
        count = sum(file.count for file in written)
        findings, files = f"finding{'s' * (count != 1)}", f"file{'s' * (len(written) != 1)}"
        print(f"{verb} {count} {findings} in {len(written)} {files}.", file=sys.stderr)
    return len(written) == len(fixed.files)


def difference(file: FixedFile) -> Iterator[str]:
    """Yield the lines of the unified difference of a file."""
    before, after = (_LINE.findall(decode(data)) for data in (file.before, file.after))
    for line in difflib.unified_diff(before, after, file.path, file.path):
        yield line if line.endswith(("\n", "\r")) else f"{line}\n\\ No newline at end of file\n"


def _write(data: bytes) -> None:
    """Write bytes as they are: line endings and encoding are those of the code."""
    if sys.stdout is not None:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
