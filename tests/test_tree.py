"""The tables that say what the classes of libcst hold cover all of them, so that a new libcst fails loudly."""

from __future__ import annotations

import dataclasses
import typing

import libcst as cst
import pytest
from libcst.metadata import MetadataWrapper, PositionProvider

from lint_reduction.analysis import expressions, statements
from lint_reduction.analysis.code import text
from lint_reduction.analysis.positions import locate
from lint_reduction.analysis.tree import CODE_FIELDS, LAYOUT_FIELDS, code_fields
from lint_reduction.facts import Span
from tests.command import ERROR
from tests.fixture_files import FIXTURES, programs


def node_classes(base: type = cst.CSTNode) -> list[type]:
    """Return the classes of nodes that trees are made of."""
    classes = [value for value in vars(cst).values() if isinstance(value, type) and issubclass(value, base)]
    return [c for c in classes if dataclasses.is_dataclass(c) and not c.__name__.startswith("Base") and c is not base]


def test_libcst_has_the_classes_that_this_test_knows_of() -> None:
    assert len(node_classes()) > 150
    assert {cst.Call, cst.If, cst.Module, cst.Comma} <= set(node_classes())


def test_every_field_of_every_node_is_classified_once() -> None:
    fields = {field.name for node_class in node_classes() for field in dataclasses.fields(node_class)}
    of_whitespace = {name for name in fields if name.startswith("whitespace")} | {"comment", "last_line"}
    assert not CODE_FIELDS & (LAYOUT_FIELDS | of_whitespace)
    assert fields - of_whitespace - CODE_FIELDS - LAYOUT_FIELDS == set()


def _held(annotation: object) -> set[type]:
    """Return the classes that stand in an annotation."""
    parts = typing.get_args(annotation)
    if parts:
        return {held for part in parts for held in _held(part)}
    return {annotation} if isinstance(annotation, type) else set()


def test_fields_of_layout_hold_no_expressions_and_no_statements() -> None:
    holding = (cst.BaseExpression, cst.BaseStatement, cst.BaseSmallStatement, cst.BaseSuite, cst.Arg, cst.Param)
    for node_class in node_classes():
        hints = typing.get_type_hints(node_class, vars(cst))
        for field in dataclasses.fields(node_class):
            if field.name not in CODE_FIELDS:
                held = {c for c in _held(hints[field.name]) if issubclass(c, holding)}
                assert not held, f"{node_class.__name__}.{field.name}"


def test_fields_of_code_are_found_in_the_order_of_the_class() -> None:
    assert code_fields(cst.BinaryOperation) == ("left", "right")
    assert set(code_fields(cst.IfExp)) == {"test", "body", "orelse"}
    assert code_fields(cst.Comma) == ()
    assert code_fields(int) == ()


def test_every_expression_is_lowered() -> None:
    # ``{**d for d in ds}`` of Python 3.15 is a dictionary of which nothing is known
    unknown = {getattr(cst, name) for name in ("StarredDictComp",) if hasattr(cst, name)}
    known = set(expressions._HANDLERS)
    assert set(node_classes(cst.BaseExpression)) - unknown == known


def test_every_statement_is_lowered() -> None:
    classes = {*node_classes(cst.BaseSmallStatement), *node_classes(cst.BaseCompoundStatement)}
    assert classes == set(statements._HANDLERS)


@pytest.mark.parametrize(
    ("table", "base"),
    [
        (expressions._BINARY, cst.BaseBinaryOp),
        (expressions._UNARY, cst.BaseUnaryOp),
        (expressions._COMPARE, cst.BaseCompOp),
        (statements._UPDATE, cst.BaseAugOp),
    ],
)
def test_every_operator_has_its_sign(table: dict[type, str], base: type) -> None:
    assert set(table) == set(node_classes(base))
    assert len(set(table.values())) == len(table)


def test_the_boolean_operators_are_two() -> None:
    assert set(node_classes(cst.BaseBooleanOp)) == {cst.And, cst.Or}


def check_places(text: str) -> int:
    """Hold the places of all nodes that the analysis may want against those of libcst; return how many there are."""
    wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
    places = wrapper.resolve(PositionProvider)
    kinds = (cst.BaseExpression, cst.Arg, cst.BaseSmallStatement)
    nodes: list[cst.CSTNode] = [node for node in places if isinstance(node, kinds)]
    spans = [
        Span(p.start.line, p.start.column + 1, p.end.line, p.end.column + 1) for p in (places[node] for node in nodes)
    ]
    starts: list[int] = []
    for statement in wrapper.module.body:
        if isinstance(statement, (cst.FunctionDef, cst.ClassDef)) and statement.decorators:
            starts.append(places[statement.decorators[0]].start.line)
            continue
        small = statement.body if isinstance(statement, cst.SimpleStatementLine) else (statement,)
        starts.extend(places[part].start.line for part in small)
    for known in (None, tuple(starts)):
        assert list(locate(wrapper.module, nodes, known)) == spans
    return len(nodes)


def test_places_are_those_of_libcst() -> None:
    paths = [*programs(), *sorted((FIXTURES / "analysis").glob("*.py"))]
    assert sum(check_places(path.read_text()) for path in paths[::2]) > 5000


@pytest.mark.parametrize(
    "text",
    [
        ERROR.replace("\n", "\r\n"),
        ERROR.replace("    ", "\t"),
        "# a comment\n\n\nx = 1; y = f(2)\n\n@decorated(1)\n# between\n@twice\ndef f(a, b = 3): return (a +\\\n b)\n",
        'class A(B):\n    """Text.\n    More.\n    """\n\n    x = f(\n        1,  # 1\n    )\nif x: y(1)\nelse: z(2)\n',
        "é = 'ü'; x = f('日本 🎉', y) if False else 1\n",
        "x = '''\n\n''' + f(1)\ny = (\n\n  g(2)\n)\n",
        "\n\n\nx = f(1)\n\n\n\ny = g(2)",
        "async def f():\n    await g(1)\n    async with h(2) as i: pass\n    return [j async for j in k(3)]\n",
    ],
)
def test_places_in_odd_layouts(text: str) -> None:
    assert check_places(text) > 3


def test_a_node_that_is_not_there_has_a_place_that_points_nowhere() -> None:
    module = cst.parse_module("x = 1\n")
    assert locate(module, [None], None) == (Span(1, 1, 1, 1),)


@pytest.mark.parametrize(
    "source",
    [
        "(y != 0).sum()",
        "(-x).exp()",
        "-x.exp()",
        "(a + b) * c",
        "a + b * c",
        "a - (b - c)",
        "a - b - c",
        "a / (b * c)",
        "(a and b)[0]",
        "not (a or b)",
        "not a and b",
        "(a > 0) & (b < 1)",
        "len(a + b)",
        "f(x)[i].y",
    ],
)
def test_the_text_of_an_expression_means_the_same(source: str) -> None:
    lowering = statements.StatementLowering(frozenset(), frozenset(), None, 0)
    assert text(lowering.expression(cst.parse_expression(source))) == source
