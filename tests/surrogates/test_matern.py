import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.gaussian_process.kernels import Matern

from netwright.core import genes
from netwright.core.genes import Choice, Integer, Real
from netwright.surrogates import matern
from netwright.surrogates.matern import MaternHyperparameters

MIXED = (Choice("c", ("a", "b", "c")), Integer("n", 1, 20), Real("r", -1.0, 1.0), Real("s", 0.0, 1.0))
IS_CHOICE = np.array([True, False, False, False])


def _data(function, size, seed=0, space=MIXED):
    rng = np.random.default_rng(seed)
    genotypes = [genes.sample(space, rng) for _ in range(size)]
    y = np.array([function(genotype) for genotype in genotypes])
    return np.array([genes.to_vector(space, g) for g in genotypes]), (y - y.mean()) / y.std()


def test_the_kernel_of_numbers_is_that_of_the_library():
    x, _ = _data(sum, 8)
    weights = np.array([0.5, 4.0, 1.0, 0.25])
    hyper = MaternHyperparameters(np.zeros(4, bool), weights, 0.1)
    assert matern.kernel(hyper, x[:3], x[3:]) == pytest.approx(Matern(weights**-0.5, nu=2.5)(x[:3], x[3:]))


def test_choices_are_apart_or_the_same():
    hyper = MaternHyperparameters(IS_CHOICE, np.array([2.0, 1.0, 1.0, 1.0]), 0.1)
    x = np.array([[(option + 0.5) / 3, 0.5, 0.5, 0.5] for option in range(3)])
    root = np.sqrt(10)
    other = (1 + root + 10 / 3) * np.exp(-root)
    assert matern.kernel(hyper, x, x) == pytest.approx(np.where(np.eye(3), 1.0, other))


def test_the_gradient_of_the_parameters_is_that_of_the_value():
    x, y = _data(lambda g: (g[0] == 1) + g[2] * g[3] + 0.1 * g[1], 25)
    upper = np.triu_indices(25, 1)
    apart = x[upper[0]] - x[upper[1]]
    squares = np.where(IS_CHOICE, apart != 0, apart**2).T
    start = matern.prior(4)
    point = start + 0.5 * np.random.default_rng(1).standard_normal(len(start))

    def value(parameters):
        return matern.negative_log_posterior(parameters, squares, upper, y)[0]

    gradient = matern.negative_log_posterior(point, squares, upper, y)[1]
    assert gradient == pytest.approx(approx_fprime(point, value, 1e-6), rel=1e-3, abs=1e-4)


def test_the_posterior_is_that_of_the_textbook():
    (x, y), (new, _) = _data(lambda g: g[1] + g[3], 30), _data(sum, 7, seed=5)
    hyper = matern.learn(MIXED, x, y)
    noisy = matern.kernel(hyper, x, x) + (hyper.noise + matern.JITTER) * np.eye(30)
    cross = matern.kernel(hyper, new, x)
    mean, deviation = matern.condition(hyper, x, y).predict(new)
    assert mean == pytest.approx(cross @ np.linalg.solve(noisy, y))
    scale = y @ np.linalg.solve(noisy, y) / 30
    variance = scale * (1 - np.einsum("ij,ji->i", cross, np.linalg.solve(noisy, cross.T)))
    assert deviation == pytest.approx(np.sqrt(variance), rel=1e-4)


def test_slopes_are_those_of_the_prediction():
    x, y = _data(lambda g: (g[0] == 1) + np.sin(3 * g[2]) + g[3] ** 2, 40)
    model = matern.condition(matern.learn(MIXED, x, y), x, y)
    point = np.array([0.5, 0.6, 0.37, 0.81])
    mean, deviation, by_mean, by_deviation = model.slopes(point)
    assert (mean, deviation) == pytest.approx(tuple(float(part[0]) for part in model.predict(point[None])))
    numeric = approx_fprime(point, lambda p: np.array(model.predict(p[None])).ravel(), 1e-6)
    assert by_mean[1:] == pytest.approx(numeric[0, 1:], rel=1e-3, abs=1e-5)
    assert by_deviation[1:] == pytest.approx(numeric[1, 1:], rel=1e-3, abs=1e-5)
    assert by_mean[0] == by_deviation[0] == 0.0


def test_genes_that_matter_get_short_scales_and_noise_is_seen():
    rng = np.random.default_rng(3)
    x, y = _data(lambda g: np.sin(6 * g[3]) + 2 * (g[0] == 2), 80)
    learned = matern.learn(MIXED, x, y)
    assert min(learned.weights[[0, 3]]) > 10 * max(learned.weights[[1, 2]])
    noisy = y + rng.standard_normal(80)
    assert matern.learn(MIXED, x, noisy / noisy.std()).noise > 20 * learned.noise
