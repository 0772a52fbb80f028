// The layers of a decoder for one position of each sequence, whose keys and values go to a cache.
#include "activation.h"
#include "dense.h"
#include "normalization.h"

using namespace mindmlm;

namespace {

constexpr float kHidden = -1.0e8f;
constexpr int kInputs = 4, kWeights = 16, kTables = 2;

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

// What all layers work on, and what they leave between their steps: a tensor of the sequences each.
struct Step {
  const float *bias;
  const int32_t *rows;
  float scale, epsilon;
  int64_t sequences, hidden, inner, size, capacity;
  float *x;
  std::vector<float> normalised, query, key, value, context, sum, intermediate;

  // The next weight of the layer at hand, and the bias that follows it.
  float *const *weights;

  void normalise_rows() {
    for (int64_t at = 0; at < sequences * hidden; at += hidden)
      normalise(x + at, weights[0], weights[1], normalised.data() + at,
                moments_of(x + at, hidden, epsilon), hidden);
    weights += 2;
  }

  void project(std::vector<float> &y, int64_t outputs) {
    const float *bias_of_outputs = weights[1];
    dense(normalised.data(), weights[0], y.data(), sequences, hidden, outputs,
          [=](float product, int64_t, int64_t output) { return product + bias_of_outputs[output]; });
    weights += 2;
  }

  void add_projection(const std::vector<float> &from, int64_t width) {
    const float *bias_of_outputs = weights[1], *residual = x;
    const int64_t outputs = hidden;
    // Not into x itself: a large product keeps a part of its sums in the result.
    dense(from.data(), weights[0], sum.data(), sequences, width, outputs,
          [=](float product, int64_t row, int64_t output) {
            return product + bias_of_outputs[output] + residual[row * outputs + output];
          });
    std::copy(sum.begin(), sum.end(), x);
    weights += 2;
  }

  // The key and the value are first written into their rows of the tables.
  void attend(float *keys, float *values) {
    const int64_t heads = hidden / size;
#pragma omp parallel for schedule(static)
    for (int64_t head = 0; head < sequences * heads; ++head) {
      static thread_local std::vector<float> scores;
      scores.resize(capacity);
      const int64_t at = head * size, table = at * capacity;
      std::copy_n(key.data() + at, size, keys + rows[head] * size);
      std::copy_n(value.data() + at, size, values + rows[head] * size);
      attend_one(query.data() + at, keys + table, values + table, bias + head / heads * capacity,
                 scale, capacity, size, scores.data(), context.data() + at);
    }
  }

  template <typename Function>
  void activate() {
    float *y = intermediate.data();
    const int64_t count = sequences * inner;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; ++i) y[i] = Function::value(y[i]);
  }
};

template <typename Function>
void decode(const Arguments &arguments) {
  const int layers = (arguments.number - kInputs - 1) / (kWeights + kTables);
  const float *x = arguments.floats(0), *settings = arguments.floats(3);
  const int first_table = kInputs + layers * kWeights;
  Step step{arguments.floats(1), arguments.ints(2), settings[0], settings[1]};
  step.sequences = arguments.size(0, 0);
  step.hidden = arguments.last(0);
  step.inner = arguments.size(kInputs + kWeights - 4, 0);
  step.size = arguments.last(first_table);
  step.capacity = arguments.last(1);
  step.x = arguments.floats(arguments.number - 1);
  const int64_t count = step.sequences * step.hidden;
  std::copy_n(x, count, step.x);
  for (auto *buffer : {&step.normalised, &step.query, &step.key, &step.value, &step.context,
                       &step.sum})
    buffer->resize(count);
  step.intermediate.resize(step.sequences * step.inner);
  for (int layer = 0; layer < layers; ++layer) {
    step.weights = reinterpret_cast<float **>(arguments.data) + kInputs + layer * kWeights;
    const int table = first_table + layer * kTables;
    step.normalise_rows();
    step.project(step.query, step.hidden);
    step.project(step.key, step.hidden);
    step.project(step.value, step.hidden);
    step.attend(arguments.floats(table), arguments.floats(table + 1));
    step.add_projection(step.context, step.hidden);
    step.normalise_rows();
    step.project(step.intermediate, step.inner);
    step.activate<Function>();
    step.add_projection(step.intermediate, step.inner);
  }
}

}  // namespace

// x [sequences, hidden], bias [sequences, 1, 1, capacity], rows int32 [sequences * heads],
// [scale of the scores, epsilon]; of each layer weight and bias of the first normalisation, query,
// key, value, output, the second normalisation, and the two of the feed-forward part; of each layer
// keys and values [sequences * heads * capacity, size] -> x after the layers.
MINDMLM_KERNEL(DecoderLayersGelu) { decode<Gelu>(arguments); }
MINDMLM_KERNEL(DecoderLayersGeluTanh) { decode<GeluTanh>(arguments); }
MINDMLM_KERNEL(DecoderLayersRelu) { decode<Relu>(arguments); }
