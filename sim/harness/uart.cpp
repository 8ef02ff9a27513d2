// A board's design behind a pseudo-terminal: bytes that a program writes to the terminal go in at
// the pin PIN_RX, bit by bit, and what comes out at PIN_TX can be read from it.
//
// The signal USR1 switches the board off and on again. The first line on standard output is the
// terminal's path. Time stands still while nothing is on its way and the pin PIN_BUSY says that
// nothing goes on. Standard input closed ends the program.

#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>

#include "Vtop.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

namespace {

constexpr int BITS = 8;
constexpr int LOOK_CYCLES = 4096;   // between two looks at the terminal
constexpr int QUIET_LOOKS = 64;     // without a byte, after which time stands still
constexpr uint32_t TURN = 1u << PHASE_BITS;

volatile std::sig_atomic_t switched = 0;

[[noreturn]] void fail(const char* what) {
    std::perror(what);
    std::exit(2);
}

int open_terminal() {
    const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (terminal < 0 || ::grantpt(terminal) || ::unlockpt(terminal)) fail("pseudo-terminal");
    const char* path = ::ptsname(terminal);
    if (!path) fail("pseudo-terminal");
    // Held open, so that a program may come and go.
    const int other = ::open(path, O_RDWR | O_NOCTTY);
    termios settings{};
    if (other < 0 || ::tcgetattr(other, &settings)) fail(path);
    ::cfmakeraw(&settings);
    if (::tcsetattr(other, TCSANOW, &settings)) fail(path);
    std::printf("%s\n", path);
    std::fflush(stdout);
    return terminal;
}

// Puts bytes on a wire: a start bit, eight bits, a stop bit.
class Sender {
public:
    bool idle() const { return left == 0; }

    void give(uint8_t byte) {
        bits = static_cast<uint32_t>(byte) << 1 | 1u << (BITS + 1);
        left = BITS + 2;
        phase = 0;
    }

    bool step() {
        if (idle()) return true;
        const bool level = bits & 1;
        phase += STEP;
        if (phase >= TURN) {
            phase -= TURN;
            bits >>= 1;
            --left;
        }
        return level;
    }

private:
    uint32_t bits = 0, phase = 0;
    int left = 0;
};

// Samples each bit of a wire in its middle.
class Receiver {
public:
    bool idle() const { return left == 0; }

    // Whether a byte has come.
    bool step(bool level) {
        if (idle()) {
            phase = TURN / 2;
            if (!level) left = BITS + 2;
            return false;
        }
        phase += STEP;
        if (phase < TURN) return false;
        phase -= TURN;
        --left;
        if (left == BITS + 1) {
            if (level) left = 0;
        } else if (left) {
            byte = static_cast<uint8_t>(byte >> 1 | level << (BITS - 1));
        } else {
            return level;
        }
        return false;
    }

    uint8_t byte = 0;

private:
    uint32_t phase = 0;
    int left = 0;
};

class Board {
public:
    explicit Board(const char* waves) {
        top->PIN_RX = 1;
#if VM_TRACE
        if (waves) {
            Verilated::traceEverOn(true);
            top->trace(&trace, 99);
            trace.open(waves);
        }
#else
        (void)waves;
#endif
    }

    ~Board() {
        top->final();
#if VM_TRACE
        trace.close();
#endif
    }

    void cycle(bool rx) {
        top->PIN_RX = rx;
        for (const int level : {0, 1}) {
            top->PIN_CLOCK = level;
            top->eval();
#if VM_TRACE
            if (trace.isOpen()) trace.dump(time++);
#endif
        }
    }

    bool tx() const { return top->PIN_TX; }
    bool busy() const { return top->PIN_BUSY != BUSY_INVERTED; }

private:
    const std::unique_ptr<Vtop> top = std::make_unique<Vtop>();
#if VM_TRACE
    VerilatedVcdC trace;
    uint64_t time = 0;
#endif
};

}  // namespace

int main(int count, char** arguments) {
    const char* waves = count > 1 ? arguments[1] : nullptr;
    const int terminal = open_terminal();
    // The signal comes only while we wait, so that none is overlooked.
    sigset_t blocked, none;
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, nullptr);
    std::signal(SIGUSR1, [](int) { switched = 1; });
    auto board = std::make_unique<Board>(waves);
    Sender sender;
    Receiver receiver;
    std::deque<uint8_t> into, out;
    int quiet = 0;

    for (;;) {
        if (switched) {
            switched = 0;
            board.reset();
            board = std::make_unique<Board>(waves);
        }

        // Bytes between the terminal and us; wait for some if there is nothing else to do.
        const bool still = into.empty() && out.empty() && sender.idle() && receiver.idle();
        quiet = still && !board->busy() ? quiet + 1 : 0;
        pollfd waits[] = {{terminal, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
        const timespec now{0, 0};
        const int found = ::ppoll(waits, 2, quiet > QUIET_LOOKS ? nullptr : &now, &none);
        if (found < 0 && errno != EINTR) fail("poll");
        if (found < 0) continue;
        if (waits[1].revents) return 0;
        uint8_t bytes[4096];
        if (into.empty()) {
            const ssize_t got = ::read(terminal, bytes, sizeof bytes);
            if (got > 0) into.insert(into.end(), bytes, bytes + got);
            if (got < 0 && errno != EAGAIN && errno != EINTR && errno != EIO) fail("read");
        }
        while (!out.empty()) {
            const ssize_t put = ::write(terminal, &out.front(), 1);
            if (put != 1) break;
            out.pop_front();
        }

        for (int cycle = 0; cycle < LOOK_CYCLES; ++cycle) {
            if (sender.idle() && !into.empty()) {
                sender.give(into.front());
                into.pop_front();
            }
            board->cycle(sender.step());
            if (receiver.step(board->tx())) out.push_back(receiver.byte);
        }
    }
}
