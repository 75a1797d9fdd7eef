"""The resource as typed values: `spec`, `status`, what an observation holds, and the names of what an object owns.

Imports nothing of ours. Whatever two folders must agree on stands here; how it is used does not.
"""
