// The native harness of the EIE array.

#include "bench.hpp"

class EieArray : public Bench {
public:
    using Bench::Bench;

    // Sends writes during the run, the first one in its first cycle, and the rest behind it.
    Answer run(uint64_t max_cycles, const Words& payloads, Words&) override {
        Offers writes(STREAM(*top, write), traffic, payloads);
        start();
        writes.offer();
        settle();
        uint64_t cycles = 0;
        for (; top->busy; ++cycles) {
            if (cycles == max_cycles) {
                writes.stop();
                settle();
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
    // A cycle in which no input changes: outputs stand behind it.
    void pass() {
        const bool skipped = skip_low_clock();
        edge();
        if (!skipped) settle();
    }
};

int main(int count, char** arguments) { return run_harness<EieArray>(count, arguments); }
