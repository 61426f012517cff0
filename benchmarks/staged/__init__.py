"""Staged training against tuned schedules and other searches, at equal total epochs."""
