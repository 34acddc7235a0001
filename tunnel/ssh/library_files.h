// What the libraries below ssh read from disks by themselves.
#pragma once

namespace tunnel::ssh {

// Has OpenSSL read its configuration, if libssh2 stands on OpenSSL: it would do so in the first
// handshake, and a disk or file server may keep it waiting there. Waits for it; to be called before
// the loop runs. Later calls find it done.
void read_library_files();

}  // namespace tunnel::ssh
