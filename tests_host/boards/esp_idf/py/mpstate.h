// Empty: heap_reserve.c needs nothing of this header.
