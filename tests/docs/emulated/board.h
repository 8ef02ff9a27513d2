/* How run.c reaches a simulated shell: every access is a line to the test, which answers in one. */
#ifndef BOARD_H
#define BOARD_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static FILE *board_file(const char *name, const char *mode)
{
    const char *number = getenv(name);
    FILE *file = number ? fdopen(atoi(number), mode) : NULL;
    if (!file)
        abort();
    return file;
}

static FILE *board_to, *board_from;

static uint32_t board_word(void)
{
    uint32_t word;
    fflush(board_to);
    if (fscanf(board_from, "%" SCNu32, &word) != 1)
        abort();
    return word;
}

static uint32_t board_read(uintptr_t address)
{
    fprintf(board_to, "read %" PRIuPTR "\n", address);
    return board_word();
}

static void board_write(uintptr_t address, uint32_t word)
{
    fprintf(board_to, "write %" PRIuPTR " %" PRIu32 "\n", address, word);
    board_word();
}

#define SKIPSTONE_READ32(base, address) board_read((base) + (address))
#define SKIPSTONE_WRITE32(base, address, word) board_write((base) + (address), (word))

static uintptr_t board_registers(void)
{
    board_to = board_file("BOARD_TO", "w");
    board_from = board_file("BOARD_FROM", "r");
    return 0;
}

static void board_send(const uint32_t *words, size_t count)
{
    fprintf(board_to, "send");
    for (size_t at = 0; at < count; at++)
        fprintf(board_to, " %" PRIu32, words[at]);
    fprintf(board_to, "\n");
    board_word();
}

static uint32_t *board_place;
static size_t board_count;

static void board_expect(uint32_t *words, size_t count)
{
    board_place = words;
    board_count = count;
}

static void board_await(void)
{
    fprintf(board_to, "receive %zu\n", board_count);
    for (size_t at = 0; at < board_count; at++)
        board_place[at] = board_word();
}

#endif
