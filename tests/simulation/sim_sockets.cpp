// The socket calls of the C library, as the product's objects make them: those on TCP go to the
// simulated network where there is one, all others to the kernel. Linked into a program, this file
// stands in for the library's.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstring>

#include "sim_net.hpp"

namespace {

using gavel::simulation::SimNet;

// The network that this descriptor is of; null where it is the kernel's.
SimNet* network_of(int fd) {
  SimNet* const network = gavel::simulation::current_network();
  return network != nullptr && network->owns(fd) ? network : nullptr;
}

std::uint16_t port_of(const sockaddr* address) {
  sockaddr_in in{};
  std::memcpy(&in, address, sizeof in);
  return ntohs(in.sin_port);
}

void write_address(std::uint16_t port, sockaddr* address, socklen_t* size) {
  if (address == nullptr) return;
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::memcpy(address, &in, std::min<std::size_t>(*size, sizeof in));
  *size = sizeof in;
}

int kernel(long result) {
  return static_cast<int>(result);
}

}  // namespace

extern "C" {

int socket(int domain, int type, int protocol) noexcept {
  SimNet* const network = gavel::simulation::current_network();
  const bool tcp = domain == AF_INET && (type & SOCK_STREAM) != 0;
  if (network != nullptr && tcp) return network->open();
  return kernel(syscall(SYS_socket, domain, type, protocol));
}

int bind(int fd, const sockaddr* address, socklen_t size) noexcept {
  if (auto* network = network_of(fd)) return network->bind(fd, port_of(address));
  return kernel(syscall(SYS_bind, fd, address, size));
}

int listen(int fd, int backlog) noexcept {
  if (auto* network = network_of(fd)) return network->listen(fd);
  return kernel(syscall(SYS_listen, fd, backlog));
}

int accept(int fd, sockaddr* address, socklen_t* size) {
  auto* network = network_of(fd);
  if (network == nullptr) return kernel(syscall(SYS_accept, fd, address, size));
  const int taken = network->accept(fd);
  if (taken >= 0) write_address(network->local_port(fd), address, size);
  return taken;
}

int connect(int fd, const sockaddr* address, socklen_t size) {
  if (auto* network = network_of(fd)) return network->connect(fd, port_of(address));
  return kernel(syscall(SYS_connect, fd, address, size));
}

int getsockname(int fd, sockaddr* address, socklen_t* size) noexcept {
  auto* network = network_of(fd);
  if (network == nullptr) return kernel(syscall(SYS_getsockname, fd, address, size));
  write_address(network->local_port(fd), address, size);
  return 0;
}

int getpeername(int fd, sockaddr* address, socklen_t* size) noexcept {
  auto* network = network_of(fd);
  if (network == nullptr) return kernel(syscall(SYS_getpeername, fd, address, size));
  write_address(network->local_port(fd), address, size);
  return 0;
}

int setsockopt(int fd, int level, int name, const void* value, socklen_t size) noexcept {
  if (network_of(fd) != nullptr) return 0;
  return kernel(syscall(SYS_setsockopt, fd, level, name, value, size));
}

int getsockopt(int fd, int level, int name, void* value, socklen_t* size) noexcept {
  auto* network = network_of(fd);
  if (network == nullptr) return kernel(syscall(SYS_getsockopt, fd, level, name, value, size));
  const int found = level == SOL_SOCKET && name == SO_ERROR ? network->take_error(fd) : 0;
  std::memcpy(value, &found, std::min<std::size_t>(*size, sizeof found));
  return 0;
}

int shutdown(int fd, int how) noexcept {
  auto* network = network_of(fd);
  if (network == nullptr) return kernel(syscall(SYS_shutdown, fd, how));
  return network->shut_down(fd, how != SHUT_WR, how != SHUT_RD);
}

int close(int fd) {
  if (auto* network = network_of(fd)) return network->close_socket(fd);
  return kernel(syscall(SYS_close, fd));
}

ssize_t recv(int fd, void* into, size_t size, int flags) {
  auto* network = network_of(fd);
  if (network == nullptr) return syscall(SYS_recvfrom, fd, into, size, flags, nullptr, nullptr);
  return network->receive(fd, static_cast<char*>(into), size, (flags & MSG_PEEK) != 0);
}

ssize_t recvmsg(int fd, msghdr* message, int flags) {
  auto* network = network_of(fd);
  if (network == nullptr) return syscall(SYS_recvmsg, fd, message, flags);
  for (std::size_t i = 0; i < message->msg_iovlen; ++i) {
    const iovec& part = message->msg_iov[i];
    if (part.iov_len == 0) continue;
    return network->receive(fd, static_cast<char*>(part.iov_base), part.iov_len,
                            (flags & MSG_PEEK) != 0);
  }
  return 0;
}

ssize_t send(int fd, const void* bytes, size_t size, int flags) {
  auto* network = network_of(fd);
  if (network == nullptr) return syscall(SYS_sendto, fd, bytes, size, flags, nullptr, 0);
  return network->transmit(fd, {static_cast<const char*>(bytes), size});
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  auto* network = network_of(fd);
  if (network == nullptr) return syscall(SYS_sendmsg, fd, message, flags);
  std::string all;
  for (std::size_t i = 0; i < message->msg_iovlen; ++i) {
    const iovec& part = message->msg_iov[i];
    all.append(static_cast<const char*>(part.iov_base), part.iov_len);
  }
  return network->transmit(fd, all);
}

int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list rest;
  va_start(rest, request);
  void* const argument = va_arg(rest, void*);
  va_end(rest);
  if (network_of(fd) != nullptr) return 0;
  return kernel(syscall(SYS_ioctl, fd, request, argument));
}

int poll(pollfd* waits, nfds_t count, int timeout) {
  if (count != 1 || network_of(waits->fd) == nullptr) {
    return kernel(syscall(SYS_poll, waits, count, timeout));
  }
  const auto events = network_of(waits->fd)->events(waits->fd);
  waits->revents =
      static_cast<short>(events & (static_cast<unsigned short>(waits->events) | POLLERR | POLLHUP));
  return waits->revents != 0 ? 1 : 0;
}

int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
  auto* network = network_of(fd);
  if (network == nullptr) return kernel(syscall(SYS_epoll_ctl, epoll, operation, fd, event));
  return operation == EPOLL_CTL_DEL ? network->unwatch(fd) : network->watch(epoll, fd, *event);
}

}  // extern "C"
