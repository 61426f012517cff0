"""HEBO behind lines of JSON; run by the Python of its own environment, which has no Optuna.

The first line gives the space and the seed; then come ``{"ask": true}``, answered by parameters,
and ``{"tell": value}``, the value of those last asked for.
"""

from __future__ import annotations

import json
import os
import random
import sys
import warnings

from hebo.design_space.design_space import DesignSpace
from hebo.optimizers.hebo import HEBO
import numpy as np
import torch


def main() -> None:
    """Answer until the other side is gone."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what HEBO's dependencies print must not come between the answers
    warnings.simplefilter("ignore")
    start = json.loads(sys.stdin.readline())
    random.seed(start["seed"])
    np.random.seed(start["seed"])  # noqa: NPY002  HEBO draws from there
    torch.manual_seed(start["seed"])
    torch.set_num_threads(1)
    optimiser = HEBO(DesignSpace().parse(start["space"]), scramble_seed=start["seed"])
    print("true", file=answers, flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        if "ask" in message:
            proposed = optimiser.suggest(1)
            answer = proposed.iloc[0].to_dict()
        else:
            optimiser.observe(proposed, np.array([[message["tell"]]]))
            answer = True
        print(json.dumps(answer, default=float), file=answers, flush=True)


if __name__ == "__main__":
    main()
