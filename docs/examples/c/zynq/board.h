/* How run.c reaches the design of vivado/zynq.tcl, without an operating system: registers by
 * address, streams by the AXI DMA in its direct mode (Xilinx PG021).
 *
 * Take both addresses from the Address Editor. Memory must not be cached, or flushed before a
 * transfer to the shell and invalidated behind one from it.
 */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

#ifndef SKIPSTONE_AT
#define SKIPSTONE_AT 0x43C00000
#endif
#ifndef DMA_AT
#define DMA_AT 0x40400000
#endif

enum { DMA_TO_SHELL = 0x00, DMA_FROM_SHELL = 0x30 };
enum { DMA_CONTROL = 0x00, DMA_STATUS = 0x04, DMA_ADDRESS = 0x18, DMA_LENGTH = 0x28 };
enum { DMA_RUN = 1 << 0, DMA_IDLE = 1 << 1 };

static inline volatile uint32_t *dma(unsigned side, unsigned what)
{
    return (volatile uint32_t *)((uintptr_t)DMA_AT + side + what);
}

static inline void dma_start(unsigned side, const uint32_t *words, size_t count)
{
    *dma(side, DMA_CONTROL) = DMA_RUN;
    *dma(side, DMA_ADDRESS) = (uint32_t)(uintptr_t)words;
    *dma(side, DMA_LENGTH) = (uint32_t)(sizeof *words * count);
}

static inline void dma_wait(unsigned side)
{
    while (!(*dma(side, DMA_STATUS) & DMA_IDLE))
        ;
}

/* Where the registers begin. */
static inline uintptr_t board_registers(void)
{
    return SKIPSTONE_AT;
}

/* Send a message; its end is the end of the transfer. */
static inline void board_send(const uint32_t *words, size_t count)
{
    dma_start(DMA_TO_SHELL, words, count);
    dma_wait(DMA_TO_SHELL);
}

/* Words will come back: where they belong. */
static inline void board_expect(uint32_t *words, size_t count)
{
    dma_start(DMA_FROM_SHELL, words, count);
}

/* Wait for them. */
static inline void board_await(void)
{
    dma_wait(DMA_FROM_SHELL);
}

#endif
