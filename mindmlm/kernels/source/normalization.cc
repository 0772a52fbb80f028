// Layer normalisation over the last axis.
#include "normalization.h"

using namespace mindmlm;

namespace {

// dx of one row: rstd * (g - mean(g) - n * mean(g * n)), g = dy * weight, n = normalised x.
void row_gradient(const float *x, const float *weight, const float *dy, float *dx, Moments moments,
                  int64_t columns) {
  float sum = 0.0f, projection = 0.0f;
#pragma omp simd reduction(+ : sum, projection)
  for (int64_t i = 0; i < columns; ++i) {
    const float g = dy[i] * weight[i];
    sum += g;
    projection += g * (x[i] - moments.mean);
  }
  const float mean = sum / columns;
  const float slope = projection * moments.rstd * moments.rstd / columns;
#pragma omp simd
  for (int64_t i = 0; i < columns; ++i)
    dx[i] = moments.rstd * (dy[i] * weight[i] - mean - (x[i] - moments.mean) * slope);
}

void parameter_gradients(const float *x, const float *dy, const float *mean, const float *rstd,
                         float *dweight, float *dbias, int64_t rows, int64_t columns) {
#pragma omp parallel for schedule(static)
  for (int64_t start = 0; start < columns; start += kColumnBlock) {
    const int64_t width = std::min(kColumnBlock, columns - start);
    float weights[kColumnBlock] = {}, biases[kColumnBlock] = {};
    for (int64_t row = 0; row < rows; ++row) {
      const float *values = x + row * columns + start, *slopes = dy + row * columns + start;
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) {
        weights[i] += slopes[i] * (values[i] - mean[row]) * rstd[row];
        biases[i] += slopes[i];
      }
    }
    std::copy(weights, weights + width, dweight + start);
    std::copy(biases, biases + width, dbias + start);
  }
}

}  // namespace

// x [rows, columns], weight, bias [columns], epsilon [1] -> y, mean [rows], rstd [rows]
MINDMLM_KERNEL(LayerNormForward) {
  const float *x = arguments.floats(0), *weight = arguments.floats(1), *bias = arguments.floats(2);
  const float epsilon = arguments.scalar(3);
  float *y = arguments.floats(4), *mean = arguments.floats(5), *rstd = arguments.floats(6);
  const int64_t rows = arguments.rows(0), columns = arguments.last(0);
#pragma omp parallel for schedule(static) if (rows > 16)
  for (int64_t row = 0; row < rows; ++row) {
    const float *values = x + row * columns;
    const Moments moments = moments_of(values, columns, epsilon);
    mean[row] = moments.mean;
    rstd[row] = moments.rstd;
    normalise(values, weight, bias, y + row * columns, moments, columns);
  }
}

// x, weight, mean, rstd, dy -> dx, dweight, dbias
MINDMLM_KERNEL(LayerNormBackward) {
  const float *x = arguments.floats(0), *weight = arguments.floats(1), *mean = arguments.floats(2);
  const float *rstd = arguments.floats(3), *dy = arguments.floats(4);
  float *dx = arguments.floats(5);
  const int64_t rows = arguments.rows(0), columns = arguments.last(0);
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t at = row * columns;
    row_gradient(x + at, weight, dy + at, dx + at, {mean[row], rstd[row]}, columns);
  }
  parameter_gradients(x, dy, mean, rstd, arguments.floats(6), arguments.floats(7), rows, columns);
}
