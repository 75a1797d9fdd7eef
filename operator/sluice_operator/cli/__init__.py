"""`kubectl sluice`: shows rollouts and recorded runs, judges them again, and asks the operator to steer a rollout.

It writes one thing to a cluster for good: the annotation with a command. `doctor` makes routes for a moment.
"""
