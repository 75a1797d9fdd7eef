"""Which objects are in a rollout. All others are at rest: they need nothing until something changes."""

from sluice_operator.api.run import AT_REST

Key = tuple[str, str]  # namespace, name


def is_rollout(phase: str) -> bool:
    """Whether an object in this phase moves on by itself. A phase that is not known counts as a rollout."""
    return phase not in AT_REST


class Lanes:
    """The keys in the lane of the rollouts, kept up to date by whoever sees the phase of an object."""

    def __init__(self) -> None:
        self._keys: set[Key] = set()

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def see(self, key: Key, phase: str) -> None:
        """Note the phase of an object."""
        if is_rollout(phase):
            self._keys.add(key)
        else:
            self._keys.discard(key)

    def forget(self, key: Key) -> None:
        """Drop an object that is gone."""
        self._keys.discard(key)
