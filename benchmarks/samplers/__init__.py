"""The benchmark of samplers: problems, rivals, runs that resume, and a report on their records.

A :class:`~benchmarks.samplers.problem.Problem` is evaluated by any Optuna sampler; a run of one
sampler on one problem from one seed leaves a :class:`~benchmarks.samplers.record.RunRecord`; the
report is made of records alone. The division follows Vizier's benchmarks (Song et al. 2022), the
measures follow COCO (Hansen et al. 2021).
"""
