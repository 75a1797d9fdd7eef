"""What all tests share: examples of hypothesis have no time limit, which a busy machine misses in any case."""

from hypothesis import settings

settings.register_profile("without a deadline", deadline=None)
settings.load_profile("without a deadline")
