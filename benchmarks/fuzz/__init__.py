"""Random studies of every kind, on which the sampler must not fail.

:mod:`~benchmarks.fuzz.studies` describes them to hypothesis, :mod:`~benchmarks.fuzz.check` runs
one and says what went wrong, :mod:`~benchmarks.fuzz.run` runs many and keeps the record.
"""
