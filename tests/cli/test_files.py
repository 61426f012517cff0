"""Files of a run's folder are whole, and say so."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
import pytest

from optuna_gamma.cli.files import write
from optuna_gamma.cli.seal import seal_text
from optuna_gamma.cli.seal import unseal_text
from optuna_gamma.staged.directory import RunDirectory


SEALED = seal_text('lr-min = 0.001\nname = "é"\n')


@given(st.text())
def test_round_trip(text: str) -> None:
    assert unseal_text(seal_text(text)) == text


def test_every_flipped_bit_and_every_cut_is_refused() -> None:
    content = SEALED.encode()
    damaged = [content[:where] for where in range(len(content))]
    damaged += [content[:where] + content[where + 1 :] for where in range(len(content))]
    damaged += [
        content[:where] + bytes([content[where] ^ 1 << bit]) + content[where + 1 :]
        for where in range(len(content))
        for bit in range(8)
    ]
    for changed in damaged:
        with pytest.raises(ValueError, match=r"."):
            unseal_text(changed.decode())


def test_a_file_is_written_again_if_another_worker_collects_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, collected = RunDirectory._rename, []

    def collect(self: RunDirectory, aside: str, name: str) -> None:
        if not collected:
            collected.append(aside)
            self.remove(aside)
        rename(self, aside, name)

    monkeypatch.setattr(RunDirectory, "_rename", collect)
    write(tmp_path / "x", b"1")
    assert (tmp_path / "x").read_bytes() == b"1"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["x"]
