"""Run the whole command on an input, in this process, and see whether all holds that must."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import time
import tokenize
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from xml.etree import ElementTree

from tests.command import Ran, run
from tests.fuzz.cases import Case
from tests.fuzz.places import misplaced

#: Seconds of CPU that one run of the command may take.
SLOW = 10.0
#: What may be said of a file that this interpreter can parse.
_LIMITS = ("nested too deeply", "this syntax is not supported", "too large", "too many", "cannot be decoded as")
_FRAME = re.compile(r'File "[^"]*lint_reduction/([^"]*)", line \d+, in (\S+)')
_NUMBER = re.compile(r"\d+")
#: Besides those for people and for this check; one for each input.
_FORMATS = ("sarif", "concise", "json-lines", "sarif", "github", "gitlab", "junit", "markdown")


#: What reads a format; raises where it is none.
_WELL_FORMED: dict[str, Callable[[str], object]] = {
    "sarif": json.loads,
    "gitlab": json.loads,
    "json-lines": lambda text: [json.loads(line) for line in text.split("\n") if line],
    "junit": ElementTree.fromstring,
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that does not hold.

    Attributes:
        kind: what.
        detail: more of it.
    """

    kind: str
    detail: str

    @property
    def signature(self) -> str:
        """What is the same for failures that most probably have one cause."""
        frames = _FRAME.findall(self.detail)
        last = self.detail.strip().splitlines()[-1:] or [""]
        said = last[0].partition(":")[0] if frames else last[0]
        where = [":".join(frames[-1])] if frames else []
        return " ".join([self.kind, *where, _NUMBER.sub("0", said)[:100]]).strip()


@dataclass
class Outcome:
    """What came of an input.

    Attributes:
        status: clean, findings, unreadable, refused or failed.
        digest: of all that was printed.
        failures: what does not hold.
        checks: the further checks that were made.
    """

    status: str = "failed"
    digest: str = ""
    failures: list[Failure] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Printed:
    """One run: its exit status, and what was printed to streams and files."""

    ran: Ran
    reports: dict[str, str]

    @property
    def digest(self) -> str:
        """What two equal runs have in common, wherever they run."""
        printed = repr((self.ran, sorted(self.reports.items()))).replace(str(Path.cwd()), "")
        return hashlib.sha256(printed.encode(errors="replace")).hexdigest()


def examine(case: Case, folder: Path, luck: Random, *, only_once: bool = False) -> Outcome:
    """Run an input in a folder of its own, and check it.

    Args:
        case: the input.
        folder: is emptied first, and becomes the current directory.
        luck: decides which of the further checks are made, since they take as long as the run.
        only_once: make none of them.
    """
    outcome = Outcome()
    _fill(case, folder)
    os.chdir(folder)
    printed = _guarded(outcome, lambda: _run(case, "--no-cache"))
    if printed is None:
        return outcome
    outcome.digest = printed.digest
    report = _checked(case, printed, outcome)
    if only_once or report is None or outcome.failures:
        return outcome
    for name, share, check in _CHECKS:
        if luck.random() < share:
            outcome.checks.append(name)
            _guarded(outcome, lambda check=check: check(case, folder, printed, report, outcome))  # type: ignore[misc]
    return outcome


def _fill(case: Case, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    for name, data in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _guarded(outcome: Outcome, function: Callable[[], Printed | None]) -> Printed | None:
    """Run something; what it raises, and that it takes long, is a failure."""
    start = time.process_time()
    try:
        result = function()
    except Exception:
        outcome.failures.append(Failure("raised", traceback.format_exc()))
        return None
    if time.process_time() - start > SLOW:
        outcome.failures.append(Failure("slow", f"more than {SLOW:.0f} s of CPU"))
    return result


def _run(case: Case, *options: str) -> Printed:
    """Run the command with several formats at once."""
    other = _FORMATS[sum(map(len, case.files.values())) % len(_FORMATS)]
    outputs = Path("..") / f"reports-{os.getpid()}"
    outputs.mkdir(exist_ok=True)
    wanted = [f"--output-format={name}={outputs / name}" for name in ("json", other)]
    for name in outputs.iterdir():
        name.unlink()
    ran = run("check", *options, "--output-format=full", *wanted, *case.arguments)
    return Printed(ran, {path.name: path.read_bytes().decode() for path in sorted(outputs.iterdir())})


def _checked(case: Case, printed: Printed, outcome: Outcome) -> list[dict[str, object]] | None:
    """Check one run, and return the diagnostics of its report."""
    ran, failures = printed.ran, outcome.failures
    if "internal error" in ran.err or "Traceback" in ran.err:
        failures.append(Failure("crash", ran.err.partition("This is a bug")[0]))
        return None
    if ran.code == 2:
        outcome.status = "refused"
        if ran.err.count("\n") != 1 or not ran.err.startswith("lint-reduction: "):
            failures.append(Failure("unclear refusal", ran.err))
        if not any(name.endswith(".toml") for name in case.files) and "--" not in "".join(case.arguments):
            failures.append(Failure("refused without a reason", ran.err))
        return None
    try:
        diagnostics: list[dict[str, object]] = json.loads(printed.reports["json"])["diagnostics"]
        for name in _WELL_FORMED.keys() & printed.reports.keys():
            _WELL_FORMED[name](printed.reports[name])
    except (ValueError, KeyError, ElementTree.ParseError) as error:
        failures.append(Failure("broken report", f"{type(error).__name__}: {error}"))
        return None
    unreadable = {str(d["path"]): str(d["message"]) for d in diagnostics if d["code"] == "RED000"}
    outcome.status = "unreadable" if unreadable else "findings" if diagnostics else "clean"
    if not any(name.endswith(".toml") for name in case.files):
        expected = any(d["severity"] != "note" for d in diagnostics)
        if ran.code != expected:
            failures.append(Failure("exit status", f"{ran.code}, but {len(diagnostics)} findings"))
    failures += misplaced(diagnostics, case.files)
    failures += _misjudged(case, unreadable)
    return diagnostics


def _misjudged(case: Case, unreadable: dict[str, str]) -> Iterator[Failure]:
    """Hold what is said of the syntax against the parser of this interpreter."""
    for name, message in unreadable.items():
        if name.endswith((".py", ".pyi")) and parses(case.files[name]) and not any(x in message for x in _LIMITS):
            yield Failure("said to be unreadable", message)
    named = case.target if case.arguments[-1] == f"./{case.target}" else ""
    if named.endswith((".py", ".pyi")) and named not in unreadable and not any(n.endswith(".toml") for n in case.files):
        data = case.files[named]
        if not parses(data) and not _parsed_by_libcst(data):
            yield Failure("not said to be unreadable", "")


def parses(data: bytes) -> bool:
    """Say whether this interpreter can parse a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(data)
            # it does not look at the bytes of comments here, but does when it runs a file
            data.decode(tokenize.detect_encoding(io.BytesIO(data).readline)[0])
        except (SyntaxError, ValueError, LookupError, RecursionError, MemoryError):
            return False
    return True


def _parsed_by_libcst(data: bytes) -> bool:
    """Say whether libcst can, which knows newer syntax than this interpreter, and is more lenient."""
    import libcst

    try:
        libcst.parse_module(data)
    except (libcst.ParserSyntaxError, ValueError, LookupError, RecursionError):
        return False
    return True


# Further checks.


def _again(case: Case, folder: Path, printed: Printed, report: object, outcome: Outcome) -> None:
    """Nothing changes from run to run, with a cache that is empty and with one that is not."""
    del folder, report
    for options in (("--no-cache",), (), ()):
        if _run(case, *options).digest != printed.digest:
            outcome.failures.append(Failure("another report", "on the second run" if options else "with a cache"))
            return


def _fixed(case: Case, folder: Path, printed: Printed, report: list[dict[str, object]], outcome: Outcome) -> None:
    """A fix leaves a program, and nothing to fix."""
    del printed
    if not any(diagnostic["fix"] for diagnostic in report):
        return
    fixes = ("--fix", "--unsafe-fixes", "--no-cache")
    options = [option for option in case.arguments if option != "--unsafe-fixes"]
    first = run("check", *fixes, *options)
    after = _contents(case, folder)
    _check_changed(case, after, first, "fix", outcome)
    second = run("check", *fixes, *options)
    if _contents(case, folder) != after:
        outcome.failures.append(Failure("a second fix changes more", second.err))
    _fill(case, folder)


def _silenced(case: Case, folder: Path, printed: Printed, report: list[dict[str, object]], outcome: Outcome) -> None:
    """Comments that silence all findings leave none, and a program."""
    del printed
    if not any(d["code"] not in ("RED000", "RED001") for d in report) or "--no-ignores" in case.arguments:
        return
    options = [option for option in case.arguments if option != "--unsafe-fixes"]
    first = run("check", "--add-ignore=why", "--no-cache", *options)
    _check_changed(case, _contents(case, folder), first, "silencing", outcome)
    left = run("check", "--no-cache", "--output-format=json", *options)
    codes = {d["code"] for d in json.loads(left.out)["diagnostics"]} - {"RED000", "RED001"} if left.code < 2 else set()
    if codes and "nothing added" not in first.err:
        outcome.failures.append(Failure("not silenced", f"{', '.join(sorted(codes))}"))
    _fill(case, folder)


def _contents(case: Case, folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in case.files}


def _check_changed(case: Case, after: dict[str, bytes], ran: Ran, what: str, outcome: Outcome) -> None:
    if ran.code == 2 or "Traceback" in ran.err:
        outcome.failures.append(Failure(f"crash of {what}", ran.err))
    for name, data in after.items():
        if (
            data != case.files[name]
            and name.endswith((".py", ".pyi"))
            and parses(case.files[name])
            and not parses(data)
        ):
            outcome.failures.append(Failure(f"unreadable after {what}", name))
        if data != case.files[name] and name.endswith(".ipynb"):
            with contextlib.suppress(ValueError):
                json.loads(data)
                continue
            outcome.failures.append(Failure(f"unreadable after {what}", name))


def _uncut(case: Case, folder: Path, printed: Printed, report: object, outcome: Outcome) -> None:
    """Leaving out the functions that concern no loss changes nothing."""
    del folder, printed, report
    from lint_reduction.analysis import analyze
    from lint_reduction.errors import SourceError
    from lint_reduction.libraries import load_libraries
    from lint_reduction.source.file import decode

    if not case.target.endswith((".py", ".pyi")):
        return

    def facts(*, whole: bool) -> object:
        try:
            return analyze("x.py", decode(case.files[case.target]), load_libraries(), whole=whole)
        except SourceError:
            return "unreadable"  # the two parsers have different words for it
        except RecursionError:
            return "nested too deeply to be analyzed"

    if facts(whole=False) != facts(whole=True):
        outcome.failures.append(Failure("another analysis of the whole file", ""))


_CHECKS: tuple[tuple[str, float, Callable[..., None]], ...] = (
    ("again", 0.1, _again),
    ("uncut", 0.15, _uncut),
    ("fixed", 0.5, _fixed),
    ("silenced", 0.15, _silenced),
)
