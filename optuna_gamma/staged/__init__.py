"""The staged study: one Optuna study per training stage, the best trial's weights carried on."""

from optuna_gamma.staged.checkpoint import CheckpointError
from optuna_gamma.staged.replay import Replay
from optuna_gamma.staged.schedule import StagedSchedule
from optuna_gamma.staged.schedule import StageRecord
from optuna_gamma.staged.stage import Stage
from optuna_gamma.staged.status import RunStatus
from optuna_gamma.staged.status import StageStatus
from optuna_gamma.staged.study import create_staged_study
from optuna_gamma.staged.study import load_staged_study
from optuna_gamma.staged.study import StagedStudy


__all__ = [
    "CheckpointError",
    "Replay",
    "RunStatus",
    "Stage",
    "StageRecord",
    "StageStatus",
    "StagedSchedule",
    "StagedStudy",
    "create_staged_study",
    "load_staged_study",
]
