// AES-128 in counter mode by the processor's AES instructions: constant time, no tables in memory.
// FIPS 197; Gueron, "Intel Advanced Encryption Standard Instructions Set" (2010).
#pragma once

#include <cstdint>
#include <cstring>

#include "targets.hpp"

#if RETICENT_X86

#include <immintrin.h>

namespace reticent {

// The round keys of one AES key; wiped when it goes, since they are as good as the key.
class RoundKeys {
 public:
  RETICENT_AVX2 explicit RoundKeys(const unsigned char* key) {
    keys_[0] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(key));
    next<0x01>(1), next<0x02>(2), next<0x04>(3), next<0x08>(4), next<0x10>(5);
    next<0x20>(6), next<0x40>(7), next<0x80>(8), next<0x1b>(9), next<0x36>(10);
  }
  ~RoundKeys() { wipe(keys_, sizeof keys_); }
  RoundKeys(const RoundKeys&) = delete;
  RoundKeys& operator=(const RoundKeys&) = delete;

  const __m128i& operator[](int round) const { return keys_[round]; }

 private:
  template <int kConstant>
  RETICENT_AVX2 void next(int round) {
    __m128i last = keys_[round - 1];
    const __m128i mixed = _mm_shuffle_epi32(_mm_aeskeygenassist_si128(last, kConstant), 0xff);
    last = _mm_xor_si128(last, _mm_slli_si128(last, 4));
    last = _mm_xor_si128(last, _mm_slli_si128(last, 8));
    keys_[round] = _mm_xor_si128(last, mixed);
  }

  __m128i keys_[11];
};

// Writes the blocks number `first` .. `first + blocks - 1` of the keystream: encryptions of the 128-bit big-endian
// counter, whose upper half is zero. `blocks` is a multiple of 8.
RETICENT_AVX2 inline void keystream_avx2(const RoundKeys& keys, uint64_t first, int blocks, uint64_t* out) {
  for (int done = 0; done < blocks; done += 8) {
    __m128i state[8];
    for (int i = 0; i < 8; ++i) {
      const auto counter = static_cast<long long>(__builtin_bswap64(first + done + i));
      state[i] = _mm_xor_si128(_mm_set_epi64x(counter, 0), keys[0]);
    }
    for (int round = 1; round < 10; ++round) {
      const __m128i key = keys[round];
      for (int i = 0; i < 8; ++i) state[i] = _mm_aesenc_si128(state[i], key);
    }
    for (int i = 0; i < 8; ++i) {
      state[i] = _mm_aesenclast_si128(state[i], keys[10]);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 2 * (done + i)), state[i]);
    }
  }
}

// The same, four blocks in a register; `blocks` is a multiple of 32.
RETICENT_AVX512 inline void keystream_avx512(const RoundKeys& keys, uint64_t first, int blocks, uint64_t* out) {
  // Counters are kept little-endian in the upper half of each 128-bit lane, and turned around before encryption.
  const __m512i turn = _mm512_broadcast_i32x4(_mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  const __m512i four = _mm512_set_epi64(4, 0, 4, 0, 4, 0, 4, 0);
  const auto start = static_cast<long long>(first);
  __m512i counter = _mm512_set_epi64(start + 3, 0, start + 2, 0, start + 1, 0, start, 0);
  for (int done = 0; done < blocks; done += 32) {
    __m512i state[8];
    const __m512i whitening = _mm512_broadcast_i32x4(keys[0]);
    for (int i = 0; i < 8; ++i) {
      state[i] = _mm512_xor_si512(_mm512_shuffle_epi8(counter, turn), whitening);
      counter = _mm512_add_epi64(counter, four);
    }
    for (int round = 1; round < 10; ++round) {
      const __m512i key = _mm512_broadcast_i32x4(keys[round]);
      for (int i = 0; i < 8; ++i) state[i] = _mm512_aesenc_epi128(state[i], key);
    }
    const __m512i last = _mm512_broadcast_i32x4(keys[10]);
    for (int i = 0; i < 8; ++i) {
      state[i] = _mm512_aesenclast_epi128(state[i], last);
      _mm512_storeu_si512(out + 2 * (done + 4 * i), state[i]);
    }
  }
}

}  // namespace reticent

#endif  // RETICENT_X86
