"""Source trials: what a study gains from those of a related one, and loses to misleading ones."""
