"""Credentials for servers that the operator asks: Prometheus, MLflow and the store. From files of a folder or a Secret."""
