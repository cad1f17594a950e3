// CUDA C++ on the CPU, for tests: every thread of a block is a fiber, so the very text of a .cu file runs here, under
// schedules of our choice. It finds wrong indices, missing and divergent barriers, deadlocks, misaligned access and writes
// outside shared memory, and takes subnormal floats for 0 as -ftz=true does (doubles too, which a GPU keeps). It cannot
// show weak memory ordering, races inside one instruction, occupancy or speed.
#pragma once
#include <algorithm>
#include <cfenv>
#include <cmath>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>
#include <link.h>
#include <ucontext.h>
#ifdef __x86_64__
#include <xmmintrin.h>
#endif

namespace shim {

constexpr unsigned WARP_SIZE = 32, RESIDENT = 3;  // blocks that run side by side
constexpr size_t STACK = 1 << 17, DYNAMIC = 227 << 10, GUARD = 1 << 12;

enum State { READY, AT_WARP, AT_BLOCK, DONE };
enum Wish { NOTHING, LANE, BALLOT, COUNT };  // what a thread wants to know of the others at a barrier
enum Schedule { ROUND_ROBIN, FORWARD, BACKWARD, ADVERSARIAL };

struct Index { unsigned x, y, z; };

struct Fiber {
    jmp_buf here;
    ucontext_t entry;
    std::unique_ptr<char[]> stack;
    bool fresh;
    State state;
    unsigned thread, mask, source;
    int site, caller;
    Wish wish;
    uint64_t given, got;
};

struct Block {
    unsigned index;
    std::vector<Fiber*> fibers;
    std::vector<char> shared;  // its own copy while another block runs
};

struct Launch {
    unsigned grid, block;
    size_t shared;
    int schedule;
    uint64_t seed;
    int64_t patience;  // switches between threads before a launch counts as endless
    int dropped;  // the line of a barrier that does nothing, to see that the tests notice
};

static Launch how;
static Fiber* current;
static Block* running;
static jmp_buf scheduler;
static std::string fault;
static int64_t switches;
static void (*body)(void**);
static void** arguments;
static std::vector<std::unique_ptr<Fiber>> pool;
alignas(256) static char dynamic[DYNAMIC + GUARD];

static uint64_t draw() {  // xorshift
    how.seed ^= how.seed << 13, how.seed ^= how.seed >> 7, how.seed ^= how.seed << 17;
    return how.seed >> 11;
}
template <class T> static void shuffle_order(std::vector<T>& order) {
    for (size_t k = order.size(); k > 1; k--) std::swap(order[k - 1], order[draw() % k]);
}
static void fail(const std::string& what) {
    if (fault.empty()) fault = what + " (block " + std::to_string(running->index) + ")";
}

// --- switching ------------------------------------------------------------------------------------------------------

static void trampoline() {
    body(arguments);
    current->state = DONE;
    _longjmp(scheduler, 1);
}
__attribute__((noinline)) static void resume(Fiber* fiber) {
    current = fiber;
    if (++switches > how.patience) fail("no end");
    if (_setjmp(scheduler)) return;
    if (!fiber->fresh) _longjmp(fiber->here, 1);
    fiber->fresh = false;
    setcontext(&fiber->entry);
}
__attribute__((noinline)) static uint64_t pause(State state, int site, unsigned mask, Wish wish, uint64_t given,
                                                unsigned source) {
    Fiber* self = current;
    self->state = state, self->site = self->caller ? self->caller : site, self->mask = mask;
    self->caller = 0;
    self->wish = wish, self->given = given, self->source = source;
    if (!_setjmp(self->here)) _longjmp(scheduler, 1);
    return current->got;
}

// A barrier of the warp: all threads of the mask that still run wait at one place.
static bool release_warp(Block& block, unsigned warp) {
    bool released = false;
    unsigned first = warp * WARP_SIZE, last = std::min(how.block, first + WARP_SIZE);
    for (unsigned t = first; t < last; t++) {
        Fiber& one = *block.fibers[t];
        if (one.state != AT_WARP) continue;
        if (!(one.mask >> (t - first) & 1)) { fail("a thread that its own mask leaves out"); return false; }
        unsigned ballot = 0;
        bool complete = true;
        for (unsigned s = first; s < last; s++) {
            Fiber& other = *block.fibers[s];
            if (!(one.mask >> (s - first) & 1) || other.state == DONE) continue;
            complete &= other.state == AT_WARP && other.mask == one.mask && other.site == one.site;
            ballot |= unsigned(other.given != 0) << (s - first);
        }
        if (!complete) continue;
        uint64_t given[WARP_SIZE];
        std::fill_n(given, WARP_SIZE, 0xDEADBEEFDEADBEEFull);  // what an absent lane would hand over
        for (unsigned s = first; s < last; s++)
            if (one.mask >> (s - first) & 1 && block.fibers[s]->state == AT_WARP) given[s - first] = block.fibers[s]->given;
        unsigned mask = one.mask;
        for (unsigned s = first; s < last; s++) {
            Fiber& other = *block.fibers[s];
            if (!(mask >> (s - first) & 1) || other.state != AT_WARP) continue;
            other.got = other.wish == LANE ? given[other.source % WARP_SIZE] : ballot;
            other.state = READY;
        }
        released = true;
    }
    return released;
}

static bool release_block(Block& block) {
    unsigned waiting = 0, done = 0;
    uint64_t count = 0;
    for (Fiber* fiber : block.fibers) {
        waiting += fiber->state == AT_BLOCK && fiber->site == block.fibers[0]->site;
        done += fiber->state == DONE;
        count += fiber->given != 0;
    }
    if (done == how.block) return false;
    if (waiting < how.block) {
        fail("divergent barrier: the threads of a block wait at different places");
        return false;
    }
    for (Fiber* fiber : block.fibers) fiber->got = count, fiber->state = READY;
    return true;
}

// Run the block until all of it waits at a barrier of the block, and open that. False at its end, or at a fault.
static bool advance(Block& block) {
    unsigned warps = (how.block + WARP_SIZE - 1) / WARP_SIZE;
    std::vector<unsigned> order(warps), lanes(WARP_SIZE);
    for (unsigned w = 0; w < warps; w++) order[w] = how.schedule == BACKWARD ? warps - 1 - w : w;
    for (unsigned l = 0; l < WARP_SIZE; l++) lanes[l] = how.schedule == BACKWARD ? WARP_SIZE - 1 - l : l;
    if (how.schedule == ADVERSARIAL) shuffle_order(order), shuffle_order(lanes);
    for (bool any = true; any;) {
        any = false;
        for (unsigned w : order) {
            for (bool moved = true; moved;) {  // this warp, as far as it comes before any other moves
                moved = false;
                for (unsigned lane : lanes) {
                    unsigned t = w * WARP_SIZE + lane;
                    if (t >= how.block || block.fibers[t]->state != READY) continue;
                    resume(block.fibers[t]);
                    if (!fault.empty()) return false;
                    moved = true;
                }
                moved |= release_warp(block, w);
                any |= moved;
                if (how.schedule == ROUND_ROBIN) break;
            }
        }
    }
    return release_block(block);
}

// --- blocks ---------------------------------------------------------------------------------------------------------

// What is declared __shared__ is thread-local here, so that it lies in one piece wherever a kernel declares it (to a
// section of ours, the compiler moves no variable of a template). All fibers run in one thread of the system.
static thread_local volatile char anchor;
static char* shared_begin;
static size_t shared_size;

static void find_shared() {
    anchor = 1;  // before its first use a library has no thread-local memory
    shared_size = 0;
    dl_iterate_phdr([](dl_phdr_info* library, size_t, void*) {
        bool ours = false;
        size_t bytes = 0;
        for (int k = 0; k < library->dlpi_phnum; k++) {
            const auto& part = library->dlpi_phdr[k];
            if (part.p_type == PT_TLS) bytes = part.p_memsz;
            ours |= part.p_type == PT_LOAD &&
                    reinterpret_cast<size_t>(&shared_size) - library->dlpi_addr - part.p_vaddr < part.p_memsz;
        }
        if (ours) shared_begin = static_cast<char*>(library->dlpi_tls_data), shared_size = bytes;
        return int(ours);
    }, nullptr);
}

static void swap_shared(Block& block, bool in) {
    char* saved = block.shared.data();
    size_t fixed = shared_size;
    auto move = [&](char* live, char* kept, size_t bytes) { in ? memcpy(live, kept, bytes) : memcpy(kept, live, bytes); };
    if (fixed) move(shared_begin, saved, fixed);
    move(dynamic, saved + fixed, how.shared);
}

static void open(Block& block, unsigned index, unsigned slot) {
    block.index = index;
    block.shared.assign(shared_size + how.shared, char(how.seed % 3 == 0 ? 0xFF : how.seed % 3 == 1 ? 0x7E : 0x00));
    block.fibers.resize(how.block);
    for (unsigned t = 0; t < how.block; t++) {
        size_t place = size_t(slot) * how.block + t;
        while (pool.size() <= place) pool.push_back(std::make_unique<Fiber>());
        Fiber* fiber = block.fibers[t] = pool[place].get();
        if (!fiber->stack) fiber->stack.reset(new char[STACK]);
        fiber->fresh = true, fiber->state = READY, fiber->thread = t, fiber->caller = 0;
        getcontext(&fiber->entry);
        fiber->entry.uc_stack.ss_sp = fiber->stack.get();
        fiber->entry.uc_stack.ss_size = STACK;
        makecontext(&fiber->entry, trampoline, 0);
    }
}

static void run_grid() {
    find_shared();
    std::vector<unsigned> order(how.grid);
    for (unsigned b = 0; b < how.grid; b++) order[b] = how.schedule == BACKWARD ? how.grid - 1 - b : b;
    if (how.schedule == ADVERSARIAL) shuffle_order(order);
    bool mixed = how.schedule == ADVERSARIAL && how.block <= 256;
    std::vector<Block> slots(std::min(how.grid, mixed ? RESIDENT : 1));
    std::vector<bool> busy(slots.size(), false);
    memset(dynamic + how.shared, 0x5A, GUARD);
    for (size_t next = 0, alive = 0;;) {
        for (unsigned s = 0; s < slots.size(); s++)
            if (!busy[s] && next < order.size()) open(slots[s], order[next++], s), busy[s] = true, alive++;
        if (!alive) return;
        unsigned s = unsigned(draw() % slots.size());
        if (!busy[s]) continue;
        running = &slots[s];
        swap_shared(*running, true);
        bool on = advance(*running);
        swap_shared(*running, false);
        for (size_t k = 0; k < GUARD; k++)
            if (dynamic[how.shared + k] != 0x5A) return fail("a write beyond the dynamic shared memory");
        if (!fault.empty()) return;
        if (!on) busy[s] = false, alive--;
    }
}

// What the compiler calls where an address is no multiple of what the type asks for (-fsanitize=alignment).
struct Mismatch { const char* file; unsigned line, column; };
extern "C" __attribute__((visibility("hidden"))) void __ubsan_handle_type_mismatch_v1(const Mismatch* where, void*) {
    fail("misaligned access on line " + std::to_string(where->line));
    _longjmp(scheduler, 1);
}

template <class... A, size_t... I> static void call(void (*kernel)(A...), void** args, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_const_t<A>*>(args[I])...);
}
template <auto kernel> struct Kernel;
template <class... A, void (*kernel)(A...)> struct Kernel<kernel> {
    static const char* launch(const Launch* wanted, void** args) {
        how = *wanted, how.seed = how.seed * 2654435769u + 88172645463325252ull;
        fault.clear(), switches = 0, arguments = args;
        if (how.shared > DYNAMIC) return "more shared memory than a block has";
        body = [](void** values) { call(kernel, values, std::index_sequence_for<A...>()); };
#ifdef __x86_64__
        unsigned before = _mm_getcsr();
        _mm_setcsr(before | 0x8040);  // subnormal numbers are 0, read or written
        run_grid();
        _mm_setcsr(before);
#else
        run_grid();
#endif
        return fault.c_str();
    }
    static const char* signature() {
        static const std::string text = ("" + ... + (describe<A>() + " "));
        return text.c_str();
    }
    template <class T> static std::string describe() {
        if constexpr (std::is_pointer_v<T>) return "*" + describe<std::remove_cv_t<std::remove_pointer_t<T>>>();
        else return (std::is_floating_point_v<T> ? "f" : "i") + std::to_string(sizeof(T));
    }
};

// --- what kernels call ----------------------------------------------------------------------------------------------

template <class T> static uint64_t bits(T value) {
    static_assert(sizeof(T) <= 8, "shuffles move 8 bytes at most");
    uint64_t raw = 0;
    memcpy(&raw, &value, sizeof value);
    return raw;
}
template <class T> static T value(uint64_t raw) {
    T out;
    memcpy(&out, &raw, sizeof out);
    return out;
}
static unsigned lane() { return current->thread % WARP_SIZE; }
// Stands before each barrier, and each call of a function that is one: the outermost line names the place.
static bool kept(int line) {
    if (line == how.dropped) return current->caller = 0, false;
    if (!current->caller) current->caller = line;
    return true;
}
static void sync_block(int line) { pause(AT_BLOCK, line, 0, NOTHING, 0, 0); }
static void sync_warp(int line, unsigned mask = ~0u) { pause(AT_WARP, line, mask, NOTHING, 0, 0); }
static int count_block(int line, int vote) { return int(pause(AT_BLOCK, line, 0, COUNT, vote != 0, 0)); }
static unsigned ballot(int line, unsigned mask, int vote) {
    return unsigned(pause(AT_WARP, line, mask, BALLOT, vote != 0, 0));
}
template <class T> static T from_lane(int line, unsigned mask, T given, unsigned source) {
    return value<T>(pause(AT_WARP, line, mask, LANE, bits(given), source));
}
template <class T> static T from_lane_below(int line, unsigned mask, T given, unsigned delta) {
    return from_lane(line, mask, given, lane() >= delta ? lane() - delta : lane());
}
template <class T> static T from_lane_above(int line, unsigned mask, T given, unsigned delta) {
    return from_lane(line, mask, given, lane() + delta < WARP_SIZE ? lane() + delta : lane());
}
template <class T> static T from_lane_across(int line, unsigned mask, T given, unsigned flip) {
    return from_lane(line, mask, given, lane() ^ flip);
}
static void bounded(unsigned threads) {
    if (how.block > threads) fail("more threads in a block than " + std::to_string(threads));
}
// Atomic operations may come in any order: an adversary lets others go first.
static void contend() {
    if (how.schedule == ADVERSARIAL && draw() % 4 == 0) pause(READY, 0, 0, NOTHING, 0, 0);
}
template <class T, class F> static T exchange(T* place, F change) {
    contend();
    T old = *place;
    *place = change(old);
    return old;
}
template <class T> using Same = std::common_type_t<T>;  // not deduced from this argument

template <class F> static auto rounded(int mode, F operation) {
    int before = fegetround();
    fesetround(mode);
    auto result = operation();
    fesetround(before);
    return result;
}

}  // namespace shim

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline
#define __restrict__
#define __shared__ static thread_local
#define threadIdx (shim::Index{shim::current->thread, 0, 0})
#define blockIdx (shim::Index{shim::running->index, 0, 0})
#define blockDim (shim::Index{shim::how.block, 1, 1})
#define gridDim (shim::Index{shim::how.grid, 1, 1})
#define warpSize 32
#define __syncthreads() shim::sync_block(__LINE__)
#define __syncwarp(...) shim::sync_warp(__LINE__ __VA_OPT__(, ) __VA_ARGS__)
#define __syncthreads_count(vote) shim::count_block(__LINE__, vote)
#define __syncthreads_or(vote) (shim::count_block(__LINE__, vote) != 0)
#define __syncthreads_and(vote) (shim::count_block(__LINE__, !(vote)) == 0)
#define __ballot_sync(mask, vote) shim::ballot(__LINE__, mask, vote)
#define __any_sync(mask, vote) (shim::ballot(__LINE__, mask, vote) != 0)
#define __all_sync(mask, vote) (shim::ballot(__LINE__, mask, !(vote)) == 0)
#define __shfl_sync(...) shim::from_lane(__LINE__, __VA_ARGS__)
#define __shfl_xor_sync(...) shim::from_lane_across(__LINE__, __VA_ARGS__)
#define __shfl_up_sync(...) shim::from_lane_below(__LINE__, __VA_ARGS__)
#define __shfl_down_sync(...) shim::from_lane_above(__LINE__, __VA_ARGS__)

static void __threadfence() {}
static void __threadfence_block() {}
template <class T> static T __ldg(const T* place) { return *place; }
template <class T> static T __ldcs(const T* place) { return *place; }
template <class T> static T __ldcg(const T* place) { return *place; }
template <class T> static T atomicAdd(T* p, shim::Same<T> v) { return shim::exchange(p, [=](T old) { return T(old + v); }); }
template <class T> static T atomicSub(T* p, shim::Same<T> v) { return shim::exchange(p, [=](T old) { return T(old - v); }); }
template <class T> static T atomicMin(T* p, shim::Same<T> v) { return shim::exchange(p, [=](T old) { return v < old ? v : old; }); }
template <class T> static T atomicMax(T* p, shim::Same<T> v) { return shim::exchange(p, [=](T old) { return v > old ? v : old; }); }
template <class T> static T atomicOr(T* p, shim::Same<T> v) { return shim::exchange(p, [=](T old) { return T(old | v); }); }
template <class T> static T atomicAnd(T* p, shim::Same<T> v) { return shim::exchange(p, [=](T old) { return T(old & v); }); }
template <class T> static T atomicExch(T* p, shim::Same<T> v) { return shim::exchange(p, [=](T) { return v; }); }
template <class T> static T atomicCAS(T* p, shim::Same<T> c, shim::Same<T> v) {
    return shim::exchange(p, [=](T old) { return old == c ? v : old; });
}
static unsigned __float_as_uint(float x) { return shim::value<unsigned>(shim::bits(x)); }
static int __float_as_int(float x) { return shim::value<int>(shim::bits(x)); }
static float __uint_as_float(unsigned x) { return shim::value<float>(shim::bits(x)); }
static float __int_as_float(int x) { return shim::value<float>(shim::bits(x)); }
static long long __double_as_longlong(double x) { return shim::value<long long>(shim::bits(x)); }
static double __longlong_as_double(long long x) { return shim::value<double>(shim::bits(x)); }
static int __ffs(unsigned x) { return __builtin_ffs(int(x)); }
static int __ffsll(unsigned long long x) { return __builtin_ffsll((long long)x); }
static int __popc(unsigned x) { return __builtin_popcount(x); }
static int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
static int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
static float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
static double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
static double __fma_rd(double a, double b, double c) { return shim::rounded(FE_DOWNWARD, [=] { return std::fma(a, b, c); }); }
static double __fma_ru(double a, double b, double c) { return shim::rounded(FE_UPWARD, [=] { return std::fma(a, b, c); }); }
#define SHIM_ROUNDED(type, name, mode, expression) \
    static type name(type x, type y) { \
        volatile type a = x, b = y; \
        return shim::rounded(mode, [&] { volatile type result = expression; return type(result); }); \
    }
#define SHIM_OPERATION(type, prefix, operation, expression) \
    SHIM_ROUNDED(type, prefix##operation##_rn, FE_TONEAREST, expression) \
    SHIM_ROUNDED(type, prefix##operation##_rd, FE_DOWNWARD, expression) \
    SHIM_ROUNDED(type, prefix##operation##_ru, FE_UPWARD, expression)
SHIM_OPERATION(double, __d, add, a + b)
SHIM_OPERATION(double, __d, sub, a - b)
SHIM_OPERATION(double, __d, mul, a * b)
SHIM_OPERATION(double, __d, div, a / b)
SHIM_OPERATION(float, __f, add, a + b)
SHIM_OPERATION(float, __f, sub, a - b)
SHIM_OPERATION(float, __f, mul, a * b)
SHIM_OPERATION(float, __f, div, a / b)
#define SHIM_NARROWED(name, mode) \
    static float name(double x) { \
        volatile double a = x; \
        return shim::rounded(mode, [&] { volatile float result = float(a); return float(result); }); \
    }
SHIM_NARROWED(__double2float_rn, FE_TONEAREST)
SHIM_NARROWED(__double2float_rd, FE_DOWNWARD)
SHIM_NARROWED(__double2float_ru, FE_UPWARD)
static double __dsqrt_rn(double x) { return std::sqrt(x); }
static float __fsqrt_rn(float x) { return std::sqrt(x); }
using std::isfinite;
using std::isinf;
using std::isnan;
using std::max;
using std::min;
