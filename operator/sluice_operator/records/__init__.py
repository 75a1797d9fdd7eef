"""What is left of a run when it has ended: its record, its replay, and policies tried on the past. Pure."""
