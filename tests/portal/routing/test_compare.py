"""Two rule sets side by side: each row of both exactly once, the fewest rows told as moved."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from portal.routing.rulesets.compare import compare_rows, compare_settings


def row(id_: str, **cells: Any) -> dict[str, Any]:
    return {"id": id_, "when": cells, "who": {"level": ["gold"]}, "effect": {"kind": "require"}}


def test_rows_are_added_removed_changed_moved() -> None:
    before = [row("a"), row("b"), row("c", country=["AT"]), row("d")]
    after = [row("a"), row("c", country=["CZ"], source=["web"]), row("new"), row("d"), row("b")]
    found = [(one.kind, one.id, one.was_at, one.at) for one in compare_rows(before, after)]
    assert found == [
        ("same", "a", 1, 1), ("changed", "c", 3, 2), ("added", "new", None, 3), ("same", "d", 4, 4), ("moved", "b", 2, 5),
    ]  # fmt: skip
    assert compare_rows(before, after)[1].cells == ("when.country", "when.source")
    assert [(one.kind, one.id) for one in compare_rows(before, before[1:3])] == [
        ("removed", "a"), ("same", "b"), ("same", "c"), ("removed", "d"),
    ]  # fmt: skip


@given(
    st.permutations(list("abcdefgh")),
    st.sets(st.sampled_from("abcdefgh")),
    st.sets(st.sampled_from("uvwxyz")),
)
def test_every_row_of_both_stands_once(order: list[str], gone: set[str], new: set[str]) -> None:
    before = [row(id_) for id_ in "abcdefgh"]
    after = [row(id_) for id_ in [*(i for i in order if i not in gone), *sorted(new)]]
    found = compare_rows(before, after)
    assert sorted(one.id for one in found) == sorted({*"abcdefgh", *new})
    assert {one.id for one in found if one.kind == "removed"} == gone
    assert [one.id for one in found if one.kind != "removed"] == [one["id"] for one in after]
    still = [one.was_at for one in found if one.kind == "same"]
    assert still == sorted(still), "rows that are told as unmoved stand in their old order"


def test_settings_by_path() -> None:
    before = {
        "name": "A",
        "version": 1,
        "score": {"level": {"weight": 40, "points": {"gold": 90}}},
        "rules": [1],
    }
    after = {
        "name": "A",
        "version": 2,
        "score": {"level": {"weight": 30, "points": {"gold": 90, "silver": 5}}},
        "rules": [],
    }
    assert [(one.path, one.before, one.after) for one in compare_settings(before, after)] == [
        ("score.level.weight", 40, 30), ("score.level.points.silver", None, 5),
    ]  # fmt: skip
