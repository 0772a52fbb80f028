// Products of large matrices: blocks that fit the caches (Goto & van de Geijn 2008), packed so that
// the innermost loop reads memory in its order, and a last step while a tile is in the registers.
#pragma once

#include <omp.h>

#include "small_product.h"

namespace mindmlm {

// Of the inner axis, of the rows of a, of the columns of b: a panel of b lies in the first cache,
// a block of a in the second, a block of b in the third.
constexpr int64_t kInnerBlock = 768, kMostRows = 96, kColumnBlockOfB = 3072;

// Rows of a block of a: blocks of equal size, as many for each thread.
inline int64_t rows_of_block(int64_t rows, int64_t threads) {
  const int64_t turns = (rows + kMostRows * threads - 1) / (kMostRows * threads);
  const int64_t even = (rows + turns * threads - 1) / (turns * threads);
  return (even + kTileRows - 1) / kTileRows * kTileRows;
}

// Rows [first, first + count) of a, inner [k, k + depth), as panels of kTileRows rows.
inline void pack_rows(View a, int64_t count, int64_t depth, float *into) {
  for (int64_t i = 0; i < count; i += kTileRows) {
    const int64_t rows = std::min<int64_t>(kTileRows, count - i);
    const float *from = a.data + i * a.row_step;
    if (rows < kTileRows) std::fill(into, into + depth * kTileRows, 0.0f);
    if (a.column_step == 1) {
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t k = 0; k < depth; ++k) into[k * kTileRows + r] = from[r * a.row_step + k];
    } else {
      for (int64_t k = 0; k < depth; ++k)
        for (int64_t r = 0; r < rows; ++r)
          into[k * kTileRows + r] = from[r * a.row_step + k * a.column_step];
    }
    into += depth * kTileRows;
  }
}

// Columns [j, j + kTileColumns) of b (fewer at the end), inner depth, as one panel.
inline void pack_panel(View b, int64_t columns, int64_t depth, float *into) {
  if (columns < kTileColumns) std::fill(into, into + depth * kTileColumns, 0.0f);
  if (b.column_step == 1) {
    for (int64_t k = 0; k < depth; ++k)
      std::copy(b.data + k * b.row_step, b.data + k * b.row_step + columns, into + k * kTileColumns);
    return;
  }
  for (int64_t j = 0; j < columns; ++j)
    for (int64_t k = 0; k < depth; ++k)
      into[k * kTileColumns + j] = b.data[k * b.row_step + j * b.column_step];
}

// A tile of sums of a packed panel of a with one of b.
inline void packed_tile(const float *a, const float *b, int64_t depth,
                        Lanes (&sums)[kTileRows][2]) {
  for (int i = 0; i < kTileRows; ++i) sums[i][0] = sums[i][1] = Lanes{};
  for (int64_t k = 0; k < depth; ++k) {
    const Lanes *row = reinterpret_cast<const Lanes *>(b + k * kTileColumns);
    const Lanes left = row[0], right = row[1];
#pragma GCC unroll 6
    for (int i = 0; i < kTileRows; ++i) {
      const float value = a[k * kTileRows + i];
      sums[i][0] += value * left;
      sums[i][1] += value * right;
    }
  }
}

// Put or add the sums of a tile, m rows of n columns, into the result at (row, column).
template <typename Finish>
inline __attribute__((always_inline)) void put(const Lanes (&sums)[kTileRows][2], int64_t m,
                                               int64_t n, float *__restrict result, int64_t step,
                                               int64_t row, int64_t column, bool first, bool last,
                                               const Finish &finish) {
  for (int64_t r = 0; r < m; ++r, result += step) {
    const float *__restrict values = reinterpret_cast<const float *>(sums[r]);
    if (first && last) {
      for (int64_t q = 0; q < n; ++q) result[q] = finish(values[q], row + r, column + q);
    } else if (first) {
      for (int64_t q = 0; q < n; ++q) result[q] = values[q];
    } else if (last) {
      for (int64_t q = 0; q < n; ++q)
        result[q] = finish(result[q] + values[q], row + r, column + q);
    } else {
      for (int64_t q = 0; q < n; ++q) result[q] += values[q];
    }
  }
}

// c [rows, columns] = a [rows, inner] b [inner, columns]; finish(value, row, column) makes each
// result of its sum. a and b may be transposed views; c is contiguous.
template <typename Finish>
void matrix_product(View a, View b, float *c, int64_t rows, int64_t columns, int64_t inner,
                    Finish finish) {
  static thread_local std::vector<float> packed_b;
  const int64_t row_block = rows_of_block(rows, omp_get_max_threads());
  for (int64_t j0 = 0; j0 < columns; j0 += kColumnBlockOfB) {
    const int64_t width = std::min(kColumnBlockOfB, columns - j0);
    const int64_t panels = (width + kTileColumns - 1) / kTileColumns;
    for (int64_t k0 = 0; k0 < inner; k0 += kInnerBlock) {
      const int64_t depth = std::min(kInnerBlock, inner - k0);
      const bool first = k0 == 0, last = k0 + depth == inner;
      packed_b.resize(panels * depth * kTileColumns);
      float *const panels_of_b = packed_b.data();
#pragma omp parallel
      {
#pragma omp for schedule(static)
        for (int64_t panel = 0; panel < panels; ++panel) {
          const int64_t j = panel * kTileColumns;
          const View part{b.data + k0 * b.row_step + (j0 + j) * b.column_step, b.row_step,
                          b.column_step};
          pack_panel(part, std::min(kTileColumns, width - j), depth,
                     panels_of_b + panel * depth * kTileColumns);
        }
        static thread_local std::vector<float> packed_a;
        packed_a.resize(row_block * kInnerBlock);
#pragma omp for schedule(static)
        for (int64_t i0 = 0; i0 < rows; i0 += row_block) {
          const int64_t count = std::min(row_block, rows - i0);
          pack_rows({a.data + i0 * a.row_step + k0 * a.column_step, a.row_step, a.column_step},
                    count, depth, packed_a.data());
          for (int64_t panel = 0; panel < panels; ++panel) {
            const int64_t j = j0 + panel * kTileColumns;
            const int64_t n = std::min(kTileColumns, columns - j);
            for (int64_t i = 0; i < count; i += kTileRows) {
              Lanes sums[kTileRows][2];
              packed_tile(packed_a.data() + i * depth, panels_of_b + panel * depth * kTileColumns,
                          depth, sums);
              const int64_t m = std::min<int64_t>(kTileRows, count - i);
              float *result = c + (i0 + i) * columns + j;
              if (n == kTileColumns) {
                put(sums, m, kTileColumns, result, columns, i0 + i, j, first, last, finish);
              } else {
                put(sums, m, n, result, columns, i0 + i, j, first, last, finish);
              }
            }
          }
        }
      }
    }
  }
}

}  // namespace mindmlm
