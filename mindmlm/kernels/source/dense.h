// Linear layers of any number of rows.
#pragma once

#include "few_rows.h"
#include "some_rows.h"

namespace mindmlm {

struct Itself {
  float operator()(float value, int64_t, int64_t) const { return value; }
};

// y = finish(x weight'), x [rows, inner], weight [outputs, inner]; see product_of_few.
template <typename Finish>
void dense(const float *x, const float *weight, float *y, int64_t rows, int64_t inner,
           int64_t outputs, Finish finish) {
  if (rows <= kFewRows) return product_of_few(x, weight, y, rows, inner, outputs, finish);
  if (rows <= kSomeRows) return product_of_some(x, weight, y, rows, inner, outputs, finish);
  matrix_product({x, inner, 1}, {weight, 1, inner}, y, rows, outputs, inner, finish);
}

}  // namespace mindmlm
