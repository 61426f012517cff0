"""Random numbers that follow from a seed and what they are for, and from nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
import hashlib

import numpy as np
from optuna.study import Study


SEED_KEY = "gamma:seed"
"""Study system attribute: the seed that all samplers without one of their own share."""


@dataclass(frozen=True)
class Streams:
    """Streams of random numbers, one for each study and purpose.

    Args:
        seed: The seed; :obj:`None`: drawn once and stored with the study.
        reseeds: How often they were exchanged for others.
    """

    seed: int | None
    reseeds: int = 0

    def __call__(self, study: Study, *purpose: int | str) -> np.random.Generator:
        """Return a stream at its beginning."""
        seed = self.seed if self.seed is not None else _shared_seed(study)
        # Studies without a name get a random one; with equal seeds they are to be equal, too.
        named = not study.study_name.startswith("no-name-")
        name = study.study_name if named else None
        key = repr((seed, self.reseeds, name, *purpose)).encode()
        return np.random.default_rng(int.from_bytes(hashlib.sha256(key).digest()[:16], "big"))

    def first(self, study: Study, *purpose: int | str) -> np.random.Generator:
        """Return the stream that there was before any exchange."""
        return replace(self, reseeds=0)(study, *purpose)

    def reseeded(self) -> Streams:
        """Return other streams, the same for all that were reseeded as often."""
        return replace(self, reseeds=self.reseeds + 1)


def _shared_seed(study: Study) -> int:
    """Read the study's seed, drawing it if there is none yet."""
    storage, study_id = study._storage, study._study_id
    seed = storage.get_study_system_attrs(study_id).get(SEED_KEY)
    if seed is None:
        storage.set_study_system_attr(
            study_id, SEED_KEY, int(np.random.SeedSequence().generate_state(1)[0])
        )
        # Another worker may have drawn one at the same moment: the last one written counts.
        seed = storage.get_study_system_attrs(study_id)[SEED_KEY]
    return int(seed)
