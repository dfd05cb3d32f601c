"""Three answers agree on generated programs: what the analysis claims, what running them shows, what the verifier does.

``benchmarks/agreement.py`` does the same for as many programs as one likes, and makes what differs small.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import pytest

from tests.oracle.agreement import Tally, compare, compare_verified, run, unchosen
from tests.oracle.choices import Choices, shrink
from tests.oracle.claims import FlowClaim, TermClaim, claims
from tests.oracle.grammar import generate
from tests.oracle.measured import FACTORS, Runner, exponents
from tests.oracle.verified import Reading, Verified, Verifier

PROGRAMS, SEED = 500, 2026
#: The share of programs of which every growth is claimed.
CLAIMED = 0.8
#: The share of programs that train on something, and that the verifier runs.
VERIFIED = 0.95


@pytest.fixture(scope="module")
def tally() -> Iterator[Tally]:
    pytest.importorskip("torch")
    with Runner() as runner, Verifier() as verifier:
        yield run(SEED, PROGRAMS, runner, verifier)


@pytest.mark.torch
def test_what_is_claimed_is_measured(tally: Tally) -> None:
    shown = [f"{d.text}\n{d.program.text}\n{d.program.driver}" for d in tally.differences]
    assert not shown, "\n\n".join(shown)


@pytest.mark.torch
def test_every_program_runs(tally: Tally) -> None:
    assert [f"{error}\n{program.text}" for program, error in tally.broken] == []
    assert len(tally.distinct) > 0.98 * PROGRAMS


@pytest.mark.torch
def test_enough_is_claimed(tally: Tally) -> None:
    assert tally.claimed >= CLAIMED * tally.programs
    assert min(tally.compared[dial] for dial in ("samples", "elements", "update", "micro_batches", "batches")) > 40


@pytest.mark.torch
def test_enough_is_verified(tally: Tally) -> None:
    assert tally.verified >= VERIFIED * tally.to_verify, tally.reasons_not_run()
    assert min(tally.readings[dial] for dial in ("samples", "elements", "update", "micro_batches")) > 40


def test_every_production_is_chosen() -> None:
    """In a run of the benchmark; few programs are enough to see that nothing is out of reach."""
    seen = Tally()
    for index in range(4000):
        choices = Choices.of_seed(SEED, index)
        generate(choices)
        seen.used.update(choices.used)
        seen.offered |= choices.offered
    assert unchosen(seen) == []
    assert len(seen.offered) > 400


def test_choices_are_replayed() -> None:
    program = generate(Choices.of_seed(SEED, 0))
    assert generate(Choices(program.choices)) == program


def test_shrinking_keeps_what_fails() -> None:
    def fails(given: object) -> list[int] | None:
        assert isinstance(given, list)
        return given if sum(given) >= 3 else None

    assert shrink([0, 5, 0, 4], fails) == [3]


def test_exponents_of_a_curve() -> None:
    def curve(*terms: tuple[float, float]) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(sum(c * n * k**p for n, (c, p) in enumerate(terms, i)) for i in (1, 3)) for k in FACTORS)

    assert exponents(curve((2.0, 1.0))) == {Fraction(1)}
    assert exponents(curve((1.0, -0.5))) == {Fraction(-1, 2)}
    assert exponents(curve((1.0, 0.0), (-0.3, 1.0))) == {Fraction(0), Fraction(1)}
    assert exponents(curve((0.0, 1.0))) == frozenset()
    assert exponents(curve((1.0, 0.0), (1.0, 1.0), (1.0, 2.0))) is None


@pytest.mark.torch
def test_a_wrong_claim_is_seen() -> None:
    """A claim that is off by one, of the simplest program."""
    pytest.importorskip("torch")
    program = generate(Choices())
    (claim,) = claims(program)
    (term,) = claim.terms[0]
    power = term.of("samples")
    assert power is not None
    wrong = FlowClaim((frozenset({TermClaim((("samples", power + 1),))}), frozenset()), False, None, ())
    with Runner() as runner:
        measured = runner.measure(program)
    assert compare(program, (claim,), measured) == []
    assert len(compare(program, (wrong,), measured)) == 2
    right, off = (Verified({"samples": Reading(float(p), frozenset({int(p)}))}) for p in (power, power + 1))
    assert compare_verified(program, (claim,), measured, (right,)) == []
    assert len(compare_verified(program, (claim,), measured, (off,))) == 2
    assert len(compare_verified(program, (claim,), measured, (Verified({}, raises=True),))) == 2
