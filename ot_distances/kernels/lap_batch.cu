// Many small assignment problems at once, each with its proof: the twin of small_assignment.py.
//
// A team of WARPS warps solves one problem at a time: column reduction, a bounded number of bids without epsilon (Jonker
// and Volgenant's augmenting row reduction), then shortest augmenting paths. Thread t owns the columns t, t + THREADS, ...
// and alone touches their v, distance, mark and row_of_col while bids and searches run; everything else that threads
// tell each other goes through a reduction over the team, so that a step needs one barrier, and none in a team of one
// warp. Duals and bounds are float64 whatever the costs are.
//
// instantiate: lap_batch<float, 1>; registers: 64
// instantiate: lap_batch<float, 4>; registers: 64
// instantiate: lap_batch<float, 8>; registers: 64
// instantiate: lap_batch<double, 1>; registers: 64
// instantiate: lap_batch<double, 4>; registers: 64
// instantiate: lap_batch<double, 8>; registers: 64

enum Status { SOLVED, INFEASIBLE, IRREGULAR };

// Loops that wait for memory are unrolled, and only these: the rest would cost registers and seconds of compilation.
#define FOUR_AT_A_TIME _Pragma("unroll 4")
#define ONE_AT_A_TIME _Pragma("unroll 1")

constexpr unsigned ALL = 0xffffffffu;
constexpr double LARGEST = 0x1p300, LEAST = 0x1p-300;  // between these no cost has to be scaled
constexpr double CANCELLED = 0x1p-70;  // the part of the sum of all moduli by which one of its sums may be off

// In float64, exactly: CuPy compiles with -ftz=true, under which a conversion takes subnormal numbers for 0.
__device__ inline double wide(double x) { return x; }
__device__ inline double wide(float x) {
    int bits = __float_as_int(x);
    return bits & 0x7f800000 ? double(x) : (bits < 0 ? -0x1p-149 : 0x1p-149) * (bits & 0x7fffff);
}

__device__ inline double infinity() { return __longlong_as_double(0x7ff0000000000000LL); }

// A column and the row that holds it, or none, in one word that sorts free columns before taken ones.
constexpr unsigned TAKEN = 1u << 31, NOBODY = ~0u;
__device__ inline unsigned pack(int col, int row) { return unsigned(col) << 12 | (row < 0 ? 0u : TAKEN | unsigned(row)); }
__device__ inline int col_of(unsigned key) { return int(key >> 12 & 0xfff); }
__device__ inline int row_of(unsigned key) { return key & TAKEN ? int(key & 0xfff) : -1; }

struct Least {  // the least value, whose it is, and the second least
    double best, second;
    unsigned key;

    __device__ void add(double value, double next, unsigned its) {
        if (value < best || (value == best && its < key)) {
            second = fmin(best, next);
            best = value;
            key = its;
        } else {
            second = fmin(second, value);
        }
    }
};

template <int WARPS> __device__ inline void sync_team() {
    if constexpr (WARPS == 1) {
        __syncwarp();
    } else {
        __syncthreads();
    }
}

template <int WARPS> __device__ inline bool any_of_team(bool vote) {
    if constexpr (WARPS == 1) {
        __syncwarp();  // a vote alone orders no memory
        return __any_sync(ALL, vote);
    } else {
        return __syncthreads_or(vote);
    }
}

// The least of all threads, known to all. Two buffers in turn: who writes one has seen everybody leave it.
template <int WARPS> __device__ inline Least least_of_team(Least mine, int& turn) {
    ONE_AT_A_TIME for (int s = 16; s; s >>= 1) {
        double best = __shfl_xor_sync(ALL, mine.best, s);
        double second = __shfl_xor_sync(ALL, mine.second, s);
        unsigned key = __shfl_xor_sync(ALL, mine.key, s);
        mine.add(best, second, key);
    }
    if constexpr (WARPS > 1) {
        __shared__ Least of_warp[2][WARPS];
        turn ^= 1;
        if (threadIdx.x % 32 == 0) of_warp[turn][threadIdx.x / 32] = mine;
        __syncthreads();
        mine = of_warp[turn][0];
        ONE_AT_A_TIME for (int w = 1; w < WARPS; w++) mine.add(of_warp[turn][w].best, of_warp[turn][w].second, of_warp[turn][w].key);
    }
    return mine;
}

struct Sum {  // in twice the precision (Ogita, Rump & Oishi 2005)
    double total, rest;

    __device__ void add(double value) {
        double next = total + value, back = next - total;
        rest += (total - (next - back)) + (value - back);
        total = next;
    }
    __device__ void add_lanes() {
        ONE_AT_A_TIME for (int s = 16; s; s >>= 1) {
            double other = __shfl_xor_sync(ALL, total, s), others = __shfl_xor_sync(ALL, rest, s);
            add(other);
            rest += others;
        }
    }
};

template <class T, int WARPS> struct Problem {
    static constexpr int THREADS = 32 * WARPS;
    const T* cost;
    double sign;
    int n, m, t;
    double *v, *distance, *u;  // (m,), (m,), (n,)
    int *row_of_col, *before, *mark, *col_of_row;
    int turn;

    __device__ double entry(int i, int j) const { return sign * wide(cost[size_t(i) * m + j]); }
    __device__ bool owner(int j) const { return j % THREADS == t; }
    __device__ void sync() const { sync_team<WARPS>(); }

    // v is the least of each column where all will be matched, else 0; the first column that is tight in a row has it.
    __device__ int reduce_columns() {
        ONE_AT_A_TIME for (int i = t; i < n; i += THREADS) col_of_row[i] = m, u[i] = 0;
        sync();
        bool irregular = false, zero = true, large = false, closed = false;
        ONE_AT_A_TIME for (int j = t; j < m; j += THREADS) {
            double best = infinity();
            int row = -1;
            FOUR_AT_A_TIME for (int i = 0; i < n; i++) {
                double c = entry(i, j);
                irregular |= !(c >= -LARGEST) || (c > LARGEST && c < infinity());
                zero &= c == 0;
                large |= fabs(c) >= LEAST;
                if (c < best) best = c, row = i;
            }
            closed |= row < 0;
            row_of_col[j] = -1;
            v[j] = n == m ? best : 0;
            before[j] = row;
            if (n == m && row >= 0) atomicMin(&col_of_row[row], j);
        }
        irregular = any_of_team<WARPS>(irregular);
        large = any_of_team<WARPS>(large);
        if (irregular || (!large && any_of_team<WARPS>(!zero))) return IRREGULAR;
        if (any_of_team<WARPS>(closed && n == m)) return INFEASIBLE;
        if (n == m)
            ONE_AT_A_TIME for (int j = t; j < m; j += THREADS)
                if (col_of_row[before[j]] == j) row_of_col[j] = before[j];
        list_rows();
        return SOLVED;
    }

    // col_of_row from row_of_col.
    __device__ void list_rows() {
        sync();
        ONE_AT_A_TIME for (int i = t; i < n; i += THREADS) col_of_row[i] = -1;
        sync();
        ONE_AT_A_TIME for (int j = t; j < m; j += THREADS)
            if (row_of_col[j] >= 0) col_of_row[row_of_col[j]] = j;
        sync();
    }

    // Each free row takes its best column, whose v falls until the second best is as good; who held it bids next. There
    // are n bids at most: from 32 to 256 rows, more of them spare fewer steps of the searches than they are.
    __device__ int bid() {
        for (int f = 0, bids = 0; f < n; f++) {
            if (col_of_row[f] >= 0) continue;
            for (int i = f; i >= 0 && bids < n; bids++) {
                Least least{infinity(), infinity(), NOBODY};
                FOUR_AT_A_TIME for (int j = t; j < m; j += THREADS)
                    least.add(entry(i, j) - v[j], infinity(), pack(j, row_of_col[j]));
                least = least_of_team<WARPS>(least, turn);
                if (least.best == infinity()) return INFEASIBLE;
                int j = col_of(least.key), displaced = row_of(least.key);
                double fall = least.second < infinity() ? least.second - least.best : 0;
                if (displaced >= 0 && !(fall > 0)) break;  // a tie: left to the searches
                if (owner(j)) v[j] -= fall, row_of_col[j] = i;
                if (t == 0) u[i] = least.best + fall;
                i = displaced;
            }
        }
        list_rows();
        return SOLVED;
    }

    // Dijkstra from the free row f over reduced costs, and the matching along its path.
    __device__ int search(int f) {
        double base = 0;
        int sink = -1;
        ONE_AT_A_TIME for (int i = f; i >= 0;) {
            bool first = i == f;
            double here = first ? 0 : u[i];
            Least least{infinity(), infinity(), NOBODY};
            FOUR_AT_A_TIME for (int j = t; j < m; j += THREADS) {
                // No branch around the entries: they are on the way four at a time.
                bool open = first || !mark[j];
                double reached = base + ((entry(i, j) - here) - v[j]), known = first ? infinity() : distance[j];
                if (first || (open && reached < known)) {
                    distance[j] = known = reached, before[j] = i, mark[j] = 0;
                }
                least.add(open ? known : infinity(), infinity(), open ? pack(j, row_of_col[j]) : NOBODY);
            }
            least = least_of_team<WARPS>(least, turn);
            if (least.best == infinity()) return INFEASIBLE;
            base = least.best;
            sink = col_of(least.key), i = row_of(least.key);
            if (i >= 0 && owner(sink)) mark[sink] = 1;
        }
        ONE_AT_A_TIME for (int j = t; j < m; j += THREADS) {
            if (!mark[j]) continue;
            double fall = fmax(base - distance[j], 0.0);  // v never rises, by no rounding: it stays below 0 where n < m
            v[j] -= fall, u[row_of_col[j]] += fall;
        }
        if (t == 0) u[f] = base;
        sync();
        if (t == 0) {
            ONE_AT_A_TIME for (int j = sink, i = -1; i != f;) {
                i = before[j];
                int next = col_of_row[i];
                row_of_col[j] = i, col_of_row[i] = j, j = next;
            }
        }
        sync();
        return SOLVED;
    }

    // u by the c-transform, rounded down; both sums, let out by what rounding may have done, in the user's sense.
    __device__ void prove(double slack, double share, double* bounds) {
        int lane = t % 32;
        ONE_AT_A_TIME for (int i = t / 32; i < n; i += WARPS) {
            double best = infinity();
            FOUR_AT_A_TIME for (int j = lane; j < m; j += 32) best = fmin(best, entry(i, j) - v[j]);
            ONE_AT_A_TIME for (int s = 16; s; s >>= 1) best = fmin(best, __shfl_xor_sync(ALL, best, s));
            if (lane == 0) u[i] = best - fabs(best) * 0x1p-52;
        }
        sync();
        if (t >= 32) return;
        Sum primal{0, 0}, dual{0, 0}, size{0, 0}, paid{0, 0};
        ONE_AT_A_TIME for (int j = lane; j < m; j += 32) dual.add(v[j]), size.add(fabs(v[j]));
        ONE_AT_A_TIME for (int i = lane; i < n; i += 32) {
            double own = entry(i, col_of_row[i]);
            dual.add(u[i]), size.add(fabs(u[i])), primal.add(own), paid.add(fabs(own));
        }
        primal.add_lanes(), dual.add_lanes(), size.add_lanes(), paid.add_lanes();
        if (lane) return;
        double cost = primal.total + primal.rest, value = dual.total + dual.rest;
        double lower = value - slack * fabs(value) - CANCELLED * size.total;
        double upper = cost + slack * fabs(cost) + CANCELLED * paid.total;
        double scale = fmax(fmax(fabs(lower), fabs(upper)), share * size.total);
        bounds[0] = sign * fmin(fmax(cost, lower), upper);
        bounds[1] = sign > 0 ? lower : -upper;
        bounds[2] = sign > 0 ? upper : -lower;
        bounds[3] = upper > lower ? (upper - lower) / scale : 0;
    }
};

// Match the rows of `count` problems (n, m), n <= m < 4096, at the least sum of sign * costs. Fills cols (count, n), u
// (count, n), v (count, m), bounds (count, 4): cost, lower, upper, gap; and status (count,). Nothing but the status is
// filled where that is not 0. `bytes` is the shared memory of a team; with `staged` it holds the costs as well.
template <class T, int WARPS>
__global__ void __launch_bounds__(WARPS == 1 ? 128 : 32 * WARPS, WARPS == 8 ? 4 : 8)
    lap_batch(const T* costs, double sign, int count, int n, int m, double slack, double share, int staged, int bytes,
              long long* cols, double* u, double* v, double* bounds, int* status) {
    extern __shared__ double memory[];
    constexpr int THREADS = 32 * WARPS;
    int team = threadIdx.x / THREADS, teams = blockDim.x / THREADS;
    double* numbers = memory + size_t(team) * bytes / sizeof(double);
    Problem<T, WARPS> problem;
    problem.sign = sign, problem.n = n, problem.m = m, problem.t = threadIdx.x % THREADS, problem.turn = 0;
    problem.v = numbers, problem.distance = numbers + m, problem.u = numbers + 2 * m;
    problem.row_of_col = reinterpret_cast<int*>(numbers + 2 * m + n);
    problem.before = problem.row_of_col + m, problem.mark = problem.before + m, problem.col_of_row = problem.mark + m;
    T* copy = reinterpret_cast<T*>(numbers + (7 * m + 3 * n + 1) / 2);
    int b = blockIdx.x * teams + team, t = problem.t;
    if (b >= count) return;
    problem.cost = costs + size_t(b) * n * m;
    if (staged) {
        ONE_AT_A_TIME for (int k = t; k < n * m; k += THREADS) copy[k] = problem.cost[k];
        problem.cost = copy;  // read only behind the first barrier
    }
    int verdict = problem.reduce_columns();
    if (verdict == SOLVED) verdict = problem.bid();
    for (int f = 0; f < n && verdict == SOLVED; f++)
        if (problem.col_of_row[f] < 0) verdict = problem.search(f);
    if (verdict == SOLVED) {
        problem.prove(slack, share, bounds + size_t(b) * 4);
        ONE_AT_A_TIME for (int i = t; i < n; i += THREADS) {
            cols[size_t(b) * n + i] = problem.col_of_row[i];
            u[size_t(b) * n + i] = sign * problem.u[i];
        }
        ONE_AT_A_TIME for (int j = t; j < m; j += THREADS) v[size_t(b) * m + j] = sign * problem.v[j];
    }
    if (t == 0) status[b] = verdict;
}
