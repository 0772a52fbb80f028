// Linear layers: x weight' + bias, and the products of their gradients.
#include "dense.h"

using namespace mindmlm;

// x [rows, inner], weight [outputs, inner] -> x weight'
MINDMLM_KERNEL(Product) {
  dense(arguments.floats(0), arguments.floats(1), arguments.floats(2), arguments.rows(0),
        arguments.last(0), arguments.size(1, 0), Itself{});
}

// x, weight, bias [outputs] -> x weight' + bias
MINDMLM_KERNEL(DenseForward) {
  const float *bias = arguments.floats(2);
  dense(arguments.floats(0), arguments.floats(1), arguments.floats(3), arguments.rows(0),
        arguments.last(0), arguments.size(1, 0),
        [=](float value, int64_t, int64_t output) { return value + bias[output]; });
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
