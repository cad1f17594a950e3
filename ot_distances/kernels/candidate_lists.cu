// What an assignment problem asks of its costs, from a matrix or from points: the cheapest columns of a row under given
// prices, the least of a row, the sum of a column, some pairs, or all of them.
//
// instantiate: refresh_rows<Matrix<float>, float>, refresh_rows<Matrix<float>, double>, row_minima<Matrix<float>>, column_sums<Matrix<float>>, pair_costs<Matrix<float>>; registers: 64
// instantiate: refresh_rows<Matrix<double>, double>, row_minima<Matrix<double>>, column_sums<Matrix<double>>, pair_costs<Matrix<double>>; registers: 64
// instantiate: refresh_rows<Cloud<2>, double>, row_minima<Cloud<2>>, column_sums<Cloud<2>>, pair_costs<Cloud<2>>; registers: 128
// instantiate: refresh_rows<Cloud<3>, double>, row_minima<Cloud<3>>, column_sums<Cloud<3>>, pair_costs<Cloud<3>>; registers: 128
// instantiate: refresh_rows<Cloud<0>, double>, row_minima<Cloud<0>>, column_sums<Cloud<0>>, pair_costs<Cloud<0>>; registers: 128
// instantiate: tiled_minima; registers: 128
// instantiate: cost_matrices<Cloud<2>>, cost_matrices<Cloud<3>>, cost_matrices<Cloud<0>>; registers: 64

constexpr int GROUPS = 128;   // of threads, whose least values tell where a list may end
constexpr int LONGEST = 64;   // list
constexpr int MOST_WARPS = 32;
constexpr int ROWS = 8, DEPTH = 32;  // of a tile of points

#define INFINITE __longlong_as_double(0x7ff0000000000000ll)

// A float in float64, exactly: CuPy compiles with -ftz=true, under which a conversion takes subnormal numbers for 0.
__device__ inline double wide(float x) {
    int bits = __float_as_int(x);
    return bits & 0x7f800000 ? double(x) : (bits < 0 ? -0x1p-149 : 0x1p-149) * (bits & 0x7fffff);
}

// So many numbers as one load can bring.
template <class T, int N> struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack { T of[N]; };

// A row of a C-ordered matrix; `factor` is 1, or -1 where the greatest sum is wanted.
template <class T> struct Matrix {
    using Number = T;
    const T* row;
    int m;
    T factor;

    __device__ Matrix(const T* entries, const T*, size_t i, int m, int, int, double factor)
        : row(entries + i * m), m(m), factor(T(factor)) {}

    template <class P> __device__ P in(T entry) const {
        if constexpr (sizeof(P) > sizeof(T)) {
            return factor * wide(entry);
        } else {
            return factor * entry;
        }
    }

    template <class P> __device__ P at(int j) const { return in<P>(row[j]); }

    // visit(j, c_ij + p_j) at this thread's share of the columns; some visits may be of no column, with inf
    template <class P, class Visit> __device__ void each(const P* __restrict__ p, Visit visit) const {
        constexpr int N = 16 / sizeof(T), AT_ONCE = sizeof(P) > sizeof(T) ? 2 : 4;  // as registers allow
        int packs = reinterpret_cast<size_t>(row) % 16 ? 0 : m / N;
        part<N, AT_ONCE>(0, packs, p, visit);
        part<1, 2 * AT_ONCE>(N * packs, m - N * packs, p, visit);
    }

    // The same for `packs` packs of N columns from `start` on. AT_ONCE of them are on the way before the first is looked
    // at, with no branch between: a thread that loads one after the other waits for the memory each time.
    template <int N, int AT_ONCE, class P, class Visit>
    __device__ void part(int start, int packs, const P* __restrict__ p, Visit visit) const {
        auto costs = reinterpret_cast<const Pack<T, N>*>(row + start);
        auto prices = reinterpret_cast<const Pack<P, N>*>(p + start);
        int step = blockDim.x;
        for (int first = threadIdx.x; first < packs; first += AT_ONCE * step) {
            Pack<T, N> c[AT_ONCE];
            Pack<P, N> q[AT_ONCE];
#pragma unroll
            for (int s = 0; s < AT_ONCE; s++) {
                int k = first + s * step < packs ? first + s * step : first;
                c[s] = costs[k], q[s] = prices[k];
            }
#pragma unroll
            for (int s = 0; s < AT_ONCE; s++) {
                bool inside = first + s * step < packs;
#pragma unroll
                for (int l = 0; l < N; l++)
                    visit(start + N * (first + s * step) + l, inside ? in<P>(c[s].of[l]) + q[s].of[l] : P(INFINITE));
            }
        }
    }
};

// The costs of a point, fold(|x - y|) ** power as costs.py evaluates them but for roundings spared; x is (n, d), y is
// (d, m). D = 0 stands for any dimension. Fused operations are written out: a cost is the same wherever it is asked for.
template <int D> struct Cloud {
    using Number = double;
    const double *x, *y;
    int m, d, fold;
    double power, here[D ? D : 1];

    __device__ Cloud(const double* x, const double* y, size_t i, int m, int d, int fold, double power)
        : x(x + i * d), y(y), m(m), d(d), fold(fold), power(power) {
#pragma unroll
        for (int k = 0; k < D; k++) here[k] = this->x[k];
    }

    static __device__ double folded(int fold, double value, double one, double other) {
        double away = fabs(one - other);
        return fold == 0 ? fma(away, away, value) : fold == 1 ? value + away : fmax(value, away);
    }

    static __device__ double raised(double value, double power) {
        return power == 1 ? value : power == 0.5 ? sqrt(value) : pow(value, power);
    }

    template <class> __device__ double at(int j) const {
        double value = 0;
        if (D) {
#pragma unroll
            for (int k = 0; k < D; k++) value = folded(fold, value, here[k], y[size_t(k) * m + j]);
        } else {
            for (int k = 0; k < d; k++) value = folded(fold, value, x[k], y[size_t(k) * m + j]);
        }
        return raised(value, power);
    }

    template <class Visit> __device__ void each(const double* __restrict__ p, Visit visit) const {
        for (int j = threadIdx.x; j < m; j += blockDim.x) visit(j, at<double>(j) + p[j]);
    }
};

template <class P> __device__ P least_of(P value, int lanes) {
    for (int s = 1; s < lanes; s *= 2) {
        P other = __shfl_xor_sync(~0u, value, s);
        value = other < value ? other : value;
    }
    return value;
}

// The `select` or so columns j of least c_ij + p_j for i = rows[q], q < *count: all up to bound[i], with their costs,
// or as many as the list holds of those that equal it; bound[i] = inf where no other column is allowed. A list holds
// two columns at least, if the row is allowed two.
template <class Cost, class P>
__global__ void refresh_rows(const typename Cost::Number* a, const typename Cost::Number* b, int m, int d, int fold,
                             double factor, const P* prices, const int* rows, const int* count, int select, int longest,
                             int* near, typename Cost::Number* near_cost, int* length, P* bound) {
    __shared__ P least[GROUPS], limit;
    __shared__ int cheaper[LONGEST], equal[LONGEST], found_cheaper, found_equal;
    int t = threadIdx.x, groups = blockDim.x < GROUPS ? blockDim.x : GROUPS, width = blockDim.x / groups;
    auto publish = [&](P value) {
        value = least_of(value, width);
        if (t % width == 0) least[t / width] = value;
    };
    for (int q = blockIdx.x; q < *count; q += gridDim.x) {
        size_t i = rows[q];
        Cost row(a, b, i, m, d, fold, factor);
        P mine = INFINITE;
        row.each(prices, [&](int, P h) { mine = h < mine ? h : mine; });
        publish(mine);
        P end;
        int below, ties;
        for (int k = select < groups ? select : groups;; k /= 2) {
            if (k == 0) {  // one column is cheapest alone: the list ends with the next
                P next = INFINITE;
                row.each(prices, [&](int, P h) { next = h > end && h < next ? h : next; });
                publish(next);
            }
            __syncthreads();
            if (t < groups) {  // the k-th least of the groups: as many columns are no dearer
                P own = least[t];
                int rank = 0;
                for (int s = 0; s < groups; s++) rank += least[s] < own || (least[s] == own && s < t);
                if (rank == (k ? k - 1 : 0)) limit = own;
            }
            if (t == 0) found_cheaper = found_equal = 0;
            __syncthreads();
            end = limit;
            if (mine <= end)
                row.each(prices, [&](int j, P h) {
                    if (h < end) {
                        int s = atomicAdd(&found_cheaper, 1);
                        if (s < longest) cheaper[s] = j;
                    } else if (h == end && h < INFINITE) {
                        int s = atomicAdd(&found_equal, 1);
                        if (s < longest) equal[s] = j;
                    }
                });
            __syncthreads();
            below = found_cheaper, ties = found_equal;
            __syncthreads();
            if (below <= longest && (below + ties > 1 || k == 0 || !(end < INFINITE))) break;
        }
        int room = longest - below;
        if (ties > room) {  // from a column on that differs from row to row, lest all rows bid for the same ones
            if (t == 0) found_equal = 0;
            __syncthreads();
            int start = int(unsigned(i) * 97u % unsigned(m));
            for (int s = t; s < m; s += blockDim.x) {
                int j = s + start < m ? s + start : s + start - m;
                if (row.template at<P>(j) + prices[j] == end) {
                    int place = atomicAdd(&found_equal, 1);
                    if (place >= room) break;
                    equal[place] = j;
                }
            }
            __syncthreads();
            ties = room;
        }
        for (int s = t; s < below + ties; s += blockDim.x) {
            int j = s < below ? cheaper[s] : equal[s - below];
            near[i * longest + s] = j;
            near_cost[i * longest + s] = row.template at<typename Cost::Number>(j);
        }
        if (t == 0) length[i] = below + ties, bound[i] = end;  // no barrier: before its lists, the next row has two
    }
}

// least[i] = min_j c_ij + p_j, each term rounded to nearest. The p are float64 as the certificate wants them.
template <class Cost>
__global__ void row_minima(const typename Cost::Number* a, const typename Cost::Number* b, int n, int m, int d, int fold,
                           double factor, const double* prices, double* least) {
    __shared__ double of_warp[MOST_WARPS];
    int t = threadIdx.x, warps = blockDim.x / 32;
    for (int i = blockIdx.x; i < n; i += gridDim.x) {
        Cost row(a, b, i, m, d, fold, factor);
        double mine = INFINITE;
        row.each(prices, [&](int, double h) { mine = h < mine ? h : mine; });
        mine = least_of(mine, 32);
        if (t % 32 == 0) of_warp[t / 32] = mine;
        __syncthreads();
        if (t < 32) {
            mine = least_of(t < warps ? of_warp[t] : INFINITE, 32);
            if (t == 0) least[i] = mine;
        }
        __syncthreads();
    }
}

// row_minima for points of many coordinates. A block takes eight rows at a time, so that y is read an eighth as often.
__global__ void tiled_minima(const double* x, const double* y, int n, int m, int d, int fold, double power,
                             const double* prices, double* least) {
    __shared__ double tile[ROWS][DEPTH], of_warp[ROWS][MOST_WARPS];
    int t = threadIdx.x, warps = blockDim.x / 32;
    for (int first = blockIdx.x * ROWS; first < n; first += gridDim.x * ROWS) {
        double mine[ROWS];
#pragma unroll
        for (int r = 0; r < ROWS; r++) mine[r] = INFINITE;
        for (int block = 0; block < m; block += blockDim.x) {
            int j = block + t;
            double value[ROWS] = {};
            for (int start = 0; start < d; start += DEPTH) {
                for (int s = t; s < ROWS * DEPTH; s += blockDim.x) {
                    int i = first + s / DEPTH, k = start + s % DEPTH;
                    tile[s / DEPTH][s % DEPTH] = i < n && k < d ? x[size_t(i) * d + k] : 0;
                }
                __syncthreads();
                for (int k = 0; k < DEPTH && start + k < d && j < m; k++) {
                    double other = y[size_t(start + k) * m + j];
#pragma unroll
                    for (int r = 0; r < ROWS; r++) value[r] = Cloud<0>::folded(fold, value[r], tile[r][k], other);
                }
                __syncthreads();
            }
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                double h = j < m ? Cloud<0>::raised(value[r], power) + prices[j] : INFINITE;
                mine[r] = h < mine[r] ? h : mine[r];
            }
        }
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            double of_lanes = least_of(mine[r], 32);
            if (t % 32 == 0) of_warp[r][t / 32] = of_lanes;
        }
        __syncthreads();
        if (t < ROWS && first + t < n) {
            double of_row = of_warp[t][0];
            for (int w = 1; w < warps; w++) of_row = of_warp[t][w] < of_row ? of_warp[t][w] : of_row;
            least[first + t] = of_row;
        }
    }
}

// Sums over rows i = part, part + parts, ... and how many of the costs are allowed: (parts, m) each. Blocks are numbered
// column by column of the parts.
template <class Cost>
__global__ void column_sums(const typename Cost::Number* a, const typename Cost::Number* b, int n, int m, int d, int fold,
                            double factor, int parts, double* sums, double* counts) {
    int part = blockIdx.x % parts, j = blockIdx.x / parts * blockDim.x + threadIdx.x;
    if (j >= m) return;
    double sum = 0, count = 0;
#pragma unroll 4
    for (int i = part; i < n; i += parts) {
        double c = Cost(a, b, i, m, d, fold, factor).template at<double>(j);
        sum += c < INFINITE ? c : 0;
        count += c < INFINITE;
    }
    sums[size_t(part) * m + j] = sum;
    counts[size_t(part) * m + j] = count;
}

// costs[k] = c_ij for i = rows[k], j = cols[k].
template <class Cost>
__global__ void pair_costs(const typename Cost::Number* a, const typename Cost::Number* b, long long count, int m, int d,
                           int fold, double factor, const int* rows, const int* cols, double* costs) {
    for (size_t k = size_t(blockIdx.x) * blockDim.x + threadIdx.x; k < count; k += size_t(gridDim.x) * blockDim.x)
        costs[k] = Cost(a, b, rows[k], m, d, fold, factor).template at<double>(cols[k]);
}

// All costs of many problems, (count, n, m), between points x (count, n, d) and y (count, d, m); `rows` is count * n.
template <class Cost>
__global__ void cost_matrices(const double* x, const double* y, long long rows, int n, int m, int d, int fold,
                              double power, double* costs) {
    for (long long i = blockIdx.x; i < rows; i += gridDim.x) {
        Cost row(x, y + i / n * d * m, i, m, d, fold, power);
        for (int j = threadIdx.x; j < m; j += blockDim.x) costs[i * m + j] = row.template at<double>(j);
    }
}
