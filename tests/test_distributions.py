"""KL, Jensen-Shannon and total variation between distribution objects."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
import torch.distributions as td
from scipy import stats
from scipy.special import i0, i1, zeta

import ot_distances as ot
from ot_distances._laws import FAMILIES, law
from ot_distances._terms import JS, KL, TV
from ot_distances.distributions import CLOSED_FORMS, _integral, _monte_carlo, _sum, _univariate
from ot_distances.divergences import DIVERGENCES

LOG2 = math.log(2)
NAMES = sorted(DIVERGENCES)
ROWS = {"kl_divergence": KL, "js_divergence": JS, "total_variation": TV}
norm, tensor = stats.norm, torch.tensor

# Two members of every family that has a closed form.
MEMBERS = {
    "normal": [norm(0.3, 1.2), norm(-0.5, 0.8), norm(1.0, 1.2)],
    "uniform": [stats.uniform(0.2, 0.5), stats.uniform(0, 1), stats.uniform(0.1, 2)],
    "laplace": [stats.laplace(0.3, 0.4), stats.laplace(0, 1)],
    "gamma": [stats.gamma(2, scale=3), stats.gamma(1.5), stats.expon(scale=2), stats.chi2(3), stats.gamma(2, loc=-1)],
    "beta": [stats.beta(2, 3), stats.beta(1.5, 1.4), stats.beta(2, 3, loc=-1, scale=3)],
    "binomial": [
        stats.binom(4, 0.3),
        stats.binom(4, 0.6),
        stats.bernoulli(0.2),
        stats.bernoulli(0.7),
        stats.binom(4, 0),
    ],
    "geometric": [stats.geom(0.3), stats.geom(0.6), stats.geom(0.3, loc=-1)],
    "poisson": [stats.poisson(3), stats.poisson(5), stats.poisson(3, loc=2)],
    "dirichlet": [stats.dirichlet([1.0, 2.0, 3.0]), stats.dirichlet([2.0, 2.0, 2.0])],
    "multivariate normal": [
        stats.multivariate_normal([0, 0], [[1, 0.3], [0.3, 2]]),
        stats.multivariate_normal([1, -0.5], [[2, 0], [0, 1.5]]),
    ],
}
MIXTURE = td.MixtureSameFamily(td.Categorical(tensor([0.3, 0.7])), td.Normal(tensor([-1.0, 2.0]), tensor([0.5, 1.0])))


def agree(left, right, slack=1e-12):
    """Two estimates, or an estimate and a number, within their own errors."""
    (a, da), (b, db) = ((e.value, e.stderr) if isinstance(e, ot.Estimate) else (e, 0.0) for e in (left, right))
    return a == b or abs(a - b) <= da + db + slack * max(1.0, abs(b))


@pytest.mark.parametrize(("name", "family"), CLOSED_FORMS, ids=map(" ".join, CLOSED_FORMS))
def test_closed_forms_agree_with_the_integral_the_sum_or_the_draws(name, family):
    compared = 0
    for p in MEMBERS[family]:
        for q in MEMBERS[family]:
            exact = DIVERGENCES[name](p, q)
            if exact.method != "closed form" or exact.value == math.inf:
                continue
            assert exact.stderr == 0 and exact.interval == (exact.value, exact.value) and exact.level == 1.0
            laws = law(p, "p"), law(q, "q")
            if laws[0].univariate:
                value, error, method = _univariate(ROWS[name], *laws)
                assert method in ("quadrature", "summation")
                assert error < 1e-9
            else:
                value, error, method = _monte_carlo(ROWS[name], *laws)
                error *= 5
            assert abs(exact.value - value) <= error + 1e-12
            compared += 1
    assert compared >= 2


def test_every_family_of_the_table_is_read_and_has_a_closed_form():
    assert {family for _, family in CLOSED_FORMS} == set(MEMBERS)
    assert all(family[0] in {f for _, f in CLOSED_FORMS} for family in (law(p, "p").family for p in same_laws()[0]))


def same_laws():
    """The same laws in the words of two libraries; together they name every row of FAMILIES."""
    covariance = [[1.0, 0.3], [0.3, 2.0]]
    pairs = [
        (norm(0.5, 2), td.Normal(0.5, 2.0)),
        (norm(0.5, 2), stats.Normal(mu=0.5, sigma=2)),
        (norm(), stats.Normal()),
        (stats.uniform(1, 2), td.Uniform(1.0, 3.0)),
        (stats.uniform(1, 2), stats.Uniform(a=1, b=3)),
        (stats.laplace(0.5, 2), td.Laplace(0.5, 2.0)),
        (stats.expon(scale=0.5), td.Exponential(2.0)),
        (stats.gamma(2, scale=0.5), td.Gamma(2.0, 2.0)),
        (stats.chi2(3), td.Chi2(tensor(3.0))),
        (stats.beta(2, 3), td.Beta(2.0, 3.0)),
        (stats.bernoulli(0.25), td.Bernoulli(0.25)),
        (stats.binom(4, 0.25), td.Binomial(4, tensor(0.25))),
        (stats.geom(0.25, loc=-1), td.Geometric(0.25)),
        (stats.poisson(3), td.Poisson(3.0)),
        (stats.dirichlet([1.0, 2.0]), td.Dirichlet(tensor([1.0, 2.0]))),
        (
            stats.multivariate_normal([0.0, 1.0], covariance),
            td.MultivariateNormal(tensor([0.0, 1.0]), tensor(covariance)),
        ),
    ]
    return tuple(zip(*pairs))


@pytest.mark.parametrize(("left", "right"), zip(*same_laws()), ids=[type(d).__name__ for d in same_laws()[1]])
def test_libraries_mean_the_same_law(left, right):
    a, b = law(left, "p"), law(right, "q")
    assert a.family[0] == b.family[0]
    for x, y in zip(a.family[1:], b.family[1:]):
        np.testing.assert_allclose(x, y, rtol=1e-7)  # 0.3 is not the same number in float32
    assert (a.discrete, a.univariate, a.low, a.high) == (b.discrete, b.univariate, b.low, b.high)
    points = a.draw(50)
    np.testing.assert_allclose(a.log_density(points), b.log_density(points), rtol=1e-6)
    assert float(ot.kl_divergence(left, right)) < 1e-12


def test_every_row_of_the_table_of_families_is_exercised():
    named = {"scipy.StandardNormal", *(f"torch.{type(d).__name__}" for d in same_laws()[1] if hasattr(d, "log_prob"))}
    named |= {f"scipy.{d.dist.name}" if hasattr(d, "dist") else f"scipy.{type(d).__name__}" for d in same_laws()[0]}
    named |= {f"scipy.{type(d).__name__}" for d in same_laws()[1] if not hasattr(d, "log_prob")}
    assert named == set(FAMILIES)


# Known values


def test_known_values():
    assert ot.kl_divergence(norm(0, 1), norm(1, 1)).value == 0.5
    assert ot.total_variation(norm(0, 1), norm(1, 1)).value == pytest.approx(math.erf(0.5 / math.sqrt(2)), rel=1e-15)
    assert ot.total_variation(stats.uniform(0, 1), stats.uniform(0.5, 1)).value == 0.5
    assert ot.js_divergence(stats.uniform(0, 1), stats.uniform(0.5, 1)).value == pytest.approx(LOG2 / 2, rel=1e-14)
    assert ot.kl_divergence(stats.levy(), stats.levy(scale=2)).value == pytest.approx((1 - LOG2) / 2, rel=1e-12)
    cauchy = ot.kl_divergence(td.Cauchy(0.0, 1.0), td.Cauchy(1.0, 0.5))
    assert cauchy.method == "quadrature" and agree(cauchy, math.log(1.5**2 + 1) - LOG2)


def test_js_of_normals_by_quadrature_matches_many_digits():
    import mpmath

    with mpmath.workdps(30):
        f, g = (lambda x, m=m: mpmath.npdf(x, m) for m in (0, 1))
        exact = mpmath.quad(
            lambda x: (f(x) * mpmath.log(2 * f(x) / (f(x) + g(x))) + g(x) * mpmath.log(2 * g(x) / (f(x) + g(x)))) / 2,
            [-14, -4, 0, 0.5, 1, 5, 15],
        )
    found = ot.js_divergence(norm(0, 1), norm(1, 1))
    assert found.method == "quadrature"
    assert found.stderr < 1e-12
    assert found.value == pytest.approx(float(exact), rel=1e-13)
    assert found.interval[0] <= float(exact) <= found.interval[1]


def test_tv_is_the_difference_of_cdfs_between_the_crossings():
    p, q = norm(0, 1), norm(0.3, 2)
    a, b, c = 1 - 1 / 4, 2 * 0.3 / 4, -(0.3**2 / 4 + 2 * LOG2)  # log f/g = 0
    low, high = np.sort(np.roots([a, b, c]))
    exact = (p.cdf(high) - p.cdf(low)) - (q.cdf(high) - q.cdf(low))
    found = ot.total_variation(p, q)
    assert found.stderr < 1e-12 and agree(found, exact, 1e-14)


def test_tv_of_heavy_tails_crossing_near_a_panel_edge():
    """|f - g| has kinks wherever the densities cross; found by the cdf between the crossings."""
    from scipy.optimize import brentq

    for p, q in [(stats.t(3), norm()), (stats.lognorm(1), stats.gamma(2)), (stats.pareto(1), stats.pareto(2))]:
        x = np.unique(
            np.concatenate([p.ppf(np.linspace(1e-6, 1 - 1e-6, 20_000)), q.ppf(np.linspace(1e-6, 1 - 1e-6, 20_000))])
        )
        gap = lambda z: p.pdf(z) - q.pdf(z)  # noqa: B023, E731
        turns = np.flatnonzero(np.diff(np.sign(gap(x))) != 0)
        crossings = [-math.inf, *(brentq(gap, x[i], x[i + 1], xtol=1e-15, rtol=1e-15) for i in turns), math.inf]
        exact = np.abs(np.diff(p.cdf(crossings)) - np.diff(q.cdf(crossings))).sum() / 2
        assert agree(ot.total_variation(p, q), exact)


# Infinity and singularity


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (stats.uniform(0, 1), stats.uniform(0.5, 1)),
        (norm(), stats.expon()),
        (stats.expon(loc=-1), stats.expon()),
        (td.Uniform(0.0, 2.0), td.Beta(1.0, 1.0)),
        (stats.cauchy(), norm()),
        (stats.uniform(0, 3), stats.rv_histogram((np.array([1, 0, 2]), np.arange(4.0)))()),
        (stats.poisson(3), stats.binom(5, 0.5)),
        (stats.poisson(3, loc=0.5), stats.poisson(3)),
        (stats.binom(5, 0.5), norm()),
        (norm(), td.Poisson(1.0)),
    ],
    ids=lambda d: getattr(getattr(d, "dist", d), "name", type(d).__name__),
)
def test_kl_is_infinite_where_q_does_not_cover_p(p, q):
    found = ot.kl_divergence(p, q)
    assert (found.value, found.stderr, found.interval) == (math.inf, 0.0, (math.inf, math.inf))


def test_a_density_that_underflows_is_not_a_hole():
    """scipy's levy and laplace take the log of a density that is 0 in floating point well inside the support."""
    assert stats.laplace.logpdf(800) == -math.inf
    assert ot.kl_divergence(stats.t(4), stats.laplace()).value < 1
    with pytest.raises(ot.NotConverged, match=r"^KL\(p \|\| q\) has no quadrature with a small error") as refused:
        ot.kl_divergence(stats.cauchy(), stats.laplace())
    assert 0 <= refused.value.lower < refused.value.upper == math.inf


def test_a_skewed_law_ends_where_it_ends_whatever_scipy_says():
    p, q = stats.pearson3(-2), stats.pearson3(-2, loc=0.3, scale=1.2)  # exponentials below 1 and below 1.5
    assert math.isinf(p.support()[1])
    found = ot.kl_divergence(p, q)
    assert found.value == pytest.approx(math.log(1.2) + 1.5 / 1.2 - 1, abs=1e-12) and found.stderr < 1e-9
    assert ot.kl_divergence(q, p).value == math.inf
    assert ot.kl_divergence(p, p).value == pytest.approx(0, abs=1e-12)
    assert ot.kl_divergence(stats.pearson3(0), norm()).value == pytest.approx(0, abs=1e-12)
    mirrored = ot.kl_divergence(stats.pearson3(2), stats.pearson3(2, loc=-0.3, scale=1.2))
    assert mirrored.value == pytest.approx(found.value, abs=1e-12)


def test_a_density_that_is_no_number_far_out_is_integrated_where_it_is_one():
    p = stats.exponpow(2.7)
    with np.errstate(all="ignore"):
        assert math.isnan(p.logpdf(1e200))
    assert ot.kl_divergence(p, p).value == pytest.approx(0, abs=1e-14)
    found = ot.kl_divergence(p, stats.halfnorm())
    x = np.linspace(0, 2, 200_001)[1:]  # beyond, the density is below 1e-280
    terms = p.pdf(x) * (p.logpdf(x) - stats.halfnorm.logpdf(x))
    assert found.value == pytest.approx(np.trapezoid(terms, x), abs=1e-9) and found.stderr < 1e-12


@pytest.mark.parametrize("name", NAMES)
def test_atoms_and_densities_are_mutually_singular(name):
    found = DIVERGENCES[name](stats.binom(5, 0.5), norm())
    assert found.method == "mutually singular"
    assert found.value == DIVERGENCES[name]([1, 0], [0, 1])
    assert DIVERGENCES[name](stats.multinomial(3, [0.5, 0.5]), stats.multivariate_normal([0, 0])) == found


@pytest.mark.parametrize("name", NAMES)
def test_lattices_that_miss_each_other_are_mutually_singular(name):
    found = DIVERGENCES[name](stats.poisson(3, loc=0.5), stats.poisson(3))
    assert found.value == pytest.approx(DIVERGENCES[name]([1, 0], [0, 1]), rel=1e-12)


def test_a_density_that_does_not_integrate_is_never_called_infinite():
    """Drawn within one turn whatever its scale, scipy's vonmises of scale 2 has half of its mass elsewhere."""
    p, q = stats.vonmises(1, scale=2), stats.vonmises(2, scale=2)
    with pytest.raises(ot.NotConverged):
        ot.kl_divergence(p, q)
    assert 0 < ot.js_divergence(p, q).value < 0.1


@pytest.mark.parametrize("p", [stats.vonmises(2.0, 0.5), td.VonMises(tensor(0.5).double(), tensor(2.0).double())])
def test_a_law_on_the_circle_is_counted_once_around(p):
    ratio = i1(2.0) / i0(2.0)
    truth = math.log(i0(3.0) / i0(2.0)) + ratio * (2.0 - 3.0 * math.cos(0.5))
    found = ot.kl_divergence(p, stats.vonmises(3.0))
    assert found.method == "quadrature"
    assert agree(found, truth, 1e-8)


@pytest.mark.parametrize("df", [2.0, 1.5])
def test_kl_that_diverges_by_a_logarithm_is_infinite(df):
    """The integrand falls like 1 / x, or slower, until the density underflows near 1e100."""
    assert ot.kl_divergence(stats.t(df), norm()).value == math.inf
    assert math.isfinite(ot.kl_divergence(stats.t(2.2), norm()).value)


@pytest.mark.parametrize("name", NAMES)
def test_tables_of_values_are_summed_over_their_values(name):
    p, q = (stats.rv_discrete(values=([0.1, 0.25, 0.7], w)) for w in ([0.2, 0.3, 0.5], [0.5, 0.25, 0.25]))
    found = DIVERGENCES[name](p, q(loc=0))
    assert found.method == "summation"
    assert agree(found, DIVERGENCES[name](p.pk, q.pk))


def test_categories_that_one_side_lacks_have_no_mass_there():
    p, q = td.Categorical(tensor([0.5, 0.5])), td.Categorical(tensor([0.25, 0.25, 0.5]))
    assert agree(ot.kl_divergence(p, q), LOG2)
    assert ot.kl_divergence(q, p).value == math.inf
    assert agree(ot.total_variation(p, q), 0.5)


@pytest.mark.parametrize("family", [norm, stats.laplace])
def test_closed_forms_do_not_cancel_between_laws_that_nearly_agree(family):
    found, scale = ot.kl_divergence(family(0, 1), family(0, 1 + 1e-7)).value, {"norm": 1.0, "laplace": 0.5}
    assert found == pytest.approx(scale[family.name] * 1e-14, rel=1e-6)


def test_the_rounding_of_points_counts_as_error():
    """At 1e10 the nodes lie on a lattice of 2e-6."""
    near, far = (ot.total_variation(norm(shift, 1), norm(shift + 1, 2)) for shift in (0.0, 1e10))
    assert abs(far.value - near.value) <= far.stderr + near.stderr


def test_matrices_are_drawn_and_judged_as_matrices():
    p, q = stats.wishart(3, np.eye(2)), stats.wishart(4, np.eye(2))
    points = law(p, "p").draw(5)
    np.testing.assert_allclose(law(p, "p").log_density(points), [p.logpdf(point) for point in points])
    np.testing.assert_allclose(law(q, "q").log_density(points), [q.logpdf(point) for point in points])


# Every route to an answer


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "p",
    [norm(1e9, 1), norm(0, 1e-9), stats.beta(2, 3), stats.poisson(4), stats.skellam(3, 4), td.StudentT(3.0), MIXTURE,
     td.LogNormal(0.0, 1.0), td.Gumbel(0.0, 1.0), td.Categorical(tensor([0.2, 0.8])), stats.t(0.5)],
    ids=lambda d: getattr(getattr(d, "dist", d), "name", type(d).__name__),
)  # fmt: skip
def test_nothing_lies_between_a_law_and_itself(name, p):
    found = DIVERGENCES[name](p, p)
    assert found.value == 0
    assert found.interval[0] == 0 <= found.interval[1] < 1e-3


PAIRS = [
    (norm(0, 1), norm(0.5, 3)),
    (norm(0, 1e-6), norm(0, 1e6)),
    (norm(1e9, 1), norm(1e9 + 1, 2)),
    (stats.t(3), norm()),
    (stats.cauchy(), stats.t(5)),
    (stats.gamma(2), stats.lognorm(1)),
    (stats.beta(2, 3), stats.uniform()),
    (stats.Mixture([stats.Normal(), stats.Normal(mu=3)]), stats.Normal()),
    (MIXTURE, td.Normal(0.0, 1.0)),
    (MIXTURE, norm()),
    (stats.binom(5, 0.3), stats.poisson(2)),
    (stats.poisson(1e6), stats.poisson(1.001e6)),
    (stats.Binomial(n=3, p=0.3), stats.binom(3, 0.5)),
    (td.Categorical(tensor([0.3, 0.7])), td.Bernoulli(0.5)),
    (stats.rv_discrete(values=([1, 2], [0.5, 0.5]))(), stats.rv_discrete(values=([1, 2], [0.1, 0.9]))()),
]


@pytest.mark.parametrize(("p", "q"), PAIRS, ids=range(len(PAIRS)))
def test_bounds_hold_against_draws_and_each_other(p, q):
    laws = law(p, "p"), law(q, "q")
    for name, row in ROWS.items():
        found = DIVERGENCES[name](p, q)
        assert found.level == 1.0 and found.stderr < 1e-7 * max(1.0, found.value)
        assert found.interval[0] <= found.value <= found.interval[1] <= row.upper
    value, error, _ = _monte_carlo(JS, *laws)
    assert abs(ot.js_divergence(p, q).value - value) <= 5 * error + 1e-7
    kl, js, tv = (DIVERGENCES[name](p, q).value for name in ROWS)
    assert 2 * tv**2 <= kl + 1e-12 and js <= LOG2 * tv + 1e-9
    assert agree(ot.js_divergence(q, p), js, 1e-9) and agree(ot.total_variation(q, p), tv, 1e-9)
    root = ot.js_distance(p, q)
    assert root.value == pytest.approx(math.sqrt(js), rel=1e-12)
    assert root.interval[0] <= root.value <= root.interval[1]


def test_a_long_series_keeps_its_bound():
    """sum over k of terms that fall like a power of k: what is left out is bounded by the last block."""
    found = ot.total_variation(stats.zipf(3), stats.zipf(2.5))
    k = np.arange(1.0, 4e6)
    head = np.abs(k**-3 / zeta(3) - k**-2.5 / zeta(2.5)).sum() / 2
    assert found.method == "summation" and 0 < found.stderr < 1e-8
    assert agree(found, head, 1e-10)


def test_densities_that_no_float_resolves_fall_back_to_draws():
    """Beta(0.1, 0.1) keeps 2 % of its mass within one rounding of 1."""
    found = ot.js_divergence(stats.beta(0.1, 0.1), stats.uniform())
    assert found.method == "monte carlo" and found.level == 0.95
    assert (
        found.interval[0]
        < found.value
        < found.interval[1]
        == pytest.approx(found.value + 1.96 * found.stderr, rel=1e-4)
    )
    with pytest.raises(ot.NotConverged):
        ot.kl_divergence(stats.beta(0.1, 0.1), stats.uniform())
    with pytest.raises(ot.NotConverged, match="both densities are infinite"):
        ot.js_divergence(stats.beta(0.1, 0.1), stats.beta(0.1, 0.2))


@pytest.mark.parametrize("name", NAMES)
def test_several_dimensions_are_averages_over_draws(name):
    p = stats.multivariate_normal([0, 0])
    q = td.Independent(td.Laplace(tensor([0.5, 0.0]), torch.ones(2)), 1)
    found = DIVERGENCES[name](p, q)
    assert found.method == "monte carlo" and found.level == 0.95
    assert found.interval[0] < found.value < found.interval[1]
    assert found.stderr < 0.01
    assert DIVERGENCES[name](p, q) == found  # the draws are the same every time
    if name == "kl_divergence":  # a product: the sum over the axes
        axes = [ot.kl_divergence(norm(), stats.laplace(m)).value for m in (0.5, 0)]
        assert abs(found.value - sum(axes)) < 4 * found.stderr


def test_one_dimension_as_a_vector_agrees_with_the_integral():
    p, q = (td.Independent(d, 1) for d in (td.Normal(torch.zeros(1), 1.0), td.Laplace(torch.zeros(1), 1.0)))
    for name, row in ROWS.items():
        exact = DIVERGENCES[name](norm(), stats.laplace())
        value, error, _ = _monte_carlo(row, law(p, "p"), law(q, "q"))
        assert abs(value - exact.value) < 4 * error + 1e-12


def test_torch_keeps_closed_forms_in_several_dimensions():
    p, q = (td.Independent(td.Normal(torch.full((3,), m), torch.ones(3)), 1) for m in (0.0, 1.0))
    found = ot.kl_divergence(p, q)
    assert (found.value, found.method) == (1.5, "closed form")


def test_torch_calls_kl_to_the_uniform_infinite_where_it_is_not():
    p, q = td.ContinuousBernoulli(tensor(0.3)), td.Uniform(0.0, 1.0)
    assert ot.kl_divergence(p, q).value == pytest.approx(0.0293861984, abs=1e-9)


def test_float32_parameters_cost_no_digits():
    """Densities are taken in double precision: in float32 the log of a scale alone is off by 1e-8."""
    found = ot.js_divergence(td.Normal(tensor(0.0), tensor(1.75)), td.Normal(tensor(1.0), tensor(2.5)))
    assert agree(found, ot.js_divergence(norm(0, 1.75), norm(1, 2.5)), 1e-14)


def test_torch_state_and_distributions_are_left_alone():
    p = td.MultivariateNormal(torch.zeros(2, requires_grad=True), torch.eye(2))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    ot.js_divergence(p, td.MultivariateNormal(torch.ones(2), torch.eye(2)))
    assert torch.equal(torch.get_rng_state(), before)
    assert p.loc.requires_grad and p.loc.dtype == torch.float32


@pytest.mark.parametrize("name", ["kl_divergence", "js_divergence", "js_distance"])
def test_base_rescales_value_error_and_interval(name):
    p, q = stats.multivariate_normal([0, 0]), stats.multivariate_normal([1, 0])
    if name == "kl_divergence":
        p, q = MIXTURE, norm()
    nats, bits = DIVERGENCES[name](p, q), DIVERGENCES[name](p, q, base=2)
    unit = LOG2 if name != "js_distance" else math.sqrt(LOG2)
    for left, right in zip((bits.value, bits.stderr, *bits.interval), (nats.value, nats.stderr, *nats.interval)):
        assert left * unit == pytest.approx(right, rel=1e-12)


def test_sums_and_integrals_of_the_densities_are_one():
    """The check on which every bound rests."""
    for p, q in PAIRS:
        p, q = law(p, "p"), law(q, "q")
        with np.errstate(all="ignore"):
            total, error = (_sum if p.discrete else _integral)(TV, p, q)
        np.testing.assert_allclose(total[1:], 1.0, atol=1e-8)
        assert (error < 1e-7).all()


# What is refused


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("p", "q", "options", "error", "text"),
    [
        (
            [0.5, 0.5],
            norm(),
            {},
            TypeError,
            "`p` and `q` must both be distributions or both arrays, but `p` is an array.",
        ),
        (norm(), tensor([1.0]), {}, TypeError, "`p` and `q` must both be distributions or both arrays, but `q` is an"),
        (stats.norm, norm(), {}, TypeError, "`p` must be a distribution with its parameters set, but it is norm_gen."),
        (norm(), stats.gaussian_kde([1, 2, 3]), {}, TypeError, "`q` must be a distribution with its parameters set"),
        (norm([0, 1], 1), norm(), {}, ValueError, "`p` must be one distribution, but its log density at one point is"),
        (
            norm(),
            td.Normal(torch.zeros(2), 1.0),
            {},
            ValueError,
            "`q` must be one distribution, but its batch shape is (2,).",
        ),
        (norm(0, -1), norm(), {}, ValueError, "`p` must have valid parameters, but its support is [nan, nan]."),
        (norm(), norm(math.nan, 1), {}, ValueError, "`q` must have valid parameters, but its support is [nan, nan]."),
        (norm(), norm(), {"axis": 0}, TypeError, "`axis` and `normalize` are for probability vectors"),
        (norm(), norm(), {"normalize": True}, TypeError, "`axis` and `normalize` are for probability vectors"),
        (
            norm(),
            stats.multivariate_normal([0, 0]),
            {},
            ValueError,
            "`p` and `q` must live in one space, but their draws",
        ),
        (
            stats.multivariate_normal([0]),
            stats.multivariate_normal([0, 0]),
            {},
            ValueError,
            "`p` and `q` must live in one",
        ),
        (
            norm(),
            td.Normal(math.nan, 1.0, validate_args=False),
            {},
            ValueError,
            "`q` must have valid parameters, but its draws are nan.",
        ),
        (
            stats.multivariate_normal([0, 0], [[1, 1], [1, 1]], allow_singular=True),
            stats.multivariate_normal([0, 0]),
            {},
            ValueError,
            "`p` must have a density, but its covariance has rank 1 in 2 dimensions.",
        ),
    ],
)
def test_bad_distributions_are_refused(name, p, q, options, error, text):
    with pytest.raises(error, match="^" + re.escape(text)):
        DIVERGENCES[name](p, q, **options)
