"""E-values: how much the counts of a run speak against a hypothesis, valid at every look. Pure arithmetic on arrays.

docs/verdicts.md derives each formula. An e-value has a mean of at most 1 while its hypothesis holds, so it reaches 1/a
with a probability of at most a, however often one looks (Ville 1939). All are kept as natural logarithms.

Arrays end in an axis of independent runs: one in the operator, thousands in a simulation. Axes before it tell apart
what is judged side by side, such as latency bounds.
"""
