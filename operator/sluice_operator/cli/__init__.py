"""`kubectl sluice`: shows the recorded runs and judges them again. It writes nothing to a cluster."""
