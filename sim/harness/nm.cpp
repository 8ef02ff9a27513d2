// The native harness of the N:M array.

#include "bench.hpp"

class NmArray : public Bench {
public:
    using Bench::Bench;

    // Serves both streams until the run ends. Gives the number of words that were taken off the load
    // stream, then the results.
    Answer run(uint64_t max_cycles, const Words& payloads, Words& words) override {
        words.push_back(0);
        Offers loads(STREAM(*top, i), traffic, payloads);
        Takes results(STREAM(*top, o), traffic, words);
        start();
        settle();
        uint64_t cycles = 0;
        for (; top->busy && cycles < max_cycles; ++cycles) {
            const bool loads_change = loads.offer();
            const bool results_change = results.accept();
            if (loads_change || results_change || !skip_low_clock()) settle();
            loads.note();
            results.note();
            edge();
        }
        const bool is_busy = top->busy;
        loads.stop();
        results.stop();
        settle();
        words[0] = loads.done();
        return {is_busy ? STATUS_STILL_BUSY : STATUS_OK, cycles, top->error};
    }
};

int main(int count, char** arguments) { return run_harness<NmArray>(count, arguments); }
