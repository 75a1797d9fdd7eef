"""What vectorizers of a model file may do: no pattern that takes Python long, and no file that is opened."""

from __future__ import annotations

import pytest
import skops.io
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sluice_server.runtimes import vectorizers
from sluice_server.runtimes.port import ModelError

SIMPLE = [
    CountVectorizer().token_pattern,
    r"\w+",
    r"(?u)\b\w+\b",
    r"\b[a-z]+\b",
    r"(?i)\b([a-z]{3,})\b",
    r"[^\s]+",
    r"\S+",
    r"\w{1,5}\b",
    r"(?u)\b\w\w+\b|!|\?",
    ".",
]
HOSTILE = [
    r"(a+)+$",
    r"(?:\w+\s?)*!",
    r"\w+!",
    r"[a-z]+\b",
    r"\w*\w*\w*x",
    r"(\w+)\1",
    r"\w{100000,}",
    r"(?=\w+)\w",
    r"\b[\w-]+\b",
    r"(a|a)*b",
    r"(?:ab|b)+",
    r"(?a)\b[à-ü]+\b",
    r"\b[a-\uffff]+\b",
    "(" * 150,
    "(",
    "x" * 1_000,
]


@pytest.mark.parametrize("pattern", SIMPLE)
def test_what_people_write_is_linear(pattern: str) -> None:
    """Words, words of some letters, whatever is between spaces."""
    assert vectorizers.is_linear(pattern)


@pytest.mark.parametrize("pattern", HOSTILE)
def test_what_may_go_back_over_a_text_again_and_again_is_not(pattern: str) -> None:
    """Or what cannot be understood."""
    assert not vectorizers.is_linear(pattern)


@pytest.mark.parametrize("kind", [CountVectorizer, TfidfVectorizer, HashingVectorizer])
def test_a_file_with_such_a_pattern_is_not_loaded(kind: type) -> None:
    """Wherever in the model it is; the message has a pattern that is."""
    texts = ["good wine", "bad wine"]
    estimator = make_pipeline(kind(), LogisticRegression()).fit(texts, [1, 0])
    loaded = skops.io.loads(skops.io.dumps(estimator))
    vectorizers.check(loaded)
    loaded.steps[0][1].token_pattern = r"(a+)+$"
    with pytest.raises(ModelError, match=rf"of a {kind.__name__} may take Python minutes.*such as the default"):
        vectorizers.check(loaded)
    loaded.steps[0][1].token_pattern, loaded.steps[0][1].ngram_range = r"\w+", (1, 10**9)
    with pytest.raises(ModelError, match="more than 20 tokens together"):
        vectorizers.check(loaded)


@pytest.mark.parametrize("kind", [CountVectorizer, TfidfVectorizer, HashingVectorizer])
@pytest.mark.parametrize("source", ["filename", "file"])
def test_a_vectorizer_that_opens_files_is_not_loaded(kind: type, source: str) -> None:
    """A caller could read the files of the pod with it, such as its keys."""
    vectorizer = kind(input=source)
    with pytest.raises(ModelError, match=r"the name of a file, and would open it .*input='content'"):
        vectorizers.check(make_pipeline(vectorizer, LogisticRegression()))
