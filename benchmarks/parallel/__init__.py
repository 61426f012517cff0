"""Asynchronous workers, simulated: what a sampler loses by not knowing what is still running."""
