"""``--add-ignore`` and ``--no-ignores``: comments that silence what is found, and what they hide."""

from __future__ import annotations

import ast
import json
import stat
import sys
from pathlib import Path

import pytest

from lint_reduction.errors import SourceError
from lint_reduction.finding import Edit
from lint_reduction.run.fixes import edited
from lint_reduction.source.suppressions import added_suppressions, find_suppressions
from tests.command import CLEAN, ERROR, Ran, run

SITE = 'nn.MSELoss(reduction="sum")'
LINE = f"    criterion = {SITE}"
COMMENT = "# lint-reduction: ignore[RED101]"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def codes(*arguments: str) -> list[str]:
    ran = run(*arguments, "--output-format", "json-lines")
    return [json.loads(line)["code"] for line in ran.out.splitlines()]


def added(path: Path, text: str | bytes, *arguments: str) -> bytes:
    """Add comments to a program, check that it has no findings then, and that a second run adds nothing."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    ran = run(path.name, "--add-ignore", *arguments)
    assert ran.code == 0, ran
    assert "All checks passed!" in ran.out
    written = path.read_bytes()
    again = run(path.name, "--add-ignore", *arguments)
    assert (again.code, again.err) == (0, "")
    assert path.read_bytes() == written
    return written


def line_of(data: bytes, part: str = "criterion =") -> str:
    return next(line for line in data.decode().splitlines() if part in line)


# --- what is written, and where


def test_a_comment_is_added_at_the_end_of_the_line(project: Path) -> None:
    after = added(project / "a.py", ERROR)
    assert after.decode() == ERROR.replace(LINE, f"{LINE}  {COMMENT}")


def test_it_says_what_it_did(project: Path) -> None:
    (project / "a.py").write_text(ERROR)
    assert run("a.py", "--add-ignore") == Ran(
        0, "All checks passed! (1 suppressed)\n", "Silenced 1 finding in 1 file.\n"
    )


def test_a_reason_is_written_behind(project: Path) -> None:
    (project / "a.py").write_text(ERROR)
    run("a.py", "--add-ignore=as in the paper")
    assert line_of((project / "a.py").read_bytes()) == f"{LINE}  {COMMENT} as in the paper"


def test_the_next_argument_is_a_path_and_no_reason(project: Path) -> None:
    (project / "a.py").write_text(ERROR)
    assert run("--add-ignore", "a.py").code == 0
    assert line_of((project / "a.py").read_bytes()) == f"{LINE}  {COMMENT}"


def test_a_path_after_two_dashes_may_be_called_like_the_option(project: Path) -> None:
    assert "--add-ignore: no such file" in run("check", "--", "--add-ignore").err


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  # type: ignore", f"  # type: ignore  {COMMENT} new"),
        ("  # noqa: E501", f"  # noqa: E501  {COMMENT} new"),
        ("# why", f"# why  {COMMENT} new"),
        ("   ", f"  {COMMENT} new"),
        ("  # lint-reduction: ignore[RED303] old", "  # lint-reduction: ignore[RED303, RED101] old"),
        ("  # lint-reduction: ignore[RED303]", "  # lint-reduction: ignore[RED303, RED101] new"),
        (
            "  # lint-reduction: ignore[ RED303 ,kl-div-mean]  ",
            "  # lint-reduction: ignore[RED303, kl-div-mean, RED101] new  ",
        ),
        ("  # lint-reduction: ignore", "  # lint-reduction: ignore[RED101] new"),
        ("  # lint-reduction: ignore it", "  # lint-reduction: ignore[RED101] it"),
        ("  # lint-reduction: file-ignore[RED303] x", f"  # lint-reduction: file-ignore[RED303] x  {COMMENT} new"),
        ("  # x  # lint-reduction: ignore[RED303]", "  # x  # lint-reduction: ignore[RED303, RED101] new"),
    ],
)
def test_comments_that_are_there_stay(before: str, after: str) -> None:
    text = f"x = 1\ny = 2{before}\nz = 3\n"
    edits = [Edit(*edit) for edit in added_suppressions(text, {2: ["RED101"]}, "new")]
    changed = edited(text, edits)
    assert changed == f"x = 1\ny = 2{after}\nz = 3\n"
    assert any("RED101" in s.rules and not s.whole_file and s.first == 2 for s in find_suppressions(changed))


def test_a_comment_of_another_tool_works_on_beside_ours(project: Path) -> None:
    both = ERROR.replace(LINE, f'{LINE}; other = nn.MSELoss(reduction="summ")  # noqa: RED303')
    assert line_of(added(project / "a.py", both)).endswith(f"# noqa: RED303  {COMMENT}")


CALL = """\
    criterion = (
        nn.MSELoss(
            reduction="sum",  # lint-reduction: ignore[RED303] old
        )  # last
    )"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("    criterion = nn.MSELoss(\n        reduction='sum',\n    )", ("    )", f"    )  {COMMENT}")),
        ("    criterion = \\\n        nn.MSELoss(reduction='sum')", ("sum')", f"sum')  {COMMENT}")),
        ("    criterion = nn.MSELoss(reduction='sum'); note = '''\n# x\n'''", ("\n'''", f"\n'''  {COMMENT}")),
        (CALL, ("ignore[RED303]", "ignore[RED303, RED101]")),
    ],
)
def test_the_comment_stands_at_the_end_of_the_logical_line(project: Path, before: str, after: tuple[str, str]) -> None:
    text = ERROR.replace(LINE, before)
    assert text != ERROR
    (project / "a.py").write_text(text)
    run("a.py", "--add-ignore", "--ignore", "RED001")
    changed = (project / "a.py").read_text()
    assert changed == text.replace(before, before.replace(*after))
    assert ast.dump(ast.parse(changed)) == ast.dump(ast.parse(text))
    assert "RED101" not in codes("a.py")


def test_several_rules_on_a_line_share_a_comment(project: Path) -> None:
    text = ERROR.replace(LINE, f'{LINE}; other = nn.MSELoss(reduction="summ")')
    assert line_of(added(project / "a.py", text)).endswith("# lint-reduction: ignore[RED101, RED303]")


@pytest.mark.parametrize("newline", ["\r\n", "\r", "\n"])
def test_ends_of_lines_stay(project: Path, newline: str) -> None:
    after = added(project / "a.py", ERROR.replace("\n", newline).encode())
    assert after == ERROR.replace(LINE, f"{LINE}  {COMMENT}").replace("\n", newline).encode()


def test_a_missing_last_end_of_line_stays_missing(project: Path) -> None:
    text = "import torch\nloss = torch.nn.MSELoss(reduction='summ')"
    assert added(project / "a.py", text).decode() == f"{text}  # lint-reduction: ignore[RED303]"


def test_encodings_and_byte_order_marks_stay(project: Path) -> None:
    text = f"# -*- coding: latin-1 -*-\n# é\n{ERROR}"
    after = added(project / "a.py", text.encode("latin-1"))
    assert after == text.replace(LINE, f"{LINE}  {COMMENT}").encode("latin-1")
    marked = added(project / "b.py", b"\xef\xbb\xbf" + ERROR.encode())
    assert marked == b"\xef\xbb\xbf" + ERROR.replace(LINE, f"{LINE}  {COMMENT}").encode()


def test_a_reason_that_the_encoding_cannot_write_leaves_the_file_alone(project: Path) -> None:
    data = f"# -*- coding: latin-1 -*-\n{ERROR}".encode()
    (project / "a.py").write_bytes(data)
    ran = run("a.py", "--add-ignore=数", "--output-format", "concise")
    assert ran.code == 1
    assert ran.err.startswith("a.py: nothing added: cannot be written in iso-8859-1")
    assert "RED101" in ran.out
    assert (project / "a.py").read_bytes() == data


# --- notebooks


def notebook(*sources: object) -> bytes:
    cells = [
        {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": source}
        for source in sources
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}, indent=1).encode()


def test_a_notebook_changes_in_that_line_only(project: Path) -> None:
    imports = "%matplotlib inline\nimport torch\nfrom torch import nn"
    loss = "!ls\n" + ERROR[ERROR.index("def train") :].rstrip("\n")
    before = notebook(imports, loss.replace(" in DataLoader", " in torch.utils.data.DataLoader"))
    after = added(project / "a.ipynb", before)
    site = b'MSELoss(reduction=\\"sum\\")'
    assert site in before
    assert after == before.replace(site, site + f"  {COMMENT}".encode())


def test_the_last_line_of_a_cell_and_lists_of_lines(project: Path) -> None:
    before = notebook(["import torch\n", "loss = torch.nn.MSELoss(reduction='summ')"], ["x = 1"])
    after = added(project / "a.ipynb", before)
    assert after == before.replace(b"'summ')", b"'summ')  # lint-reduction: ignore[RED303]")


# --- files


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are others there")
def test_a_file_is_replaced_at_once_with_its_permissions_and_links_stay(project: Path) -> None:
    (project / "real.py").write_text(ERROR)
    (project / "real.py").chmod(0o750)
    (project / "a.py").symlink_to("real.py")
    assert run("a.py", "--add-ignore").code == 0
    assert (project / "a.py").is_symlink()
    assert COMMENT in (project / "real.py").read_text()
    assert stat.S_IMODE((project / "real.py").stat().st_mode) == 0o750
    assert sorted(path.name for path in project.iterdir()) == ["a.py", "real.py"]


def test_nothing_is_left_behind_where_it_cannot_be_written(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "a.py").write_text(ERROR)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", refuse)
    ran = run("a.py", "--add-ignore")
    assert (ran.code, ran.err) == (2, "lint-reduction: a.py: not silenced: no space left on device\n")
    assert (project / "a.py").read_text() == ERROR
    assert [path.name for path in project.iterdir()] == ["a.py"]


def test_only_files_that_were_named_are_changed(project: Path) -> None:
    loss = "import torch\n\n\ndef recon(x, y):\n    return torch.nn.functional.mse_loss(x, y, reduction='sum')\n"
    (project / "losses.py").write_text(loss)
    train = ERROR.replace("criterion(model(x), y)", "recon(model(x), y)").replace(f"{LINE}\n", "")
    (project / "train.py").write_text(train.replace("import torch\n", "import torch\nfrom losses import recon\n", 1))
    assert codes("train.py") == ["RED101"]
    ran = run("train.py", "--add-ignore")
    assert (ran.code, ran.err) == (1, "")
    assert (project / "losses.py").read_text() == loss
    assert run(".", "--add-ignore").code == 0
    assert COMMENT in (project / "losses.py").read_text()
    assert codes(".") == []


def test_what_cannot_be_analyzed_is_not_silenced(project: Path) -> None:
    (project / "a.py").write_text("x = torch.nn.MSELoss(\n")
    ran = run("a.py", "--add-ignore")
    assert (ran.code, ran.err) == (1, "")
    assert (project / "a.py").read_text() == "x = torch.nn.MSELoss(\n"


def test_comments_that_silence_nothing_are_no_reason_for_more(project: Path) -> None:
    text = CLEAN.replace("import torch\n", f"import torch  {COMMENT}\n", 1)
    (project / "a.py").write_text(text)
    assert codes("a.py") == ["RED001"]
    run("a.py", "--add-ignore")
    assert (project / "a.py").read_text() == text


def test_syntax_that_is_too_new_to_be_split_into_lines_is_refused() -> None:
    with pytest.raises(SourceError, match="cannot split it"):
        list(added_suppressions("x = (\n", {1: ["RED101"]}, ""))


# --- with other options


def test_the_difference_can_be_looked_at_first(project: Path) -> None:
    (project / "a.py").write_text(ERROR)
    ran = run("a.py", "--add-ignore", "--diff")
    assert ran.code == 1
    assert f"+{LINE}  {COMMENT}\n" in ran.out
    assert (project / "a.py").read_text() == ERROR


def test_code_from_standard_input_is_printed_with_comments(project: Path) -> None:
    ran = run("-", "--add-ignore", stdin=ERROR.encode())
    assert (ran.code, ran.out) == (0, ERROR.replace(LINE, f"{LINE}  {COMMENT}"))
    clean = run("-", "--add-ignore", stdin=CLEAN.encode())
    assert (clean.code, clean.out) == (0, CLEAN)


def test_what_a_baseline_holds_gets_no_comment(project: Path) -> None:
    (project / "a.py").write_text(ERROR)
    run("baseline", "a.py")
    (project / "b.py").write_text(ERROR)
    ran = run(".", "--add-ignore", "--baseline", "lint-reduction-baseline.json")
    assert ran.code == 0
    assert (project / "a.py").read_text() == ERROR
    assert COMMENT in (project / "b.py").read_text()


def test_only_selected_rules_are_silenced(project: Path) -> None:
    text = ERROR + 'other = nn.MSELoss(reduction="summ")\n'
    (project / "a.py").write_text(text)
    run("a.py", "--add-ignore", "--select", "RED303")
    assert codes("a.py") == ["RED101"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--add-ignore", "--fix"), "--add-ignore cannot be combined with --fix"),
        (("--add-ignore", "--verify"), "--verify cannot be combined with --fix, --diff or --add-ignore"),
        (("--add-ignore", "--no-ignores"), "--add-ignore cannot be combined with --no-ignores"),
        (("--add-ignore=a\nb",), "the reason of --add-ignore must be one line of text"),
    ],
)
def test_what_does_not_go_together(project: Path, arguments: tuple[str, ...], message: str) -> None:
    (project / "a.py").write_text(ERROR)
    ran = run("a.py", *arguments)
    assert (ran.code, ran.err) == (2, f"lint-reduction: {message}\n")
    assert (project / "a.py").read_text() == ERROR


# --- no ignores


@pytest.mark.parametrize("comment", [COMMENT, "# noqa: RED101", "# lint-reduction: file-ignore[RED101]"])
def test_what_comments_silence_is_reported_on_request(project: Path, comment: str) -> None:
    (project / "a.py").write_text(ERROR.replace(LINE, f"{LINE}  {comment}"))
    silenced = run("a.py")
    assert (silenced.code, silenced.out) == (0, "All checks passed! (1 suppressed)\n")
    assert codes("a.py", "--no-ignores") == ["RED101"]
    shown = run("a.py", "--no-ignores")
    assert shown.code == 1
    assert "Found 1 error." in shown.out
    assert "suppressed" not in shown.out


def test_settings_silence_all_the_same(project: Path) -> None:
    (project / "a.py").write_text(ERROR)
    (project / "lint-reduction.toml").write_text('ignore = ["RED101"]\n')
    assert codes("a.py", "--no-ignores") == []
