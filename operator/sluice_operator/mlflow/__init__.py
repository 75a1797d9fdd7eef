"""The model registry, over MLflow's REST API: which version a URI names, where an alias points, results on hold-outs.

"This model", "there is no such model" and "no usable answer" are three different values.
"""
