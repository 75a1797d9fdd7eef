"""Two models on the same rows, compared by McNemar's exact test. Pure.

Only rows that one model has right and the other one wrong tell which is better. If both are equally good, each of these
rows is as likely to be the one's as the other's, like heads and tails of a coin. The p-value is how likely a division
as uneven as the one that was seen, or more, is then (Q. McNemar, Psychometrika 12, 1947; here exactly, by the binomial
distribution, so that it also holds for few rows).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

ALPHA = 0.05  # how often two models that are equally good may be told apart by chance
FEWEST = 6  # rows; of fewer the p-value cannot get below ALPHA


class Verdict(StrEnum):
    BETTER = "better"
    WORSE = "worse"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Compared:
    """How many of `total` rows each model has right, and how many only one of them has."""

    total: int
    candidate: int
    champion: int
    only_candidate: int
    only_champion: int

    @property
    def gain(self) -> float:
        """The accuracy of the candidate less that of the champion, -1 to 1."""
        return (self.candidate - self.champion) / self.total

    @property
    def p_value(self) -> float:
        """0 to 1, for both directions together."""
        differ = self.only_candidate + self.only_champion
        term = ways = 1  # of the coin to fall so: none of the rarer side, then one, two, ...
        for number in range(1, min(self.only_candidate, self.only_champion) + 1):
            term = term * (differ - number + 1) // number
            ways += term
        return min(2 * ways / (1 << differ), 1.0)

    @property
    def verdict(self) -> Verdict:
        if self.p_value > ALPHA:
            return Verdict.CANNOT_TELL
        return Verdict.BETTER if self.only_candidate > self.only_champion else Verdict.WORSE

    def as_document(self) -> dict[str, object]:
        """All numbers as plain data for JSON."""
        return {
            "verdict": str(self.verdict),
            "total": self.total,
            "candidate_correct": self.candidate,
            "champion_correct": self.champion,
            "only_candidate_correct": self.only_candidate,
            "only_champion_correct": self.only_champion,
            "gain": self.gain,
            "p_value": self.p_value,
        }


def compare(candidate: Sequence[bool], champion: Sequence[bool]) -> Compared:
    """`candidate`, `champion`: by row, whether the model was right; one row at least. Raises ValueError if they differ
    in length.
    """
    pairs = list(zip(candidate, champion, strict=True))
    return Compared(
        total=len(pairs),
        candidate=sum(candidate),
        champion=sum(champion),
        only_candidate=pairs.count((True, False)),
        only_champion=pairs.count((False, True)),
    )
