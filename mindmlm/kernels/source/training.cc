// Dropout, cross-entropy, sums of squares, AdamW.
#include "common.h"

using mindmlm::exponential;

namespace {

constexpr int64_t kChunk = 16384;

float row_probabilities(const float *logits, float *probabilities, int64_t classes) {
  float largest = -INFINITY;
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < classes; ++i) largest = logits[i] > largest ? logits[i] : largest;
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < classes; ++i) {
    probabilities[i] = exponential(logits[i] - largest);
    sum += probabilities[i];
  }
  const float factor = 1.0f / sum;
#pragma omp simd
  for (int64_t i = 0; i < classes; ++i) probabilities[i] *= factor;
  return largest + std::log(sum);
}

double square_sum(const float *x, int64_t count) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) sum += x[i] * x[i];
  return sum;
}

}  // namespace

// x, keep, scale [1] -> x * keep * scale
MINDMLM_KERNEL(DropoutApply) {
  const float *x = arguments.floats(0);
  const uint8_t *keep = arguments.bytes(1);
  const float scale = arguments.scalar(2);
  float *y = arguments.floats(3);
  const int64_t count = arguments.count(0);
#pragma omp parallel for schedule(static)
  for (int64_t start = 0; start < count; start += kChunk) {
    const int64_t stop = std::min(start + kChunk, count);
#pragma omp simd
    for (int64_t i = start; i < stop; ++i) y[i] = keep[i] ? x[i] * scale : 0.0f;
  }
}

// logits [rows, classes], labels int32 [rows], weights [rows] -> loss [1], probabilities
MINDMLM_KERNEL(CrossEntropyForward) {
  const float *logits = arguments.floats(0), *weights = arguments.floats(2);
  const int32_t *labels = arguments.ints(1);
  float *probabilities = arguments.floats(4);
  const int64_t rows = arguments.rows(0), classes = arguments.last(0);
  std::vector<float> losses(rows);
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < rows; ++row) {
    const float *values = logits + row * classes;
    const float log_sum = row_probabilities(values, probabilities + row * classes, classes);
    losses[row] = weights[row] * (log_sum - values[labels[row]]);
  }
  double total = 0.0;
  for (int64_t row = 0; row < rows; ++row) total += losses[row];
  arguments.floats(3)[0] = static_cast<float>(total);
}

// probabilities, labels, weights, dloss [1] -> dlogits = dloss * weight * (p - one-hot)
MINDMLM_KERNEL(CrossEntropyBackward) {
  const float *probabilities = arguments.floats(0), *weights = arguments.floats(2);
  const int32_t *labels = arguments.ints(1);
  const float dloss = arguments.scalar(3);
  float *dlogits = arguments.floats(4);
  const int64_t rows = arguments.rows(0), classes = arguments.last(0);
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < rows; ++row) {
    const float factor = dloss * weights[row];
    const float *values = probabilities + row * classes;
    float *slopes = dlogits + row * classes;
#pragma omp simd
    for (int64_t i = 0; i < classes; ++i) slopes[i] = values[i] * factor;
    slopes[labels[row]] -= factor;
  }
}

// tensors ..., counted [number of tensors] -> [2]: the sum of squares over the tensors with a 1 in
// `counted`, and over all. Chunks are added in their order, whatever the number of threads.
MINDMLM_KERNEL(SquareSums) {
  const int tensors = arguments.number - 2;
  const float *counted = arguments.floats(tensors);
  double total = 0.0, every = 0.0;
  std::vector<double> sums;
  for (int tensor = 0; tensor < tensors; ++tensor) {
    const float *x = arguments.floats(tensor);
    const int64_t count = arguments.count(tensor), chunks = (count + kChunk - 1) / kChunk;
    sums.resize(chunks);
#pragma omp parallel for schedule(static) if (chunks > 1)
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      const int64_t start = chunk * kChunk;
      sums[chunk] = square_sum(x + start, std::min(kChunk, count - start));
    }
    double squares = 0.0;
    for (const double sum : sums) squares += sum;
    every += squares;
    if (counted[tensor] != 0.0f) total += squares;
  }
  arguments.floats(tensors + 1)[0] = static_cast<float>(total);
  arguments.floats(tensors + 1)[1] = static_cast<float>(every);
}

// parameters ..., first moments ..., second moments ..., gradients ..., settings [step size, eps,
// 1 - beta1, 1 - beta2, gradient factor], kept share of each parameter [their number] -> done [1];
// parameters and moments change in place. See optim/adamw.py.
MINDMLM_KERNEL(AdamWUpdates) {
  const int tensors = (arguments.number - 3) / 4;
  const float *settings = arguments.floats(4 * tensors), *shares = arguments.floats(4 * tensors + 1);
  const float step = settings[0], eps = settings[1], new1 = settings[2], new2 = settings[3];
  const float factor = settings[4];
#pragma omp parallel
  for (int tensor = 0; tensor < tensors; ++tensor) {
    float *value = arguments.floats(tensor), *first = arguments.floats(tensors + tensor);
    float *second = arguments.floats(2 * tensors + tensor);
    const float *gradient = arguments.floats(3 * tensors + tensor);
    const float kept = shares[tensor];
    const int64_t count = arguments.count(tensor);
#pragma omp for schedule(static) nowait
    for (int64_t start = 0; start < count; start += kChunk) {
      const int64_t stop = std::min(start + kChunk, count);
#pragma omp simd
      for (int64_t i = start; i < stop; ++i) {
        const float slope = gradient[i] * factor;
        first[i] += (slope - first[i]) * new1;
        second[i] += (slope * slope - second[i]) * new2;
        value[i] = value[i] * kept - step * first[i] / (std::sqrt(second[i]) + eps);
      }
    }
  }
  arguments.floats(4 * tensors + 2)[0] = 0.0f;
}
