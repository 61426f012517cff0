"""Pictures of studies and staged studies, as Optuna's own ``optuna.visualization`` has them.

Each function returns a :class:`plotly.graph_objects.Figure` on a transparent ground, legible on a
light and on a dark page. Where there is nothing to show it is empty but for the reason, which
is logged as a warning. Of very many trials an even choice is drawn.
"""

from optuna_gamma.visualization.comparison import plot_comparison
from optuna_gamma.visualization.confusion import plot_confusion_matrices
from optuna_gamma.visualization.learning_curves import plot_learning_curves
from optuna_gamma.visualization.lineage import plot_lineage
from optuna_gamma.visualization.process import plot_process
from optuna_gamma.visualization.schedule import plot_schedule
from optuna_gamma.visualization.search import plot_acquisition_history
from optuna_gamma.visualization.search import plot_precision


__all__ = [
    "plot_acquisition_history",
    "plot_comparison",
    "plot_confusion_matrices",
    "plot_learning_curves",
    "plot_lineage",
    "plot_precision",
    "plot_process",
    "plot_schedule",
]
