// MP_ASAN is defined where the code is built with AddressSanitizer, whichever compiler builds it.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define MP_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MP_ASAN 1
#endif
#endif
