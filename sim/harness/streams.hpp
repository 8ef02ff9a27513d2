// The host's sides of streams, and their traffic: steady or ragged.

#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <random>

#include "host.hpp"
#include "verilated.h"

// Traffic -------------------------------------------------------------------------------------

// Whether streams pause, and the random numbers that say when.
class Traffic {
public:
    explicit Traffic(const char* seed)
        : ragged(std::strcmp(seed, "steady") != 0)
        , numbers(ragged ? std::strtoull(seed, nullptr, 10) : 0) {}

    const bool ragged;
    uint64_t draw(uint64_t below) { return numbers() % below; }

private:
    std::mt19937_64 numbers;
};

// Says in which cycles a side of a stream pauses: never, or at random with a density of its own.
class Pace {
public:
    explicit Pace(Traffic& traffic)
        : traffic(traffic)
        , eighths(traffic.ragged ? CHOICES[traffic.draw(std::size(CHOICES))] : 0) {}

    bool pauses() { return traffic.ragged && traffic.draw(8) < eighths; }

private:
    static constexpr unsigned CHOICES[] = {DENSITIES};
    Traffic& traffic;
    const unsigned eighths;
};

// Streams -------------------------------------------------------------------------------------

// The three ports of a stream of the array.
#define STREAM(top, name) \
    (top).name##___05Fvalid, (top).name##___05Fready, (top).name##___05Fpayload

// Words of a payload.
template <typename Port>
constexpr size_t words_of() {
    return (sizeof(Port) + sizeof(uint64_t) - 1) / sizeof(uint64_t);
}

// A payload's words, the least significant first, into a port of any width.
template <typename Port>
void put(Port& port, const uint64_t* words) {
    port = static_cast<Port>(words[0]);
}

template <std::size_t N>
void put(VlWide<N>& port, const uint64_t* words) {
    for (std::size_t i = 0; i < N; ++i) {
        port[i] = static_cast<EData>(words[i / 2] >> (32 * (i % 2)));
    }
}

// The inverse, to the end of other words.
template <typename Port>
void get(const Port& port, Words& words) {
    words.push_back(port);
}

template <std::size_t N>
void get(const VlWide<N>& port, Words& words) {
    for (std::size_t i = 0; i < N; i += 2) {
        const uint64_t high = i + 1 < N ? port[i + 1] : 0;
        words.push_back(high << 32 | port[i]);
    }
}

// Payloads on their way to the array: one in each cycle, but for the gaps of its pace. What has been
// offered stays so until it is taken.
template <typename Port>
class Offers {
public:
    Offers(CData& valid, const CData& ready, Port& payload, Traffic& traffic, const Words& words)
        : valid(valid)
        , ready(ready)
        , payload(payload)
        , pace(traffic)
        , words(words)
        , count(words.size() / words_of<Port>()) {
        if (words.size() % words_of<Port>()) fail("payloads of another width");
    }

    uint64_t done() const { return taken; }
    bool more() const { return taken < count; }

    // Ahead of settling: offer the next payload, unless there is a gap or the last one still waits.
    // Whether an input changes.
    bool offer() {
        if (offered) return false;
        const bool before = valid;
        offered = more() && !pace.pauses();
        if (offered) put(payload, &words[words_of<Port>() * taken]);
        valid = offered;
        return before || offered;
    }

    // Between settling and the edge: whether the payload that is offered is taken.
    bool note() {
        if (!offered || !ready) return false;
        offered = false;
        ++taken;
        return true;
    }

    // Behind the edge: offer nothing, until the next time.
    void withdraw() {
        if (!offered) valid = 0;
    }

    void stop() {
        offered = false;
        valid = 0;
    }

private:
    CData& valid;
    const CData& ready;
    Port& payload;
    Pace pace;
    const Words& words;
    const uint64_t count;
    uint64_t taken = 0;
    bool offered = false;
};

// Payloads on their way out of the array: taken in each cycle, but for the gaps of its pace.
template <typename Port>
class Takes {
public:
    Takes(const CData& valid, CData& ready, const Port& payload, Traffic& traffic, Words& words)
        : valid(valid)
        , ready(ready)
        , payload(payload)
        , pace(traffic)
        , words(words) {}

    uint64_t done() const { return taken; }

    // Ahead of settling: be ready, or pause. Whether an input changes.
    bool accept() {
        const bool before = ready;
        ready = !pace.pauses();
        return before != ready;
    }

    // Between settling and the edge: whether a payload is taken.
    bool note() {
        if (!valid || !ready) return false;
        get(payload, words);
        ++taken;
        return true;
    }

    void stop() { ready = 0; }

private:
    const CData& valid;
    CData& ready;
    const Port& payload;
    Pace pace;
    Words& words;
    uint64_t taken = 0;
};
