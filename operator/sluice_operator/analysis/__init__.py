"""From the counts of a run to a verdict: what each objective asks for, the evidence so far, and the sentences. Pure.

The statistics are in `evalues`; fetching samples is the business of `prometheus` and of `controller`.
"""
