"""A conversation keeps its slot of a llama.cpp server."""

from hypothesis import given
from hypothesis import strategies as st

from ddxgraph.serving.llamacpp import Slots


def slot_of(slots: Slots, conversation: str) -> int:
    with slots.held(conversation) as slot:
        return slot


def test_a_conversation_keeps_its_slot_and_the_one_silent_for_longest_gives_way():
    slots = Slots(2)
    assert [slot_of(slots, name) for name in "aba"] == [0, 1, 0]
    assert [slot_of(slots, name) for name in "cc"] == [1, 1]
    assert slot_of(slots, "a") == 0


def test_a_conversation_in_the_middle_of_a_call_does_not_give_way():
    slots = Slots(2)
    with slots.held("long") as long:
        assert slot_of(slots, "short") != long
        assert slot_of(slots, "next") != long
        assert slot_of(slots, "next but one") != long
    assert slot_of(slots, "long") == long


def test_more_conversations_than_slots_share_them_and_leave_nothing_behind():
    slots = Slots(1)
    with slots.held("a") as first, slots.held("b") as second:
        assert first == second == 0
    assert [slot_of(slots, name) for name in "abc"] == [0, 0, 0]
    assert len(slots._held) == 1
    assert not slots._calls


@given(st.integers(1, 40).flatmap(lambda count: st.tuples(st.just(count), st.integers(0, count - 1))))
def test_as_many_conversations_as_slots_have_one_each_wherever_they_begin(sizes):
    count, first = sizes
    slots = Slots(count, first)
    taken = [slot_of(slots, str(number)) for number in range(count)]
    assert taken[0] == first
    assert sorted(taken) == list(range(count))
