// Products with too many rows to be bound by reading the weights, and too few to be worth a packed
// copy of them that all threads read.
#pragma once

#include "matrix_product.h"

namespace mindmlm {

// For more rows than this matrix_product is faster.
constexpr int64_t kSomeRows = 384;

// y = finish(x weight'), see product_of_few. All rows are one packed block; a thread packs a panel
// of the weight's outputs and uses it for all of them while it lies in its own cache.
template <typename Finish>
void product_of_some(const float *x, const float *weight, float *y, int64_t rows, int64_t inner,
                     int64_t outputs, Finish finish) {
  static thread_local std::vector<Line> lines_of_x;
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  for (int64_t k0 = 0; k0 < inner; k0 += kInnerBlock) {
    const int64_t depth = std::min(kInnerBlock, inner - k0);
    const bool first = k0 == 0, last = k0 + depth == inner;
    float *const packed_x = aligned(lines_of_x, tiles * kTileRows * depth);
#pragma omp parallel
    {
#pragma omp for schedule(static)
      for (int64_t tile = 0; tile < tiles; ++tile)
        pack_tile({x + k0, inner, 1}, tile, rows, depth, packed_x);
      static thread_local std::vector<Line> lines_of_panel;
      float *const panel = aligned(lines_of_panel, kTileColumns * depth);
#pragma omp for schedule(dynamic)
      for (int64_t j = 0; j < outputs; j += kTileColumns) {
        pack_panel<kTileColumns>(weight + j * inner + k0, 1, inner,
                                 std::min(kTileColumns, outputs - j), depth, panel);
        block_by_panel(packed_x, panel, depth, y, outputs, 0, rows, j, first, last, finish);
      }
    }
  }
}

}  // namespace mindmlm
