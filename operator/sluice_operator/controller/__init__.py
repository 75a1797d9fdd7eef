"""The control loop: watch, work queue, observe, decide, apply. It is the only folder that writes to the cluster.

`reconcile.py` is the place to start reading.
"""
