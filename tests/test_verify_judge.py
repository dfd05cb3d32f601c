"""What a measurement says about a finding, rule by rule."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from lint_reduction.facts import Behavior, Fate, LossFlow, OptimizerFact, Span, Step, StepKind, Term
from lint_reduction.finding import Confidence, Finding
from lint_reduction.impact import Severity
from lint_reduction.rules import all_rules
from lint_reduction.verdict import Outcome
from lint_reduction.verify.claims import CLAIMS
from lint_reduction.verify.judge import judge
from lint_reduction.verify.measurement import OTHERS, OWN, Measurement, Series, Status, Trial
from lint_reduction.verify.replies import measurement_of
from lint_reduction.verify.session import judged_by

HERE = Span(1, 1, 1, 2)
SIZES = (4, 8, 16, 32)


def finding(code: str, behavior: Behavior | None = None, *, terms: int = 0) -> Finding:
    optimizer = None if behavior is None else OptimizerFact("optimizer", behavior, None, HERE)
    summands, end = (Term(None, (), None),) * terms, Step(StepKind.BACKWARD, HERE)
    flow = LossFlow(summands, (), Fate.TRAINED, end, "", optimizer=optimizer)
    return Finding(HERE, "message", Severity.ERROR, Confidence.MEDIUM, code=code, flow=flow)


def series(
    power: float | None, what: str = "gradient", count: str = "samples", powers: tuple[tuple[int, float], ...] = ()
) -> Series:
    norms = tuple(0.0 if power is None else 3.0 * size**power for size in SIZES)
    return Series(count, what, SIZES, norms, power, powers)


def measured(*trials: tuple[Series, ...], optimizer: str = "", clipped: bool = False) -> Measurement:
    made = tuple(Trial(f"layout {i}", entries, clipped, (f"guess {i}",)) for i, entries in enumerate(trials))
    return Measurement(Status.MEASURED, site_executed=True, trials=made, optimizer=optimizer)


def outcome(code: str, measurement: Measurement, behavior: Behavior | None = None) -> Outcome:
    return judge(finding(code, behavior), measurement).outcome


SGD, ADAM = (Behavior.EQUIVARIANT, "SGD(lr=0.1)"), (Behavior.INVARIANT, "Adam(lr=0.001)")


@pytest.mark.parametrize("code", ["RED101", "RED102", "RED103", "RED108", "RED122"])
def test_a_sum_is_judged_by_gradient_and_update(code: str) -> None:
    assert outcome(code, measured((series(1.0),))) is Outcome.CONFIRMED
    assert outcome(code, measured((series(0.5),))) is Outcome.CONFIRMED
    assert outcome(code, measured((series(0.0),))) is Outcome.REFUTED
    assert outcome(code, measured((series(-1.0),))) is Outcome.REFUTED
    assert outcome(code, measured((series(None),))) is Outcome.INCONCLUSIVE
    both = measured((series(1.0), series(1.0, "update")), optimizer=SGD[1])
    assert outcome(code, both, SGD[0]) is Outcome.CONFIRMED
    flat = (series(1.0), series(0.0, "update"))
    assert outcome(code, measured(flat, optimizer=SGD[1]), SGD[0]) is Outcome.REFUTED
    assert outcome(code, measured(flat, optimizer=SGD[1], clipped=True), SGD[0]) is Outcome.MUTED
    assert outcome(code, measured(flat, optimizer=ADAM[1]), ADAM[0]) is Outcome.MUTED
    assert outcome(code, measured(flat, optimizer=ADAM[1])) is Outcome.MUTED
    assert outcome(code, measured(flat, optimizer=SGD[1])) is Outcome.REFUTED


def test_a_part_that_grows_is_growth() -> None:
    mostly_mean = series(0.1, powers=((0, 0.9), (1, 0.1)))
    assert outcome("RED101", measured((mostly_mean,))) is Outcome.CONFIRMED
    rounding = replace(series(0.0, powers=((0, 0.999), (1, 0.001))), residual=1e-7)
    assert outcome("RED101", measured((rounding,))) is Outcome.REFUTED
    exact = series(0.0, powers=((0, 0.999), (1, 0.001)))
    assert outcome("RED101", measured((exact,))) is Outcome.CONFIRMED


def test_a_small_part_that_grows_is_not_taken_back_by_an_update_that_does_not_show_it() -> None:
    mostly_mean = series(0.0, powers=((0, 0.97), (1, 0.03)))
    verdict = judge(finding("RED102", SGD[0]), measured((mostly_mean, series(0.0, "update")), optimizer=SGD[1]))
    assert verdict.outcome is Outcome.CONFIRMED
    assert verdict.reason.startswith("a part of the gradient grows, it is samples^0 + samples^1")


def test_a_part_that_shrinks_is_divided_twice() -> None:
    parts = measured((series(-0.2, powers=((-1, 0.1), (0, 0.9))),))
    assert judge(finding("RED104", terms=2), parts).outcome is Outcome.CONFIRMED


@pytest.mark.parametrize(
    ("code", "count"), [("RED201", "classes"), ("RED203", "valid"), ("RED204", "valid"), ("RED205", "weights")]
)
def test_other_terms_may_hide_the_one_that_a_finding_is_about(code: str, count: str) -> None:
    hidden = measured((series(0.02, count=count),))
    assert judge(finding(code), hidden).outcome is Outcome.REFUTED
    verdict = judge(finding(code, terms=2), hidden)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "the others may hide this one" in verdict.reason


def test_a_fit_that_is_exact_shows_that_no_term_grows() -> None:
    fitted = measured((series(0.0, powers=((0, 1.0),)),))
    assert judge(finding("RED101", terms=2), fitted).outcome is Outcome.REFUTED
    assert judge(finding("RED101", terms=2), measured((series(0.0),))).outcome is Outcome.INCONCLUSIVE


def test_a_loss_divided_twice_shrinks() -> None:
    assert outcome("RED104", measured((series(-1.0),))) is Outcome.CONFIRMED
    assert outcome("RED104", measured((series(0.0),))) is Outcome.REFUTED


def test_a_part_that_shrinks_is_largest_in_a_small_batch() -> None:
    shrinks = series(0.0, powers=((-1, 0.001), (0, 0.999)))
    assert judge(finding("RED104", terms=2), measured((shrinks,))).outcome is Outcome.CONFIRMED
    rounding = series(0.0, powers=((-1, 0.0001), (0, 0.9999)))
    assert judge(finding("RED104", terms=2), measured((rounding,))).outcome is not Outcome.CONFIRMED


def test_what_other_terms_hide_is_not_refuted() -> None:
    term = Term(None, (), None)
    one = finding("RED201")
    assert one.flow is not None
    several = replace(one, flow=replace(one.flow, terms=(term, replace(term))))
    flat = measured((series(0.0, count="classes"),))
    assert judge(several, flat).outcome is Outcome.INCONCLUSIVE
    assert judge(several, measured((series(-1.0, count="classes"),))).outcome is Outcome.CONFIRMED


def test_mixed_terms_differ() -> None:
    apart = (series(0.9), series(0.0, "gradient of a"), series(1.0, "gradient of b"))
    assert outcome("RED105", measured(apart)) is Outcome.CONFIRMED
    one = (series(0.4, powers=((0, 0.7), (1, 0.3))), series(0.4, "gradient of a"))
    assert outcome("RED105", measured(one)) is Outcome.CONFIRMED
    alike = (series(1.0, powers=((1, 1.0),)), series(1.0, "gradient of a"), series(1.0, "gradient of b"))
    assert outcome("RED105", measured(alike)) is Outcome.REFUTED


@pytest.mark.parametrize(
    ("code", "what", "count", "right", "wrong"),
    [
        ("RED106", "update", "samples", 2.0, 1.0),
        ("RED107", "update", "samples", -1.0, 0.0),
        ("RED201", "gradient", "classes", -1.0, 0.0),
        ("RED202", "gradient", "elements", 1.0, 0.0),
        ("RED203", "gradient", "valid", 1.0, 0.0),
        ("RED204", "gradient", "valid", 1.0, 0.0),
        ("RED205", "gradient", "weights", 1.0, 0.0),
        ("RED401", "gradient", "micro_batches", 1.0, 0.0),
        ("RED402", "gradient", "micro_batches", -1.0, 0.0),
        ("RED405", "gradient", "ranks", 1.0, 0.0),
    ],
)
def test_other_claims_are_judged_over_their_own_count(
    code: str, what: str, count: str, right: float, wrong: float
) -> None:
    assert outcome(code, measured((series(right, what, count),))) is Outcome.CONFIRMED
    assert outcome(code, measured((series(wrong, what, count),))) is Outcome.REFUTED
    assert outcome(code, measured((series(right, what, "batches"),))) is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("code", ["RED121", "RED123", "RED124"])
def test_what_is_not_reduced_has_to_raise(code: str) -> None:
    raised = Measurement(Status.RAISED, "RuntimeError", site_executed=True, unreduced_site=True)
    assert outcome(code, raised) is Outcome.CONFIRMED
    guessed = Measurement(Status.RAISED, "RuntimeError", site_executed=True)
    assert outcome(code, guessed) is Outcome.INCONCLUSIVE
    assert outcome(code, measured((series(1.0),))) is Outcome.REFUTED
    assert outcome("RED101", raised) is Outcome.INCONCLUSIVE
    both = replace(measured((series(1.0),)), unreduced_site=True)
    assert outcome(code, both) is Outcome.INCONCLUSIVE
    assert outcome("RED101", both) is Outcome.CONFIRMED


def test_without_the_place_of_the_finding_there_is_no_verdict() -> None:
    measurement = measured((series(0.0),))
    elsewhere = Measurement(Status.MEASURED, site_executed=False, trials=measurement.trials)
    assert outcome("RED101", elsewhere) is Outcome.NOT_RUN
    assert outcome("RED101", Measurement(Status.BLOCKED, "`f` is not known")) is Outcome.NOT_RUN
    assert outcome("RED101", Measurement(Status.MEASURED, site_executed=True)) is Outcome.NOT_RUN


def test_worlds_that_disagree_decide_nothing() -> None:
    verdict = judge(finding("RED101"), measured((series(1.0),), (series(0.0),)))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "layout 0: confirmed" in verdict.reason
    assert "layout 1: refuted" in verdict.reason
    assert verdict.assumptions == ("guess 0", "guess 1")


def test_every_rule_with_a_claim_is_a_rule() -> None:
    assert set(CLAIMS) <= {rule.code for rule in all_rules()}


def test_a_verdict_moves_severity_and_confidence() -> None:
    def after(measurement: Measurement, behavior: Behavior | None = None) -> tuple[Severity, Confidence]:
        judged = judged_by(finding("RED101"), judge(finding("RED101", behavior), measurement))
        return judged.severity, judged.confidence

    flat = (series(1.0), series(0.0, "update"))
    assert after(measured((series(1.0),))) == (Severity.ERROR, Confidence.HIGH)
    assert after(measured(flat, optimizer=ADAM[1]), ADAM[0]) == (Severity.WARNING, Confidence.HIGH)
    assert after(measured((series(0.0),))) == (Severity.NOTE, Confidence.LOW)
    assert after(Measurement(Status.BLOCKED)) == (Severity.ERROR, Confidence.MEDIUM)


def plain(measurement: Measurement) -> dict[str, object]:
    return {**asdict(measurement), "status": measurement.status.value}


def test_an_answer_is_read_as_it_was_sent() -> None:
    measurement = measured((series(1.0, powers=((1, 1.0),)), series(0.0, "update")), optimizer="SGD(lr=0.1)")
    assert measurement_of(plain(measurement)) == measurement


@pytest.mark.parametrize(
    "change",
    [
        {"status": "perfect"},
        {"status": None},
        {"reason": 3},
        {"site_executed": "yes"},
        {"trials": {}},
        {"trials": [1]},
        {"trials": [{}]},
        {"trials": [{"layout": "x", "clipped": False, "assumptions": [1]}]},
        {"trials": [{"layout": "x", "clipped": False, "series": [{"count": "apples"}]}]},
        {"seconds": float("nan")},
        {"seconds": True},
        {"optimizer": None},
    ],
    ids=repr,
)
def test_an_answer_that_is_none_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        measurement_of({**plain(measured((series(1.0),))), **change})


@pytest.mark.parametrize(
    "change",
    [
        {"count": "apples"},
        {"what": None},
        {"sizes": [4, 8]},
        {"sizes": [0, 8, 16, 32]},
        {"sizes": [True, 8, 16, 32]},
        {"norms": [1.0, 2.0, float("inf"), 4.0]},
        {"norms": [1.0, 2.0, -3.0, 4.0]},
        {"exponent": "1"},
        {"powers": [[1]]},
        {"powers": [[0.5, 1.0]]},
        {"sizes": [], "norms": []},
        {"sizes": list(range(1, 1_002)), "norms": [1.0] * 1_001},
    ],
    ids=lambda change: ", ".join(change),
)
def test_a_curve_that_is_none_is_refused(change: dict[str, object]) -> None:
    answer = plain(measured(()))
    answer["trials"] = [{"layout": "x", "clipped": False, "series": [{**asdict(series(1.0)), **change}]}]
    with pytest.raises(ValueError, match=r"."):
        measurement_of(answer)


def test_a_term_that_shrinks_is_found_beside_one_that_does_not() -> None:
    one = finding("RED104")
    assert one.flow is not None
    of_two = replace(one, flow=replace(one.flow, terms=(Term(None, (), None),) * 2))
    mixed = series(0.0, powers=((-1, 0.05), (0, 0.95)))
    assert judge(of_two, measured((mixed,))).outcome is Outcome.CONFIRMED
    assert judge(one, measured((mixed,))).outcome is Outcome.REFUTED
    assert judge(of_two, measured((series(0.0, powers=((0, 1.0),)),))).outcome is Outcome.REFUTED


def test_a_sum_over_positions_is_no_mean_that_is_diluted() -> None:
    valid, elements = series(1.0, count="valid"), series(1.0, count="elements")
    assert outcome("RED203", measured((valid,))) is Outcome.CONFIRMED
    assert outcome("RED203", measured((valid, elements))) is Outcome.REFUTED


def test_accumulation_is_judged_by_the_update() -> None:
    gradient = series(1.0, count="micro_batches")
    flat = series(0.0, "update", "micro_batches")
    assert outcome("RED401", measured((gradient, flat), optimizer="SGD(lr=0.1)")) is Outcome.REFUTED
    assert outcome("RED401", measured((gradient, flat), optimizer="Adam(lr=0.1)")) is Outcome.MUTED


def test_a_term_is_judged_by_its_own_gradient() -> None:
    hidden, own = series(0.02, count="classes"), series(-1.0, OWN, "classes")
    assert judge(finding("RED201", terms=2), measured((hidden, own))).outcome is Outcome.CONFIRMED
    flat = series(0.0, OWN, "classes")
    assert judge(finding("RED201", terms=2), measured((series(-1.0, count="classes"), flat))).outcome is Outcome.REFUTED
    none = judge(finding("RED201", terms=2), measured((hidden, series(None, OWN, "classes"))))
    assert none.outcome is Outcome.INCONCLUSIVE
    assert "comes through this term" in none.reason
    # where nothing else is known to be added, what is measured as a whole is the term
    assert judge(finding("RED201"), measured((hidden, own))).outcome is Outcome.REFUTED


@pytest.mark.parametrize(
    ("whole", "update", "behavior", "expected"),
    [
        (0.9, 0.9, SGD, Outcome.CONFIRMED),
        (0.9, -0.1, SGD, Outcome.REFUTED),
        (1.0, 0.0, ADAM, Outcome.MUTED),
        (0.1, 0.0, ADAM, Outcome.CONFIRMED),
    ],
)
def test_the_update_of_a_term_is_that_of_the_whole_as_far_as_both_gradients_agree(
    whole: float, update: float, behavior: tuple[Behavior, str], expected: Outcome
) -> None:
    curves = (series(whole), series(1.0, OWN), series(0.0, OTHERS), series(update, "update"))
    verdict = judge(finding("RED101", behavior[0], terms=2), measured(curves, optimizer=behavior[1]))
    assert verdict.outcome is expected


def test_a_term_apart_from_the_others_is_mixed() -> None:
    apart = (series(0.0), series(1.0, OWN), series(0.0, OTHERS))
    assert outcome("RED105", measured(apart)) is Outcome.CONFIRMED
    alike = (series(1.0, powers=((1, 1.0),)), series(1.0, OWN), series(1.0, OTHERS))
    assert outcome("RED105", measured(alike)) is Outcome.REFUTED
