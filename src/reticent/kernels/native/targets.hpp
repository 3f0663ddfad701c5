// Which instructions a function may use. The file is compiled for the oldest processor of its kind; faster copies of
// a function carry an attribute and run only where `levels()` says that the processor has those instructions.
#pragma once

#include <cstddef>
#include <cstring>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define RETICENT_X86 1
#define RETICENT_AVX2 __attribute__((target("avx2,fma,aes")))
#define RETICENT_AVX512 \
  __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma,aes,vaes,prefer-vector-width=512")))
#else
#define RETICENT_X86 0
#endif

#if defined(__GNUC__) || defined(__clang__)
#define RETICENT_INLINE inline __attribute__((always_inline))
#else
#define RETICENT_INLINE inline
#endif

namespace reticent {

// Overwrites secrets in a way that the compiler may not leave out.
inline void wipe(void* memory, std::size_t bytes) {
#if defined(__GNUC__) || defined(__clang__)
  std::memset(memory, 0, bytes);
  __asm__ __volatile__("" : : "r"(memory) : "memory");
#else
  volatile unsigned char* at = static_cast<volatile unsigned char*>(memory);
  while (bytes--) *at++ = 0;
#endif
}

}  // namespace reticent
