"""GammaBOSampler: Bayesian optimisation with a Gamma prior on the precision, for Optuna."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import copy
import logging
import math
import operator
from typing import Any
from typing import get_args

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.samplers import PartialFixedSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_gamma.bo.acquisition import Acquisition
from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.process import GammaPrior
from optuna_gamma.conditional import merge
from optuna_gamma.conditional import restricted_cube
from optuna_gamma.conditional import values
from optuna_gamma.fits import read_fits
from optuna_gamma.fits import SUGGESTED_KEY
from optuna_gamma.fits import write_fits
from optuna_gamma.history import Column
from optuna_gamma.history import history
from optuna_gamma.history import Observations
from optuna_gamma.pending import share
from optuna_gamma.proposal import learn_cube
from optuna_gamma.proposal import Proposer
from optuna_gamma.rivals import settle
from optuna_gamma.source import SourceTrials
from optuna_gamma.space import Space
from optuna_gamma.space import without_single
from optuna_gamma.streams import Streams
from optuna_gamma.unmodelled import draw
from optuna_gamma.unmodelled import middle
from optuna_gamma.unmodelled import startup_point
from optuna_gamma.view import look
from optuna_gamma.view import View


_logger = logging.getLogger(__name__)
_user_logger = optuna.logging.get_logger(f"optuna.{__name__}")

EXHAUSTED_KEY = "gamma:exhausted"
"""Study system attribute: whether it was said that all points of its space are taken."""


class GammaBOSampler(BaseSampler):
    """Sampler for few, expensive trials: Bayesian optimisation with a Gamma prior.

    The objective is modelled by a Gaussian process whose precision (one over its variance) is
    unknown and has a Gamma prior. Integrated out, it makes predictions Student-t: with few trials
    the tails are heavy and the search stays curious; with many they become Gaussian. The next
    trial maximises the expected improvement under these predictions.

    Trials that failed, such as diverged trainings, count as bad ones, so that what made them so
    is not proposed again; but for those that were tried again, such as interrupted ones, or did
    not fail at the same point another time, or whose neighbours contradict them. Of pruned
    trials the model sees what they might have come to, judged by what they had reported and by
    how others went on from there, with more noise the less that tells; those that reported
    nothing count as failed.

    With several objectives each has a process of its own, in which every parameter also has an
    effect that does not depend on the others, and the next trial maximises the expected
    hypervolume improvement over the front of the trials so far: exactly for up to three
    objectives, by quadrature along 32 random directions above. In the standardised values of the
    model, the reference point lies below the worst value on the front by a tenth of the front's
    extent, and by half a standard deviation at least.

    So has each constraint that trials set by :meth:`optuna.trial.Trial.set_constraint`: the
    improvement, over feasible trials alone, is multiplied by the probability that all constraints
    are met; while no trial is feasible, this probability is maximised. Constraints are told apart
    by their keys. What a trial does not set is unknown, and taken as the model predicts it.

    Values that are absurdly bad are taken for what they are most of the time, accidents, and
    believed little; values that the others contradict are left out of the model.

    Parameters may depend on the values of others, as the width of a layer on the number of
    layers: which there are when is learned from the trials, and what a trial lacks tells it
    apart from those that have it. Ranges may change from trial to trial.

    Hyper-parameters are fitted again when there are 5 %, and two, more trials than at the last
    fit, to at most 300 trials; of more than 1,000 trials the model sees the better half of a
    thousand and an even choice of the others. So the time of a proposal is bounded.

    Where trials run elsewhere the model is less curious. Each worker shares its proposals before
    the objective runs, and makes another if one was made at the same point at the same moment.
    When all points of a finite space were evaluated, a warning says so, once a study, and the most
    promising are proposed again.

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
        n_startup_trials: Number of trials to finish before the first fit, one of them completed.
            The first of them is the middle of the search space (of the logarithm with
            ``log=True``), with random categories; the others come from a scrambled Sobol
            sequence.
        independent_sampler: Sampler for the parameters that no finished trial has, and for those
            of the first trial, which then is not the middle; not for what source trials suggest.
            Defaults to drawing them uniformly.
        deterministic_objective: :obj:`None`: noise is learned, and points of a finite space are
            not proposed twice while others are left. :obj:`False`: noise is learned, repeats are
            allowed. :obj:`True`: noise is fixed near zero.
        source_trials: Finished trials of a related study, such as ``study.trials`` of one on
            other data, whose objective has the same direction. The model learns how far they
            are to be believed, and leaves them out where it predicts the study's own trials
            better without: the first trial is what they suggest, the second the middle of the
            space, since two good points would not show that the others mislead. There are no
            start-up trials besides. Of more than 100 the model sees the better half of a
            hundred and an even choice of the others. Those outside the search space are not used:
            where none is left that was completed, all is as without them. One objective only; of
            their constraints nothing is used.
        warn_independent_sampling: Whether to warn when a parameter is sampled without the model
            after the start-up trials: that is where no finished trial has it.

    Raises:
        TypeError: If an argument is of another type, or the source trials are no trials.
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
        n_startup_trials = _whole("n_startup_trials", n_startup_trials)
        _check_type("prior", prior, GammaPrior)
        _check_type("independent_sampler", independent_sampler, BaseSampler)
        _check_type("deterministic_objective", deterministic_objective, bool)
        self._streams = Streams(None if seed is None else _whole("seed", seed))
        self._acquisition: Acquisition = acquisition
        self._proposer = Proposer(
            acquisition, prior or GammaPrior(), n_startup_trials, deterministic_objective
        )
        self._independent_sampler = independent_sampler
        self._source = _source(() if source_trials is None else source_trials, acquisition)
        self._warn_independent_sampling = warn_independent_sampling

    @property
    def prior(self) -> GammaPrior:
        """Prior of the precision of the standardised values."""
        return self._proposer.prior

    def reseed_rng(self) -> None:
        """Go over to other random choices, the same for every sampler reseeded as often."""
        self._streams = self._streams.reseeded()
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
        """Return the parameters of one range that finished trials have, but for single values."""
        self._check(study)
        trials = study._get_trials(deepcopy=False, use_cache=True)
        return without_single(history(study, trials).search_space(study, trials))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose parameters from the trials so far."""
        self._check(study)
        if search_space:
            trials = study._get_trials(deepcopy=False, use_cache=True)
            kept = history(study, trials)
            held: Mapping[str, BaseDistribution] = {}
            if fixed := _fixed_params(study):
                whole = without_single(kept.search_space(study, trials))
                held = {name: kind for name, kind in whole.items() if name in fixed}
            # In one order, whatever is held: fits name no parameters.
            space = kept.space(trials, dict(sorted({**search_space, **held}.items())))
        else:
            space = self._source.space()
        if not space.distributions:
            return {}
        source = self._source.observe(space, study.directions[0])
        is_second = trial.number == 1 and source is not None
        if is_second and not search_space:
            return {}
        given = {
            **_fixed_params(study),
            **trial.system_attrs.get("fixed_params", {}),
            **trial.params,
        }
        allowed = {name: [value] for name, value in given.items() if name in space.distributions}

        def look() -> Observations:
            trials = study._get_trials(deepcopy=False, use_cache=False)
            return history(study, trials).observe(study, trials, space, trial.number)

        def propose(seen: Observations) -> Array:
            if is_second:
                cube = restricted_cube(space, allowed)
                x = middle(study, trial, cube, space.distributions, self._streams)
                if space.cube.none_of(self._proposer.taken(seen))(x[None]).all():
                    return x
            modelled = self._point(study, trial, space, seen, source, allowed)
            if modelled is None:
                cube, taken = restricted_cube(space, allowed), self._proposer.taken(seen)
                return startup_point(study, trial, cube, taken, self._streams)
            return modelled

        x, seen = settle(
            look,
            propose,
            lambda x: share(study, trial, space, space.decode(x)),
            trial.number,
        )
        is_finite = math.isfinite(space.cube.size)
        if (
            is_finite
            and not allowed
            and not space.cube.none_of(self._proposer.taken(seen))(x[None]).all()
        ):
            self._say_exhausted(study)
        params = space.decode(x)
        if search_space:
            return {name: value for name, value in params.items() if name in search_space}
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
        if param_distribution.single():
            return Space({param_name: param_distribution}).decode(np.zeros(1))[param_name]
        # In a first trial no more is known of the search space.
        space = Space(without_single({**trial.distributions, param_name: param_distribution}))
        suggested = trial.system_attrs.get(SUGGESTED_KEY, {}) if len(self._source) else {}
        is_possible = Space({param_name: param_distribution}).contains(suggested)
        if is_possible and self._source.has_completed_in(space):
            value = param_distribution.to_internal_repr(suggested[param_name])
            return param_distribution.to_external_repr(value)
        states = (TrialState.COMPLETE,)
        complete = study._get_trials(deepcopy=False, states=states, use_cache=True)
        if len(complete) >= max(self._proposer.n_startup_trials, 1):
            modelled = self._one_more(study, trial, param_name, param_distribution)
            if modelled:
                return modelled[param_name]
            if self._warn_independent_sampling:
                _user_logger.warning(
                    f"The parameter `{param_name}` in Trial#{trial.number} is sampled "
                    "independently, without the model, potentially degrading the optimization "
                    "performance, because no finished trial has it. Set "
                    "`warn_independent_sampling=False` in `GammaBOSampler` to suppress this "
                    "warning."
                )
        if self._independent_sampler is not None:
            return self._independent_sampler.sample_independent(
                study, trial, param_name, param_distribution
            )
        if self._is_first_without_source(trial, space):
            one = Space({param_name: param_distribution})
            x = middle(study, trial, one.cube, [param_name], self._streams)
            return one.decode(x)[param_name]
        is_allowed = self._proposer.deterministic_objective is False
        may_repeat = is_allowed or math.isinf(space.cube.size)
        return draw(
            study, trial, param_name, param_distribution, self._streams, may_repeat=may_repeat
        )

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

        But where neither sampler nor study has a seed, one is drawn and stored with the study.

        Args:
            study: A study with one objective, which may have been sampled by another sampler.
            number: Number of a trial; :obj:`None` is the next one.
            most: How many trials the process is to know at most: a first fit to very many takes
                long, which a sampler that took part from the beginning never has to do.

        Returns:
            The view; :obj:`None` if it was, or will be, a start-up trial.
        """
        return look(study, number, most, self._proposer, self._source, self._streams)

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
        self,
        study: Study,
        trial: FrozenTrial,
        space: Space,
        seen: Observations,
        source: Column | None,
        allowed: Mapping[str, Sequence[Any]],
        asked: str = "",
    ) -> Array | None:
        """Return the next point of a space, (d,); :obj:`None` if there is no model.

        Args:
            study: The study.
            trial: The trial that is to have the point.
            space: The space.
            seen: The study's trials.
            source: Source trials, if any.
            allowed: Values that parameters may have, where these are not all of their range.
            asked: The parameter that is asked for, if it is not the whole point.
        """
        if not self._proposer.can_fit(seen, source):
            return None
        rng = self._streams(study, trial.number, "relative", *([asked] if asked else []))
        trials = study._get_trials(deepcopy=False, use_cache=False)
        try:
            with np.errstate(all="ignore"):
                last = read_fits(trials, trial.number, space)
                cube = learn_cube(space, seen, source, allowed, {*trial.params, asked})
                models = self._proposer.fit(space.cube, seen, source, last)
                x = self._proposer.choose(cube, seen, models, rng)
        except np.linalg.LinAlgError as error:
            instead = "a value is drawn" if asked else "a start-up point is proposed"
            _logger.debug("There is no model, %s: %s", instead, error)
            return None
        if not asked:
            write_fits(study, trial, models.fits)
        return x

    def _one_more(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> dict[str, Any]:
        """Propose a parameter that was not proposed with the others, given those.

        Returns:
            It and what else would go well with it; nothing if no finished trial has it.
        """
        trials = study._get_trials(deepcopy=False, use_cache=True)
        kept = history(study, trials)
        known = kept.distributions(trials)
        whole = merge(known[name], distribution) if name in known else None
        if whole is None:
            return {}
        space = kept.space(trials, without_single({**known, name: whole}))
        allowed = {n: [value] for n, value in trial.params.items()}
        if whole != distribution:
            allowed[name] = values(distribution)
        source = self._source.observe(space, study.directions[0])
        seen = kept.observe(study, trials, space, trial.number)
        x = self._point(study, trial, space, seen, source, allowed, name)
        if x is None:
            return {name: draw(study, trial, name, distribution, self._streams, may_repeat=True)}
        params = space.decode(x)
        alone = Space({name: distribution})
        if not alone.contains(params):
            # Of a range that was merged, values may differ in their last digit.
            params |= alone.decode(alone.encode([params])[0])
        return params

    def _say_exhausted(self, study: Study) -> None:
        """Warn, once a study, that points are proposed again, unless that was allowed."""
        storage, study_id = study._storage, study._study_id
        is_allowed = self._proposer.deterministic_objective is False
        if not is_allowed and EXHAUSTED_KEY not in storage.get_study_system_attrs(study_id):
            storage.set_study_system_attr(study_id, EXHAUSTED_KEY, True)
            _user_logger.warning(
                "All points of the search space were evaluated, or are being evaluated. From now "
                "on `GammaBOSampler` proposes the most promising of them again."
            )

    def _is_first_without_source(self, trial: FrozenTrial, space: Space) -> bool:
        """Tell whether a trial is the first that source trials in a space suggest nothing for."""
        if trial.number > 1:
            return False
        return trial.number == int(self._source.has_completed_in(space))


def _fixed_params(study: Study) -> Mapping[str, Any]:
    """Return what PartialFixedSampler, around this sampler, holds fixed."""
    sampler = study.sampler
    return sampler._fixed_params if isinstance(sampler, PartialFixedSampler) else {}


def _whole(name: str, value: int) -> int:
    """Return a number that must be whole and not negative, NumPy's as Python's."""
    try:
        whole = operator.index(value)
    except TypeError:
        raise TypeError(f"`{name}` must be an int, but got {value!r}.") from None
    if whole < 0:
        raise ValueError(f"`{name}` must not be negative, but got {whole}.")
    return whole


def _check_type(name: str, value: object, expected: type) -> None:
    """Refuse what is neither :obj:`None` nor of a type."""
    if value is not None and not isinstance(value, expected):
        raise TypeError(f"`{name}` must be a {expected.__name__} or None, but got {value!r}.")


def _source(trials: Sequence[FrozenTrial], acquisition: str) -> SourceTrials:
    source = SourceTrials(trials)
    if len(source) and acquisition == "conjugate":
        raise ValueError(
            '`source_trials` need `acquisition` "gamma" or "gaussian": "conjugate", which draws '
            "predictions towards the mean of all values, cannot tell them from the study's own."
        )
    return source
