"""Primal network simplex for the transportation problem: arcs from rows to columns, no capacities, int64 masses.

Rows are nodes 0 .. n - 1, columns n .. n + m - 1, and the root is a column. A tree arc joins a node to its parent;
since all arcs run from rows to columns, it points up at a row and down at a column. The tree is strongly feasible
(Cunningham, Mathematical Programming 1976): an arc without flow hangs at a row, so that it points at the root.
With the leaving arc chosen as the last one that blocks the cycle, this excludes cycling, as costs are whole numbers.

A pivot moves the potentials of a whole side of the tree, thousands of nodes where the cycle has a hundred. So they are
left as they are: in a batch of pivots the tree, as it stood at the start, falls into fragments, one more with each,
and a fragment moves as one. For a batch the nodes are put in preorder, the largest subtree of each first: a cycle of a
thousand nodes then lies in memory step by step, and fragments are runs of places.
"""

from __future__ import annotations

import numpy as np
from numba import njit

PARENT, FLOW, MARK = 0, 1, 2
FIELDS = 3

NODE, NEXT, OWNER = 0, 1, 2  # fields of a link
PLACE, SIZE, HEAVY, FREE = 0, 1, 2, 3  # of a spot: its place, the sizes of its subtree and of the largest one below
SPOT = 4

# Arcs that enter in one go are violated at least so much, relative to the worst: else they take many pivots back.
SHARE = 0.3

OPTIMAL, WORKING = 0, 1


@njit(cache=True, nogil=True, error_model="numpy")
def reroot(tree, top, parent, flow, last):
    """Hang the part of the tree below `last` under `parent` by its node `top`, turning the path between them around.

    With `last` -1 it is the whole tree of `top`; with `parent` -1 `top` becomes its root.
    """
    node = top
    while True:
        above, old_flow = tree[node, PARENT], tree[node, FLOW]
        tree[node, PARENT], tree[node, FLOW] = parent, flow
        if node == last or above < 0:
            return
        node, parent, flow = above, node, old_flow


@njit(cache=True, nogil=True, error_model="numpy")
def send_greedily(tails, heads, row_left, col_left, sent):
    """Send all that is left along the arcs, one after the other.

    Modifies `row_left`, `col_left` and `sent`.
    """
    for e in range(tails.shape[0]):
        flow = min(row_left[tails[e]], col_left[heads[e]])
        row_left[tails[e]] -= flow
        col_left[heads[e]] -= flow
        sent[e] = flow


@njit(cache=True, nogil=True, error_model="numpy")
def connect(col_start, col_rows, col_costs, limits, tree, root, tops, begin, members, queue):
    """Join the trees of the forest to that of `root` by arcs without flow, found breadth first from its columns.

    `col_start`, `col_rows`, `col_costs` list candidate arcs by column, tried up to each of the `limits` in turn. Each
    joins a row of a new tree (the child) to a reached column: strongly feasible. What none reaches hangs at the root
    itself. `tops` holds the root of the tree of each node; members[begin[top] : begin[top + 1]] are its nodes.
    Modifies `tree` and `tops`, uses `queue`.
    """
    n = tops.shape[0] - (col_start.shape[0] - 1)
    queue[0], filled = tops[root], 1
    reached = queue[0]  # what is joined has the top of the root
    for limit in limits:
        filled = _reach(col_start, col_rows, col_costs, limit, tree, tops, begin, members, queue, 0, filled)
    for i in range(n):
        if tops[i] != reached:
            queue[filled] = tops[i]
            _join(tops, begin, members, tops[i], reached)
            reroot(tree, i, root, 0, -1)
            filled = _reach(
                col_start, col_rows, col_costs, np.inf, tree, tops, begin, members, queue, filled, filled + 1
            )


@njit(cache=True, nogil=True, error_model="numpy")
def _reach(col_start, col_rows, col_costs, limit, tree, tops, begin, members, queue, head, filled):
    """Join what the trees in queue[head:filled] reach by arcs up to the limit; returns the new end of the queue."""
    n = tops.shape[0] - (col_start.shape[0] - 1)
    reached = tops[queue[0]]
    while head < filled:
        top = queue[head]
        head += 1
        for t in range(begin[top], begin[top + 1]):
            column = members[t]
            if column < n:
                continue
            for e in range(col_start[column - n], col_start[column - n + 1]):
                i = col_rows[e]
                if tops[i] != reached and col_costs[e] <= limit:
                    queue[filled] = tops[i]
                    filled += 1
                    _join(tops, begin, members, tops[i], reached)
                    reroot(tree, i, column, 0, -1)
    return filled


@njit(cache=True, nogil=True, error_model="numpy")
def _join(tops, begin, members, top, reached):
    for t in range(begin[top], begin[top + 1]):
        tops[members[t]] = reached


@njit(cache=True, nogil=True, error_model="numpy")
def preorder(tree, spots, order):
    """Fill `order` with the nodes, parents first, and `spots` with their places in preorder, the largest subtree of
    each first, and the sizes of their subtrees."""
    # Leaves first: FREE counts for how many children a node still waits.
    nodes = tree.shape[0]
    for node in range(nodes):
        spots[node, FREE], spots[node, SIZE], spots[node, HEAVY] = 0, 1, 0
    for node in range(nodes):
        if tree[node, PARENT] >= 0:
            spots[tree[node, PARENT], FREE] += 1
    rest = nodes
    for leaf in range(nodes):
        node = leaf
        while node >= 0 and spots[node, FREE] == 0:
            spots[node, FREE] = -1
            rest -= 1
            order[rest] = node
            parent = tree[node, PARENT]
            if parent >= 0:
                spots[parent, SIZE] += spots[node, SIZE]
                spots[parent, FREE] -= 1
                spots[parent, HEAVY] = max(spots[parent, HEAVY], spots[node, SIZE])
            node = parent
    # The place after a node is for its largest child; FREE is now the first place behind that one, for the next child.
    for node in order:
        parent, place = tree[node, PARENT], 0
        if parent >= 0:
            place = spots[parent, PLACE] + 1
            if spots[node, SIZE] == spots[parent, HEAVY]:
                spots[parent, HEAVY] = -1
            else:
                place = spots[parent, FREE]
                spots[parent, FREE] += spots[node, SIZE]
        spots[node, PLACE] = place
        spots[node, FREE] = place + 1 + spots[node, HEAVY]


@njit(cache=True, nogil=True, error_model="numpy")
def arrange(tree, at, potential, new_tree, new_at, new_potential, place, below, spots, order):
    """Put the nodes in preorder: in row k of `tree` lies node at[k], and place[at[k]] = k. The root's potential is 0.

    Fills what begins with `new`, `place`, and `below` with the sizes of subtrees; uses `spots` and `order`.
    """
    preorder(tree, spots, order)
    root = potential[order[0]]
    for k in range(tree.shape[0]):
        to, parent = spots[k, PLACE], tree[k, PARENT]
        new_tree[to, PARENT] = spots[parent, PLACE] if parent >= 0 else -1
        new_tree[to, FLOW], new_tree[to, MARK] = tree[k, FLOW], tree[k, MARK]
        new_at[to], new_potential[to], below[to] = at[k], potential[k] - root, spots[k, SIZE]
        place[at[k]] = to


@njit(cache=True, nogil=True, error_model="numpy")
def put_back(arranged, at, tree):
    """Fill the parents and flows of `tree` from what `arrange` made of it."""
    for k in range(arranged.shape[0]):
        tree[at[k], PARENT] = at[arranged[k, PARENT]] if arranged[k, PARENT] >= 0 else -1
        tree[at[k], FLOW] = arranged[k, FLOW]


@njit(cache=True, nogil=True, error_model="numpy")
def settle(tree, order, up_cost, potential):
    """Potentials that give tree arcs reduced cost 0; `up_cost` holds the costs of the arcs to the parents."""
    for node in order:
        parent = tree[node, PARENT]
        potential[node] = up_cost[node] - potential[parent] if parent >= 0 else 0


@njit(cache=True, nogil=True, error_model="numpy")
def _violated(start, heads, costs, potential, place, row, arcs, found):
    """List the most violated arc of each row from `row` on, (row, arc, reduced cost), up to `arcs` arcs on.

    Returns the row after the last, and the number of arcs listed.
    """
    n = start.shape[0] - 1
    count, stop, spot = 0, start[row] + arcs, place[n:]
    while row < n and start[row] < stop:
        f, best, arc = potential[place[row]], 0, -1
        for e in range(start[row], start[row + 1]):
            reduced = costs[e] - f + potential[np.uint32(spot[np.uint64(heads[e])])]
            if reduced < best:
                best, arc = reduced, e
        if arc >= 0:
            found[count, 0], found[count, 1], found[count, 2] = row, arc, best
            count += 1
        row += 1
    return row, count


@njit(cache=True, nogil=True, error_model="numpy")
def _run(runs, count, place):
    """The run of a place, where runs[:count] are (first place, fragment), ascending."""
    low, high = 0, count
    while high - low > 1:
        middle = (low + high) // 2
        if runs[middle, 0] <= place:
            low = middle
        else:
            high = middle
    return low


@njit(cache=True, nogil=True, error_model="numpy")
def _fragment(runs, count, place):
    return runs[_run(runs, count, place), 1]


@njit(cache=True, nogil=True, error_model="numpy")
def _break(runs, count, place):
    """Let a run start at `place`; returns the new number of runs."""
    t = _run(runs, count, place)
    if runs[t, 0] == place:
        return count
    for s in range(count, t + 1, -1):
        runs[s, 0], runs[s, 1] = runs[s - 1, 0], runs[s - 1, 1]
    runs[t + 1, 0], runs[t + 1, 1] = place, runs[t, 1]
    return count + 1


@njit(cache=True, nogil=True, error_model="numpy")
def _split(runs, count, links, first, old, new, begin, end):
    """Make what fragment `old` has in places begin ... end - 1 the fragment `new`; returns the number of runs."""
    count = _break(runs, _break(runs, count, begin), end)
    t = _run(runs, count, begin)
    while t < count and runs[t, 0] < end:
        if runs[t, 1] == old:
            runs[t, 1] = new
        t += 1
    link = first[old]
    first[old] = first[new] = -1
    while link >= 0:
        after = links[link, NEXT]
        owner = new if begin <= links[link, NODE] < end else old
        links[link, NEXT], links[link, OWNER], first[owner] = first[owner], owner, link
        link = after
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def _add(links, first, link, node, fragment):
    links[link, NODE], links[link, NEXT], links[link, OWNER], first[fragment] = node, first[fragment], fragment, link


@njit(cache=True, nogil=True, error_model="numpy")
def _remove(links, first, node, other, fragment):
    """Drop the link of the fragment from its `node` to the node `other`."""
    link, before = first[fragment], -1
    while links[link, NODE] != node or links[link ^ 1, NODE] != other:
        link, before = links[link, NEXT], link
    if before < 0:
        first[fragment] = links[link, NEXT]
    else:
        links[before, NEXT] = links[link, NEXT]


@njit(cache=True, nogil=True, error_model="numpy")
def _move(links, first, fragment, delta, shift, queue):
    """Shift the fragment and all that links join to it, which makes a tree, by `delta`; uses `queue`."""
    queue[0, 0], queue[0, 1] = fragment, -1
    head, filled = 0, 1
    while head < filled:
        fragment, entrance = queue[head, 0], queue[head, 1]
        head += 1
        shift[fragment] += delta
        link = first[fragment]
        while link >= 0:
            if link != entrance:
                queue[filled, 0], queue[filled, 1] = links[link ^ 1, OWNER], link ^ 1
                filled += 1
            link = links[link, NEXT]


@njit(cache=True, nogil=True, error_model="numpy")
def _apex(tree, i, j, mark):
    """Where the paths from i and j to the root meet. Both are climbed in turn, leaving `mark` and `mark` + 1."""
    tree[i, MARK], tree[j, MARK] = mark, mark + 1
    while True:
        if i >= 0:
            i = tree[i, PARENT]
            if i >= 0:
                if tree[i, MARK] == mark + 1:
                    return i
                tree[i, MARK] = mark
        if j >= 0:
            j = tree[j, PARENT]
            if j >= 0:
                if tree[j, MARK] == mark:
                    return j
                tree[j, MARK] = mark + 1


@njit(cache=True, nogil=True, error_model="numpy")
def _send(tree, i, j, apex):
    """Send along the cycle that the arc (i, j) closes all that it can carry: (the flow, child of the leaving arc,
    whether this lies between i and the apex). The last blocking arc leaves, as the cycle runs from the apex down to i,
    over the new arc, and up from j. On the way up from either end every other arc, the first among them, loses flow."""
    flow = np.iinfo(np.int64).max
    leaving, by_row = -1, True
    node, loses = i, True
    while node != apex:
        if loses and tree[node, FLOW] < flow:
            flow, leaving = tree[node, FLOW], node
        node, loses = tree[node, PARENT], not loses
    node, loses = j, True
    while node != apex:
        if loses and tree[node, FLOW] <= flow:
            flow, leaving, by_row = tree[node, FLOW], node, False
        node, loses = tree[node, PARENT], not loses
    if flow > 0:
        for end in (i, j):
            node, change = end, -flow
            while node != apex:
                tree[node, FLOW] += change
                node, change = tree[node, PARENT], -change
    return flow, leaving, by_row


@njit(cache=True, nogil=True, error_model="numpy")
def plant(n, tails, heads, sent, tree, tops, size):
    """Make the arcs that carry flow a forest, sending it around their cycles until these break.

    Modifies `tree`, of roots only; uses `tops` and `size`.
    """
    for node in range(tree.shape[0]):
        tops[node], size[node] = node, 1
    mark = 0
    for e in range(tails.shape[0]):
        if sent[e] == 0:
            continue
        i, j = tails[e], n + heads[e]
        one, other = _top(tops, i), _top(tops, j)
        if one == other:
            mark += 2
            flow, leaving, by_row = _send(tree, i, j, _apex(tree, i, j, mark))
            child, parent = (i, j) if by_row else (j, i)
            reroot(tree, child, parent, sent[e] + flow, leaving)
            continue
        smaller, larger, child, parent = (one, other, i, j) if size[one] < size[other] else (other, one, j, i)
        reroot(tree, child, parent, sent[e], -1)
        tops[smaller] = larger
        size[larger] += size[smaller]
    for node in range(tree.shape[0]):
        if tree[node, FLOW] == 0:
            tree[node, PARENT] = -1


@njit(cache=True, nogil=True, error_model="numpy")
def _top(tops, node):
    """The root of the tree of a node; halves the way there."""
    while tops[node] != node:
        tops[node] = tops[tops[node]]
        node = tops[node]
    return node


@njit(cache=True, nogil=True, error_model="numpy")
def _settled(runs, count, shift, fragments, potential):
    """Add the shifts of the fragments to the potentials, but for what all may share, and set them to 0."""
    longest, base = 0, 0  # the shift of the longest run, which then stays as it is
    for t in range(count):
        length = (runs[t + 1, 0] if t + 1 < count else potential.shape[0]) - runs[t, 0]
        if length > longest:
            longest, base = length, shift[runs[t, 1]]
    for t in range(count):
        delta = shift[runs[t, 1]] - base
        if delta != 0:
            end = runs[t + 1, 0] if t + 1 < count else potential.shape[0]
            run = potential[runs[t, 0] : end]
            for k in range(run.shape[0]):
                run[k] += delta
    for fragment in range(fragments):
        shift[fragment] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def _sort(found, count):
    """Sort the violated arcs, the worst first, by halving gaps (Shell)."""
    gap = 1
    while gap < count // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for t in range(gap, count):
            row, arc, value = found[t, 0], found[t, 1], found[t, 2]
            s = t - gap
            while s >= 0 and found[s, 2] > value:
                found[s + gap, 0], found[s + gap, 1], found[s + gap, 2] = found[s, 0], found[s, 1], found[s, 2]
                s -= gap
            found[s + gap, 0], found[s + gap, 1], found[s + gap, 2] = row, arc, value
        gap //= 3


def workspace(limit: int, n: int) -> tuple[np.ndarray, ...]:
    """What `limit` pivots on n rows need: the fragments as runs of places, (first place, fragment); the arcs that have
    entered, as links from either end; the first link of each fragment, its shift, a queue; and the violated arcs."""
    shapes = (2 * limit + 2, 2), (2 * limit, 3), (limit + 1,), (limit + 1,), (limit + 1, 2), (n, 3)
    return tuple(np.empty(shape, np.int64) for shape in shapes)


@njit(cache=True, nogil=True, error_model="numpy")
def pivots(tree, start, heads, costs, potential, place, below, work, block, cursor):
    """Pivot until no arc is violated, or as often as the `workspace` allows; returns OPTIMAL or WORKING.

    The tree is one that `arrange` has put in order, with `place` and `below`. Potentials are in its order, those of
    columns with the other sign: a part of the tree moves by one number. Row i has the arcs start[i] : start[i + 1].
    Rows are read on from cursor[0] in blocks of `block` arcs. Of each row the most violated arc enters, the worst of
    the block first, while violated by at least SHARE of that. Modifies `tree`, `potential` and `cursor`, whose field 1
    counts marks.
    """
    n = start.shape[0] - 1
    runs, links, first, shift, queue, found = work
    count, runs[0, 0], runs[0, 1], first[0], shift[0] = 1, 0, 0, -1, 0
    fragments, entered, seen, limit = 1, 0, 0, len(shift) - 1
    while seen < n and entered < limit:
        last, violated = _violated(start, heads, costs, potential, place, cursor[0], block, found)
        seen = seen + last - cursor[0] if violated == 0 else 0
        cursor[0] = last if last < n else 0
        _sort(found, violated)
        for q in range(violated):
            if found[q, 2] > SHARE * found[0, 2] or entered == limit:
                break
            i, j = np.int64(place[found[q, 0]]), np.int64(place[n + heads[found[q, 1]]])
            one, other = _fragment(runs, count, i), _fragment(runs, count, j)
            reduced = found[q, 2] - shift[one] + shift[other]
            if reduced > SHARE * found[0, 2]:
                continue
            cursor[1] += 2
            flow, leaving, by_row = _send(tree, i, j, _apex(tree, i, j, cursor[1]))
            # Cut the tree at the leaving arc.
            upper = tree[leaving, PARENT]
            one, other = _fragment(runs, count, leaving), _fragment(runs, count, upper)
            if one == other:
                lower = max(leaving, upper)
                count = _split(runs, count, links, first, one, fragments, lower, lower + below[lower])
                shift[fragments] = shift[one]
                fragments += 1
            else:
                _remove(links, first, leaving, upper, one)
                _remove(links, first, upper, leaving, other)
            # Shift the side that is cut off, and hang it at the new arc.
            top, parent = (i, j) if by_row else (j, i)
            one, other = _fragment(runs, count, top), _fragment(runs, count, parent)
            _move(links, first, one, reduced if by_row else -reduced, shift, queue)
            _add(links, first, 2 * entered, top, one)
            _add(links, first, 2 * entered + 1, parent, other)
            reroot(tree, top, parent, flow, leaving)
            entered += 1
        if violated > 0:
            _settled(runs, count, shift, fragments, potential)
    return OPTIMAL if seen >= n else WORKING
