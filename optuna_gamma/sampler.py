"""GammaBOSampler: Bayesian optimisation with a Gamma prior on the precision, for Optuna."""

from __future__ import annotations

from collections.abc import Sequence
import copy
import hashlib
import logging
from typing import Any
from typing import get_args
import warnings

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
from scipy.stats import qmc

from optuna_gamma.bo.acquisition import Acquisition
from optuna_gamma.bo.fit import informative
from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray
from optuna_gamma.bo.process import GammaPrior
from optuna_gamma.fits import read_fits
from optuna_gamma.fits import SUGGESTED_KEY
from optuna_gamma.fits import write_fits
from optuna_gamma.history import as_of
from optuna_gamma.history import Column
from optuna_gamma.history import history
from optuna_gamma.history import observe
from optuna_gamma.proposal import Proposer
from optuna_gamma.source import SourceTrials
from optuna_gamma.space import Space
from optuna_gamma.space import without_single
from optuna_gamma.surrogate import known
from optuna_gamma.view import View


_logger = logging.getLogger(__name__)

SEED_KEY = "gamma:seed"
"""Study system attribute: the seed that all samplers without one of their own share."""


class GammaBOSampler(BaseSampler):
    """Sampler for few, expensive trials: Bayesian optimisation with a Gamma prior.

    The objective is modelled by a Gaussian process whose precision (one over its variance) is
    unknown and has a Gamma prior. Integrated out, it makes predictions Student-t: with few trials
    the tails are heavy and the search stays curious; with many they become Gaussian. The next
    trial maximises the expected improvement under these predictions.

    Trials that failed, such as diverged trainings, or were pruned count as bad ones, so that what
    made them so is not proposed again.

    With several objectives each has a process of its own, and the next trial maximises the
    expected hypervolume improvement over the front of the trials so far: exactly for up to three
    objectives, by quadrature along 32 random directions above. In the standardised values of the
    model, the reference point lies below the worst value on the front by a tenth of the front's
    extent, and by half a standard deviation at least.

    So has each constraint that trials set by :meth:`optuna.trial.Trial.set_constraint`: the
    improvement, over feasible trials alone, is multiplied by the probability that all constraints
    are met; while no trial is feasible, this probability is maximised. Constraints are told apart
    by their keys. What a trial does not set is unknown, and taken as the model predicts it.

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
            baseline for one objective.
        prior: Prior of the precision of the standardised values.
        n_startup_trials: Number of trials to complete before the first fit. The first of them
            is the middle of the search space (of the logarithm with ``log=True``), with random
            categories; the others come from a scrambled Sobol sequence.
        independent_sampler: Sampler for the parameters that are not in every completed trial,
            and for those of the first trial, which then is not the middle; not for what source
            trials suggest. Defaults to drawing them uniformly.
        deterministic_objective: :obj:`None`: noise is learned, and points of a finite space are
            not proposed twice while others are left. :obj:`False`: noise is learned, repeats are
            allowed. :obj:`True`: noise is fixed near zero.
        source_trials: Finished trials of a related study, such as ``study.trials`` of one on
            other data, whose objective has the same direction. The model learns how far they
            are to be believed: the first trial is what they suggest, the second the middle of
            the space, since two good points would not show that the others mislead. There are no
            start-up trials besides. Of more than 100 the model sees the better half of a
            hundred and an even choice of the others. Those outside the search space are not used:
            where none is left that was completed, all is as without them. One objective only; of
            their constraints nothing is used.
        warn_independent_sampling: Whether to warn when a parameter is sampled independently
            after the start-up trials.

    Raises:
        TypeError: If the source trials are no trials.
        ValueError: If an argument is out of range; when it proposes, if a study with several
            objectives meets ``acquisition="conjugate"`` or source trials.

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
        self._proposer = Proposer(acquisition, prior or GammaPrior(), deterministic_objective)
        self._n_startup_trials = n_startup_trials
        self._independent_sampler = independent_sampler
        self._source = _source(() if source_trials is None else source_trials, acquisition)
        self._warn_independent_sampling = warn_independent_sampling

    @property
    def prior(self) -> GammaPrior:
        """Prior of the precision of the standardised values."""
        return self._proposer.prior

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
        sampler._source = _source(trials, self._acquisition)
        return sampler

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the parameters that every completed trial has, but for single-valued ones."""
        self._check(study)
        trials = study._get_trials(deepcopy=False, use_cache=True)
        return without_single(history(study, trials).search_space(study))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose parameters from the trials so far."""
        self._check(study)
        space = Space(search_space or self._source.search_space())
        if not space.distributions:
            return {}
        source = self._source.observe(space, study.directions[0])
        if trial.number == 1 and source is not None:
            return {
                name: self._draw(study, trial, name, kind, in_middle=True)
                for name, kind in search_space.items()
            }
        params = space.decode(self._point(study, trial, space, source))
        if search_space:
            return params
        # Optuna would refuse parameters of another kind than the study's: it is not known yet.
        study._storage.set_trial_system_attr(trial._trial_id, SUGGESTED_KEY, params)
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw one parameter by itself."""
        self._check(study)
        # In a first trial no more is known of the search space.
        space = Space(without_single({**trial.distributions, param_name: param_distribution}))
        suggested = trial.system_attrs.get(SUGGESTED_KEY, {}) if len(self._source) else {}
        is_possible = Space({param_name: param_distribution}).contains(suggested)
        if is_possible and self._source.has_completed_in(space):
            value = param_distribution.to_internal_repr(suggested[param_name])
            return param_distribution.to_external_repr(value)
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
        in_middle = self._is_first_without_source(trial, space)
        return self._draw(study, trial, param_name, param_distribution, in_middle)

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

    def view(
        self, study: Study, number: int | None = None, most: int | None = None
    ) -> View | None:
        """Look at what a trial was proposed from, or the next one will be; writes nothing of it.

        Args:
            study: A study with one objective, which may have been sampled by another sampler.
            number: Number of a trial; :obj:`None` is the next one.
            most: How many trials the process is to know at most: a first fit to very many takes
                long, which a sampler that took part from the beginning never has to do.

        Returns:
            The view; :obj:`None` if it was, or will be, a start-up trial.
        """
        all_trials = study._get_trials(deepcopy=False, use_cache=False)
        n = len(all_trials) if number is None else number
        trials = as_of(all_trials, n)
        space = Space(without_single(history(study, all_trials).search_space(study)))
        source = self._source.observe(space, study.direction)
        seen = observe(trials, space, study.directions)
        if not space.distributions or not self._can_fit(seen.is_complete, source):
            return None
        if most is not None:
            seen = seen[informative(seen.values[:, 0], most)]
        with np.errstate(all="ignore"):
            last = read_fits(all_trials, n + 1, space)
            models = self._proposer.fit(space.cube, seen, source, last)
            rng = self._rng(study, n, "relative")
            params, column = None, seen.objective(0)
            if number is None:
                params = space.decode(self._proposer.choose(space.cube, seen, models, rng))
            _, acquisition = models.acquisition(self._proposer, seen, rng)
        column = column[known(column, models.fits[""])]
        return View(space, column, models.objectives[0], acquisition, params)

    def _can_fit(self, is_complete: BoolArray, source: Column | None) -> bool:
        if source is not None:
            is_complete = np.append(source.is_complete, is_complete)
        return bool(is_complete.any()) and len(is_complete) >= self._n_startup_trials

    def _check(self, study: Study) -> None:
        """Raise an error if something given does not go with several objectives."""
        if len(study.directions) == 1:
            return
        if self._acquisition == "conjugate":
            raise ValueError(
                'Several objectives need `acquisition` "gamma" or "gaussian": "conjugate" has no '
                "hypervolume improvement."
            )
        if len(self._source):
            raise ValueError(
                "`source_trials` have one value each: they cannot be used with several objectives."
            )

    def _point(
        self, study: Study, trial: FrozenTrial, space: Space, source: Column | None
    ) -> Array:
        """Return the next point of a space, (d,)."""
        trials = study._get_trials(deepcopy=False, use_cache=False)
        seen = history(study, trials).observe(study, trials, space, trial.number)
        if not self._can_fit(seen.is_complete, source):
            return self._startup_point(study, trial, space)

        rng = self._rng(study, trial.number, "relative")
        with np.errstate(all="ignore"):
            last = read_fits(trials, trial.number, space)
            x, fits = self._proposer(space.cube, seen, source, last, rng)
        write_fits(study, trial, fits)
        return x

    def _draw(
        self,
        study: Study,
        trial: FrozenTrial,
        name: str,
        distribution: BaseDistribution,
        in_middle: bool,
    ) -> Any:
        """Draw one parameter uniformly, or take its middle if it has one."""
        space = Space({name: distribution})
        cube = space.cube
        if in_middle and not cube.is_categorical.any():
            x = cube.snap(np.full((1, 1), 0.5))
        else:
            x = cube.from_unit(self._rng(study, trial.number, name).random((1, 1)))
        return space.decode(x[0])[name]

    def _is_first_without_source(self, trial: FrozenTrial, space: Space) -> bool:
        """Tell whether a trial is the first that source trials in a space suggest nothing for."""
        if trial.number > 1:
            return False
        return trial.number == int(self._source.has_completed_in(space))

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


def _source(trials: Sequence[FrozenTrial], acquisition: str) -> SourceTrials:
    source = SourceTrials(trials)
    if len(source) and acquisition == "conjugate":
        raise ValueError(
            '`source_trials` need `acquisition` "gamma" or "gaussian": "conjugate", which draws '
            "predictions towards the mean of all values, cannot tell them from the study's own."
        )
    return source


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
