"""The resource as typed values: its spec, its status, what one observation holds, and the names of what it owns.

Imports no other folder of the operator. A value that two folders share is defined here; what they do with it is not.
"""
