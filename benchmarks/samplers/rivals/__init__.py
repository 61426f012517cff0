"""Rivals that are not an Optuna sampler, or need something made first."""
