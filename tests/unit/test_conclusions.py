from __future__ import annotations

from pathlib import Path

import pytest

from headstart.record import Verdict
from headstart.reporting import conclusions
from headstart.reporting.card import render as card
from headstart.reporting.report import render as report
from headstart.reporting.wording import NO_BREAK
from headstart.summary import summary_json, summary_lines
from records import sample_record


def gap(estimate: float, low: float, high: float) -> dict[str, float]:
    return {"estimate": estimate, "ci_low": low, "ci_high": high, "p_value": 0.01, "examples": 96}


HELPED = Verdict("pretraining-helped", {"simple": gap(0.31, 0.2, 0.4), "from_scratch": gap(0.5, 0.4, 0.6)}, 0.1)
ENOUGH = Verdict("simple-model-enough", {"simple": gap(-0.02, -0.05, 0.01), "from_scratch": gap(0.5, 0.4, 0.6)}, 0.1)
NONE = Verdict("no-difference", {"from_scratch": gap(0.001, -0.03, 0.03)}, 0.1)
FEW = Verdict("no-difference", {"simple": gap(0.01, -0.11, 0.2)}, 0.1, 412)


def said(verdict: Verdict | None, **changes) -> str:
    return conclusions.verdict(sample_record("image", verdict=verdict, **changes)).replace(NO_BREAK, " ")


def test_the_verdict_is_a_sentence_with_the_paired_intervals() -> None:
    assert said(HELPED) == (
        "Pre-training helped: on the same test examples the adapted model is 31 points better than a simple model "
        "without pre-training (95 % interval 20 to 40) and 50 points better than the same network trained from scratch "
        "(95 % interval 40 to 60, not converged)."
    )
    assert said(ENOUGH).startswith("A simple model is enough here: on the same test examples the adapted model is 2 po")
    assert "scratch" not in said(ENOUGH)
    assert "is no better than the same network trained from scratch (95 % interval -3 to 3" in said(NONE)
    assert "at least 420 are needed to see a difference of 10 points, and there are" in said(FEW)
    assert said(None) == ""


def test_other_metrics_are_told_in_their_own_measure() -> None:
    assert "helped: in R² on the same test examples the adapted model is 0.31 better than" in said(
        HELPED, first_metric="eval_r2"
    )
    assert "a difference of 0.1, and" in said(FEW, first_metric="eval_f1_micro")
    assert conclusions.difference(-0.01, -0.014, 0.004, "eval_accuracy") == ("1 point worse", "-1 to 0")
    assert conclusions.difference(-0.001, -0.004, 0.004, "eval_f1_micro") == ("no better", "0.00 to 0.00")


def test_it_is_shown_wherever_the_score_is() -> None:
    record = sample_record("image", verdict=HELPED, history=[], depths=[])
    assert conclusions.verdict(record) in report(record)
    assert conclusions.verdict(record) in card(record)
    assert conclusions.verdict(record) in list(summary_lines(record, Path("model")))
    assert summary_json(record, Path("model"))["verdict"] == "pretraining-helped"
    assert summary_json(sample_record("image"), Path("model"))["verdict"] is None


@pytest.mark.parametrize(("low", "high", "start"), [(0.01, 0.09, "They differ"), (-0.01, 0.09, "No difference")])
def test_a_comparison_says_which_is_better_or_that_noise_explains_it(low: float, high: float, start: str) -> None:
    found = {"metric": "eval_accuracy", "difference": 0.05, "ci_low": low, "ci_high": high, "p_value": 0.0001}
    told = conclusions.comparison(found).replace(NO_BREAK, " ")
    assert told.startswith(start)
    assert f"A is 5 points better than B (95 % interval {100 * low:.0f} to 9, p below 0.001)" in told
