#include "tunnel/ssh/engine.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/check.h"
#include "base/shortage.h"
#include "base/text.h"
#include "tunnel/ssh/known_hosts.h"
#include "tunnel/ssh/library_words.h"
#include "tunnel/ssh/wire.h"

namespace tunnel::ssh {
namespace {

constexpr std::string_view kStreamLocal = "direct-streamlocal@openssh.com";
constexpr int kErrorStream = SSH_EXTENDED_DATA_STDERR;

void* allocate_callback(size_t size, void** engine) {
  return static_cast<Engine*>(*engine)->heap().allocate(size);
}

void release_callback(void* block, void** engine) {
  static_cast<Engine*>(*engine)->heap().release(block);
}

void* resize_callback(void* block, size_t size, void** engine) {
  return static_cast<Engine*>(*engine)->heap().resize(block, size);
}

ssize_t send_callback(libssh2_socket_t, const void* data, size_t size, int, void** engine) {
  const base::Bytes bytes(static_cast<const std::uint8_t*>(data), size);
  return static_cast<ssize_t>(static_cast<Engine*>(*engine)->on_send(bytes));
}

ssize_t receive_callback(libssh2_socket_t, void* to, size_t size, int, void** engine) {
  return static_cast<Engine*>(*engine)->on_receive({static_cast<std::uint8_t*>(to), size});
}

void disconnect_callback(LIBSSH2_SESSION*, int, const char* message, int size, const char*, int,
                         void** engine) {
  if (message == nullptr || size <= 0) return;
  static_cast<Engine*>(*engine)->on_disconnect({message, static_cast<std::size_t>(size)});
}

int sign_callback(LIBSSH2_SESSION* session, unsigned char** to, size_t* size,
                  const unsigned char* data, size_t data_size, void** abstract) {
  base::Buffer signature;
  switch (static_cast<Engine::Signer*>(*abstract)->sign({data, data_size}, signature)) {
    case Engine::Step::pending:
      return LIBSSH2_ERROR_EAGAIN;
    case Engine::Step::failed:
      return -1;
    case Engine::Step::done:
      break;
  }
  // The library releases it.
  Heap& heap = static_cast<Engine*>(*libssh2_session_abstract(session))->heap();
  *to = static_cast<unsigned char*>(heap.allocate(signature.size()));
  if (*to == nullptr) return LIBSSH2_ERROR_ALLOC;
  std::ranges::copy(signature, *to);
  *size = signature.size();
  return 0;
}

template <typename Function>
void set_callback(LIBSSH2_SESSION* session, int which, Function* function) {
#if LIBSSH2_VERSION_NUM >= 0x010b01
  libssh2_session_callback_set2(session, which, reinterpret_cast<libssh2_cb_generic*>(function));
#else
  libssh2_session_callback_set(session, which, reinterpret_cast<void*>(function));
#endif
}

std::vector<std::string> supported(LIBSSH2_SESSION* session, int which) {
  const char** names = nullptr;
  const int count = libssh2_session_supported_algs(session, which, &names);
  std::vector<std::string> out(names, names + std::max(count, 0));
  if (count > 0) libssh2_free(session, static_cast<void*>(names));
  return out;
}

std::string joined(const std::vector<std::string>& names,
                   const std::function<bool(std::string_view)>& wanted) {
  std::string out;
  for (const std::string& name : names) {
    if (!wanted(name)) continue;
    if (!out.empty()) out += ',';
    out += name;
  }
  return out;
}

// Exchanges by SHA-1 with groups that are too small today.
bool good_exchange(std::string_view name) { return !name.ends_with("-sha1"); }

// CBC is open to CVE-2008-5161, and libssh2 1.10 knows no strict key exchange against
// CVE-2023-48795; counter mode needs neither.
bool good_cipher(std::string_view name) {
  return name.ends_with("-ctr") || name.find("-gcm@") != std::string_view::npos ||
         name.starts_with("chacha20-poly1305@");
}

bool good_mac(std::string_view name) {
  return name.starts_with("hmac-sha") && name.find("-96") == std::string_view::npos;
}

bool is_about_key_file(int code) {
  return code == LIBSSH2_ERROR_FILE || code == LIBSSH2_ERROR_METHOD_NONE ||
         code == LIBSSH2_ERROR_KEYFILE_AUTH_FAILED;
}

// What a refused channel or request leaves intact.
bool leaves_session_intact(int code) {
  return code == LIBSSH2_ERROR_CHANNEL_FAILURE || code == LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED ||
         code == LIBSSH2_ERROR_CHANNEL_CLOSED || code == LIBSSH2_ERROR_CHANNEL_EOF_SENT ||
         code == LIBSSH2_ERROR_CHANNEL_UNKNOWN || code == LIBSSH2_ERROR_AUTHENTICATION_FAILED ||
         code == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED || is_about_key_file(code);
}

}  // namespace

Engine::Engine(const std::vector<std::string>& known_types)
    : heap_(kSessionMemory),
      session_(
          libssh2_session_init_ex(&allocate_callback, &release_callback, &resize_callback, this)) {
  CHECK(session_ != nullptr);
  libssh2_session_set_blocking(session_, 0);
  set_callback(session_, LIBSSH2_CALLBACK_SEND, &send_callback);
  set_callback(session_, LIBSSH2_CALLBACK_RECV, &receive_callback);
  set_callback(session_, LIBSSH2_CALLBACK_DISCONNECT, &disconnect_callback);
  choose_methods(known_types);
}

Engine::~Engine() {
  ended_ = true;
  finish_pending();
  // With the input at its end no channel waits for an answer.
  for (int i = 0; i < 8; ++i) {
    if (libssh2_session_free(session_) != LIBSSH2_ERROR_EAGAIN) break;
  }
  if (descriptor_ >= 0) ::close(descriptor_);
}

// What an operation that was begun holds is given back only by the operation itself.
void Engine::finish_pending() {
  const auto user_size = static_cast<unsigned>(user_.size());
  switch (std::exchange(pending_, Pending::nothing)) {
    case Pending::nothing:
      return;
    case Pending::handshake:
      libssh2_session_handshake(session_, descriptor_);
      return;
    case Pending::list:
      libssh2_userauth_list(session_, user_.c_str(), user_size);
      return;
    case Pending::key:
      libssh2_userauth_publickey_frommemory(session_, user_.c_str(), user_.size(), nullptr, 0, "",
                                            0, nullptr);
      return;
    case Pending::agent: {
      struct Refusing : Signer {
        Step sign(base::Bytes, base::Buffer&) override { return Step::failed; }
      } refusing;
      void* abstract = static_cast<Signer*>(&refusing);
      libssh2_userauth_publickey(session_, user_.c_str(), nullptr, 0, &sign_callback, &abstract);
      return;
    }
    case Pending::open:
      libssh2_channel_open_ex(session_, "", 0, 0, 0, nullptr, 0);
      return;
  }
}

void Engine::choose_methods(const std::vector<std::string>& known_types) {
  const auto all = [](std::string_view) { return true; };
  offered_.key_exchange = joined(supported(session_, LIBSSH2_METHOD_KEX), good_exchange);
  offered_.host_key =
      joined(host_key_algorithms(supported(session_, LIBSSH2_METHOD_HOSTKEY), known_types), all);
  offered_.cipher = joined(supported(session_, LIBSSH2_METHOD_CRYPT_CS), good_cipher);
  offered_.mac = joined(supported(session_, LIBSSH2_METHOD_MAC_CS), good_mac);
  const auto prefer = [this](int which, const std::string& names) {
    CHECK(libssh2_session_method_pref(session_, which, names.c_str()) == 0);
  };
  prefer(LIBSSH2_METHOD_KEX, offered_.key_exchange);
  prefer(LIBSSH2_METHOD_HOSTKEY, offered_.host_key);
  prefer(LIBSSH2_METHOD_CRYPT_CS, offered_.cipher);
  prefer(LIBSSH2_METHOD_CRYPT_SC, offered_.cipher);
  prefer(LIBSSH2_METHOD_MAC_CS, offered_.mac);
  prefer(LIBSSH2_METHOD_MAC_SC, offered_.mac);
}

void Engine::receive(base::Bytes data) {
  if (ended_) return;
  greeting_.feed(data);
  if (taken_ != 0) {
    input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(taken_));
    taken_ = 0;
  }
  base::append(input_, data);
}

base::Buffer Engine::take_output() { return std::exchange(output_, {}); }

std::size_t Engine::on_send(base::Bytes data) {
  if (!ended_) base::append(output_, data);
  return data.size();
}

std::ptrdiff_t Engine::on_receive(std::span<std::uint8_t> to) {
  const std::size_t size = std::min(to.size(), unread());
  if (size == 0) return ended_ ? 0 : -EAGAIN;
  std::copy_n(input_.begin() + static_cast<std::ptrdiff_t>(taken_), size, to.begin());
  taken_ += size;
  if (unread() == 0) {
    input_.clear();
    taken_ = 0;
  }
  return static_cast<std::ptrdiff_t>(size);
}

Engine::Step Engine::outcome(int code, Pending what) {
  pending_ = code == LIBSSH2_ERROR_EAGAIN ? what : Pending::nothing;
  return outcome(code);
}

Engine::Step Engine::outcome(int code) {
  if (code == LIBSSH2_ERROR_EAGAIN) return Step::pending;
  if (code >= 0) return Step::done;
  char* text = nullptr;
  int size = 0;
  libssh2_session_last_error(session_, &text, &size, 0);
  error_ = text == nullptr ? "" : std::string(text, static_cast<std::size_t>(std::max(size, 0)));
  // The library gives this code too when the session broke while it waited for the answer.
  const bool broken =
      code == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED && meaning_of(error_) == Words::session_broke;
  if (!leaves_session_intact(code) || broken || (ended_ && unread() == 0)) failed_ = true;
  if (error_.empty()) error_ = "libssh2 error " + std::to_string(code);
  if (ended_ && unread() == 0) error_ = "the server closed the connection";
  if (!goodbye_.empty()) {
    failed_ = true;
    error_ = "the server disconnected: " + base::shortened(goodbye_, 200);
  }
  return Step::failed;
}

Engine::Step Engine::handshake() {
  if (descriptor_ < 0) {
    // The library insists on a descriptor to look at, and does nothing with it.
    descriptor_ = ::open("/dev/null", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (descriptor_ < 0) {
      shortage_ = base::is_shortage(errno);
      error_ = std::string("/dev/null: ") + strerror(errno);
      failed_ = true;
      return Step::failed;
    }
  }
  return outcome(libssh2_session_handshake(session_, descriptor_), Pending::handshake);
}

base::Bytes Engine::host_key() const {
  std::size_t size = 0;
  int type = 0;
  const char* key = libssh2_session_hostkey(session_, &size, &type);
  if (key == nullptr) return {};
  return base::bytes_of({key, size});
}

Engine::Step Engine::list_methods(const std::string& user, std::string& methods) {
  user_ = user;
  const char* names =
      libssh2_userauth_list(session_, user_.c_str(), static_cast<unsigned>(user_.size()));
  methods = names == nullptr ? "" : base::shortened(names, 200);
  const bool done = names != nullptr || libssh2_userauth_authenticated(session_) != 0;
  const int code = libssh2_session_last_errno(session_);
  return outcome(done ? 0 : code == 0 ? LIBSSH2_ERROR_PROTO : code, Pending::list);
}

Engine::Step Engine::try_key(const std::string& user, const PrivateKey& key) {
  user_ = user;
  // Without the public key the library decrypts the private one twice, and once before it knows
  // that the server wants it; both take a while by intention.
  std::string public_key;
  if (!key.info.public_key.empty()) {
    public_key = key.info.type + " " + base::encode_base64(key.info.public_key) + " key";
  }
  const int code = libssh2_userauth_publickey_frommemory(
      session_, user_.c_str(), user_.size(), public_key.empty() ? nullptr : public_key.c_str(),
      public_key.size(), key.text.c_str(), key.text.size(), key.passphrase.c_str());
  const Step step = outcome(code, Pending::key);
  key_was_read_ = !is_about_key_file(code) && meaning_of(error_) != Words::not_signed;
  return step;
}

Engine::Step Engine::try_key(const std::string& user, base::Bytes public_key, Signer& signer) {
  user_ = user;
  void* abstract = &signer;
  return outcome(libssh2_userauth_publickey(session_, user_.c_str(), public_key.data(),
                                            public_key.size(), &sign_callback, &abstract),
                 Pending::agent);
}

Engine::Step Engine::open(std::string_view type, base::Bytes message, Channel& channel) {
  channel = libssh2_channel_open_ex(session_, type.data(), static_cast<unsigned>(type.size()),
                                    kWindow, LIBSSH2_CHANNEL_PACKET_DEFAULT,
                                    reinterpret_cast<const char*>(message.data()),
                                    static_cast<unsigned>(message.size()));
  const int code = libssh2_session_last_errno(session_);
  if (channel != nullptr) heap_.set_most(heap_.most() + kChannelMemory);
  return outcome(channel != nullptr ? 0 : code == 0 ? LIBSSH2_ERROR_PROTO : code, Pending::open);
}

Engine::Step Engine::open_socket(const std::string& path, Channel& channel) {
  // PROTOCOL of OpenSSH, section 2.4: the path, and two fields that are reserved.
  base::Buffer message;
  put_string(message, path);
  put_string(message, "");
  put_number(message, 0);
  return open(kStreamLocal, message, channel);
}

Engine::Step Engine::open_address(const std::string& host, std::uint16_t port, Channel& channel) {
  // RFC 4254 section 7.2: the address, and who asks for it, which only the server's log will see.
  base::Buffer message;
  put_string(message, host);
  put_number(message, port);
  put_string(message, "127.0.0.1");
  put_number(message, 0);
  return open("direct-tcpip", message, channel);
}

Engine::Step Engine::open_session(Channel& channel) { return open("session", {}, channel); }

Engine::Step Engine::execute(Channel channel, const std::string& command) {
  return outcome(libssh2_channel_process_startup(channel, "exec", 4, command.c_str(),
                                                 static_cast<unsigned>(command.size())));
}

Engine::Transfer Engine::transferred(std::ptrdiff_t result) {
  if (result > 0) return {Step::done, static_cast<std::size_t>(result)};
  if (result == 0) return {};
  return {outcome(static_cast<int>(result)), 0};
}

Engine::Transfer Engine::read(Channel channel, std::span<std::uint8_t> to) {
  return transferred(
      libssh2_channel_read_ex(channel, 0, reinterpret_cast<char*>(to.data()), to.size()));
}

Engine::Transfer Engine::read_errors(Channel channel, std::span<std::uint8_t> to) {
  return transferred(libssh2_channel_read_ex(channel, kErrorStream,
                                             reinterpret_cast<char*>(to.data()), to.size()));
}

Engine::Transfer Engine::write(Channel channel, base::Bytes data) {
  return transferred(libssh2_channel_write_ex(
      channel, 0, reinterpret_cast<const char*>(data.data()), data.size()));
}

Engine::Step Engine::end(Channel channel) { return outcome(libssh2_channel_send_eof(channel)); }

bool Engine::ended(Channel channel) { return libssh2_channel_eof(channel) == 1; }

bool Engine::closed(Channel channel) {
  // Takes the input and nothing else, and leaves the window as close() made it.
  transferred(libssh2_channel_read_ex(channel, 0, nullptr, 0));
  return libssh2_channel_wait_closed(channel) == 0;
}

std::string Engine::exit_text(Channel channel) {
  char* signal = nullptr;
  std::size_t size = 0;
  libssh2_channel_get_exit_signal(channel, &signal, &size, nullptr, nullptr, nullptr, nullptr);
  if (signal != nullptr) {
    const std::string name = base::shortened({signal, size}, 40);
    libssh2_free(session_, signal);
    return "signal " + name;
  }
  return "exit status " + std::to_string(libssh2_channel_get_exit_status(channel));
}

void Engine::close(Channel channel) {
  // A window that is small now would be widened by a later look at the channel, when the server may
  // have given the number to another one, which then got more than it may.
  std::array<std::uint8_t, 1024> scratch{};
  read(channel, scratch);
  libssh2_channel_close(channel);
}

void Engine::free_channel(Channel channel) {
  libssh2_channel_free(channel);
  heap_.set_most(heap_.most() - kChannelMemory);
}

void Engine::keepalive() {
  int next = 0;
  libssh2_keepalive_config(session_, 0, 1);
  libssh2_keepalive_send(session_, &next);
}

void Engine::disconnect() { libssh2_session_disconnect(session_, "done"); }

}  // namespace tunnel::ssh
