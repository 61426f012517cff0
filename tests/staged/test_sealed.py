"""A sealed file is, bit for bit, what was written, or refused."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
import pytest

from optuna_gamma.staged import StagedSchedule
from optuna_gamma.staged import StageRecord
from optuna_gamma.staged.sealed import seal
from optuna_gamma.staged.sealed import unseal


FIELDS = {"schema_version": 1, "name": "é", "value": [float("inf"), -0.5, None, {"a": 1}]}
SCHEDULE = StagedSchedule([StageRecord(0, {"lr": 0.1}, 0.9, {"epochs": 3}, 2, "checkpoints/x")])


def test_round_trip() -> None:
    expected = {key: value for key, value in FIELDS.items() if key != "schema_version"}
    assert unseal(seal(FIELDS), 1) == expected
    assert unseal(seal(FIELDS).decode(), 1) == expected


@pytest.mark.parametrize(
    ("content", "read"),
    [
        (seal(FIELDS), lambda content: unseal(content, 1)),
        (SCHEDULE.to_json().encode(), StagedSchedule.from_json),
    ],
)
def test_every_flipped_bit_and_every_cut_is_refused(
    content: bytes, read: Callable[[bytes], object]
) -> None:
    read(content)
    for where in range(len(content)):
        with pytest.raises(ValueError, match=r"."):
            read(content[:where])
        with pytest.raises(ValueError, match=r"."):
            read(content[:where] + content[where + 1 :])
        for bit in range(8):
            flipped = bytes([content[where] ^ 1 << bit])
            with pytest.raises(ValueError, match=r"."):
                read(content[:where] + flipped + content[where + 1 :])


@given(st.binary() | st.text())
def test_what_was_never_sealed_is_refused(content: bytes | str) -> None:
    with pytest.raises(ValueError, match=r"."):
        unseal(content, 1)


def test_a_schedule_written_by_hand_needs_no_checksum() -> None:
    text = SCHEDULE.to_json()
    by_hand = text[: text.index(',\n  "sha256"')] + "\n}"
    assert StagedSchedule.from_json(by_hand) == SCHEDULE
    with pytest.raises(ValueError, match="its fields are"):
        StagedSchedule.from_json(by_hand.replace('"stages"', '"more": 1, "stages"'))
