// GELU, exact and in its tanh form, with gradients; bias gradients.
#include "activation.h"

using mindmlm::kColumnBlock;

namespace {

// Values of a tensor that a thread takes at a time.
constexpr int64_t kChunk = 4096;

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
MINDMLM_KERNEL(GeluForward) { forward<mindmlm::Gelu>(arguments); }
MINDMLM_KERNEL(GeluTanhForward) { forward<mindmlm::GeluTanh>(arguments); }
// x, dy -> dx
MINDMLM_KERNEL(GeluBackward) { backward<mindmlm::Gelu>(arguments); }
MINDMLM_KERNEL(GeluTanhBackward) { backward<mindmlm::GeluTanh>(arguments); }

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
