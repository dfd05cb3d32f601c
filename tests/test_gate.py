"""What the gate lets through, and what it refuses; and what the worker takes for an experiment. Needs no torch."""

from __future__ import annotations

import json

import pytest

from lint_reduction.verify import gate
from lint_reduction.verify.decoding import decode
from lint_reduction.verify.experiment import Branch, Callee, Counted, Experiment, Known, Link, Place, Unit
from lint_reduction.verify.values import BlockedError

REFUSED = {
    "x = __import__('os')": "`__import__`",
    "x = y.__class__": "`__class__`",
    "f(__builtins__=1)": "`__builtins__`",
    "def f(__x__): pass": "`__x__`",
    "x = " + "9" * 100: "integer",
    "x = '" + "a" * 5000 + "'": "string",
    "x = b'a'": "`bytes`",
    "x = 1j": "`complex`",
    "async def f(): pass": "`AsyncFunctionDef`",
    "def f():\n    yield 1": "`Yield`",
    "x = " + "(" * 3000 + "1" + ")" * 3000: "does not parse",
    "x = " + "-" * 5000 + "1": "does not parse",
    "x = " + " + ".join(["1"] * 200): "too deep",
    "x = 1\n" * 30_000: "too many nodes",
    "x = 1\0": "does not parse",
    "# " + "a" * 300_000: "too long",
}


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_a_source_is_refused(text: str) -> None:
    with pytest.raises(gate.RefusedError, match=REFUSED[text]):
        gate.read(text)


@pytest.mark.parametrize(
    "text",
    [
        "class A(B):\n    def __init__(self):\n        super().__init__()\n        self.__private = 1",
        "class A:\n    def __getattr__(self, n):\n        return 1",
        "if __name__ == '__main__':\n    main()",
        "match x:\n    case 1 | 2:\n        pass",
        "with a as b, c:\n    [d := 1 for e in f if g]",
    ],
)
def test_what_people_write_passes(text: str) -> None:
    gate.read(text)


PLACE = Place(0, 1, 0, 1, 4)
WHOLE = Experiment(
    "RED101",
    (Unit("a.py", "f(x)", (Link("f", 1, "f"),)), Unit("b.py", "def f(x): pass")),
    "train",
    (0, "Trainer"),
    (PLACE,),
    PLACE,
    "backward",
    "train",
    PLACE,
    (Callee(PLACE, "torch.nn.MSELoss"),),
    (("sum", PLACE),),
    (Branch(PLACE, True),),
    (Known(PLACE, 0.5), Known(PLACE, None), Known(PLACE, "sum")),
    PLACE,
    "build",
    ("samples", "elements"),
    (Counted(PLACE, "samples"),),
)


def test_an_experiment_comes_back_from_json() -> None:
    assert decode(json.loads(WHOLE.to_json())) == WHOLE


@pytest.mark.parametrize(
    "change",
    [
        {"units": []},
        {"units": [{"path": "a", "text": 1, "links": []}]},
        {"units": [{"path": "a", "text": "", "links": []}] * 100},
        {"end": None},
        {"end": {"unit": -1, "line": 1, "column": 0, "end_line": 1, "end_column": 1}},
        {"site": {"unit": "0"}},
        {"receiver": [0]},
        {"receiver": [True, "A"]},
        {"dials": "samples"},
        {"dials": [1]},
        {"known": [{"place": None, "value": 1}]},
        {"known": [{"place": {"unit": 0}, "value": [1]}]},
        {"steps": [["sum"]]},
        {"function": "a" * 1000},
        {"calls": [{}] * 2000},
    ],
)
def test_what_is_no_experiment_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(BlockedError, match=r"malformed|no sources"):
        decode({**json.loads(WHOLE.to_json()), **change})
