#include <stddef.h>

#define gc_collect_start()
#define gc_collect_end()
#define gc_helper_collect_regs_and_stack()

size_t gc_get_max_new_split(void);
