"""The maths of Bayesian optimisation with a Gamma prior on the precision: NumPy and SciPy only."""
