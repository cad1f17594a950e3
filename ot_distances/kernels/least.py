"""The lesser and the greater of floats as single instructions: vectors in loops, and little for numba to compile."""

from numba.core.types import UniTuple, float64
from numba.extending import intrinsic


@intrinsic
def lower(typing, a, b):
    """`b` where it is less, else `a`."""
    return float64(float64, float64), lambda context, builder, signature, values: _lower(builder, *values)


@intrinsic
def higher(typing, a, b):
    """`b` where it is greater, else `a`."""
    return float64(float64, float64), lambda context, builder, signature, values: _higher(builder, *values)


@intrinsic
def finite(typing, a):
    """`a`, or -inf for what no greatest value is: inf and nan."""

    def select(context, builder, signature, values):
        (a,) = values
        return builder.select(builder.fcmp_ordered("<", a, a.type(float("inf"))), a, a.type(float("-inf")))

    return float64(float64), select


@intrinsic
def two_least(typing, a, b, c, d):
    """The least of four, and the next: winners of a tournament."""

    def play(context, builder, signature, values):
        a, b, c, d = values
        e, f = _lower(builder, a, b), _lower(builder, c, d)
        beaten = _lower(builder, _higher(builder, a, b), _higher(builder, c, d))
        pair = _lower(builder, e, f), _lower(builder, beaten, _higher(builder, e, f))
        return context.make_tuple(builder, signature.return_type, pair)

    return UniTuple(float64, 2)(float64, float64, float64, float64), play


def _lower(builder, a, b):
    return builder.select(builder.fcmp_ordered("<", b, a), b, a)


def _higher(builder, a, b):
    return builder.select(builder.fcmp_ordered(">", b, a), b, a)
