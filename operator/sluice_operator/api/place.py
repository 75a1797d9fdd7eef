"""Where a model answers: a host, and a path of it with all that is below. Pure.

In an Ingress, such a path is a regular expression, because the model server knows nothing of it: only what is below the
path is handed on.
"""

from collections.abc import Iterator
from dataclasses import dataclass

WHOLE_HOST = "/"
BELOW = "(/|$)(.*)"  # after a path in an Ingress: the path itself, and what is below it, which `$2` stands for


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """`path` is `/` for all of the host, or segments in lower case, each after a slash, with none at the end."""

    host: str
    path: str = WHOLE_HOST

    def __str__(self) -> str:
        return self.host if self.path == WHOLE_HOST else f"{self.host}{self.path}"

    @property
    def prefix(self) -> str:
        """What stands before a path of the model server, such as `/predict`. Empty for all of the host."""
        return "" if self.path == WHOLE_HOST else self.path

    @property
    def in_ingress(self) -> str:
        """The path of an Ingress for this place."""
        return WHOLE_HOST if self.path == WHOLE_HOST else f"{self.path}{BELOW}"

    def around(self) -> Iterator["Place"]:
        """This place and all that it is a part of, up to all of the host."""
        path = self.prefix
        while path:
            yield Place(self.host, path)
            path = path.rpartition("/")[0]
        yield Place(self.host)

    def overlaps(self, other: "Place") -> bool:
        """Whether there are requests for both: one of the two is a part of the other."""
        return self in other.around() or other in self.around()
