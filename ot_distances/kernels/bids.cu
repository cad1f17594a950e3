// The rounds of an auction: every free row bids at once, from its list of candidates. All kernels leave at once where a
// phase is over, so that a graph of many rounds runs without asking the host.
//
// instantiate: bid<float>, award<float>, end_round; registers: 40
// instantiate: bid<double>, award<double>; registers: 40

using u64 = unsigned long long;

// Slots of `counts`
enum { FREE, NEXT, STALE, STUCK, STOP, BIDS, READS, ROUNDS };
// Slots of `terms`: a power of two near the spread of the costs, which is bid where a row has no second choice
enum { EPS, UNIT };

#define INFINITE __longlong_as_double(0x7ff0000000000000ll)

__device__ inline float above(float x) { return nextafterf(x, float(INFINITE)); }
__device__ inline double above(double x) { return nextafter(x, INFINITE); }

// A warp a row: offers[j] becomes the largest rise of the price of column j that is offered, the row in its low half;
// among equal offers the lowest row wins. Rows whose lists no longer reach their second choice go to `stale` instead.
template <class P>
__global__ void bid(const int* queue, int* counts, const int* near, const P* near_cost, const int* length, const P* bound,
                    int longest, int m, const P* prices, const double* terms, u64* offers, int* wanted, int* stale) {
    int free = counts[FREE], lane = threadIdx.x % 32, warps = gridDim.x * blockDim.x / 32;
    if (free <= counts[STOP]) return;
    for (int q = (blockIdx.x * blockDim.x + threadIdx.x) / 32; q < free; q += warps) {
        int i = queue[q], start = int(unsigned(i) * 97u % unsigned(m)), turn = m;
        P best = INFINITE, second = INFINITE;
        for (int s = lane; s < length[i]; s += 32) {
            int j = near[size_t(i) * longest + s], from_start = j < start ? j - start + m : j - start;
            P h = near_cost[size_t(i) * longest + s] + prices[j];
            // Equally good columns are taken from a place on that differs from row to row.
            if (h < best || (h == best && from_start < turn)) {
                second = best, best = h, turn = from_start;
            } else if (h < second) {
                second = h;
            }
        }
        for (int s = 1; s < 32; s *= 2) {
            P other = __shfl_xor_sync(~0u, best, s), next = __shfl_xor_sync(~0u, second, s);
            int its = __shfl_xor_sync(~0u, turn, s);
            if (other < best || (other == best && its < turn)) {
                second = best < next ? best : next, best = other, turn = its;
            } else {
                second = other < second ? other : second;
            }
        }
        if (lane) continue;
        if (turn == m || second > bound[i]) {
            wanted[i] = -1;
            stale[atomicAdd(&counts[STALE], 1)] = i;
            if (turn == m && !(bound[i] < INFINITE)) counts[STUCK] = 1;  // no column at all is allowed
            continue;
        }
        int j = turn + start < m ? turn + start : turn + start - m;
        double rise = (second < INFINITE ? (double(second) - double(best)) / terms[UNIT] : 1) + terms[EPS] / terms[UNIT];
        float offer = fmaxf(__double2float_rd(rise), 1.17549435e-38f);
        wanted[i] = j;
        atomicMax(&offers[j], u64(__float_as_uint(offer)) << 32 | ~unsigned(i));
    }
}

// Columns go to the best offers; who is outbid, or has lost a column, is free in the next round.
template <class P>
__global__ void award(const int* queue, int* next, int* counts, const int* wanted, const u64* offers, const double* terms,
                      P* prices, int* col_of_row, int* row_of_col) {
    int free = counts[FREE];
    if (free <= counts[STOP]) return;
    for (int q = blockIdx.x * blockDim.x + threadIdx.x; q < free; q += gridDim.x * blockDim.x) {
        int i = queue[q], j = wanted[i], loser = i;
        if (j >= 0 && unsigned(offers[j]) == ~unsigned(i)) {
            loser = row_of_col[j];
            if (loser >= 0) col_of_row[loser] = -1;
            row_of_col[j] = i, col_of_row[i] = j;
            // A price must rise even by less than its last digit, or a round changes nothing.
            P before = prices[j], after = P(double(before) + terms[UNIT] * __uint_as_float(unsigned(offers[j] >> 32)));
            prices[j] = after > before ? after : above(before);
        }
        if (loser >= 0) next[atomicAdd(&counts[NEXT], 1)] = loser;
    }
}

// One block: the next round's queue and counts, and no offers.
__global__ void end_round(int* queue, const int* next, int* counts, const int* wanted, u64* offers) {
    int free = counts[FREE], left = counts[NEXT];
    if (free <= counts[STOP]) return;
    for (int q = threadIdx.x; q < free; q += blockDim.x) {
        int j = wanted[queue[q]];
        if (j >= 0) offers[j] = 0;
    }
    __syncthreads();
    for (int q = threadIdx.x; q < left; q += blockDim.x) queue[q] = next[q];
    if (threadIdx.x == 0) {
        counts[BIDS] += free, counts[READS] += counts[STALE], counts[ROUNDS]++;
        counts[FREE] = left, counts[NEXT] = counts[STALE] = 0;
    }
}
