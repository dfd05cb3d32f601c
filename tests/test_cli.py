"""The command: what it accepts, what it prints where, and with which status it ends."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pty
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lint_reduction import __version__, lint_paths, lint_source
from lint_reduction.errors import ConfigError
from lint_reduction.formats import format_names
from lint_reduction.frontends import progress
from lint_reduction.frontends.options import FORMATS
from lint_reduction.rules import all_rules
from lint_reduction.run import judge
from lint_reduction.source.suppressions import find_suppressions
from tests.command import CLEAN, ERROR, NOTE, ROOT, WARNING, Ran, run, run_apart
from tests.fixture_files import FIXTURES

BROKEN = "x = (\n"
BAD = "fixtures/unscaled_sum"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(root: Path, **files: str) -> None:
    """Write files, named without their ending."""
    for name, text in files.items():
        (root / f"{name}.py").write_text(text)


def found(ran: Ran) -> list[str]:
    """Return the codes in the concise format, in order."""
    return re.findall(r"^\S+:\d+:\d+: (RED\d{3}) ", ran.out, flags=re.MULTILINE)


def check(*arguments: str | Path) -> Ran:
    return run(*arguments, "--output-format", "concise")


def is_usage_error(ran: Ran) -> bool:
    """Say whether a run ended as one that is called wrongly: one line on stderr."""
    return ran.code == 2 and ran.out == "" and ran.err.startswith("lint-reduction: ") and ran.err.count("\n") == 1


# How it is called.


def test_the_command_can_be_left_out(project: Path) -> None:
    write(project, a=ERROR)
    assert run("a.py") == run("check", "a.py")
    assert run("--statistics", "a.py") == run("check", "--statistics", "a.py") == run("a.py", "--statistics")
    assert run("a.py").code == 1


def test_without_paths_the_current_directory_is_linted(project: Path) -> None:
    write(project, a=ERROR)
    assert run("check") == run(".")
    assert run("check", "--select", "RED101").out == run("--select", "RED101").out == run(".").out


def test_without_any_argument_there_is_help() -> None:
    ran = run()
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Usage: ")
    assert ran.out == run("--help").out == run("-h").out


@pytest.mark.parametrize("command", ["check", "explain", "rules", "facts"])
def test_every_command_has_help(command: str) -> None:
    ran = run(command, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Usage: ")
    assert run(command, "-h").out == ran.out


def test_version() -> None:
    for option in ("--version", "-V"):
        assert run(option) == Ran(0, f"lint-reduction, version {__version__}\n", "")


def test_it_runs_as_a_module_and_as_a_script(project: Path) -> None:
    write(project, a=ERROR)
    wanted = run("a.py")
    assert run_apart("a.py", cwd=project) == wanted
    script = Path(sys.executable).with_name("lint-reduction")
    if script.exists():
        ran = subprocess.run([script, "a.py"], cwd=project, capture_output=True, text=True, check=False)
        assert Ran(ran.returncode, ran.stdout, ran.stderr) == wanted


@pytest.mark.parametrize(
    "arguments",
    [
        ("--no-such-option",),
        ("--selec", "RED101"),
        ("--select",),
        ("--output-format", "yaml"),
        ("--min-confidence", "sure"),
        ("--config",),
        ("--config", "nowhere.toml"),
        ("nowhere",),
        ("a.py", "nowhere.py"),
        ("a.py", "-"),
        ("a.py", "--stdin-filename", "b.py"),
        ("",),
        ("--select", "RED999"),
        ("--ignore", "nope"),
        ("--extend-select", "E501"),
        ("explain",),
        ("explain", "RED999"),
        ("explain", "RED101", "RED102"),
        ("facts",),
        ("facts", "nowhere.py"),
        ("facts", "."),
        ("rules", "RED101"),
    ],
)
def test_what_is_called_wrongly_ends_with_one_line_and_status_2(project: Path, arguments: tuple[str, ...]) -> None:
    write(project, a=ERROR)
    assert is_usage_error(run(*arguments))
    if arguments[0] not in ("explain", "facts", "rules"):
        assert is_usage_error(run(*arguments, "--exit-zero"))


def test_a_bad_choice_in_the_environment_is_a_usage_error(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, a=ERROR)
    monkeypatch.setenv("LINT_REDUCTION_OUTPUT_FORMAT", "yaml")
    assert is_usage_error(run("a.py"))
    monkeypatch.setenv("LINT_REDUCTION_OUTPUT_FORMAT", "concise")
    assert run("a.py").out.startswith("a.py:7:17: RED101 ")


@pytest.mark.parametrize(
    ("selector", "near"),
    [
        ("RED1O1", "RED101"),
        ("RED199", "RED101"),
        ("red319", "RED301"),
        ("unscaled_sum", "unscaled-sum"),
        ("unscaled-sums", "unscaled-sum"),
        ("KL-DIV-MAEN", "kl-div-mean"),
        ("RED1011", "RED101"),
    ],
)
def test_an_unknown_rule_is_named_with_the_nearest_known_one(project: Path, selector: str, near: str) -> None:
    for arguments in (("--select", selector), ("--ignore", f"RED101,{selector}"), ("explain", selector)):
        ran = run(*arguments)
        assert is_usage_error(ran)
        assert ran.err == f"lint-reduction: no rule {selector!r}; did you mean {near!r}?\n"


# Which rules run.

SEVERAL = ERROR + 'a = nn.MSELoss(reduction="summ")\nb = nn.MSELoss(size_average=False)\n'


@pytest.mark.parametrize(
    ("arguments", "codes"),
    [
        ((), ["RED101", "RED303", "RED301"]),
        (("--select", "RED101"), ["RED101"]),
        (("--select", "red101"), ["RED101"]),
        (("--select", "unscaled-sum"), ["RED101"]),
        (("--select", "RED3"), ["RED303", "RED301"]),
        (("--select", "RED30"), ["RED303", "RED301"]),
        (("--select", "RED101,RED303"), ["RED101", "RED303"]),
        (("--select", " RED101 , RED303 ,"), ["RED101", "RED303"]),
        (("--select", "RED101", "--select", "RED303"), ["RED101", "RED303"]),
        (("--select", "RED"), ["RED101", "RED303", "RED301"]),
        (("--select", "ALL"), ["RED101", "RED303", "RED301"]),
        (("--select", "all", "--ignore", "RED1"), ["RED303", "RED301"]),
        (("--ignore", "RED3"), ["RED101"]),
        (("--ignore", "invalid-reduction,RED101"), ["RED301"]),
        (("--select", "RED101", "--extend-select", "RED301"), ["RED101", "RED301"]),
        (("--extend-select", "RED305"), ["RED101", "RED303", "RED301"]),
        (("--select", "RED101", "--ignore", "RED101"), []),
        (("--select", "RED121"), []),
    ],
)
def test_rules_are_chosen_by_code_prefix_and_name(project: Path, arguments: tuple[str, ...], codes: list[str]) -> None:
    write(project, a=SEVERAL)
    ran = check("a.py", *arguments)
    assert found(ran) == codes
    assert ran.err == ""


def test_every_rule_can_be_selected_by_code_and_name(project: Path) -> None:
    for rule in all_rules():
        path = FIXTURES / rule.name.replace("-", "_") / "bad.py"
        by_code, by_name = check(path, "--select", rule.code), check(path, "--select", rule.name)
        assert by_code == by_name
        assert set(found(by_code)) == {rule.code}
        assert found(check(path, "--ignore", rule.code)) == found(check(path, "--ignore", rule.name))
        assert rule.code not in found(check(path, "--ignore", rule.code))


def test_a_rule_that_is_named_reports_however_unsure_it_is(project: Path) -> None:
    write(project, a="import torch\n\n\ndef f(x, y):\n    loss = ((x - y) ** 2).sum()\n    loss.backward()\n")
    assert found(check("a.py")) == found(check("a.py", "--select", "RED1")) == []
    assert found(check("a.py", "--select", "RED102")) == found(check("a.py", "--min-confidence", "low")) == ["RED102"]


# The status.


@pytest.mark.parametrize(
    ("text", "code"),
    [(ERROR, 1), (WARNING, 1), (NOTE, 0), (CLEAN, 0), (BROKEN, 1), ("", 0), ("x = 1  # noqa: RED101\n", 0)],
)
@pytest.mark.parametrize("output_format", format_names())
def test_the_status_says_whether_something_was_found(project: Path, text: str, code: int, output_format: str) -> None:
    write(project, a=text)
    for arguments in ((), ("--statistics",)):
        ran = run("a.py", "--output-format", output_format, *arguments)
        assert (ran.code, ran.err) == (code, "")
        assert run("a.py", "--output-format", output_format, *arguments, "--exit-zero").code == 0
        assert run("a.py", "--output-format", output_format, *arguments, "-e").out == ran.out


def test_a_silenced_finding_does_not_count(project: Path) -> None:
    write(project, a=ERROR.replace('"sum")\n', '"sum")  # noqa: RED101\n'))
    assert run("a.py") == Ran(0, "All checks passed! (1 suppressed)\n", "")


def test_a_file_that_cannot_be_analyzed_is_never_green_whatever_is_selected(project: Path) -> None:
    write(project, a=BROKEN)
    for arguments in (
        ("--select", "RED101"),
        ("--ignore", "RED000"),
        ("--ignore", "ALL"),
        ("--min-confidence", "high"),
    ):
        ran = check("a.py", *arguments)
        assert (ran.code, found(ran)) == (1, ["RED000"])


def test_one_bad_file_does_not_stop_the_others(project: Path) -> None:
    write(project, a=BROKEN, b=ERROR, c=CLEAN)
    ran = check("a.py", "b.py", "c.py")
    assert (ran.code, found(ran)) == (1, ["RED000", "RED101"])
    assert ran.out.startswith("a.py:1:5: RED000 '(' was never closed\n")


def test_a_bug_takes_no_finding_in_another_file_with_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, a=ERROR, b=ERROR)
    seen: list[str] = []

    def fails_once(text: str) -> object:
        seen.append(text)
        return find_suppressions(text) if len(seen) > 1 else 1 / 0

    monkeypatch.setattr(judge, "find_suppressions", fails_once)
    ran = check(".")
    assert ran.code == 2
    assert ran.out.startswith("b.py:7:17: RED101")
    assert "internal error in a.py" in ran.err
    assert "ZeroDivisionError" in ran.err
    assert "This is a bug in lint-reduction; please report it." in ran.err
    seen.clear()
    assert check(".", "--exit-zero").code == 2


# What is printed.


def test_the_concise_format(project: Path) -> None:
    write(project, a=SEVERAL, clean=CLEAN)
    ran = check(".")
    *lines, summary = ran.out.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert re.fullmatch(r"a\.py:\d+:\d+: RED\d{3} (\[\*\] )?[^\s\[].*", line)
    assert lines[0].startswith("a.py:7:17: RED101 gradient grows as samples * elements: ")
    assert summary.startswith("Found ")
    assert run("clean.py", "--output-format", "concise").out == "All checks passed!\n"


def test_the_json_format(project: Path) -> None:
    write(project, a=ERROR, broken=BROKEN, clean=CLEAN)
    ran = run(".", "broken.py", "--output-format", "json")
    document = json.loads(ran.out)
    assert list(document) == ["schema_version", "tool", "summary", "notes", "diagnostics"]
    assert document["schema_version"] == 1
    assert document["tool"] == {"name": "lint-reduction", "version": __version__}
    assert document["summary"] == {
        "files": 3, "analyzed": 2, "unparsed": 1, "suppressed": 0, "baselined": 0, "error": 2, "warning": 0, "note": 0,
    }  # fmt: skip
    first, second = document["diagnostics"]
    keys = (
        "code name severity confidence message advice path repository_path absolute_path cell fingerprint function "
        "line column end_line end_column growth related fix verdict"
    )
    assert list(first) == list(second) == keys.split()
    message = first.pop("message")
    assert message.startswith("gradient grows as samples * elements")
    assert first.pop("fingerprint") != second["fingerprint"]
    assert first.pop("advice").endswith(".")
    related = first.pop("related")
    edit = {"line": 7, "column": 28, "end_line": 7, "end_column": 43, "replacement": 'reduction="mean"'}
    assert first.pop("fix") == {"applicability": "unsafe", "title": 'Write reduction="mean"', "edits": [edit]}
    assert first == {
        "code": "RED101",
        "name": "unscaled-sum",
        "severity": "error",
        "confidence": "high",
        "path": "a.py",
        "repository_path": "a.py",
        "absolute_path": str(project / "a.py"),
        "cell": None,
        "function": "train",
        "line": 7,
        "column": 17,
        "end_line": 7,
        "end_column": 44,
        "growth": "samples * elements",
        "verdict": None,
    }
    assert {tuple(place) for place in related} == {("role", "path", "cell", "line", "column", "end_line", "end_column")}
    assert [(r["role"], r["path"], r["line"], r["column"]) for r in related if r["role"] != "learning rate"] == [
        ("backward", "a.py", 12, 9),
        ("optimizer", "a.py", 8, 17),
    ]
    assert (second["code"], second["growth"], second["related"], second["fix"]) == ("RED000", None, [], None)


def test_json_of_a_clean_run_is_complete(project: Path) -> None:
    write(project, clean=CLEAN)
    document = json.loads(run("clean.py", "--output-format", "json").out)
    assert document["diagnostics"] == []
    assert document["summary"]["analyzed"] == 1


def test_the_full_format_shows_the_path_of_the_loss_its_growth_and_advice(project: Path) -> None:
    write(project, a=ERROR)
    out = run("a.py").out
    head, place = out.splitlines()[:2]
    assert head.startswith("error[RED101] unscaled-sum: gradient grows as samples * elements")
    assert place.strip() == "--> a.py:7:17"
    assert ' 7 |     criterion = nn.MSELoss(reduction="sum")\n' in out
    assert "   |                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^\n" in out
    assert "12 |         loss.backward()\n   |         --------------- backward\n" in out
    assert "--- optimizer\n" in out
    assert "= growth: samples * elements\n" in out
    assert "= confidence: high\n" in out
    (advice,) = re.findall(r"= help: (.*)\n", out)
    assert advice.endswith(".")
    assert out.endswith("\nFound 1 error. No safe fix (1 hidden fix can be enabled with --unsafe-fixes).\n")


def test_the_learning_rate_is_on_the_path_where_it_follows_the_batch(project: Path) -> None:
    write(project, a=ERROR.replace("lr=0.1", "lr=0.1 * 32"))
    assert "--- learning rate\n" in run("a.py").out


def test_a_line_of_any_length_is_shown_around_the_finding(project: Path) -> None:
    padding = "a = 1; " * 5000
    write(project, a=ERROR.replace("    criterion", f"    {padding}criterion").replace('"sum")', f'"sum"); {padding}'))
    out = run("a.py").out
    assert max(map(len, out.splitlines())) < 300
    source, marks = out.splitlines()[3:5]
    assert marks.index("^") == source.index("nn.MSELoss")


def test_statistics(project: Path) -> None:
    write(project, a=SEVERAL, b=ERROR, clean=CLEAN)
    ran = run(".", "--statistics")
    assert ran == Ran(
        1, "2  RED101  unscaled-sum\n1  RED301  deprecated-size-average\n1  RED303  invalid-reduction\n", ""
    )
    assert run("clean.py", "--statistics") == Ran(0, "", "")


def test_statistics_as_json(project: Path) -> None:
    write(project, a=SEVERAL, b=ERROR, clean=CLEAN)
    ran = run(".", "--statistics", "--output-format", "json")
    assert (ran.code, ran.err) == (1, "")
    rows = json.loads(ran.out)
    assert rows[0] == {"code": "RED101", "name": "unscaled-sum", "count": 2, "fixable": False, "fixable_count": 0}
    assert [row["code"] for row in rows] == ["RED101", "RED301", "RED303"]
    assert (
        json.loads(run(".", "--statistics", "--output-format", "json", "--unsafe-fixes").out)[0]["fixable_count"] == 2
    )
    assert json.loads(run("clean.py", "--statistics", "--output-format", "json").out) == []
    assert run(".", "--statistics", "--output-format", "concise") == run(".", "--statistics")


def test_standard_input_and_paths_exclude_each_other(project: Path) -> None:
    write(project, a=ERROR)
    ran = run("--stdin-filename", "x.py", "a.py")
    assert ran.err == "lint-reduction: --stdin-filename names code from standard input; leave the paths out\n"
    assert "cannot be linted together with files" in run("-", "a.py").err


def test_an_unknown_rule_that_is_like_none_is_not_likened_to_one(project: Path) -> None:
    for arguments in (("--select", "xyz"), ("explain", "xyz")):
        assert run(*arguments).err == "lint-reduction: no rule 'xyz'; `lint-reduction rules` lists them\n"


def test_a_place_is_shown_once(project: Path) -> None:
    text = ERROR.replace("criterion(model(x), y)", "criterion(model(x), y) + nn.functional.l1_loss(model(x), y)")
    write(project, a=text)
    report = json.loads(run("a.py", "--output-format", "json", "--select", "RED105").out)
    places = [(r["role"], r["line"], r["column"]) for r in report["diagnostics"][0]["related"]]
    assert len(places) == len(set(places)) > 2


def test_the_optimizer_that_a_trainer_has_by_default_has_no_place(project: Path) -> None:
    text = """\
import transformers
from torch import nn


class Trainer(transformers.Trainer):
    def compute_loss(self, model, inputs, return_outputs=False):
        return nn.functional.mse_loss(model(inputs["x"]), inputs["y"], reduction="sum")
"""
    write(project, a=text)
    report = json.loads(run("a.py", "--output-format", "json").out)
    related = [d["related"] for d in report["diagnostics"] if d["code"] == "RED101"]
    assert [[r["role"] for r in places] for places in related] == [["return"]]


def test_the_order_of_the_arguments_does_not_matter(project: Path) -> None:
    write(project, a=SEVERAL, b=ERROR, c=BROKEN)
    (project / "sub").mkdir()
    write(project / "sub", a=ERROR)
    for output_format in format_names():
        orders = list(itertools.permutations(["a.py", "b.py", "c.py", "sub", "sub/a.py"]))
        wanted = run("a.py", "b.py", "c.py", "sub/a.py", "--output-format", output_format).out
        for order in random.Random(0).sample(orders, 10):
            assert run(*order, "--output-format", output_format).out == wanted


def test_findings_are_sorted_by_path_line_column_and_code(project: Path) -> None:
    write(project, b=SEVERAL + SEVERAL.replace("def train", "def train_more"), a=SEVERAL)
    places = [line.split(":")[:3] for line in check(".").out.splitlines()[:-1]]
    keys = [(path, int(line), int(column)) for path, line, column in places]
    assert keys == sorted(keys)
    assert len(keys) == 9


@pytest.mark.parametrize("arguments", [("-",), ("-", "--stdin-filename", "x/y.py"), ("--stdin-filename", "x/y.py")])
def test_code_from_standard_input(project: Path, arguments: tuple[str, ...]) -> None:
    shown = arguments[-1] if len(arguments) > 1 else "<stdin>"
    ran = run(*arguments, "--output-format", "concise", stdin=ERROR.encode())
    assert ran.code == 1
    assert ran.out.startswith(f"{shown}:7:17: RED101 ")
    assert run(*arguments, stdin=CLEAN.encode()) == Ran(0, "All checks passed!\n", "")
    assert run(*arguments, stdin=b"") == Ran(0, "All checks passed!\n", "")
    assert check(*arguments).code == 0
    broken = run(*arguments, "--output-format", "concise", stdin=BROKEN.encode())
    assert (broken.code, found(broken)) == (1, ["RED000"])
    binary = run(*arguments, "--output-format", "json", stdin=bytes(range(256)))
    assert (binary.code, binary.err) == (1, "")


def test_standard_input_of_a_process(project: Path) -> None:
    ran = run_apart("-", "--stdin-filename", "new.py", cwd=project, stdin=ERROR.encode())
    assert ran == run("-", "--stdin-filename", "new.py", stdin=ERROR.encode())


# Colors, streams and signals.


def test_colors_only_where_they_are_wanted(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, a=ERROR)
    commands: list[tuple[str, ...]] = [("a.py",), ("a.py", "--output-format", "concise"), ("explain", "RED101")]
    for command in commands:
        plain = run(*command).out
        assert "\033" not in plain
        monkeypatch.setenv("FORCE_COLOR", "1")
        assert "\033[" in run(*command).out
        assert run(*command, "--no-color").out == plain
        monkeypatch.setenv("NO_COLOR", "1")
        assert run(*command).out == plain
        monkeypatch.setenv("NO_COLOR", "")
        assert "\033[" in run(*command).out
        monkeypatch.delenv("NO_COLOR")
        monkeypatch.delenv("FORCE_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\033" not in run("a.py", "--output-format", "json").out


def test_colors_change_nothing_but_the_colors(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, a=SEVERAL)
    plain = run("a.py").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert re.sub(r"\033\[[0-9;]*m", "", run("a.py").out) == plain


def on_terminal(code: str, cwd: Path, *arguments: str) -> tuple[str, str]:
    """Run Python code whose stderr is a terminal; return its stdout and what the terminal got."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=follower
    )
    os.close(follower)
    out, _ = process.communicate(timeout=60)
    got = b""
    with contextlib.suppress(OSError):  # the end of a terminal that nobody has open any more
        while chunk := os.read(leader, 4096):
            got += chunk
    os.close(leader)
    return out.decode(), got.decode()


def test_progress_is_shown_on_the_terminal_of_stderr_and_only_there(project: Path) -> None:
    for index in range(20):
        write(project, **{f"a{index:02}": ERROR})
    slow = "from lint_reduction.frontends import cli, progress; progress.AFTER = 0.0; cli.main()"
    quick = "from lint_reduction.frontends import cli, progress; progress.AFTER = 1e9; cli.main()"
    wanted = check(".").out
    out, terminal = on_terminal(slow, project, ".", "--output-format", "concise", "--no-cache")
    assert out == wanted
    assert "linting" in terminal
    assert "/20" in terminal
    out, terminal = on_terminal(quick, project, ".", "--output-format", "concise")
    assert (out, terminal) == (wanted, "")


def test_progress_is_not_shown_where_stderr_is_no_terminal(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, a=ERROR)
    monkeypatch.setattr(progress, "AFTER", 0.0)
    assert check(".").err == ""


@pytest.mark.parametrize("arguments", [(BAD,), (BAD, "--output-format", "json"), ("explain", "RED101"), ("rules",)])
def test_a_reader_that_goes_away_ends_the_run_quietly(arguments: tuple[str, ...]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "lint_reduction", *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) in (0, 1)


def test_output_to_head(project: Path) -> None:
    write(project, **{f"a{index}": SEVERAL for index in range(3)})
    script = f"{sys.executable} -m lint_reduction . --output-format concise | head -1"
    ran = subprocess.run(
        ["sh", "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert ran.stderr == ""
    assert ran.stdout.startswith("a0.py:7:17: RED101")
    assert ran.stdout.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk to write to")
@pytest.mark.parametrize("arguments", [("a.py",), ("rules",), ("--help",)])
def test_output_that_cannot_be_written_is_one_line_and_status_2(project: Path, arguments: tuple[str, ...]) -> None:
    write(project, a=CLEAN)
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "lint_reduction", *arguments], env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=full, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert ran.returncode == 2
    assert ran.stderr == b"lint-reduction: no space left on device\n"


@pytest.mark.parametrize(("closed", "code"), [("<&-", 2), (">&-", 1), ("2>&-", 1)])
def test_streams_that_are_closed(project: Path, closed: str, code: int) -> None:
    write(project, a=ERROR)
    path = "-" if closed == "<&-" else "a.py"
    command = f"{sys.executable} -m lint_reduction {path} {closed}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(["sh", "-c", command], cwd=project, env=environment, capture_output=True, check=False)
    assert ran.returncode == code
    assert ran.stderr == (b"lint-reduction: standard input is closed\n" if closed == "<&-" else b"")


def test_an_interrupt_ends_the_run_without_a_traceback(project: Path) -> None:
    slow = (
        "import time, sys; from lint_reduction.run import executors; from lint_reduction.frontends.cli import main\n"
        "def wait(*_): print('ready', file=sys.stderr, flush=True); time.sleep(30)\n"
        "executors.lint_one = wait; sys.argv[1:] = ['.']; main()"
    )
    write(project, a=ERROR)
    process = subprocess.Popen(
        [sys.executable, "-c", slow], env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=project,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    assert process.stderr.readline() == b"ready\n"
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert (out, err.strip()) == (b"", b"")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_output_in_an_encoding_that_lacks_a_character(project: Path, encoding: str) -> None:
    write(project, a=ERROR.replace('"sum")', '"sum")  # ü 日本 🎉'))
    ran = subprocess.run(
        [sys.executable, "-m", "lint_reduction", "a.py"], cwd=project, capture_output=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (1, b"")
    assert 'nn.MSELoss(reduction="sum")  # ' in ran.stdout.decode(encoding)


# Time and imports.


def imported(*arguments: str | Path, cwd: Path = ROOT, stdin: bytes = b"") -> tuple[Ran, set[str]]:
    """Run the command apart and return the top-level packages that it imported as well."""
    code = (
        "import sys, atexit; from lint_reduction.frontends.cli import main\n"
        "atexit.register(lambda: print(*sorted(m for m in sys.modules), file=sys.stderr)); main()"
    )
    ran = run_apart(*arguments, cwd=cwd, stdin=stdin, python=("-c", code))
    return ran, set(ran.err.split())


@pytest.mark.parametrize("arguments", [("--help",), ("check", "--help"), ("--version",), ("nowhere",)])
def test_help_is_quick_and_imports_little(project: Path, arguments: tuple[str, ...]) -> None:
    ran, modules = imported(*arguments, cwd=project)
    assert ran.code in (0, 2)
    assert not modules & {"libcst", "rich", "torch", "numpy", "asyncio", "unittest"}
    if arguments[0] != "nowhere":
        assert not modules & {"pathspec", "tomllib", "tomli", "lint_reduction.rules", "lint_reduction.libraries"}


def test_help_takes_less_than_a_quarter_of_a_second() -> None:
    times = []
    for _ in range(3):
        before = os.times()
        subprocess.run(
            [sys.executable, "-m", "lint_reduction", "--help"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
        )
        after = os.times()
        times.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(times) < 0.25


def test_a_run_over_files_that_hold_no_loss_does_not_import_the_parser(project: Path) -> None:
    write(project, a="import torch\n\nx = torch.zeros(3)\n", b="def f() -> None:\n    pass\n", c="")
    for arguments in ((".",), ("a.py", "b.py", "c.py"), (".", "--output-format", "json"), (".", "--statistics")):
        ran, modules = imported(*arguments, cwd=project)
        assert ran.code == 0
        assert not {module for module in modules if module.startswith(("libcst", "rich", "torch"))}


def test_a_real_run_never_imports_torch() -> None:
    ran, modules = imported("fixtures")
    assert ran.code == 1
    assert "libcst" in modules
    assert not {module for module in modules if module.partition(".")[0] in ("torch", "numpy", "rich")}
    ran, modules = imported("facts", "fixtures/unscaled_sum/bad.py")
    assert ran.code == 0
    assert "torch" not in modules


def test_the_package_itself_imports_nothing_until_it_is_used() -> None:
    code = "import lint_reduction, sys; print(*sys.modules)"
    modules = set(run_apart(python=("-c", code)).out.split())
    assert not modules & {"libcst", "click", "rich", "pathspec", "torch", "lint_reduction.run"}


# The other commands.


def test_explain_by_code_and_by_name() -> None:
    for rule in all_rules():
        by_code = run("explain", rule.code)
        assert by_code == run("explain", rule.name) == run("explain", rule.code.lower())
        assert (by_code.code, by_code.err) == (0, "")
        assert by_code.out.startswith(f"# {rule.name} ({rule.code})\n")
        assert rule.documentation.strip() in by_code.out


@pytest.mark.parametrize(("code", "name"), [("RED000", "unreadable-file"), ("RED001", "unused-suppression")])
def test_explain_what_the_tool_itself_reports(code: str, name: str) -> None:
    ran = run("explain", code)
    assert ran.out.startswith(f"# {name} ({code})\n")
    assert ran == run("explain", name)


def test_rules_are_listed() -> None:
    ran = run("rules")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert [line.split()[:2] for line in lines] == [[rule.code, rule.name] for rule in all_rules()]
    for line, rule in zip(lines, all_rules(), strict=True):
        assert str(rule.severity) in line
        assert line.endswith(rule.summary)


def test_facts_say_what_is_known_and_why_the_rest_is_not(project: Path) -> None:
    write(project, a=ERROR)
    ran = run("facts", "a.py")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("a.py: 1 loss calls, 1 flows\n")
    assert "7:17 torch.nn.MSELoss in train(): reduction sum (keyword)" in ran.out
    assert "trained at line 12" in ran.out
    assert "growth samples * elements" in ran.out
    assert "stepped on by torch.optim.SGD (equivariant)" in ran.out
    write(project, b=ERROR.replace("criterion(model(x), y)", "criterion(model(x), y) / unknown()"))
    assert "growth not known, " in run("facts", "b.py").out
    write(project, c="x = 1\n")
    assert run("facts", "c.py").out == "c.py: 0 loss calls, 0 flows\n"
    assert run("facts", "nope.py").err == "lint-reduction: nope.py: no such file or directory\n"
    assert run("facts", ".").err == "lint-reduction: .: not a regular file\n"


def test_facts_of_a_file_that_cannot_be_analyzed(project: Path) -> None:
    write(project, broken=BROKEN, deep="import torch\nx = " + "(" * 300 + ")" * 300)
    (project / "binary.py").write_bytes(bytes(range(256)))
    (project / "large.py").write_bytes(b"x = 1\n" * 400_000)
    for name, reason in {
        "broken.py": "broken.py:1:5: '(' was never closed",
        "deep.py": "nested too deeply",
        "binary.py": "binary: contains null bytes",
        "large.py": "too large to be analyzed",
    }.items():
        ran = run("facts", name)
        assert is_usage_error(ran)
        assert reason in ran.err


def test_facts_of_fixtures() -> None:
    for path in sorted(FIXTURES.rglob("*.py"))[::3]:
        ran = run("facts", path)
        assert (ran.code, ran.err) == (0, "")


# The same from Python.


def test_lint_paths(project: Path) -> None:
    write(project, a=SEVERAL, b=ERROR)
    found_in = lint_paths(["."])
    assert [(d.path, d.finding.code) for d in found_in] == [
        ("a.py", "RED101"),
        ("a.py", "RED303"),
        ("a.py", "RED301"),
        ("b.py", "RED101"),
    ]
    assert [d.finding.code for d in lint_paths([project / "a.py"], select=["RED1"])] == ["RED101"]
    assert [d.finding.code for d in lint_paths([project / "a.py"], ignore=["RED1"])] == ["RED303", "RED301"]
    with pytest.raises(ConfigError, match="no such file"):
        lint_paths(["nowhere"])
    with pytest.raises(ConfigError, match="no rule 'nope'"):
        lint_paths(["."], select=["nope"])


def test_lint_source() -> None:
    (finding,) = lint_source(ERROR)
    assert finding.code == "RED101"
    assert lint_source(CLEAN) == ()
    assert [f.code for f in lint_source(BROKEN)] == ["RED000"]
    assert lint_source(ERROR, select=["RED2"]) == ()


def test_all_output_formats_are_offered() -> None:
    assert set(format_names()) == set(FORMATS)


def test_an_empty_selection_is_refused(project: Path) -> None:
    write(project, a=ERROR)
    ran = run("--select", "", "a.py")
    assert (ran.code, ran.out, ran.err) == (2, "", "lint-reduction: --select names no rule\n")


def test_several_formats_go_to_several_files(project: Path) -> None:
    write(project, a=ERROR)
    ran = run(
        "a.py", "--output-format", "concise", "--output-format", "sarif=out.sarif", "--output-format", "junit=o.xml"
    )
    assert ran.code == 1
    assert ran.out.startswith("a.py:7:17: RED101")
    assert json.loads((project / "out.sarif").read_text())["runs"][0]["results"][0]["ruleId"] == "RED101"
    assert (project / "o.xml").read_text().startswith("<testsuites ")


def test_an_output_file_takes_what_would_be_printed(project: Path) -> None:
    write(project, a=ERROR)
    printed = run("a.py", "--output-format", "concise").out
    ran = run("a.py", "--output-format", "concise", "-o", "found.txt")
    assert (ran.code, ran.out) == (1, "")
    assert (project / "found.txt").read_text() == printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--output-format", "yaml"), "'yaml' is not one of full"),
        (("--output-format", "json="), "no file after 'json='"),
        (("--output-format", "json", "--output-format", "full"), "two formats go to the same place"),
        (("--output-format", "json=x", "-o", "y"), "--output-file is for one format"),
        (("-o", "no/such/folder"), "no/such/folder: no such file or directory"),
    ],
)
def test_what_cannot_be_written_is_refused(project: Path, arguments: tuple[str, ...], message: str) -> None:
    write(project, a=ERROR)
    ran = run("a.py", *arguments)
    assert ran.code == 2
    assert message in ran.err


def test_a_run_fails_on_what_it_is_told_to(project: Path) -> None:
    write(project, a=ERROR, note="import torch\nl = torch.nn.MSELoss(size_average=True)\n")
    assert run("note.py").code == 0
    assert run("note.py", "--fail-on", "note").code == 1
    assert run("a.py", "--fail-on", "error").code == 1
    (project / "lint-reduction.toml").write_text('fail-on = "note"\n')
    assert run("note.py").code == 1
    assert run("note.py", "--fail-on", "error").code == 0


def test_what_is_not_severe_enough_is_not_reported(project: Path) -> None:
    write(project, a=ERROR, note="import torch\nl = torch.nn.MSELoss(size_average=True)\n")
    assert "RED301" in run(".", "--output-format", "concise").out
    assert "RED301" not in run(".", "--output-format", "concise", "--min-severity", "warning").out
    (project / "lint-reduction.toml").write_text('min-severity = "error"\n')
    assert run("note.py").out == "All checks passed!\n"
