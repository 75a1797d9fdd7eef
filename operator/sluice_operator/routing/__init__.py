"""How requests are split between stable and canary: the manifests for a weight, and the proof that it is live."""
