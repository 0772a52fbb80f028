// Layer normalisation of one row.
#pragma once

#include "common.h"

namespace mindmlm {

struct Moments {
  float mean;
  float rstd;
};

inline Moments moments_of(const float *x, int64_t columns, float epsilon) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < columns; ++i) sum += x[i];
  const float mean = sum / columns;
  float squares = 0.0f;
#pragma omp simd reduction(+ : squares)
  for (int64_t i = 0; i < columns; ++i) squares += (x[i] - mean) * (x[i] - mean);
  return {mean, 1.0f / std::sqrt(squares / columns + epsilon)};
}

inline void normalise(const float *x, const float *weight, const float *bias, float *y,
                      Moments moments, int64_t columns) {
#pragma omp simd
  for (int64_t i = 0; i < columns; ++i)
    y[i] = (x[i] - moments.mean) * moments.rstd * weight[i] + bias[i];
}

}  // namespace mindmlm
