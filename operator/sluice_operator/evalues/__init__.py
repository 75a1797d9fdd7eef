"""E-values: how much the counts of a run speak against a hypothesis. Pure arithmetic on arrays, no I/O.

docs/statistics.md derives each formula. An e-value has a mean of at most 1 while its hypothesis holds. So it reaches
1/a with a probability of at most a, however often a run is evaluated (Ville 1939). All are natural logarithms.

The last axis of an array is for independent runs: one run in the operator, many in a simulation. The axes before it
are for columns that are judged at the same time, such as latency bounds.
"""
