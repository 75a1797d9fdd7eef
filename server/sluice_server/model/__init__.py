"""What is known of a model without loading it: its manifest (`sluice.json`), the columns it takes, its digest.

Plain values and their parsing. No library of a model kind, no network; files are read by `manifest` and `digest` only.
"""
