"""Notebooks: what is read of them, where findings in them are, and edits that leave every other byte."""

from __future__ import annotations

import json
import os
import random
import re
import time
from pathlib import Path

import nbformat
import pytest

from lint_reduction.errors import SourceError
from lint_reduction.facts import Span
from lint_reduction.source.discover import discover
from lint_reduction.source.magics import without_magics
from lint_reduction.source.notebook import Notebook, read_notebook, write_back
from tests.command import ERROR, Ran, run
from tests.fixture_files import FIXTURES

TRAIN = FIXTURES / "notebooks" / "train.ipynb"
#: ``ERROR`` in three cells: RED101 at cell 2:1:13, trained on in cell 5.
FIRST = "import torch\nfrom torch import nn\nfrom torch.utils.data import DataLoader\n"
SITE = 'criterion = nn.MSELoss(reduction="sum")\noptimizer = torch.optim.SGD(model.parameters(), lr=0.1)'
LOOP = (
    "for x, y in DataLoader(dataset, batch_size=32):\n    loss = criterion(model(x), y)\n"
    "    optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()\n"
)
BROKEN = "x = (\n"


def code(source: object, **more: object) -> dict[str, object]:
    cell = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": source}
    return {**cell, **more}


def markdown(source: object) -> dict[str, object]:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def document(*cells: object, **more: object) -> dict[str, object]:
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4, **more}


def notebook(*cells: object, **more: object) -> bytes:
    return json.dumps(document(*cells, **more), indent=1, ensure_ascii=False).encode()


def training(first: str = FIRST, site: str = SITE, loop: str = LOOP) -> bytes:
    return notebook(code(first), code(site), markdown("loss.backward()"), markdown([]), code(loop))


def read(data: bytes) -> Notebook:
    found = read_notebook(data)
    assert found is not None
    return found


def check(*arguments: str | Path, stdin: bytes = b"") -> Ran:
    return run(*arguments, "--output-format", "concise", stdin=stdin)


def places(ran: Ran) -> list[str]:
    """Return place and code of what was found in the concise format, in order."""
    return [f"{m[1]} {m[2]}" for m in re.finditer(r"^(.+?): (RED\d{3}) ", ran.out, flags=re.MULTILINE)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# What is found, and where.


def expected_in(path: Path) -> list[str]:
    found = []
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"], 1):
        for line, text in enumerate("".join(cell["source"]).splitlines(), 1):
            found += [f"cell {number}:{line} {name}" for name in re.findall(r"# expect: ([a-z-]+)", text)]
    return found


def test_the_fixture_has_its_findings_in_their_cells() -> None:
    document = json.loads(run(TRAIN, "--output-format", "json").out)
    found = [f"cell {d['cell']}:{d['line']} {d['name']}" for d in document["diagnostics"]]
    assert found == expected_in(TRAIN)
    assert len(found) == 5
    nbformat.validate(nbformat.read(TRAIN, as_version=4))


def test_a_loss_is_followed_from_cell_to_cell(project: Path) -> None:
    (project / "nb.ipynb").write_bytes(training())
    ran = check(".")
    assert (ran.code, ran.err) == (1, "")
    assert places(ran) == ["nb.ipynb:cell 2:1:13 RED101"]
    assert check("nb.ipynb").out == ran.out
    assert check("-", "--stdin-filename", "nb.ipynb", stdin=training()).out == ran.out
    assert run("nb.ipynb", "--statistics").out == "1  RED101  unscaled-sum\n"


def test_the_full_format_shows_each_place_in_its_cell(project: Path) -> None:
    (project / "nb.ipynb").write_bytes(training())
    ran = run("nb.ipynb")
    assert ran.out.split("\n", 1)[1].startswith("""\
 --> nb.ipynb:cell 2:1:13
  |
1 | criterion = nn.MSELoss(reduction="sum")
  |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^
2 | optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
  |             ------------------------------------------- optimizer
  |                                                 ------ learning rate
  |
 ::: nb.ipynb:cell 5
  |
4 |     loss.backward()
  |     --------------- backward
  |
  = growth: samples * elements
""")


def test_the_json_format_has_cells(project: Path) -> None:
    (project / "nb.ipynb").write_bytes(training())
    (project / "train.py").write_text(ERROR)
    first, second = json.loads(run(".", "--output-format", "json").out)["diagnostics"]
    assert (first["path"], first["cell"], first["line"], first["end_line"]) == ("nb.ipynb", 2, 1, 1)
    assert {r["role"]: (r["cell"], r["line"]) for r in first["related"]} == {
        "optimizer": (2, 2), "learning rate": (2, 2), "backward": (5, 4),
    }  # fmt: skip
    assert (second["path"], second["cell"], second["line"]) == ("train.py", None, 7)
    assert {r["cell"] for r in second["related"]} == {None}


def test_cells_are_in_the_order_of_the_notebook(project: Path) -> None:
    bad = 'a = nn.MSELoss(reduction="summ")\n'
    cells = [code(FIRST), *(code(bad) for _ in range(11))]
    (project / "nb.ipynb").write_bytes(notebook(*cells))
    assert places(check(".")) == [f"nb.ipynb:cell {number}:1:5 RED303" for number in range(2, 13)]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("as_list", [False, True])
@pytest.mark.parametrize("indent", [None, 2])
def test_line_endings_and_layouts_do_not_matter(project: Path, newline: str, as_list: bool, indent: int | None) -> None:
    sources = [text.replace("\n", newline) for text in (FIRST, "# größer 🎉\n" + SITE, LOOP)]
    cells = [code(text.splitlines(keepends=True) if as_list else text) for text in sources]
    for ensure_ascii in (False, True):
        text = json.dumps(document(*cells), indent=indent, ensure_ascii=ensure_ascii)
        (project / "nb.ipynb").write_bytes(text.replace("\n", "\r\n").encode())
        assert places(check(".")) == ["nb.ipynb:cell 2:2:13 RED101"]
        (project / "nb.ipynb").write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert places(check(".")) == ["nb.ipynb:cell 2:2:13 RED101"]


def test_imports_lead_to_the_modules_beside_a_notebook(project: Path) -> None:
    (project / "losses.py").write_text(
        'from torch import nn\n\n\ndef make():\n    return nn.MSELoss(reduction="sum")\n'
    )
    (project / "nb.ipynb").write_bytes(
        training(first=FIRST + "from losses import make\n", site=SITE.replace('nn.MSELoss(reduction="sum")', "make()"))
    )
    ran = run("nb.ipynb", "--output-format", "json")
    (finding,) = json.loads(ran.out)["diagnostics"]
    assert (finding["path"], finding["cell"], finding["line"]) == ("losses.py", None, 5)
    assert ("nb.ipynb", 5, 4) in {(r["path"], r["cell"], r["line"]) for r in finding["related"]}
    assert "::: nb.ipynb:cell 5:4:5 backward" in run("nb.ipynb").out


def test_the_facts_of_a_notebook_name_cells(project: Path) -> None:
    (project / "nb.ipynb").write_bytes(training())
    ran = run("facts", "nb.ipynb")
    assert ran.code == 0
    assert "\ncell 2:1:13 torch.nn.MSELoss: reduction sum" in ran.out
    assert "at cell 5, line 4" in ran.out
    (project / "nb.ipynb").write_bytes(notebook(code("x = 1"), code(BROKEN)))
    assert run("facts", "nb.ipynb").err == "lint-reduction: nb.ipynb:cell 2:1:5: '(' was never closed\n"


# Which files.


def test_notebooks_are_found_in_directories_as_other_files_are(project: Path) -> None:
    for name in ("a.py", "b.ipynb", "c.txt", "d/e.ipynb", ".ipynb_checkpoints/b-checkpoint.ipynb", "ignored/f.ipynb"):
        path = project / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    found = discover([Path()], lambda path, _, __: os.path.basename(path) in (".ipynb_checkpoints", "ignored"))  # noqa: PTH119
    assert [candidate.path.as_posix() for candidate in found] == ["a.py", "b.ipynb", "d/e.ipynb"]


def test_settings_apply_to_notebooks(project: Path) -> None:
    (project / "nb.ipynb").write_bytes(training())
    (project / ".ipynb_checkpoints").mkdir()
    (project / ".ipynb_checkpoints" / "nb-checkpoint.ipynb").write_bytes(training())
    assert places(check(".")) == ["nb.ipynb:cell 2:1:13 RED101"]
    (project / "lint-reduction.toml").write_text('per-file-ignores = { "*.ipynb" = ["RED101"] }\n')
    assert places(check(".")) == []


def test_the_hook_is_given_notebooks() -> None:
    text = (FIXTURES.parent / ".pre-commit-hooks.yaml").read_text()
    assert set(re.findall(r"types_or: \[(.*)\]", text)) == {"python, pyi, jupyter"}


# Suppressions.


@pytest.mark.parametrize(
    "data",
    [
        training(site=SITE.replace('"sum")', '"sum")  # lint-reduction: ignore[RED101] a paper')),
        training(site="# lint-reduction: ignore[RED101] a paper\n" + SITE),
        training(site=SITE.replace('"sum")', '"sum")  # noqa: RED101')),
        training(loop=LOOP.replace("backward()", "backward()  # noqa: RED101")),
        training(first="# lint-reduction: file-ignore[RED101] a paper\n" + FIRST),
        training(loop=LOOP + "# lint-reduction: file-ignore[RED101] a paper"),
    ],
)
def test_comments_in_cells_silence(project: Path, data: bytes) -> None:
    (project / "nb.ipynb").write_bytes(data)
    assert check(".") == Ran(0, "All checks passed! (1 suppressed)\n", "")


def test_a_comment_at_the_end_of_a_cell_does_not_reach_into_the_next(project: Path) -> None:
    (project / "nb.ipynb").write_bytes(training(first=FIRST + "# lint-reduction: ignore[RED101] too early"))
    assert places(check(".")) == ["nb.ipynb:cell 1:4:1 RED001", "nb.ipynb:cell 2:1:13 RED101"]


# What cannot be read.


def test_each_broken_cell_is_named_and_nothing_else_is_said(project: Path) -> None:
    cells = [code(FIRST), markdown("("), code("y = 1\n" + BROKEN), code(SITE), code(LOOP), code("def f(:\n")]
    (project / "nb.ipynb").write_bytes(notebook(*cells))
    ran = check(".")
    assert (ran.code, ran.err) == (1, "")
    assert places(ran) == ["nb.ipynb:cell 3:2:5 RED000", "nb.ipynb:cell 6:1:7 RED000"]
    assert "2 | x = (\n  |     ^\n" in run(".").out
    assert json.loads(run(".", "--output-format", "json").out)["summary"]["unparsed"] == 1


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("if x:\n", "cell 2:1"),
        ("s = '''\nnever closed\n", "cell 2:1"),
        ("  x = 1\n", "cell 2:1"),
        ("x = 1 \\", "cell 2:1"),
        ("x = \x00", "cell 2:1"),
        ("x = '", "cell 2:1"),
        (f"x = {'(' * 300}{')' * 300}", "cell 2:1"),
    ],
)
def test_a_cell_that_does_not_end_is_named_itself(project: Path, source: str, place: str) -> None:
    (project / "nb.ipynb").write_bytes(notebook(markdown(""), code(source), code("y = 1\n")))
    ran = check("nb.ipynb")
    assert ran.err == ""
    assert [found.rpartition(":")[0] for found in places(ran)] in ([f"nb.ipynb:{place}"], [])
    assert ran.code == len(places(ran))


@pytest.mark.parametrize(
    ("data", "place", "message"),
    [
        (b"", "1:1", "not a notebook: invalid JSON: expecting value"),
        (b"import torch\n", "1:1", "not a notebook: invalid JSON: expecting value"),
        (b'{\n "cells": [,]}', "2:12", "not a notebook: invalid JSON: expecting value"),
        (b'{"cells": []', "1:13", "not a notebook: invalid JSON: expecting ',' delimiter"),
        (b"[" * 100_000, "1:1", "not a notebook: invalid JSON: nested too deeply"),
        (b'{\n"cells": "\xff"}', "2:1", "not a notebook: not valid utf-8: byte 0xff"),
        (b"[]", "1:1", "not a notebook: it has no list of cells"),
        (b"{}", "1:1", "not a notebook: it has no list of cells"),
        (b'{"cells": {}}', "1:1", "not a notebook: it has no list of cells"),
        (b'{"worksheets": 1, "nbformat": 3}', "1:1", "not a notebook: it has no list of cells"),
        (notebook(nbformat=5), "1:1", "not a notebook of format 3 or 4"),
        (notebook(nbformat="4"), "1:1", "not a notebook of format 3 or 4"),
        (notebook(1), "1:1", "not a notebook: cell 1 is not an object"),
        (notebook(markdown(""), code(None)), "1:1", "not a notebook: the source of cell 2 is not text"),
        (notebook(code(["x", 1])), "1:1", "not a notebook: the source of cell 1 is not text"),
    ],
)  # fmt: skip
def test_what_is_no_notebook_is_a_finding_of_one_line(project: Path, data: bytes, place: str, message: str) -> None:
    (project / "nb.ipynb").write_bytes(data)
    assert check(".") == Ran(1, f"nb.ipynb:{place}: RED000 {message}\nFound 1 error.\n", "")
    assert run(".").code == 1
    assert run(".", "--output-format", "json").code == 1
    assert run("facts", "nb.ipynb").err == f"lint-reduction: nb.ipynb:{place}: {message}\n"


@pytest.mark.parametrize(
    "data",
    [
        notebook(),
        notebook(code([]), code("")),
        notebook({"cell_type": "code"}, {"cell_type": "raw", "source": BROKEN}, {}),
        notebook(code(BROKEN), metadata={"kernelspec": {"language": "R"}}),
        notebook(code(BROKEN), metadata={"language_info": {"name": "julia"}}),
        notebook(code(BROKEN, metadata={"vscode": {"languageId": "sql"}})),
        notebook(code("x = 1"), metadata={"kernelspec": {"language": "python"}}),
        json.dumps(document(code("x = '\ud83d'"))).encode(),
        notebook(code("x = 1"), metadata={"n": int("9" * 4000)}),
        notebook(code("x = await f()\n")),
        notebook(metadata=[]),
        notebook(metadata={"kernelspec": None, "language_info": {"name": None}}),
    ],
)
def test_nothing_is_said_of_what_is_no_python(project: Path, data: bytes) -> None:
    (project / "nb.ipynb").write_bytes(data)
    assert check("nb.ipynb") == Ran(0, "All checks passed!\n", "")


def test_the_limit_of_size_is_for_the_code_and_not_for_outputs(project: Path) -> None:
    output = {"output_type": "display_data", "data": {"image/png": "A" * 5_000_000}, "metadata": {}}
    cells = [code(text, outputs=[output]) for text in (FIRST, SITE, LOOP)]
    (project / "nb.ipynb").write_bytes(notebook(*cells))
    assert places(check(".")) == ["nb.ipynb:cell 2:1:13 RED101"]
    (project / "nb.ipynb").write_bytes(training(first=FIRST + "# long\n" * 400_000))
    ran = check(".")
    assert places(ran) == ["nb.ipynb:cell 1:1:1 RED000"]
    assert "too large to be analyzed: 2.8 MB, the limit is 2 MB" in ran.out


def test_format_3_is_read_as_well(project: Path) -> None:
    cells = [
        {"cell_type": "code", "language": "python", "input": [text], "outputs": []} for text in (FIRST, SITE, LOOP)
    ]
    other = {"cell_type": "code", "language": "ruby", "input": BROKEN}
    sheets = [{"cells": [cells[0], other]}, {"cells": cells[1:]}]
    data = json.dumps({"metadata": {}, "nbformat": 3, "nbformat_minor": 0, "worksheets": sheets}).encode()
    (project / "nb.ipynb").write_bytes(data)
    assert places(check(".")) == ["nb.ipynb:cell 3:1:13 RED101"]
    line = read(data).cells.starts[1]
    assert write_back(data, [(Span(line, 1, line, 10), "mean")]) == data.replace(b'"criterion = nn', b'"mean = nn')


def test_a_damaged_notebook_never_stops_a_run(project: Path) -> None:
    choices = random.Random(2)
    whole = TRAIN.read_bytes()
    pieces = [b"", b'"', b"{", b"]", b"\\", b"\n", b"%", b"\xff", b"\\ud800", b"null", b"(", b"\\n"]
    for _ in range(60):
        data = whole
        for _ in range(choices.randrange(1, 4)):
            at = choices.randrange(len(data))
            data = data[:at] + choices.choice(pieces) + data[at + choices.randrange(3) :]
        (project / "nb.ipynb").write_bytes(data)
        ran = check("nb.ipynb")
        assert (ran.code in (0, 1), ran.err) == (True, "")
        assert all(re.fullmatch(r"nb\.ipynb:(cell \d+:)?\d+:\d+ RED\d+", place) for place in places(ran))


# Magics.


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("%matplotlib inline\nx = 1", "_                 \nx = 1"),
        ("!ls", "_  "),
        ("!", "_"),
        ("!!ls | wc\n", "_        \n"),
        ("x = !ls\n", "x = _  \n"),
        ("a.b, c =  %who str\n", "a.b, c =  _       \n"),
        ("d['='] = !ls\n", "d['='] = _  \n"),
        ("x?", "_ "),
        ("?x.y\nz", "_   \nz"),
        ("d['a?'].get??  \n", "_              \n"),
        ("/f 1\n,f a b\n;f a\n", "_   \n_     \n_   \n"),
        ("pip install -U torch\ncd data\n", "_                   \n_      \n"),
        ("if x:\n    !ls\nelse:\n\t%pwd\n", "if x:\n    _  \nelse:\n\t_   \n"),
        ("!ls \\\n  -la\nx", "_    \n     \nx"),
        ("!ls \\\r\n  -la\r\nx", "_    \r\n     \r\nx"),
        ("!ls\rx\r%pwd", "_  \rx\r_   "),
        ("%%bash\nfor f in *; do (\n", "      \n                \n"),
        ("\n# a comment\n  %%html\n<p>?", "\n           \n        \n    "),
        ("%%time\nx = 1\n%pwd\n", "      \nx = 1\n_   \n"),
        ("%%capture out\n%%timeit -n 3\nx = 1", "             \n             \nx = 1"),
        ("x = 1\n%%bash\n", "x = 1\n_     \n"),
    ],
)
def test_what_is_ipythons_own_is_blanked(source: str, wanted: str) -> None:
    assert without_magics(source) == wanted


@pytest.mark.parametrize(
    "source",
    [
        "x = (a\n     % b)\n",
        "x = a \\\n% b\n",
        'print("""\n%matplotlib inline\n!ls\nwhat?\n""")\n',
        "print('a=%d' % 3, \"b=!\", 'it\\'s=%d')\n",
        "f'''{x=!r}\n%d'''\n",
        "x = 5 % 3  # why?\n",
        "x %= 3\ny = x != 1\n",
        "# %matplotlib inline\n# what?\n",
        "x = 'what?'\n",
        "ls = 1\ncd = ls\nls -cd\npip in x\ncd if ls else 3\n",
        "x = [\n    1,\n    # ]\n    2,\n]\n",
        "x = '('  # '\n",
    ],
)
def test_python_stays_as_it_is(source: str) -> None:
    assert without_magics(source) == source
    assert without_magics(source + "%pwd") == source + "_   "


def test_blanking_keeps_every_place() -> None:
    source = random.Random(0)
    parts = [
        "%",
        "!",
        "?",
        "=",
        "x",
        " ",
        "\n",
        "\r\n",
        "\r",
        "'",
        '"',
        '"""',
        "#",
        "(",
        ")",
        "\\",
        "%%time",
        "é",
        "🎉",
    ]
    for _ in range(3000):
        text = "".join(source.choices(parts, k=source.randrange(1, 30)))
        blanked = without_magics(text)
        assert len(blanked) == len(text)
        assert re.findall(r"[\r\n]", blanked) == re.findall(r"[\r\n]", text)


@pytest.mark.parametrize("piece", ["\r\n", "\n", "\r", " ", "x = ", "'", "? ", "#\n", "\\", "=  ", "( "])
def test_blanking_takes_time_in_proportion(piece: str) -> None:
    started = time.monotonic()
    for text in (piece * 50_000, "%pwd\n" + piece * 50_000 + "x", piece * 50_000 + "\n%pwd"):
        assert len(without_magics(text)) == len(text)
    assert time.monotonic() - started < 5


# Writing back.


def lines_of(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def on(line: int, column: int, length: int) -> Span:
    return Span(line, column, line, column + length)


def test_an_edit_changes_its_own_bytes_only() -> None:
    data = TRAIN.read_bytes()
    found = read(data)
    edits = []
    for line, text in enumerate(found.text.splitlines(), 1):
        for old, new in (('"sum"', '"mean"'), ("size_average=False", 'reduction="sum"'), ('"mean"', '"batchmean"')):
            if old in text:
                edits.append((on(line, text.index(old) + 1, len(old)), new))
    assert len(edits) == 3
    wanted = data.replace(b'\\"sum\\"', b'\\"mean\\"', 1)
    wanted = wanted.replace(b"size_average=False", b'reduction=\\"sum\\"')
    wanted = wanted.replace(b'KLDivLoss(reduction=\\"mean\\")', b'KLDivLoss(reduction=\\"batchmean\\")')
    assert write_back(data, edits) == wanted
    assert write_back(data, reversed(edits)) == wanted
    nbformat.validate(nbformat.reads(wanted.decode(), as_version=4))
    assert write_back(data, []) == data


@pytest.mark.parametrize(
    ("source", "span", "new", "wanted"),
    [
        ('["a = 1\\n", "b = 2"]', on(1, 5, 1), "3", '["a = 3\\n", "b = 2"]'),
        ('["a = 1\\n", "b = 2"]', on(2, 5, 1), '"é"\t', '["a = 1\\n", "b = \\"é\\"\\t"]'),
        ('["a = 1\\n", "b = 2"]', on(2, 1, 0), "x\n", '["a = 1\\n", "x\\n", "b = 2"]'),
        ('["a = 1\\n", "b = 2"]', on(2, 6, 0), "\nx", '["a = 1\\n", "b = 2\\n", "x"]'),
        ('["a = 1\\n", "b = 2\\n"]', on(2, 6, 0), "  # c", '["a = 1\\n", "b = 2  # c\\n"]'),
        ('["a = 1\\n", "b = 2"]', Span(1, 5, 2, 5), "", '["a = 2"]'),
        ('["a\\n",\n  "b\\n",\n  "c"]', Span(1, 1, 2, 1), "", '["b\\n",\n  "c"]'),
        ('["a\\n",\n  "b\\n",\n  "c"]', Span(2, 1, 3, 1), "", '["a\\n",\n  "c"]'),
        ('["a\\n",\n  "b\\n",\n  "c"]', on(3, 1, 1), "", '["a\\n",\n  "b\\n"]'),
        ('["a\\n",\n  "b\\n",\n  "c"]', Span(1, 1, 3, 1), "x\ny\n", '["x\\n",\n  "y\\n",\n  "c"]'),
        ('["a\\n",\n  "b\\n",\n  "c"]', Span(1, 1, 3, 2), "", '[""]'),
        ('[\n  "a"\n ]', on(1, 2, 0), "\nb", '[\n  "a\\n",\n  "b"\n ]'),
        ('["a; ", "b\\n", "c"]', on(1, 4, 1), "xy", '["a; ", "xy\\n", "c"]'),
        ('"a = 1\\nb = 2"', on(2, 5, 1), "3\nc", '"a = 1\\nb = 3\\nc"'),
        ('"\\u00e9 = \\ud83c\\udf89\\u0041"', on(1, 5, 2), "1", '"\\u00e9 = 1"'),
        ('"\\ud83c\\udf89é = \\"\\/\\""', on(1, 7, 1), "x", '"\\ud83c\\udf89é = \\"x\\""'),
        ('["a\\r\\n", "b"]', on(2, 1, 1), "c", '["a\\r\\n", "c"]'),
        ('["!ls\\n", "b"]', on(2, 1, 1), "c", '["!ls\\n", "c"]'),
    ],
)  # fmt: skip
def test_the_layout_of_a_source_is_kept(source: str, span: Span, new: str, wanted: str) -> None:
    frame = '{"nbformat": 4,\r\n "x" : {"source": ["é"]}, "cells": [ {"cell_type":"code","source" : %s, "id": 1} ]}\n'
    changed = write_back(frame.replace("%s", source).encode(), [(span, new)])
    assert changed.decode() == frame.replace("%s", wanted)


def test_what_is_all_ascii_stays_so() -> None:
    data = json.dumps(document(code("a = 'é'"))).encode()
    assert write_back(data, [(on(1, 6, 1), "ü")]) == data.replace(b"\\u00e9", b"\\u00fc")


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ([(Span(1, 1, 5, 1), "")], "an edit reaches from cell 1 into cell 2"),
        ([(on(1, 1, 3), ""), (on(1, 3, 2), "")], "edits overlap, or leave their cell"),
        ([(on(1, 4, 99), "")], "edits overlap, or leave their cell"),
        ([(on(3, 1, 0), "")], "an edit leaves its cell"),
        ([(on(7, 1, 0), "x")], "cell 3 is empty"),
        ([(on(9, 1, 0), "x")], "the cell is empty"),
    ],
)
def test_an_edit_that_is_none_is_refused(edits: list[tuple[Span, str]], message: str) -> None:
    data = notebook(code("a = 1\nb"), code("c = 2\nd"), {"cell_type": "code"}, code([]))
    with pytest.raises(ValueError, match=f"^{message}$"):
        write_back(data, edits)


def test_a_notebook_in_another_language_has_no_code_to_edit() -> None:
    with pytest.raises(SourceError, match="not a notebook in Python"):
        write_back(notebook(code("x"), metadata={"kernelspec": {"language": "R"}}), [(on(1, 1, 1), "")])


def random_document(source: random.Random) -> dict[str, object]:
    """Return a notebook with code in chunks that a careless program may write."""
    alphabet = ["a", "b", " ", "\n", "\r\n", '"', "\\", "\t", "é", "🎉", "\u2028", "/"]
    cells: list[object] = []
    for _ in range(source.randrange(1, 5)):
        chunks = ["".join(source.choices(alphabet, k=source.randrange(0, 8))) for _ in range(source.randrange(1, 5))]
        cells.append(source.choice([code, markdown])(source.choice([chunks, "".join(chunks)])))
    return document(*cells)


def test_edits_of_the_module_are_edits_of_the_notebook() -> None:
    choices = random.Random(1)
    done = 0
    for _ in range(1500):
        before = random_document(choices)
        data = json.dumps(before, indent=choices.choice([None, 1]), ensure_ascii=choices.random() < 0.5).encode()
        cells = read(data).cells
        for number, start in zip(cells.numbers, cells.starts, strict=True):
            lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", sources(data)[number - 1])
            if not lines:
                continue
            rows = sorted(choices.choices(range(len(lines)), k=2))
            columns = [choices.randrange(len(lines[row].rstrip("\r\n")) + 1) for row in rows]
            if rows[0] == rows[1]:
                columns.sort()
            new = choices.choice(["", "x", "x\ny", "\n", '"\\é'])
            span = Span(start + rows[0], columns[0] + 1, start + rows[1], columns[1] + 1)
            changed = write_back(data, [(span, new)])
            wanted = sources(data)
            wanted[number - 1] = (
                "".join(lines[: rows[0]]) + lines[rows[0]][: columns[0]] + new
                + lines[rows[1]][columns[1] :] + "".join(lines[rows[1] + 1 :])
            )  # fmt: skip
            assert sources(changed) == wanted
            document_after = json.loads(changed)
            for cell, old in zip(document_after["cells"], json.loads(data)["cells"], strict=True):
                cell["source"] = old["source"]
            assert document_after == json.loads(data)
            done += 1
    assert done > 1000


def sources(data: bytes) -> list[str]:
    """Return the source of each cell."""
    return ["".join(cell["source"]) for cell in json.loads(data)["cells"]]


def test_lone_halves_of_characters_do_not_stop_an_edit() -> None:
    data = json.dumps(document(code("x = '\ud83d'; y = 1"))).encode()
    assert write_back(data, [(on(1, 14, 1), "2")]) == data.replace(b"y = 1", b"y = 2")


# Fixing.


def test_fixes_of_a_notebook_leave_every_other_byte(project: Path) -> None:
    path = project / "train.ipynb"
    path.write_bytes(TRAIN.read_bytes())
    ran = run("train.ipynb", "--fix", "--unsafe-fixes", "--output-format", "concise")
    assert ran.err == "Fixed 3 findings in 1 file.\n"
    assert places(ran) == ["train.ipynb:cell 8:2:10 RED303", "train.ipynb:cell 11:1:8 RED121"]
    fixed = path.read_bytes()
    wanted = TRAIN.read_bytes().replace(b'MSELoss(reduction=\\"sum\\")', b'MSELoss(reduction=\\"mean\\")')
    wanted = wanted.replace(b"size_average=False", b'reduction=\\"sum\\"')
    wanted = wanted.replace(b'KLDivLoss(reduction=\\"mean\\")', b'KLDivLoss(reduction=\\"batchmean\\")')
    assert fixed == wanted
    nbformat.validate(nbformat.read(path, as_version=4))
    assert run("train.ipynb", "--fix", "--unsafe-fixes", "--output-format", "concise") == Ran(1, ran.out, "")
    assert path.read_bytes() == fixed


def test_the_edits_of_a_fix_are_printed_with_the_lines_of_the_cell() -> None:
    document = json.loads(run(TRAIN, "--output-format", "json").out)
    for diagnostic in document["diagnostics"]:
        if diagnostic["fix"] is not None:
            assert {edit["line"] for edit in diagnostic["fix"]["edits"]} == {diagnostic["line"]}
