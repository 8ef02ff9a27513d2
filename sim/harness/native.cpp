// The native harness: a Verilated array, driven by requests on a socket.
//
// sim/protocol.py states the requests and the answers; its codes arrive here as macros REQUEST_...
// and STATUS_.... Every wait for the array is bounded, so that each request is answered. Arguments:
// the socket's file descriptor; cycles that a handshake may take; "steady", or the seed of ragged
// traffic; the file to record waveforms into, if any.

#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "Vtop.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

namespace {

struct Request {
    uint64_t kind;
    uint64_t count;
};

struct Answer {
    uint64_t status;
    uint64_t value;
    uint64_t error;
};

[[noreturn]] void fail(const char* what) {
    std::fprintf(stderr, "native harness: %s\n", what);
    std::exit(2);
}

// The other end of the socket -----------------------------------------------------------------

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

// Traffic -------------------------------------------------------------------------------------

// Says in which cycles a side of a stream pauses: never, or at random, with another density in
// each request.
class Traffic {
public:
    explicit Traffic(const char* seed)
        : ragged(std::strcmp(seed, "steady") != 0)
        , numbers(ragged ? std::strtoull(seed, nullptr, 10) : 0) {}

    void begin() { eighths = ragged ? DENSITIES[numbers() % 3] : 0; }
    bool pauses() { return ragged && numbers() % 8 < eighths; }

private:
    static constexpr unsigned DENSITIES[3] = {1, 4, 7};
    const bool ragged;
    unsigned eighths = 0;
    std::mt19937_64 numbers;
};

// A payload's words, the least significant first, into a port of any width.
template <typename T>
void put(T& port, const uint64_t* words) {
    port = static_cast<T>(words[0]);
}

template <std::size_t N>
void put(VlWide<N>& port, const uint64_t* words) {
    for (std::size_t i = 0; i < N; ++i) {
        port[i] = static_cast<EData>(words[i / 2] >> (32 * (i % 2)));
    }
}

// The array -----------------------------------------------------------------------------------

class Bench {
public:
    Bench(uint64_t patience, const char* seed, const char* waves)
        : top(new Vtop(&context))
        , patience(patience)
        , traffic(seed) {
        (void)waves;
#if VM_TRACE
        context.traceEverOn(true);
        if (waves) {
            top->trace(&trace, 99);
            trace.open(waves);
            if (!trace.isOpen()) fail("cannot write the waveform file");
        }
#endif
        settle();
    }

    ~Bench() {
        top->final();
#if VM_TRACE
        if (trace.isOpen()) trace.close();
#endif
    }

    Answer reset() {
        top->rst = 1;
        for (int cycle = 0; cycle < 2; ++cycle) {
            settle();
            edge();
        }
        top->rst = 0;
        settle();
        uint64_t waited = 0;
        for (; top->busy; ++waited) {
            if (waited > patience) return {STATUS_NOT_READY, 0, 0};
            edge();
            settle();
        }
        return {STATUS_OK, waited, 0};
    }

    Answer write(const std::vector<uint64_t>& payloads) {
        traffic.begin();
        const uint64_t count = payloads.size() / 2;
        for (uint64_t done = 0; done < count; ++done) {
            while (traffic.pauses()) {
                settle();
                edge();
            }
            put(top->write___05Fpayload, &payloads[2 * done]);
            top->write___05Fvalid = 1;
            bool taken = false;
            for (uint64_t waited = 0; !taken; ++waited) {
                if (waited > patience) return give_up(done);
                settle();
                taken = top->write___05Fready;
                edge();
            }
            top->write___05Fvalid = 0;
        }
        settle();
        return {STATUS_OK, count, top->error};
    }

    Answer read(const std::vector<uint64_t>& payloads, std::vector<uint64_t>& words) {
        traffic.begin();
        uint64_t asked = 0;
        uint64_t waited = 0;
        while (words.size() < payloads.size()) {
            if (waited++ > patience) return give_up(words.size());
            if (!top->read___05Fvalid && asked < payloads.size() && !traffic.pauses()) {
                put(top->read___05Fpayload, &payloads[asked]);
                top->read___05Fvalid = 1;
            }
            top->data___05Fready = !traffic.pauses();
            settle();
            const bool taken = top->read___05Fvalid && top->read___05Fready;
            if (top->data___05Fvalid && top->data___05Fready) {
                words.push_back(top->data___05Fpayload);
                waited = 0;
            }
            edge();
            if (taken) {
                ++asked;
                top->read___05Fvalid = 0;
                waited = 0;
            }
        }
        top->data___05Fready = 0;
        settle();
        return {STATUS_OK, words.size(), top->error};
    }

    Answer run(uint64_t max_cycles) {
        top->start = 1;
        settle();
        edge();
        top->start = 0;
        settle();
        uint64_t cycles = 0;
        while (top->busy) {
            if (cycles == max_cycles) return {STATUS_STILL_BUSY, cycles, top->error};
            ++cycles;
            edge();
            settle();
        }
        return {STATUS_OK, cycles, top->error};
    }

private:
    // Let the inputs take effect while the clock is low; outputs can be looked at afterwards.
    void settle() {
        top->clk = 0;
        top->eval();
        record();
    }

    void edge() {
        top->clk = 1;
        top->eval();
        record();
        if (context.gotFinish()) fail("the model ended the simulation");
    }

    void record() {
#if VM_TRACE
        context.timeInc(1);
        if (trace.isOpen()) trace.dump(context.time());
#endif
    }

    Answer give_up(uint64_t done) {
        top->write___05Fvalid = 0;
        top->read___05Fvalid = 0;
        top->data___05Fready = 0;
        settle();
        return {STATUS_NOT_READY, done, top->error};
    }

    VerilatedContext context;
#if VM_TRACE
    VerilatedVcdC trace;
#endif
    std::unique_ptr<Vtop> top;
    const uint64_t patience;
    Traffic traffic;
};

// Answers requests until the host says quit or goes away.
void serve(Host& host, Bench& bench) {
    Request request;
    std::vector<uint64_t> payloads;
    std::vector<uint64_t> words;
    while (host.receive(&request, sizeof request)) {
        Answer answer{};
        words.clear();
        const uint64_t each = request.kind == REQUEST_WRITE ? 2 : request.kind == REQUEST_READ;
        payloads.resize(each * request.count);
        if (!host.receive(payloads.data(), payloads.size() * sizeof(uint64_t))) return;
        switch (request.kind) {
        case REQUEST_RESET: answer = bench.reset(); break;
        case REQUEST_WRITE: answer = bench.write(payloads); break;
        case REQUEST_READ: answer = bench.read(payloads, words); break;
        case REQUEST_RUN: answer = bench.run(request.count); break;
        case REQUEST_QUIT: return;
        default: fail("a request of no known kind");
        }
        host.send(&answer, sizeof answer);
        if (answer.status == STATUS_OK) host.send(words.data(), words.size() * sizeof(uint64_t));
    }
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 4) fail("started without its arguments");
    Host host(std::atoi(arguments[1]));
    Bench bench(std::strtoull(arguments[2], nullptr, 10), arguments[3],
                count > 4 ? arguments[4] : nullptr);
    serve(host, bench);
    return 0;
}
