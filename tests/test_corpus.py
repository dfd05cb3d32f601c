"""The labels of real code: each rule has a place in it, each row is whole, and what it names is there."""

from __future__ import annotations

import csv

from lint_reduction.rules import all_rules
from tests.fixture_files import FIXTURES

CORPUS = FIXTURES / "corpus"


def rows(name: str) -> list[dict[str, str]]:
    with (CORPUS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_every_rule_is_judged_on_real_code() -> None:
    assert {row["rule"] for row in rows("judged.tsv")} == {rule.code for rule in all_rules()}


def test_judgments_are_whole() -> None:
    for row in rows("judged.tsv"):
        assert row["verdict"] in ("true", "false")
        assert int(row["line"]) > 0
        assert row["path"].endswith(".py")
        assert row["why"]


def test_no_place_is_judged_twice() -> None:
    places = [(row["repo"], row["path"], row["line"], row["rule"]) for row in rows("judged.tsv")]
    assert len(places) == len(set(places))


def test_labeled_packages_can_be_had() -> None:
    packages = {f"pypi:{row['package']}=={row['version']}" for row in rows("packages.tsv")}
    for name in ("judged.tsv", "labels.tsv", "covered.tsv"):
        assert {row["repo"] for row in rows(name)} <= packages, name
