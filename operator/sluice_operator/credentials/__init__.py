"""Credentials for servers that the operator asks: Prometheus and MLflow. From files of a folder or keys of a Secret."""
