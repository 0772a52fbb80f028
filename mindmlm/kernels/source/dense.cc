// Linear layers: x weight' + bias, and the products of their gradients.
#include "few_rows.h"
#include "matrix_product.h"

using namespace mindmlm;

namespace {

struct Itself {
  float operator()(float value, int64_t, int64_t) const { return value; }
};

// x [rows, inner] weight [outputs, inner]'; for a few rows the weight is not worth packing.
template <typename Finish>
void forward(const Arguments &arguments, float *y, Finish finish) {
  const int64_t rows = arguments.rows(0), inner = arguments.last(0), outputs = arguments.size(1, 0);
  const float *x = arguments.floats(0), *weight = arguments.floats(1);
  if (rows <= kFewRows) return product_of_few(x, weight, y, rows, inner, outputs, finish);
  matrix_product({x, inner, 1}, {weight, 1, inner}, y, rows, outputs, inner, finish);
}

}  // namespace

// x [rows, inner], weight [outputs, inner] -> x weight'
MINDMLM_KERNEL(Product) { forward(arguments, arguments.floats(2), Itself{}); }

// x, weight, bias [outputs] -> x weight' + bias
MINDMLM_KERNEL(DenseForward) {
  const float *bias = arguments.floats(2);
  forward(arguments, arguments.floats(3),
          [=](float value, int64_t, int64_t output) { return value + bias[output]; });
}

// x, weight, bias, residual [rows, outputs] -> x weight' + bias + residual
MINDMLM_KERNEL(DenseAdd) {
  const float *bias = arguments.floats(2), *residual = arguments.floats(3);
  const int64_t outputs = arguments.size(1, 0);
  forward(arguments, arguments.floats(4), [=](float value, int64_t row, int64_t output) {
    return value + bias[output] + residual[row * outputs + output];
  });
}

// dy [rows, outputs], weight [outputs, inner] -> dx = dy weight
MINDMLM_KERNEL(InputGradient) {
  const int64_t rows = arguments.rows(0), outputs = arguments.last(0), inner = arguments.last(1);
  matrix_product({arguments.floats(0), outputs, 1}, {arguments.floats(1), inner, 1},
                 arguments.floats(2), rows, inner, outputs, Itself{});
}

// dy [rows, outputs], x [rows, inner] -> dweight = dy' x
MINDMLM_KERNEL(WeightGradient) {
  const int64_t rows = arguments.rows(0), outputs = arguments.last(0), inner = arguments.last(1);
  matrix_product({arguments.floats(0), 1, outputs}, {arguments.floats(1), inner, 1},
                 arguments.floats(2), outputs, inner, rows, Itself{});
}
