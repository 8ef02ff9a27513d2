// What the native harnesses of all engines have in common: a Verilated array, driven by requests on
// a socket.
//
// sim/protocol.py states the requests and the answers; its codes arrive here as macros REQUEST_...,
// STATUS_... and DENSITIES. Every wait for the array is bounded, so that each request is answered.
// Arguments: the socket's file descriptor; cycles that a handshake may take; "steady", or the seed
// of ragged traffic; the file to record waveforms into, if any.

#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "Vtop.h"
#include "Vtop___024root.h"
#include "host.hpp"
#include "streams.hpp"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

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

class Bench {
public:
    Bench(uint64_t patience, const char* seed, const char* waves)
        : top(new Vtop(&context))
        , traffic(seed)
        , patience(patience) {
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

    virtual ~Bench() {
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

    Answer write(const Words& payloads) {
        Offers writes(STREAM(*top, write), traffic, payloads);
        return finish(writes);
    }

    Answer read(const Words& payloads, Words& words) {
        Offers asks(STREAM(*top, read), traffic, payloads);
        Takes answers(STREAM(*top, data), traffic, words);
        bool in_time = true;
        for (uint64_t waited = 0; in_time && answers.done() < payloads.size();) {
            asks.offer();
            answers.accept();
            settle();
            const bool asked = asks.note();
            const bool answered = answers.note();
            edge();
            asks.withdraw();
            waited = asked || answered ? 0 : waited + 1;
            in_time = waited <= patience;
        }
        asks.stop();
        answers.stop();
        settle();
        return {in_time ? STATUS_OK : STATUS_NOT_READY, answers.done(), top->error};
    }

    // A run of the engine; what becomes of the payloads is its own.
    virtual Answer run(uint64_t max_cycles, const Words& payloads, Words& words) = 0;

protected:
    void start() {
        top->start = 1;
        settle();
        edge();
        top->start = 0;
    }

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

    // Where no input has changed since the last edge, outputs stand: the next edge may follow without
    // an evaluation in between. False if there is no way to do so: then settle.
    bool skip_low_clock() { return !VM_TRACE && forget_high_clock(*top->rootp, 0); }

    // Sends what is left of some payloads.
    template <typename Port>
    Answer finish(Offers<Port>& offers) {
        for (uint64_t waited = 0; offers.more(); ++waited) {
            if (waited > patience) {
                offers.stop();
                settle();
                return {STATUS_NOT_READY, offers.done(), top->error};
            }
            offers.offer();
            settle();
            if (offers.note()) waited = 0;
            edge();
            offers.withdraw();
        }
        settle();
        return {STATUS_OK, offers.done(), top->error};
    }

private:
    void record() {
#if VM_TRACE
        context.timeInc(1);
        if (trace.isOpen()) trace.dump(context.time());
#endif
    }

    VerilatedContext context;
#if VM_TRACE
    VerilatedVcdC trace;
#endif

protected:
    std::unique_ptr<Vtop> top;
    Traffic traffic;

private:
    const uint64_t patience;
};

// Answers requests until the host says quit or goes away.
inline void serve(Host& host, Bench& bench) {
    Request request;
    Words payloads;
    Words words;
    while (host.receive(&request, sizeof request)) {
        Answer answer{};
        words.clear();
        payloads.resize(request.count);
        if (!host.receive(payloads.data(), payloads.size() * sizeof(uint64_t))) return;
        switch (request.kind) {
        case REQUEST_RESET: answer = bench.reset(); break;
        case REQUEST_WRITE: answer = bench.write(payloads); break;
        case REQUEST_READ: answer = bench.read(payloads, words); break;
        case REQUEST_RUN: answer = bench.run(request.limit, payloads, words); break;
        case REQUEST_QUIT: return;
        default: fail("a request of no known kind");
        }
        if (answer.status == STATUS_OK) answer.count = words.size();
        host.send(&answer, sizeof answer);
        host.send(words.data(), answer.count * sizeof(uint64_t));
    }
}

template <typename Array>
int run_harness(int count, char** arguments) {
    if (count < 4) fail("started without its arguments");
    Host host(std::atoi(arguments[1]));
    Array array(std::strtoull(arguments[2], nullptr, 10), arguments[3],
                count > 4 ? arguments[4] : nullptr);
    serve(host, array);
    return 0;
}
