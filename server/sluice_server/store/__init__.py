"""The client of the store: a prepared model folder as one archive, put under its digest and got by it.

What the store is and promises is in docs/store.md; its own package is another image, and nothing of it is imported.
"""
