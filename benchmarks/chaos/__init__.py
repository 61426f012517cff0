"""Kills workers of staged studies in every way there is and checks what remains."""
