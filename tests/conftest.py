"""What all tests share: a time limit for one example of hypothesis would fail on a busy machine, whatever the code does."""

from hypothesis import settings

settings.register_profile("without a deadline", deadline=None)
settings.load_profile("without a deadline")
