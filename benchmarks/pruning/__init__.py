"""Epochs that pruned studies of real trainings spend until they reach what others reach."""
