"""Which fields of a libcst node hold code, to walk a tree without visitors.

A visitor call rebuilds every node it passes and enters every comma; a stack over the fields that
hold code is some forty times faster. Which fields those are is read off the node classes the first
time one is met; ``tests/test_tree.py`` fails when a new libcst brings a field that is not classified.
"""

from __future__ import annotations

import dataclasses

#: Fields that hold layout or tokens, never code.
LAYOUT_FIELDS = frozenset(
    """
    asynchronous colon comma default_indent default_newline dot empty_lines encoding end
    equal first_colon first_line footer has_trailing_newline header indent lbrace lbracket
    leading_lines leading_whitespace lines_after_decorators lpar newline operator posonly_ind rbrace rbracket
    relative rpar second_colon semicolon separator star start trailing_comma trailing_whitespace
    type_parameters conversion
    """.split()
)

#: Fields that hold code or the names that code uses.
CODE_FIELDS = frozenset(
    """
    annotation args asname attr bases body bound cases cls comparator comparisons decorator
    decorators default elements elt exc cause expression finalbody for_in format_spec func guard handlers ifs
    inner_for_in item items iter key keyword keywords kwds kwonly_params left lower module msg name names orelse
    param params parts pattern patterns posonly_params rest returns right slice star_arg star_kwarg step subject
    target targets test type upper value
    """.split()
)

_fields: dict[type, tuple[str, ...]] = {}


def code_fields(node_class: type) -> tuple[str, ...]:
    """Return the fields of a node class that hold code, in the order of the class."""
    found = _fields.get(node_class)
    if found is None:
        names = [f.name for f in dataclasses.fields(node_class)] if dataclasses.is_dataclass(node_class) else []
        found = tuple(name for name in names if name in CODE_FIELDS)
        _fields[node_class] = found
    return found
