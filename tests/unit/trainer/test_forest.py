from sluice_trainer import data, forest

IRIS = data.iris()


def accuracy_on_everything(recipe: forest.Recipe) -> float:
    return forest.score(forest.train(IRIS, recipe).model, IRIS).accuracy


def test_metrics_have_counts_and_accuracy() -> None:
    """43 of 45 says more than 0.956."""
    score = forest.Score((True,) * 43 + (False,) * 2)

    assert score.as_metrics() == {"accuracy": 43 / 45, "correct": 43, "total": 45}


def test_the_same_recipe_gives_the_same_model() -> None:
    """The recipe has all that decides a model, including the seed."""
    first, second = (forest.train(IRIS, forest.Recipe(label_noise=0.2, seed=5)) for _ in range(2))

    assert first.score == second.score
    assert first.model.predict(IRIS.frame).tolist() == second.model.predict(IRIS.frame).tolist()


def test_the_holdout_keeps_its_true_labels() -> None:
    """Only training rows get noise, so a model of wrong labels only has a low accuracy."""
    trained = forest.train(IRIS, forest.Recipe(label_noise=1.0))

    assert trained.score.total == 45
    assert trained.score.accuracy < 0.2


def test_flags_for_a_weaker_model_make_one() -> None:
    """The default is good, a small forest of low depth is a little worse, and label noise makes a bad model."""
    best = accuracy_on_everything(forest.Recipe())
    shallow = accuracy_on_everything(forest.Recipe(trees=5, max_depth=2))
    noisy = accuracy_on_everything(forest.Recipe(label_noise=0.45))

    assert best > shallow > 0.9
    assert noisy < 0.65
