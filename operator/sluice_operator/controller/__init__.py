"""The loop: watch, work queue, reconcile. The only folder that waits for others, and the only one that writes."""
