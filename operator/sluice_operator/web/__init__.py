"""The web page: shows rollouts to people who have a right to read them, and changes nothing.

It has no rights of its own. Whatever it shows, it has read from the API server with the token of the viewer, so that
RBAC alone says who sees what.
"""
