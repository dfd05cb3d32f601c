"""Functions of the language, and methods of texts, lists and dictionaries: computed here, by name."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence

from lint_reduction.verify import arithmetic
from lint_reduction.verify.allowed import MAX_ROUNDS
from lint_reduction.verify.functions import Functions
from lint_reduction.verify.rows import is_of_sample
from lint_reduction.verify.values import (
    BlockedError,
    Bound,
    Builtin,
    Class,
    Function,
    Hole,
    Instance,
    Library,
    Parameters,
    Stream,
    Super,
    Text,
    Unnamed,
    UserError,
    Value,
)

_TYPES = {"int": int, "float": float, "bool": bool, "str": str, "list": list, "tuple": tuple, "dict": dict}
_SILENT = frozenset({"print", "input", "vars", "dir", "id", "type", "repr", "str", "format", "object"})


class BuiltinCalls(Functions):
    """Calls functions of the language."""

    def call_builtin(self, name: str, arguments: Sequence[Value], options: dict[str, Value]) -> Value:
        """Call a function of the language."""
        if name in _SILENT:
            is_text = name == "str" and len(arguments) == 1 and type(arguments[0]) is str
            return arguments[0] if is_text else None if name == "print" else Text()
        method = getattr(self, f"_do_{name}", None) if name.isalpha() else None
        if method is None:
            raise BlockedError(f"`{name}` is not called")
        try:
            value: Value = method(*arguments, **options)
        except (TypeError, ValueError, OverflowError, ZeroDivisionError, IndexError) as error:
            raise UserError(type(error).__name__) from None
        return value

    def _do_len(self, value: Value) -> Value:
        if isinstance(value, Hole):
            return self.domain.length(value)
        if self.domain.is_tensor(value):
            return self.domain.method(value, "size", (0,), {})
        if isinstance(value, Parameters):
            return len(self.iterate(value))
        if isinstance(value, list | tuple | dict | str | range):
            return len(value)
        raise BlockedError(f"`{arithmetic.name_of(value)}` has no length")

    def _do_range(self, *arguments: Value) -> Value:
        bounds = [_whole(self.settle(argument)) for argument in arguments]
        if any(not isinstance(bound, int) for bound in bounds):
            bounds = [self.domain.number("int", b) if self.domain.is_tensor(b) else b for b in bounds]
        if any(not isinstance(bound, int) for bound in bounds):
            unknown = next((bound for bound in bounds if self.domain.is_tensor(bound)), None)
            if unknown is not None:
                return Stream(lambda _: unknown)
            raise BlockedError("the bounds of a range are no numbers")
        found = range(*(bound for bound in bounds if isinstance(bound, int)))
        return found if len(found) <= MAX_ROUNDS else Stream(lambda i: found[i])

    def _do_enumerate(self, value: Value, start: int = 0) -> Value:
        entries = self._stream(value)
        if isinstance(entries, Stream):
            return Stream(lambda i: (i + start, entries.entry(i)))
        return [(i + start, entry) for i, entry in enumerate(entries)]

    def _do_zip(self, *values: Value, strict: Value = False) -> Value:
        if values and all(isinstance(value, Hole) and is_of_sample(value.path) for value in values):
            # samples are turned into what they are made of
            return Stream(lambda i: tuple(Hole.at(f"{v.path}[{i}]") for v in values if isinstance(v, Hole)))
        paths = {value.path for value in values if isinstance(value, Hole)}
        if paths & self.samples:
            # what is taken together with samples is of samples: the outputs of a model beside the targets
            self.samples |= paths
        streams = [self._stream(value) for value in values]
        if any(isinstance(stream, list) for stream in streams):
            lists = [stream if isinstance(stream, list) else None for stream in streams]
            count = min(len(entries) for entries in lists if entries is not None)
            return [tuple(s.entry(i) if isinstance(s, Stream) else s[i] for s in streams) for i in range(count)]
        return Stream(lambda i: tuple(s.entry(i) for s in streams if isinstance(s, Stream)))

    def _stream(self, value: Value) -> Stream | list[Value]:
        if isinstance(value, Stream):
            return value
        listed = self.listed(value)
        if listed is not None:
            return listed
        if isinstance(value, Hole) and not self.has_rows(value) and not self.domain.is_indexed(value, slice(None)):
            return Stream(lambda _: Unnamed(value.path))
        return self.iterate(value)

    def _do_list(self, *values: Value) -> Value:
        return self._copied(values)

    def _do_set(self, *values: Value) -> Value:
        entries = self._copied(values)
        return arithmetic.distinct(entries) if isinstance(entries, list) else entries

    def _do_sorted(self, *values: Value, **options: Value) -> Value:
        entries = self._copied(values[:1])
        if isinstance(entries, list) and all(arithmetic.is_number(entry) for entry in entries):
            return sorted(entries, reverse=bool(options.get("reverse")))
        return entries

    def _do_tuple(self, *values: Value) -> Value:
        entries = self._copied(values)
        return tuple(entries) if isinstance(entries, list) else entries

    def _copied(self, values: Sequence[Value]) -> Value:
        if not values:
            return []
        if isinstance(values[0], Hole | Stream | Parameters) and not self.is_filled(values[0]):
            return values[0]
        return self.iterate(values[0])

    def _do_reversed(self, value: Value) -> Value:
        return value if isinstance(value, Hole | Stream) else self.iterate(value)[::-1]

    def _do_iter(self, value: Value) -> Value:
        return value

    def _do_next(self, value: Value, *default: Value) -> Value:
        if isinstance(value, Hole):
            return Hole.at(f"next({value.path})")
        entries = self.iterate(value)
        if not entries:
            raise UserError("StopIteration")
        return Hole.at("next()") if isinstance(entries[0], Unnamed) else entries[0]

    def _do_map(self, function: Value, value: Value) -> Value:
        return [self.call(function, (entry,), {}, _NOWHERE) for entry in self.iterate(value)]

    def _do_filter(self, function: Value, value: Value) -> Value:
        if isinstance(value, Parameters):
            return value
        return [entry for entry in self.iterate(value) if self.truth(self.call(function, (entry,), {}, _NOWHERE))]

    def _do_sum(self, values: Value, start: Value = 0) -> Value:
        total = start
        entries = self.iterate(values)
        for entry in entries:
            total = self.admit(self.binary(ast.Add(), total, entry))
        return total

    def _do_min(self, *values: Value, **_: Value) -> Value:
        return self._extreme("min", values)

    def _do_max(self, *values: Value, **_: Value) -> Value:
        return self._extreme("max", values)

    def _extreme(self, name: str, values: Sequence[Value]) -> Value:
        entries = [self.settle(v) for v in (self.iterate(values[0]) if len(values) == 1 else values)]
        if not entries:
            raise UserError("ValueError")
        best = entries[0]
        for entry in entries[1:]:
            operator = ast.Lt() if name == "min" else ast.Gt()
            if self.domain.is_tensor(entry) or self.domain.is_tensor(best):
                smaller: Value = self.domain.compare(operator, entry, best)
            else:
                smaller = arithmetic.compare(operator, entry, best)
            best = entry if self.truth(smaller) else best
        return best

    def _do_any(self, values: Value) -> Value:
        return any(self.truth(entry) for entry in self.iterate(values))

    def _do_all(self, values: Value) -> Value:
        return all(self.truth(entry) for entry in self.iterate(values))

    def _do_abs(self, value: Value) -> Value:
        value = self.settle(value)
        if self.domain.is_tensor(value):
            return self.domain.method(value, "abs", (), {})
        return abs(_number(value))

    def _do_round(self, value: Value, digits: int = 0) -> Value:
        value = self.settle(value)
        return value if self.domain.is_tensor(value) else round(_number(value), min(max(int(digits), 0), 12))

    def _do_pow(self, value: Value, power: Value) -> Value:
        return self.binary(ast.Pow(), value, power)

    def _do_divmod(self, value: Value, by: Value) -> Value:
        return self.binary(ast.FloorDiv(), value, by), self.binary(ast.Mod(), value, by)

    def _do_int(self, value: Value = 0) -> Value:
        return self._convert("int", value)

    def _do_float(self, value: Value = 0) -> Value:
        return self._convert("float", value)

    def _do_bool(self, value: Value = False) -> Value:
        return self.truth(value)

    def _convert(self, kind: str, value: Value) -> Value:
        value = self.settle(value)
        if self.domain.is_tensor(value):
            return self.domain.number(kind, value)
        if isinstance(value, str):
            if len(value) > 40:
                raise BlockedError("a text is too long for a number")
            return int(value) if kind == "int" else float(value)
        number = _number(value)
        if isinstance(number, float) and not math.isfinite(number) and kind == "int":
            raise UserError("OverflowError")
        return int(number) if kind == "int" else float(number)

    def _do_dict(self, *values: Value, **options: Value) -> Value:
        found: dict[Value, Value] = dict(values[0]) if values and isinstance(values[0], dict) else {}
        if values and isinstance(values[0], list):
            for entry in values[0]:
                key, value = self.iterate(entry, 2)
                found[self.key(key)] = value
        found.update(options)
        return found

    def _do_isinstance(self, value: Value, kind: Value) -> Value:
        if isinstance(kind, tuple):
            return any(self._do_isinstance(value, entry) for entry in kind)
        is_tensor = self.domain.is_tensor(value) or self.is_filled(value)
        match kind:
            case Library():
                return kind.last in ("Tensor", "Variable", "FloatTensor") and (is_tensor or isinstance(value, Hole))
            case Builtin(name="list" | "tuple" as name) if isinstance(value, Hole):
                self.see_list(value)
                return name == "list" and self.is_list(value)
            case Builtin(name=name) if name in _TYPES:
                return type(value) is _TYPES[name] or (name == "int" and type(value) is bool)
            case Class():
                return isinstance(value, Instance) and kind in value.owner.lineage()
        return False

    def _do_callable(self, value: Value) -> Value:
        return isinstance(value, Function | Class | Builtin | Library | Hole | Bound | Instance)

    def _do_hasattr(self, value: Value, name: str) -> Value:
        if isinstance(value, Instance):
            return name in value.attributes or value.owner.definition(name) is not None
        if isinstance(value, Hole):
            return True
        try:
            self.attribute(value, str(name))
        except BlockedError:
            return False
        return True

    def _do_getattr(self, value: Value, name: Value, *default: Value) -> Value:
        if isinstance(value, Hole) and not isinstance(name, str):
            return Hole.at(f"{value.path}.<{arithmetic.name_of(name)}>")
        if type(name) is not str or not name.isidentifier() or name.startswith("__"):
            raise BlockedError("the name of an attribute is not known")
        if isinstance(value, Instance) and default and not self._do_hasattr(value, name):
            return default[0]
        return self.attribute(value, name)

    def _do_setattr(self, owner: Value, name: Value, value: Value) -> Value:
        if type(name) is not str or not name.isidentifier():
            raise BlockedError(f"which attribute of `{arithmetic.name_of(owner)}` is changed is not known")
        self.set_attribute(owner, name, value)
        return None

    def _do_super(self, *arguments: Value) -> Value:
        function = next((frame.function for frame in reversed(self.frames) if frame.function is not None), None)
        if function is None or function.owner is None:
            raise BlockedError("`super()` stands outside of a class")
        receiver = function.receiver
        owner = arguments[0] if arguments and isinstance(arguments[0], Class) else function.owner
        return Super(owner, receiver)

    # Methods

    def call_method(self, bound: Bound, arguments: Sequence[Value], options: dict[str, Value]) -> Value:
        """Call a method of a text, list, tuple or dictionary."""
        value, name = bound.receiver, bound.name
        try:
            if isinstance(value, list):
                return self._list_method(value, name, arguments)
            if isinstance(value, dict):
                named = [dict(options)] if options and name == "update" and not arguments else []
                return self._dict_method(value, name, [*arguments, *named])
            if isinstance(value, str):
                return _text_method(value, name, arguments)
        except (TypeError, ValueError, IndexError, KeyError) as error:
            raise UserError(type(error).__name__) from None
        if isinstance(value, tuple) and name == "numel":
            return math.prod(int(_number(entry)) for entry in value)
        if isinstance(value, int | float) and name == "item":
            return value
        return Text() if isinstance(value, Text) else None

    def _list_method(self, value: list[Value], name: str, arguments: Sequence[Value]) -> Value:
        match name:
            case "append":
                value.append(arguments[0])
            case "extend":
                value.extend(self.iterate(arguments[0]))
            case "insert":
                value.insert(int(_number(arguments[0])), arguments[1])
            case "copy":
                return list(value)
            case "pop":
                return value.pop(*[int(_number(argument)) for argument in arguments])
            case "clear":
                value.clear()
            case "reverse":
                value.reverse()
            case _:
                raise BlockedError(f"`{name}` of a list is not run")
        self.admit(value)
        return None

    def _dict_method(self, value: dict[Value, Value], name: str, arguments: Sequence[Value]) -> Value:
        match name:
            case "items":
                return list(value.items())
            case "keys":
                return list(value)
            case "values":
                return list(value.values())
            case "copy":
                return dict(value)
            case "update":
                value.update(arguments[0] if arguments and isinstance(arguments[0], dict) else {})
                self.admit(value)
                return None
        key = self.key(arguments[0])
        default = arguments[1] if len(arguments) > 1 else None
        if name == "setdefault":
            return value.setdefault(key, default)
        return value.pop(key, default) if name == "pop" else value.get(key, default)


def _whole(value: Value) -> Value:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _number(value: Value) -> bool | int | float:
    if isinstance(value, bool | int | float):
        return value
    raise BlockedError(f"`{arithmetic.name_of(value)}` is no number")


def _text_method(value: str, name: str, arguments: Sequence[Value]) -> Value:
    """Call a method of a text. Formats and joins give a text without letters: nothing of a value gets into it."""
    match name:
        case "lower":
            return value.lower()
        case "upper":
            return value.upper()
        case "strip":
            return value.strip()
        case "startswith" | "endswith" if type(arguments[0]) is str:
            return value.startswith(arguments[0]) if name == "startswith" else value.endswith(arguments[0])
    return Text()


_NOWHERE = ast.Call(ast.Name("map"), [], [], lineno=0, col_offset=0, end_lineno=0, end_col_offset=0)
