// Numbers of libvirt's interfaces that are not procedures, where several parts need them.
#pragma once

#include <cstdint>

namespace policy {

// VIR_CONNECT_RO of virConnectFlags.
inline constexpr std::uint32_t kReadOnly = 1;

// VIR_DRV_FEATURE_PROGRAM_KEEPALIVE, of virDrvFeature in libvirt's src/libvirt_internal.h: each
// hop answers it for itself.
inline constexpr std::uint32_t kFeatureKeepalive = 10;

}  // namespace policy
