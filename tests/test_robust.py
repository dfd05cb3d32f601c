"""Bad input: whatever a file holds, the run goes on, says so in one line and ends."""

from __future__ import annotations

import random
import tokenize
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lint_reduction.analysis import analyze
from lint_reduction.analysis.parse import bracket_depth
from lint_reduction.config import Settings
from lint_reduction.errors import SourceError
from lint_reduction.facts import ModuleFacts
from lint_reduction.finding import Confidence
from lint_reduction.formats import Style, format_names, render
from lint_reduction.run.pipeline import (
    Overrides,
    lint,
    lint_bytes,
    lint_text,
    make_context,
    repository_root,
    with_large_stack,
)
from lint_reduction.run.report import FileResult, Report, collect
from tests.command import ERROR, Ran, run_apart
from tests.fixture_files import FIXTURES, programs

EVERYTHING = make_context(Settings(), Overrides(select=("ALL",), min_confidence=Confidence.LOW))
#: A loss that is trained on right, so that the file is parsed.
HEAD = ERROR.replace('"sum"', '"mean"') + "\n"
TOO_DEEP = "nested too deeply to be analyzed"
#: Either nothing is said, or that it is nested too deeply: both are fine, and neither is a hang.
MAY_BE_TOO_DEEP = "?"


def nested(opening: str, closing: str, depth: int) -> str:
    return f"x = {opening * depth}1{closing * depth}\n"


#: By what is in it: the text of a file, and what is said of it; None where nothing is.
TEXTS: dict[str, tuple[str, str | None]] = {
    "3,000 nested parentheses": (nested("(", ")", 3000), TOO_DEEP),
    "3,000 nested lists": (nested("[", "]", 3000), TOO_DEEP),
    "3,000 nested calls": (nested("f(", ")", 3000), TOO_DEEP),
    "3,000 nested dictionaries": (nested("{1: ", "}", 3000), TOO_DEEP),
    "3,000 nested subscripts": (nested("a[", "]", 3000), TOO_DEEP),
    "3,000 nested lambdas": (nested("lambda: ", "", 3000), TOO_DEEP),
    "3,000 powers": (nested("2 ** ", "", 3000), TOO_DEEP),
    "50,000 terms": (f"x = {' + '.join(['1'] * 50_000)}\n", TOO_DEEP),
    "3,000 chained calls": (f"x = a{'.b(1)' * 3000}\n", TOO_DEEP),
    "10,000 unary minus": (nested("-", "", 10_000), TOO_DEEP),
    "10,000 not": (nested("not ", "", 10_000), TOO_DEEP),
    "150 nested parentheses": (nested("(", ")", 150), None),
    "150 nested calls": (nested("f(", ")", 150), None),
    "150 nested assignments": (f"x = {''.join(f'(a{i} := ' for i in range(150))}1{')' * 150}\n", None),
    "3,000 attributes in a chain": (f"x = a{'.b' * 3000}\n", MAY_BE_TOO_DEEP),
    "400 calls in a chain": (f"x = a{'.b(1)' * 400}\n", None),
    "500 subscripts in a chain": (f"x = a{'[1]' * 500}\n", None),
    "500 terms": (f"x = {' + '.join(['1'] * 500)}\n", None),
    "500 losses in a sum": (f"y = {' + '.join(['criterion(x, x)'] * 500)}\ny.backward()\n", None),
    "500 losses added one by one": ("y = 0\n" + "y = y + nn.MSELoss()(x, x)\n" * 500 + "y.backward()\n", None),
    "5,000 comparisons in a chain": (f"x = {' < '.join(['a'] * 5000)}\n", None),
    "2,000 elifs": ("if x == 0:\n    pass\n" + "".join(f"elif x == {i}:\n    y = {i}\n" for i in range(2000)), None),
    "2,000 cases": ("match x:\n" + "".join(f"    case {i}:\n        pass\n" for i in range(2000)), None),
    "2,000 excepts": ("try:\n    pass\n" + "".join(f"except E{i}:\n    pass\n" for i in range(2000)), None),
    "200 nested functions": (
        "".join(f"{' ' * i}def f{i}():\n" for i in range(200)) + " " * 200 + "pass\n",
        "too many levels of indentation",
    ),
    "90 nested functions": ("".join(f"{' ' * i}def f{i}():\n" for i in range(90)) + " " * 90 + "pass\n", None),
    "18 nested loops": (
        "".join(f"{' ' * i}for i{i} in x:\n" for i in range(18)) + " " * 18 + "y = criterion(x, x)\n",
        None,
    ),
    "5,000 strings in a row": ("x = (" + "\n".join(['"a"'] * 5000) + ")\n", "this syntax is not supported"),
    "a list of 20,000": (f"x = [{'1, ' * 20_000}]\n", None),
    "20,000 arguments": (f"f({', '.join(f'a{i}' for i in range(20_000))})\n", None),
    "5,000 fields in an f-string": (f"x = f'{'{a}' * 5000}'\n", None),
    "a line of a megabyte": (f"x = '{'a' * 1_000_000}'\n", None),
    "3,000 decorators": ("@a\n" * 3000 + "def f(): pass\n", None),
    "5,000 targets": ("=".join(f"a{i}" for i in range(5000)) + " = 1\n", None),
    "functions that call each other in a circle": (
        "".join(f"def f{i}(x):\n    return f{(i + 1) % 50}(criterion(x, x)) + f{(i + 7) % 50}(x)\n" for i in range(50))
        + "f0(1).backward()\n",
        None,
    ),
    "classes that inherit from themselves": (
        "class A(B):\n    pass\n\n\nclass B(A):\n    def training_step(self, b):\n        return criterion(b, b)\n\n\n"
        "class C(C):\n    def training_step(self, b):\n        return super().training_step(self.c)\n",
        None,
    ),
    "numbers that are too large": (
        f"x = {'9' * 6000}\ny = 1e999999\nz = criterion(x, x) ** 1e400 ** 99999999999999999999 / 0\nz.backward()\n",
        None,
    ),
    "lone surrogates": (
        "x = '\\ud800'\nc = nn.MSELoss(reduction='\\ud800')\n",
        "'\\ud800' is no reduction of torch.nn.MSELoss",
    ),
    "odd escapes and tests, of which Python warns": ("x = '\\d'\nif 1 is 1: pass\nassert (1, 'x')\n", None),
}

#: What no Python accepts, and what is said of it; None where something is said only by running it.
BROKEN: dict[str, tuple[str, str | None]] = {
    "Python 2": ("print 'hello'\nexec 'x'\n", "Missing parentheses in call to 'print'"),
    "Python 2 exceptions": ("try:\n    pass\nexcept E, e:\n    raise E, 'x'\n", "RED000"),
    "a syntax error": ("def f(:\n    pass\n", "invalid syntax"),
    "an open bracket": ("x = (\n", "'(' was never closed"),
    "an open string": ("x = '''\n", "unterminated triple-quoted string literal"),
    "wrong indentation": ("if x:\ny = 1\n", "expected an indented block"),
    "mixed indentation": ("if x:\n        y = 1\n\tz = 2\n", "inconsistent use of tabs and spaces"),
    "bytes beside text": ('x = b"1" "2"\n', "cannot mix bytes and nonbytes literals"),
    "a text beside a template": ('t"{x}"""t""\n', "RED000"),
    "a merge conflict": ("<<<<<<< HEAD\nx = 1\n=======\nx = 2\n>>>>>>> other\n", "invalid syntax"),
    "a template": ("class {{ name }}:\n    pass\n", "invalid syntax"),
    "a notebook": ("%matplotlib inline\n!pip install x\n", "invalid syntax"),
    "return at the top": ("return criterion\nyield 3\nawait x\nbreak\n", None),
    "a file of markup": ("<html><body>hello</body></html>\n", "invalid syntax"),
}

BYTES: dict[str, tuple[bytes, str | None]] = {
    "nothing": (b"", None),
    "white space": (b" \n\t\n\x0c\n", None),
    "null bytes": (HEAD.encode() + b"\0\n", "binary: contains null bytes"),
    "a program": (b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 10, "binary: contains null bytes"),
    "bytes in no encoding": (HEAD.encode() + b"x = '\xff\xfe'\n", "not valid utf-8: byte 0xff"),
    "a byte order mark of UTF-16": (HEAD.encode("utf-16"), "binary: contains null bytes"),
    "an unknown encoding": (b"# coding: nonesuch\n" + HEAD.encode(), "unknown encoding: nonesuch"),
    "5 MB of statements": (HEAD.encode() + b"x = 1\n" * 840_000, "too large to be analyzed: 5.0 MB"),
    "5 MB of data": (b"X = [\n" + b"    [0.123456, 0.654321],\n" * 200_000 + b"]\n", None),
    "5 MB without a line end": (b"x = '" + b"a" * 5_000_000 + b"'\n", None),
}


def beside_another(tmp_path: Path, data: bytes) -> Ran:
    """Lint a file, and one with a finding beside it, in a process that may take a minute."""
    (tmp_path / "bad.py").write_bytes(data)
    (tmp_path / "other.py").write_text(ERROR)
    return run_apart(
        "bad.py", "other.py", "--isolated", "--output-format", "concise", cwd=tmp_path, timeout=60,
    )  # fmt: skip


def said_of_the_bad_file(ran: Ran) -> list[str]:
    assert ran.err == ""
    assert ran.code == 1
    *lines, _ = ran.out.splitlines()
    assert lines[-1].startswith("other.py:7:17: RED101 ")
    return lines[:-1]


@pytest.mark.parametrize("name", TEXTS)
def test_text_that_is_hard_to_read(tmp_path: Path, name: str) -> None:
    text, message = TEXTS[name]
    lines = said_of_the_bad_file(beside_another(tmp_path, (HEAD + text).encode()))
    if message is None or (message is MAY_BE_TOO_DEEP and not lines):
        assert lines == []
    else:
        (line,) = lines
        assert line.startswith("bad.py:")
        assert (TOO_DEEP if message is MAY_BE_TOO_DEEP else message) in line


def test_text_that_is_no_program(tmp_path: Path) -> None:
    names = {f"bad{index:02}.py": name for index, name in enumerate(BROKEN)}
    for file, name in names.items():
        (tmp_path / file).write_text(HEAD + BROKEN[name][0])
    (tmp_path / "other.py").write_text(ERROR)
    lines = said_of_the_bad_file(run_apart(".", "--isolated", "--output-format", "concise", cwd=tmp_path))
    said = {line.partition(":")[0]: line for line in lines}
    assert len(said) == len(lines)
    for file, name in names.items():
        message = BROKEN[name][1]
        assert (file in said) is (message is not None), name
        assert message is None or message in said[file]


@pytest.mark.parametrize("name", BYTES)
def test_bytes_that_are_hard_to_read(tmp_path: Path, name: str) -> None:
    data, message = BYTES[name]
    lines = said_of_the_bad_file(beside_another(tmp_path, data))
    if message is None:
        assert lines == []
    else:
        (line,) = lines
        assert line.startswith("bad.py:")
        assert f"RED000 {message}" in line


def test_a_large_file_that_is_broken_near_its_end_is_turned_away_at_once() -> None:
    data = b"x = 1\n" * 400_000 + b"x = (\n"
    (finding,) = lint_bytes(data, "x.py", "/x.py", EVERYTHING, named=True).findings
    assert finding.code == "RED000"


# Random changes to the programs of the fixtures.

SOURCES = {path.relative_to(FIXTURES).as_posix(): path.read_text() for path in programs()}
SOURCES.update((f"analysis/{p.name}", p.read_text()) for p in sorted((FIXTURES / "analysis").glob("*.py")))


def pieces(text: str) -> list[str]:
    """Return the tokens of a text, each with the white space before it."""
    found: list[str] = []
    line, column = 1, 0
    lines = text.splitlines(keepends=True)
    for token in tokenize.generate_tokens(StringIO(text).readline):
        if token.start[0] > line:
            column = 0
        line = token.start[0]
        before = lines[line - 1][column : token.start[1]] if line <= len(lines) else ""
        if token.type not in (tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER):
            found.append(before + token.string)
            line, column = token.end
    return found


def deleted(parts: list[str], randomness: random.Random) -> None:
    del parts[randomness.randrange(len(parts))]


def doubled(parts: list[str], randomness: random.Random) -> None:
    at = randomness.randrange(len(parts))
    parts.insert(at, parts[at])


def swapped(parts: list[str], randomness: random.Random) -> None:
    first, second = randomness.randrange(len(parts)), randomness.randrange(len(parts))
    parts[first], parts[second] = parts[second], parts[first]


def moved(parts: list[str], randomness: random.Random) -> None:
    parts.insert(randomness.randrange(len(parts)), parts.pop(randomness.randrange(len(parts))))


def replaced(parts: list[str], randomness: random.Random) -> None:
    other = randomness.choice(sorted(SOURCES))
    taken = SOURCES[other].splitlines(keepends=True) if parts[0].endswith("\n") else pieces(SOURCES[other])
    parts[randomness.randrange(len(parts))] = randomness.choice(taken)


CHANGES: list[Callable[[list[str], random.Random], None]] = [deleted, doubled, swapped, moved, replaced]


def mutated(name: str, seed: int, count: int, *, by_line: bool) -> str:
    randomness = random.Random(seed)
    parts = SOURCES[name].splitlines(keepends=True) if by_line else pieces(SOURCES[name])
    for _ in range(count):
        if parts:
            randomness.choice(CHANGES)(parts, randomness)
    return "".join(parts)


def sound(result: FileResult, text: str) -> None:
    """Make sure that nothing went wrong, and that every place is one in the text."""
    assert not result.crash
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for finding in result.findings:
        for span in (finding.span, *(related.span for related in finding.related)):
            assert 1 <= span.line <= span.end_line <= len(lines)
            assert 1 <= span.column <= len(lines[span.line - 1]) + 1 or finding.code == "RED000"
            assert span.end_column >= 1
        assert finding.message
        assert "\n" not in finding.message
        assert finding.code
        assert finding.name
    if result.findings:
        for output_format in format_names():
            assert render(output_format, collect([result]), Style())


def test_a_text_is_put_together_again_from_its_pieces() -> None:
    for text in SOURCES.values():
        assert "".join(pieces(text)) == text


@settings(max_examples=300)
@given(st.sampled_from(sorted(SOURCES)), st.integers(0, 2**32), st.integers(1, 6), st.booleans())
def test_random_changes_of_a_program_never_raise(name: str, seed: int, count: int, by_line: bool) -> None:
    text = mutated(name, seed, count, by_line=by_line)
    sound(with_large_stack(lambda: lint_text(text, "x.py", "/x.py", EVERYTHING)), text)


def facts_of(text: str, *, whole: bool) -> ModuleFacts | str:
    try:
        return analyze("x.py", text, EVERYTHING.libraries, whole=whole)
    except SourceError as error:
        return f"{error.line}: {error.reason}"


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_leaving_out_functions_that_concern_no_loss_changes_nothing(name: str) -> None:
    assert facts_of(SOURCES[name], whole=False) == facts_of(SOURCES[name], whole=True)


#: By what is in it: code, and how deep it is nested as the parser sees it.
DEPTHS = {
    "brackets in a string": (f"x = '{'(' * 300}'\n", 0),
    "brackets in documentation": (f'"""f{"f(" * 300}\n{"[" * 300}\n"""\n', 0),
    "brackets in a comment": (f"# {'(' * 300}\n", 0),
    "closing brackets in a string": (f"x = {'(' * 90}')))'*{'(' * 90}1{')' * 180}\n", 180),
    "brackets behind closing ones": (f"{')' * 300}{'(' * 300}\n", 300),
    "brackets behind text that does not end": (f"x = '\n{'(' * 300}\n", 300),
    "brackets in an f-string": (f"x = rF'{{{'(' * 300}1{')' * 300}}}'\n", 301),
    "brackets in a t-string": (f"x = t'{{{'(' * 300}1{')' * 300}}}'\n", 301),
}


@pytest.mark.parametrize("name", DEPTHS)
def test_a_file_of_newer_syntax_is_turned_away_only_where_its_code_is_nested(name: str) -> None:
    text, depth = DEPTHS[name]
    assert bracket_depth(text) == depth


@pytest.mark.parametrize("name", ["brackets in a string", "brackets in documentation", "brackets in a comment"])
def test_brackets_in_text_do_not_nest_the_whole_file(name: str) -> None:
    text = HEAD + DEPTHS[name][0]
    assert facts_of(text, whole=True) == facts_of(text, whole=False)


@settings(max_examples=100)
@given(st.sampled_from(sorted(SOURCES)), st.integers(0, 2**32), st.integers(1, 6), st.booleans())
def test_nor_does_it_in_programs_changed_at_random(name: str, seed: int, count: int, by_line: bool) -> None:
    text = mutated(name, seed, count, by_line=by_line)
    assert facts_of(text, whole=False) == facts_of(text, whole=True)


@settings(max_examples=100)
@given(st.sampled_from(sorted(SOURCES)), st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=3)), max_size=4))
def test_random_bytes_in_a_program_never_raise(name: str, changes: list[tuple[int, bytes]]) -> None:
    data = SOURCES[name].encode()
    for at, inserted in changes:
        data = data[:at] + inserted + data[at + len(inserted) // 2 :]
    result = lint_bytes(data, "x.py", "/x.py", EVERYTHING, named=True)
    assert not result.crash


@settings(max_examples=50)
@given(st.text(alphabet="()[]{}:,.=+-*/@#'\"\\ \n\tabdefginorstx01", max_size=60))
def test_random_text_never_raises(text: str) -> None:
    text = f"from torch import nn\nnn.MSELoss\n{text}"
    sound(lint_text(text, "x.py", "/x.py", EVERYTHING), text)


# Order.


def test_the_order_of_the_files_never_changes_a_report() -> None:
    paths = [path for path in programs() if path.parent.name.startswith(("unscaled", "unreduced", "legacy"))]
    overrides = Overrides(select=("ALL",), min_confidence=Confidence.LOW, isolated=True)
    wanted = lint(paths, overrides)
    assert len(wanted.diagnostics) > 20
    for seed in range(2):
        shuffled = random.Random(seed).sample(paths, len(paths))
        assert lint(shuffled, overrides) == wanted
    assert lint([*paths, *paths], overrides) == wanted


def test_a_file_is_judged_alone() -> None:
    paths = [path for path in programs() if path.name == "bad.py"]
    overrides = Overrides(isolated=True)
    together = lint(paths, overrides)
    alone = [lint([path], overrides) for path in paths]
    assert together.diagnostics == tuple(sorted((d for r in alone for d in r.diagnostics), key=lambda d: d.key))
    assert together.files == sum(report.files for report in alone)


def test_a_report_of_nothing() -> None:
    assert collect([]) == Report()
    assert lint([], Overrides(isolated=True)) == Report(root=repository_root())
