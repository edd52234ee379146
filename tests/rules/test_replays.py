"""What was decided before the language grew is decided the same today: hashes of rule sets and results, pinned."""

from __future__ import annotations

from rules import RuleSet, Snapshot, State, Stored, decide, default_ruleset, replay
from tests.rules.test_ruleset import form
from tests.rules.worlds import candidate, request

PEOPLE = tuple(
    candidate(
        number,
        level=["Gold", "silver", "Registered", None][number % 4],
        lat=48 + number / 100,
        lon=14.3,
        country=["AT", "DE", None][number % 3],
        capacity=1 + number % 5,
    )
    for number in range(1, 40)
)
STATE = State({3: 4, 7: 1}, {5: 1 << 31, 8: -(1 << 30)})


def test_a_rule_set_of_the_first_form_keeps_its_hash() -> None:
    assert default_ruleset().hash == "1468247ec6d9c7766e8328beb33cb7b40b444b36584eacff5cd744d5a02334d1"
    assert RuleSet.parse(form()).hash == "ff827e396cd2c18ceaee02c71459145e588cc051019aeee6a740145fa2de0d18"


def test_a_decision_by_a_rule_set_of_the_first_form_keeps_its_hash() -> None:
    """Every predicate and effect of the first form takes part."""
    rules = RuleSet.parse(form())
    decision = decide(rules, Snapshot(1, PEOPLE), request(), STATE)
    assert len(decision.ranked) > 5
    assert any(name == "boost" and value for one in decision.ranked for name, value in one.terms)
    for stored in (
        "2:bb7e778bcda623b1724301a491a4ee498dbebbfa32c612472320cdeaac736028",
        "a3e98099528f4b83ab0fb7be5596cd902dc4b51a6dc164db3c7f94d9044c8ef8",  # stored before hashes named their form
    ):
        assert replay(rules, Snapshot(1, PEOPLE), Stored(request(), STATE, stored)).same
