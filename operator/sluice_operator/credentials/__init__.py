"""Credentials for servers that the operator asks: Prometheus, MLflow and the store. From a folder or a Secret."""
