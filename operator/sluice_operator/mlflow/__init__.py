"""The model registry: what a URI names, where an alias points, and what a training run says of its hold-out.

Over MLflow's REST API. A model, no model and no answer are three different values.
"""
