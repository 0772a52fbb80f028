// One position of a few sequences: products that read each weight once, and attention to a cache.
#include "small_product.h"

using namespace mindmlm;

namespace {

// Outputs and rows that are worked on at a time, so that all sums stay in registers.
constexpr int kOutputs = 2, kRows = 4;
// Outputs that a thread takes at a time.
constexpr int64_t kOutputChunk = 64;

float total(Lanes sums) {
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
    for (int o = 0; o < n_outputs; ++o)
      weights[o] = *reinterpret_cast<const Lanes *>(weight + o * inner + k);
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
  switch (n_rows) {
    case 1: return dot<1, n_outputs>(x, weight, inner, sums);
    case 2: return dot<2, n_outputs>(x, weight, inner, sums);
    case 3: return dot<3, n_outputs>(x, weight, inner, sums);
    default: return dot<4, n_outputs>(x, weight, inner, sums);
  }
}

// y = finish(x weight'), finish(value, row, output) for each value.
template <typename Finish>
void product(const float *x, const float *weight, float *y, int64_t rows, int64_t inner,
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
        if (n_outputs == kOutputs) dot_rows<kOutputs>(n_rows, left, right, inner, sums);
        else dot_rows<1>(n_rows, left, right, inner, sums);
        for (int64_t i = 0; i < n_rows; ++i)
          for (int64_t j = 0; j < n_outputs; ++j)
            y[(r + i) * outputs + o + j] = finish(sums[i][j], r + i, o + j);
      }
    }
  }
}

constexpr float kHidden = -1.0e8f;

// One head of one sequence: softmax(query keys' scale + bias) values.
void attend_one(const float *query, const float *keys, const float *values, const float *bias,
                float scale, int64_t capacity, int64_t size, float *scores, float *context) {
  float largest = -INFINITY;
  for (int64_t k = 0; k < capacity; ++k) {
    if (bias[k] < kHidden) continue;
    float score = 0.0f;
#pragma omp simd reduction(+ : score)
    for (int64_t i = 0; i < size; ++i) score += query[i] * keys[k * size + i];
    scores[k] = score * scale + bias[k];
    largest = std::max(largest, scores[k]);
  }
  std::fill(context, context + size, 0.0f);
  float sum = 0.0f;
  for (int64_t k = 0; k < capacity; ++k) {
    if (bias[k] < kHidden) continue;
    const float weight = exponential(scores[k] - largest);
    sum += weight;
#pragma omp simd
    for (int64_t i = 0; i < size; ++i) context[i] += weight * values[k * size + i];
  }
  for (int64_t i = 0; i < size; ++i) context[i] /= sum;
}

}  // namespace

// x [rows, inner], weight [outputs, inner] -> x weight'
MINDMLM_KERNEL(ProductOfFew) {
  product(arguments.floats(0), arguments.floats(1), arguments.floats(2), arguments.rows(0),
          arguments.last(0), arguments.size(1, 0), [](float value, int64_t, int64_t) { return value; });
}

// x, weight, bias [outputs] -> x weight' + bias
MINDMLM_KERNEL(DenseOfFew) {
  const float *bias = arguments.floats(2);
  product(arguments.floats(0), arguments.floats(1), arguments.floats(3), arguments.rows(0),
          arguments.last(0), arguments.size(1, 0),
          [=](float value, int64_t, int64_t output) { return value + bias[output]; });
}

// x, weight, bias, residual [rows, outputs] -> x weight' + bias + residual
MINDMLM_KERNEL(DenseAddOfFew) {
  const float *bias = arguments.floats(2), *residual = arguments.floats(3);
  const int64_t outputs = arguments.size(1, 0);
  product(arguments.floats(0), arguments.floats(1), arguments.floats(4), arguments.rows(0),
          arguments.last(0), outputs, [=](float value, int64_t row, int64_t output) {
            return value + bias[output] + residual[row * outputs + output];
          });
}

// query, key, value [sequences, heads * size], keys, values [sequences * heads * capacity, size],
// bias [sequences, 1, 1, capacity], rows int32 [sequences * heads], scale [1] -> context as query.
// The key and the value are first written into their rows of the tables.
MINDMLM_KERNEL(AttendToCache) {
  const float *query = arguments.floats(0), *key = arguments.floats(1), *value = arguments.floats(2);
  float *keys = arguments.floats(3), *values = arguments.floats(4), *context = arguments.floats(8);
  const float *bias = arguments.floats(5);
  const int32_t *rows = arguments.ints(6);
  const int64_t sequences = arguments.size(0, 0), size = arguments.last(3);
  const int64_t capacity = arguments.last(5), heads = arguments.last(0) / size;
#pragma omp parallel for schedule(static)
  for (int64_t head = 0; head < sequences * heads; ++head) {
    thread_local std::vector<float> scores;
    scores.resize(capacity);
    std::copy(key + head * size, key + (head + 1) * size, keys + rows[head] * size);
    std::copy(value + head * size, value + (head + 1) * size, values + rows[head] * size);
    const int64_t table = head * capacity * size;
    attend_one(query + head * size, keys + table, values + table, bias + head / heads * capacity,
               arguments.scalar(7), capacity, size, scores.data(), context + head * size);
  }
}
