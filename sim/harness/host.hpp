// The requests of sim/protocol.py on a socket.

#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

using Words = std::vector<uint64_t>;

struct Request {
    uint64_t kind;
    uint64_t limit;
    uint64_t count;
};

struct Answer {
    uint64_t status;
    uint64_t value;
    uint64_t error;
    uint64_t count = 0;
};

[[noreturn]] inline void fail(const char* what) {
    std::fprintf(stderr, "native harness: %s\n", what);
    std::exit(2);
}

class Host {
public:
    explicit Host(int descriptor)
        : descriptor(descriptor) {}

    // False when the host has gone.
    bool receive(void* data, size_t bytes) {
        char* at = static_cast<char*>(data);
        while (bytes) {
            const ssize_t got = ::read(descriptor, at, bytes);
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) return false;
            at += got;
            bytes -= static_cast<size_t>(got);
        }
        return true;
    }

    void send(const void* data, size_t bytes) {
        const char* at = static_cast<const char*>(data);
        while (bytes) {
            const ssize_t put = ::write(descriptor, at, bytes);
            if (put < 0 && errno == EINTR) continue;
            if (put <= 0) std::exit(0);
            at += put;
            bytes -= static_cast<size_t>(put);
        }
    }

private:
    const int descriptor;
};
