"""What is left of a run when it has ended: its record, from which the decision is computed again."""
