"""The rules of a rollout: from what was observed to the next status. Pure; `decide` has the rules in their order."""
