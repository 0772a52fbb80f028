// Products with few rows, which are bound by reading the weights: each is read once.
#pragma once

#include "small_product.h"

namespace mindmlm {

// For more rows than this product_of_some is faster.
constexpr int64_t kFewRows = 8;
// Outputs and rows that are worked on at a time, so that all sums stay in registers.
constexpr int kOutputs = 4, kRows = 2;
// Outputs that a thread takes at a time.
constexpr int64_t kOutputChunk = 64;

inline float total(Lanes sums) {
  float result = 0.0f;
  for (int lane = 0; lane < kLanes; ++lane) result += sums[lane];
  return result;
}

// Dot products of `n_rows` rows of x with `n_outputs` rows of the weight.
template <int n_rows, int n_outputs>
void dot(const float *x, const float *weight, int64_t inner, float sums[kRows][kOutputs]) {
  Lanes lanes[n_rows][n_outputs] = {};
  const int64_t whole = inner / kLanes * kLanes;
  for (int64_t k = 0; k < whole; k += kLanes) {
    Lanes weights[n_outputs];
    for (int o = 0; o < n_outputs; ++o) {
      weights[o] = *reinterpret_cast<const Lanes *>(weight + o * inner + k);
      // The same place of the next outputs: without it the memory waits for the arithmetic.
      __builtin_prefetch(weight + (o + n_outputs) * inner + k);
    }
    for (int r = 0; r < n_rows; ++r) {
      const Lanes values = *reinterpret_cast<const Lanes *>(x + r * inner + k);
      for (int o = 0; o < n_outputs; ++o) lanes[r][o] += values * weights[o];
    }
  }
  for (int r = 0; r < n_rows; ++r)
    for (int o = 0; o < n_outputs; ++o) {
      sums[r][o] = total(lanes[r][o]);
      for (int64_t k = whole; k < inner; ++k) sums[r][o] += x[r * inner + k] * weight[o * inner + k];
    }
}

template <int n_outputs>
void dot_rows(int64_t n_rows, const float *x, const float *weight, int64_t inner,
              float sums[kRows][kOutputs]) {
  if (n_rows == 1) return dot<1, n_outputs>(x, weight, inner, sums);
  return dot<kRows, n_outputs>(x, weight, inner, sums);
}

// y = finish(x weight'), finish(value, row, output) for each value.
template <typename Finish>
void product_of_few(const float *x, const float *weight, float *y, int64_t rows, int64_t inner,
                    int64_t outputs, Finish finish) {
#pragma omp parallel for schedule(static)
  for (int64_t chunk = 0; chunk < outputs; chunk += kOutputChunk) {
    const int64_t stop = std::min(chunk + kOutputChunk, outputs);
    for (int64_t o = chunk; o < stop; o += kOutputs) {
      const int64_t n_outputs = std::min<int64_t>(kOutputs, stop - o);
      for (int64_t r = 0; r < rows; r += kRows) {
        const int64_t n_rows = std::min<int64_t>(kRows, rows - r);
        float sums[kRows][kOutputs];
        const float *left = x + r * inner, *right = weight + o * inner;
        if (n_outputs == kOutputs) {
          dot_rows<kOutputs>(n_rows, left, right, inner, sums);
        } else {
          for (int64_t j = 0; j < n_outputs; ++j) {
            float one[kRows][kOutputs];
            dot_rows<1>(n_rows, left, right + j * inner, inner, one);
            for (int64_t i = 0; i < n_rows; ++i) sums[i][j] = one[i][0];
          }
        }
        for (int64_t i = 0; i < n_rows; ++i)
          for (int64_t j = 0; j < n_outputs; ++j)
            y[(r + i) * outputs + o + j] = finish(sums[i][j], r + i, o + j);
      }
    }
  }
}

}  // namespace mindmlm
