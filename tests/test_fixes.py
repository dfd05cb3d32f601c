"""Fixes: a bad program with its fixes is the program beside it; everything else in a file stays as it was."""

from __future__ import annotations

import codecs
import io
import json
import os
import stat
import tokenize
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lint_reduction import rules
from lint_reduction.config import Settings
from lint_reduction.errors import SourceError
from lint_reduction.facts import LossSite, Span
from lint_reduction.finding import Applicability, Edit, Finding, Fix
from lint_reduction.rules import all_rules
from lint_reduction.run import fixes
from lint_reduction.run.fixes import Fixed, edited, fix_bytes, fix_paths, write_file
from lint_reduction.run.pipeline import Overrides, lint_text, make_context
from tests.command import CLEAN, ERROR, ROOT, run
from tests.fixture_files import FIXED, FIXTURES, programs

PAIRS = sorted(path for path in FIXTURES.glob(f"*/*{FIXED}"))
#: A safe fix and an unsafe one, and a comment at each.
FLAGGED = ERROR.replace('reduction="sum"', "size_average=False").replace("criterion = ", "a = 'ö';  criterion = ")
SAFE = FLAGGED.replace("size_average=False", 'reduction="sum"')


def fixed_by(text: str, *select: str, unsafe: bool = False) -> str:
    """Return a text with the fixes of some rules, of all by default."""
    fixed = fix_bytes(text.encode(), "/nowhere/x.py", Overrides(select or ("ALL",), isolated=True), unsafe=unsafe)
    assert not fixed.withdrawn
    assert not fixed.report.crashes
    return fixed.content.decode()


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def code_of(path: Path) -> str:
    return next(rule.code for rule in all_rules() if rule.name == path.parent.name.replace("_", "-"))


def name_of(path: Path) -> str:
    return str(path.relative_to(FIXTURES))


@pytest.mark.parametrize("path", PAIRS, ids=name_of)
def test_bad_programs_are_fixed_as_written_beside_them(path: Path) -> None:
    bad = path.with_name(path.name.removesuffix(FIXED) + ".py").read_text()
    wanted = path.read_text()
    code = code_of(path)
    assert fixed_by(bad, code, unsafe=True) == wanted
    assert fixed_by(wanted, code, unsafe=True) == wanted
    left = lint_text(wanted, "x.py", "x.py", make_context(Settings(), Overrides(select=(code,)))).findings
    assert [finding for finding in left if finding.fix is not None] == []
    assert path.name != "bad.fixed.py" or not left


def test_a_rule_that_says_it_is_fixable_has_fixed_programs_and_no_other_has_fixes() -> None:
    fixable = {rule.code for rule in all_rules() if rule.fixable}
    assert {code_of(path) for path in PAIRS} == fixable
    assert fixable == {"RED101", "RED102", "RED201", "RED207", "RED301", "RED302", "RED303", "RED304"}
    context = make_context(Settings(), Overrides(select=("ALL",)))
    found = [f for path in programs() for f in lint_text(path.read_text(), "x.py", "x.py", context).findings]
    assert {finding.code for finding in found if finding.fix is not None} == fixable


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        ("nn.MSELoss(reduce=False)", 'nn.MSELoss(reduction="none")'),
        ("nn.MSELoss(size_average=False, reduce=False)", 'nn.MSELoss(reduction="none")'),
        ("nn.MSELoss(reduce=True, size_average=0)", 'nn.MSELoss(reduction="sum")'),
        ("nn.MSELoss( # why\n  False)", 'nn.MSELoss( # why\n  reduction="sum")'),
        ("nn.MSELoss(\n    size_average=False,\n)", 'nn.MSELoss(\n    reduction="sum",\n)'),
        ("nn.CrossEntropyLoss(w, True, 255)", 'nn.CrossEntropyLoss(w, reduction="mean", ignore_index=255)'),
        ("nn.CrossEntropyLoss(w, None, 7, False)", 'nn.CrossEntropyLoss(w, reduction="none", ignore_index=7)'),
        ("nn.SmoothL1Loss(None, False, beta=2)", 'nn.SmoothL1Loss(reduction="none", beta=2)'),
        ('nn.L1Loss(True, True, "mean")', 'nn.L1Loss(reduction="mean")'),
        ('nn.L1Loss(reduction="sum", size_average=False)', 'nn.L1Loss(reduction="sum")'),
        ('nn.BCELoss(reduction="MEAN")', 'nn.BCELoss(reduction="mean")'),
        ('F.mse_loss(a, b, None, None, "Sum")', 'F.mse_loss(a, b, None, None, "sum")'),
        ("F.nll_loss(a, b, size_average=False)", 'F.nll_loss(a, b, reduction="sum")'),
    ],
)
def test_safe_fixes_write_the_equal_reduction(call: str, wanted: str) -> None:
    head = "import torch.nn.functional as F\nfrom torch import nn\n"
    assert fixed_by(f"{head}loss = {call}  # kept\n", "RED3") == f"{head}loss = {wanted}  # kept\n"


@pytest.mark.parametrize(
    "call",
    [
        "nn.MSELoss(size_average=flag)",
        "nn.MSELoss(size_average=False, reduce=flag)",
        "nn.MSELoss(size_average=False, **options)",
        "nn.MSELoss(*options, size_average=False)",
        'nn.MSELoss(size_average=False, reduction="mean")',
        'F.kl_div(a, b, size_average=False, reduction="batchmean")',
        "functools.partial(nn.MSELoss, size_average=False)()",
        'nn.MSELoss(reduction="avg")',
        "nn.HuberLoss(0.5)",
        'nn.BCELoss("sum", False)',
    ],
)
def test_nothing_safe_is_offered_where_it_is_not_certain(call: str) -> None:
    text = f"import functools\nimport torch.nn.functional as F\nfrom torch import nn\nloss = {call}\n"
    assert fixed_by(text, "RED3") == text


def test_unsafe_fixes_are_applied_on_request_only() -> None:
    assert fixed_by(ERROR) == ERROR
    assert fixed_by(ERROR, unsafe=True) == CLEAN
    kl = "import torch\nfrom torch import nn\ndef f(p, q):\n    return nn.KLDivLoss({})(p.log_softmax(1), q)\n"
    assert fixed_by(kl.format(""), "RED201", unsafe=True) == kl.format('reduction="batchmean"')
    weighed = 'log_target=True, reduction="batchmean"'
    assert fixed_by(kl.format("log_target=True"), "RED201", unsafe=True) == kl.format(weighed)


def test_a_fix_that_shows_only_beside_other_modules_is_made_in_the_same_run(tmp_path: Path) -> None:
    for path in (FIXTURES / "unscaled_sum" / "project_annotated_base").glob("*.py"):
        (tmp_path / path.name).write_text(path.read_text().replace('reduction="sum"', 'reduction="Sum"'))
    model = tmp_path / "regressors.py"
    assert model.read_text().count('"Sum"') == 1
    arguments = ("--fix", "--unsafe-fixes", "--isolated", "--no-cache", tmp_path)
    first = run(*arguments)
    assert model.read_text().count('"mean"') == 1
    assert "Fixed 2 findings in 1 file." in first.err
    assert "Fixed" not in run(*arguments).err


# --- the rest of the file


def tokens(text: str) -> list[str]:
    return [token.string for token in tokenize.generate_tokens(io.StringIO(text).readline)]


@pytest.mark.parametrize(
    ("head", "newline", "encoding", "bom"),
    [
        ("", "\n", "utf-8", b""),
        ("", "\r\n", "utf-8", b""),
        ("", "\r\n", "utf-8", codecs.BOM_UTF8),
        ("# coding: latin-1\n", "\r\n", "latin-1", b""),
        ("# -*- coding: cp1252 -*-\n", "\n", "cp1252", b""),
        ("# 数\t\x0c\n", "\r", "utf-8", b""),
    ],
)
def test_only_the_edited_spans_change(tmp_path: Path, head: str, newline: str, encoding: str, bom: bytes) -> None:
    def write(text: str) -> bytes:
        return bom + (head + text).rstrip("\n").replace("\n", newline).encode(encoding)

    path = tmp_path / "x.py"
    path.write_bytes(write(FLAGGED))
    path.chmod(0o751)
    assert run("--fix", "--isolated", path).code == 1
    assert path.read_bytes() == write(SAFE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o751
    assert names_in(tmp_path) == ["x.py"]
    changed = [pair for pair in zip(tokens(FLAGGED), tokens(SAFE), strict=True) if pair[0] != pair[1]]
    assert changed == [("size_average", "reduction"), ("False", '"sum"')]
    run("--fix", "--isolated", path)
    assert path.read_bytes() == write(SAFE)


def test_edits_count_characters_and_any_line_ending() -> None:
    text = "ä = 1\r\nb = '数', 2\rc"
    edits = [Edit(Span(2, 10, 2, 11), "3"), Edit(Span(1, 1, 1, 2), "a"), Edit(Span(3, 2, 3, 2), "!")]
    assert edited(text, edits) == "a = 1\r\nb = '数', 3\rc!"


# --- writing


@pytest.fixture
def flagged(tmp_path: Path) -> Path:
    path = tmp_path / "x.py"
    path.write_text(FLAGGED)
    return path


def fix(path: Path) -> Fixed:
    return fix_paths([path], Overrides(isolated=True))


def test_a_file_is_replaced_at_once_or_stays(flagged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: str, target: Path) -> None:
        assert Path(source).read_text() == SAFE
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    ran = run("--fix", "--isolated", flagged)
    assert (ran.code, ran.err) == (2, f"lint-reduction: {flagged}: not fixed: no space left on device\n")
    assert flagged.read_text() == FLAGGED
    assert names_in(flagged.parent) == ["x.py"]


def test_a_file_that_changed_meanwhile_is_left_alone(flagged: Path) -> None:
    fixed = fix(flagged)
    flagged.write_text(CLEAN)
    with pytest.raises(SourceError, match="changed while it was being fixed"):
        write_file(fixed.files[0])
    assert flagged.read_text() == CLEAN


def test_a_link_stays_one(flagged: Path) -> None:
    link = flagged.with_name("link.py")
    link.symlink_to(flagged)
    run("--fix", "--isolated", link)
    assert link.is_symlink()
    assert flagged.read_text() == SAFE


def test_files_that_were_not_named_are_not_fixed(tmp_path: Path) -> None:
    losses, train = tmp_path / "losses.py", tmp_path / "train.py"
    losses.write_text('from torch import nn\n\n\ndef make():\n    return nn.MSELoss(reduction="sum")\n')
    text = ERROR.replace('nn.MSELoss(reduction="sum")', "make()").replace("import torch\n", "from losses import make\n")
    train.write_text(text.replace("from losses import make\n", "import torch\nfrom losses import make\n", 1))
    before = losses.read_text()
    options = "--fix", "--unsafe-fixes", "--isolated", "--output-format", "concise"
    ran = run(*options, train)
    assert "losses.py:5:12: RED101" in ran.out
    assert (ran.code, losses.read_text()) == (1, before)
    assert run(*options, tmp_path).code == 0
    assert losses.read_text() == before.replace('"sum"', '"mean"')


# --- fixes that do not hold


def with_fix(monkeypatch: pytest.MonkeyPatch, edit: Edit) -> None:
    """Make RED301 offer one edit as its fix."""
    rule = next(rule for rule in all_rules() if rule.code == "RED301")

    def check(site: LossSite) -> Iterator[Finding]:
        assert rule.check_site is not None
        for finding in rule.check_site(site):
            yield replace(finding, fix=Fix("Break it", (edit,), Applicability.SAFE))

    changed = tuple(replace(r, check_site=check) if r is rule else r for r in all_rules())
    monkeypatch.setattr("lint_reduction.run.selection.all_rules", lambda: changed)
    assert rules.all_rules() != changed


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (Edit(Span(1, 1, 1, 1), "("), "the result cannot be parsed"),
        (Edit(Span(1, 1, 1, 1), "\n"), "the finding stays"),
        (Edit(Span(5, 15, 6, 23), 'reduction="sum"'), "a comment would be lost"),
    ],
)
def test_a_fix_that_does_not_hold_is_withdrawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edit: Edit, reason: str
) -> None:
    text = "from torch import nn\n\nother = 1\n\na = nn.L1Loss(  # why\n    size_average=False)\n"
    with_fix(monkeypatch, edit)
    path = tmp_path / "x.py"
    path.write_text(text)
    ran = run("--fix", "--isolated", "--select", "RED301", path)
    assert ran.err == f"{path}:5:5: the fix of RED301 is withdrawn: {reason}\n"
    assert path.read_text() == text
    assert ran.code == 0  # what is left is a note


def test_no_quotes_are_put_into_a_formatted_string(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    text = 'from torch import nn\na = f"{nn.L1Loss(reduce=False)}", nn.L1Loss(reduce=False)\n'
    path.write_text(text)
    assert "is withdrawn: " in run("--fix", "--isolated", path).err
    assert path.read_text().startswith('from torch import nn\na = f"{nn.L1Loss(reduce=False)}", ')


def test_a_fix_that_does_not_hold_does_not_keep_the_others_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_fix(monkeypatch, Edit(Span(1, 1, 1, 1), "("))
    path = tmp_path / "x.py"
    path.write_text('from torch import nn\na = nn.L1Loss(size_average=True)\nb = nn.L1Loss(reduction="Mean")\n')
    assert run("--fix", "--isolated", path).code == 0
    assert path.read_text().endswith('size_average=True)\nb = nn.L1Loss(reduction="mean")\n')


def test_a_fix_that_opens_the_way_to_another_does_not_keep_the_others_back() -> None:
    head = "import torch\nfrom torch import nn\n\nmodel = nn.Linear(2, 2)\n"
    head += "optimizer = torch.optim.SGD(model.parameters())\n"
    step = "    nn.L1Loss({})(model(x), y).backward()\n    optimizer.step()\n"
    body = "for x, y in loader:\n" + step.format('reduction="{0}"') * fixes.MAX_ROUNDS
    written = fixed_by(head + body.format("sum") + step.format('"sum"'), unsafe=True)
    assert written == head + body.format("mean") + step.format('reduction="mean"')


def test_a_sum_in_a_file_without_losses_of_its_own_is_fixed(tmp_path: Path) -> None:
    (tmp_path / "rewards.py").write_text("def total(values):\n    return values.sum()\n")
    (tmp_path / "train.py").write_text(
        "import torch\nfrom torch import nn\nfrom rewards import total\n\nmodel = nn.Linear(2, 2)\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "for x, y in torch.utils.data.DataLoader(data, 8):\n"
        "    loss = total(nn.functional.mse_loss(model(x), y, reduction='none'))\n"
        "    loss.backward()\n    optimizer.step()\n"
    )
    assert "    return values.sum()\n" in run("--isolated", "--select", "RED102", tmp_path).out
    assert run("--fix", "--unsafe-fixes", "--isolated", "--select", "RED102", tmp_path).code == 0
    assert (tmp_path / "rewards.py").read_text() == "def total(values):\n    return values.mean()\n"


def test_a_circle_of_fixes_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = []
    monkeypatch.setattr(fixes, "_repair", lambda *args: rounds.append(args))
    fixed = fix_bytes(FLAGGED.encode(), "/nowhere/x.py", Overrides(isolated=True))
    assert len(rounds) == fixes.MAX_ROUNDS
    assert fixed.content.decode() == FLAGGED


# --- the command


def test_a_difference_is_printed_and_nothing_is_written(flagged: Path) -> None:
    ran = run("--diff", "--isolated", flagged)
    assert (ran.code, ran.err) == (1, "")
    assert ran.out.startswith(f"--- {flagged}\n+++ {flagged}\n@@ -4,7 +4,7 @@\n")
    assert "\n-    a = 'ö';  criterion = nn.MSELoss(size_average=False)\n+    a = 'ö';  criterion = nn" in ran.out
    assert flagged.read_text() == FLAGGED
    flagged.write_text(ERROR)
    assert run("--diff", "--isolated", flagged) == run("--diff", "--fix", "--isolated", flagged)
    assert (run("--diff", "--isolated", flagged).code, run("--diff", "--isolated", flagged).out) == (0, "")
    assert run("--diff", "--unsafe-fixes", "--isolated", flagged).code == 1


def test_what_is_left_decides_the_exit_status(flagged: Path) -> None:
    ran = run("--fix", "--isolated", flagged)
    assert (ran.code, ran.err) == (1, "Fixed 1 finding in 1 file.\n")
    assert "RED101" in ran.out
    ran = run("--fix", "--unsafe-fixes", "--isolated", flagged)
    assert (ran.code, ran.err) == (0, "Fixed 1 finding in 1 file.\n")
    assert ran.out == "All checks passed!\n"
    flagged.write_text(FLAGGED)
    strict = "--fix", "--unsafe-fixes", "--exit-non-zero-on-fix", "--isolated", flagged
    assert [run(*strict).code, run(*strict).code] == [1, 0]


def test_code_from_standard_input_is_printed_fixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    crlf = codecs.BOM_UTF8 + FLAGGED.replace("\n", "\r\n").encode()
    ran = run("--fix", "--isolated", "-", stdin=crlf)
    assert ran.out.encode() == codecs.BOM_UTF8 + SAFE.replace("\n", "\r\n").encode()
    assert "RED101" in ran.err
    assert ran.code == 1
    assert run("--fix", "--isolated", "-", stdin=b"x = (\n").out == "x = (\n"
    assert run("--diff", "--isolated", "--stdin-filename", "a.py", stdin=crlf).out.startswith("--- a.py\n")
    assert names_in(tmp_path) == []


def test_broken_and_missing_files_are_said_so(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text("x = (\n")
    assert run("--fix", path).code == 1
    assert run("--diff", path).code == 1
    assert path.read_text() == "x = (\n"
    ran = run("--fix", tmp_path / "gone.py")
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1


def test_what_can_be_fixed_is_marked(flagged: Path) -> None:
    concise = "--isolated", "--output-format", "concise", flagged
    ran = run(*concise)
    assert "RED301 [*] size_average" in ran.out
    assert "RED101 gradient" in ran.out
    assert ran.out.endswith("[*] 1 fixable with --fix (1 hidden fix can be enabled with --unsafe-fixes).\n")
    ran = run("--unsafe-fixes", *concise)
    assert "RED101 [*] gradient" in ran.out
    assert ran.out.endswith("[*] 2 fixable with --fix --unsafe-fixes.\n")
    full = run("--isolated", flagged).out
    assert '= fix: [*] Write reduction="sum" (safe)\n' in full
    assert '= fix: Write reduction="mean" (unsafe)\n' in full
    found = json.loads(run("--isolated", "--output-format", "json", flagged).out)["diagnostics"]
    fix = next(entry["fix"] for entry in found if entry["code"] == "RED301")
    assert (fix["applicability"], fix["title"]) == ("safe", 'Write reduction="sum"')
    assert fix["edits"] == [
        {"line": 7, "column": 38, "end_line": 7, "end_column": 56, "replacement": 'reduction="sum"'}
    ]


def test_suppressed_findings_are_not_fixed(flagged: Path) -> None:
    silenced = FLAGGED.replace("=False)", "=False)  # lint-reduction: ignore[RED301, RED101]")
    flagged.write_text(silenced)
    assert run("--fix", "--unsafe-fixes", "--isolated", flagged).code == 0
    assert flagged.read_text() == silenced


def test_the_hook_fixes() -> None:
    hooks = (ROOT / ".pre-commit-hooks.yaml").read_text()
    assert "- id: lint-reduction-fix\n" in hooks
    assert "entry: lint-reduction check --force-exclude --fix --exit-non-zero-on-fix\n" in hooks
