"""Promises of the blocks: existing repetitions are used, and only missing ones are planned."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gridloom.naming.blocks import FIRST_RESERVED, Block, cover, existing_blocks


def test_a_new_point_is_one_block_unless_limited():
    assert cover([], 5, None) == [Block(0, 4)]
    assert cover([], 5, 2) == [Block(0, 1), Block(2, 3), Block(4, 4)]


def test_more_repetitions_add_only_the_new_ones():
    assert cover([Block(0, 4)], 8, None) == [Block(0, 4), Block(5, 7)]


def test_fewer_repetitions_use_what_is_there():
    assert cover([Block(0, 4), Block(5, 7)], 5, None) == [Block(0, 4)]
    assert cover([Block(0, 7)], 5, None) == [Block(0, 7)]


@given(
    st.lists(st.integers(1, 4), max_size=5),
    st.integers(1, 12),
    st.none() | st.integers(1, 5),
    st.data(),
)
def test_every_repetition_is_covered_once(sizes, repetitions, per_job, data):
    blocks, start = [], 0
    for size in sizes:
        blocks.append(Block(start, start + size - 1))
        start += size
    kept = [block for block in blocks if data.draw(st.booleans())]
    covered = cover(kept, repetitions, per_job)
    numbers = [number for block in covered for number in range(block.first, block.last + 1)]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= repetitions
    new = [block for block in covered if block not in kept]
    assert all(block.last < repetitions for block in new)


def test_whole_and_cut_records_are_listed_apart_without_removing_any(tmp_path):
    ends = {0: "}\n", 1: "}", 2: "}\r\n", 3: "}\n\n", 4: "", 5: ',"b":', 6: "}}\n\n"}
    for first, end in ends.items():
        (tmp_path / f"reps={first}-{first}.json").write_text(f'{{"a":1{end}')
    (tmp_path / "reps=7-7.json").write_text("")
    (tmp_path / "reps=8-8.json").write_text("[" * 100_000)
    (tmp_path / "reps=9-9.json").mkdir()
    (tmp_path / "note.txt").write_text("mine")
    whole, cut = existing_blocks(tmp_path)
    assert sorted(block.first for block in whole) == [0, 1, 2, 3, 9]
    assert sorted(block.first for block in cut) == [4, 5, 6, 7, 8]
    assert len(list(tmp_path.iterdir())) == 11


def test_a_point_without_a_folder_has_no_blocks(tmp_path):
    assert existing_blocks(tmp_path / "none") == ([], [])


def test_reserved_repetitions_are_covered_apart_from_those_that_choose():
    reserved = Block(FIRST_RESERVED, FIRST_RESERVED + 19)
    assert cover([Block(0, 4)], FIRST_RESERVED + 20, None, first=FIRST_RESERVED) == [reserved]
    assert cover([Block(0, 4), reserved], 10, None) == [Block(0, 4), Block(5, 9)]
