"""Which snapshots are told as one, and in which order."""

from action_src.groups import same_change, same_reason
from action_src.run import Snapshot


def snapshot(identity: str, **more: object) -> Snapshot:
    return Snapshot(identity, "CHANGED", **more)  # type: ignore[arg-type]


def ids(groups: list[tuple[Snapshot, ...]]) -> list[str]:
    return ["".join(one.id for one in group) for group in groups]


def test_what_the_server_calls_the_same_change_is_one_group() -> None:
    found = [snapshot("a", group="x"), snapshot("b", group="y"), snapshot("c", group="x")]
    assert ids(same_change(found)) == ["ac", "b"]


def test_a_server_that_knows_no_groups_leaves_each_alone() -> None:
    assert ids(same_change([snapshot("a"), snapshot("b")])) == ["a", "b"]


def test_the_worst_comes_first_within_a_group_and_among_groups() -> None:
    found = [
        snapshot("a", ratio=0.1),
        snapshot("b", ratio=0.01, group="x"),
        snapshot("c", ratio=0.5, group="x"),
        snapshot("d"),
    ]
    assert ids(same_change(found)) == ["cb", "a", "d"]


def test_of_two_that_are_as_bad_the_larger_group_comes_first() -> None:
    found = [snapshot("a", ratio=0.1), *(snapshot(x, ratio=0.1, group="x") for x in "bc")]
    assert ids(same_change(found)) == ["bc", "a"]


def test_what_somebody_approved_comes_last() -> None:
    found = [snapshot("a", ratio=0.9, review="APPROVED"), snapshot("b", ratio=0.1, review="REJECTED")]
    assert ids(same_change(found)) == ["b", "a"]


def test_errors_are_one_by_their_kind() -> None:
    found = [snapshot("a", error_kind="timeout"), snapshot("b"), snapshot("c", error_kind="timeout")]
    assert ids(same_reason(found)) == ["ac", "b"]


def test_nothing_has_no_groups() -> None:
    assert same_change([]) == []
