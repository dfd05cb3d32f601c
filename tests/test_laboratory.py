"""From the source of a training loop to exponents: every composition measures what it is written to measure."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.skipif(not find_spec("torch"), reason="torch is not installed")]

if find_spec("torch"):
    import torch

    from lint_reduction.verify import laboratory
    from tests.compositions import COMPOSITIONS, Composition
    from tests.experiments import experiment
    from tests.programs import PROGRAMS, Program
else:
    COMPOSITIONS = PROGRAMS = ()

TOLERANCE = 0.02


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tensors this small are slower on several threads."""
    torch.set_num_threads(1)


def measured(source: str, function: str = "train", **options: object) -> dict[str, object]:
    """Return the measurement of a program, through JSON as it goes to a worker."""
    data = json.loads(experiment(source, function, **options).to_json())  # type: ignore[arg-type]
    answer = laboratory.run(data, torch.device("cpu"), torch.float64)
    json.dumps(answer, allow_nan=False)
    return answer


def exponents(answer: dict[str, object], count: str = "samples", what: str = "gradient") -> list[float]:
    """Return the different exponents of all trials, in order."""
    found: list[float] = []
    for trial in answer["trials"]:  # type: ignore[attr-defined]
        for series in trial["series"]:
            value = series["exponent"]
            is_asked = (series["count"], series["what"]) == (count, what)
            if is_asked and not any(abs(value - other) < TOLERANCE for other in found):
                found.append(value)
    return sorted(found)


@pytest.mark.parametrize("composition", COMPOSITIONS, ids=lambda c: c.name)
def test_a_composition_measures_what_it_is(composition: Composition) -> None:
    answer = measured(composition.source, dials=("samples", *composition.others))
    assert answer["site_executed"], answer["reason"]
    if composition.samples is None:
        assert (answer["status"], answer["unreduced_site"]) == ("raised", True)
        return
    assert answer["status"] == "measured", answer["reason"]
    assert exponents(answer) == pytest.approx(sorted(composition.samples), abs=TOLERANCE)
    if composition.update is not None:
        assert exponents(answer, what="update") == pytest.approx([composition.update], abs=TOLERANCE)
    for count, expected in composition.others.items():
        assert exponents(answer, count) == pytest.approx([expected], abs=TOLERANCE)
    assert any(trial["clipped"] for trial in answer["trials"]) == composition.clipped  # type: ignore[attr-defined]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_a_program_is_run_from_where_it_begins_to_where_it_ends(program: Program) -> None:
    answer = measured(program.source, program.function, end=program.end, site=program.site)
    assert answer["status"] == "measured", answer["reason"]
    assert answer["site_executed"]
    assert exponents(answer) == pytest.approx([program.samples], abs=TOLERANCE)
    if program.update is not None:
        assert exponents(answer, what="update") == pytest.approx([program.update], abs=TOLERANCE)
