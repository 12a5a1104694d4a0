"""Every check, also those of other packages, finds the fault that it is for, and nothing in clean data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evidence import clean_evidence
from headstart.checking.checks.contract import Case, Check, Problem
from headstart.registry import plugins
from headstart.types import KINDS, Kind

CHECKS: dict[str, Check] = plugins("checking.checks")
EVERY = [(name, kind) for name, check in CHECKS.items() for kind in check.kinds if kind != "video"]
swept = pytest.mark.parametrize(("name", "kind"), EVERY, ids=["-".join(one) for one in EVERY])


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_a_check_says_what_it_is(name: str) -> None:
    check = CHECKS[name]
    assert isinstance(check, Check)
    assert check.name == name
    assert set(check.kinds) <= set(KINDS)
    assert check.needs in ("", "vectors", "sketches")


@swept
def test_clean_data_have_no_problem(name: str, kind: Kind) -> None:
    assert list(CHECKS[name].find(clean_evidence(kind))) == []


@swept
def test_the_planted_fault_is_found_and_told(name: str, kind: Kind) -> None:
    evidence = CHECKS[name].plant(clean_evidence(kind))
    problems = list(CHECKS[name].find(evidence))
    assert problems
    known = {example.name for example in evidence.examples} | {skipped.name for skipped in evidence.unreadable}
    for problem in problems:
        assert isinstance(problem, Problem)
        assert problem.kind == problem.kind.lower().replace(" ", "-")
        assert problem.what
        assert problem.advice.endswith(".")
        assert problem.cases
        assert all(isinstance(case, Case) and case.names and set(case.names) <= known for case in problem.cases)
        assert all(0 <= case.score <= 1 for case in problem.cases)


@swept
def test_looking_twice_finds_the_same(name: str, kind: Kind) -> None:
    evidence = CHECKS[name].plant(clean_evidence(kind))
    assert list(CHECKS[name].find(evidence)) == list(CHECKS[name].find(evidence))


@swept
def test_a_check_survives_data_without_examples_and_with_few(name: str, kind: Kind) -> None:
    evidence = clean_evidence(kind)
    for count in (0, 1, 3):
        few = evidence.examples[:count]
        dataset = replace(evidence.dataset, examples=few)
        assert evidence.vectors is not None
        left = replace(evidence, dataset=dataset, embedded=few, vectors=evidence.vectors[:count])
        left = replace(left, sketches={one.name: left.sketches[one.name] for one in few if one.name in left.sketches})
        list(CHECKS[name].find(left))
