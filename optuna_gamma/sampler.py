"""GammaBOSampler: Bayesian optimisation with a Gamma prior on the precision, for Optuna."""

from __future__ import annotations

from collections.abc import Sequence
import copy
from dataclasses import dataclass
from dataclasses import replace
import hashlib
import json
import logging
from typing import Any
from typing import get_args
import warnings

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.search_space import intersection_search_space
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
from scipy.stats import qmc

from optuna_gamma.bo.acquisition import Acquisition
from optuna_gamma.bo.acquisition import make_acquisition
from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.fit import default_model
from optuna_gamma.bo.fit import informative
from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray
from optuna_gamma.bo.maximize import maximize
from optuna_gamma.bo.maximize import ROUNDS
from optuna_gamma.bo.outliers import fit_trusted
from optuna_gamma.bo.process import condition
from optuna_gamma.bo.process import GammaPrior
from optuna_gamma.bo.process import Process
from optuna_gamma.bo.transfer import SOURCE
from optuna_gamma.bo.transfer import TARGET
from optuna_gamma.bo.transfer import Target
from optuna_gamma.bo.transfer import with_task
from optuna_gamma.bo.transfer import with_tasks
from optuna_gamma.bo.transform import resolution
from optuna_gamma.bo.transform import spoilt
from optuna_gamma.bo.transform import standardize
from optuna_gamma.bo.transform import standardize_beside
from optuna_gamma.history import history
from optuna_gamma.history import Observations
from optuna_gamma.history import observe
from optuna_gamma.space import Space


_logger = logging.getLogger(__name__)

SEED_KEY = "gamma:seed"
"""Study system attribute: the seed that all samplers without one of their own share."""

THETA_KEY = "gamma:theta"
"""Trial system attribute: fitted hyper-parameters, where the next fit starts."""

_MAX_ATTR_LENGTH = 2045

_DETERMINISTIC_NOISE = 1e-6

_REFIT_GROWTH = 1.05
"""Hyper-parameters are fitted again when there are so many times more trials than at the last fit,
but not before there are two more: every second time up to 40 trials, every fifth time at 100."""

_MAX_TRIALS = 1000
"""Of more trials the model sees the better half of so many, and others evenly chosen."""

_FEW, _FEW_ROUNDS = 20, 7
"""With fewer trials the peaks of the acquisition function are broad, and found in fewer rounds."""

_MAX_SOURCE_TRIALS = 100
"""Likewise of source trials."""

_SPOILT_NOISE = 4.0
"""Noise ratio of completed trials whose values are absurd: such a value may be an accident. That a
trial failed or was pruned says something of where it was."""


class GammaBOSampler(BaseSampler):
    """Sampler for few, expensive trials: Bayesian optimisation with a Gamma prior.

    The objective is modelled by a Gaussian process whose precision (one over its variance) is
    unknown and has a Gamma prior. Integrated out, it makes predictions Student-t: with few trials
    the tails are heavy and the search stays curious; with many they become Gaussian. The next
    trial maximises the expected improvement under these predictions.

    Trials that failed, such as diverged trainings, or were pruned count as bad ones, so that what
    made them so is not proposed again.

    Values that are absurdly bad are taken for what they are most of the time, accidents, and
    believed little; values that the others contradict are left out of the model.

    Hyper-parameters are fitted again when there are 5 %, and two, more trials than at the last
    fit, to at most 300 trials; of more than 1,000 trials the model sees the better half of a
    thousand and an even choice of the others. So the time of a proposal is bounded.

    The sampler keeps no state: what it proposes is a function of the seed, the study's name, the
    trial's number and the trials in the storage. A study that is resumed goes on as if it had
    never stopped, and threads and processes can share a sampler or have one each.

    Args:
        seed: Seed of all random choices. :obj:`None`: drawn once and stored with the study, so
            that all its workers share it.
        acquisition: ``"gamma"``: expected improvement under Student-t predictions;
            ``"gaussian"``: under Gaussian predictions of the same location and scale;
            ``"conjugate"``: the update of the thesis that this package is named after, kept as a
            baseline.
        prior: Prior of the precision of the standardised values.
        n_startup_trials: Number of trials to complete before the first fit. The first of them
            is the middle of the search space (of the logarithm with ``log=True``), with random
            categories; the others come from a scrambled Sobol sequence.
        independent_sampler: Sampler for the parameters that are not in every completed trial,
            and for those of the first trial, which then is not the middle. Defaults to drawing
            them uniformly.
        deterministic_objective: :obj:`None`: noise is learned, and points of a finite space are
            not proposed twice while others are left. :obj:`False`: noise is learned, repeats are
            allowed. :obj:`True`: noise is fixed near zero.
        source_trials: Finished trials of a related study, such as ``study.trials`` of one on
            other data, whose objective has the same direction. The model learns how far they
            are to be believed: the first trial is what they suggest, the second the middle of
            the space, since two good points would not show that the others mislead. There are no
            start-up trials besides. Of more than 100 the model sees the better half of a
            hundred and an even choice of the others; those outside the search space are not used.
        warn_independent_sampling: Whether to warn when a parameter is sampled independently
            after the start-up trials.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import optuna
        >>> from optuna_gamma import GammaBOSampler
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> study = optuna.create_study(sampler=GammaBOSampler(seed=1))
        >>> study.optimize(lambda t: (t.suggest_float("x", -5, 5) - 2) ** 2, n_trials=15)
        >>> abs(study.best_params["x"] - 2) < 0.1
        True
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        acquisition: Acquisition = "gamma",
        prior: GammaPrior | None = None,
        n_startup_trials: int = 4,
        independent_sampler: BaseSampler | None = None,
        deterministic_objective: bool | None = None,
        source_trials: Sequence[FrozenTrial] | None = None,
        warn_independent_sampling: bool = True,
    ) -> None:
        if acquisition not in get_args(Acquisition):
            names = ", ".join(f'"{name}"' for name in get_args(Acquisition))
            raise ValueError(f"`acquisition` must be one of {names}, but got {acquisition!r}.")
        if n_startup_trials < 0:
            raise ValueError(f"`n_startup_trials` must not be negative, got {n_startup_trials}.")
        if seed is not None and seed < 0:
            raise ValueError(f"`seed` must not be negative, but got {seed}.")
        self._seed = seed
        self._reseeds = 0
        self._acquisition: Acquisition = acquisition
        self._prior = prior or GammaPrior()
        self._n_startup_trials = n_startup_trials
        self._independent_sampler = independent_sampler
        self._deterministic_objective = deterministic_objective
        self._source_trials = _check_source(source_trials or (), acquisition)
        self._warn_independent_sampling = warn_independent_sampling

    def reseed_rng(self) -> None:
        """Go over to other random choices, the same for every sampler reseeded as often."""
        self._reseeds += 1
        if self._independent_sampler is not None:
            self._independent_sampler.reseed_rng()

    def with_source_trials(self, trials: Sequence[FrozenTrial]) -> GammaBOSampler:
        """Return a sampler that knows other source trials, and is as this one otherwise.

        Args:
            trials: See ``source_trials``.
        """
        sampler = copy.copy(self)
        sampler._source_trials = _check_source(trials, self._acquisition)
        return sampler

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the parameters that every completed trial has, but for single-valued ones."""
        self._raise_error_if_multi_objective(study)
        trials = study._get_trials(deepcopy=False, use_cache=True)
        space = history(study, trials).search_space(study)
        if not space and self._source_trials:
            space = intersection_search_space(self._source_trials)
        return {name: kind for name, kind in space.items() if not kind.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose parameters from the trials so far."""
        self._raise_error_if_multi_objective(study)
        if not search_space or (trial.number == 1 and self._source_trials):
            return {}
        space = Space(search_space)
        trials = study._get_trials(deepcopy=False, use_cache=False)
        seen = history(study, trials).observe(study, trials, space, trial.number)
        source = self._source(study, space)
        is_complete = np.append(source.is_complete, seen.is_complete)
        if not is_complete.any() or len(is_complete) < self._n_startup_trials:
            return space.decode(self._startup_point(study, trial, space))

        rng = self._rng(study, trial.number, "relative")
        with np.errstate(all="ignore"):
            x, known = self._propose(space, seen, source, _known(trials, trial), rng)
        if len(encoded := known.to_json()) <= _MAX_ATTR_LENGTH:
            study._storage.set_trial_system_attr(trial._trial_id, THETA_KEY, encoded)
        return space.decode(x)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw one parameter by itself."""
        self._raise_error_if_multi_objective(study)
        if self._warn_independent_sampling:
            states = (TrialState.COMPLETE,)
            complete = study._get_trials(deepcopy=False, states=states, use_cache=True)
            if len(complete) >= max(self._n_startup_trials, 1):
                _logger.warning(
                    f"The parameter `{param_name}` in Trial#{trial.number} is sampled "
                    "independently, without the model, potentially degrading the optimization "
                    "performance, because it is not in every completed trial with the same range. "
                    "Set `warn_independent_sampling=False` in `GammaBOSampler` to suppress this "
                    "warning."
                )
        if self._independent_sampler is not None:
            return self._independent_sampler.sample_independent(
                study, trial, param_name, param_distribution
            )
        space = Space({param_name: param_distribution})
        cube = space.cube
        in_middle = trial.number == (1 if self._source_trials else 0)
        if in_middle and not cube.is_categorical.any():
            x = cube.snap(np.full((1, 1), 0.5))
        else:
            x = cube.from_unit(self._rng(study, trial.number, param_name).random((1, 1)))
        return space.decode(x[0])[param_name]

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Tell the independent sampler."""
        if self._independent_sampler is not None:
            self._independent_sampler.before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Tell the independent sampler."""
        if self._independent_sampler is not None:
            self._independent_sampler.after_trial(study, trial, state, values)

    def _source(self, study: Study, space: Space) -> Observations:
        """Return the source trials that lie in a space."""
        trials = [trial for trial in self._source_trials if space.contains(trial.params)]
        seen = observe(trials, space, study.direction)
        kept = informative(seen.values, _MAX_SOURCE_TRIALS)
        return replace(
            seen, X=seen.X[kept], values=seen.values[kept], is_complete=seen.is_complete[kept]
        )

    def _propose(
        self,
        space: Space,
        seen: Observations,
        source: Observations,
        known: _Known | None,
        rng: np.random.Generator,
    ) -> tuple[Array, _Known]:
        """Return the next point (d,) and the hyper-parameters to go on with."""
        cube = space.cube
        process, known = self._process(cube, seen, source, known)
        anchors = process.X[np.argsort(-process.location, kind="stable")[:3]]
        if len(seen.pending):
            process = process.pend(seen.pending)
        acquisition = make_acquisition(
            self._acquisition, process, self._prior, resolution(process.y)
        )
        taken = seen.pending
        if self._deterministic_objective is not False:
            taken = np.concatenate([seen.X, seen.pending])
        rounds = _FEW_ROUNDS if len(seen.values) < _FEW else ROUNDS
        x = maximize(acquisition, cube, anchors, taken, rng, rounds)
        if x is None:
            _logger.debug("All points of the search space were tried; one is repeated.")
            x = maximize(acquisition, cube, anchors, np.empty((0, cube.dim)), rng)
            assert x is not None
        return x, known

    def _process(
        self, cube: Cube, seen: Observations, source: Observations, known: _Known | None
    ) -> tuple[Process | Target, _Known]:
        """Condition on what was seen; fit the hyper-parameters if it is time to."""
        n = len(seen.values)
        model = default_model(
            cube, self._prior, _DETERMINISTIC_NOISE if self._deterministic_objective else None
        )
        has_source = bool(source.is_complete.any())
        if has_source:
            model = with_tasks(model, cube.dim)
        n_theta = cube.dim + has_source + 2
        if known is not None and (len(known.theta) != n_theta or n < known.n):
            known = None  # of another space
        kept = informative(seen.values, _MAX_TRIALS)
        if known is not None and n < max(known.n + 2, _REFIT_GROWTH * known.n):
            kept = kept[~np.isin(seen.numbers[kept], known.distrusted)]
            data = _Data.of(cube, seen, kept, source)
            process = condition(
                data.X,
                data.standardized(np.ones(len(data.X), dtype=np.bool_)),
                data.is_categorical,
                known.theta,
                self._prior,
                True,
                data.extra,
                model.task_offset,
            )
        else:
            data = _Data.of(cube, seen, kept, source)
            process, trusted = fit_trusted(
                data.X,
                data.standardized,
                data.is_categorical,
                model,
                start=known.theta if known else None,
                extra=data.extra,
                is_suspect=data.is_suspect,
            )
            known = _Known(n, process.theta, seen.numbers[kept[~trusted[: len(kept)]]])
        return Target(process) if has_source else process, known

    def _startup_point(self, study: Study, trial: FrozenTrial, space: Space) -> Array:
        rng = self._rng(study, "startup")
        with warnings.catch_warnings():
            # Only powers of two are balanced, but any number of start-up trials is legal.
            warnings.simplefilter("ignore", UserWarning)
            sobol = qmc.Sobol(space.cube.dim, scramble=True, rng=rng).random(trial.number + 1)
            point: Array = space.cube.from_unit(sobol[-1:])[0]
        return point

    def _rng(self, study: Study, *purpose: int | str) -> np.random.Generator:
        seed = self._seed if self._seed is not None else _shared_seed(study)
        # Studies without a name get a random one; with equal seeds they are to be equal, too.
        named = not study.study_name.startswith("no-name-")
        name = study.study_name if named else None
        key = repr((seed, self._reseeds, name, *purpose)).encode()
        return np.random.default_rng(int.from_bytes(hashlib.sha256(key).digest()[:16], "big"))


def _check_source(trials: Sequence[FrozenTrial], acquisition: str) -> list[FrozenTrial]:
    """Return the finished ones of source trials."""
    if trials and acquisition == "conjugate":
        raise ValueError(
            '`source_trials` need `acquisition` "gamma" or "gaussian": "conjugate", which draws '
            "predictions towards the mean of all values, cannot tell them from the study's own."
        )
    for trial in trials:
        if not isinstance(trial, FrozenTrial):
            raise TypeError(
                "`source_trials` must be trials of a study, such as `study.trials`, but one is "
                f"{trial!r}."
            )
        if trial.values is not None and len(trial.values) != 1:
            raise ValueError(
                "`source_trials` must have one value each, but trial "
                f"{trial.number} has {len(trial.values)}."
            )
    return [trial for trial in trials if trial.state.is_finished()]


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


@dataclass(frozen=True)
class _Data:
    """What a process is fitted to: the n trials of the study, then the m source trials.

    X: Points, (n + m, d), with the task as one more coordinate if there are source trials.
    is_categorical: Which coordinates are categorical.
    values: Values of the study's trials, (n,).
    source_values: Values of the source trials, (m,).
    extra: Noise of single observations beyond that of all, (n + m,).
    is_suspect: Which of them may be outliers, (n + m,).
    """

    X: Array
    is_categorical: BoolArray
    values: Array
    source_values: Array
    extra: Array
    is_suspect: BoolArray

    @staticmethod
    def of(cube: Cube, seen: Observations, kept: NDArray[np.intp], source: Observations) -> _Data:
        values, is_complete = seen.values[kept], seen.is_complete[kept]
        is_spoilt = spoilt(values) & is_complete
        is_suspect = is_complete & ~is_spoilt
        if not source.is_complete.any():
            extra = np.where(is_spoilt, _SPOILT_NOISE, 0.0)
            none = np.empty(0)
            return _Data(seen.X[kept], cube.is_categorical, values, none, extra, is_suspect)
        is_spoilt = np.append(is_spoilt, spoilt(source.values) & source.is_complete)
        return _Data(
            X=np.concatenate([with_task(seen.X[kept], TARGET), with_task(source.X, SOURCE)]),
            is_categorical=np.append(cube.is_categorical, True),
            values=values,
            source_values=source.values,
            extra=np.where(is_spoilt, _SPOILT_NOISE, 0.0),
            is_suspect=np.append(is_suspect, np.zeros(len(source.values), dtype=np.bool_)),
        )

    def standardized(self, chosen: BoolArray) -> Array:
        """Return the standardised values of chosen observations, all source trials included."""
        values = self.values[chosen[: len(self.values)]]
        if len(self.source_values) == 0:
            return standardize(values)
        return np.concatenate(standardize_beside(values, self.source_values))


@dataclass(frozen=True)
class _Known:
    """What a fit found.

    n: Number of trials that it saw.
    theta: Hyper-parameters.
    distrusted: Numbers of the trials that it left out.
    """

    n: int
    theta: Array
    distrusted: NDArray[np.intp]

    def to_json(self) -> str:
        theta = [round(float(t), 4) for t in self.theta]
        content = {"n": self.n, "theta": theta, "distrusted": self.distrusted.tolist()}
        return json.dumps(content, separators=(",", ":"))

    @staticmethod
    def from_json(encoded: str) -> _Known:
        content = json.loads(encoded)
        return _Known(
            content["n"],
            np.array(content["theta"], dtype=np.float64),
            np.array(content["distrusted"], dtype=np.intp),
        )


def _known(trials: Sequence[FrozenTrial], trial: FrozenTrial) -> _Known | None:
    """Return what was written with the newest finished trial before this one that has any."""
    for t in reversed(trials[: trial.number]):
        if t.state.is_finished() and (encoded := t.system_attrs.get(THETA_KEY)):
            return _Known.from_json(encoded)
    return None
