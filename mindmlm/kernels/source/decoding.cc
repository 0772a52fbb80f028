// The layers of a decoder for one position of each sequence, whose keys and values go to a cache.
#include "activation.h"
#include "dense.h"
#include "normalization.h"

using namespace mindmlm;

namespace {

constexpr float kHidden = -1.0e8f;
constexpr int kInputs = 4, kWeights = 16, kTables = 2;
// Where the weight of the first feed-forward layer is among those of a layer.
constexpr int kIntermediate = 12;

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

// What all layers work on, and what they leave between their steps: [sequences, hidden] each, and
// `intermediate` [sequences, inner].
struct Step {
  const Arguments &arguments;
  const int first_table;
  const float *bias = arguments.floats(1);
  const int32_t *rows = arguments.ints(2);
  const float scale = arguments.floats(3)[0], epsilon = arguments.floats(3)[1];
  const int64_t sequences = arguments.size(0, 0), hidden = arguments.last(0);
  const int64_t inner = arguments.size(kInputs + kIntermediate, 0);
  const int64_t size = arguments.last(first_table), capacity = arguments.last(1);
  const int64_t count = sequences * hidden;
  float *const x = arguments.floats(arguments.number - 1);
  std::vector<float> normalised = std::vector<float>(count), query = normalised, key = normalised,
                     value = normalised, context = normalised, sum = normalised;
  std::vector<float> intermediate = std::vector<float>(sequences * inner);
  int next_weight = kInputs;

  const float *take_weight() { return arguments.floats(next_weight++); }

  void normalise_rows() {
    const float *weight = take_weight(), *shift = take_weight();
    for (int64_t at = 0; at < count; at += hidden)
      normalise(x + at, weight, shift, normalised.data() + at, moments_of(x + at, hidden, epsilon),
                hidden);
  }

  void project(std::vector<float> &y, int64_t outputs) {
    const float *weight = take_weight(), *shift = take_weight();
    dense(normalised.data(), weight, y.data(), sequences, hidden, outputs,
          [=](float product, int64_t, int64_t output) { return product + shift[output]; });
  }

  void add_projection(const std::vector<float> &from, int64_t width) {
    const float *weight = take_weight(), *shift = take_weight(), *residual = x;
    const int64_t outputs = hidden;
    // Not into x itself: a large product keeps a part of its sums in the result.
    dense(from.data(), weight, sum.data(), sequences, width, outputs,
          [=](float product, int64_t row, int64_t output) {
            return product + shift[output] + residual[row * outputs + output];
          });
    std::copy(sum.begin(), sum.end(), x);
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
    const int64_t values = sequences * inner;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < values; ++i) y[i] = Function::value(y[i]);
  }
};

template <typename Function>
void decode(const Arguments &arguments) {
  const int layers = (arguments.number - kInputs - 1) / (kWeights + kTables);
  Step step{arguments, kInputs + layers * kWeights};
  std::copy_n(arguments.floats(0), step.count, step.x);
  for (int layer = 0; layer < layers; ++layer) {
    const int table = step.first_table + layer * kTables;
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
