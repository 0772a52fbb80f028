// Products of large matrices: blocks that fit the caches (Goto & van de Geijn 2008), packed so that
// the innermost loop reads memory in its order, and a last step while a tile is in the registers.
#pragma once

#include <omp.h>

#include "small_product.h"

namespace mindmlm {

// Of the inner axis, of the rows of a, of the columns of b: a panel of b lies in the first cache,
// a block of a in the second, a block of b in the third.
constexpr int64_t kInnerBlock = 768, kMostRows = 96, kColumnBlockOfB = 3072;

// Where block number `block` of the rows of a begins: blocks differ by one tile at most.
inline int64_t first_row(int64_t block, int64_t blocks, int64_t rows) {
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  return std::min(tiles * block / blocks * kTileRows, rows);
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

// Pack tile number `tile` of the first `count` rows of a.
inline void pack_tile(View a, int64_t tile, int64_t count, int64_t depth, float *packed_a) {
  const int64_t i = tile * kTileRows;
  pack_panel<kTileRows>(a.data + i * a.row_step, a.column_step, a.row_step,
                        std::min<int64_t>(kTileRows, count - i), depth, packed_a + i * depth);
}

// The columns from j on of the rows [i0, i0 + count) of c, from a packed block of a and a packed
// panel of b.
template <typename Finish>
inline void block_by_panel(const float *packed_a, const float *panel, int64_t depth, float *c,
                           int64_t columns, int64_t i0, int64_t count, int64_t j, bool first,
                           bool last, const Finish &finish) {
  const int64_t n = std::min(kTileColumns, columns - j);
  for (int64_t i = 0; i < count; i += kTileRows) {
    Lanes sums[kTileRows][2];
    packed_tile(packed_a + i * depth, panel, depth, sums);
    const int64_t m = std::min<int64_t>(kTileRows, count - i);
    float *result = c + (i0 + i) * columns + j;
    if (m == kTileRows && n == kTileColumns) {
      put(sums, kTileRows, kTileColumns, result, columns, i0 + i, j, first, last, finish);
    } else {
      put(sums, m, n, result, columns, i0 + i, j, first, last, finish);
    }
  }
}

// c [rows, columns] = a [rows, inner] b [inner, columns]; finish(value, row, column) makes each
// result of its sum. a and b may be transposed views; c is contiguous.
template <typename Finish>
void matrix_product(View a, View b, float *c, int64_t rows, int64_t columns, int64_t inner,
                    Finish finish) {
  static thread_local std::vector<Line> lines_of_b;
  const int64_t threads = omp_get_max_threads();
  const int64_t blocks = (rows + kMostRows * threads - 1) / (kMostRows * threads) * threads;
  for (int64_t j0 = 0; j0 < columns; j0 += kColumnBlockOfB) {
    const int64_t width = std::min(kColumnBlockOfB, columns - j0);
    const int64_t panels = (width + kTileColumns - 1) / kTileColumns;
    for (int64_t k0 = 0; k0 < inner; k0 += kInnerBlock) {
      const int64_t depth = std::min(kInnerBlock, inner - k0);
      const bool first = k0 == 0, last = k0 + depth == inner;
      float *const packed_b = aligned(lines_of_b, panels * depth * kTileColumns);
#pragma omp parallel
      {
#pragma omp for schedule(static)
        for (int64_t panel = 0; panel < panels; ++panel) {
          const int64_t j = panel * kTileColumns;
          pack_panel<kTileColumns>(b.data + k0 * b.row_step + (j0 + j) * b.column_step, b.row_step,
                                   b.column_step, std::min(kTileColumns, width - j), depth,
                                   packed_b + j * depth);
        }
        static thread_local std::vector<Line> lines_of_a;
        float *const packed_a = aligned(lines_of_a, (kMostRows + kTileRows) * kInnerBlock);
#pragma omp for schedule(dynamic)
        for (int64_t block = 0; block < blocks; ++block) {
          const int64_t i0 = first_row(block, blocks, rows);
          const int64_t count = first_row(block + 1, blocks, rows) - i0;
          const View rows_of_a{a.data + i0 * a.row_step + k0 * a.column_step, a.row_step,
                               a.column_step};
          for (int64_t tile = 0; tile * kTileRows < count; ++tile)
            pack_tile(rows_of_a, tile, count, depth, packed_a);
          for (int64_t panel = 0; panel < panels; ++panel) {
            const int64_t j = panel * kTileColumns;
            block_by_panel(packed_a, packed_b + j * depth, depth, c, columns, i0, count, j0 + j,
                           first, last, finish);
          }
        }
      }
    }
  }
}

}  // namespace mindmlm
