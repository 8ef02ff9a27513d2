/* Runs a network on the EIE array of a Skipstone shell.
 *
 * skipstone.h and skipstone_access.h are in the folder registers/ of the build, messages.h is made by
 * messages.py, and board.h says how this board is reached: the one for a Zynq is in zynq/.
 *
 *     cc -std=c99 -I zynq -I build/axi-eie-64/registers run.c
 */
#include <inttypes.h>
#include <stdio.h>

#include "board.h"
#include "messages.h"
#include "skipstone_access.h"

#define POLLS UINT32_C(100000000)

static int fail(const char *what)
{
    printf("failed: %s\n", what);
    return 1;
}

/* Ask for words of the array, two of 32 bits for each; after all that was sent before. */
static void ask(const uint32_t *message, size_t length, uint32_t *words, size_t count)
{
    board_expect(words, 2 * count);
    board_send(message, length);
    board_await();
}

int main(void)
{
    static uint32_t words[2 * OUTPUTS];
    const uintptr_t base = board_registers();

    /* What is there, and is it what messages.h was made for? */
    if (!skipstone_is_there(base))
        return fail("no Skipstone answers, or one with other registers");
    if (!skipstone_is_eie(base))
        return fail("the array has another configuration");

    /* Bring it into a known state, and fill its memories. */
    skipstone_reset(base);
    if (!skipstone_wait(base, SKIPSTONE_STATUS_BUSY_EIE_MASK, POLLS))
        return fail("the array is not ready after a reset");
    /* A message that broke off waits for its end still: one without items has nothing else. */
    if (skipstone_read_status(base) & SKIPSTONE_STATUS_RECEIVING_MASK)
        board_send(load, 1);
    board_send(load, LENGTH(load));

    /* An answer comes behind all that was written before it: now the array may start. */
    ask(ask_first, LENGTH(ask_first), words, 1);
    skipstone_start_eie(base);
    if (!skipstone_wait(base, SKIPSTONE_STATUS_BUSY_EIE_MASK, POLLS))
        return fail("the run does not end");
    if (skipstone_read_error(base) != 0) {
        printf("failed: error %" PRIu32 " of source %" PRIu32 "\n",
               SKIPSTONE_FIELD(skipstone_read_error(base), ERROR_CODE),
               SKIPSTONE_FIELD(skipstone_read_error(base), ERROR_SOURCE));
        return 1;
    }

    /* What it took; of every pass, and of a PE in it. */
    printf("cycles %" PRIu64 "\n", skipstone_read_cycles(base));
    skipstone_write_eie_pe(base, PES - 1);
    for (uint32_t pass = FIRST_PASS; pass < FIRST_PASS + PASSES; pass++) {
        skipstone_write_eie_pass(base, pass);
        printf("pass %" PRIu64 ", last PE busy %" PRIu64 "\n",
               skipstone_read_eie_cycles(base), skipstone_read_eie_pe_busy(base));
    }

    /* What came out: signed words, in the order that the compiler gave the rows. */
    ask(ask_outputs, LENGTH(ask_outputs), words, OUTPUTS);
    for (size_t at = 0; at < OUTPUTS; at++) {
        uint32_t word = words[2 * at] & ((UINT32_C(1) << ACT_BITS) - 1);
        int32_t value = (int32_t)word - ((word >> (ACT_BITS - 1)) ? INT32_C(1) << ACT_BITS : 0);
        printf("output %" PRIu32 " %" PRId32 "\n", order[at], value);
    }
    return 0;
}
