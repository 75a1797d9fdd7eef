"""Raw counter samples from Prometheus servers: which servers may be asked, with which credentials, and how often.

What the samples mean is decided in `counting` and `analysis`.
"""
