"""The published schemas in ``docs/schemas``: every report is as they say, and every setting is in them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lint_reduction.config import KNOWN_KEYS, TABLE_KEYS, Settings, read_settings
from lint_reduction.errors import ConfigError
from lint_reduction.facts import Behavior, Companion
from lint_reduction.finding import Applicability, Confidence
from lint_reduction.formats import Style, render
from lint_reduction.growth import Count
from lint_reduction.impact import Severity
from lint_reduction.libraries import schema as tables
from lint_reduction.run.pipeline import Overrides, make_context
from lint_reduction.run.report import FileResult, Report, collect
from lint_reduction.verdict import Curve, Outcome, Verdict
from tests.command import CLEAN, ERROR, ROOT, run
from tests.made_up import finding, on, report

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

jsonschema = pytest.importorskip("jsonschema")

Schema = dict[str, Any]
NAMES = ("report", "finding", "configuration")


def schema(name: str) -> Schema:
    read: Schema = json.loads((ROOT / "docs" / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
    return read


def strict(part: Any) -> Any:
    """Return a schema under which an object has no property that is not listed."""
    if isinstance(part, list):
        return [strict(item) for item in part]
    if not isinstance(part, dict):
        return part
    closed = {key: strict(value) for key, value in part.items()}
    if part.get("type") == "object" and "properties" in part:
        closed.setdefault("additionalProperties", False)
    return closed


def errors(name: str, document: object) -> list[str]:
    validator = jsonschema.Draft202012Validator(strict(schema(name)))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


def no_constant(text: str) -> object:
    raise AssertionError(f"{text} is no JSON")


def loaded(text: str) -> Any:
    return json.loads(text, parse_constant=no_constant)


@pytest.mark.parametrize("name", NAMES)
def test_the_schemas_are_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))
    assert {path.name for path in (ROOT / "docs" / "schemas").iterdir()} == {f"{n}.schema.json" for n in NAMES}


# --- reports


def unmeasurable() -> Report:
    """Return a report of which the numbers are no numbers, and everything else is empty."""
    curve = Curve(Count.SAMPLES, "gradient", (4, 8), (float("nan"), float("inf")), float("nan"))
    verdict = Verdict(Outcome.INCONCLUSIVE, "the gradient is not finite", (curve,))
    one = replace(finding("RED101", "unscaled-sum", on(1, 1, 4), "", Severity.ERROR), verdict=verdict)
    return collect([FileResult("a.py", "/a.py", (one,), "loss")])


REPORTS = {"made up": report, "empty": Report, "without numbers": unmeasurable}


@pytest.mark.parametrize("made", REPORTS)
def test_every_report_is_as_the_schemas_say(made: str) -> None:
    whole = REPORTS[made]()
    assert errors("report", loaded(render("json", whole, Style()))) == []
    for line in render("json-lines", whole, Style()).splitlines():
        assert errors("finding", loaded(line)) == []


def test_reports_of_the_command_are_as_the_schemas_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text(ERROR)
    (tmp_path / "clean.py").write_text(CLEAN)
    (tmp_path / "broken.py").write_text("x = torch.nn.MSELoss(\n")
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": ERROR}
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4}))
    document = loaded(run(".", "--output-format", "json").out)
    assert len(document["diagnostics"]) == 3
    assert errors("report", document) == []
    lines = run(".", "--output-format", "json-lines").out.splitlines()
    assert [loaded(line) for line in lines] == document["diagnostics"]


def test_both_schemas_say_the_same_of_a_finding() -> None:
    assert schema("report")["$defs"] == schema("finding")["$defs"]


def test_every_property_of_a_report_is_required() -> None:
    """Fields do not come and go; what is not known is null or empty."""
    for part in (schema("report"), *schema("report")["$defs"].values()):
        if "properties" in part:
            assert part["required"] == list(part["properties"])


def test_a_report_with_a_new_field_is_not_refused() -> None:
    document = json.loads(render("json", report(), Style()))
    document["diagnostics"][0]["new"] = document["new"] = 1
    assert errors("report", document) != []
    assert jsonschema.Draft202012Validator(schema("report")).is_valid(document)


@pytest.mark.parametrize("key", ["schema_version", "summary", "diagnostics"])
def test_a_report_that_lacks_something_is_refused(key: str) -> None:
    document = json.loads(render("json", report(), Style()))
    del document[key]
    assert errors("report", document) != []


def test_the_words_are_those_of_the_program() -> None:
    defs = schema("report")["$defs"]
    properties = defs["diagnostic"]["properties"]
    assert set(properties["severity"]["enum"]) == {str(severity) for severity in Severity}
    assert set(properties["confidence"]["enum"]) == {str(confidence) for confidence in Confidence}
    assert set(defs["fix"]["properties"]["applicability"]["enum"]) == {a.value for a in Applicability}
    assert set(defs["verdict"]["properties"]["outcome"]["enum"]) == {outcome.value for outcome in Outcome}
    assert set(defs["curve"]["properties"]["count"]["enum"]) == {count.value for count in Count}


# --- the configuration


def test_every_setting_is_in_the_schema() -> None:
    properties = schema("configuration")["properties"]
    assert set(properties) == set(KNOWN_KEYS)
    assert all("description" in part for part in properties.values())


def test_the_defaults_are_those_of_the_program() -> None:
    settings = Settings()
    properties = schema("configuration")["properties"]
    said = {key: part["default"] for key, part in properties.items() if "default" in part}
    assert said == {key: _plain(getattr(settings, key.replace("-", "_"))) for key in said}
    assert len(said) == 6


def _plain(value: object) -> object:
    return value if isinstance(value, bool) else str(value)


def test_the_words_of_the_settings_are_those_of_the_program() -> None:
    whole = schema("configuration")
    properties, defs = whole["properties"], whole["$defs"]
    assert set(properties["min-severity"]["enum"]) == {str(severity) for severity in Severity}
    assert set(properties["fail-on"]["enum"]) == {str(severity) for severity in Severity}
    assert set(properties["min-confidence"]["enum"]) == {str(confidence) for confidence in Confidence}
    assert set(properties["counts"]["properties"]) == {count.value for count in Count}
    assert set(defs["optimizer"]["properties"]["behavior"]["enum"]) == {behavior.value for behavior in Behavior}
    assert set(defs["companion"]["properties"]["companion"]["enum"]) == {companion.value for companion in Companion}


ENTRIES: dict[str, dict[str, object]] = {
    "loss": {"name": "a.B", "default": "sum"},
    "optimizer": {"name": "a.B", "behavior": "invariant"},
    "sink": {"method": "A.b"},
    "wrapper": {},
    "companion": {"companion": "gradient clipping"},
    "alias": {},
}


@pytest.mark.parametrize("key", TABLE_KEYS)
def test_every_key_of_a_table_is_in_the_schema(key: str) -> None:
    entry = tables.Entry(dict(ENTRIES[key]), "x")
    getattr(tables, f"_{key}")(entry)
    assert set(schema("configuration")["$defs"][key]["properties"]) == entry.taken
    assert errors("configuration", {key: [ENTRIES[key]]}) == []


LIBRARIES = sorted((ROOT / "lint_reduction" / "libraries").glob("*.toml"))


@pytest.mark.parametrize("path", LIBRARIES, ids=lambda path: path.stem)
def test_the_tables_of_the_libraries_are_as_the_schema_says(path: Path) -> None:
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    assert errors("configuration", {key: document[key] for key in TABLE_KEYS if key in document}) == []


def examples() -> Iterator[dict[str, object]]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL):
        yield tomllib.loads(block)["tool"]["lint-reduction"]


def test_the_example_in_the_readme_is_as_the_schema_says() -> None:
    found = list(examples())
    assert found
    for values in found:
        assert errors("configuration", values) == []
        make_context(read_settings(values, ROOT, "README.md"), Overrides())


def wrong() -> Iterator[tuple[str, object]]:
    yield "unknown", 1
    for key in KNOWN_KEYS:
        for value in (1.5, "sometimes", True, [1], {"x": 1}, [{"unknown": 1}]):
            is_flag = key in ("respect-gitignore", "follow-installed", "fixed-batch-size") and value is True
            if not is_flag and (key, value) not in (("baseline", "sometimes"), ("cache-dir", "sometimes")):
                yield key, value


@pytest.mark.parametrize(("key", "value"), list(wrong()), ids=str)
def test_what_the_schema_refuses_the_program_refuses_as_well(key: str, value: object) -> None:
    assert errors("configuration", {key: value}) != []
    with pytest.raises(ConfigError):
        make_context(read_settings({key: value}, ROOT, "x.toml"), Overrides())
