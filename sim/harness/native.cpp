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
#include "Vtop___024root.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

namespace {

struct Request {
    uint64_t kind;
    uint64_t limit;
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

// Makes the next evaluation see a rising clock without one of a low clock before it: Verilator
// remembers the clock in a member of this name. Where it has none, nothing is done, and said so.
template <typename Root>
auto forget_high_clock(Root& root, int) -> decltype(root.__Vtrigprevexpr___TOP__clk__0, true) {
    root.__Vtrigprevexpr___TOP__clk__0 = 0;
    return true;
}

template <typename Root>
bool forget_high_clock(Root&, long) {
    return false;
}

// Writes on their way to the array: one in each cycle, but for the gaps of ragged traffic.
class Writes {
public:
    Writes(Vtop& top, Traffic& traffic, const std::vector<uint64_t>& payloads)
        : top(top)
        , traffic(traffic)
        , payloads(payloads)
        , count(payloads.size() / 2) {
        traffic.begin();
    }

    uint64_t done() const { return taken; }
    bool more() const { return taken < count; }

    // Ahead of settling: offer the next word, unless there is a gap or the last one still waits.
    void offer() {
        if (offered || !more()) return;
        offered = !traffic.pauses();
        if (offered) put(top.write___05Fpayload, &payloads[2 * taken]);
        top.write___05Fvalid = offered;
    }

    // Between settling and the edge: whether the word that is offered is taken.
    bool note() {
        if (!offered || !top.write___05Fready) return false;
        offered = false;
        ++taken;
        return true;
    }

    // Behind the edge: nothing is offered until the next word is.
    void withdraw() {
        if (!offered) top.write___05Fvalid = 0;
    }

private:
    Vtop& top;
    Traffic& traffic;
    const std::vector<uint64_t>& payloads;
    const uint64_t count;
    uint64_t taken = 0;
    bool offered = false;
};

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
        Writes writes(*top, traffic, payloads);
        return finish(writes);
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

    // Starts, and sends writes meanwhile, the first one in the first cycle of being busy.
    Answer run(uint64_t max_cycles, const std::vector<uint64_t>& payloads) {
        Writes writes(*top, traffic, payloads);
        top->start = 1;
        settle();
        edge();
        top->start = 0;
        writes.offer();
        settle();
        uint64_t cycles = 0;
        for (; top->busy; ++cycles) {
            if (cycles == max_cycles) {
                give_up(0);
                return {STATUS_STILL_BUSY, cycles, top->error};
            }
            if (!writes.more()) {
                pass();
                continue;
            }
            writes.note();
            edge();
            writes.withdraw();
            writes.offer();
            settle();
        }
        const Answer rest = finish(writes);
        return rest.status == STATUS_OK ? Answer{STATUS_OK, cycles, rest.error} : rest;
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

    // A cycle in which no input changes, in one evaluation if possible: outputs stand after it.
    void pass() {
        const bool quick = !VM_TRACE && forget_high_clock(*top->rootp, 0);
        edge();
        if (!quick) settle();
    }

    void record() {
#if VM_TRACE
        context.timeInc(1);
        if (trace.isOpen()) trace.dump(context.time());
#endif
    }

    // Sends what is left of some writes.
    Answer finish(Writes& writes) {
        for (uint64_t waited = 0; writes.more(); ++waited) {
            if (waited > patience) return give_up(writes.done());
            writes.offer();
            settle();
            if (writes.note()) waited = 0;
            edge();
            writes.withdraw();
        }
        settle();
        return {STATUS_OK, writes.done(), top->error};
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
        payloads.resize((request.kind == REQUEST_READ ? 1 : 2) * request.count);
        if (!host.receive(payloads.data(), payloads.size() * sizeof(uint64_t))) return;
        switch (request.kind) {
        case REQUEST_RESET: answer = bench.reset(); break;
        case REQUEST_WRITE: answer = bench.write(payloads); break;
        case REQUEST_READ: answer = bench.read(payloads, words); break;
        case REQUEST_RUN: answer = bench.run(request.limit, payloads); break;
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
