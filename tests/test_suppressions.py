"""Comments that silence findings: where they work, what they name, and when they are said to be of no use."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lint_reduction import lint_source
from lint_reduction.config import Settings
from lint_reduction.finding import Finding
from lint_reduction.run.pipeline import Overrides, lint, lint_alone, make_context
from lint_reduction.source.suppressions import find_suppressions, mentions_rules
from tests.command import ERROR

OWN = "# lint-reduction: ignore[RED101] reproduces a paper"


def program(site: str = "", backward: str = "", above: str = "", top: str = "") -> str:
    """Return ``ERROR`` with comments at the end of two lines, above the first of them and at the top."""
    text = ERROR.replace('"sum")\n', f'"sum"){site}\n').replace("loss.backward()\n", f"loss.backward(){backward}\n")
    if above:
        text = text.replace("    criterion =", f"    {above}\n    criterion =")
    return f"{top}\n{text}" if top else text


def codes(text: str, select: list[str] | None = None) -> list[str]:
    return [finding.code for finding in lint_source(text, select=select)]


def unused(text: str, select: list[str] | None = None) -> list[Finding]:
    return [finding for finding in lint_source(text, select=select) if finding.code == "RED001"]


def test_without_a_comment_there_is_a_finding() -> None:
    assert codes(program()) == ["RED101"]


@pytest.mark.parametrize(
    "comment",
    [
        OWN,
        "# lint-reduction: ignore[RED101]",
        "#lint-reduction:ignore[RED101]",
        "# lint-reduction: ignore [RED101]",
        "# lint-reduction: ignore[red101]",
        "# lint-reduction: ignore[unscaled-sum] as in the paper",
        "# lint-reduction: ignore[RED102, RED101]",
        "# lint-reduction: ignore[ RED101 ,kl-div-mean]",
        "# type: ignore  # lint-reduction: ignore[RED101]",
        "# lint-reduction: file-ignore[RED101]",
        "# noqa: RED101",
        "# noqa:RED101",
        "# NOQA: RED101",
        "# noqa : RED101",
        "# noqa: E501,RED101",
        "# noqa: E501, RED101 as in the paper",
        "# noqa: red101",
        "# type: ignore # noqa: RED101",
    ],
)
def test_a_comment_at_the_end_of_the_line_silences(comment: str) -> None:
    assert "RED101" not in codes(program(site=f"  {comment}"))


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa",
        "# noqa: E501",
        "# noqa: RED102",
        "# lint-reduction: ignore",
        "# lint-reduction: ignore[]",
        "# lint-reduction: ignore[RED102]",
        "# lint-reduction: ignore[RED10]",
        "# lint-reduction: ignore[RED101",
        "# lint-reduction ignore[RED101]",
        "# lint-reduction: ignored[RED101]",
        "# ruff: ignore[RED101]",
        "# RED101",
    ],
)
def test_other_comments_do_not(comment: str) -> None:
    assert "RED101" in codes(program(site=f"  {comment}"))


def test_a_comment_of_its_own_works_on_the_next_logical_line() -> None:
    assert codes(program(above=OWN)) == []
    assert codes(program(above=f"{OWN}\n    # and more about it\n")) == []
    assert codes(program(above="# lint-reduction: ignore[unscaled-sum]")) == []


def test_a_comment_of_its_own_does_not_work_on_the_line_before_or_the_one_after_the_next() -> None:
    assert codes(ERROR.replace('"sum")\n', f'"sum")\n    {OWN}\n')) == ["RED101", "RED001"]
    assert codes(program(above=f"{OWN}\n    other = 1")) == ["RED001", "RED101"]


def test_noqa_on_a_line_of_its_own_does_not_silence() -> None:
    assert codes(program(above="# noqa: RED101")) == ["RED101"]


@pytest.mark.parametrize("line", [0, 1, 2, 3])
def test_a_comment_on_any_line_of_a_call_silences(line: int) -> None:
    lines = ["nn.MSELoss(", '        reduction="sum"', "        ,", "    )"]
    lines[line] += f"  {OWN}"
    text = ERROR.replace('nn.MSELoss(reduction="sum")', "\n".join(lines))
    assert text != ERROR
    assert codes(text) == []


def test_a_comment_of_its_own_inside_a_call_silences() -> None:
    call = f'nn.MSELoss(\n        {OWN}\n        reduction="sum",\n    )'
    assert codes(ERROR.replace('nn.MSELoss(reduction="sum")', call)) == []


def test_a_comment_above_a_call_of_several_lines_silences() -> None:
    call = 'nn.MSELoss(\n        reduction="sum",\n    )'
    assert codes(program(above=OWN).replace('nn.MSELoss(reduction="sum")', call)) == []


def test_a_comment_on_a_line_joined_by_a_backslash_silences() -> None:
    text = ERROR.replace("criterion = nn", "criterion = \\\n        nn").replace('"sum")', f'"sum")  {OWN}')
    assert codes(text) == []


def test_a_comment_on_the_line_of_the_backward_call_silences() -> None:
    assert codes(program(backward=f"  {OWN}")) == []
    assert codes(program(backward="  # noqa: RED101")) == []
    assert codes(ERROR.replace("        loss.backward()", f"        {OWN}\n        loss.backward()")) == []


def test_a_comment_elsewhere_on_the_path_does_not_silence() -> None:
    text = ERROR.replace("optimizer.step()", f"optimizer.step()  {OWN}")
    assert codes(text) == ["RED101", "RED001"]


@pytest.mark.parametrize("rule", ["RED101", "unscaled-sum", "RED121, RED101"])
def test_a_comment_for_the_file_works_wherever_it_stands(rule: str) -> None:
    comment = f"# lint-reduction: file-ignore[{rule}] reproduces a paper"
    for text in (program(top=comment), f"{ERROR}{comment}\n", program(backward=f"  {comment}")):
        assert "RED101" not in codes(text)


def test_a_comment_for_the_file_silences_all_findings_of_its_rule_only() -> None:
    more = 'bad = nn.MSELoss(reduction="summ")\n'
    assert codes(ERROR + more) == ["RED101", "RED303"]
    assert codes(f"{ERROR}{ERROR}{more}# lint-reduction: file-ignore[RED101]\n") == ["RED303"]


@pytest.mark.parametrize(
    "quoted",
    [
        'note = "# lint-reduction: file-ignore[RED101]"',
        "note = '''\n# lint-reduction: file-ignore[RED101]\n'''",
        'note = f"# lint-reduction: file-ignore[RED101] {1}"',
        'note = """\n# lint-reduction: file-ignore[RED101]\n# noqa: RED101"""',
    ],
)
def test_what_looks_like_a_comment_inside_a_string_does_not_count(quoted: str) -> None:
    assert codes(f"{quoted}\n{ERROR}") == ["RED101"]
    assert codes(ERROR.replace('"sum")', '"sum"); note = "# lint-reduction: ignore[RED101]"')) == ["RED101"]


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_comments_work_under_any_line_ending(newline: str) -> None:
    assert codes(program(site=f"  {OWN}").replace("\n", newline)) == []
    assert codes(program(above=OWN).replace("\n", newline)) == []
    assert codes(program(backward=f"  {OWN}").replace("\n", newline)) == []


def test_comments_work_after_characters_that_only_look_like_line_ends() -> None:
    text = ERROR.replace("import torch\n", 'import torch\nseparators = "\x0b\x1c\x85\u2028"\n\x0c\n', 1)
    assert codes(text) == ["RED101"]
    assert codes(text.replace('"sum")\n', f'"sum")  {OWN}\n')) == []


def test_an_unused_comment_is_a_note_at_its_place() -> None:
    text = ERROR.replace('"sum"', '"mean"').replace("    criterion", f"    {OWN}\n    criterion")
    (note,) = unused(text)
    assert (note.span.line, note.span.column, note.name) == (7, 5, "unused-suppression")
    assert note.span.end_column == 5 + len(OWN)
    assert str(note.severity) == "note"
    assert note.message == "RED101 is not found here, so this comment silences nothing"


@pytest.mark.parametrize("comment", ["# noqa: RED101", "# lint-reduction: file-ignore[RED101]", OWN])
@pytest.mark.parametrize("code", ["x = 1", "import torch; x = 1", CODE := "def f(: torch.nn.MSELoss"])
def test_unused_comments_are_found_in_files_that_hold_no_loss(code: str, comment: str) -> None:
    data = f"{code}  {comment}\n".encode()
    assert mentions_rules(data)
    result = lint_alone(data, "x.py", "/x.py", make_context(Settings(), Overrides()), named=False)[0]
    assert [f.code for f in result.findings] == (["RED000"] if code == CODE else ["RED001"])


@pytest.mark.parametrize("data", [b"x = 1  # noqa\n", b"x = 1  # noqa: E501\n", b"RED101\n", b""])
def test_files_without_such_comments_are_left_alone(data: bytes) -> None:
    assert not mentions_rules(data)
    assert find_suppressions(data.decode()) == ()


def test_each_rule_of_a_comment_is_judged_by_itself() -> None:
    (note,) = unused(program(site="  # lint-reduction: ignore[RED101, RED121, RED301]"), ["RED0", "RED101", "RED121"])
    assert note.message.startswith("RED121 is not found here")


def test_only_rules_that_ran_are_said_to_be_unused() -> None:
    text = ERROR.replace('"sum"', '"mean"').replace("criterion(model", "criterion (model") + f"x = 1  {OWN}\n"
    assert len(unused(text)) == 1
    assert unused(text, ["RED001", "RED121"]) == []
    assert unused(text, ["RED101"]) == []
    settings = Settings(per_file_ignores=(("*.py", ("RED101",)),))
    result = lint_alone(text.encode(), "x.py", "/x.py", make_context(settings, Overrides()), named=True)[0]
    assert result.findings == ()


def test_a_comment_on_a_finding_too_vague_to_be_reported_is_of_use() -> None:
    vague = "def f(x, y):\n    loss = ((x - y) ** 2).sum()  # lint-reduction: ignore[RED102]\n    loss.backward()\n"
    text = f"import torch\n\n\n{vague}"
    assert codes(text.replace("  # lint-reduction: ignore[RED102]", ""), ["RED0", "RED1"]) == []
    assert codes(text.replace("  # lint-reduction: ignore[RED102]", ""), ["RED102"]) == ["RED102"]
    assert codes(text) == []


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("# lint-reduction: ignore", "names no rule, so it silences nothing"),
        ("# lint-reduction: file-ignore", "names no rule, so it silences nothing"),
        ("# lint-reduction: ignore[]", "names no rule, so it silences nothing"),
        ("# lint-reduction: ignore[RED199]", "no rule 'RED199'; did you mean 'RED101'?"),
        ("# lint-reduction: ignore[unscaled-sums]", "no rule 'unscaled-sums'; did you mean 'unscaled-sum'?"),
        ("# noqa: RED199", "no rule 'RED199'; did you mean 'RED101'?"),
    ],
)
def test_comments_that_can_silence_nothing_are_reported(comment: str, message: str) -> None:
    (note,) = unused(program(top=f"x = 1  {comment}"))
    assert note.message == message


def test_prefixes_of_codes_silence_nothing() -> None:
    (note,) = unused(program(site="  # lint-reduction: ignore[RED1]"))
    assert note.message.startswith("no rule 'RED1'")


def test_a_file_that_cannot_be_parsed_cannot_be_silenced() -> None:
    assert codes("# lint-reduction: file-ignore[RED000]\nx = (\n") == ["RED000"]


def test_silenced_findings_are_counted() -> None:
    context = make_context(Settings(), Overrides())
    text = program(site=f"  {OWN}")
    assert lint_alone(text.encode(), "x.py", "/x.py", context)[0].suppressed == 1


@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="this interpreter reads the syntax, so there is nothing to guess"
)
def test_lines_are_taken_for_logical_ones_where_the_interpreter_is_too_old_for_the_syntax() -> None:
    newer = 'def f[T](x: T) -> str:\n    return f"{"a" + f"{x}"}"\n'
    assert codes(newer + program()) == ["RED101"]
    assert codes(newer + program(site=f"  {OWN}")) == []
    assert codes(newer + program(above=OWN)) == []


def test_a_comment_at_a_loss_that_another_module_trains_on_is_not_unused(tmp_path: Path) -> None:
    loss = 'import torch.nn.functional as F\ndef recon(a, b):\n    return F.mse_loss(a, b, reduction="sum")'
    (tmp_path / "losses.py").write_text(f"{loss}  # lint-reduction: ignore[RED101] as in the paper\n")
    assert not lint([tmp_path / "losses.py"], Overrides(isolated=True)).diagnostics
    (tmp_path / "other.py").write_text("x = 1  # lint-reduction: ignore[RED101]\n")
    assert [d.finding.code for d in lint([tmp_path / "other.py"], Overrides(isolated=True)).diagnostics] == ["RED001"]
