"""The API: who may ask, what is asked of which collection, and how errors are told."""
