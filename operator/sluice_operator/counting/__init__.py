"""From raw counter samples to counts per tick: how many requests, errors, slow requests and labels there were. Pure."""
