"""The cluster: the verbs that are needed, the client that speaks them, and what the cluster holds of one object.

What is wanted of the cluster is said in `manifests`; when it is written is the business of `controller`.
"""
