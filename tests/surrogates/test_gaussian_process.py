import numpy as np
import pytest
from scipy.optimize import approx_fprime

from netwright.core import genes
from netwright.core.genes import Choice, Real
from netwright.surrogates import gaussian_process as gp
from netwright.surrogates.features import Encoder
from netwright.surrogates.gaussian_process import Hyperparameters

OPS = ("a", "b", "c", "d")
MIXED = (Choice("x", OPS, "op"), Choice("y", OPS, "op"), Choice("z", ("1", "2", "4")), Real("r", 0.0, 1.0))


def _data(space, function, size, seed=0):
    rng = np.random.default_rng(seed)
    genotypes = [genes.sample(space, rng) for _ in range(size)]
    y = np.array([function(genotype) for genotype in genotypes])
    return genotypes, (y - y.mean()) / y.std()


def test_the_kernel_is_a_mixture_of_exponentials_of_weighted_distances():
    encoder = Encoder((Choice("x", OPS, "op"), Choice("y", OPS, "op"), Real("r", 0.0, 1.0)))
    weights = np.array([0.1, 0.2, 0.3, 0.4, 1.0, 1.0, 1.0, 1.0])
    hyper = Hyperparameters(np.log(weights), np.log([2.0]), np.log(np.full(4, 0.6)), share=0.25, noise=0.1)
    a, b = encoder.encode([(0, 1, 0.5)]), encoder.encode([(3, 1, 0.75), (0, 1, 0.5)])
    # x moves from option 0 to 3: the mean of their weights; r by a quarter; two of four counts by one half each
    distance, counted = (0.1 + 0.4) / 2 + 2.0 * 0.25, 0.6 * (0.5 + 0.5)
    expected = 0.75 * np.exp(-distance) + 0.25 * np.exp(-counted)
    assert gp.kernel(hyper, a, b) == pytest.approx(np.array([[expected, 1.0]]))


def test_the_gradient_is_that_of_the_value():
    encoder = Encoder(MIXED)
    genotypes, y = _data(MIXED, lambda g: (g[0] == 1) + g[2] * g[3], 25)
    x = encoder.encode(genotypes)
    layout = gp._Layout.of(encoder, x)
    prior, distances, upper = layout.prior(), gp._pairs(x), np.triu_indices(25, 1)
    point = prior + 0.3 * np.random.default_rng(1).standard_normal(len(prior))

    def value(parameters):
        return gp._negative_log_posterior(layout, parameters, prior, distances, upper, y)[0]

    gradient = gp._negative_log_posterior(layout, point, prior, distances, upper, y)[1]
    assert gradient == pytest.approx(approx_fprime(point, value, 1e-6), rel=1e-3, abs=1e-4)


def test_the_posterior_is_that_of_the_textbook():
    encoder = Encoder(MIXED)
    genotypes, y = _data(MIXED, lambda g: g[0] + g[3], 30)
    x, new = encoder.encode(genotypes), encoder.encode(_data(MIXED, sum, 7, seed=5)[0])
    hyper = gp.learn(encoder, x, y)
    noisy = gp.kernel(hyper, x, x) + (hyper.noise + gp.JITTER) * np.eye(30)
    cross = gp.kernel(hyper, new, x)
    scale = y @ np.linalg.solve(noisy, y) / 30
    mean, deviation = gp.condition(hyper, x, y).predict(new)
    assert mean == pytest.approx(cross @ np.linalg.solve(noisy, y))
    variance = scale * (1 - np.einsum("ij,ji->i", cross, np.linalg.solve(noisy, cross.T)))
    assert deviation == pytest.approx(np.sqrt(variance), rel=1e-4)


def test_it_learns_which_gene_matters_and_which_options_are_alike():
    space = tuple(Choice(f"g{n}", OPS, "op") for n in range(5))
    genotypes, y = _data(space, lambda g: 3.0 * (g[0] == 3) + 0.1 * (g[1] == 3), 80)
    encoder = Encoder(space)
    hyper = gp.learn(encoder, encoder.encode(genotypes), y)
    by_gene = hyper.options.reshape(5, 4)
    assert by_gene[0].mean() > by_gene[2:].mean() + 1
    assert by_gene[0, 3] > by_gene[0, :3].max()


def test_it_predicts_far_better_than_the_mean_in_the_presence_of_noise():
    space = tuple(Choice(f"g{n}", OPS, "op") for n in range(6))
    rng = np.random.default_rng(3)

    def function(g):
        return 2.0 * (g[0] == 1) - (g[1] == g[2]) + sum(value == 2 for value in g)

    genotypes, y = _data(space, lambda g: function(g) + 0.2 * rng.standard_normal(), 100)
    encoder = Encoder(space)
    x = encoder.encode(genotypes)
    new, truth = _data(space, function, 200, seed=9)
    mean, _ = gp.condition(gp.learn(encoder, x, y), x, y).predict(encoder.encode(new))
    assert np.corrcoef(mean, truth)[0, 1] > 0.9


@pytest.mark.parametrize("y", [np.zeros(10), np.r_[np.zeros(9), 3.0]])
def test_equal_targets_are_no_fault(y):
    encoder = Encoder(MIXED)
    x = encoder.encode(_data(MIXED, sum, 10)[0])
    mean, deviation = gp.condition(gp.learn(encoder, x, y), x, y).predict(x)
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()
