"""How requests are split between stable and canary: what to write for it, and how the gateway itself proves it."""
