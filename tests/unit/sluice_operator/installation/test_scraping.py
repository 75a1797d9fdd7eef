"""What is wrong with the scrape job of the model servers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from sluice_operator.installation.outcome import CheckError
from sluice_operator.installation.scraping import model_servers_are_scraped
from sluice_operator.settings import Settings

SETTINGS = Settings("image", "http://mlflow", "http://prometheus", "http://gateway", scrape_interval=15.0)
POD = {"namespace": "models", "pod": "iris-1", "pod_uid": "u1", "model_deployment": "iris"}


class Scrapes:
    """Two pods with these labels, scraped every so many seconds."""

    def __init__(self, *pods: Mapping[str, str], seconds: float = 15.0, times: int = 5) -> None:
        self.pods, self.times = list(pods), [1000 + at * seconds for at in range(times)]

    async def scraped_pods(self) -> list[Mapping[str, str]]:
        return self.pods

    async def scrape_times(self, pod: Mapping[str, str]) -> list[float]:
        assert pod == self.pods[0]
        return self.times


@pytest.mark.parametrize(
    ("scrapes", "says"),
    [
        (Scrapes(POD, POD), "2 model servers are scraped every 15 s"),
        (Scrapes(), "no model server is scraped yet"),
        (Scrapes(POD, times=2), "ask again in some minutes"),
    ],
)
def test_a_job_that_does_what_it_should_is_well(scrapes: Scrapes, says: str) -> None:
    """And one that nobody can judge yet is not called wrong."""
    assert says in asyncio.run(model_servers_are_scraped(scrapes, SETTINGS))


@pytest.mark.parametrize(
    ("scrapes", "says"),
    [
        (Scrapes(POD, {**POD, "pod_uid": ""}), "lack the label pod_uid: see what must be scraped"),
        (Scrapes({"pod": "p", "namespace": "n"}), "lack the label pod_uid and model_deployment"),
        (Scrapes(POD, seconds=30), "every 30 s, and SLUICE_SCRAPE_INTERVAL says 15 s: set it to 30s"),
        (Scrapes(POD, seconds=5), "every 5 s, and SLUICE_SCRAPE_INTERVAL says 15 s: set it to 5s"),
    ],
)
def test_a_job_that_does_not_is_named_with_what_to_do(scrapes: Scrapes, says: str) -> None:
    """Labels that are missing, or another interval."""
    with pytest.raises(CheckError, match=says):
        asyncio.run(model_servers_are_scraped(scrapes, SETTINGS))
