"""The control loop: watch, work queue, observe, decide, apply. Only it writes what a
ModelDeployment owns, its status and its Events; the Lease of the operators is written by `kubernetes/lease.py`.

`reconcile.py` is the place to start reading.
"""
