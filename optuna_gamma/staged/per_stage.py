"""A number that the stages of a run share, or several that they alternate between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral


@dataclass(frozen=True)
class PerStage:
    """Positive numbers that the stages alternate between: the first, …, the last, the first again.

    Attributes:
        numbers: The numbers, at least one.
    """

    numbers: tuple[int, ...]

    @staticmethod
    def of(name: str, given: int | Sequence[int]) -> PerStage:
        """Return an argument that may be one number or several.

        Args:
            name: Name of the argument, for messages.
            given: Its value.

        Raises:
            TypeError: If it is neither.
            ValueError: If a number is below 1, or there are none.
        """
        numbers = tuple(given) if isinstance(given, Sequence) else (given,)
        message = f"`{name}` must be an int of at least 1, or several, but got {given!r}."
        if any(isinstance(n, bool) or not isinstance(n, Integral) for n in numbers):
            raise TypeError(message)
        if not numbers or min(numbers) < 1:
            raise ValueError(message)
        return PerStage(tuple(map(int, numbers)))

    def __getitem__(self, stage: int) -> int:
        """Return a stage's number."""
        return self.numbers[stage % len(self.numbers)]

    def total(self, first: int, end: int) -> int:
        """Return the sum over the stages ``first .. end - 1``."""
        return sum(self[stage] for stage in range(first, end))

    @property
    def plain(self) -> int | tuple[int, ...]:
        """The one number, or the tuple of several."""
        return self.numbers[0] if len(self.numbers) == 1 else self.numbers
