"""Ways to split traffic between stable and canary, and to prove the split in the data plane."""
