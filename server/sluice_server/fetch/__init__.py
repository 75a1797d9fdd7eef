"""The init container: brings one pinned model from MLflow into the pod's model folder, or says why not.

The only folder that imports MLflow. What depends on the kind of model (its flavor, its file, its libraries) is for
`runtimes` to decide; no runtime is named here.
"""
