// Products of small matrices that lie in the cache, for attention.
#pragma once

#include "common.h"

namespace mindmlm {

#ifdef __AVX512F__
constexpr int kLanes = 16;
#else
constexpr int kLanes = 8;
#endif
// Read and written where they happen to lie: no alignment.
typedef float Lanes __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));

// The width of matrices here is a multiple of this.
constexpr int64_t kTileColumns = 2 * kLanes;
constexpr int kTileRows = 6;

inline int64_t padded(int64_t columns) {
  return (columns + kTileColumns - 1) / kTileColumns * kTileColumns;
}

// Memory that begins where a line of the cache does, so that no vector lies in two of them.
struct alignas(64) Line {
  float values[16];
};

inline float *aligned(std::vector<Line> &lines, int64_t floats) {
  lines.resize((floats + 15) / 16);
  return lines.data()->values;
}

// A panel: element i of step k, for i < count, goes to into[k * kSide + i]; zeros to the others.
template <int64_t kSide>
inline void pack_panel(const float *from, int64_t step, int64_t element_step, int64_t count,
                       int64_t depth, float *__restrict into) {
  if (count < kSide) {
    std::fill(into, into + depth * kSide, 0.0f);
    for (int64_t i = 0; i < count; ++i)
      for (int64_t k = 0; k < depth; ++k) into[k * kSide + i] = from[k * step + i * element_step];
  } else if (element_step == 1) {
    for (int64_t k = 0; k < depth; ++k)
      for (int64_t i = 0; i < kSide; ++i) into[k * kSide + i] = from[k * step + i];
  } else {
    for (int64_t k = 0; k < depth; ++k)
      for (int64_t i = 0; i < kSide; ++i) into[k * kSide + i] = from[k * step + i * element_step];
  }
}

// All of b [depth, columns], element (k, j) at from[k * step + j * element_step], as panels of
// kTileColumns columns: one read from its start to its end is as fast for a b of any width.
inline const float *pack_panels(const float *from, int64_t step, int64_t element_step,
                                int64_t depth, int64_t columns, std::vector<Line> &lines) {
  float *const into = aligned(lines, depth * padded(columns));
  for (int64_t j = 0; j < columns; j += kTileColumns)
    pack_panel<kTileColumns>(from + j * element_step, step, element_step,
                             std::min(kTileColumns, columns - j), depth, into + j * depth);
  return into;
}

// A matrix whose element (i, k) is data[i * row_step + k * column_step].
struct View {
  const float *data;
  int64_t row_step;
  int64_t column_step;
};

template <int kRows>
inline void tile(View a, const float *b, float *c, int64_t c_step, int64_t inner, bool add) {
  Lanes sums[kRows][2];
  for (int i = 0; i < kRows; ++i) {
    const Lanes *old = reinterpret_cast<const Lanes *>(c + i * c_step);
    sums[i][0] = add ? old[0] : Lanes{};
    sums[i][1] = add ? old[1] : Lanes{};
  }
  for (int64_t k = 0; k < inner; ++k) {
    const Lanes *row = reinterpret_cast<const Lanes *>(b + k * kTileColumns);
    const Lanes left = row[0], right = row[1];
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) {
      const float value = a.data[i * a.row_step + k * a.column_step];
      sums[i][0] += value * left;
      sums[i][1] += value * right;
    }
  }
  for (int i = 0; i < kRows; ++i) {
    Lanes *result = reinterpret_cast<Lanes *>(c + i * c_step);
    result[0] = sums[i][0];
    result[1] = sums[i][1];
  }
}

// c [rows, columns] = a [rows, inner] b [inner, columns], or += with `add`. b lies in panels whose
// beginnings are `panel_step` apart.
inline void multiply(View a, const float *b, int64_t panel_step, float *c, int64_t c_step,
                     int64_t rows, int64_t columns, int64_t inner, bool add) {
  for (int64_t j = 0; j < columns; j += kTileColumns, b += panel_step) {
    for (int64_t i = 0; i < rows; i += kTileRows) {
      const View part{a.data + i * a.row_step, a.row_step, a.column_step};
      float *result = c + i * c_step + j;
      switch (std::min<int64_t>(kTileRows, rows - i)) {
        case 1: tile<1>(part, b, result, c_step, inner, add); break;
        case 2: tile<2>(part, b, result, c_step, inner, add); break;
        case 3: tile<3>(part, b, result, c_step, inner, add); break;
        case 4: tile<4>(part, b, result, c_step, inner, add); break;
        case 5: tile<5>(part, b, result, c_step, inner, add); break;
        default: tile<6>(part, b, result, c_step, inner, add); break;
      }
    }
  }
}

}  // namespace mindmlm
