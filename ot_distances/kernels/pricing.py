"""One pass over a dense cost matrix: the least reduced costs of each row and column, or the most violated ones."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def _insert(values, places, value, place):
    """Put a value below the largest into an ascending list of fixed length."""
    k = values.shape[0] - 1
    while k > 0 and values[k - 1] > value:
        values[k] = values[k - 1]
        places[k] = places[k - 1]
        k -= 1
    values[k] = value
    places[k] = place


@njit(cache=True, nogil=True, error_model="numpy")
def least_reduced(cost, f, g, first, last, row_values, row_cols, col_values, col_rows):
    """Note the entries of rows first .. last - 1 among the least of cost_ij - f_i - g_j in their row and column.

    The lists, (n, k) and (m, k), ascend; values start at inf and places at -1. Modifies the four lists.
    """
    m = cost.shape[1]
    k = row_values.shape[1] - 1
    for i in range(first, last):
        row = row_values[i]
        worst = row[k]
        for j in range(m):
            reduced = cost[i, j] - f[i] - g[j]
            if reduced < worst:
                _insert(row, row_cols[i], reduced, j)
                worst = row[k]
            if reduced < col_values[j, k]:
                _insert(col_values[j], col_rows[j], reduced, i)


@njit(cache=True, nogil=True, error_model="numpy")
def most_violated(cost, f, g, first, last, noise, row_values, row_cols):
    """Note the least entries of rows first .. last - 1 with cost_ij - f_i - g_j < -noise times the size of its terms.

    The lists, (n, k), ascend; values start at 0 and places at -1. Returns how many rows have any.
    """
    m = cost.shape[1]
    k = row_values.shape[1] - 1
    rows = 0
    for i in range(first, last):
        row = row_values[i]
        worst = row[k]
        for j in range(m):
            reduced = cost[i, j] - f[i] - g[j]
            if reduced < worst and reduced < -noise * (abs(cost[i, j]) + abs(f[i]) + abs(g[j])):
                _insert(row, row_cols[i], reduced, j)
                worst = row[k]
        rows += row_cols[i, 0] >= 0
    return rows
