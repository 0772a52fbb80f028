// Activations as functions of one number, which loops over many vectorise.
#pragma once

#include "common.h"

namespace mindmlm {

// log(Phi(x) / (1 - Phi(x))) / x as a polynomial in x * x; see functional.py.
inline float log_odds_of_normal(float x) {
  const float square = x * x < 42.25f ? x * x : 42.25f;
  float series = 3.611232857901649e-09f;
  series = series * square - 2.6689281973774266e-07f;
  series = series * square + 7.938218934299051e-06f;
  series = series * square - 1.1048031704336651e-04f;
  series = series * square - 6.625998735375615e-05f;
  series = series * square + 0.07266856702879548f;
  return series * square + 1.5957684322308144f;
}

inline float sigmoid(float x) {
  const float bounded = x < -87.0f ? -87.0f : x;
  return 1.0f / (1.0f + exponential(-bounded));
}

struct Gelu {
  static float value(float x) { return x * sigmoid(log_odds_of_normal(x) * x); }
  static float slope(float x) {
    const float density = exponential(-0.5f * x * x) * 0.3989422804014327f;
    return sigmoid(log_odds_of_normal(x) * x) + x * density;
  }
};

struct GeluTanh {
  static constexpr float kScale = 1.5957691216057308f, kCubic = 0.044715f;
  static float gate(float x) { return sigmoid((x * x * (kScale * kCubic) + kScale) * x); }
  static float value(float x) { return x * gate(x); }
  static float slope(float x) {
    const float open = gate(x);
    return open * (1.0f + x * (1.0f - open) * (x * x * (3.0f * kScale * kCubic) + kScale));
  }
};

struct Relu {
  static float value(float x) { return x > 0.0f ? x : 0.0f; }
};

}  // namespace mindmlm
