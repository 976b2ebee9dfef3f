// Sockets: socket(2), bind(2), connect(2), listen(2), accept(2), getsockname(2), setsockopt(2),
// sendmsg(2), recvmsg(2), SO_PEERCRED of unix(7).
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <vector>

#include "syscalls/call.h"
#include "syscalls/exports.h"

namespace doublefork {
namespace {

struct Address {
  sockaddr_storage storage = {};
  socklen_t length = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

// libuv's numbers for what getaddrinfo(3) says, which Node has names for.
int ErrorOfResolver(int error) {
  switch (error) {
    case EAI_AGAIN:
      return -3001;
    case EAI_FAMILY:
      return -3005;
    case EAI_MEMORY:
      return -3006;
    case EAI_SYSTEM:
      return -errno;
    default:
      return -3008;  // UV_EAI_NONAME
  }
}

// 0, or a negative error. A path may begin with NUL: the abstract namespace of Linux.
int Fill(Address& address, int domain, const std::string& name, int port) {
  if (domain == AF_UNIX) {
    auto* const local = reinterpret_cast<sockaddr_un*>(&address.storage);
    if (name.size() >= sizeof local->sun_path) return -ENAMETOOLONG;
    local->sun_family = AF_UNIX;
    memcpy(local->sun_path, name.data(), name.size());
    const bool abstract = !name.empty() && name[0] == '\0';
    address.length =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (abstract ? 0 : 1));
    return 0;
  }
  addrinfo hints = {};
  hints.ai_family = domain;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(name.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) return ErrorOfResolver(error);
  memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.length = found->ai_addrlen;
  freeaddrinfo(found);
  return 0;
}

int CloseOnExec(int fd) {
  if (fd >= 0) fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fd;
}

int Socket(int domain, int type, int protocol) {
#ifdef __linux__
  return socket(domain, type | SOCK_CLOEXEC, protocol);
#else
  return CloseOnExec(socket(domain, type, protocol));
#endif
}

int Accept(int fd) {
#ifdef __linux__
  return accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
#else
  return CloseOnExec(accept(fd, nullptr, nullptr));
#endif
}

int SetOption(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value);
}

int GetOption(int fd, int level, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, level, name, &value, &length) < 0 ? -1 : value;
}

// (fd, domain, name, port) -> 0 or -errno
Napi::Value Bind(const Napi::CallbackInfo& info) {
  Address address;
  const int error = Fill(address, info[1].As<Napi::Number>().Int32Value(),
                         info[2].As<Napi::String>(), info[3].As<Napi::Number>().Int32Value());
  if (error != 0) return Napi::Number::New(info.Env(), error);
  const int fd = info[0].As<Napi::Number>().Int32Value();
  return Napi::Number::New(info.Env(), ResultOrErrno(bind(fd, address.get(), address.length)));
}

// (fd, domain, name, port) -> 0 or -errno
Napi::Value Connect(const Napi::CallbackInfo& info) {
  Address address;
  const int error = Fill(address, info[1].As<Napi::Number>().Int32Value(),
                         info[2].As<Napi::String>(), info[3].As<Napi::Number>().Int32Value());
  if (error != 0) return Napi::Number::New(info.Env(), error);
  const int fd = info[0].As<Napi::Number>().Int32Value();
  return Napi::Number::New(info.Env(), ResultOrErrno(connect(fd, address.get(), address.length)));
}

// (fd) -> [domain, path or host, port], or -errno
Napi::Value Getsockname(const Napi::CallbackInfo& info) {
  Address address;
  address.length = sizeof address.storage;
  if (getsockname(info[0].As<Napi::Number>().Int32Value(), address.get(), &address.length) < 0) {
    return Napi::Number::New(info.Env(), -errno);
  }
  const int domain = address.storage.ss_family;
  Napi::Array triple = Napi::Array::New(info.Env(), 3);
  triple.Set(0u, domain);
  triple.Set(2u, 0);
  if (domain == AF_UNIX) {
    const char* const path = reinterpret_cast<sockaddr_un*>(&address.storage)->sun_path;
    size_t length = address.length - offsetof(sockaddr_un, sun_path);
    if (length > 0 && path[0] != '\0') length = strnlen(path, length);
    triple.Set(1u, Napi::String::New(info.Env(), path, length));
    return triple;
  }
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  const int error = getnameinfo(address.get(), address.length, host, sizeof host, port, sizeof port,
                                NI_NUMERICHOST | NI_NUMERICSERV);
  if (error != 0) return Napi::Number::New(info.Env(), ErrorOfResolver(error));
  triple.Set(1u, host);
  triple.Set(2u, std::stoi(port));
  return triple;
}

// (fd) -> [pid, uid, gid] of the process that connected, or -errno
Napi::Value PeerCredentials(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  Napi::Array triple = Napi::Array::New(info.Env(), 3);
#ifdef __linux__
  ucred peer = {};
  socklen_t length = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) {
    return Napi::Number::New(info.Env(), -errno);
  }
  triple.Set(0u, peer.pid);
  triple.Set(1u, peer.uid);
  triple.Set(2u, peer.gid);
#else
  uid_t uid;
  gid_t gid;
  if (getpeereid(fd, &uid, &gid) < 0) return Napi::Number::New(info.Env(), -errno);
  triple.Set(0u, 0);
  triple.Set(1u, uid);
  triple.Set(2u, gid);
#endif
  return triple;
}

// (domain, type) -> [fd, fd], close-on-exec, or -errno
Napi::Value Socketpair(const Napi::CallbackInfo& info) {
  int fds[2];
  if (socketpair(info[0].As<Napi::Number>().Int32Value(), info[1].As<Napi::Number>().Int32Value(),
                 0, fds) < 0) {
    return Napi::Number::New(info.Env(), -errno);
  }
  Napi::Array pair = Napi::Array::New(info.Env(), 2);
  pair.Set(0u, CloseOnExec(fds[0]));
  pair.Set(1u, CloseOnExec(fds[1]));
  return pair;
}

// (fd, bytes, fds, flags[, domain, name, port]) -> bytes sent, or -errno
Napi::Value Sendmsg(const Napi::CallbackInfo& info) {
  auto data = info[1].As<Napi::Uint8Array>();
  const auto fds = info[2].As<Napi::Array>();
  iovec part = {data.Data(), data.ByteLength()};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  Address to;
  if (info.Length() > 4) {
    const int error = Fill(to, info[4].As<Napi::Number>().Int32Value(), info[5].As<Napi::String>(),
                           info[6].As<Napi::Number>().Int32Value());
    if (error != 0) return Napi::Number::New(info.Env(), error);
    message.msg_name = to.get();
    message.msg_namelen = to.length;
  }
  std::vector<int> passed(fds.Length());
  for (uint32_t i = 0; i < passed.size(); ++i) {
    passed[i] = fds.Get(i).As<Napi::Number>().Int32Value();
  }
  const size_t size = passed.size() * sizeof(int);
  std::vector<char> control(passed.empty() ? 0 : CMSG_SPACE(size));
  if (!passed.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), passed.data(), size);
  }
  const ssize_t sent = sendmsg(info[0].As<Napi::Number>().Int32Value(), &message,
                               info[3].As<Napi::Number>().Int32Value());
  return Napi::Number::New(info.Env(), ResultOrErrno(static_cast<double>(sent)));
}

// (fd, buffer, most fds, flags) -> [bytes received, flags, fd...], or -errno
Napi::Value Recvmsg(const Napi::CallbackInfo& info) {
  auto data = info[1].As<Napi::Uint8Array>();
  const size_t most = info[2].As<Napi::Number>().Uint32Value();
  iovec part = {data.Data(), data.ByteLength()};
  std::vector<char> control(most == 0 ? 0 : CMSG_SPACE(most * sizeof(int)));
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.empty() ? nullptr : control.data();
  message.msg_controllen = control.size();
  int flags = info[3].As<Napi::Number>().Int32Value();
#ifdef MSG_CMSG_CLOEXEC
  flags |= MSG_CMSG_CLOEXEC;
#endif
  const ssize_t got = recvmsg(info[0].As<Napi::Number>().Int32Value(), &message, flags);
  if (got < 0) return Napi::Number::New(info.Env(), -errno);
  Napi::Array result = Napi::Array::New(info.Env(), 2);
  result.Set(0u, static_cast<double>(got));
  result.Set(1u, message.msg_flags);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      result.Set(result.Length(), CloseOnExec(fd));
    }
  }
  return result;
}

Napi::Object Constants(Napi::Env env) {
  Napi::Object constants = Napi::Object::New(env);
#define DOUBLEFORK_CONSTANT(name) constants.Set(#name, static_cast<int>(name))
  DOUBLEFORK_CONSTANT(AF_UNIX);
  DOUBLEFORK_CONSTANT(AF_INET);
  DOUBLEFORK_CONSTANT(AF_INET6);
  DOUBLEFORK_CONSTANT(SOCK_STREAM);
  DOUBLEFORK_CONSTANT(SOCK_DGRAM);
  DOUBLEFORK_CONSTANT(SOCK_SEQPACKET);
  DOUBLEFORK_CONSTANT(SOL_SOCKET);
  DOUBLEFORK_CONSTANT(SO_REUSEADDR);
  DOUBLEFORK_CONSTANT(SO_REUSEPORT);
  DOUBLEFORK_CONSTANT(SO_ACCEPTCONN);
  DOUBLEFORK_CONSTANT(SO_TYPE);
  DOUBLEFORK_CONSTANT(IPPROTO_IPV6);
  DOUBLEFORK_CONSTANT(IPV6_V6ONLY);
  DOUBLEFORK_CONSTANT(MSG_DONTWAIT);
#undef DOUBLEFORK_CONSTANT
  return constants;
}

}  // namespace

void ExportSocket(Napi::Object exports) {
  const Napi::Env env = exports.Env();
  const auto add = [&](const char* name, Napi::Value (*callback)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, callback, name));
  };
  add("socket", Call<Socket>);
  add("socketpair", Socketpair);
  add("bind", Bind);
  add("connect", Connect);
  add("listen", Call<listen>);
  add("accept", Call<Accept>);
  add("getsockname", Getsockname);
  add("setsockopt", Call<SetOption>);
  add("getsockopt", Call<GetOption>);
  add("peerCredentials", PeerCredentials);
  add("sendmsg", Sendmsg);
  add("recvmsg", Recvmsg);
  exports.Set("socketConstants", Constants(env));
}

}  // namespace doublefork
