"""Access to the cluster: a port with the verbs that are needed, its client, and the objects of one ModelDeployment.

What the cluster should hold is defined in `manifests`; when it is written is decided in `controller`.
"""
