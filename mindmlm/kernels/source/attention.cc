// Scaled dot-product attention of all heads, a block of queries at a time, with its gradient.
#include "small_product.h"

using namespace mindmlm;

namespace {

constexpr int64_t kQueryBlock = 36;
// A score bias below this hides a key.
constexpr float kHidden = -1.0e8f;

// The inputs; a row of `width` values for each position of each sample, the heads beside each other.
struct Problem {
  int64_t batch, heads, sequence, size, width;
  const float *query, *key, *value, *bias;
  int64_t bias_batches, bias_queries;
  const uint8_t *keep;  // null: nothing is dropped
  float scale, keep_scale;

  int64_t start(int64_t sample, int64_t head) const {
    return sample * sequence * width + head * size;
  }
  // One head of one sample, of a tensor like `key`: [sequence, size] and [size, sequence] in panels.
  const float *packed(const float *from, std::vector<Line> &lines) const {
    return pack_panels(from, width, 1, sequence, size, lines);
  }
  const float *packed_transposed(const float *from, std::vector<Line> &lines) const {
    return pack_panels(from, 1, width, size, sequence, lines);
  }
  const float *bias_row(int64_t sample, int64_t query_number) const {
    const int64_t row = (bias_batches == 1 ? 0 : sample) * bias_queries;
    return bias + (row + (bias_queries == 1 ? 0 : query_number)) * sequence;
  }
  // Where the row of a query lies in a tensor [batch, heads, sequence, sequence].
  int64_t score_row(int64_t sample, int64_t head, int64_t query_number) const {
    return ((sample * heads + head) * sequence + query_number) * sequence;
  }
  // Keys behind the last one that some query of the block sees; all where none is seen.
  int64_t visible(int64_t sample, int64_t first, int64_t count) const {
    int64_t end = 0;
    for (int64_t i = 0; i < (bias_queries == 1 ? 1 : count); ++i) {
      const float *row = bias_row(sample, first + i);
      int64_t last = sequence;
      while (last > end && row[last - 1] < kHidden) --last;
      end = std::max(end, last);
    }
    return end == 0 ? sequence : end;
  }
};

// query, key, value [batch, sequence, heads, size], bias [batch or 1, 1, sequence or 1, sequence],
// settings [scale, keep_scale], and keep where something is dropped.
Problem problem_of(const Arguments &arguments, bool drops) {
  const float *settings = arguments.floats(4);
  Problem problem{};
  problem.batch = arguments.size(0, 0);
  problem.sequence = arguments.size(0, 1);
  problem.heads = arguments.size(0, 2);
  problem.size = arguments.size(0, 3);
  problem.width = problem.heads * problem.size;
  problem.query = arguments.floats(0);
  problem.key = arguments.floats(1);
  problem.value = arguments.floats(2);
  problem.bias = arguments.floats(3);
  problem.bias_batches = arguments.size(3, 0);
  problem.bias_queries = arguments.size(3, 2);
  problem.scale = settings[0];
  problem.keep_scale = settings[1];
  problem.keep = drops ? arguments.bytes(5) : nullptr;
  return problem;
}

void unpack(const std::vector<float> &from, int64_t rows, int64_t size, float factor, float *into,
            int64_t step) {
  const int64_t wide = padded(size);
  for (int64_t row = 0; row < rows; ++row)
#pragma omp simd
    for (int64_t i = 0; i < size; ++i) into[row * step + i] = from[row * wide + i] * factor;
}

// softmax(scores * scale + bias) in place.
void softmax_row(float *scores, const float *bias, float scale, int64_t keys) {
  float largest = -INFINITY;
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < keys; ++i) {
    scores[i] = scores[i] * scale + bias[i];
    largest = scores[i] > largest ? scores[i] : largest;
  }
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < keys; ++i) {
    scores[i] = exponential(scores[i] - largest);
    sum += scores[i];
  }
  const float factor = 1.0f / sum;
#pragma omp simd
  for (int64_t i = 0; i < keys; ++i) scores[i] *= factor;
}

void drop(const float *from, const uint8_t *keep, float keep_scale, float *into, int64_t keys) {
#pragma omp simd
  for (int64_t i = 0; i < keys; ++i) into[i] = keep[i] ? from[i] * keep_scale : 0.0f;
}

// One head of one sample. `probabilities`, if it is not null, gets the softmax.
void attend(const Problem &p, int64_t sample, int64_t head, float *context, float *probabilities) {
  const int64_t wide_keys = padded(p.sequence), wide_size = padded(p.size);
  const int64_t start = p.start(sample, head);
  thread_local std::vector<Line> key_lines, value_lines;
  thread_local std::vector<float> scores, mixed;
  const float *const keys = p.packed_transposed(p.key + start, key_lines);
  const float *const values = p.packed(p.value + start, value_lines);
  const int64_t across_keys = p.size * kTileColumns, across_size = p.sequence * kTileColumns;
  scores.resize(kQueryBlock * wide_keys);
  mixed.resize(kQueryBlock * wide_size);
  for (int64_t first = 0; first < p.sequence; first += kQueryBlock) {
    const int64_t count = std::min(kQueryBlock, p.sequence - first);
    const int64_t seen = p.visible(sample, first, count);
    const View queries{p.query + start + first * p.width, p.width, 1};
    multiply(queries, keys, across_keys, scores.data(), wide_keys, count, padded(seen), p.size,
             false);
    for (int64_t i = 0; i < count; ++i) {
      float *row = scores.data() + i * wide_keys;
      softmax_row(row, p.bias_row(sample, first + i), p.scale, seen);
      const int64_t at = p.score_row(sample, head, first + i);
      if (probabilities != nullptr) {
        std::copy(row, row + seen, probabilities + at);
        std::fill(probabilities + at + seen, probabilities + at + p.sequence, 0.0f);
      }
      if (p.keep != nullptr) drop(row, p.keep + at, p.keep_scale, row, seen);
    }
    multiply({scores.data(), wide_keys, 1}, values, across_size, mixed.data(), wide_size, count,
             wide_size, seen, false);
    unpack(mixed, count, p.size, 1.0f, context + start + first * p.width, p.width);
  }
}

struct Gradients {
  float *query, *key, *value;
};

// The gradients of one head of one sample.
void attend_backward(const Problem &p, int64_t sample, int64_t head, const float *probabilities,
                     const float *dcontext, Gradients gradients) {
  const int64_t wide_keys = padded(p.sequence), wide_size = padded(p.size);
  const int64_t start = p.start(sample, head);
  thread_local std::vector<Line> key_lines, query_lines, value_lines, slope_lines;
  thread_local std::vector<float> dscores, dropped, dquery, dkey, dvalue;
  const float *const keys = p.packed(p.key + start, key_lines);
  const float *const queries = p.packed(p.query + start, query_lines);
  const float *const slopes = p.packed(dcontext + start, slope_lines);
  const float *const values = p.packed_transposed(p.value + start, value_lines);
  const int64_t across_keys = p.size * kTileColumns, across_size = p.sequence * kTileColumns;
  dscores.resize(kQueryBlock * wide_keys);
  dropped.resize(kQueryBlock * wide_keys);
  dquery.resize(kQueryBlock * wide_size);
  dkey.assign(p.sequence * wide_size, 0.0f);
  dvalue.assign(p.sequence * wide_size, 0.0f);
  for (int64_t first = 0; first < p.sequence; first += kQueryBlock) {
    const int64_t count = std::min(kQueryBlock, p.sequence - first);
    const int64_t seen = p.visible(sample, first, count);
    multiply({dcontext + start + first * p.width, p.width, 1}, values, across_keys, dscores.data(),
             wide_keys, count, padded(seen), p.size, false);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t at = p.score_row(sample, head, first + i);
      const float *softmax = probabilities + at;
      float *gradient = dscores.data() + i * wide_keys, *kept = dropped.data() + i * wide_keys;
      if (p.keep != nullptr) {
        drop(softmax, p.keep + at, p.keep_scale, kept, seen);
        drop(gradient, p.keep + at, p.keep_scale, gradient, seen);
      } else {
        std::copy(softmax, softmax + seen, kept);
      }
      float inner = 0.0f;
#pragma omp simd reduction(+ : inner)
      for (int64_t k = 0; k < seen; ++k) inner += gradient[k] * softmax[k];
#pragma omp simd
      for (int64_t k = 0; k < seen; ++k) gradient[k] = (gradient[k] - inner) * softmax[k];
    }
    multiply({dscores.data(), wide_keys, 1}, keys, across_size, dquery.data(), wide_size, count,
             wide_size, seen, false);
    unpack(dquery, count, p.size, p.scale, gradients.query + start + first * p.width, p.width);
    multiply({dscores.data(), 1, wide_keys}, queries + first * kTileColumns, across_size,
             dkey.data(), wide_size, seen, wide_size, count, true);
    multiply({dropped.data(), 1, wide_keys}, slopes + first * kTileColumns, across_size,
             dvalue.data(), wide_size, seen, wide_size, count, true);
  }
  unpack(dkey, p.sequence, p.size, p.scale, gradients.key + start, p.width);
  unpack(dvalue, p.sequence, p.size, 1.0f, gradients.value + start, p.width);
}

void forward(const Problem &problem, float *context, float *probabilities) {
#pragma omp parallel for schedule(static) collapse(2)
  for (int64_t sample = 0; sample < problem.batch; ++sample)
    for (int64_t head = 0; head < problem.heads; ++head)
      attend(problem, sample, head, context, probabilities);
}

void backward(const Problem &problem, const float *probabilities, const float *dcontext,
              Gradients gradients) {
#pragma omp parallel for schedule(static) collapse(2)
  for (int64_t sample = 0; sample < problem.batch; ++sample)
    for (int64_t head = 0; head < problem.heads; ++head)
      attend_backward(problem, sample, head, probabilities, dcontext, gradients);
}

}  // namespace

// query, key, value, bias, settings -> context
MINDMLM_KERNEL(Attention) {
  forward(problem_of(arguments, false), arguments.floats(5), nullptr);
}

// query, key, value, bias, settings -> context, probabilities [batch, heads, sequence, sequence]
MINDMLM_KERNEL(AttentionForward) {
  forward(problem_of(arguments, false), arguments.floats(5), arguments.floats(6));
}

// query, key, value, bias, settings, keep [as probabilities] -> context, probabilities
MINDMLM_KERNEL(AttentionDropoutForward) {
  forward(problem_of(arguments, true), arguments.floats(6), arguments.floats(7));
}

// query, key, value, bias, settings, probabilities, dcontext -> dquery, dkey, dvalue
MINDMLM_KERNEL(AttentionBackward) {
  backward(problem_of(arguments, false), arguments.floats(5), arguments.floats(6),
           {arguments.floats(7), arguments.floats(8), arguments.floats(9)});
}

// query, key, value, bias, settings, keep, probabilities, dcontext -> dquery, dkey, dvalue
MINDMLM_KERNEL(AttentionDropoutBackward) {
  backward(problem_of(arguments, true), arguments.floats(6), arguments.floats(7),
           {arguments.floats(8), arguments.floats(9), arguments.floats(10)});
}
