"""All that a decision needs to know of the world: children, pods, status, gateway, callers and hosts."""
