"""What every function for a condition gives, and from when on several of them speak of a missing proof. Pure."""

ConditionState = tuple[str, str, str]  # status, reason, message

UNPROVEN_AFTER_SECONDS = 30.0  # what takes no longer to prove is no trouble
