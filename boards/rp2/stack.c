// The stack of our RP2040 boards reaches below the two scratch banks, where the port puts it (board.cmake). The port's
// linker script does not know this, so this file makes Python's heap end where the stack begins. The linker inserts
// this function (--wrap).

#include <stdint.h>

extern uint8_t __StackBottom;

void __real_gc_init(void *start, void *end);
void __wrap_gc_init(void *start, void *end);

void __wrap_gc_init(void *start, void *end) {
    if ((uint8_t *)start < &__StackBottom && (uint8_t *)end > &__StackBottom) {
        end = &__StackBottom;
    }
    __real_gc_init(start, end);
}
