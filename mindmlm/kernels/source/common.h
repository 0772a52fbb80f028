// What all kernels share: their arguments, threads, and an exponential that vectorises.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace mindmlm {

// The arguments of a custom operator of MindSpore: inputs first, then outputs.
struct Arguments {
  int number;
  void **data;
  int *ranks;
  int64_t **shapes;

  float *floats(int index) const { return static_cast<float *>(data[index]); }
  const int32_t *ints(int index) const { return static_cast<const int32_t *>(data[index]); }
  const uint8_t *bytes(int index) const { return static_cast<const uint8_t *>(data[index]); }
  float scalar(int index) const { return floats(index)[0]; }
  int64_t size(int index, int axis) const { return shapes[index][axis]; }
  int64_t last(int index) const { return shapes[index][ranks[index] - 1]; }

  int64_t count(int index) const {
    int64_t product = 1;
    for (int axis = 0; axis < ranks[index]; ++axis) product *= shapes[index][axis];
    return product;
  }

  // Of a tensor seen as a matrix whose columns are the last axis.
  int64_t rows(int index) const { return count(index) / last(index); }
};

// exp(x) for x <= 88, relative error below 2e-7 (the polynomial of Cephes' expf); 0 below -87.
inline float exponential(float x) {
  const float clamped = x < -87.0f ? -87.0f : x;
  const float whole = std::floor(clamped * 1.44269504088896341f + 0.5f);
  const float rest = (clamped - whole * 0.693359375f) + whole * 2.12194440e-4f;
  float series = 1.9875691500e-4f;
  series = series * rest + 1.3981999507e-3f;
  series = series * rest + 8.3334519073e-3f;
  series = series * rest + 4.1665795894e-2f;
  series = series * rest + 1.6666665459e-1f;
  series = series * rest + 5.0000001201e-1f;
  series = series * rest * rest + rest + 1.0f;
  const int32_t bits = (static_cast<int32_t>(whole) + 127) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof(power));
  return x < -87.0f ? 0.0f : series * power;
}

// Columns that one thread sums at a time: sums over rows have one order for any number of threads.
constexpr int64_t kColumnBlock = 64;

}  // namespace mindmlm

#define MINDMLM_KERNEL(name)                                                                   \
  static void name##_kernel(const mindmlm::Arguments &arguments);                              \
  extern "C" int name(int number, void **data, int *ranks, int64_t **shapes, const char **,    \
                      void *, void *) {                                                        \
    name##_kernel(mindmlm::Arguments{number, data, ranks, shapes});                            \
    return 0;                                                                                  \
  }                                                                                            \
  static void name##_kernel(const mindmlm::Arguments &arguments)
