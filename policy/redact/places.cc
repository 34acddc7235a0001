#include "policy/redact/places.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace policy {
namespace {

constexpr auto sorted(auto list) {
  std::sort(list.begin(), list.end(), [](const Place& a, const Place& b) {
    return a.element != b.element ? a.element < b.element : a.path < b.path;
  });
  return list;
}

using enum Hidden;

constexpr auto kPlaces = sorted(std::to_array<Place>({
    // What boots a machine, and runs it.
    {"os/kernel#", paths, Cut::text},
    {"os/initrd#", paths, Cut::text},
    {"os/shim#", paths, Cut::text},
    {"os/dtb#", paths, Cut::text},
    {"os/loader#", paths, Cut::text},
    {"os/nvram#", paths, Cut::text},
    {"os/nvram@template", paths, Cut::text},
    {"os/varstore@template", paths, Cut::text},
    {"os/varstore@path", paths, Cut::text},
    {"os/init#", paths, Cut::text},
    {"os/initdir#", paths, Cut::text},
    {"os/root#", paths, Cut::text},
    {"acpi/table#", paths, Cut::text},
    {"bootloader#", paths, Cut::text},
    {"devices/emulator#", paths, Cut::text},
    {"resource/partition#", paths, Cut::text},
    {"blkiotune/device/path#", paths, Cut::text},
    // Storage, wherever a source is: of disks and what is behind them, of snapshots, of character
    // devices, of directories.
    {"source@file", paths, Cut::text},
    {"source@dev", paths, Cut::text},
    {"source@dir", paths, Cut::text},
    {"source@path", paths, Cut::text},
    {"source@socket", paths, Cut::text},
    {"source@evdev", paths, Cut::text},
    {"source@name", paths, Cut::text},
    {"source@pool", paths, Cut::text},
    {"source@volume", paths, Cut::text},
    {"source@query", paths, Cut::text},
    {"source@tlsHostname", paths, Cut::text},
    {"source@wwpn", paths, Cut::wwn},
    {"source@host", paths, Cut::text},
    {"source@service", paths, Cut::text},
    {"source@master", paths, Cut::text},
    {"source@slave", paths, Cut::text},
    {"source/host@name", paths, Cut::text},
    {"source/host@socket", paths, Cut::text},
    {"auth@username", paths, Cut::text},
    {"auth/secret@usage", paths, Cut::text},
    {"source/config@file", paths, Cut::text},
    {"source/snapshot@name", paths, Cut::text},
    {"source/identity@user", paths, Cut::text},
    {"source/identity@group", paths, Cut::text},
    {"source/identity@username", paths, Cut::text},
    {"source/identity@keyfile", paths, Cut::text},
    {"source/identity@agentsock", paths, Cut::text},
    {"source/knownHosts@path", paths, Cut::text},
    {"cookies/cookie#", paths, Cut::text},
    {"initiator/iqn@name", paths, Cut::text},
    {"source/privateData", paths, Cut::drop},
    {"mirror@file", paths, Cut::text},
    {"lease/target@path", paths, Cut::text},
    {"filesystem/binary@path", paths, Cut::text},
    // What else of the host a machine has.
    {"source/adapter@name", paths, Cut::text},
    {"source/adapter@parent", paths, Cut::text},
    {"source/adapter@wwnn", paths, Cut::wwn},
    {"source/adapter@wwpn", paths, Cut::wwn},
    {"source/adapter@parent_wwnn", paths, Cut::wwn},
    {"source/adapter@parent_wwpn", paths, Cut::wwn},
    {"source/adapter@parent_fabric_wwn", paths, Cut::wwn},
    {"source/address@domain", paths, Cut::zero},
    {"source/address@bus", paths, Cut::zero},
    {"source/address@slot", paths, Cut::zero},
    {"source/address@function", paths, Cut::zero},
    {"source/address@device", paths, Cut::zero},
    {"source/address@target", paths, Cut::zero},
    {"source/address@unit", paths, Cut::zero},
    {"source/address@uuid", paths, Cut::uuid},
    {"source/address@cssid", paths, Cut::hex},
    {"source/address@ssid", paths, Cut::hex},
    {"source/address@devno", paths, Cut::hex},
    {"parentaddr/address@domain", paths, Cut::zero},
    {"parentaddr/address@bus", paths, Cut::zero},
    {"parentaddr/address@slot", paths, Cut::zero},
    {"parentaddr/address@function", paths, Cut::zero},
    {"forward/address@domain", paths, Cut::zero},
    {"forward/address@bus", paths, Cut::zero},
    {"forward/address@slot", paths, Cut::zero},
    {"forward/address@function", paths, Cut::zero},
    {"plug/address@domain", paths, Cut::zero},
    {"plug/address@bus", paths, Cut::zero},
    {"plug/address@slot", paths, Cut::zero},
    {"plug/address@function", paths, Cut::zero},
    {"source/vendor@id", paths, Cut::zero},
    {"source/product@id", paths, Cut::zero},
    {"hostdev/source/block#", paths, Cut::text},
    {"hostdev/source/char#", paths, Cut::text},
    {"hostdev/source/interface#", network, Cut::text},
    {"rom@file", paths, Cut::text},
    {"console@tty", paths, Cut::text},
    {"serial@tty", paths, Cut::text},
    {"parallel@tty", paths, Cut::text},
    {"log@file", paths, Cut::text},
    {"rng/backend#", paths, Cut::text},
    {"smartcard/database#", paths, Cut::text},
    {"memory/source/path#", paths, Cut::text},
    {"pstore/path#", paths, Cut::text},
    {"shmem/server@path", paths, Cut::text},
    {"tpm/backend/device@path", paths, Cut::text},
    {"gl@rendernode", paths, Cut::text},
    {"acceleration@rendernode", paths, Cut::text},
    {"audio@path", paths, Cut::text},
    {"audio/input@dev", paths, Cut::text},
    {"audio/output@dev", paths, Cut::text},
    {"interface/script@path", paths, Cut::text},
    {"interface/downscript@path", paths, Cut::text},
    {"interface/backend@tap", paths, Cut::text},
    {"interface/backend@vhost", paths, Cut::text},
    {"interface/backend@logFile", paths, Cut::text},
    // Snapshots and backups.
    {"/domainsnapshot/memory@file", paths, Cut::text},
    {"/domainsnapshot/cookie", paths, Cut::drop},
    {"disks/disk@name", paths, Cut::path},
    {"/domainbackup/disks/disk/target@file", paths, Cut::text},
    {"/domainbackup/disks/disk/target@dev", paths, Cut::text},
    {"/domainbackup/disks/disk/scratch@file", paths, Cut::text},
    {"/domainbackup/disks/disk/scratch@dev", paths, Cut::text},
    {"/domainbackup/server@name", paths, Cut::text},
    {"/domainbackup/server@socket", paths, Cut::text},
    // Pools, volumes, and what is of them.
    {"/pool/source/device@path", paths, Cut::text},
    {"/pool/source/dir@path", paths, Cut::text},
    {"/pool/source/name#", paths, Cut::text},
    {"/pool/target/path#", paths, Cut::text},
    {"/volume/key#", paths, Cut::text},
    {"/volume/source/device@path", paths, Cut::text},
    {"/volume/target/path#", paths, Cut::text},
    {"/volume/backingStore/path#", paths, Cut::text},
    {"/secret/usage/volume#", paths, Cut::text},
    {"/secret/usage/target#", paths, Cut::text},
    {"/network/ip/tftp@root", paths, Cut::text},
    {"/network/ip/dhcp/bootp@file", paths, Cut::path},
    {"/device/path#", paths, Cut::text},
    {"/device/devnode#", paths, Cut::text},
    {"/device/capability/block#", paths, Cut::text},
    {"/device/capability/char#", paths, Cut::text},
    {"/device/capability/chardev#", paths, Cut::text},
    // Screens.
    {"graphics@port", graphics, Cut::drop},
    {"graphics@tlsPort", graphics, Cut::drop},
    {"graphics@websocket", graphics, Cut::drop},
    {"graphics@listen", graphics, Cut::drop},
    {"graphics@socket", graphics, Cut::drop},
    {"graphics@address", graphics, Cut::drop},
    {"graphics@display", graphics, Cut::drop},
    {"graphics@xauth", graphics, Cut::drop},
    {"graphics@xauth", paths, Cut::drop},
    {"graphics@socket", paths, Cut::drop},
    {"graphics@passwd", graphics, Cut::drop},
    {"graphics@passwdValidTo", graphics, Cut::drop},
    {"graphics/listen", graphics, Cut::drop},
    {"graphics/listen@socket", paths, Cut::drop},
    // Command lines. What is in another namespace is found by its name.
    {"os/cmdline#", commandline, Cut::text},
    {"os/initarg#", commandline, Cut::text},
    {"os/initenv#", commandline, Cut::text},
    {"bootloader_args#", commandline, Cut::text},
    // The guest's firmware; and of the host's own, which may be a guest too.
    {"domain/sysinfo", smbios, Cut::by_type},
    {"domain/sysinfo", fwcfg, Cut::by_type},
    {"inactiveDomain/sysinfo", smbios, Cut::by_type},
    {"inactiveDomain/sysinfo", fwcfg, Cut::by_type},
    {"/sysinfo/oemStrings", smbios, Cut::drop},
    // What people write.
    {"domain/metadata", metadata, Cut::drop},
    {"domain/title", metadata, Cut::drop},
    {"domain/description", metadata, Cut::drop},
    {"inactiveDomain/metadata", metadata, Cut::drop},
    {"inactiveDomain/title", metadata, Cut::drop},
    {"inactiveDomain/description", metadata, Cut::drop},
    {"/network/metadata", metadata, Cut::drop},
    {"/network/title", metadata, Cut::drop},
    {"/network/description", metadata, Cut::drop},
    {"/domainsnapshot/description", metadata, Cut::drop},
    {"/domaincheckpoint/description", metadata, Cut::drop},
    {"/secret/description", metadata, Cut::drop},
    // Networks of the host. A device for vdpa is a file as well.
    {"interface/source@bridge", network, Cut::text},
    {"interface/source@dev", network, Cut::text},
    {"interface/source@dev", paths, Cut::path},
    {"interface/source@name", network, Cut::text},
    {"interface/target@dev", network, Cut::text},
    {"interface/portForward@dev", network, Cut::text},
    {"/network/bridge@name", network, Cut::text},
    {"/network/forward@dev", network, Cut::text},
    {"/network/forward/interface@dev", network, Cut::text},
    {"/network/forward/pf@dev", network, Cut::text},
    {"/networkport/plug@bridge", network, Cut::text},
    {"/networkport/plug@dev", network, Cut::text},
    {"/device/capability/interface#", network, Cut::text},
    // Labels.
    {"seclabel", seclabel, Cut::drop},
    {"permissions/label#", seclabel, Cut::text},
}));

constexpr std::string_view kRedacted = "redacted";
constexpr std::string_view kRedactedPath = "/redacted";
constexpr std::string_view kRedactedVmware = "[redacted] redacted";

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_path(std::string_view value) {
  if (value.starts_with('/')) return true;
  return value.size() > 2 && is_letter(value[0]) && value.substr(1, 2) == ":\\";
}

}  // namespace

std::span<const Place> places() { return kPlaces; }

std::span<const Place> places_in(std::string_view element) {
  const auto found = std::ranges::equal_range(kPlaces, element, {}, &Place::element);
  return {found.begin(), found.end()};
}

bool is_at(const Place& place, std::span<const std::string_view> elements) {
  std::string_view path = place.elements;
  std::size_t left = elements.size();
  while (!path.empty()) {
    const std::size_t slash = path.rfind('/');
    const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
    if (left == 0 || elements[left - 1] != name) return false;
    --left;
    if (slash == 0) return left == 0;
    path = slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
  }
  return true;
}

std::string_view stand_in(Cut cut, std::string_view value) {
  switch (cut) {
    case Cut::path:
      return is_path(value) ? kRedactedPath : value;
    case Cut::text:
      if (value.starts_with('[')) return kRedactedVmware;
      return is_path(value) ? kRedactedPath : kRedacted;
    case Cut::zero:
      return "0";
    case Cut::hex:
      return "0x0";
    case Cut::wwn:
      return value.starts_with("naa.") ? "naa.0000000000000000" : "0000000000000000";
    case Cut::uuid:
      return "00000000-0000-0000-0000-000000000000";
    case Cut::drop:
    case Cut::by_type:
      break;
  }
  CHECK(false);
  return {};
}

}  // namespace policy
