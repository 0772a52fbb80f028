// Attention of one position of each sequence to the keys and values of those before it.
#include "common.h"

using mindmlm::exponential;

namespace {

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
