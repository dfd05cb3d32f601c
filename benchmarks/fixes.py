"""Apply every fix to real code, and check that nothing else changes.

    python benchmarks/fixes.py [--corpus DIR] [DIR ...]

Copies the packages of `fixtures/corpus` (or each folder of the directories named) to a temporary directory and runs
`lint-reduction --fix --unsafe-fixes` on each, with all rules at low confidence. Prints how many findings of each rule
were fixed, and what is not as it has to be; exits with 1 if anything is not:

- a file that could be parsed still can be;
- outside the edits of its findings a file has the same tokens and the same text: comments, line endings, byte order
  mark; and it has the same mode;
- a file that was not said to be fixed has the same bytes;
- a second run changes nothing.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tokenize
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from corpus import DEFAULT_DESTINATION, fetch_all, rows

CHECK = [sys.executable, "-m", "lint_reduction", "check", "--isolated", "--no-color"]
CHECK += ["--select", "ALL", "--min-confidence", "low"]
FIX = ["--fix", "--unsafe-fixes"]

#: What fixes write besides what their edits say, when one makes room for the next.
_WRITTEN = 'reduction="mean" "sum" "none" "batchmean", .mean'
#: No edit is longer.
_WIDEST = 300

_NEWLINE = re.compile(r"\r\n|\r|\n")
_WORD = re.compile(r"\w+|[^\w\s]")
_LAYOUT = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.ENCODING}

#: Offsets of the first and the last character of a stretch of text, the latter exclusive.
Stretch = tuple[int, int]


@dataclass(frozen=True)
class Region:
    """A stretch of a file that edits may change, and what they may make of it."""

    start: int
    end: int
    text: str
    replacements: frozenset[str]

    def may_become(self, text: str) -> bool:
        """Say whether a text is made of nothing but the words that were there and those that fixes write."""
        return set(_WORD.findall(text)) <= set(_WORD.findall(" ".join([self.text, *self.replacements, _WRITTEN])))


@dataclass
class Outcome:
    """What came of the packages, counted by rule."""

    found: Counter[str] = field(default_factory=Counter)
    fixable: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    files: int = 0
    fixed: int = 0
    withdrawn: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Count another outcome as well."""
        self.found += other.found
        self.fixable += other.fixable
        self.left += other.left
        self.files += other.files
        self.fixed += other.fixed
        self.withdrawn += other.withdrawn
        self.violations += other.violations

    def show(self) -> None:
        """Print the table, and each violation."""
        print("rule    found  with a fix  fixed")
        for code in sorted(self.found):
            print(f"{code} {self.found[code]:6} {self.fixable[code]:11} {self.found[code] - self.left[code]:6}")
        total, left, fixable = (sum(counter.values()) for counter in (self.found, self.left, self.fixable))
        print(f"all    {total:6} {fixable:11} {total - left:6}")
        print(f"\n{self.fixed} of {self.files} files fixed, {len(self.withdrawn)} fixes withdrawn")
        for line in self.withdrawn:
            print(f"  {line}")
        print(f"{len(self.violations)} violations")
        for line in self.violations:
            print(f"  {line}")


def examine(package: Path) -> Outcome:
    """Fix a package in place, and return what was fixed and what is not as it has to be."""
    try:
        return _examine(package)
    except RuntimeError as error:
        return Outcome(violations=[str(error)])


def _examine(package: Path) -> Outcome:
    before = contents(package)
    outcome = Outcome(files=len(before))
    edits: dict[Path, list[dict[str, object]]] = defaultdict(list)
    for diagnostic in diagnostics(run(package, "--output-format", "json", "--unsafe-fixes")):
        outcome.found[diagnostic["code"]] += 1
        if diagnostic["fix"]:
            outcome.fixable[diagnostic["code"]] += 1
            edits[Path(diagnostic["absolute_path"])] += diagnostic["fix"]["edits"]
    shown = run(package, *FIX, "--diff").stdout if edits else ""
    named = set(re.findall(r"^--- (.*?)$", shown, re.MULTILINE))
    if contents(package) != before:
        return Outcome(violations=[f"{package.name}: --diff has changed a file"])
    fixing = run(package, *FIX, "--output-format", "json")
    after = contents(package)
    outcome.fixed = len(named)
    outcome.left.update(diagnostic["code"] for diagnostic in diagnostics(fixing))
    outcome.withdrawn = [line for line in fixing.stderr.splitlines() if "is withdrawn" in line]
    if said(fixing.stderr) != len(named):
        outcome.violations.append(f"{package.name}: {fixing.stderr.strip()!r}, but --diff shows {len(named)} files")
    # what changed nothing at first will do so again
    if after != before and (said(run(package, *FIX).stderr) or contents(package) != after):
        outcome.violations.append(f"{package.name}: the second run changes files")
    for path in sorted(before.keys() | after.keys()):
        problems = compare(before.get(path), after.get(path), edits[path], is_named=str(path) in named)
        outcome.violations += [f"{path.relative_to(package.parent)}: {problem}" for problem in problems]
    return outcome


def diagnostics(done: subprocess.CompletedProcess[str]) -> list[Any]:
    """Return what a run in the format json has reported."""
    found: list[Any] = json.loads(done.stdout)["diagnostics"]
    return found


def run(package: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the tool on a package."""
    done = subprocess.run([*CHECK, *options, str(package)], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or "Traceback" in done.stderr:
        raise RuntimeError(f"{package.name}: exit status {done.returncode}: {done.stderr[-2000:]}")
    return done


def said(stderr: str) -> int:
    """Return how many files a run says that it has fixed."""
    match = re.search(r"^Fixed \d+ findings? in (\d+) files?\.$", stderr, re.MULTILINE)
    return int(match[1]) if match else 0


def contents(package: Path) -> dict[Path, tuple[bytes, int]]:
    """Return the bytes and the mode of each file."""
    files = (path for path in package.rglob("*") if path.is_file())
    return {path: (path.read_bytes(), path.stat().st_mode) for path in files}


def compare(
    before: tuple[bytes, int] | None, after: tuple[bytes, int] | None, edits: list[dict[str, object]], *, is_named: bool
) -> Iterator[str]:
    """Yield what is wrong with a file after fixing."""
    if before is None or after is None:
        yield "was made or taken away"
        return
    if before[1] != after[1]:
        yield f"mode {after[1]:o}, before {before[1]:o}"
    if before[0] == after[0]:
        if is_named:
            yield "is said to be fixed, but is the same"
        return
    if not is_named:
        yield "has changed, but is not said to be fixed"
    if parses(before[0]) and not parses(after[0]):
        yield "cannot be parsed any more"
        return
    yield from compare_text(decode(before[0]), decode(after[0]), edits)


def compare_text(old: str, new: str, edits: list[dict[str, object]]) -> Iterator[str]:
    """Yield how a text differs from another one outside the edits."""
    regions = regions_of(old, edits)
    stretches = aligned(old, new, regions)
    if stretches is None:
        yield "the text differs outside the edits"
    elif parses(old.encode()):
        left = tokens_outside(old, [(region.start, region.end) for region in regions])
        if left != tokens_outside(new, stretches):
            yield "the tokens differ outside the edits"


def decode(data: bytes) -> str:
    """Return the text of a file; a byte order mark and line endings are part of it."""
    encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    return data.decode("utf-8" if encoding == "utf-8-sig" else encoding)


def parses(data: bytes) -> bool:
    """Say whether this interpreter can read a module."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(data)
        except (SyntaxError, ValueError, RecursionError):
            return False
    return True


def offset(starts: Sequence[int], line: object, column: object) -> int:
    """Return the offset of a place that is given by its line and column, which begin at 1."""
    assert isinstance(line, int)
    assert isinstance(column, int)
    return starts[line - 1] + column - 1


def line_starts(text: str) -> list[int]:
    """Return the offsets at which lines begin; a byte order mark is no part of the first."""
    mark = text.startswith("\ufeff")
    return [int(mark), *(match.end() for match in _NEWLINE.finditer(text))]


def regions_of(text: str, edits: list[dict[str, object]]) -> list[Region]:
    """Return the stretches of a text that edits may change; edits that touch share one."""
    starts = line_starts(text)
    regions: list[Region] = []
    found = {
        (
            offset(starts, edit["line"], edit["column"]),
            offset(starts, edit["end_line"], edit["end_column"]),
            str(edit["replacement"]),
        )
        for edit in edits
    }
    for start, end, replacement in sorted(found):
        replacements = {replacement}
        if regions and start <= regions[-1].end:
            last = regions.pop()
            start, end, replacements = last.start, max(last.end, end), {*last.replacements, replacement}
        regions.append(Region(start, end, text[start:end], frozenset(replacements)))
    return regions


def aligned(old: str, new: str, regions: Sequence[Region]) -> list[Stretch] | None:
    """Return where the regions of a text are in the other one, None if it differs elsewhere."""
    stretches: list[Stretch] = []
    ends = [*(region.start for region in regions[1:]), len(old)]

    def follow(index: int, start: int) -> bool:
        """Say whether the text from an offset on is the rest of the old one, from a region on."""
        if index == len(regions):
            return start == len(new)
        region = regions[index]
        between = old[region.end : ends[index]]
        for length in _lengths(region, new, start):
            end = start + length
            if not new.startswith(between, end) or not region.may_become(new[start:end]):
                continue
            stretches.append((start, end))
            if follow(index + 1, end + len(between)):
                return True
            stretches.pop()
        return False

    if not regions:
        return stretches if old == new else None
    first = regions[0].start
    return stretches if old[:first] == new[:first] and follow(0, first) else None


def _lengths(region: Region, new: str, start: int) -> Iterator[int]:
    """Yield how long what stands for a region may be, the likely lengths first."""
    yield from (len(text) for text in sorted({*region.replacements, region.text}) if new.startswith(text, start))
    yield from range(_WIDEST)


def tokens_outside(text: str, stretches: Sequence[Stretch]) -> list[tuple[int, str]]:
    """Return the tokens of a module that do not stand in any of some stretches."""
    body = text.removeprefix("\ufeff")
    moved = len(text) - len(body)
    starts = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", body))]
    found = []
    for token in tokenize.generate_tokens(io.StringIO(body, newline="").readline):
        if token.type in _LAYOUT:
            continue
        first = starts[token.start[0] - 1] + token.start[1] + moved
        last = starts[token.end[0] - 1] + token.end[1] + moved
        if not any(start <= first and last <= end for start, end in stretches):
            found.append((token.type, token.string))
    return found


def main() -> int:
    """Print the table; exit with 1 on a violation, or if a package could not be had."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=DEFAULT_DESTINATION, help="where the packages are unpacked")
    parser.add_argument("directories", type=Path, nargs="*", help="whose folders to fix, in place of the corpus")
    options = parser.parse_args()
    problems = []
    if options.directories:
        folders = sorted(folder for directory in options.directories for folder in directory.iterdir())
    else:
        problems = fetch_all(options.corpus)
        folders = [options.corpus / f"{row['package']}=={row['version']}" for row in rows("packages.tsv")]
    outcome = Outcome()
    ignored = shutil.ignore_patterns("*.ipynb")
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
        copies = [
            Path(shutil.copytree(folder, Path(temporary).resolve() / str(index) / folder.name, ignore=ignored))
            for index, folder in enumerate(folders)
            if folder.is_dir()
        ]
        for each in pool.map(examine, copies):
            outcome.add(each)
    print(f"{len(copies)} packages\n")
    outcome.show()
    for problem in problems:
        print(problem)
    return bool(problems or outcome.violations)


if __name__ == "__main__":
    sys.exit(main())
