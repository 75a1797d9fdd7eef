"""`kubectl sluice`: shows rollouts and recorded runs, judges them again, and asks the operator to steer a rollout.

It writes one thing to a cluster: the annotation with a command.
"""
