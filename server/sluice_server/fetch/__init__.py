"""What brings one pinned model into a folder, or says why not: from MLflow (`fetch`, `prepare`) or from the store.

The only folder that imports MLflow, in `artifacts`. What depends on the kind of model (its flavor, its file, its
libraries) is for `runtimes` to decide; no runtime is named here.
"""
