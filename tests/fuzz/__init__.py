"""What holds whatever a user, a file or Slurm says: the right value, or an error that says what is wrong.

    make fuzz [COUNT=1000] [SEED=7]

tries each with so many examples of a seed that it prints; the everyday suite tries a few, always the same.
"""
