// GELU, exact and in its tanh form, with gradients; bias gradients.
#include "common.h"

using mindmlm::exponential;
using mindmlm::kColumnBlock;

namespace {

// Values of a tensor that a thread takes at a time.
constexpr int64_t kChunk = 4096;

// log(Phi(x) / (1 - Phi(x))) / x as a polynomial in x * x; see functional.py.
inline float log_odds_of_normal(float x) {
  const float square = x * x < 42.25f ? x * x : 42.25f;
  float series = 3.611232857901649e-09f;
  series = series * square - 2.6689281973774266e-07f;
  series = series * square + 7.938218934299051e-06f;
  series = series * square - 1.1048031704336651e-04f;
  series = series * square - 6.625998735375615e-05f;
  series = series * square + 0.07266856702879548f;
  return series * square + 1.5957684322308144f;
}

inline float sigmoid(float x) {
  const float bounded = x < -87.0f ? -87.0f : x;
  return 1.0f / (1.0f + exponential(-bounded));
}

struct Exact {
  static float value(float x) { return x * sigmoid(log_odds_of_normal(x) * x); }
  static float slope(float x) {
    const float density = exponential(-0.5f * x * x) * 0.3989422804014327f;
    return sigmoid(log_odds_of_normal(x) * x) + x * density;
  }
};

struct Tanh {
  static constexpr float kScale = 1.5957691216057308f, kCubic = 0.044715f;
  static float gate(float x) { return sigmoid((x * x * (kScale * kCubic) + kScale) * x); }
  static float value(float x) { return x * gate(x); }
  static float slope(float x) {
    const float open = gate(x);
    return open * (1.0f + x * (1.0f - open) * (x * x * (3.0f * kScale * kCubic) + kScale));
  }
};

template <typename Function>
void forward(const mindmlm::Arguments &arguments) {
  const float *x = arguments.floats(0);
  float *y = arguments.floats(1);
  const int64_t count = arguments.count(0);
#pragma omp parallel for schedule(static) if (count > kChunk)
  for (int64_t start = 0; start < count; start += kChunk) {
    const int64_t stop = std::min(start + kChunk, count);
#pragma omp simd
    for (int64_t i = start; i < stop; ++i) y[i] = Function::value(x[i]);
  }
}

template <typename Function>
void backward(const mindmlm::Arguments &arguments) {
  const float *x = arguments.floats(0), *dy = arguments.floats(1);
  float *dx = arguments.floats(2);
  const int64_t count = arguments.count(0);
#pragma omp parallel for schedule(static) if (count > kChunk)
  for (int64_t start = 0; start < count; start += kChunk) {
    const int64_t stop = std::min(start + kChunk, count);
#pragma omp simd
    for (int64_t i = start; i < stop; ++i) dx[i] = dy[i] * Function::slope(x[i]);
  }
}

}  // namespace

// x -> y
MINDMLM_KERNEL(GeluForward) { forward<Exact>(arguments); }
MINDMLM_KERNEL(GeluTanhForward) { forward<Tanh>(arguments); }
// x, dy -> dx
MINDMLM_KERNEL(GeluBackward) { backward<Exact>(arguments); }
MINDMLM_KERNEL(GeluTanhBackward) { backward<Tanh>(arguments); }

// x [rows, columns] -> sums over rows [columns]
MINDMLM_KERNEL(ColumnSums) {
  const float *x = arguments.floats(0);
  float *sums = arguments.floats(1);
  const int64_t rows = arguments.rows(0), columns = arguments.last(0);
#pragma omp parallel for schedule(static)
  for (int64_t start = 0; start < columns; start += kColumnBlock) {
    const int64_t width = std::min(kColumnBlock, columns - start);
    float block[kColumnBlock] = {};
    for (int64_t row = 0; row < rows; ++row) {
      const float *values = x + row * columns + start;
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) block[i] += values[i];
    }
    std::copy(block, block + width, sums + start);
  }
}
